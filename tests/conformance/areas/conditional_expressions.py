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
