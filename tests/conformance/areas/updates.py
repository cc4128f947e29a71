"""update(), of rows found across relations too."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import MYSQL_ITSELF, Area

case = Area("updates")

ONE = "Django asks for the keys first on some databases; ours is one statement"
OWN_TABLE = {
    MYSQL_ITSELF: "MySQL updates no table that a subquery reads, and Django leaves it so; ours is a table of keys"
}


def updated(query: Any, **values: Any) -> Any:
    """How many entries the update of a query matched, and what all of them are then."""

    def run(m, o):  # type: ignore[no-untyped-def]
        assignments = {name: value(o) if callable(value) else value for name, value in values.items()}
        done = yield query(m, o).update(**assignments)
        return done, (yield m.Entry.objects.order_by("id").values_list("id", "title", "rating", "author_id"))

    return run


for _name, _query in {
    "all": lambda m, o: m.Entry.objects.all(),
    "by a column": lambda m, o: m.Entry.objects.filter(rating=5),
    "by a column that is NULL": lambda m, o: m.Entry.objects.filter(rating=None),
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
    "ordered": lambda m, o: m.Entry.objects.filter(rating=5).order_by("-id"),
    "in a queryset": lambda m, o: m.Entry.objects.filter(blog__in=m.Blog.objects.filter(owner=1)),
    "in a queryset of its own table": lambda m, o: m.Entry.objects.filter(id__in=m.Entry.objects.filter(rating=5)),
    "exists": lambda m, o: m.Entry.objects.filter(o.Exists(m.Comment.objects.filter(entry=o.OuterRef("pk"), likes=3))),
    "by an annotation": lambda m, o: m.Entry.objects.annotate(k=o.F("rating") + 1).filter(k=6),
    "chained over many rows": lambda m, o: m.Entry.objects.filter(comments__likes=3).filter(comments__text="good"),
    "distinct over many rows": lambda m, o: m.Entry.objects.filter(comments__likes__gte=0).distinct(),
}.items():
    _differs = OWN_TABLE if _name == "in a queryset of its own table" else {}
    case(_name, updated(_query, rating=9), writes=True, differs=_differs, statements=ONE, point=7)

case("to NULL", updated(lambda m, o: m.Entry.objects.filter(rating=5), rating=None), writes=True)
case("a relation", updated(lambda m, o: m.Entry.objects.filter(rating=5), author=2), writes=True)
case("a relation to NULL", updated(lambda m, o: m.Entry.objects.filter(rating=5), author=None), writes=True)
case("by its own column", updated(lambda m, o: m.Entry.objects.all(), rating=lambda o: o.F("rating") + 1), writes=True)
case("by another column", updated(lambda m, o: m.Entry.objects.all(), rating=lambda o: o.F("id") * 2), writes=True)
case(
    "two that swap",
    updated(lambda m, o: m.Entry.objects.filter(id__lt=3), rating=lambda o: o.F("id"), title="x"),
    writes=True,
)
case(
    "by arithmetic with None",
    updated(lambda m, o: m.Entry.objects.all(), rating=lambda o: o.F("id") + None),
    writes=True,
)
case("by a value", updated(lambda m, o: m.Entry.objects.filter(id=1), title=lambda o: o.Value("it's")), writes=True)
case("by a column across", updated(lambda m, o: m.Entry.objects.all(), title=lambda o: o.F("blog__name")), writes=True)
case(
    "by an annotation across",
    updated(lambda m, o: m.Entry.objects.annotate(k=o.F("blog__name")), title=lambda o: o.F("k")),
    writes=True,
)


def _raised(m, o):  # type: ignore[no-untyped-def]
    return m.Entry.objects.annotate(a=o.F("rating") + 1)


for _name, _query in {
    "an annotation of its column": lambda m, o: m.Entry.objects.annotate(k=o.F("rating") + 1),
    "an annotation of another": lambda m, o: _raised(m, o).annotate(k=o.F("a") * 2),
    "an annotation of some that replaced others": lambda m, o: (
        _raised(m, o).annotate(a=o.F("a") * 2).annotate(k=o.F("a") + 3).annotate(k=o.F("k") * o.F("a"))
    ),
    "an annotation of a subquery that reads another": lambda m, o: _raised(m, o).annotate(
        t=o.Subquery(m.Tag.objects.filter(id__lte=o.OuterRef("a")).order_by("-id").values("id")[:1]),
        k=o.Coalesce(o.F("t"), o.F("a")),
    ),
    "an annotation that filters the rows": lambda m, o: _raised(m, o).annotate(k=o.F("a") * 2).filter(k__gt=4),
}.items():
    case(f"by {_name}", updated(_query, rating=lambda o: o.F("k") + 1), writes=True)
case("by an aggregate", updated(lambda m, o: m.Entry.objects.all(), rating=lambda o: o.Count("comments")), writes=True)
for _name, _window in {
    "a window": lambda o: o.Window(o.Max("rating")),
    "arithmetic with a window": lambda o: o.Window(o.Max("rating")) + 1,
    "a function of a window": lambda o: o.Coalesce(o.Window(o.Max("rating"), partition_by="blog"), 0),
}.items():
    case(f"by {_name}", updated(lambda m, o: m.Entry.objects.all(), rating=_window), writes=True)
case("an unknown field", updated(lambda m, o: m.Entry.objects.all(), nothing=1), writes=True)
case("a field across", lambda m, o: m.Entry.objects.update(blog__name="x"), writes=True)
case("a reverse relation", lambda m, o: m.Blog.objects.update(entries=1), writes=True)
case("after values", lambda m, o: _after_values(m), writes=True)
case(
    "of groups of values",
    lambda m, o: m.Entry.objects.values("title").annotate(n=o.Count("id")).update(rating=1),
    writes=True,
    statements=ONE,
)
case(
    "NULL where there must be a value",
    lambda m, o: m.Entry.objects.update(title=None),
    writes=True,
    differs="a text field that may be blank takes None for empty text, as typesystem does",
)
case(
    "too long a text",
    lambda m, o: m.Entry.objects.filter(id=1).update(title="x" * 60),
    writes=True,
    differs="ours is validated first",
)
case("a key that is not there", lambda m, o: m.Tag.objects.filter(id=99).update(uses=1), writes=True)
case("a unique value twice", lambda m, o: m.Tag.objects.update(name="same"), writes=True)
case("the same value counts", lambda m, o: m.Tag.objects.filter(id=1).update(uses=1), writes=True, point=7)


def _after_values(m):  # type: ignore[no-untyped-def]
    done = yield m.Tag.objects.filter(id=1).values("name").update(uses=7)
    return done, (yield m.Tag.objects.order_by("id").values_list("id", "uses"))
