"""Terms: expressions resolved against a model, each with its share of the query's shape and values.

Here are those of a single operand; what is calculated is in `calculated`, what needs several rows in `over_rows`,
what reads another query in `nested`.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy
from sqlalchemy import ClauseElement, ColumnElement
from sqlalchemy.sql import operators as sqlalchemy_operators
from sqlalchemy.sql import visitors
from sqlalchemy.types import TypeEngine

from orm.database.sql import operators
from orm.database.sql.functions import SQLFunction
from orm.database.types.column_types import ORMType
from orm.exceptions import QueryError
from orm.fields import (
    Array,
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
from orm.query.paths import Path

if TYPE_CHECKING:
    from orm.query.rendering import Rendering
    from orm.query.terms.aggregates import AggregateTerm

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
    outer_terms: tuple[Term, ...] = ()
    """Of a subquery that stands for itself: what it reads of the query around it."""
    typed: bool = True
    """Whether its `field` is known by itself."""
    aggregate: bool = False
    """Whether it is of a group of rows, not of one."""
    window: bool = False
    """Whether it is known only once all rows are: a condition on it comes last."""
    many: bool = False
    """Whether it is a column at the end of a relation that leads to many rows."""

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        """Its SQL. `required`: rows for which a relation on the way is missing are not wanted."""
        raise NotImplementedError

    def columns(self) -> tuple[PathTerm, ...]:
        """The columns that make it NULL by being so."""
        return ()

    def leaves(self) -> tuple[Term, ...]:
        """The columns and annotations that it reads."""
        return ()


class PathTerm(Term):
    """A column."""

    __slots__ = ("aggregates", "field", "join_number", "key", "many", "nullable", "path")

    def __init__(self, path: Path, join_number: int = 0) -> None:
        self.path = path
        self.aggregates: dict[Hashable, AggregateTerm] = {}
        """The aggregates of it that were resolved, by their shape; those with a condition are not kept."""
        self.join_number = join_number
        """Which join of its relations it reads, where they lead to many rows: see `Joins`."""
        self.many = path.many
        self.key = (path, join_number)
        self.field = path.field
        self.nullable = path.nullable

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return rendering.column(self.path, self.join_number, required=required)

    @classmethod
    def of(cls, path: Path) -> PathTerm:
        """The term of a path that leads to a single row: always the same object."""
        term: PathTerm | None = path.term
        if term is None:
            term = path.term = cls(path)
        return term

    def columns(self) -> tuple[PathTerm, ...]:
        return (self,)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)


class ValueTerm(Term):
    """A Python value, bound as `field` binds it."""

    __slots__ = ("field", "key", "values")
    nullable = False

    def __init__(self, value: Any, field: Field[Any]) -> None:
        self.values = (value,)
        self.field = field
        self.key = ("value", lookup_key(field))

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        type_ = self.field.comparison_type()
        bound = rendering.bind(type_)
        if not self.field.is_temporal:
            return bound
        return SQLFunction("typed", bound, words=(self.field.family,), type_=type_)


class RowTerm(Term):
    """The row as a whole: ``*``."""

    key = "*"
    nullable = False

    def __init__(self) -> None:
        self.field = VALUE_FIELDS[1][1]

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return sqlalchemy.literal_column("*")


class AnnotationTerm(Term):
    """A reference to an annotation, which the statement computes once."""

    def __init__(self, name: str, term: Term, *, selectable: bool = True) -> None:
        self.name = name
        self.term = term
        self.selectable = selectable
        """Whether values() may select it; what alias() made serves conditions and orderings only."""
        self.key = ("annotation", name)
        self.field = term.field
        self.aggregate = term.aggregate
        self.window = term.window

    def of_a_row(self) -> AnnotationTerm:
        """The same, where it has been computed already."""
        made = AnnotationTerm(self.name, self.term, selectable=self.selectable)
        made.aggregate = False
        return made

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return rendering.annotation(self.name)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)


class NullTerm(Term):
    """NULL, of a type if one was given."""

    key: Hashable = "null"

    def __init__(self, output_field: Field[Any] | None = None) -> None:
        self._field = output_field
        if output_field is not None:
            self.key = ("null", lookup_key(output_field))

    @property
    def field(self) -> Field[Any]:
        if self._field is None:
            raise QueryError("None has no type of its own here: give output_field=.")
        return self._field

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return (
            sqlalchemy.null()
            if self._field is None
            else sqlalchemy.type_coerce(sqlalchemy.null(), self._field.result_type())
        )


NULL = NullTerm()


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
                sqlalchemy_operators.in_op,
                sqlalchemy_operators.not_in_op,
            ):
                right = element.right
                if isinstance(right, sqlalchemy.BindParameter) and right.expanding:
                    left = visitors.replacement_traverse(element.left, {}, replace)
                    values = binds.at(positions[id(right)], operators.ListOf(right.type))
                    found = operators.InList(left, values)
                    return ~found if element.operator is sqlalchemy_operators.not_in_op else found
            if isinstance(element, sqlalchemy.BindParameter) and id(element) in positions:
                return binds.at(positions[id(element)], element.type)
            return None

        rendered: Any = visitors.replacement_traverse(self.clause, {}, replace)
        rendering.include(rendered)
        return rendered  # type: ignore[no-any-return]


def _value_of(parameter: sqlalchemy.BindParameter[Any]) -> Any:
    value = parameter.effective_value
    return tuple(value) if parameter.expanding and value is not None else value


class Condition(Protocol):
    """What a term needs to know of a condition inside it: see `orm.query.conditions.base.Predicate`."""

    key: Hashable
    values: tuple[Any, ...]
    aggregate: bool
    window: bool

    @property
    def truth(self) -> bool | None:
        """Whether it is always true, or never; None where only the database can tell."""

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        """Its SQL."""

    def leaves(self) -> tuple[Term, ...]:
        """The columns and annotations that it reads."""


def lookup_key(field: Field[Any]) -> Hashable:
    """What a plan knows of the field of an expression: how values are bound, read from rows, and converted to JSON."""
    key: Hashable = field.__dict__.get("_lookup_key")
    if key is None:
        underlying = field.underlying_field
        key = field.__dict__["_lookup_key"] = (
            *(type(field), _type_key(field.comparison_type()), _type_key(field.result_type())),
            type(underlying),
            lookup_key(underlying.field) if isinstance(underlying, Array) else None,
        )
    return key


def _type_key(type_: TypeEngine[Any]) -> Hashable:
    return type_.cache_key if isinstance(type_, ORMType) else (type(type_), repr(type_))


def value_field(value: Any) -> Field[Any]:
    """A field that binds a value of this type. Raises `QueryError` if there is none."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return AWARE_DATETIME
    for python_type, field in VALUE_FIELDS:
        if isinstance(value, python_type):
            return field
    raise QueryError(f"A value of type {type(value).__name__} cannot stand in an expression by itself.")
