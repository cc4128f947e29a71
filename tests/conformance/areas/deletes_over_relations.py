"""What happens to the rows that point at a deleted one: `CASCADE`, `SET_NULL`, `RESTRICT`, and pairs."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Area

case = Area("deletes over relations")

CASCADE = "the database follows the relations itself; Django collects the rows first"


def one(model: str, key: int, *shown: tuple[str, tuple[str, ...]]) -> Any:
    """An instance is deleted; and what there is then in these tables."""

    def run(m, o):  # type: ignore[no-untyped-def]
        instance = yield getattr(m, model).objects.get(id=key)
        done = yield instance.delete()
        return o.deleted(done, model), (yield from left(m, shown))

    return run


def some(model: str, query: Any, *shown: tuple[str, tuple[str, ...]]) -> Any:
    """The rows of a queryset are deleted; and what there is then in these tables."""

    def run(m, o):  # type: ignore[no-untyped-def]
        done = yield query(getattr(m, model).objects, m, o).delete()
        return o.deleted(done, model), (yield from left(m, shown))

    return run


def left(m, shown):  # type: ignore[no-untyped-def]
    counts = []
    for table, columns in shown:
        counts.append((yield getattr(m, table).objects.order_by(*columns).values_list(*columns)))
    return counts


ENTRIES = ("Entry", ("id", "author"))
COMMENTS = ("Comment", ("id", "entry", "author"))
BLOGS = ("Blog", ("id", "owner"))
TAGGED = ("Tag", ("id", "entries__id"))
FRIENDS = ("Author", ("id", "mentor", "friends__id"))
FOLLOWS = ("Author", ("id", "follows__id"))
MEMBERS = ("Membership", ("id", "club", "author", "inviter"))
REMARKS = ("Remark", ("id", "tag"))
INTERESTS = ("Interest", ("id", "club", "tag"))
PROFILES = ("Profile", ("id", "author"))
AVATARS = ("Avatar", ("id", "profile"))
FEEDS = ("Feed", ("id", "blog"))
PRIZES = ("Prize", ("id", "club", "winner"))

for _name, _query in {
    "children, and theirs": one("Blog", 1, ENTRIES, COMMENTS, TAGGED, FEEDS),
    "one of which nothing hangs": one("Blog", 4, BLOGS, ENTRIES),
    "pairs of a row": one("Entry", 1, ENTRIES, TAGGED, COMMENTS),
    "pairs of the other side": one("Tag", 1, TAGGED),
    "pairs with columns": one("Club", 2, MEMBERS, INTERESTS),
    "rows that point at another field": one("Tag", 1, REMARKS, INTERESTS),
    "a person": one("Author", 2, BLOGS, ENTRIES, COMMENTS, PROFILES, MEMBERS, PRIZES),
    "a person and its friends": one("Author", 1, FRIENDS, FOLLOWS, MEMBERS),
    "one to one, and its own": one("Author", 4, PROFILES, AVATARS),
    "one to one that may be NULL": one("Blog", 3, FEEDS),
    "the near side of one to one": one("Profile", 1, PROFILES, AVATARS),
    "the far side of NULL": one("Country", 1, ("Author", ("id", "country"))),
    "a restricted one": one("Club", 1, MEMBERS),
    "one that is not restricted": one("Club", 3, PRIZES),
    "what restricts": one("Prize", 1, PRIZES),
    "a pair": one("Membership", 1, MEMBERS),
    "several restricted": some("Club", lambda q, m, o: q.filter(founded=1900), PRIZES),
    "some restricted, some not": some("Club", lambda q, m, o: q.filter(id__gt=2), PRIZES),
    "all blogs": some("Blog", lambda q, m, o: q.all(), ENTRIES, COMMENTS, TAGGED, FEEDS),
    "by the other side": some("Entry", lambda q, m, o: q.filter(tags__name="red"), ENTRIES, TAGGED),
    "by the pair": some("Membership", lambda q, m, o: q.filter(author__name="Bob"), MEMBERS),
    "by its absence": some("Tag", lambda q, m, o: q.filter(entries=None), TAGGED, REMARKS),
    "friends of one": some("Author", lambda q, m, o: q.filter(friends=2), FRIENDS, FOLLOWS, MEMBERS),
    "those who follow themselves": some("Author", lambda q, m, o: q.filter(follows=o.F("id")), FOLLOWS),
    "by one to one": some("Author", lambda q, m, o: q.filter(profile__level=3), PROFILES, AVATARS, BLOGS),
    "with none": some("Author", lambda q, m, o: q.exclude(clubs__id__gt=0).filter(blogs=None), FRIENDS),
}.items():
    case(_name, _query, writes=True, statements=CASCADE, point=7)

case("an unsaved instance", lambda m, o: _unsaved(m), writes=True, point=6)
case("nothing is left of a refused one", lambda m, o: _refused(m), statements=CASCADE, point=7)


def _unsaved(m):  # type: ignore[no-untyped-def]
    yield m.Blog(name="x").delete()


def _refused(m):  # type: ignore[no-untyped-def]
    club = yield m.Club.objects.get(id=1)
    try:
        yield club.delete()
    except Exception as error:  # noqa: BLE001 - both sides' own
        kind = {kind.__name__ for kind in type(error).__mro__}
        return "IntegrityError" in kind, (yield m.Membership.objects.filter(club=1).count())
