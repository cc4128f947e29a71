"""Terms: expressions resolved against a model, each with its share of the query's shape and values."""

from __future__ import annotations

import datetime
import decimal
import operator
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ClauseElement, ColumnElement
from sqlalchemy.sql import operators, visitors

from orm.database import constructs
from orm.exceptions import QueryError
from orm.fields import (
    BigInteger,
    Binary,
    Boolean,
    Date,
    DateTime,
    Decimal,
    Duration,
    Field,
    Float,
    Text,
    Time,
)
from orm.lookups import lookup_type
from orm.planning.paths import Path

if TYPE_CHECKING:
    from orm.planning.rendering import Rendering

ARITHMETIC: dict[str, Callable[[Any, Any], ColumnElement[Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "%": operator.mod,
    # SQL's own division, of integers on most databases, as in Django.
    "/": lambda left, right: left.op("/", precedence=8)(right),
}

DECIMAL = Decimal(max_digits=38, decimal_places=19)
# How a Python value that no field stands beside is bound; the first that fits.
VALUE_FIELDS: tuple[tuple[type, Field[Any]], ...] = (
    (bool, Boolean()),
    (int, BigInteger()),
    (float, Float()),
    (str, Text()),
    (decimal.Decimal, DECIMAL),
    (datetime.datetime, DateTime()),
    (datetime.date, Date()),
    (datetime.time, Time()),
    (datetime.timedelta, Duration()),
    (bytes, Binary()),
)
AWARE_DATETIME = DateTime(timezone=True)


class Term:
    """A resolved expression."""

    key: Hashable
    """Its share of the query's shape."""
    values: tuple[Any, ...] = ()
    """Its arguments, in the order in which `render` binds them."""
    field: Field[Any]
    """How values are compared with it and read from it."""
    nullable: bool = True

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        """Its SQL. `required`: rows for which a relation on the way is missing are not wanted."""
        raise NotImplementedError

    def columns(self) -> tuple[PathTerm, ...]:
        """The columns that it reads."""
        return ()


class PathTerm(Term):
    """A column."""

    __slots__ = ("field", "key", "nullable", "path", "scope")

    def __init__(self, path: Path, scope: int = 0) -> None:
        self.path = path
        self.scope = scope
        """Which join of its relations it reads, where they lead to many rows: see `Names`."""
        self.key = (path, scope)
        self.field = path.field
        self.nullable = path.nullable

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return rendering.column(self.path, self.scope, required=required)

    def columns(self) -> tuple[PathTerm, ...]:
        return (self,)


class ValueTerm(Term):
    """A Python value, bound as `field` binds it."""

    __slots__ = ("field", "key", "values")
    nullable = False

    def __init__(self, value: Any, field: Field[Any]) -> None:
        self.values = (value,)
        self.field = field
        self.key = ("value", repr(lookup_type(field)))

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return rendering.bind(lookup_type(self.field))


class CombinedTerm(Term):
    """Arithmetic on two terms."""

    def __init__(self, symbol: str, left: Term, right: Term) -> None:
        self.symbol = symbol
        self.left = left
        self.right = right
        self.key = (symbol, left.key, right.key)
        self.values = (*left.values, *right.values)
        self.field = _result_field(left.field, right.field)
        self.nullable = left.nullable or right.nullable

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        left = self.left.render(rendering, required=required)
        right = self.right.render(rendering, required=required)
        combined = ARITHMETIC[self.symbol](left, right)
        return sqlalchemy.type_coerce(combined, lookup_type(self.field)).self_group()

    def columns(self) -> tuple[PathTerm, ...]:
        return (*self.left.columns(), *self.right.columns())


class OuterTerm(Term):
    """A term of the query that this one is inside of."""

    def __init__(self, term: Term) -> None:
        self.term = term
        self.key = ("outer", term.key)
        self.values = term.values
        self.field = term.field

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        assert rendering.outer is not None
        return self.term.render(rendering.outer)


class ClauseTerm(Term):
    """A clause of SQLAlchemy's, which takes part by SQLAlchemy's own cache key."""

    def __init__(self, clause: ClauseElement) -> None:
        self.clause = clause
        cache_key = clause._generate_cache_key()
        if cache_key is None:
            # Some construct in it cannot be cached: its shape is its own, and is planned each time.
            self.key = ("clause", object())
            self._parameters: list[Any] = []
            visitors.traverse(clause, {}, {"bindparam": self._parameters.append})
        else:
            self.key = ("clause", cache_key.key)
            self._parameters = list(cache_key.bindparams)
        self.values = tuple(_value_of(parameter) for parameter in self._parameters)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        binds = rendering.binds
        first = binds.reserve(len(self._parameters))
        positions = {id(p): first + i for i, p in enumerate(self._parameters)}

        def replace(element: Any, **kw: Any) -> Any:
            if isinstance(element, sqlalchemy.BinaryExpression) and element.operator in (
                operators.in_op,
                operators.not_in_op,
            ):
                right = element.right
                if isinstance(right, sqlalchemy.BindParameter) and right.expanding:
                    left = visitors.replacement_traverse(element.left, {}, replace)
                    values = binds.at(positions[id(right)], constructs.ListOf(right.type))
                    found = constructs.InList(left, values)
                    return ~found if element.operator is operators.not_in_op else found
            if isinstance(element, sqlalchemy.BindParameter) and id(element) in positions:
                return binds.at(positions[id(element)], element.type)
            return None

        rendered: Any = visitors.replacement_traverse(self.clause, {}, replace)
        rendering.include(rendered)
        return rendered  # type: ignore[no-any-return]


def _value_of(parameter: sqlalchemy.BindParameter[Any]) -> Any:
    value = parameter.effective_value
    return tuple(value) if parameter.expanding and value is not None else value


def _result_field(left: Field[Any], right: Field[Any]) -> Field[Any]:
    for kind in ("datetime", "date", "time", "duration", "float", "decimal"):
        for field in (left, right):
            if field.kind == kind:
                return field
    return left


def value_field(value: Any) -> Field[Any]:
    """A field that binds a value of this type. Raises `QueryError` if there is none."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return AWARE_DATETIME
    for python_type, field in VALUE_FIELDS:
        if isinstance(value, python_type):
            return field
    raise QueryError(f"A value of type {type(value).__name__} cannot stand in an expression by itself.")
