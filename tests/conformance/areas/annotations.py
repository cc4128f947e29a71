"""annotate() and alias() without aggregates, and how annotations meet the rest."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("annotations")

case("a field", lambda m, o: m.Entry.objects.annotate(n=o.F("title")).order_by("id"), ordered=True)
case("across", lambda m, o: m.Entry.objects.annotate(n=o.F("blog__owner__name")).order_by("id"), ordered=True)
case(
    "backwards multiplies",
    lambda m, o: m.Blog.objects.annotate(n=o.F("entries__title")).order_by("id", "entries__id"),
    ordered=True,
    point=1,
)
case("two at once", lambda m, o: m.Entry.objects.annotate(a=o.F("id"), b=o.F("rating")).order_by("id"), ordered=True)
case(
    "one of another",
    lambda m, o: m.Entry.objects.annotate(a=o.F("id") + 1).annotate(b=o.F("a") + 1).order_by("id"),
    ordered=True,
)
case("filter", lambda m, o: m.Entry.objects.annotate(n=o.F("blog__name")).filter(n="Rock"))
case(
    "filter with a lookup",
    lambda m, o: m.Entry.objects.annotate(n=o.F("blog__name")).filter(n__icontains="oc", n__startswith="Ro"),
    differs={"sqlite": "SQLite's LIKE, which Django uses, ignores the case of ASCII letters; we do not"},
)
case("filter isnull", lambda m, o: m.Entry.objects.annotate(n=o.F("author__name")).filter(n__isnull=True))
case("exclude", lambda m, o: m.Entry.objects.annotate(n=o.F("rating") + 1).exclude(n=6))
case("count", lambda m, o: m.Entry.objects.annotate(n=o.F("rating") + 1).filter(n=6).count())
case("count of what is multiplied", lambda m, o: m.Blog.objects.annotate(n=o.F("entries__title")).count(), point=1)
case("exists", lambda m, o: m.Entry.objects.annotate(n=o.F("rating") + 1).filter(n=6).exists())
case("alias is not selected", lambda m, o: m.Entry.objects.alias(n=o.F("rating") + 1).filter(n=6))
case(
    "alias, then annotate",
    lambda m, o: m.Entry.objects.alias(n=o.F("rating") + 1).annotate(k=o.F("n") * 2).order_by("id"),
    ordered=True,
)
case(
    "alias of an aggregate",
    lambda m, o: m.Blog.objects.alias(n=o.Count("entries")).filter(n=2).order_by("id"),
    ordered=True,
)
case(
    "an unused alias of an aggregate",
    lambda m, o: m.Blog.objects.alias(n=o.Count("entries", filter=o.Q(entries__rating=5))).order_by("id"),
    ordered=True,
)
case("an alias in values", lambda m, o: m.Entry.objects.alias(n=o.F("id")).values("n"))
case("a name that is a field", lambda m, o: m.Entry.objects.annotate(title=o.F("id")))
case("a name that is a relation", lambda m, o: m.Blog.objects.annotate(entries=o.F("id")))
case("a name with a space", lambda m, o: m.Entry.objects.annotate(**{"a b": o.F("id")}))
case("a name with a quote", lambda m, o: m.Entry.objects.annotate(**{'a"b': o.F("id")}))
case("a name with a comment", lambda m, o: m.Entry.objects.annotate(**{"a--b": o.F("id")}))
case(
    "only with an annotation",
    lambda m, o: m.Entry.objects.annotate(n=o.F("id")).only("title").order_by("id"),
    ordered=True,
)
case("select_related with an annotation", lambda m, o: _related(m, o))
case("get", lambda m, o: m.Entry.objects.annotate(n=o.F("id") + 1).get(n=3))
case("first", lambda m, o: m.Entry.objects.annotate(n=o.F("id") + 1).order_by("-n").first())
case("in_bulk", lambda m, o: m.Entry.objects.annotate(n=o.F("id") + 1).in_bulk([1, 2]))
case("distinct", lambda m, o: m.Blog.objects.annotate(n=o.F("entries__title")).distinct().order_by("id"), point=1)
case("without a name", lambda m, o: m.Entry.objects.annotate(o.F("id")))
case("an unknown field", lambda m, o: m.Entry.objects.annotate(n=o.F("nothing")))


def _related(m, o):  # type: ignore[no-untyped-def]
    rows = yield m.Entry.objects.select_related("blog").annotate(n=o.F("blog__owner__name")).order_by("id")
    return [(row.id, row.blog.name, row.n) for row in rows]
