"""delete(), of rows found across relations too, and what hangs on them; and savepoints."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Area

case = Area("deletes")

CASCADE = "the database follows the relations itself; Django collects the rows first"


def deleted(query: Any, model: str = "Entry") -> Any:
    """How many rows of the model a delete matched, and which entries and comments there are then."""

    def run(m, o):  # type: ignore[no-untyped-def]
        done = yield query(m, o).delete()
        entries = yield m.Entry.objects.order_by("id").values_list("id", "blog_id", "author_id")
        comments = yield m.Comment.objects.order_by("id").values_list("id", "entry_id", "author_id")
        return o.deleted(done, model), entries, comments

    return run


for _name, _query in {
    "all": lambda m, o: m.Entry.objects.all(),
    "by a column": lambda m, o: m.Entry.objects.filter(rating=5),
    "by a column that is NULL": lambda m, o: m.Entry.objects.filter(rating__isnull=True),
    "excluded": lambda m, o: m.Entry.objects.exclude(rating=5),
    "of none": lambda m, o: m.Entry.objects.none(),
    "of none and some": lambda m, o: m.Entry.objects.none() & m.Entry.objects.filter(rating=5),
    "of some and none": lambda m, o: m.Entry.objects.filter(rating=5) & m.Entry.objects.none(),
    "of some or none": lambda m, o: m.Entry.objects.filter(rating=5) | m.Entry.objects.none(),
    "of an empty in": lambda m, o: m.Entry.objects.filter(id__in=[]),
    "across": lambda m, o: m.Entry.objects.filter(blog__name="Rock"),
    "across two": lambda m, o: m.Entry.objects.filter(blog__owner__name="Ann"),
    "backwards": lambda m, o: m.Entry.objects.filter(comments__likes__gte=3),
    "excluded backwards": lambda m, o: m.Entry.objects.exclude(comments__likes__gte=3),
    "excluded across": lambda m, o: m.Entry.objects.exclude(author__name="Ann"),
    "orphans": lambda m, o: m.Entry.objects.filter(author__name__isnull=True),
    "in a queryset": lambda m, o: m.Entry.objects.filter(blog__in=m.Blog.objects.filter(owner=1)),
    "in a queryset of its own table": lambda m, o: m.Entry.objects.filter(id__in=m.Entry.objects.filter(rating=5)),
    "by an annotation": lambda m, o: m.Entry.objects.annotate(k=o.F("rating") + 1).filter(k=6),
    "by itself": lambda m, o: m.Entry.objects.filter(blog__entries__rating=3),
}.items():
    case(_name, deleted(_query), writes=True, statements=CASCADE, point=7)

case(
    "parents take children along",
    deleted(lambda m, o: m.Blog.objects.filter(name="Rock"), "Blog"),
    writes=True,
    statements=CASCADE,
    point=7,
)
case(
    "parents leave NULL behind",
    deleted(lambda m, o: m.Author.objects.filter(name="Ann"), "Author"),
    writes=True,
    statements=CASCADE,
    point=7,
)
case("of a slice", deleted(lambda m, o: m.Entry.objects.order_by("id")[:1]), writes=True, point=4)
case("of values", lambda m, o: m.Entry.objects.values("title").delete(), writes=True)
case(
    "of distinct rows",
    deleted(lambda m, o: m.Entry.objects.filter(comments__likes=3).distinct()),
    writes=True,
    statements=CASCADE,
    point=7,
)
case("to itself", lambda m, o: _to_itself(m, o), writes=True, statements=CASCADE, point=7)


def _to_itself(m, o):  # type: ignore[no-untyped-def]
    done = yield m.Author.objects.filter(pupils__name="Cid").delete()
    return o.deleted(done, "Author"), (yield m.Author.objects.order_by("id").values_list("id", "mentor_id"))
