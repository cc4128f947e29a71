"""Random querysets: made by hypothesis as plain data, built on either side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.conformance.world import MODELS

TEXTS = ["Ann", "ann", "Bob", "Rock", "Jazz", "Lennon", "good", "bad", "Dylan", "SE", "", "100%"]
NUMBERS = [0, 1, 2, 3, 4, 5, 7, 10, 25, 33, 40]
ROOTS = ("Country", "Author", "Blog", "Entry", "Comment", "Profile")
# Comparing texts by size and case is each database's own affair; it has cases, not examples.
LOOKUPS = {
    "integer": ("exact", "gt", "gte", "lt", "lte", "in", "range", "isnull"),
    "text": ("exact", "in", "isnull", "gt"),
    "boolean": ("exact",),
    "key": ("exact", "gt", "lte", "in"),
}
AGGREGATES = ("Count", "Sum", "Avg", "Min", "Max")
PLAIN = tuple(LOOKUPS)

Condition = tuple[Any, ...]
"""("leaf", name, value), ("field", name, other path), ("and" | "or" | "xor", conditions), ("not", condition)."""


@dataclass(frozen=True)
class Spec:
    """A queryset as data: the model it starts from, the calls in their order, and how it ends."""

    root: str
    calls: tuple[tuple[Any, ...], ...]
    end: str

    def __str__(self) -> str:
        return f"m.{self.root}.objects" + "".join(f".{_shown(call)}" for call in self.calls) + f"  # {self.end}"


def relations(model: str) -> dict[str, str]:
    """The relations of a model, forward and backward, by name: the models that they lead to."""
    found = {name: column.target for name, column in MODELS[model].items() if column.target}
    for other, columns in MODELS.items():
        for column in columns.values():
            if column.target == model:
                found[column.reverse] = other
    return found


@st.composite
def paths(draw: st.DrawFn, root: str, kinds: tuple[str, ...] = PLAIN, depth: int = 3) -> tuple[str, str]:
    """A path from a model to a column of one of these kinds, and the kind."""
    model, parts = root, []
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 1, 2, 2, depth]))):
        name, model = draw(st.sampled_from(sorted(relations(model).items())))
        parts.append(name)
    choices = [(name, column.kind) for name, column in MODELS[model].items() if column.kind in kinds]
    if not choices:
        choices = [("id", "key")]
    name, kind = draw(st.sampled_from(choices))
    return "__".join([*parts, name]), kind


@st.composite
def relation_paths(draw: st.DrawFn, root: str) -> str:
    """A path from a model to a relation."""
    model, parts = root, []
    for _ in range(draw(st.integers(1, 2))):
        name, model = draw(st.sampled_from(sorted(relations(model).items())))
        parts.append(name)
    return "__".join(parts)


def values_of(kind: str) -> st.SearchStrategy[Any]:
    """Values to compare a column of this kind with."""
    choices: dict[str, list[Any]] = {
        "integer": NUMBERS,
        "key": NUMBERS[1:7],
        "text": TEXTS,
        "boolean": [True, False],
    }
    return st.sampled_from(choices[kind])


@st.composite
def leaves(draw: st.DrawFn, root: str) -> Condition:
    """One lookup, against a value or another column."""
    how = draw(st.sampled_from(["value", "value", "value", "value", "value", "relation", "field"]))
    if how == "relation":
        path = draw(relation_paths(root))
        if draw(st.booleans()):
            return ("leaf", f"{path}__isnull", draw(st.booleans()))
        return ("leaf", path, draw(values_of("key")))
    path, kind = draw(paths(root))
    if how == "field" and kind == "integer":
        other, _ = draw(paths(root, ("integer",), 1))
        return ("field", f"{path}__{draw(st.sampled_from(['exact', 'gt', 'lte']))}", other)
    lookup = draw(st.sampled_from(LOOKUPS[kind]))
    return ("leaf", f"{path}__{lookup}", draw(_value(kind, lookup)))


def _value(kind: str, lookup: str) -> st.SearchStrategy[Any]:
    if lookup == "isnull":
        return st.booleans()
    if lookup == "in":
        return st.lists(values_of(kind), max_size=3, unique=True).map(tuple)
    if lookup == "range":
        return st.tuples(values_of(kind), values_of(kind)).map(lambda ends: tuple(sorted(ends)))
    return values_of(kind)


def conditions(root: str) -> st.SearchStrategy[Condition]:
    """A tree of lookups."""
    return st.recursive(
        leaves(root),
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(["and", "or", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple)),
            st.tuples(st.just("not"), inner),
        ),
        max_leaves=4,
    )


@st.composite
def aggregates(draw: st.DrawFn, root: str) -> tuple[Any, ...]:
    """An aggregate: its function, path, whether distinct, and what it is filtered by."""
    function = draw(st.sampled_from(AGGREGATES))
    kinds = ("key", "integer", "text") if function == "Count" else ("integer",)
    path, kind = draw(paths(root, kinds, 2))
    if kind == "key" and function != "Count":
        function = "Max"
    distinct = function in ("Count", "Sum") and draw(st.booleans())
    # Django takes a condition on an aggregate over nothing, filter=Q(x__in=[]), for false rather than NULL.
    condition = draw(st.none() | st.none() | leaves(root).filter(lambda leaf: leaf[2] != ()))
    return (function, path, distinct, condition)


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """A queryset."""
    root = draw(st.sampled_from(ROOTS))
    calls: list[tuple[Any, ...]] = []
    grouped = False
    selected: tuple[str, ...] = ()
    for _ in range(draw(st.integers(1, 4))):
        what = draw(st.sampled_from(["filter", "filter", "filter", "exclude", "exclude", "annotate", "values"]))
        if what == "annotate":
            name = f"n{len(calls)}"
            calls.append(("annotate", name, draw(aggregates(root))))
            grouped = True
            if draw(st.booleans()):
                lookup = draw(st.sampled_from(["exact", "gt", "lte", "isnull"]))
                value = draw(st.booleans() if lookup == "isnull" else values_of("integer"))
                condition: Condition = ("leaf", f"{name}__{lookup}", value)
                if draw(st.booleans()):
                    condition = (draw(st.sampled_from(["or", "and"])), (condition, draw(leaves(root))))
                if calls[-1][2][0] in ("Count", "Sum", "Avg", "Min", "Max"):
                    calls.append((draw(st.sampled_from(["filter", "exclude"])), (condition,)))
        elif what == "values":
            if not selected and not grouped:
                selected = tuple(dict.fromkeys(path for path, _ in draw(st.lists(paths(root), min_size=1, max_size=2))))
                calls.append(("values", selected))
        else:
            calls.append((what, tuple(draw(st.lists(conditions(root), min_size=1, max_size=2)))))
    end = draw(st.sampled_from(["rows", "rows", "rows", "rows", "count", "exists", "slice", "aggregate"]))
    distinct = draw(st.integers(0, 3)) == 0
    if distinct:
        calls.append(("distinct",))
    if end == "slice":
        grouping = bool(selected) and grouped
        order = list(selected)
        if not selected and draw(st.booleans()):
            path, _ = draw(paths(root, PLAIN, 1))
            order.append(path)
        order = [draw(st.sampled_from(["", "-"])) + path for path in order]
        calls.append(("order_by", tuple(order if grouping else [*order, "id"])))
        low = draw(st.integers(0, 3))
        calls.append(("slice", low, draw(st.none() | st.integers(low, 6))))
    # Distinct rows differ in what they are ordered by, too; Django forgets that when it counts them.
    elif draw(st.integers(0, 4)) == 0 and not (distinct and end in ("count", "aggregate")):
        calls.append(("order_by", (draw(paths(root, PLAIN, 2))[0],)))
    return Spec(root, tuple(calls), end)


# Building


def query_of(spec: Spec) -> Any:
    """The queryset, or what it ends in, on either side."""

    def query(m: Any, o: Any) -> Any:
        found = getattr(m, spec.root).objects.all()
        for call in spec.calls:
            found = _called(found, call, o)
        if spec.end == "count":
            return found.count()
        if spec.end == "exists":
            return found.exists()
        if spec.end == "aggregate":
            return found.aggregate(total=o.Count("id"), top=o.Max("id"))
        return found

    return query


def _called(found: Any, call: tuple[Any, ...], o: Any) -> Any:
    method, *arguments = call
    if method in ("filter", "exclude"):
        return getattr(found, method)(*(_condition(condition, o) for condition in arguments[0]))
    if method == "annotate":
        name, (function, path, distinct, condition) = arguments
        options: dict[str, Any] = {"distinct": True} if distinct else {}
        if condition is not None:
            options["filter"] = _condition(condition, o)
        return found.annotate(**{name: getattr(o, function)(path, **options)})
    if method == "slice":
        return found[arguments[0] : arguments[1]]
    return getattr(found, method)(*(arguments[0] if arguments else ()))


def _condition(condition: Condition, o: Any) -> Any:
    what, *arguments = condition
    if what == "leaf":
        name, value = arguments
        return o.Q(**{name: value})
    if what == "field":
        return o.Q(**{arguments[0]: o.F(arguments[1])})
    if what == "not":
        return ~_condition(arguments[0], o)
    first, *rest = (_condition(child, o) for child in arguments[0])
    for other in rest:
        first = first & other if what == "and" else first | other if what == "or" else first ^ other
    return first


def _shown(call: tuple[Any, ...]) -> str:
    method, *arguments = call
    if method in ("filter", "exclude"):
        return f"{method}({', '.join(_shown_condition(c) for c in arguments[0])})"
    if method == "annotate":
        name, (function, path, distinct, condition) = arguments
        options = ", distinct=True" if distinct else ""
        options += f", filter={_shown_condition(condition)}" if condition else ""
        return f"annotate({name}=o.{function}({path!r}{options}))"
    if method == "slice":
        return f"all()[{arguments[0]}:{arguments[1]}]"
    return f"{method}({', '.join(repr(a) for a in arguments[0])})" if arguments else f"{method}()"


def _shown_condition(condition: Condition) -> str:
    what, *arguments = condition
    if what == "leaf":
        return f"o.Q({arguments[0]}={arguments[1]!r})"
    if what == "field":
        return f"o.Q({arguments[0]}=o.F({arguments[1]!r}))"
    if what == "not":
        return f"~{_shown_condition(arguments[0])}"
    sign = {"and": " & ", "or": " | ", "xor": " ^ "}[what]
    return f"({sign.join(_shown_condition(c) for c in arguments[0])})"
