"""Window functions."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Area

case = Area("windows")


def windowed(make: Any) -> Any:
    """The entries with the expression, by key."""
    return lambda m, o: m.Entry.objects.annotate(k=make(o)).order_by("id").values_list("id", "k")


SUMS = {"mysql": "MySQL's sum is a decimal, which Django leaves so; ours is a whole number, as on other databases"}

for _name, _make in {
    "RowNumber": lambda o: o.Window(o.RowNumber(), order_by="id"),
    "RowNumber down": lambda o: o.Window(o.RowNumber(), order_by="-id"),
    "RowNumber in partitions": lambda o: o.Window(o.RowNumber(), partition_by="blog", order_by="id"),
    "RowNumber by two": lambda o: o.Window(o.RowNumber(), partition_by=["blog", "featured"], order_by=["title", "id"]),
    "Rank": lambda o: o.Window(o.Rank(), order_by="title"),
    "DenseRank": lambda o: o.Window(o.DenseRank(), order_by="title"),
    "PercentRank": lambda o: o.Window(o.PercentRank(), order_by="title"),
    "CumeDist": lambda o: o.Window(o.CumeDist(), order_by="title"),
    "Ntile": lambda o: o.Window(o.Ntile(3), order_by="id"),
    "Lag": lambda o: o.Window(o.Lag("title"), order_by="id"),
    "Lag by two": lambda o: o.Window(o.Lag("id", offset=2), order_by="id"),
    "Lead": lambda o: o.Window(o.Lead("title"), partition_by="blog", order_by="id"),
    "FirstValue": lambda o: o.Window(o.FirstValue("title"), partition_by="blog", order_by="id"),
    "LastValue": lambda o: o.Window(o.LastValue("title"), partition_by="blog", order_by="id"),
    "NthValue": lambda o: o.Window(o.NthValue("title", 2), partition_by="blog", order_by="id"),
    "Sum": lambda o: o.Window(o.Sum("rating"), partition_by="blog"),
    "a running Sum": lambda o: o.Window(o.Sum("rating"), order_by="id"),
    "Count": lambda o: o.Window(o.Count("id"), partition_by="title"),
    "Avg": lambda o: o.Window(o.Avg("rating"), partition_by="title"),
    "a frame of rows": lambda o: o.Window(o.Sum("rating"), order_by="id", frame=o.RowRange(start=-1, end=1)),
    "a frame from the start": lambda o: o.Window(o.Sum("id"), order_by="id", frame=o.RowRange(start=None, end=0)),
    "an order across": lambda o: o.Window(o.RowNumber(), order_by=["blog__name", "id"]),
    "an order by an expression": lambda o: o.Window(o.RowNumber(), order_by=[o.F("title").desc(), "id"]),
}.items():
    case(_name, windowed(_make), ordered=True, differs=SUMS if _name == "a frame from the start" else "")

_first = lambda o: o.Window(o.RowNumber(), partition_by="blog", order_by="id")  # noqa: E731
case("filtered", lambda m, o: m.Entry.objects.annotate(k=_first(o)).filter(k=1).order_by("id"), ordered=True)
case(
    "filtered beside a column",
    lambda m, o: m.Entry.objects.annotate(k=_first(o)).filter(k=1, rating__gte=4).order_by("id"),
    ordered=True,
)
case("filtered, counted", lambda m, o: m.Entry.objects.annotate(k=_first(o)).filter(k=1).count())
case("excluded", lambda m, o: m.Entry.objects.annotate(k=_first(o)).exclude(k=1).order_by("id"), ordered=True)
case(
    "filtered after a filter",
    lambda m, o: m.Entry.objects.filter(rating__gte=3).annotate(k=_first(o)).filter(k=1).order_by("id"),
    ordered=True,
)
# MariaDB forgets the order of such rows.
case(
    "over groups",
    lambda m, o: (
        m.Blog.objects.annotate(n=o.Count("entries"))
        .annotate(k=o.Window(o.Rank(), order_by="-n"))
        .order_by("id")
        .values_list("id", "n", "k")
    ),
)
case(
    "ordered by",
    lambda m, o: (
        m.Entry.objects.annotate(k=o.Window(o.RowNumber(), order_by="-id")).order_by("k").values_list("id", flat=True)
    ),
    ordered=True,
)
case("aggregated", lambda m, o: m.Entry.objects.annotate(k=_first(o)).aggregate(n=o.Max("k")))
case("aggregated, by a name", lambda m, o: m.Entry.objects.annotate(k=_first(o)).aggregate(n=o.Count("k")))

NO_DEFAULT = {"mariadb": "LAG() and LEAD() know no default on MariaDB, where Django sends it one; ours is a CASE there"}
for _name, _make in {
    "Lag with a default": lambda o: o.Window(o.Lag("id", default=-1), order_by="id"),
    "Lag of NULLs with a default": lambda o: o.Window(o.Lag("rating", default=-1), order_by="id"),
    "Lag by two in partitions": lambda o: o.Window(
        o.Lag("rating", offset=2, default=-1), partition_by="blog", order_by="id"
    ),
    "Lead with a default": lambda o: o.Window(o.Lead("title", default=o.Value("-")), order_by="-id"),
    "Lead of NULLs with a default": lambda o: o.Window(
        o.Lead("rating", default=o.F("id")), partition_by="featured", order_by="id"
    ),
    "Lead down": lambda o: o.Window(o.Lead("rating", offset=3, default=0), order_by=["-title", "id"]),
}.items():
    case(_name, windowed(_make), ordered=True, differs=NO_DEFAULT)
case(
    "Lag with a default, filtered",
    lambda m, o: m.Entry.objects.annotate(
        k=o.Window(o.Lag("rating", default=-1), partition_by="blog", order_by="id")
    ).filter(k=-1),
    differs=NO_DEFAULT,
)
for _exclusion in ("CURRENT_ROW", "GROUP", "TIES", "NO_OTHERS"):
    case(
        f"a frame without {_exclusion}",
        windowed(
            lambda o, exclusion=_exclusion: o.Window(
                o.Sum("rating"),
                order_by="title",
                frame=o.RowRange(start=-3, end=2, exclusion=o.WindowFrameExclusion[exclusion]),
            )
        ),
        ordered=True,
    )
case(
    "a frame of values without its row",
    windowed(
        lambda o: o.Window(
            o.Count("id"),
            order_by="title",
            frame=o.ValueRange(start=None, end=0, exclusion=o.WindowFrameExclusion.CURRENT_ROW),
        )
    ),
    ordered=True,
)
for _start, _end in ((4, -3), (1, 0), (0, -1), (3, 2)):
    case(
        f"a frame from {_start} to {_end}",
        lambda m, o, start=_start, end=_end: m.Entry.objects.annotate(
            k=o.Window(o.Sum("rating"), order_by="id", frame=o.RowRange(start=start, end=end))
        ),
    )
case(
    "an exclusion that is none",
    lambda m, o: m.Entry.objects.annotate(
        k=o.Window(o.Sum("rating"), order_by="id", frame=o.RowRange(exclusion="TIES"))
    ),
)


def _numbered(m, o, *fields, per):  # type: ignore[no-untyped-def]
    """Django's way to the first of each."""
    place = o.Window(o.RowNumber(), partition_by=per, order_by=fields)
    return m.Entry.objects.alias(place=place).order_by(*fields)


case(
    "limit per",
    lambda m, o: m.Entry.objects.order_by("-id").limit(2, per="blog"),
    theirs=lambda m, o: _numbered(m, o, "-id", per="blog").filter(place__lte=2),
    ordered=True,
    point=10,
)
case(
    "limit per, across and in another order",
    lambda m, o: (
        m.Entry.objects.order_by("-rating", "id").limit(1, per=["blog__owner", "featured"]).order_by("title", "id")
    ),
    theirs=lambda m, o: (
        _numbered(m, o, "-rating", "id", per=["blog__owner", "featured"]).filter(place__lte=1).order_by("title", "id")
    ),
    ordered=True,
    point=10,
)
case(
    "limit per, filtered",
    lambda m, o: m.Entry.objects.order_by("id").limit(1, per="blog").filter(rating__gt=3),
    theirs=lambda m, o: _numbered(m, o, "id", per="blog").filter(place__lte=1).filter(rating__gt=3),
    point=10,
)
case(
    "limit per, counted",
    lambda m, o: m.Entry.objects.order_by("id").limit(2, per="title").count(),
    theirs=lambda m, o: _numbered(m, o, "id", per="title").filter(place__lte=2).count(),
    point=10,
)
case(
    "limit per, in another query",
    lambda m, o: m.Comment.objects.filter(entry__in=m.Entry.objects.order_by("id").limit(1, per="blog")),
    theirs=lambda m, o: m.Comment.objects.filter(entry__in=_numbered(m, o, "id", per="blog").filter(place=1)),
    point=10,
)

# Window functions in conditions, without a name of their own.
for _name, _rows in {
    "compared with a value": lambda m, o: m.Entry.objects.filter(o.equal(_first(o), 1)),
    "excluded": lambda m, o: m.Entry.objects.exclude(o.equal(_first(o), 1)),
    "a function of it compared": lambda m, o: m.Entry.objects.filter(o.equal(o.Coalesce(_first(o), 0) + 1, 3)),
    "one of two": lambda m, o: m.Entry.objects.filter(
        o.equal(_first(o), 1) | o.equal(o.Window(o.RowNumber(), order_by=[o.F("title").desc(), "id"]), 3)
    ),
    "beside two negated conditions over many rows": lambda m, o: m.Blog.objects.annotate(
        k=o.Window(o.RowNumber(), order_by="id")
    ).filter(o.Q(k=9) | ~o.Q(entries__title="Lennon") | ~o.Q(entries__title="Dylan"), k__gt=1),
    "a field equal to it": lambda m, o: m.Entry.objects.filter(id=o.Window(o.RowNumber(), order_by="id")),
    "a field greater than it": lambda m, o: m.Entry.objects.filter(
        id__gt=o.Window(o.RowNumber(), order_by=["title", "id"])
    ),
    "a function of it": lambda m, o: m.Entry.objects.filter(rating=o.Coalesce(_first(o), 0) + 3),
    "two of them": lambda m, o: m.Entry.objects.filter(
        id__gte=o.Window(o.RowNumber(), order_by=["title", "id"]),
        rating__gt=o.Window(o.RowNumber(), partition_by="blog", order_by="-id") + 1,
    ),
    "beside a condition on a row, in an OR": lambda m, o: m.Entry.objects.annotate(k=_first(o)).filter(
        o.Q(k=2) | o.Q(title="Lennon")
    ),
    "beside a negated condition over many rows, in an OR": lambda m, o: m.Blog.objects.annotate(
        k=o.Window(o.RowNumber(), order_by="id")
    ).filter(o.Q(k=1) | ~o.Q(entries__title="Lennon")),
    "beside a condition over many rows, in an OR": lambda m, o: m.Blog.objects.annotate(
        k=o.Window(o.RowNumber(), order_by="name")
    ).filter(o.Q(k=1) | o.Q(owner__name="Ann")),
    "beside a condition on a row, by OR in exclude()": lambda m, o: m.Entry.objects.annotate(k=_first(o)).exclude(
        o.Q(k=1) | o.Q(title="Lennon")
    ),
    "beside a condition on a row, by AND in exclude()": lambda m, o: m.Entry.objects.annotate(k=_first(o)).exclude(
        o.Q(k=1) & o.Q(title="Lennon")
    ),
    "beside a condition on a row, by OR in a NOT": lambda m, o: m.Entry.objects.annotate(k=_first(o)).filter(
        ~(o.Q(k=1) | o.Q(title="Lennon"))
    ),
    "beside a condition on a row, by AND in a NOT": lambda m, o: m.Entry.objects.annotate(k=_first(o)).filter(
        ~(o.Q(k=1) & o.Q(title="Lennon"))
    ),
    "beside a condition on a row, by OR in a NOT of a NOT": lambda m, o: m.Entry.objects.annotate(k=_first(o)).exclude(
        ~(o.Q(k=1) | o.Q(title="Lennon"))
    ),
    "beside a condition on a row, by AND in a NOT of a NOT": lambda m, o: m.Entry.objects.annotate(k=_first(o)).exclude(
        ~(o.Q(k=1) & o.Q(title="Lennon"))
    ),
    "among no values, beside a condition on a row": lambda m, o: m.Entry.objects.annotate(k=_first(o)).filter(
        o.Q(k__in=[]) | o.Q(rating__gt=2)
    ),
    "among no values, by XOR": lambda m, o: m.Entry.objects.annotate(k=_first(o)).filter(
        o.Q(k__in=[]) ^ o.Q(rating__gt=2)
    ),
    "beside a column among no values": lambda m, o: m.Entry.objects.annotate(k=_first(o)).filter(
        (o.Q(k=1) & o.Q(blog__name__in=[])) | o.Q(rating=None)
    ),
    "compared with another column": lambda m, o: m.Entry.objects.annotate(k=_first(o)).filter(rating__gt=o.F("k") + 1),
    "one compared with another": lambda m, o: m.Entry.objects.annotate(
        k=_first(o), l=o.Window(o.RowNumber(), order_by="-id")
    ).filter(l__gt=o.F("k") + 4),
}.items():
    case(f"in a filter, {_name}", lambda m, o, r=_rows: r(m, o).order_by("id"), ordered=True)
    case(f"in a filter, {_name}, counted", lambda m, o, r=_rows: r(m, o).count())
case(
    "in a filter, an aggregate beside it",
    lambda m, o: m.Author.objects.annotate(
        k=o.Window(o.RowNumber(), partition_by="active", order_by="-id"), n=o.Count("entries")
    ).filter(o.Q(k=1) | o.Q(n__gte=2)),
)
case(
    "in a filter, ordered by another",
    lambda m, o: (
        m.Entry.objects.annotate(k=_first(o)).filter(k=1).order_by(o.Window(o.RowNumber(), order_by="-title"), "id")
    ),
)
case(
    "in a NOT, beside a condition over a relation that may be null",
    lambda m, o: m.Comment.objects.annotate(k=o.Window(o.DenseRank(), partition_by="text", order_by="-id")).exclude(
        o.Q(k=None) | ~o.Q(author__country__name__isnull=False)
    ),
    differs="Django joins by an INNER JOIN for a condition that it asks after the window, which then misses rows",
)
