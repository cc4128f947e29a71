"""The expressions that users write, as plain data: fields, `F`, values, arithmetic, conditions, orderings.

Nothing in this module knows SQL. `orm.query` resolves expressions against a model and renders them.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, Union, overload

from sqlalchemy import ClauseElement, ColumnElement

from orm.exceptions import QueryError

if TYPE_CHECKING:
    from orm.queryset.queryset import QuerySet

T = TypeVar("T")
Operand = Union["Expression[Any]", Any]


class SQLAlchemyCompatible:
    """Accepted by SQLAlchemy Core in place of a clause."""

    __slots__ = ()

    def __clause_element__(self) -> ColumnElement[Any]:
        return render_clause(self)


def render_clause(node: Any, info: Any = None) -> ColumnElement[Any]:
    """The node as a SQLAlchemy clause, made by the renderer of `use_renderer`.

    `info` is the `ModelInfo` of the model whose fields the node names; by default, the node itself names the model.
    """
    return _renderers[0](node, info)


def use_renderer(renderer: Callable[[Any, Any], ColumnElement[Any]]) -> None:
    """Set the function that turns nodes into clauses: `orm.models` passes `orm.query.sqlalchemy_clauses.to_clause`.

    This module cannot import it, because `orm.query` is a layer above.
    """
    _renderers[:] = [renderer]


_renderers: list[Callable[[Any, Any], ColumnElement[Any]]] = []


class Logical(SQLAlchemyCompatible):
    """Can be combined into a condition with ``&``, ``|``, ``^`` and ``~``."""

    __slots__ = ()

    def __and__(self, other: ConditionLike) -> Q:
        return _joined("AND", self, other)

    def __or__(self, other: ConditionLike) -> Q:
        return _joined("OR", self, other)

    def __xor__(self, other: ConditionLike) -> Q:
        return _joined("XOR", self, other)

    def __invert__(self) -> Q:
        return Q._of("AND", (self,), negated=True)


class Condition(Logical):
    """A condition on a row; combines with ``&``, ``|``, ``^`` and ``~``."""

    def __bool__(self) -> NoReturn:
        raise QueryError(
            f"{self!r} is a condition for a query, not a Python truth value: "
            "combine conditions with &, | and ~ instead of and, or and not."
        )


class Q(Condition):
    """Conditions joined by AND; combine several with ``|``, ``&``, ``^`` and ``~``.

    Takes lookups as keyword arguments, and other conditions (`Q`, typed comparisons, boolean expressions, SQLAlchemy
    clauses, and models of single-table inheritance) as positional ones. An empty `Q()` matches all rows.

        await Note.objects.filter(Q(text__icontains="mum") | ~Q(completed=True))
    """

    __slots__ = ("children", "connector", "negated")

    connector: str
    negated: bool
    children: tuple[Any, ...]

    def __init__(self, /, *args: ConditionLike | type[Any], **lookups: Any) -> None:
        for argument in args:
            check_condition(argument)
        self.connector = "AND"
        self.negated = False
        self.children = (*args, *lookups.items())

    @classmethod
    def _of(cls, connector: str, children: tuple[Any, ...], negated: bool = False) -> Q:
        q = cls()
        q.connector, q.children, q.negated = connector, children, negated
        return q

    def __invert__(self) -> Q:
        return Q._of(self.connector, self.children, negated=not self.negated)

    def __repr__(self) -> str:
        inside = ", ".join(f"{c[0]}={c[1]!r}" if isinstance(c, tuple) else repr(c) for c in self.children)
        return f"{'~' if self.negated else ''}Q({self.connector}: {inside})"


def check_condition(argument: object) -> None:
    """Raise `QueryError` unless `argument` can be a condition of a query."""
    if not isinstance(argument, (Logical, ClauseElement)) and not is_model(argument):
        raise QueryError(
            f"A condition is an orm.Q, a comparison such as Note.views > 3, an expression that is true or false, or a "
            f"SQLAlchemy clause; got {type(argument).__name__}. Lookups are given as keywords, filter(name=value), "
            "and bits are combined by bitand(), bitor() and bitxor()."
        )


def is_model(argument: object) -> bool:
    """Whether it is a model, which as a condition stands for its rows in single-table inheritance."""
    return isinstance(argument, type) and hasattr(argument, "_meta")


def _joined(connector: str, left: Logical, right: object) -> Q:
    check_condition(right)
    children: list[Any] = []
    for side in (left, right):
        if isinstance(side, Q) and not side.children:
            continue
        if isinstance(side, Q) and side.connector == connector and not side.negated:
            children.extend(side.children)
        else:
            children.append(side)
    return Q._of(connector, tuple(children))


class Comparison(Condition):
    """An expression compared with a value by a lookup: the result of ``Note.views > 3``."""

    __slots__ = ("expression", "lookup", "value")

    def __init__(self, expression: Expression[Any], lookup: str, value: Any) -> None:
        self.expression = expression
        self.lookup = lookup
        self.value = value

    def __repr__(self) -> str:
        return f"({self.expression!r} {self.lookup} {self.value!r})"


class Ordering(SQLAlchemyCompatible):
    """An expression with a direction, for ``order_by()``."""

    __slots__ = ("descending", "expression", "nulls")

    def __init__(self, expression: Expression[Any], descending: bool = False, nulls: str | None = None) -> None:
        self.expression = expression
        self.descending = descending
        self.nulls = nulls

    def __repr__(self) -> str:
        return f"{self.expression!r}.{'desc' if self.descending else 'asc'}()"


class Expression(Logical, Generic[T]):
    """A value that the database computes for each row. `T` is its Python type when it is loaded.

    Comparing it returns a condition, arithmetic returns another expression; both can be used in queries and in
    SQLAlchemy Core statements. A boolean expression is itself a condition.
    """

    __hash__ = object.__hash__

    # Comparison. __eq__ and __ne__ deliberately return conditions, as in SQLAlchemy.
    def __eq__(self, other: object) -> Comparison:  # type: ignore[override]
        return Comparison(self, "exact", other)

    def __ne__(self, other: object) -> Q:  # type: ignore[override]
        return ~Comparison(self, "exact", other)

    @overload
    def __lt__(self: DecimalExpression, other: int) -> Comparison: ...
    @overload
    def __lt__(self, other: T | Expression[Any]) -> Comparison: ...
    def __lt__(self, other: Any) -> Comparison:
        return Comparison(self, "lt", other)

    @overload
    def __le__(self: DecimalExpression, other: int) -> Comparison: ...
    @overload
    def __le__(self, other: T | Expression[Any]) -> Comparison: ...
    def __le__(self, other: Any) -> Comparison:
        return Comparison(self, "lte", other)

    @overload
    def __gt__(self: DecimalExpression, other: int) -> Comparison: ...
    @overload
    def __gt__(self, other: T | Expression[Any]) -> Comparison: ...
    def __gt__(self, other: Any) -> Comparison:
        return Comparison(self, "gt", other)

    @overload
    def __ge__(self: DecimalExpression, other: int) -> Comparison: ...
    @overload
    def __ge__(self, other: T | Expression[Any]) -> Comparison: ...
    def __ge__(self, other: Any) -> Comparison:
        return Comparison(self, "gte", other)

    def iexact(self: TextExpression, value: TextOperand) -> Comparison:
        """Equals this text, ignoring case."""
        return Comparison(self, "iexact", value)

    def contains(self, value: Any) -> Comparison:
        """Contains this text (case-sensitive)."""
        return Comparison(self, "contains", value)

    def icontains(self: TextExpression, value: TextOperand) -> Comparison:
        """Contains this text, ignoring case."""
        return Comparison(self, "icontains", value)

    def startswith(self: TextExpression, value: TextOperand) -> Comparison:
        """Starts with this text (case-sensitive)."""
        return Comparison(self, "startswith", value)

    def istartswith(self: TextExpression, value: TextOperand) -> Comparison:
        """Starts with this text, ignoring case."""
        return Comparison(self, "istartswith", value)

    def endswith(self: TextExpression, value: TextOperand) -> Comparison:
        """Ends with this text (case-sensitive)."""
        return Comparison(self, "endswith", value)

    def iendswith(self: TextExpression, value: TextOperand) -> Comparison:
        """Ends with this text, ignoring case."""
        return Comparison(self, "iendswith", value)

    def regex(self, pattern: str) -> Comparison:
        """Matches this regular expression, in the database's syntax."""
        return Comparison(self, "regex", pattern)

    def iregex(self, pattern: str) -> Comparison:
        """Matches this regular expression, ignoring case."""
        return Comparison(self, "iregex", pattern)

    def in_(self, values: Iterable[T] | QuerySet[Any, Any]) -> Comparison:
        """Is one of these values, or of the values of a queryset."""
        return Comparison(self, "in", values)

    def range(self, low: Any, high: Any) -> Comparison:
        """Is between the two values, both included."""
        return Comparison(self, "range", (low, high))

    def is_null(self, value: bool = True) -> Comparison:
        """Is NULL; with False, is not NULL."""
        return Comparison(self, "isnull", value)

    def asc(self, *, nulls_first: bool = False, nulls_last: bool = False) -> Ordering:
        """In ascending order."""
        return Ordering(self, False, _nulls(nulls_first, nulls_last))

    def desc(self, *, nulls_first: bool = False, nulls_last: bool = False) -> Ordering:
        """In descending order."""
        return Ordering(self, True, _nulls(nulls_first, nulls_last))

    # Arithmetic.
    def __add__(self, other: Operand) -> Combined[T]:
        return Combined("+", self, other)

    def __radd__(self, other: Operand) -> Combined[T]:
        return Combined("+", other, self)

    def __sub__(self, other: Operand) -> Combined[T]:
        return Combined("-", self, other)

    def __rsub__(self, other: Operand) -> Combined[T]:
        return Combined("-", other, self)

    def __mul__(self, other: Operand) -> Combined[T]:
        return Combined("*", self, other)

    def __rmul__(self, other: Operand) -> Combined[T]:
        return Combined("*", other, self)

    def __truediv__(self, other: Operand) -> Combined[T]:
        return Combined("/", self, other)

    def __rtruediv__(self, other: Operand) -> Combined[T]:
        return Combined("/", other, self)

    def __mod__(self, other: Operand) -> Combined[T]:
        return Combined("%", self, other)

    def __rmod__(self, other: Operand) -> Combined[T]:
        return Combined("%", other, self)

    def __pow__(self, other: Operand) -> Combined[T]:
        return Combined("**", self, other)

    def __rpow__(self, other: Operand) -> Combined[T]:
        return Combined("**", other, self)

    def bitand(self, other: Operand) -> Combined[T]:
        """Bitwise AND."""
        return Combined("&", self, other)

    def bitor(self, other: Operand) -> Combined[T]:
        """Bitwise OR."""
        return Combined("|", self, other)

    def bitxor(self, other: Operand) -> Combined[T]:
        """Bitwise XOR."""
        return Combined("^", self, other)

    def bitleftshift(self, other: Operand) -> Combined[T]:
        """The bits shifted left by `other`."""
        return Combined("<<", self, other)

    def bitrightshift(self, other: Operand) -> Combined[T]:
        """The bits shifted right by `other`."""
        return Combined(">>", self, other)

    def __neg__(self) -> Combined[T]:
        return Combined("*", self, -1)

    def __getitem__(self, index: int | slice) -> Sliced[T]:
        """A part of a text, or of an array on PostgreSQL, with Python's indexes: ``F("name")[:3]``."""
        return Sliced(self, index)

    def __bool__(self) -> NoReturn:
        raise QueryError(
            f"{self!r} is an expression for a query, not a value: its truth is known only to the database."
        )

    def __iter__(self) -> Any:
        raise TypeError(f"{self!r} is an expression for a query and cannot be iterated over.")


def _nulls(first: bool, last: bool) -> str | None:
    if first and last:
        raise QueryError("nulls_first and nulls_last exclude each other: give one.")
    return "first" if first else "last" if last else None


TextExpression = Expression[str] | Expression[str | None]
TextOperand = str | Expression[Any]
DecimalExpression = Expression[decimal.Decimal] | Expression[decimal.Decimal | None]
ConditionLike = Condition | Expression[bool] | Expression[bool | None] | ColumnElement[bool]
"""What a query takes as a condition."""


class F(Expression[Any]):
    """A field, named by its path: ``F("views") + 1``, ``F("album__name")``."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        if not isinstance(path, str):
            raise QueryError(f"F() takes the name of a field, got {type(path).__name__}.")
        self.path = path

    def __invert__(self) -> Negated:  # type: ignore[override]
        return Negated(self)

    def __repr__(self) -> str:
        return f"F({self.path!r})"


class Negated(Expression[bool]):
    """SQL's NOT of a boolean expression: the result of ``~F("done")``, which is NULL where the field is."""

    __slots__ = ("expression",)

    def __init__(self, expression: Expression[Any]) -> None:
        self.expression = expression

    def __invert__(self) -> Negated:  # type: ignore[override]
        return Negated(self)

    def __repr__(self) -> str:
        return f"~{self.expression!r}"


class FieldExpression(Expression[T]):
    """A field as an attribute of its model: ``Note.views``; over relations (`via`): ``Track.album.name``."""

    # Underscored, because a relation's expression answers to the related model's field names.
    __slots__ = ("_model", "_path")

    def __init__(self, model: Any, name: str, via: tuple[str, ...] = ()) -> None:
        self._model = model
        self._path = (*via, name)

    def __repr__(self) -> str:
        return ".".join((self._model.__name__, *self._path))


class Combined(Expression[T]):
    """Two operands with an arithmetic operator."""

    __slots__ = ("left", "operator", "right")

    def __init__(self, operator: str, left: Operand, right: Operand) -> None:
        self.operator = operator
        self.left = left
        self.right = right

    def __repr__(self) -> str:
        return f"({self.left!r} {self.operator} {self.right!r})"


class Sliced(Expression[T]):
    """A part of a text, or of an array on PostgreSQL: the result of ``F("name")[1:3]``.

    Raises `QueryError` for negative indexes and for steps, which SQL does not support.
    """

    __slots__ = ("expression", "length", "start")

    def __init__(self, expression: Expression[T], index: int | slice) -> None:
        low, high = _bounds(index)
        self.expression = expression
        self.start = low
        """Counted from 0."""
        self.length = None if high is None else high - low
        """None: up to the end."""

    def __repr__(self) -> str:
        stop = "" if self.length is None else self.start + self.length
        return f"{self.expression!r}[{self.start}:{stop}]"


def _bounds(index: Any) -> tuple[int, int | None]:
    """The start and the end (None: open) of a slice or of a single index. Raises `QueryError`."""
    if isinstance(index, slice):
        low, high, step = 0 if index.start is None else index.start, index.stop, index.step
    else:
        low, high, step = index, None, None
    for bound in (low, 0 if high is None else high):
        if isinstance(bound, bool) or not isinstance(bound, int):
            raise QueryError(f"An expression is sliced by whole numbers, got {type(bound).__name__}.")
        if bound < 0:
            raise QueryError("An expression is sliced from its start: numbers cannot be negative.")
    if step is not None:
        raise QueryError("An expression cannot be sliced in steps.")
    if high is not None and high < low:
        raise QueryError(f"A slice cannot end ({high}) before it starts ({low}).")
    return low, high if isinstance(index, slice) else low + 1


OrderTerm = Union[str, Expression[Any], Ordering, "ColumnElement[Any]"]
