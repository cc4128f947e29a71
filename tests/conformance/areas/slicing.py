"""Slices, indexes and limits."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("slicing")

for _low in (None, 0, 2, 9, 50):
    for _high in (None, 0, 2, 5, 50):
        case(
            f"[{_low}:{_high}]",
            lambda m, o, low=_low, high=_high: m.Entry.objects.order_by("id")[low:high],
            ordered=True,
            point=4,
        )

case("a slice of a slice", lambda m, o: m.Entry.objects.order_by("id")[2:8][1:3], ordered=True, point=4)
case("a slice past a slice", lambda m, o: m.Entry.objects.order_by("id")[2:4][1:30], ordered=True, point=4)
case("a slice beyond a slice", lambda m, o: m.Entry.objects.order_by("id")[2:4][5:], ordered=True, point=4)
case("an open slice of a slice", lambda m, o: m.Entry.objects.order_by("id")[2:][3:], ordered=True, point=4)
case("an index", lambda m, o: m.Entry.objects.order_by("id")[3], point=4)
case("an index of a slice", lambda m, o: m.Entry.objects.order_by("id")[2:5][1], point=4)
case("an index that is not there", lambda m, o: m.Entry.objects.order_by("id")[99], point=4)
case("a negative index", lambda m, o: m.Entry.objects.order_by("id")[-1], point=4)
case("a negative start", lambda m, o: m.Entry.objects.order_by("id")[-2:], point=4)
case("a negative end", lambda m, o: m.Entry.objects.order_by("id")[:-2], point=4)
case("an index that is no number", lambda m, o: m.Entry.objects.order_by("id")["a"], point=4)
case("filter after it", lambda m, o: m.Entry.objects.order_by("id")[:3].filter(rating=5), point=4)
case("exclude after it", lambda m, o: m.Entry.objects.order_by("id")[:3].exclude(rating=5), point=4)
case("order_by after it", lambda m, o: m.Entry.objects.order_by("id")[:3].order_by("-id"), point=4)
case("reverse after it", lambda m, o: m.Entry.objects.order_by("id")[:3].reverse(), point=4)
case("distinct after it", lambda m, o: m.Entry.objects.order_by("id")[:3].distinct(), point=4)
case("last after it", lambda m, o: m.Entry.objects.order_by("id")[:3].last(), point=4)
case("first after it", lambda m, o: m.Entry.objects.order_by("id")[2:3].first(), point=4)
case("update after it", lambda m, o: m.Entry.objects.order_by("id")[:3].update(rating=1), writes=True, point=4)
case("delete after it", lambda m, o: m.Entry.objects.order_by("id")[:3].delete(), writes=True, point=4)
case("get after it", lambda m, o: m.Entry.objects.order_by("id")[:1].get(), point=4)
case("get of several after it", lambda m, o: m.Entry.objects.order_by("id")[:2].get(), point=4)
case("in_bulk after it", lambda m, o: m.Entry.objects.order_by("id")[:2].in_bulk([1]), point=4)
case("count after it", lambda m, o: m.Entry.objects.order_by("id")[2:7].count(), point=4)
case("count beyond the end", lambda m, o: m.Entry.objects.order_by("id")[8:90].count(), point=4)
case("exists after it", lambda m, o: m.Entry.objects.order_by("id")[50:].exists(), point=4)
case("exists of an empty slice", lambda m, o: m.Entry.objects.order_by("id")[3:3].exists(), point=4)
case("aggregate after it", lambda m, o: m.Entry.objects.order_by("id")[:3].aggregate(n=o.Sum("rating")), point=4)
case("values after it", lambda m, o: m.Entry.objects.order_by("id")[:3].values("title"), ordered=True, point=4)
case("annotate after it", lambda m, o: m.Entry.objects.order_by("id")[:3].annotate(n=o.F("id")), point=4)
case(
    "in a slice",
    lambda m, o: m.Comment.objects.filter(entry__in=m.Entry.objects.order_by("-id")[:4]),
    point=4,
    differs={"mysql": "MySQL takes no LIMIT inside IN, and Django leaves it so; ours puts the slice a level deeper"},
)
case(
    "in a slice of distinct rows, ordered by something else",
    lambda m, o: m.Author.objects.filter(
        pk__in=m.Entry.objects.order_by("rating", "author").values("author").distinct()[:3]
    ),
    point=4,
)
case("in an empty slice", lambda m, o: m.Comment.objects.filter(entry__in=m.Entry.objects.order_by("id")[:0]), point=4)
case(
    "not in a slice",
    lambda m, o: m.Comment.objects.exclude(entry__in=m.Entry.objects.order_by("-id")[:4]),
    point=4,
    differs={"mysql": "MySQL takes no LIMIT inside IN, and Django leaves it so; ours puts the slice a level deeper"},
)
case(
    "a slice over many rows",
    lambda m, o: m.Blog.objects.filter(entries__id__gt=0).order_by("entries__id")[1:4],
    ordered=True,
)
case(
    "a slice of groups",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).order_by("-n", "id")[:2],
    ordered=True,
)
case(
    "steps",
    lambda m, o: _keys(m.Entry.objects.order_by("id"), 2),
    differs="a step would run the query at once",
    point=4,
)


def _keys(query, step):  # type: ignore[no-untyped-def]
    return query[::step]
