"""The managers of related rows: what they find, and what they write, over foreign keys backwards."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Area

case = Area("reverse managers")

SET = "Django asks first what is there, and then removes and adds in a statement each"
WRITES = "set() writes without asking first: a statement that removes, and one that adds"
CASCADE = "the database follows the relations itself; Django collects the rows first"
CHECKED = "Django's update_or_create selects, then saves; the number of statements is not promised"


def of(model: str, key: int, ask: Any) -> Any:
    """What is asked of one instance."""

    def run(m, o):  # type: ignore[no-untyped-def]
        instance = yield getattr(m, model).objects.get(id=key)
        return (yield ask(instance, m, o))

    return run


# Reading.
for _name, _ask, _ordered in (
    ("all", lambda b, m, o: b.entries.all(), False),
    ("filter", lambda b, m, o: b.entries.filter(rating__gte=3), False),
    ("filter by a Q", lambda b, m, o: b.entries.filter(o.Q(rating=5) | o.Q(rating=None)), False),
    ("filter, chained", lambda b, m, o: b.entries.filter(rating__gte=3).filter(title="Lennon"), False),
    ("exclude", lambda b, m, o: b.entries.exclude(rating=5), False),
    ("order_by", lambda b, m, o: b.entries.order_by("-id"), True),
    ("a slice", lambda b, m, o: b.entries.order_by("id")[1:3], True),
    ("count", lambda b, m, o: b.entries.count(), True),
    ("count of some", lambda b, m, o: b.entries.filter(rating=5).count(), True),
    ("exists", lambda b, m, o: b.entries.exists(), True),
    ("first", lambda b, m, o: b.entries.order_by("-id").first(), True),
    ("last", lambda b, m, o: b.entries.order_by("-id").last(), True),
    ("get", lambda b, m, o: b.entries.get(title="Other"), True),
    ("get of another's", lambda b, m, o: b.entries.get(id=5), True),
    ("get of several", lambda b, m, o: b.entries.get(featured=False), True),
    ("values", lambda b, m, o: b.entries.values("title", "blog__name"), False),
    ("values_list", lambda b, m, o: b.entries.values_list("title", flat=True), False),
    ("aggregate", lambda b, m, o: b.entries.aggregate(n=o.Count("id"), top=o.Max("rating")), True),
    ("annotate", lambda b, m, o: b.entries.annotate(n=o.Count("comments")).order_by("id"), True),
    ("annotate, filter", lambda b, m, o: b.entries.annotate(n=o.Count("comments")).filter(n__gt=0), False),
    ("none", lambda b, m, o: b.entries.none(), True),
    ("in_bulk", lambda b, m, o: b.entries.in_bulk([1, 2, 5]), True),
    ("only", lambda b, m, o: b.entries.only("title", "blog"), False),
    ("distinct", lambda b, m, o: b.entries.filter(comments__likes__gte=0).distinct(), False),
    ("over many rows", lambda b, m, o: b.entries.filter(comments__likes__gte=0), False),
    ("over many-to-many", lambda b, m, o: b.entries.filter(tags__uses__gte=1), False),
    ("exclude many-to-many", lambda b, m, o: b.entries.exclude(tags__name="green"), False),
    ("select_related", lambda b, m, o: b.entries.select_related("author").order_by("id"), True),
    ("there and back", lambda b, m, o: b.entries.filter(blog__entries__title="Other"), False),
    ("a manager's rows in a filter", lambda b, m, o: m.Comment.objects.filter(entry__in=b.entries.all()), False),
    ("its rows joined by |", lambda b, m, o: b.entries.filter(rating=5) | b.entries.filter(rating=3), False),
    ("a union", lambda b, m, o: b.entries.filter(rating=5).union(m.Entry.objects.filter(id=5)), False),
):
    case(_name, of("Blog", 1, _ask), ordered=_ordered)

case("all of one without", of("Blog", 4, lambda b, m, o: b.entries.all()))
case("count of one without", of("Blog", 4, lambda b, m, o: b.entries.count()))
case("exists of one without", of("Blog", 4, lambda b, m, o: b.entries.exists()))
case("to itself", of("Author", 1, lambda a, m, o: a.pupils.order_by("id")), ordered=True)
case("to itself, twice", of("Author", 1, lambda a, m, o: m.Author.objects.filter(mentor__in=a.pupils.all())))
case("by the name that is made up", of("Club", 1, lambda c, m, o: c.membership_set.order_by("id")), ordered=True)
case("over a field that is no primary key", of("Tag", 1, lambda t, m, o: t.remarks.order_by("id")), ordered=True)
case("of one of two ways", of("Author", 1, lambda a, m, o: a.invitations.order_by("id")), ordered=True)
case("of the other of two ways", of("Author", 2, lambda a, m, o: a.memberships.order_by("id")), ordered=True)
case(
    "iteration",
    of("Blog", 1, lambda b, m, o: _walked(b.entries.order_by("id"))),
    theirs=of("Blog", 1, lambda b, m, o: [entry.id for entry in b.entries.order_by("id").iterator()]),
    ordered=True,
)
case(
    "awaiting the manager itself",
    of("Blog", 1, lambda b, m, o: b.entries),
    theirs=of("Blog", 1, lambda b, m, o: b.entries.all()),
)
case("the reverse relation is the instance", lambda m, o: _reverse_relation(m))
case("asked twice", lambda m, o: _twice(m), ordered=True, writes=True)
case("of an unsaved instance", lambda m, o: m.Blog(name="x").entries.all(), point=6)
case("count of an unsaved instance", lambda m, o: m.Blog(name="x").entries.count(), point=6)
case("create of an unsaved instance", lambda m, o: m.Blog(name="x").entries.create(title="x"), writes=True, point=6)
case("an unknown name", of("Blog", 1, lambda b, m, o: b.entries.filter(nothing=1)), point=6)
case("assigned", lambda m, o: _assigned(m), point=6)


async def _walked(query):  # type: ignore[no-untyped-def]
    return [row.id async for row in query]


def _reverse_relation(m):  # type: ignore[no-untyped-def]
    blog = yield m.Blog.objects.get(id=1)
    entries = yield blog.entries.order_by("id")
    return [(entry.id, entry.blog is blog, entry.blog.name) for entry in entries]


def _twice(m):  # type: ignore[no-untyped-def]
    blog = yield m.Blog.objects.get(id=1)
    before = yield blog.entries.order_by("id")
    yield m.Entry.objects.filter(id=1).update(title="changed")
    return before, (yield blog.entries.order_by("id"))


def _assigned(m):  # type: ignore[no-untyped-def]
    blog = yield m.Blog.objects.get(id=1)
    blog.entries = []


# Writing.
def written(model: str, key: int, ask: Any, others: tuple[str, tuple[int, ...]], table: str, *columns: str) -> Any:
    """What a write through an instance's manager gives, and the table's rows afterwards.

    `others`: a model, and the keys of the instances that `ask` takes.
    """

    def run(m, o):  # type: ignore[no-untyped-def]
        instance = yield getattr(m, model).objects.get(id=key)
        answers = []
        for other in others[1]:
            answers.append((yield getattr(m, others[0]).objects.get(id=other)))
        result = yield ask(instance, m, o, *answers)
        return plain(result), (yield getattr(m, table).objects.order_by(*columns).values_list(*columns))

    return run


def plain(result: Any) -> Any:
    """A result without the keys that databases gave."""
    if isinstance(result, tuple):
        return tuple(plain(part) for part in result)
    for name in ("title", "name", "text"):
        if hasattr(result, name):
            return getattr(result, name)
    return result


def entries(ask: Any, key: int = 1, others: tuple[int, ...] = ()) -> Any:
    """A write through the entries of a blog, which all must have one."""
    return written("Blog", key, ask, ("Entry", others), "Entry", "title", "blog", "author", "rating")


def blogs(ask: Any, key: int = 1, others: tuple[int, ...] = ()) -> Any:
    """A write through the blogs of a person, of which some have none."""
    return written("Author", key, ask, ("Blog", others), "Blog", "id", "name", "owner")


def remarks(ask: Any, key: int = 1, others: tuple[int, ...] = ()) -> Any:
    """A write through the remarks of a tag, which point at its name."""
    return written("Tag", key, ask, ("Remark", others), "Remark", "text", "tag", "score")


def pupils(ask: Any, key: int = 1, others: tuple[int, ...] = ()) -> Any:
    """A write through a relation to itself."""
    return written("Author", key, ask, ("Author", others), "Author", "name", "mentor")


for _name, _query in {
    "create": entries(lambda b, m, o: b.entries.create(title="New", rating=2)),
    "create with the parent": entries(lambda b, m, o: b.entries.create(title="New", blog=b)),
    "create with another parent": entries(lambda b, m, o: b.entries.create(title="New", blog=m.Blog(id=2, name="x"))),
    "create after a filter": entries(lambda b, m, o: b.entries.filter(rating=5).create(title="New", blog=b)),
    "create over a field that is no key": remarks(lambda t, m, o: t.remarks.create(text="new")),
    "create to itself": pupils(lambda a, m, o: a.pupils.create(name="Gus"), 3),
    "create by the made-up name": written(
        *("Club", 3, lambda c, m, o: c.membership_set.create(author_id=1, dues=3), ("Club", ())),
        *("Membership", "club", "author", "inviter", "dues"),
    ),
    "create with an unknown field": entries(lambda b, m, o: b.entries.create(title="x", nothing=1)),
    "get_or_create gets": entries(lambda b, m, o: b.entries.get_or_create(title="Other")),
    "get_or_create creates": entries(lambda b, m, o: b.entries.get_or_create(title="Dylan")),
    "get_or_create with defaults": entries(
        lambda b, m, o: b.entries.get_or_create(title="New", defaults={"rating": 4})
    ),
    "get_or_create of several": entries(lambda b, m, o: b.entries.get_or_create(featured=False)),
    "get_or_create over a field that is no key": remarks(lambda t, m, o: t.remarks.get_or_create(text="warm")),
    "update": entries(lambda b, m, o: b.entries.update(rating=1)),
    "update of some": entries(lambda b, m, o: b.entries.filter(rating=5).update(rating=1)),
    "update to another parent": entries(lambda b, m, o: b.entries.filter(rating=5).update(blog=2)),
    "add": blogs(lambda a, m, o, *given: a.blogs.add(*given), others=(3, 4)),
    "add what is there": blogs(lambda a, m, o, *given: a.blogs.add(*given), others=(1,)),
    "add nothing": blogs(lambda a, m, o: a.blogs.add()),
    "add the same twice": blogs(lambda a, m, o, b: a.blogs.add(b, b), others=(3,)),
    "add where all must have one": entries(lambda b, m, o, *given: b.entries.add(*given), others=(3, 5)),
    "add over a field that is no key": remarks(lambda t, m, o, *given: t.remarks.add(*given), others=(3, 4)),
    "add to itself": pupils(lambda a, m, o, *given: a.pupils.add(*given), others=(5, 1)),
    "add an instance of another model": blogs(lambda a, m, o: a.blogs.add(m.Tag(id=1, name="red"))),
    "add the unsaved": blogs(lambda a, m, o: a.blogs.add(m.Blog(name="x"))),
    "add the unsaved, one by one": blogs(lambda a, m, o: a.blogs.add(m.Blog(name="x"), bulk=False)),
    "remove": blogs(lambda a, m, o, *given: a.blogs.remove(*given), others=(1,)),
    "remove two": blogs(lambda a, m, o, *given: a.blogs.remove(*given), others=(1, 5)),
    "remove another's": blogs(lambda a, m, o, *given: a.blogs.remove(*given), others=(2,)),
    "remove over a field that is no key": remarks(lambda t, m, o, *given: t.remarks.remove(*given), others=(1,)),
    "clear": blogs(lambda a, m, o: a.blogs.clear()),
    "clear one without": blogs(lambda a, m, o: a.blogs.clear(), 5),
    "clear over a field that is no key": remarks(lambda t, m, o: t.remarks.clear()),
    "clear to itself": pupils(lambda a, m, o: a.pupils.clear()),
}.items():
    case(_name, _query, writes=True, point=9 if "create" in _name else 7)

for _name, _query in {
    "set": blogs(lambda a, m, o, *given: a.blogs.set(given), others=(1, 3)),
    "set of all others": blogs(lambda a, m, o, *given: a.blogs.set(given), others=(2, 4)),
    "set of nothing": blogs(lambda a, m, o: a.blogs.set([])),
    "set, cleared first": blogs(lambda a, m, o, *given: a.blogs.set(given, clear=True), others=(1, 3)),
    "set of a queryset": blogs(lambda a, m, o: a.blogs.set(m.Blog.objects.filter(id__in=[1, 3]))),
    "set over a field that is no key": remarks(lambda t, m, o, *given: t.remarks.set(given), others=(1, 4)),
    "set to itself": pupils(lambda a, m, o, *given: a.pupils.set(given), others=(2, 7)),
    "set where all must have one": entries(lambda b, m, o, *given: b.entries.set(given), others=(1, 2, 9, 5)),
}.items():
    case(_name, _query, writes=True, fewer=SET, point=7)

for _name, _query in {
    "update_or_create updates": entries(
        lambda b, m, o: b.entries.update_or_create(title="Other", defaults={"rating": 1})
    ),
    "update_or_create creates": entries(
        lambda b, m, o: b.entries.update_or_create(title="Dylan", defaults={"rating": 1})
    ),
    "update_or_create with create_defaults": entries(
        lambda b, m, o: b.entries.update_or_create(title="New", defaults={"rating": 1}, create_defaults={"rating": 2})
    ),
}.items():
    case(_name, _query, writes=True, statements=CHECKED, point=9)

case(
    "set of the same",
    blogs(lambda a, m, o, *given: a.blogs.set(given), others=(1, 5)),
    writes=True,
    statements=WRITES,
    point=7,
)
case(
    "add a key",
    blogs(lambda a, m, o: a.blogs.add(3)),
    writes=True,
    differs="a key will do, as for many-to-many relations; Django wants an instance",
    point=7,
)
case("remove where all must have one", lambda m, o: _refused(m, "remove"), writes=True, point=6)
case("clear where all must have one", lambda m, o: _refused(m, "clear"), writes=True, point=6)
case("delete", lambda m, o: _deleted(m, o), writes=True, statements=CASCADE, point=7)
case("delete of some", lambda m, o: _deleted(m, o, rating=5), writes=True, statements=CASCADE, point=7)
case("created ones have their parent", lambda m, o: _created_parent(m), writes=True)
case("added ones have their parent", lambda m, o: _added_parent(m), writes=True)


def _refused(m, how):  # type: ignore[no-untyped-def]
    blog = yield m.Blog.objects.get(id=1)
    entry = yield m.Entry.objects.get(id=1)
    yield getattr(blog.entries, how)(*([entry] if how == "remove" else []))


def _deleted(m, o, **lookups):  # type: ignore[no-untyped-def]
    blog = yield m.Blog.objects.get(id=1)
    done = yield blog.entries.filter(**lookups).delete()
    return o.deleted(done, "Entry"), (yield m.Entry.objects.order_by("id").values_list("id", "blog"))


def _created_parent(m):  # type: ignore[no-untyped-def]
    blog = yield m.Blog.objects.get(id=1)
    entry = yield blog.entries.create(title="New")
    return entry.blog is blog, entry.blog_id


def _added_parent(m):  # type: ignore[no-untyped-def]
    author = yield m.Author.objects.get(id=1)
    blog = yield m.Blog.objects.get(id=3)
    yield author.blogs.add(blog)
    return blog.owner_id, (yield m.Blog.objects.get(id=3)).owner_id
