"""What groups have in common: what is asked beside their aggregates, be it always or never true."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.conformance.cases import Area

case = Area("grouping")

# Conditions that say nothing: never true, or always.
NOTHING: dict[str, Callable[[Any, Any], Any]] = {
    "in nothing": lambda m, o: o.Q(name__in=()),
    "not in nothing": lambda m, o: ~o.Q(name__in=[]),
    "a key in nothing": lambda m, o: o.Q(pk__in=[]),
    "in None alone": lambda m, o: o.Q(name__in=[None]),
    "a relation in nothing": lambda m, o: o.Q(country__in=[]),
    "across in nothing": lambda m, o: o.Q(country__name__in=()),
    "many in nothing": lambda m, o: o.Q(entries__rating__in=()),
    "not many in nothing": lambda m, o: ~o.Q(entries__rating__in=()),
    "in an empty query": lambda m, o: o.Q(pk__in=m.Author.objects.none()),
    "what is in nothing, nested": lambda m, o: o.Q(o.Q(name__in=()), o.Q(age__gt=0)),
    "what is in nothing or more": lambda m, o: o.Q(name__in=()) | o.Q(age__gt=30),
    "aggregate in nothing": lambda m, o: o.Q(n__in=()),
    "aggregate not in nothing": lambda m, o: ~o.Q(n__in=()),
}
# How such a condition stands beside one on an aggregate.
BESIDE: dict[str, Callable[[Any, Any], Any]] = {
    "or": lambda q, c: q | c,
    "or not": lambda q, c: q | ~c,
    "not either": lambda q, c: ~(q | c),
    "and": lambda q, c: q & c,
    "and not": lambda q, c: q & ~c,
    "not both": lambda q, c: ~(q & c),
    "not both, not": lambda q, c: ~(q & ~c),
}


def _groups(m: Any, o: Any) -> Any:
    return m.Author.objects.values("active").annotate(n=o.Count("pk"))


def _add(kind: str, name: str, condition: Callable[[Any, Any], Any], join: Callable[[Any, Any], Any]) -> None:
    case(
        f"{kind}: {name}",
        lambda m, o: _groups(m, o).filter(join(o.Q(n__lt=3), condition(m, o))),
        statements="ours sends none",
    )
    case(
        f"{kind}, excluded: {name}",
        lambda m, o: _groups(m, o).exclude(join(o.Q(n__gt=1), condition(m, o))),
        statements="ours sends none",
    )


def _all(conditions: Mapping[str, Any]) -> None:
    for kind, join in BESIDE.items():
        for name, condition in conditions.items():
            _add(kind, name, condition, join)


_all(NOTHING)
for told, one in NOTHING.items():
    # Django on MySQL takes XOR with what is always true for always true; and its joins of a XOR are accidents.
    if "many" not in told and "not" not in told.split() and "more" not in told:
        _add("xor", told, one, lambda q, c: q ^ c)

# As it was found.
case(
    "excluded, an aggregate or nothing",
    lambda m, o: m.Author.objects.values("age").annotate(n=o.Sum("age")).exclude(o.Q(n__exact=0) | o.Q(name__in=())),
)
case("not either comes apart", lambda m, o: _groups(m, o).filter(~(o.Q(n=2) | o.Q(name="Ann"))))
case("excluded, either holds together", lambda m, o: _groups(m, o).exclude(o.Q(n=2) | o.Q(name="Ann")))
case("not both holds together", lambda m, o: _groups(m, o).filter(~(o.Q(n=2) & o.Q(name="Ann"))))
case("not, nested, holds together", lambda m, o: _groups(m, o).filter(~o.Q(o.Q(n=2) | o.Q(name="Ann"))))
case("not not both comes apart", lambda m, o: _groups(m, o).filter(~(o.Q(n=2) | ~(o.Q(n__gt=0) & o.Q(name="Ann")))))
case("two that say nothing come apart", lambda m, o: _groups(m, o).filter(~o.Q(n__in=()), ~o.Q(name__in=())))
case(
    "two that say nothing, excluded, hold together",
    lambda m, o: _groups(m, o).exclude(n__in=(), name__in=()),
)
case(
    "two that say nothing, of a filter each",
    lambda m, o: _groups(m, o).filter(~o.Q(n__in=())).filter(~o.Q(name__in=())),
)
case(
    "three kinds of nothing",
    lambda m, o: _groups(m, o).filter(~o.Q(n__in=()) & ~o.Q(name__in=()) | o.Q(age__in=())),
)
case(
    "instances, many in nothing",
    lambda m, o: m.Author.objects.annotate(n=o.Count("pk")).filter(o.Q(n=1) | o.Q(entries__rating__in=())),
)
case(
    "the row that was joined",
    lambda m, o: m.Author.objects.annotate(n=o.Count("pk")).filter(
        o.Q(n__gt=0) & o.Q(entries__rating=5), ~(o.Q(n=25) & o.Q(entries__rating=5))
    ),
)
case(
    "the row that was joined, in nothing",
    lambda m, o: m.Author.objects.annotate(n=o.Count("pk")).filter(
        o.Q(n__gt=0) & o.Q(entries__rating=5), ~(o.Q(n=25) & o.Q(entries__rating__in=()))
    ),
)
case("an annotation in nothing", lambda m, o: _lowered(m, o).filter(o.Q(n=2) | o.Q(low__in=())))
case("an annotation not in nothing", lambda m, o: _lowered(m, o).exclude(o.Q(n=2) & o.Q(low__in=())))
case("counted", lambda m, o: _groups(m, o).filter(o.Q(n=1) | o.Q(name__in=())).count())
case(
    "aggregated", lambda m, o: _groups(m, o).filter(o.Q(n=1) | o.Q(name__in=())).aggregate(top=o.Max("n"), k=o.Sum("n"))
)
case("exists", lambda m, o: _groups(m, o).filter(o.Q(n=1) | o.Q(name__in=())).exists())
case(
    "querysets, either",
    lambda m, o: _groups(m, o).filter(n=1) | _groups(m, o).filter(name__in=()),
)
case(
    "querysets, one of the two",
    lambda m, o: _groups(m, o).filter(n=1) ^ _groups(m, o).filter(name__in=()),
)


def _lowered(m: Any, o: Any) -> Any:
    return m.Author.objects.alias(low=o.Lower("name")).values("active").annotate(n=o.Count("pk"))


def _rated(m: Any, o: Any) -> Any:
    return m.Entry.objects.annotate(n=o.Sum("rating")).filter(o.Q(n__gte=0) | o.Q(comments__author=1)).filter(pk__gt=1)


# A column that is selected and, by its relation, ordered by: MariaDB takes it for another one of that name in HAVING.
case("ordered by a relation's key", lambda m, o: _rated(m, o).order_by("author__id", "pk"))
case("ordered by a relation's key, distinct", lambda m, o: _rated(m, o).distinct().order_by("author__id", "pk"))
case("ordered by a relation", lambda m, o: _rated(m, o).order_by("author__pk", "author", "pk"))
