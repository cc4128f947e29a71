"""order_by, reverse, NULLs first and last, expressions."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("ordering")


def keys(query):  # type: ignore[no-untyped-def]
    """The keys of an ordered query."""
    return lambda m, o: query(m, o).values_list("id", flat=True)


for _name, _query in {
    "up": lambda m, o: m.Entry.objects.order_by("title", "id"),
    "down": lambda m, o: m.Entry.objects.order_by("-title", "id"),
    "NULLs up": lambda m, o: m.Entry.objects.order_by("rating", "id"),
    "NULLs down": lambda m, o: m.Entry.objects.order_by("-rating", "id"),
    "pk": lambda m, o: m.Entry.objects.order_by("-pk"),
    "the last call counts": lambda m, o: m.Entry.objects.order_by("title").order_by("-id"),
    "across": lambda m, o: m.Entry.objects.order_by("blog__name", "id"),
    "across two": lambda m, o: m.Entry.objects.order_by("blog__owner__name", "-id"),
    "by a relation": lambda m, o: m.Entry.objects.order_by("blog", "-id"),
    "by a relation, down": lambda m, o: m.Entry.objects.order_by("-author", "-id"),
    "by a raw key": lambda m, o: m.Entry.objects.order_by("blog_id", "-id"),
    "reverse": lambda m, o: m.Entry.objects.order_by("title", "id").reverse(),
    "reverse twice": lambda m, o: m.Entry.objects.order_by("title", "id").reverse().reverse(),
    "F": lambda m, o: m.Entry.objects.order_by(o.F("rating") + o.F("id"), "id"),
    "F down": lambda m, o: m.Entry.objects.order_by(o.F("rating").desc(), "id"),
    "F up": lambda m, o: m.Entry.objects.order_by(o.F("title").asc(), "id"),
    "nulls first": lambda m, o: m.Entry.objects.order_by(o.F("rating").asc(nulls_first=True), "id"),
    "nulls last": lambda m, o: m.Entry.objects.order_by(o.F("rating").asc(nulls_last=True), "id"),
    "down, nulls first": lambda m, o: m.Entry.objects.order_by(o.F("rating").desc(nulls_first=True), "id"),
    "down, nulls last": lambda m, o: m.Entry.objects.order_by(o.F("rating").desc(nulls_last=True), "id"),
    "nulls last, reversed": lambda m, o: m.Entry.objects.order_by(o.F("rating").asc(nulls_last=True), "id").reverse(),
    "an annotation": lambda m, o: m.Entry.objects.annotate(n=o.F("rating") * 2).order_by("-n", "id"),
    "an aggregate": lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).order_by("-n", "id"),
    "an aggregate itself": lambda m, o: m.Blog.objects.order_by(o.Count("entries").desc(), "id"),
    "a Case": lambda m, o: m.Entry.objects.order_by(
        o.Case(o.When(title="Dylan", then=o.Value(0)), default=o.Value(1)), "id"
    ),
    "a function": lambda m, o: m.Entry.objects.order_by(o.Lower("title"), "id"),
    "a function, down": lambda m, o: m.Entry.objects.order_by(o.Lower("title").desc(), "id"),
    "a subquery": lambda m, o: m.Blog.objects.order_by(
        o.Subquery(m.Entry.objects.filter(blog=o.OuterRef("pk")).order_by("-rating", "id").values("title")[:1]), "id"
    ),
    "after values": lambda m, o: m.Entry.objects.values("title").order_by("-id"),
    "an alias": lambda m, o: m.Entry.objects.alias(n=o.F("rating") * -1).order_by("n", "id"),
}.items():
    case(_name, keys(_query), ordered=True)

case(
    "with a plus sign",
    lambda m, o: m.Entry.objects.order_by("+title", "id"),
    differs="taken for ascending, as older Djangos took it",
)
case("no order", lambda m, o: m.Entry.objects.order_by("title").order_by())
case("first", lambda m, o: m.Entry.objects.order_by("-title", "-id").first())
case("first of nothing", lambda m, o: m.Entry.objects.filter(id=99).first())
case("first without an order", lambda m, o: m.Entry.objects.filter(title="Dylan").first())
case("last", lambda m, o: m.Entry.objects.order_by("title", "id").last())
case("last without an order", lambda m, o: m.Entry.objects.filter(title="Dylan").last())
case("earliest", lambda m, o: m.Entry.objects.filter(day__isnull=False).earliest("day", "id"))
case("latest", lambda m, o: m.Entry.objects.filter(day__isnull=False).latest("day", "id"))
case("latest of nothing", lambda m, o: m.Entry.objects.filter(id=99).latest("day"))
case("latest without a field", lambda m, o: m.Entry.objects.latest())
case("an unknown field", lambda m, o: m.Entry.objects.order_by("nothing"))
case("an unknown field across", lambda m, o: m.Entry.objects.order_by("blog__nothing"))
case("past a field", lambda m, o: m.Entry.objects.order_by("title__nothing"))

# Expressions over many rows, ordered by before and after the relation is joined.
for _name, _order in {
    "a function": lambda o: o.Lower("entries__title"),
    "a function, descending": lambda o: o.Upper("entries__title").desc(),
    "arithmetic": lambda o: (o.F("entries__id") * 2 - o.F("id")).desc(),
    "a column": lambda o: "-entries__id",
}.items():
    for _where, _rows in {
        "between two filters": lambda q, by: q.filter(entries__id__gt=1).order_by(*by).filter(entries__id__lt=9),
        "after two filters": lambda q, by: q.filter(entries__id__gt=1).filter(entries__id__lt=9).order_by(*by),
        "before a filter": lambda q, by: q.order_by(*by).filter(entries__id__lt=9),
    }.items():
        case(
            f"{_name} over many rows, {_where}",
            lambda m, o, order=_order, rows=_rows: rows(m.Blog.objects, [order(o), "id", "entries__id"]),
            ordered=True,
        )
