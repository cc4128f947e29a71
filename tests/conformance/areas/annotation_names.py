"""What the name of an annotation means later: default names, names that replace others, names of values()."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("annotation names")

# Default names, which contain two underscores.
for _name, _filter in {
    "gt": {"entries__count__gt": 1},
    "equal": {"entries__count": 2},
    "in": {"entries__count__in": [1, 2]},
    "isnull": {"entries__count__isnull": False},
    "of its field": {"entries__rating__max": 5},
    "of its field, gte": {"entries__rating__max__gte": 4},
}.items():
    case(
        f"a default name, {_name}",
        lambda m, o, f=_filter: m.Blog.objects.annotate(o.Count("entries"), o.Max("entries__rating")).filter(**f),
    )
case(
    "a default name excluded",
    lambda m, o: m.Blog.objects.annotate(o.Count("entries")).exclude(entries__count__gt=1),
)
case(
    "a default name in an OR",
    lambda m, o: m.Blog.objects.annotate(o.Count("entries")).filter(o.Q(entries__count__gt=1) | o.Q(name="Empty")),
)
case(
    "a default name in F",
    lambda m, o: m.Blog.objects.annotate(o.Count("entries")).annotate(n=o.F("entries__count") + 1).order_by("id"),
    ordered=True,
)
case(
    "a default name compared with F",
    lambda m, o: m.Blog.objects.annotate(o.Count("entries")).filter(id=o.F("entries__count")),
)
case(
    "a default name in order_by",
    lambda m, o: m.Blog.objects.annotate(o.Count("entries")).order_by("-entries__count", "id"),
    ordered=True,
)
case(
    "a default name in values",
    lambda m, o: m.Blog.objects.annotate(o.Count("entries")).order_by("id").values("name", "entries__count"),
    ordered=True,
)
case(
    "a default name aggregated",
    lambda m, o: m.Blog.objects.annotate(o.Count("entries")).aggregate(o.Sum("entries__count")),
)
case(
    "a default name of the model's own field",
    lambda m, o: m.Entry.objects.values("blog").annotate(o.Sum("rating")).filter(rating__sum__gt=5).order_by("blog"),
    ordered=True,
)
case(
    "a default name and a transform",
    lambda m, o: m.Blog.objects.annotate(o.Max("entries__day")).filter(entries__day__max__year=2008),
)
case(
    "ordered by a transform of an annotation",
    lambda m, o: m.Entry.objects.annotate(d=o.F("day")).filter(day__isnull=False).order_by("-d__year", "id"),
    ordered=True,
)

# Names that replace others.
case(
    "replaced by itself and one",
    lambda m, o: m.Entry.objects.annotate(a=o.F("rating")).annotate(a=o.F("a") + 1).order_by("id"),
    ordered=True,
)
case(
    "replaced twice",
    lambda m, o: (
        m.Entry.objects.annotate(a=o.F("id")).annotate(a=o.F("a") + 1).annotate(a=o.F("a") * 10).order_by("id")
    ),
    ordered=True,
)
case(
    "replaced by a function of itself",
    lambda m, o: m.Tag.objects.annotate(a=o.Lower("name")).annotate(a=o.Upper("a")).order_by("a"),
    ordered=True,
)
case(
    "replaced by another",
    lambda m, o: m.Tag.objects.annotate(a=o.F("id")).annotate(a=o.F("name")).order_by("a"),
    ordered=True,
)
case(
    "replaced, filtered before and after",
    lambda m, o: m.Entry.objects.annotate(a=o.F("id")).filter(a__gt=3).annotate(a=o.F("id") * 2).filter(a__lt=16),
)
case(
    "replaced, ordered before",
    lambda m, o: m.Tag.objects.annotate(a=o.F("name")).order_by("a").annotate(a=o.F("id")),
    ordered=True,
)
case(
    "replaced, another annotation of the first",
    lambda m, o: (
        m.Entry.objects.annotate(a=o.F("id")).annotate(b=o.F("a") + 1).annotate(a=o.F("b") * 2).order_by("id").values()
    ),
    ordered=True,
)
case(
    "an alias replaced by an annotation",
    lambda m, o: m.Entry.objects.alias(a=o.F("id")).annotate(a=o.F("a") + 1).order_by("id"),
    ordered=True,
)
case(
    "an annotation replaced by an alias",
    lambda m, o: m.Tag.objects.annotate(a=o.F("id")).alias(a=o.F("a") + 1).filter(a__gt=3),
)
case(
    "an aggregate replaced by itself and one",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).annotate(n=o.F("n") + 1).order_by("id"),
    ordered=True,
)
case(
    "a replaced aggregate in HAVING",
    lambda m, o: (
        m.Blog.objects.annotate(n=o.Count("entries")).filter(n__gt=1).annotate(n=o.F("n") * 10).filter(n__lt=25)
    ),
)
case(
    "replaced, then aggregated",
    lambda m, o: m.Entry.objects.annotate(a=o.F("id")).annotate(a=o.F("a") * 2).aggregate(s=o.Sum("a")),
)
case(
    "replaced, counted",
    lambda m, o: m.Entry.objects.annotate(a=o.F("id")).annotate(a=o.F("a") * 2).filter(a__gt=9).count(),
)
case(
    "replaced, its place in values_list",
    lambda m, o: (
        m.Tag.objects.annotate(a=o.F("id"), b=o.F("name")).annotate(a=o.F("a") + 1).order_by("id").values_list()
    ),
    ordered=True,
)

# Names of fields that values() left out.
case(
    "the name of a field that values() left out",
    lambda m, o: m.Entry.objects.values("title").annotate(rating=o.Count("id")).order_by("title"),
    ordered=True,
)
case(
    "the name of a field that values() left out, filtered",
    lambda m, o: m.Entry.objects.values("title").annotate(rating=o.Count("id")).filter(rating__gt=1).order_by("title"),
    ordered=True,
)
