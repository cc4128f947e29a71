"""distinct(), of rows, of values, of ordered rows."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("distinct")

case("of values", lambda m, o: m.Entry.objects.values("title").distinct())
case("of two values", lambda m, o: m.Entry.objects.values("title", "rating").distinct())
case("of a list", lambda m, o: m.Entry.objects.values_list("rating", flat=True).distinct())
case("of rows with keys", lambda m, o: m.Entry.objects.distinct())
case("values after distinct", lambda m, o: m.Entry.objects.distinct().values("title"))
case(
    "ordered by what is selected",
    lambda m, o: m.Entry.objects.values("title").distinct().order_by("title"),
    ordered=True,
)
case("ordered by something else", lambda m, o: m.Entry.objects.values("title").distinct().order_by("id"), ordered=True)
case("ordered across", lambda m, o: m.Blog.objects.distinct().order_by("entries__title", "id"), ordered=True)
case("count", lambda m, o: m.Entry.objects.values("title").distinct().count())
case("count of two", lambda m, o: m.Entry.objects.values("title", "featured").distinct().count())
case(
    "count when ordered by something else",
    lambda m, o: m.Entry.objects.values("title").distinct().order_by("id").count(),
    differs="count() is how many rows there are; Django forgets what the rows are ordered by when it counts",
)
case("exists", lambda m, o: m.Entry.objects.values("title").distinct().exists())
case(
    "sliced",
    lambda m, o: m.Entry.objects.values_list("title", flat=True).distinct().order_by("title")[1:3],
    ordered=True,
)
case("aggregate", lambda m, o: m.Entry.objects.values("rating").distinct().aggregate(n=o.Sum("rating")))
case("across", lambda m, o: m.Blog.objects.values("entries__title").distinct())
case(
    "over many rows",
    lambda m, o: m.Blog.objects.filter(entries__rating__gte=1).distinct().order_by("id"),
    ordered=True,
    point=1,
)
case("of an annotation", lambda m, o: m.Entry.objects.annotate(n=o.F("rating") + 1).values("n").distinct())
case("twice", lambda m, o: m.Entry.objects.values("title").distinct().distinct())
case("delete after distinct on a field", lambda m, o: m.Entry.objects.distinct("title").delete(), writes=True)
case("on a field", lambda m, o: m.Entry.objects.order_by("title", "id").distinct("title"), ordered=True)
case(
    "on a field across", lambda m, o: m.Entry.objects.order_by("blog__name", "id").distinct("blog__name"), ordered=True
)
case("on an unknown field", lambda m, o: m.Entry.objects.distinct("nothing"))
