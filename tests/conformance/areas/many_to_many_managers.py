"""The managers of many-to-many relations: what they find, and how they add, remove and set pairs."""

from __future__ import annotations

from typing import Any

from tests.conformance.areas.reverse_managers import of, plain
from tests.conformance.cases import Area

case = Area("many-to-many managers")

SET = "Django asks first what is there, and then removes and adds in a statement each"
ONE = "Django asks first which pairs are there, and sends a statement for each way round of a symmetrical relation"
WRITES = "set() writes without asking first: a statement that removes, and one that adds"
UPDATED = "ours is one statement"
CASCADE = "the database follows the relations itself; Django collects the rows first"
CHECKED = "Django's update_or_create selects, then saves; the number of statements is not promised"
DEFERRED = "Django's foreign keys are checked at the end of the transaction, which is undone here"
IGNORED = "Django inserts with IGNORE, which passes over a key that is nowhere, too"

# Reading.
for _name, _ask in {
    "all": lambda e, m, o: e.tags.all(),
    "filter": lambda e, m, o: e.tags.filter(name="red"),
    "filter back: the same pair": lambda e, m, o: e.tags.filter(entries__rating=5),
    "filter back, twice": lambda e, m, o: e.tags.filter(entries__rating=5).filter(entries__rating=3),
    "filter back after another": lambda e, m, o: e.tags.filter(uses__gte=1).filter(entries__rating=3),
    "filter back after all": lambda e, m, o: e.tags.all().filter(entries__rating=3),
    "filter back after an order": lambda e, m, o: e.tags.order_by("id").filter(entries__rating=3),
    "exclude": lambda e, m, o: e.tags.exclude(name="red"),
    "exclude back": lambda e, m, o: e.tags.exclude(entries__rating=3),
    "count": lambda e, m, o: e.tags.count(),
    "count of some": lambda e, m, o: e.tags.filter(uses=5).count(),
    "exists": lambda e, m, o: e.tags.exists(),
    "exists of some": lambda e, m, o: e.tags.filter(name="grey").exists(),
    "first": lambda e, m, o: e.tags.order_by("-id").first(),
    "last": lambda e, m, o: e.tags.order_by("-id").last(),
    "get": lambda e, m, o: e.tags.get(name="red"),
    "get of one that is not paired": lambda e, m, o: e.tags.get(name="blue"),
    "get of several": lambda e, m, o: e.tags.get(),
    "values": lambda e, m, o: e.tags.values("name", "uses"),
    "values back": lambda e, m, o: e.tags.values_list("name", "entries__id"),
    "aggregate": lambda e, m, o: e.tags.aggregate(o.Sum("uses")),
    "annotate": lambda e, m, o: e.tags.annotate(n=o.Count("remark")),
    "annotate back": lambda e, m, o: e.tags.annotate(n=o.Count("entries")),
    "none": lambda e, m, o: e.tags.none(),
    "in_bulk": lambda e, m, o: e.tags.in_bulk(),
    "distinct": lambda e, m, o: e.tags.distinct(),
    "in a filter": lambda e, m, o: m.Entry.objects.filter(tags__in=e.tags.all()).distinct(),
    "joined by |": lambda e, m, o: e.tags.filter(uses=5) | e.tags.filter(name="red"),
    "joined by & with none": lambda e, m, o: e.tags.all() & e.tags.none(),
    "a union": lambda e, m, o: e.tags.filter(uses=5).union(m.Tag.objects.filter(id=4)),
    "contains": lambda e, m, o: e.tags.contains(m.Tag(id=1, name="red")),
    "does not contain": lambda e, m, o: e.tags.contains(m.Tag(id=3, name="blue")),
}.items():
    case(_name, of("Entry", 1, _ask))


def of_two(ask: Any) -> Any:
    """What is asked of the first and of the fifth entry together."""

    def run(m, o):  # type: ignore[no-untyped-def]
        first = yield m.Entry.objects.get(id=1)
        fifth = yield m.Entry.objects.get(id=5)
        return (yield ask(first, fifth))

    return run


for _name, _ask in {
    "both": lambda a, b: a.tags.all() & b.tags.all(),
    "both, filtered": lambda a, b: a.tags.filter(uses__gte=1) & b.tags.filter(uses__gte=5),
    "both, one filtered back": lambda a, b: a.tags.filter(entries__rating=5) & b.tags.all(),
    "both, the other filtered back": lambda a, b: a.tags.all() & b.tags.filter(entries__rating=5),
    "both, filtered afterwards": lambda a, b: (a.tags.all() & b.tags.all()).filter(uses=5),
    "either": lambda a, b: a.tags.all() | b.tags.all(),
    "both, of a reverse relation": lambda a, b: a.comments.all() & b.comments.all(),
}.items():
    case(f"of two: {_name}", of_two(_ask))

case("in order", of("Entry", 1, lambda e, m, o: e.tags.order_by("-name")), ordered=True)
case("a slice", of("Entry", 5, lambda e, m, o: e.tags.order_by("id")[1:]), ordered=True)
case("of one without", of("Entry", 4, lambda e, m, o: e.tags.all()))
case("count of one without", of("Entry", 4, lambda e, m, o: e.tags.count()))
case("backwards", of("Tag", 1, lambda t, m, o: t.entries.order_by("id")), ordered=True)
case("backwards, filtered", of("Tag", 1, lambda t, m, o: t.entries.filter(rating=5)))
case("backwards, across", of("Tag", 1, lambda t, m, o: t.entries.filter(blog__name="Rock")))
case("friends", of("Author", 1, lambda a, m, o: a.friends.order_by("id")), ordered=True)
case("friends who are friends with others", of("Author", 1, lambda a, m, o: a.friends.filter(friends__name="Cid")))
case("follows", of("Author", 4, lambda a, m, o: a.follows.all()))
case("followers", of("Author", 1, lambda a, m, o: a.followers.all()))
case("members, one of them twice", of("Club", 1, lambda c, m, o: c.members.order_by("id")), ordered=True)
case("count of members, one of them twice", of("Club", 1, lambda c, m, o: c.members.count()))
case("distinct members", of("Club", 1, lambda c, m, o: c.members.distinct()))
case("members by the pair's column", of("Club", 1, lambda c, m, o: c.members.filter(memberships__dues__gt=5)))
case("members by another pair's column", of("Club", 1, lambda c, m, o: c.members.all().filter(memberships__dues=10)))
case("members ordered by the pair's column", of("Club", 1, lambda c, m, o: _by_dues(c)), ordered=True)
case("clubs of a member", of("Author", 2, lambda a, m, o: a.clubs.order_by("id")), ordered=True)
case("clubs by the pair's column", of("Author", 2, lambda a, m, o: a.clubs.filter(membership__dues=10)))
case("topics", of("Club", 1, lambda c, m, o: c.topics.order_by("id")), ordered=True)
case("topics, backwards", of("Tag", 1, lambda t, m, o: t.clubs.order_by("id")), ordered=True)
case("of an unsaved instance", lambda m, o: m.Entry(title="x").tags.all(), point=6)
case("add to an unsaved instance", lambda m, o: m.Entry(title="x").tags.add(1), point=6)
case("an unknown name", of("Entry", 1, lambda e, m, o: e.tags.filter(nothing=1)), point=6)
case("assigned", lambda m, o: _assigned(m), point=6)
case("update", of("Entry", 1, lambda e, m, o: e.tags.update(uses=9)), writes=True, statements=UPDATED, point=7)
case("delete of the rows", lambda m, o: _deleted(m, o), writes=True, statements=CASCADE, point=7)


def _by_dues(club):  # type: ignore[no-untyped-def]
    return club.members.order_by("memberships__dues", "memberships__id").values_list("id", "memberships__dues")


def _assigned(m):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.get(id=1)
    entry.tags = []


def _deleted(m, o):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.get(id=1)
    done = yield entry.tags.filter(name="green").delete()
    return o.deleted(done, "Tag"), (yield m.Tag.objects.order_by("id", "entries__id").values_list("id", "entries"))


# Writing.
def paired(
    model: str, key: int, name: str, write: Any, *columns: str, others: tuple[str, tuple[int, ...]] = ("", ())
) -> Any:
    """What a write to a many-to-many relation gives, and all pairs afterwards.

    `columns` are those of the pairs; without any, they are the keys of both sides. `others`: a model, and the keys of
    the instances that `write` takes.
    """

    def run(m, o):  # type: ignore[no-untyped-def]
        rows = getattr(m, model).objects
        instance = yield rows.get(id=key)
        answers = []
        for other in others[1]:
            answers.append((yield getattr(m, others[0]).objects.get(id=other)))
        result = yield write(getattr(instance, name), m, o, *answers)
        shown = columns or ("id", name)
        return plain(result), (yield rows.order_by(*shown).values_list(*shown))

    return run


def tags(write: Any, key: int = 1, others: tuple[int, ...] = ()) -> Any:
    """A write to the tags of an entry: 1 has the tags 1 and 2."""
    return paired("Entry", key, "tags", write, "id", "tags__name", others=("Tag", others))


def entries(write: Any, key: int = 1, others: tuple[int, ...] = ()) -> Any:
    """A write to the entries of a tag: 1 has the entries 1, 2, 5 and 8."""
    return paired("Tag", key, "entries", write, "name", "entries__title", others=("Entry", others))


def friends(write: Any, key: int = 1, others: tuple[int, ...] = ()) -> Any:
    """A write to the friends of a person: 1 has 1, 2 and 3."""
    return paired("Author", key, "friends", write, "name", "friends__name", others=("Author", others))


def follows(write: Any, key: int = 4, others: tuple[int, ...] = ()) -> Any:
    """A write to those whom a person follows: 4 follows 1 and 2."""
    return paired("Author", key, "follows", write, "name", "follows__name", others=("Author", others))


def followers(write: Any, key: int = 1, others: tuple[int, ...] = ()) -> Any:
    """A write to the followers of a person: 1 has 2, 3 and 4."""
    return paired("Author", key, "followers", write, "name", "followers__name", others=("Author", others))


def members(write: Any, key: int = 1, others: tuple[int, ...] = ()) -> Any:
    """A write to the members of a club: 1 has 1, 2, 3 and 2 again."""
    columns = ("id", "membership__author__name", "membership__dues", "membership__inviter")
    return paired("Club", key, "members", write, *columns, others=("Author", others))


def clubs(write: Any, key: int = 2, others: tuple[int, ...] = ()) -> Any:
    """A write to the clubs of a member: 2 is in 1, twice, and in 2."""
    columns = ("id", "memberships__club__name", "memberships__dues")
    return paired("Author", key, "clubs", write, *columns, others=("Club", others))


def topics(write: Any, key: int = 1, others: tuple[int, ...] = ()) -> Any:
    """A write to the topics of a club, kept by their names: 1 has red and green."""
    return paired("Club", key, "topics", write, "id", "interests__tag", "interests__weight", others=("Tag", others))


for _name, _query in {
    "add": tags(lambda r, m, o, *given: r.add(*given), others=(3, 4)),
    "add keys": tags(lambda r, m, o: r.add(3, 4)),
    "add a key and an instance": tags(lambda r, m, o, tag: r.add(4, tag), others=(3,)),
    "add what is there": tags(lambda r, m, o: r.add(1)),
    "add what is there and what is not": tags(lambda r, m, o: r.add(1, 3)),
    "add the same twice": tags(lambda r, m, o, tag: r.add(tag, tag, 3), others=(3,)),
    "add nothing": tags(lambda r, m, o: r.add()),
    "add text that is a key": tags(lambda r, m, o: r.add("3")),
    "add backwards": entries(lambda r, m, o: r.add(3, 4)),
    "add backwards what is there": entries(lambda r, m, o: r.add(1, 2)),
    "add a friend": friends(lambda r, m, o: r.add(4)),
    "add a friend who is one": friends(lambda r, m, o: r.add(2)),
    "add oneself as a friend": friends(lambda r, m, o: r.add(2), 2),
    "add several friends": friends(lambda r, m, o, *given: r.add(*given), 7, (1, 2)),
    "add one whom it follows": follows(lambda r, m, o: r.add(3)),
    "add a follower": followers(lambda r, m, o, *given: r.add(*given), others=(6,)),
    "add a follower who is one": followers(lambda r, m, o: r.add(2, 7)),
    "add a member": members(lambda r, m, o: r.add(5)),
    "add a member who is one": members(lambda r, m, o: r.add(1)),
    "add a member with columns": members(lambda r, m, o: r.add(5, through_defaults={"dues": 3, "inviter_id": 1})),
    "add a member with a relation": members(
        lambda r, m, o, ann: r.add(5, through_defaults={"inviter": ann}), others=(1,)
    ),
    "add a member with columns, who is one": members(lambda r, m, o: r.add(1, through_defaults={"dues": 3})),
    "add a member with a callable": members(lambda r, m, o: r.add(5, through_defaults={"dues": lambda: 4})),
    "add a member with an unknown column": members(lambda r, m, o: r.add(5, through_defaults={"nothing": 4})),
    "add a club": clubs(lambda r, m, o: r.add(3, through_defaults={"dues": 1})),
    "add a topic": topics(lambda r, m, o, *given: r.add(*given), others=(3, 1)),
    "add a topic by what is kept": topics(lambda r, m, o: r.add("blue", "red")),
    "add an unsaved instance": tags(lambda r, m, o: r.add(m.Tag(name="x"))),
    "add an instance of another model": tags(lambda r, m, o, entry: r.add(m.Entry(id=1, title="x")), others=(1,)),
    "add text that is no key": tags(lambda r, m, o: r.add("x")),
    "remove": tags(lambda r, m, o, *given: r.remove(*given), others=(1,)),
    "remove keys": tags(lambda r, m, o: r.remove(1, 2)),
    "remove what is not there": tags(lambda r, m, o: r.remove(3)),
    "remove what is nowhere": tags(lambda r, m, o: r.remove(99)),
    "remove nothing": tags(lambda r, m, o: r.remove()),
    "remove backwards": entries(lambda r, m, o: r.remove(1, 8)),
    "remove a friend": friends(lambda r, m, o: r.remove(2)),
    "remove oneself": friends(lambda r, m, o: r.remove(1)),
    "remove one whom it follows": follows(lambda r, m, o: r.remove(1)),
    "remove a follower": followers(lambda r, m, o: r.remove(2, 4)),
    "remove a member who is one twice": members(lambda r, m, o, *given: r.remove(*given), others=(2,)),
    "remove a club": clubs(lambda r, m, o: r.remove(1)),
    "remove a topic": topics(lambda r, m, o, *given: r.remove(*given), others=(1,)),
    "remove a topic by what is kept": topics(lambda r, m, o: r.remove("red")),
    "remove an instance of another model": tags(lambda r, m, o: r.remove(m.Entry(id=1, title="x"))),
    "clear": tags(lambda r, m, o: r.clear()),
    "clear one without": tags(lambda r, m, o: r.clear(), 4),
    "clear backwards": entries(lambda r, m, o: r.clear()),
    "clear friends": friends(lambda r, m, o: r.clear()),
    "clear follows": follows(lambda r, m, o: r.clear()),
    "clear followers": followers(lambda r, m, o: r.clear()),
    "clear members": members(lambda r, m, o: r.clear()),
    "clear topics": topics(lambda r, m, o: r.clear()),
    "create": tags(lambda r, m, o: r.create(name="new", uses=2)),
    "create backwards": entries(lambda r, m, o: r.create(title="New", blog_id=1)),
    "create a friend": friends(lambda r, m, o: r.create(name="Gus")),
    "create a member": members(lambda r, m, o: r.create(name="Gus", through_defaults={"dues": 3})),
    "create a topic": topics(lambda r, m, o: r.create(name="new", through_defaults={"weight": 3})),
    "create in conflict": tags(lambda r, m, o: r.create(name="grey")),
    "create with an unknown field": tags(lambda r, m, o: r.create(nothing=1)),
    "get_or_create gets": tags(lambda r, m, o: r.get_or_create(name="red")),
    "get_or_create creates": tags(lambda r, m, o: r.get_or_create(name="new", defaults={"uses": 3})),
    "get_or_create of a row that is not paired": tags(lambda r, m, o: r.get_or_create(name="grey")),
    "get_or_create of a member": members(
        lambda r, m, o: r.get_or_create(name="Gus", through_defaults={"dues": 3}),
    ),
}.items():
    case(_name, _query, writes=True, fewer=ONE, point=9)

for _name, _query in {
    "set": tags(lambda r, m, o, *given: r.set(given), others=(1, 3)),
    "set of keys": tags(lambda r, m, o: r.set([1, 3])),
    "set of all others": tags(lambda r, m, o: r.set([3, 4])),
    "set of nothing": tags(lambda r, m, o: r.set([])),
    "set of the same twice": tags(lambda r, m, o: r.set([3, 3, 1])),
    "set, cleared first": tags(lambda r, m, o: r.set([1, 3], clear=True)),
    "set of a queryset": tags(lambda r, m, o: r.set(m.Tag.objects.filter(uses=5))),
    "set backwards": entries(lambda r, m, o: r.set([1, 4])),
    "set friends": friends(lambda r, m, o: r.set([3, 5])),
    "set follows": follows(lambda r, m, o: r.set([2, 3])),
    "set followers": followers(lambda r, m, o, *given: r.set(given), others=(2, 7)),
    "set members": members(lambda r, m, o: r.set([1, 5])),
    "set members with columns": members(lambda r, m, o: r.set([1, 5], through_defaults={"dues": 8})),
    "set members, cleared first": members(lambda r, m, o: r.set([1, 5], clear=True, through_defaults={"dues": 8})),
    "set clubs": clubs(lambda r, m, o: r.set([2, 3])),
    "set topics": topics(lambda r, m, o, *given: r.set(given), others=(1, 4)),
    "set an unsaved instance": tags(lambda r, m, o: r.set([m.Tag(name="x")])),
    "set an instance of another model": tags(lambda r, m, o: r.set([m.Entry(id=1, title="x")])),
}.items():
    case(_name, _query, writes=True, fewer=SET, point=9)

for _name, _query in {
    "update_or_create updates": tags(lambda r, m, o: r.update_or_create(name="red", defaults={"note": "r"})),
    "update_or_create creates": tags(lambda r, m, o: r.update_or_create(name="new", defaults={"note": "r"})),
    "update_or_create of a row that is not paired": tags(lambda r, m, o: r.update_or_create(name="grey")),
}.items():
    case(_name, _query, writes=True, statements=CHECKED, point=9)

case("set of the same", tags(lambda r, m, o: r.set([1, 2])), writes=True, statements=WRITES, point=9)
case(
    "add a key that is nowhere",
    tags(lambda r, m, o: r.add(99)),
    writes=True,
    differs={"sqlite": DEFERRED, "postgresql": DEFERRED, "mysql": IGNORED},
    point=9,
)
case("a write shows at once", lambda m, o: _shows(m), writes=True, fewer=ONE, point=9)


def _shows(m):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.get(id=1)
    tag = yield m.Tag.objects.get(id=4)
    before = yield entry.tags.count()
    yield entry.tags.add(tag)
    after = yield entry.tags.count()
    yield tag.entries.remove(entry)
    return before, after, (yield entry.tags.count())
