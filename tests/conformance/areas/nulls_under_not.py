"""NULL under a NOT: rows with NULL in a field are kept, and those of what is computed are not."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Area

case = Area("nulls under NOT")

# What is computed, and a value to compare it with.
COMPUTED: dict[str, tuple[Any, Any]] = {
    "a field": (lambda o: o.F("rating"), 4),
    "arithmetic": (lambda o: o.F("rating") + 0, 4),
    "arithmetic with two": (lambda o: o.F("rating") + o.F("id"), 8),
    "a function": (lambda o: o.Abs("rating"), 4),
    "a text function": (lambda o: o.Lower("author__name"), "ann"),
    "a field across": (lambda o: o.F("author__name"), "Ann"),
    "Coalesce": (lambda o: o.Coalesce("rating", "blog__owner__age"), 4),
    "a Case": (lambda o: o.Case(o.When(featured=True, then="rating")), 4),
    "a Case with a default": (lambda o: o.Case(o.When(featured=True, then="rating"), default=4), 4),
    "a Cast": (lambda o: o.Cast("rating", o.TextType()), "4"),
    "a part of a date": (lambda o: o.ExtractYear("day"), 2008),
    "a truncated date": (lambda o: o.ExtractMonth(o.TruncMonth("day")), 12),
    "NullIf": (lambda o: o.NullIf("rating", o.Value(5)), 4),
}
# How a condition (c) is negated.
NEGATED: dict[str, Any] = {
    "not": lambda o, c: ~c,
    "not, twice": lambda o, c: ~~c,
    "not not": lambda o, c: ~(~c & o.Q(id__gt=0)),
    "not, with another": lambda o, c: ~(c & o.Q(id__gt=2)),
    "not, or another": lambda o, c: ~(c | o.Q(id__gt=8)),
    "and not": lambda o, c: o.Q(id__gt=2) & ~c,
    "or not": lambda o, c: o.Q(id__gt=8) | ~c,
}
for _name, (_make, _value) in COMPUTED.items():
    for _how, _negate in NEGATED.items():
        case(
            f"an annotation of {_name}, {_how}",
            lambda m, o, make=_make, v=_value, n=_negate: (
                m.Entry.objects.annotate(k=make(o)).filter(n(o, o.Q(k=v))).order_by("id").values_list("id", flat=True)
            ),
            ordered=True,
        )
        if "field" not in _name:
            case(
                f"{_name}, {_how}",
                lambda m, o, make=_make, v=_value, n=_negate: (
                    m.Entry.objects.filter(n(o, o.equal(make(o), v))).order_by("id").values_list("id", flat=True)
                ),
                ordered=True,
            )
    case(
        f"excluded, an annotation of {_name}",
        lambda m, o, make=_make, v=_value: (
            m.Entry.objects.annotate(k=make(o)).exclude(k=v).order_by("id").values_list("id", flat=True)
        ),
        ordered=True,
    )

# Fields, whatever follows their name.
for _name, _lookup in {
    "equal": {"rating": 4},
    "greater": {"rating__gt": 3},
    "in": {"rating__in": [4, 5]},
    "range": {"rating__range": (2, 4)},
    "across": {"author__name": "Ann"},
    "across two": {"author__country__name": "Sweden"},
    "text": {"author__name__contains": "n"},
    "a year": {"day__year": 2008},
    "a later year": {"day__year__gt": 2008},
    "a month": {"day__month": 12},
    "a month in": {"day__month__in": [1, 12]},
    "a part across": {"author__joined__year": 2020},
    "a decimal": {"price": 2},
}.items():
    for _how, _negate in NEGATED.items():
        case(
            f"a field, {_name}, {_how}",
            lambda m, o, look=_lookup, n=_negate: (
                m.Entry.objects.filter(n(o, o.Q(**look))).order_by("id").values_list("id", flat=True)
            ),
            ordered=True,
        )

# The other side.
for _name, _other in {
    "a field": lambda o: o.F("rating"),
    "a field across": lambda o: o.F("author__age"),
    "arithmetic": lambda o: o.F("rating") + 1,
    "a function": lambda o: o.Abs("rating"),
    "a Case": lambda o: o.Case(o.When(featured=True, then="rating")),
    "a part of a date": lambda o: o.F("day__month"),
}.items():
    for _left in ("id", "rating", "author__age", "k"):
        case(
            f"{_left} compared with {_name}",
            lambda m, o, left=_left, other=_other: (
                m.Entry.objects.annotate(k=o.F("rating") * 1)
                .exclude(**{f"{left}__gte": other(o)})
                .order_by("id")
                .values_list("id", flat=True)
            ),
            ordered=True,
        )
for _name, _query in {
    "in a query": lambda m, o: o.Q(rating__in=m.Entry.objects.filter(featured=True).values("rating")),
    "a query": lambda m, o: o.Q(rating=m.Entry.objects.filter(id=1).values("rating")[:1]),
    "a query of NULL": lambda m, o: o.Q(rating=m.Entry.objects.filter(id=3).values("rating")[:1]),
    "an annotation in a query": lambda m, o: o.Q(k__in=m.Entry.objects.filter(featured=True).values("rating")),
}.items():
    case(
        f"not, {_name}",
        lambda m, o, q=_query: (
            m.Entry.objects.annotate(k=o.F("rating")).filter(~q(m, o)).order_by("id").values_list("id", flat=True)
        ),
        ordered=True,
    )
for _name, _q in {
    "a key of a key": lambda o: o.Q(data__a__b=1),
    "a document": lambda o: o.Q(data={"a": 1}),
    "a key that is null": lambda o: o.Q(data__a=None),
    "a key that is there": lambda o: o.Q(data__has_key="a"),
}.items():
    case(f"JSON, not, {_name}", lambda m, o, q=_q: m.Sample.objects.filter(~q(o)).order_by("id").values_list("id"))
    case(
        f"JSON, not not, {_name}",
        lambda m, o, q=_q: m.Sample.objects.filter(~(~q(o) & o.Q(id__gt=0))).order_by("id").values_list("id"),
    )
# Aggregates, whose NULL is that of no rows.
for _how, _negate in NEGATED.items():
    case(
        f"an aggregate, {_how}",
        lambda m, o, n=_negate: (
            m.Blog.objects.annotate(k=o.Max("entries__rating")).filter(n(o, o.Q(k=5))).order_by("id").values_list("id")
        ),
        ordered=True,
    )

# SQL's NOT of a field, or of an annotation, is NULL where that is, both as a value and as a condition.
FALSE_ON_MYSQL = {"mysql": "on MySQL Django's negation of NULL is false; ours is NULL everywhere"}
NEGATED_VALUES: dict[str, Any] = {
    "a field": lambda o: ~o.F("boolean"),
    "a field, twice": lambda o: ~~o.F("boolean"),
    "an annotation": lambda o: ~o.F("large"),
}


def samples(m: Any, o: Any) -> Any:
    """The samples with a condition as an annotation, in their order."""
    return m.Sample.objects.annotate(large=o.Q(integer__gt=0)).order_by("id")


for _name, _negation in NEGATED_VALUES.items():
    _differs = {} if _name == "a field, twice" else FALSE_ON_MYSQL
    for _place, _value in {
        "as a value": lambda o, n: n(o),
        "as the result of a Case": lambda o, n: o.Case(o.When(id__gt=1, then=n(o)), default=n(o)),
        "inside a function": lambda o, n: o.Coalesce(n(o), o.Value(True)),
    }.items():
        case(
            f"the negation of {_name} {_place}",
            lambda m, o, n=_negation, v=_value: samples(m, o).annotate(x=v(o, n)).values_list("id", "x"),
            ordered=True,
            differs=_differs,
        )
    case(
        f"rows ordered by the negation of {_name}",
        lambda m, o, n=_negation: samples(m, o).annotate(x=n(o)).order_by("x", "id").values_list("id", flat=True),
        ordered=True,
        differs=_differs,
    )
    case(
        f"groups of the negation of {_name}",
        lambda m, o, n=_negation: (
            samples(m, o).annotate(x=n(o)).order_by().values("x").annotate(n=o.Count("id")).order_by("n", "x")
        ),
        ordered=True,
        differs=_differs,
    )
for _name in ("a field", "an annotation"):
    _negation = NEGATED_VALUES[_name]
    case(
        f"the negation of {_name} as the condition of a Case",
        lambda m, o, n=_negation: (
            samples(m, o).annotate(x=o.Case(o.When(n(o), then=o.Value(1)), default=o.Value(2))).values_list("id", "x")
        ),
        ordered=True,
    )
    case(
        f"the negation of {_name} as the filter of an aggregate",
        lambda m, o, n=_negation: samples(m, o).aggregate(n=o.Count("id", filter=n(o))),
    )
    for _method in ("filter", "exclude"):
        for _place, _condition in {
            "": lambda o, n: n(o),
            " and a lookup": lambda o, n: o.Q(id__gt=1) & o.Q(n(o)),
            " or a lookup, in a NOT": lambda o, n: ~(o.Q(id=1) | o.Q(n(o))),
            " as the value of a lookup": lambda o, n: o.Q(boolean=n(o)),
        }.items():
            _differs = {} if "value" in _place or ("NOT" in _place) == (_method == "exclude") else FALSE_ON_MYSQL
            case(
                f"{_method} by the negation of {_name}{_place}",
                lambda m, o, n=_negation, c=_condition, method=_method: getattr(samples(m, o), method)(c(o, n)),
                ordered=True,
                differs={} if _method == "filter" and "NOT" not in _place else _differs,
            )
case(
    "the negation of a field of a related row",
    lambda m, o: m.Comment.objects.annotate(x=~o.F("author__active")).order_by("id").values_list("id", "x"),
    ordered=True,
    differs=FALSE_ON_MYSQL,
)
case(
    "filter by the negation of a field of a related row",
    lambda m, o: m.Comment.objects.filter(~o.F("author__active")).order_by("id"),
    ordered=True,
)
case(
    "filter by the negation of a field of many related rows",
    lambda m, o: m.Blog.objects.filter(~o.F("entries__featured")).order_by("id").values_list("id", flat=True),
    ordered=True,
)


def negated_in_place(m: Any, o: Any) -> Any:
    """What is left of a field with NULLs that is updated to its own negation."""
    yield m.Sample.objects.update(boolean=~o.F("boolean"))
    return (yield m.Sample.objects.order_by("id").values_list("id", "boolean"))


case(
    "update of a field with NULLs to its negation", negated_in_place, writes=True, ordered=True, differs=FALSE_ON_MYSQL
)
