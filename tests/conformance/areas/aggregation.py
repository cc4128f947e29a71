"""Aggregates: over all rows, over groups, filtered, distinct, multiplied, in HAVING."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("aggregation")

FOUR_DIGITS = "the mean of integers has four digits there, which Django leaves so; ours has a float's everywhere"

for _function in ("Count", "Sum", "Avg", "Min", "Max"):
    for _field in ("integer", "float", "decimal", "small", "big"):
        if _function in ("Sum", "Avg") and _field == "big":
            continue
        case(
            f"{_function} of {_field}",
            lambda m, o, f=_function, c=_field: m.Sample.objects.aggregate(n=getattr(o, f)(c)),
        )
for _field in ("text", "date", "time", "moment", "duration"):
    for _function in ("Count", "Min", "Max"):
        if _field == "text" and _function != "Count":
            continue
        case(
            f"{_function} of {_field}",
            lambda m, o, f=_function, c=_field: m.Sample.objects.aggregate(n=getattr(o, f)(c)),
        )
for _function in ("StdDev", "Variance"):
    for _sample in (False, True):
        case(
            f"{_function}, sample={_sample}",
            lambda m, o, f=_function, s=_sample: m.Entry.objects.aggregate(n=getattr(o, f)("rating", sample=s)),
            differs={"sqlite": "Django's own function for SQLite fails where there is a NULL", "mariadb": FOUR_DIGITS},
        )
        case(
            f"{_function}, sample={_sample}, without NULL",
            lambda m, o, f=_function, s=_sample: m.Entry.objects.aggregate(n=getattr(o, f)("id", sample=s)),
            differs={} if (_function, _sample) == ("Variance", False) else {"mariadb": FOUR_DIGITS},
        )

case("sum of durations", lambda m, o: m.Sample.objects.aggregate(n=o.Sum("duration")))
case("mean of durations", lambda m, o: m.Sample.objects.aggregate(n=o.Avg("duration")))
case(
    "default names",
    lambda m, o: m.Entry.objects.aggregate(o.Count("id"), o.Sum("rating"), o.Avg("blog__owner__age")),
    differs={"mysql": FOUR_DIGITS},
)
case("count of rows", lambda m, o: m.Entry.objects.aggregate(n=o.Count("*")))
case("count of distinct", lambda m, o: m.Entry.objects.aggregate(n=o.Count("title", distinct=True)))
case("sum of distinct", lambda m, o: m.Entry.objects.aggregate(n=o.Sum("rating", distinct=True)))
case("mean of distinct", lambda m, o: m.Entry.objects.aggregate(n=o.Avg("rating", distinct=True)))
case(
    "distinct count of rows",
    lambda m, o: m.Entry.objects.aggregate(n=o.Count("*", distinct=True)),
    differs="refused before it reaches the database: Count(*) of distinct rows",
)
case("filtered", lambda m, o: m.Entry.objects.aggregate(n=o.Count("id", filter=o.Q(featured=True))))
case(
    "filtered count of rows",
    lambda m, o: m.Entry.objects.aggregate(n=o.Count("*", filter=o.Q(featured=True))),
    differs="Django refuses it; the rows that meet the condition are counted",
)
case("filtered across", lambda m, o: m.Entry.objects.aggregate(n=o.Sum("rating", filter=o.Q(blog__owner__name="Ann"))))
case("filtered to nothing", lambda m, o: m.Entry.objects.aggregate(n=o.Sum("rating", filter=o.Q(id=99))))
case("filtered by nothing", lambda m, o: m.Entry.objects.aggregate(n=o.Sum("rating", filter=o.Q(id__in=[]))))
case("with a default", lambda m, o: m.Entry.objects.aggregate(n=o.Sum("rating", filter=o.Q(id=99), default=0)))
case("of no rows", lambda m, o: m.Entry.objects.filter(id=99).aggregate(n=o.Sum("rating"), c=o.Count("id")))
case("of none", lambda m, o: m.Entry.objects.none().aggregate(n=o.Sum("rating"), c=o.Count("id")))
case("of none with a default", lambda m, o: m.Entry.objects.none().aggregate(n=o.Sum("rating", default=3)))
case("of an empty in", lambda m, o: m.Entry.objects.filter(id__in=[]).aggregate(n=o.Max("rating"), c=o.Count("*")))
case("of arithmetic", lambda m, o: m.Entry.objects.aggregate(n=o.Sum(o.F("rating") * 2)))
case("arithmetic on aggregates", lambda m, o: m.Entry.objects.aggregate(n=o.Sum("rating") + o.Count("id")))
case("across", lambda m, o: m.Entry.objects.aggregate(n=o.Sum("blog__owner__age")))
case("backwards", lambda m, o: m.Blog.objects.aggregate(n=o.Sum("entries__rating")))
case("two relations multiply", lambda m, o: m.Author.objects.aggregate(a=o.Count("entries"), b=o.Count("comments")))
case("after a filter", lambda m, o: m.Entry.objects.filter(rating__gte=3).aggregate(n=o.Count("id")))
case("after a filter over many", lambda m, o: m.Blog.objects.filter(entries__rating__gte=1).aggregate(n=o.Count("id")))
case(
    "distinct after a filter over many",
    lambda m, o: m.Blog.objects.filter(entries__rating__gte=1).distinct().aggregate(n=o.Count("id")),
)
case("no aggregate", lambda m, o: m.Entry.objects.aggregate(n=o.F("id")))
case("without arguments", lambda m, o: m.Entry.objects.aggregate())
case("of an unknown field", lambda m, o: m.Entry.objects.aggregate(n=o.Sum("nothing")))
case(
    "of an aggregate",
    lambda m, o: m.Blog.objects.aggregate(n=o.Sum(o.Count("entries"))),
    differs="refused before it reaches the database: an aggregate of an aggregate",
)
case("of an annotation", lambda m, o: m.Entry.objects.annotate(k=o.F("rating") * 2).aggregate(n=o.Sum("k")))
case(
    "of an annotated aggregate",
    lambda m, o: m.Blog.objects.annotate(k=o.Count("entries")).aggregate(n=o.Sum("k"), a=o.Avg("k")),
    differs={"mysql": FOUR_DIGITS},
)
case(
    "beside an annotated aggregate",
    lambda m, o: m.Blog.objects.annotate(k=o.Count("entries")).aggregate(n=o.Count("id")),
)
case("of values", lambda m, o: m.Entry.objects.values("title").aggregate(n=o.Count("id")))
case("of values over many", lambda m, o: m.Blog.objects.values("entries__title").aggregate(n=o.Count("id")))
case("of groups", lambda m, o: m.Entry.objects.values("title").annotate(k=o.Count("id")).aggregate(n=o.Max("k")))

# Groups.
case(
    "count of children",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).order_by("id"),
    ordered=True,
    point=8,
)
case("default alias", lambda m, o: m.Blog.objects.annotate(o.Count("entries")).order_by("id"), ordered=True)
case("sum of children", lambda m, o: m.Blog.objects.annotate(n=o.Sum("entries__rating")).order_by("id"), ordered=True)
case("mean of children", lambda m, o: m.Blog.objects.annotate(n=o.Avg("entries__rating")).order_by("id"), ordered=True)
case("greatest of children", lambda m, o: m.Blog.objects.annotate(n=o.Max("entries__day")).order_by("id"), ordered=True)
case(
    "two relations multiply, in groups",
    lambda m, o: m.Author.objects.annotate(a=o.Count("entries"), b=o.Count("comments")).order_by("id"),
    ordered=True,
    point=1,
)
case(
    "two relations, distinct",
    lambda m, o: m.Author.objects.annotate(
        a=o.Count("entries", distinct=True), b=o.Count("comments", distinct=True)
    ).order_by("id"),
    ordered=True,
)
case(
    "two steps back", lambda m, o: m.Blog.objects.annotate(n=o.Count("entries__comments")).order_by("id"), ordered=True
)
case(
    "filtered aggregate",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries", filter=o.Q(entries__rating__gte=4))).order_by("id"),
    ordered=True,
)
case(
    "aggregate with a default",
    lambda m, o: m.Blog.objects.annotate(n=o.Sum("entries__rating", default=0)).order_by("id"),
    ordered=True,
)
case(
    "filter, then annotate",
    lambda m, o: m.Blog.objects.filter(entries__rating__gte=4).annotate(n=o.Count("entries")).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "annotate, then filter",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).filter(entries__rating__gte=4).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "exclude, then annotate",
    lambda m, o: m.Blog.objects.exclude(entries__rating=5).annotate(n=o.Count("entries")).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "having",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).filter(n__gte=2).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "having OR where",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).filter(o.Q(n__gte=3) | o.Q(name="Pop")).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "having AND where",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).filter(o.Q(n__gte=2) & o.Q(name="Pop")).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "not having",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).filter(~o.Q(n__gte=2)).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "having against a column",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).filter(n__gt=o.F("id")).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "having against an aggregate",
    lambda m, o: (
        m.Blog.objects.annotate(n=o.Count("entries"), k=o.Count("entries__rating"))
        .filter(n__gt=o.F("k"))
        .order_by("id")
    ),
    ordered=True,
    point=8,
)
case(
    "having over many rows or",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).filter(o.Q(n=1) | o.Q(entries__rating=5)).order_by("id"),
    point=8,
)
case(
    "having isnull",
    lambda m, o: m.Blog.objects.annotate(n=o.Max("entries__rating")).filter(n__isnull=True).order_by("id"),
    ordered=True,
    point=8,
)
case("having, counted", lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).filter(n__gte=2).count(), point=8)
case("having, exists", lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).filter(n__gte=99).exists(), point=8)
case(
    "having, then values",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).filter(n__gte=2).values("name"),
    point=8,
)
case(
    "having in a subquery",
    lambda m, o: m.Entry.objects.filter(blog__in=m.Blog.objects.annotate(n=o.Count("entries")).filter(n__gte=3)),
    point=8,
)
case(
    "groups of a value",
    lambda m, o: m.Entry.objects.values("title").annotate(n=o.Count("id")).order_by("title"),
    ordered=True,
    point=8,
)
case(
    "groups of two values",
    lambda m, o: m.Entry.objects.values("title", "featured").annotate(n=o.Count("id")).order_by("title", "featured"),
    ordered=True,
    point=8,
)
case(
    "groups of a value across",
    lambda m, o: m.Entry.objects.values("blog__name").annotate(n=o.Count("id")).order_by("blog__name"),
    ordered=True,
    point=8,
)
case(
    "groups of a NULL",
    lambda m, o: m.Entry.objects.values("rating").annotate(n=o.Count("id")).order_by("n", "rating"),
    point=8,
)
case(
    "groups, filtered before",
    lambda m, o: m.Entry.objects.filter(featured=True).values("title").annotate(n=o.Count("id")),
    point=8,
)
case(
    "groups, filtered after",
    lambda m, o: m.Entry.objects.values("title").annotate(n=o.Count("id")).filter(n__gt=1),
    point=8,
)
case(
    "groups, both",
    lambda m, o: m.Entry.objects.filter(rating__gte=1).values("title").annotate(n=o.Count("id")).filter(n__gt=1),
    point=8,
)
case(
    "groups of an annotation",
    lambda m, o: m.Entry.objects.annotate(k=o.F("rating") % 2).values("k").annotate(n=o.Count("id")).order_by("n"),
    point=8,
)
case(
    "values after annotate do not group",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).values("name", "n").order_by("name", "n"),
    ordered=True,
    point=8,
)
case(
    "groups as a list",
    lambda m, o: m.Entry.objects.values_list("title").annotate(n=o.Count("id")).order_by("title"),
    ordered=True,
    point=8,
)
case(
    "groups ordered by something else",
    lambda m, o: m.Entry.objects.values("title").annotate(n=o.Count("id")).order_by("rating"),
    point=8,
)
case("groups, counted", lambda m, o: m.Entry.objects.values("title").annotate(n=o.Count("id")).count(), point=8)
case(
    "groups, sliced",
    lambda m, o: m.Entry.objects.values("title").annotate(n=o.Count("id")).order_by("-n", "title")[:2],
    ordered=True,
    point=8,
)
case(
    "groups, two aggregates",
    lambda m, o: (
        m.Entry.objects.values("blog").annotate(n=o.Count("id"), s=o.Sum("price"), t=o.Max("day")).order_by("blog")
    ),
    ordered=True,
    point=8,
)
case(
    "groups over many rows",
    lambda m, o: m.Blog.objects.values("entries__title").annotate(n=o.Count("id")).order_by("n"),
    point=8,
)
case(
    "two annotate calls",
    lambda m, o: (
        m.Entry.objects.values("title").annotate(n=o.Count("id")).annotate(s=o.Sum("rating")).order_by("title")
    ),
    ordered=True,
    point=8,
)
case(
    "arithmetic on aggregates, in groups",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries") * 2 + 1).order_by("id"),
    ordered=True,
)
case(
    "an annotation of an aggregate's name",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).annotate(k=o.F("n") + 1).order_by("id"),
    ordered=True,
)
case("an aggregate of an aggregate", lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).annotate(k=o.Sum("n")))
case(
    "a filter on an aggregate in WHERE",
    lambda m, o: m.Blog.objects.filter(id__lt=o.Count("entries")),
    differs="refused before it reaches the database: annotate() it first",
)
case(
    "parents' groups",
    lambda m, o: m.Entry.objects.values("blog__owner__country__name").annotate(n=o.Count("id")),
    point=8,
)
case(
    "aggregate of a Case",
    lambda m, o: m.Blog.objects.annotate(
        n=o.Sum(o.Case(o.When(entries__rating__gte=4, then=o.Value(1)), default=o.Value(0)))
    ).order_by("id"),
    ordered=True,
)
case(
    "self relation",
    lambda m, o: m.Author.objects.annotate(n=o.Count("pupils"), top=o.Max("pupils__age")).order_by("id"),
    ordered=True,
)
case("with select_related", lambda m, o: _related(m, o))
case("delete over a group", lambda m, o: _deleted(m, o), writes=True, statements="ours is one statement", point=7)
case("update over a group", lambda m, o: _updated(m, o), writes=True, statements="ours is one statement", point=7)


def _related(m, o):  # type: ignore[no-untyped-def]
    rows = yield m.Entry.objects.select_related("blog").annotate(n=o.Count("comments")).order_by("id")
    return [(row.id, row.blog.name, row.n) for row in rows]


def _deleted(m, o):  # type: ignore[no-untyped-def]
    done = yield m.Entry.objects.annotate(n=o.Count("comments")).filter(n=0).delete()
    return o.deleted(done, "Entry"), (yield m.Entry.objects.order_by("id").values_list("id", flat=True))


def _updated(m, o):  # type: ignore[no-untyped-def]
    done = yield m.Entry.objects.annotate(n=o.Count("comments")).filter(n=0).update(rating=9)
    return done, (yield m.Entry.objects.order_by("id").values_list("id", "rating"))


# Aggregates of one aggregate() refer to those before them.
for _name, _aggregates in {
    "Coalesce": lambda o: {"n": o.Count("comments"), "m": o.Coalesce("n", 0)},
    "arithmetic": lambda o: {"n": o.Sum("rating"), "m": o.F("n") * 2, "k": o.F("m") + o.F("n")},
    "arithmetic with an aggregate": lambda o: {"n": o.Sum("rating"), "m": o.F("n") + o.Count("id")},
    "Case": lambda o: {"n": o.Sum("rating"), "m": o.Case(o.When(n__gt=5, then=1), default=0)},
    "an aggregate of it": lambda o: {"n": o.Sum("rating"), "m": o.Max("n")},
    "the wrong order": lambda o: {"m": o.F("n") + 1, "n": o.Sum("rating")},
}.items():
    for _what, _queryset in {
        "all": lambda m, o: m.Entry.objects.all(),
        "none": lambda m, o: m.Entry.objects.none(),
        "no row": lambda m, o: m.Entry.objects.filter(rating=99),
        "a slice": lambda m, o: m.Entry.objects.order_by("id")[:3],
        "groups": lambda m, o: m.Entry.objects.annotate(tags_=o.Count("tags")),
    }.items():
        if (_name, _what) == ("Coalesce", "none"):
            continue  # Django knows the value without a statement.
        case(
            f"a reference to an aggregate, {_name}, over {_what}",
            lambda m, o, queryset=_queryset, aggregates=_aggregates: queryset(m, o).aggregate(**aggregates(o)),
        )
# An aggregate that refers to the ones before it.
for _name, _more in {
    "Coalesce": lambda o: {"k": o.Coalesce("n", 0)},
    "arithmetic": lambda o: {"k": o.F("n") * 2 + o.F("n")},
    "two": lambda o: {"t": o.Sum("rating", filter=o.Q(id__gt=2)), "k": o.F("t") + o.F("n")},
}.items():
    case(
        f"an aggregate of another, {_name}",
        lambda m, o, more=_more: m.Entry.objects.aggregate(n=o.Count("id", filter=o.Q(rating__gt=3)), **more(o)),
    )
