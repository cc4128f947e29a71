"""Random querysets, and what is prefetched for them: made by hypothesis as plain data, built on either side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.conformance.loaded_trees import tree
from tests.conformance.models_and_rows import MODELS, Column

TEXTS = ["Ann", "ann", "Bob", "Rock", "Jazz", "Lennon", "good", "bad", "Dylan", "SE", "", "100%", "red", "Chess"]
NUMBERS = [0, 1, 2, 3, 4, 5, 7, 10, 25, 33, 40]
ROOTS = ("Country", "Author", "Blog", "Entry", "Comment", "Profile", "Tag", "Club", "Membership", "Remark")
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
    targets = {name: column.target for name, column in MODELS[model].items() if column.target}
    for other, columns in MODELS.items():
        for column in columns.values():
            if column.target == model and not column.symmetrical:
                targets[column.query or column.reverse or other.lower()] = other
    return targets


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
def relation_paths(draw: st.DrawFn, root: str) -> tuple[str, str]:
    """A path from a model to a relation, and the kind of what is compared with it."""
    model, parts, kind = root, [], "key"
    for _ in range(draw(st.integers(1, 2))):
        before = model
        name, model = draw(st.sampled_from(sorted(relations(model).items())))
        parts.append(name)
        column = MODELS[before].get(name)
        kind = "text" if column is not None and column.to_field else "key"
    return "__".join(parts), kind


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
        path, kind = draw(relation_paths(root))
        if draw(st.booleans()):
            return ("leaf", f"{path}__isnull", draw(st.booleans()))
        return ("leaf", path, draw(values_of(kind)))
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


@dataclass(frozen=True)
class Fetch:
    """One argument of `prefetch_related()`: a path of attributes; a condition, order and slice of its last relation."""

    path: str
    condition: Condition | None = None
    descending: bool = False
    part: tuple[int, int | None] | None = None
    to_attr: str = ""

    @property
    def shown(self) -> str:
        """The path under which what it loads is read."""
        return "__".join([*self.path.split("__")[:-1], self.to_attr]) if self.to_attr else self.path

    def __str__(self) -> str:
        if not self.to_attr:
            return repr(self.path)
        told = f"filter({_shown_condition(self.condition)})" if self.condition else "all()"
        told += f".order_by({('-' if self.descending else '') + 'id'!r})"
        told += f"[{self.part[0]}:{self.part[1]}]" if self.part else ""
        return f"Prefetch({self.path!r}, {told}, {self.to_attr!r})"


@dataclass(frozen=True)
class Tree:
    """A queryset with what is prefetched for it."""

    root: str
    condition: Condition | None
    fetches: tuple[tuple[Fetch, str], ...]
    """Each with the model that it leads to."""

    def __str__(self) -> str:
        fetches = ", ".join(str(fetch) for fetch, _ in self.fetches)
        told = f"filter({_shown_condition(self.condition)})" if self.condition else "all()"
        return f"m.{self.root}.objects.{told}.prefetch_related({fetches})"


@dataclass(frozen=True)
class End:
    """What an instance has under an attribute: the column that makes the relation, and the model at the other end."""

    owner: str
    name: str
    target: str
    backward: bool

    @property
    def column(self) -> Column:
        """The column, of the model that declares it."""
        return MODELS[self.owner][self.name]

    @property
    def many(self) -> bool:
        """Whether there are several rows."""
        return self.column.kind == "many" or (self.backward and self.column.kind == "link")

    def undoes(self, other: End | None) -> bool:
        """Whether it only leads back to the row that the other one started at, which is there already.

        Django follows a path no further where a part of its instances is there already.
        """
        if other is None or self.column is not other.column or self.column.kind == "many":
            return False
        return self.backward != other.backward and (other.backward or self.column.kind == "one")


def ends(model: str) -> dict[str, End]:
    """The relations of a model, by the attributes of its instances."""
    ends = {name: End(model, name, column.target, False) for name, column in MODELS[model].items() if column.target}
    for other, columns in MODELS.items():
        for name, column in columns.items():
            if column.target == model and not column.symmetrical:
                ends[column.reverse or f"{other.lower()}_set"] = End(other, name, other, True)
    return ends


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A queryset with some paths prefetched, some of them by a queryset of their own."""
    root = draw(st.sampled_from(ROOTS))
    return Tree(
        root,
        draw(st.none() | leaves(root)),
        tuple(draw(fetches(root, f"found{number}")) for number in range(draw(st.integers(1, 3)))),
    )


@st.composite
def fetches(draw: st.DrawFn, model: str, to_attr: str) -> tuple[Fetch, str]:
    """One path to prefetch, and the model that it leads to."""
    parts: list[str] = []
    end: End | None = None
    for _ in range(draw(st.integers(1, 3))):
        onward = {name: other for name, other in ends(model).items() if not other.undoes(end)}
        if onward:
            name, end = draw(st.sampled_from(sorted(onward.items(), key=lambda item: item[0])))
            parts.append(name)
            model = end.target
    path = "__".join(parts)
    if end is None or draw(st.booleans()):
        return Fetch(path), model
    condition = draw(st.none() | leaves(model).filter(lambda leaf: is_own(model, leaf)))
    part = None
    if end.many:
        low = draw(st.integers(0, 2))
        part = draw(st.none() | st.tuples(st.just(low), st.none() | st.integers(low, 3)))
    return Fetch(path, condition, draw(st.booleans()), part, to_attr), model


def is_own(model: str, leaf: Condition) -> bool:
    """Whether a condition is about the model's own columns.

    Django tells the pairs of a prefetch apart by a table's name, which may be another join's if a condition has one.
    """
    kind, name, value = leaf
    column = MODELS[model].get(name.split("__")[0])
    return column is not None and not column.target and (kind == "leaf" or "__" not in value)


# Building


def tree_of(spec: Tree) -> Any:
    """The rows with what was prefetched for them, on either side."""

    def query(m: Any, o: Any) -> Any:
        lookups: list[Any] = []
        for fetch, model in spec.fetches:
            if not fetch.to_attr:
                lookups.append(fetch.path)
                continue
            rows = getattr(m, model).objects.order_by("-id" if fetch.descending else "id")
            if fetch.condition is not None:
                rows = rows.filter(_condition(fetch.condition, o))
            if fetch.part is not None:
                rows = rows[fetch.part[0] : fetch.part[1]]
            lookups.append(o.Prefetch(fetch.path, rows, to_attr=fetch.to_attr))
        queryset = getattr(m, spec.root).objects.prefetch_related(*lookups)
        rows = yield queryset if spec.condition is None else queryset.filter(_condition(spec.condition, o))
        return (yield from tree(rows, *(fetch.shown for fetch, _ in spec.fetches)))

    return query


def query_of(spec: Spec) -> Any:
    """The queryset, or what it ends in, on either side."""

    def query(m: Any, o: Any) -> Any:
        queryset = getattr(m, spec.root).objects.all()
        for call in spec.calls:
            queryset = _called(queryset, call, o)
        if spec.end == "count":
            return queryset.count()
        if spec.end == "exists":
            return queryset.exists()
        if spec.end == "aggregate":
            return queryset.aggregate(total=o.Count("id"), top=o.Max("id"))
        return queryset

    return query


def _called(queryset: Any, call: tuple[Any, ...], o: Any) -> Any:
    method, *arguments = call
    if method in ("filter", "exclude"):
        return getattr(queryset, method)(*(_condition(condition, o) for condition in arguments[0]))
    if method == "annotate":
        name, (function, path, distinct, condition) = arguments
        options: dict[str, Any] = {"distinct": True} if distinct else {}
        if condition is not None:
            options["filter"] = _condition(condition, o)
        return queryset.annotate(**{name: getattr(o, function)(path, **options)})
    if method == "slice":
        return queryset[arguments[0] : arguments[1]]
    return getattr(queryset, method)(*(arguments[0] if arguments else ()))


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
