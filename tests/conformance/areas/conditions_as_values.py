"""Conditions where a value is expected: in update(), in comparisons, in order_by() and in annotations."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Area

case = Area("conditions as values")


def written(change: Any) -> Any:
    """What an update of the entries' `featured` leaves."""

    def query(m: Any, o: Any) -> Any:
        yield m.Entry.objects.update(featured=change(m, o))
        return (yield m.Entry.objects.order_by("id").values_list("id", "featured"))

    return query


for _name, _change in {
    "a Q": lambda m, o: o.Q(id__gt=4),
    "a negated Q": lambda m, o: ~o.Q(id__gt=4),
    "a Q over NULLs": lambda m, o: o.Q(day__isnull=True),
    "a negated field": lambda m, o: ~o.F("featured"),
    "an Exists": lambda m, o: o.Exists(m.Comment.objects.filter(entry=o.OuterRef("pk"))),
    "a negated Exists": lambda m, o: ~o.Exists(m.Comment.objects.filter(entry=o.OuterRef("pk"))),
    "a Q of two": lambda m, o: o.Q(id__gt=4) & ~o.Q(title="Lennon"),
    "a Case of a Q": lambda m, o: o.Case(o.When(o.Q(id__gt=4), then=o.Value(True)), default=o.Value(False)),
}.items():
    case(f"update to {_name}", written(_change), writes=True, ordered=True)

for _name, _condition in {
    "a Q": lambda o: o.Q(id__gt=4),
    "a negated Q": lambda o: ~o.Q(id__gt=4),
    "a Q over a relation": lambda o: o.Q(blog__name="Rock"),
    "a Q of two": lambda o: o.Q(id__gt=4) | o.Q(title="Lennon"),
}.items():
    case(f"filter by {_name}", lambda m, o, c=_condition: m.Entry.objects.filter(featured=c(o)))
    case(f"exclude by {_name}", lambda m, o, c=_condition: m.Entry.objects.exclude(featured=c(o)))
    case(
        f"annotate and filter by {_name}",
        lambda m, o, c=_condition: m.Entry.objects.annotate(k=c(o)).filter(k=True).order_by("id"),
        ordered=True,
    )
    case(
        f"annotate and compare with {_name}",
        lambda m, o, c=_condition: m.Entry.objects.annotate(k=c(o)).filter(featured=o.F("k")).order_by("id"),
        ordered=True,
    )
    case(
        f"group by {_name}",
        lambda m, o, c=_condition: (
            m.Entry.objects.annotate(k=c(o)).values("k").annotate(n=o.Count("id")).order_by("k", "n")
        ),
        ordered=True,
    )
case(
    "order by a Q",
    lambda m, o: m.Entry.objects.order_by(o.Q(title="Lennon"), "id"),
    theirs=lambda m, o: m.Entry.objects.alias(k=o.Q(title="Lennon")).order_by("k", "id"),
    ordered=True,
)
for _name, _order in {"an annotated Q": lambda o: "k", "one descending": lambda o: o.F("k").desc()}.items():
    case(
        f"order by {_name}",
        lambda m, o, order=_order: m.Entry.objects.annotate(k=o.Q(title="Lennon")).order_by(order(o), "id"),
        ordered=True,
    )
for _name, _value in {
    "a whole number": lambda o: o.Value(9),
    "a text": lambda o: o.Value("x"),
    "NULL": lambda o: o.Value(None, output_field=o.IntegerType()),
}.items():
    case(
        f"order by {_name}",
        lambda m, o, v=_value: m.Entry.objects.annotate(k=v(o)).order_by("k", "id").values_list("id", flat=True),
        ordered=True,
    )
    case(
        f"group by {_name}",
        lambda m, o, v=_value: (
            m.Entry.objects.annotate(k=v(o)).values("k").annotate(n=o.Count("id")).order_by("k").values_list("n")
        ),
        ordered=True,
    )
    case(
        f"group by {_name} and a field",
        lambda m, o, v=_value: (
            m.Entry.objects.values("title")
            .annotate(k=v(o), n=o.Count("id"))
            .order_by("title")
            .values_list("title", "n")
        ),
        ordered=True,
    )
    case(
        f"instances beside an aggregate and {_name}",
        lambda m, o, v=_value: (
            m.Blog.objects.annotate(k=v(o), n=o.Count("entries")).order_by("id").values_list("id", "n")
        ),
        ordered=True,
    )
case(
    "a constant condition beside an aggregate",
    lambda m, o: (
        m.Blog.objects.annotate(k=o.Exists(m.Entry.objects.none()), n=o.Count("entries")).order_by("id").values()
    ),
    ordered=True,
)
for _name, _constant in {"never": lambda o: o.Q(pk__in=[]), "always": lambda o: ~o.Q(pk__in=[])}.items():
    case(
        f"beside an aggregate, a condition that is {_name} true",
        lambda m, o, c=_constant: m.Blog.objects.annotate(k=c(o), n=o.Count("entries")).order_by("id").values("n"),
        ordered=True,
    )
    case(
        f"group by a field and a condition that is {_name} true",
        lambda m, o, c=_constant: (
            m.Entry.objects.values("title")
            .annotate(k=c(o), n=o.Count("id"))
            .order_by("title")
            .values_list("title", "n")
        ),
        ordered=True,
    )
