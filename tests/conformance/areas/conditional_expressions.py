"""Case and When."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Area

case = Area("conditional expressions")


def annotated(make: Any) -> Any:
    """The entries with the expression, by key."""
    return lambda m, o: m.Entry.objects.annotate(k=make(o)).order_by("id").values_list("id", "k")


for _name, _make in {
    "one branch": lambda o: o.Case(o.When(rating=5, then=o.Value("top")), default=o.Value("other")),
    "without a default": lambda o: o.Case(o.When(rating=5, then=o.Value("top"))),
    "the first branch that holds": lambda o: o.Case(
        o.When(rating__gte=4, then=o.Value("a")), o.When(rating__gte=1, then=o.Value("b")), default=o.Value("c")
    ),
    "a Q": lambda o: o.Case(o.When(o.Q(rating=5) | o.Q(title="Dylan"), then=o.Value(1)), default=o.Value(0)),
    "a not Q": lambda o: o.Case(o.When(~o.Q(rating=5), then=o.Value(1)), default=o.Value(0)),
    "two conditions": lambda o: o.Case(o.When(rating=5, featured=True, then=o.Value(1)), default=o.Value(0)),
    "a column as outcome": lambda o: o.Case(o.When(rating=5, then=o.F("title")), default=o.Value("-")),
    "a column as default": lambda o: o.Case(o.When(rating=5, then=o.Value("x")), default=o.F("title")),
    "arithmetic": lambda o: o.Case(o.When(featured=True, then=o.F("rating") + 1), default=o.Value(0)),
    "across": lambda o: o.Case(o.When(blog__owner__name="Ann", then=o.Value(1)), default=o.Value(0)),
    "isnull across": lambda o: o.Case(o.When(author__isnull=True, then=o.Value("no one")), default=o.F("author__name")),
    "nested": lambda o: o.Case(
        o.When(rating=5, then=o.Case(o.When(featured=True, then=o.Value("a")), default=o.Value("b"))),
        default=o.Value("c"),
    ),
    "NULL as outcome": lambda o: o.Case(o.When(rating=5, then=o.Value(None)), default=o.F("rating")),
    "an empty in": lambda o: o.Case(o.When(rating__in=[], then=o.Value(1)), default=o.Value(0)),
    "not an empty in": lambda o: o.Case(o.When(~o.Q(rating__in=[]), then=o.Value(1)), default=o.Value(0)),
    "booleans": lambda o: o.Case(o.When(rating=5, then=o.Value(True)), default=o.Value(False)),
    "decimals": lambda o: o.Case(
        o.When(rating=5, then=o.F("price")), default=o.Value(0, output_field=o.decimal_type())
    ),
}.items():
    case(_name, annotated(_make), ordered=True)

_top = lambda o: o.Case(o.When(rating=5, then=o.Value(2)), default=o.Value(1))  # noqa: E731
case("filtered by", lambda m, o: m.Entry.objects.annotate(k=_top(o)).filter(k=2))
case("in a filter", lambda m, o: m.Entry.objects.filter(id__gt=_top(o) * 4))
case(
    "grouped by",
    lambda m, o: m.Entry.objects.annotate(k=_top(o)).values("k").annotate(n=o.Count("id")).order_by("k"),
    ordered=True,
    point=8,
)
case("aggregated", lambda m, o: m.Entry.objects.aggregate(n=o.Sum(_top(o))))
case(
    "on an aggregate",
    lambda m, o: (
        m.Blog.objects.annotate(n=o.Count("entries"))
        .annotate(k=o.Case(o.When(n__gte=2, then=o.Value("many")), default=o.Value("few")))
        .order_by("id")
        .values_list("id", "k")
    ),
    ordered=True,
)
case("in update", lambda m, o: _updated(m, o), writes=True)
case("a When without a condition", lambda m, o: m.Entry.objects.annotate(k=o.Case(o.When(then=o.Value(1)))))
case("of an unknown field", lambda m, o: m.Entry.objects.annotate(k=o.Case(o.When(nothing=1, then=o.Value(1)))))
case(
    "outcomes of two types",
    lambda m, o: m.Entry.objects.annotate(k=o.Case(o.When(rating=5, then=o.Value("x")), default=o.F("id"))),
)

_is_top = lambda o: o.Case(o.When(rating__gte=4, then=o.Value(True)), default=o.Value(False))  # noqa: E731
_perhaps = lambda o: o.Case(  # noqa: E731
    o.When(rating__gte=4, then=o.Value(True)), o.When(rating__lt=3, then=o.Value(False))
)
for _name, _make in {
    "Case": _is_top,
    "Case with a NULL": _perhaps,
    "ExpressionWrapper": lambda o: o.ExpressionWrapper(o.Q(rating__gt=3), output_field=o.BooleanType()),
    "Func": lambda o: o.Func("featured", o.Value(False), function="COALESCE", output_field=o.BooleanType()),
    "Coalesce": lambda o: o.Coalesce(_perhaps(o), o.Value(True)),
    "Case across": lambda o: o.Case(o.When(blog__owner__name="Ann", then=True), default=False),
    "Case on a subquery": lambda o: o.Case(o.When(_perhaps(o), then=o.Value(True)), default=o.Value(False)),
}.items():
    case(f"{_name} is the condition", lambda m, o, make=_make: m.Entry.objects.filter(make(o)))
    case(f"{_name} is excluded", lambda m, o, make=_make: m.Entry.objects.exclude(make(o)), point=2)
    case(f"{_name} in a Q", lambda m, o, make=_make: m.Entry.objects.filter(o.Q(make(o)) | o.Q(id=3)))
    case(f"{_name} in a negated Q", lambda m, o, make=_make: m.Entry.objects.filter(~o.Q(make(o)), id__gt=2), point=2)
    case(f"{_name} & Q", lambda m, o, make=_make: m.Entry.objects.filter(make(o) & o.Q(featured=True)))
    case(f"Q | {_name}", lambda m, o, make=_make: m.Entry.objects.filter(o.Q(id=3) | make(o)))
case(
    "a condition on groups",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).filter(
        o.Case(o.When(n__gt=1, then=o.Value(True)), default=o.Value(False))
    ),
)
case("a number is no condition", lambda m, o: m.Entry.objects.filter(_top(o)))
case("a text is no condition", lambda m, o: m.Entry.objects.filter(o.Upper("title")))
case("a When is no condition", lambda m, o: m.Entry.objects.filter(o.When(rating=5, then=o.Value(True))))
case(
    "a column is a condition",
    lambda m, o: m.Entry.objects.filter(o.F("featured")),
    differs="Django refuses F() as a condition by itself",
)
case("a column of numbers is none", lambda m, o: m.Entry.objects.filter(o.F("rating")))


def _updated(m, o):  # type: ignore[no-untyped-def]
    done = yield m.Entry.objects.update(rating=o.Case(o.When(rating=5, then=o.Value(6)), default=o.F("rating")))
    return done, (yield m.Entry.objects.order_by("id").values_list("id", "rating"))


# In an expression, a negated condition over a relation to many rows is about the row that is joined, not about all rows
# of the relation as in filter().
_NEGATED = {
    "a column": lambda m, o: ~o.Q(entries__rating=5),
    "a column that is not null": lambda m, o: ~o.Q(entries__title="Dylan"),
    "a comparison": lambda m, o: ~o.Q(entries__rating__gte=4),
    "a list": lambda m, o: ~o.Q(entries__rating__in=[4, 5]),
    "a queryset": lambda m, o: ~o.Q(entries__in=m.Entry.objects.filter(rating=5)),
    "a queryset of a column": lambda m, o: ~o.Q(entries__title__in=m.Entry.objects.filter(rating=5).values("title")),
    "a key": lambda m, o: ~o.Q(entries=1),
    "a relation": lambda m, o: ~o.Q(entries__blog=1),
    "across": lambda m, o: ~o.Q(entries__blog__name="Rock"),
    "None": lambda m, o: ~o.Q(entries__rating=None),
    "isnull": lambda m, o: ~o.Q(entries__rating__isnull=True),
    "not isnull": lambda m, o: ~o.Q(entries__rating__isnull=False),
    "the relation isnull": lambda m, o: ~o.Q(entries__isnull=True),
    "an expression": lambda m, o: ~o.Q(entries__rating=o.F("id")),
    "an expression over the relation": lambda m, o: ~o.Q(entries__rating__lt=o.F("entries__id")),
    "many-to-many": lambda m, o: ~o.Q(friends__name="Bob"),
    "two relations to many": lambda m, o: ~o.Q(entries__tags__name="red"),
    "both": lambda m, o: ~o.Q(entries__rating=5, entries__featured=True),
    "either": lambda m, o: ~(o.Q(entries__rating=5) | o.Q(entries__blog__name="Rock")),
    "and another": lambda m, o: o.Q(entries__rating__gte=3) & ~o.Q(entries__title="Dylan"),
    "twice": lambda m, o: ~~o.Q(entries__rating=5),
    "inside": lambda m, o: ~(o.Q(entries__rating=5) & ~o.Q(entries__title="Dylan")),
    "nothing": lambda m, o: ~o.Q(entries__rating__in=[]),
}
_USES = {
    "Count(filter=)": lambda q, m, o, c: q.annotate(n=o.Count("entries", filter=c)).values_list("id", "n"),
    "Sum(filter=)": lambda q, m, o, c: q.annotate(n=o.Sum("entries__rating", filter=c)).values_list("id", "n"),
    "When": lambda q, m, o, c: q.annotate(n=_picked(o, c)).values_list("id", "n"),
    "Sum of When": lambda q, m, o, c: q.annotate(n=o.Sum(_picked(o, c))).values_list("id", "n"),
    "a filter": lambda q, m, o, c: q.filter(_held(o, c), entries__rating__gte=1),
    "an ordering": lambda q, m, o, c: q.order_by(_picked(o, c), "id"),
    "aggregate": lambda q, m, o, c: q.aggregate(n=o.Count("entries", filter=c)),
}


def _picked(o: Any, condition: Any) -> Any:
    return o.Case(o.When(condition, then=o.Value(1)), default=o.Value(3))


def _held(o: Any, condition: Any) -> Any:
    return o.Case(o.When(condition, then=o.Value(True)), default=o.Value(False), output_field=o.BooleanType())


for _name, _make in _NEGATED.items():
    for _use, _used in _USES.items():

        def _query(m, o, make=_make, used=_used):  # type: ignore[no-untyped-def]
            return used(m.Author.objects.all(), m, o, make(m, o))

        def _filtered(m, o, make=_make, used=_used):  # type: ignore[no-untyped-def]
            return used(m.Author.objects.filter(entries__rating__gte=2), m, o, make(m, o))

        case(f"NOT over many rows, {_name}: {_use}", _query)
        case(f"NOT over many rows, {_name}: {_use}, after a filter", _filtered)
