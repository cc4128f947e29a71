"""Terms: expressions resolved against a model, each with its share of the query's shape and values."""

from __future__ import annotations

import datetime
import decimal
import operator
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy
from sqlalchemy import ClauseElement, ColumnElement
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.types import TypeEngine

from orm.aggregates import Gathered
from orm.database import constructs
from orm.database.calls import Call
from orm.database.types import Computed
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
from orm.planning.moments import moment_arithmetic, moment_field
from orm.planning.paths import Path

if TYPE_CHECKING:
    from orm.aggregates import Aggregate
    from orm.ctes import CTE
    from orm.expressions import Func
    from orm.planning.query import Query
    from orm.planning.rendering import Rendering
    from orm.windows import Frame

ARITHMETIC: dict[str, Callable[[Any, Any], ColumnElement[Any]]] = {
    "&": lambda left, right: Call("signed", left.bitwise_and(right)),
    "|": lambda left, right: Call("signed", left.bitwise_or(right)),
    # Not every database has an operator for it.
    "^": lambda left, right: Call("signed", left.bitwise_or(right)) - Call("signed", left.bitwise_and(right)),
    "<<": lambda left, right: Call("signed", left.bitwise_lshift(sqlalchemy.cast(right, sqlalchemy.Integer()))),
    ">>": lambda left, right: Call("shifted_right", left, sqlalchemy.cast(right, sqlalchemy.Integer())),
    "**": sqlalchemy.func.power,
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
TEMPORAL = ("date", "time", "datetime")


class Term:
    """A resolved expression."""

    key: Hashable
    """Its share of the query's shape."""
    values: tuple[Any, ...] = ()
    """Its arguments, in the order in which `render` binds them."""
    field: Field[Any]
    """How values are compared with it and read from it."""
    nullable: bool = True
    reads: tuple[Term, ...] = ()
    """Of a subquery that stands for itself: what it reads of the query around it."""
    typed: bool = True
    """Whether its `field` is known by itself."""
    aggregate: bool = False
    """Whether it is of a group of rows, not of one."""
    window: bool = False
    """Whether it is known only once all rows are: a condition on it comes last."""

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        """Its SQL. `required`: rows for which a relation on the way is missing are not wanted."""
        raise NotImplementedError

    def columns(self) -> tuple[PathTerm, ...]:
        """The columns that make it NULL by being so."""
        return ()

    @property
    def many(self) -> bool:
        """Whether it is a column at the end of a relation that leads to many rows."""
        return False

    def leaves(self) -> tuple[Term, ...]:
        """The columns and annotations that it reads."""
        return ()


class PathTerm(Term):
    """A column."""

    __slots__ = ("aggregates", "field", "key", "nullable", "path", "scope")

    def __init__(self, path: Path, scope: int = 0) -> None:
        self.path = path
        self.aggregates: dict[Hashable, AggregateTerm] = {}
        """What has been resolved of it: aggregates without a condition, by their shape."""
        self.scope = scope
        """Which join of its relations it reads, where they lead to many rows: see `Names`."""
        self.key = (path, scope)
        self.field = path.field
        self.nullable = path.nullable

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return rendering.column(self.path, self.scope, required=required)

    @property
    def many(self) -> bool:
        return self.path.many

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
        self.key = ("value", repr(lookup_type(field)))

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        type_ = lookup_type(self.field)
        bound = rendering.bind(type_)
        if self.field.kind not in TEMPORAL:
            return bound
        return Call("typed", bound, words=(self.field.kind,), type_=type_)


class CombinedTerm(Term):
    """Arithmetic on two terms."""

    def __init__(self, symbol: str, left: Term, right: Term) -> None:
        self.symbol = symbol
        self.left = left
        self.right = right
        self.key = (symbol, left.key, right.key)
        self.values = (*left.values, *right.values)
        fields = [term.field for term in (left, right) if term.typed]
        moment = moment_field(symbol, *fields) if len(fields) == 2 else None
        self.is_moment = moment is not None
        self.field = moment or (_result_field(*fields) if len(fields) == 2 else (fields or [left.field])[0])
        self.nullable = left.nullable or right.nullable
        self.aggregate = left.aggregate or right.aggregate
        self.window = left.window or right.window

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        left = self.left.render(rendering, required=required)
        right = self.right.render(rendering, required=required)
        if self.is_moment:
            found = moment_arithmetic(self.symbol, self.left.field, self.right.field, left, right)
            return sqlalchemy.type_coerce(found, lookup_type(self.field))
        combined = ARITHMETIC[self.symbol](left, right)
        # A power of whole numbers is a float to most databases, their sum a decimal to MySQL.
        type_ = result_type(self.field) if self.field.kind in ("integer", "float") else lookup_type(self.field)
        return sqlalchemy.type_coerce(combined, type_).self_group()

    def columns(self) -> tuple[PathTerm, ...]:
        return (*self.left.columns(), *self.right.columns())

    def leaves(self) -> tuple[Term, ...]:
        return (*self.left.leaves(), *self.right.leaves())


class FuncTerm(Term):
    """A function of terms."""

    def __init__(self, function: Func[Any], arguments: tuple[Term, ...]) -> None:
        self.function = function
        self.arguments = arguments
        self.fields = tuple(_known_field(term) for term in arguments)
        self.field = function.result(*(field for field in self.fields if field is not None))
        shape = (type(function), function.options, lookup_key(self.field))
        self.key = (shape, *(term.key for term in arguments))
        self.values = tuple(value for term in arguments for value in term.values)
        self.aggregate = any(term.aggregate for term in arguments)
        self.window = any(term.window for term in arguments)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return sqlalchemy.type_coerce(self.call(rendering), result_type(self.field))

    def call(self, rendering: Rendering) -> ColumnElement[Any]:
        """The function call itself."""
        return self.function.build_from(self.fields, *(term.render(rendering) for term in self.arguments))

    def leaves(self) -> tuple[Term, ...]:
        return tuple(leaf for term in self.arguments for leaf in term.leaves())


class AggregateTerm(Term):
    """A function over the rows of a group, of those that meet a condition."""

    aggregate = True

    def __init__(
        self,
        function: Aggregate[Any],
        argument: Term,
        condition: Condition,
        default: Term | None,
        rest: tuple[Term, ...] = (),
    ) -> None:
        self.function = function
        self.argument = argument
        self.rest = rest
        """What the function takes besides: a delimiter, what to order by."""
        self.condition = condition
        self.default = default
        self.field = function.result(argument.field)
        shape = (type(function), function.options, lookup_key(self.field), argument.key, condition.key)
        self.key = (shape, default and default.key, *(term.key for term in rest))
        others = tuple(value for term in rest for value in term.values)
        self.values = (*condition.values, *argument.values, *others, *(default.values if default else ()))

    @property
    def of_nothing(self) -> Term | None:
        """What it is of no rows, where that is known without asking the database."""
        if self.default is not None:
            return self.default if isinstance(self.default, ValueTerm) else None
        value = self.function.of_nothing
        return NULL if value is None else ValueTerm(value, self.field)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        found = self.call(rendering)
        if self.default is not None:
            found = sqlalchemy.func.coalesce(found, self.default.render(rendering))
        return sqlalchemy.type_coerce(found, result_type(self.field))

    def call(self, rendering: Rendering) -> ColumnElement[Any]:
        """The function call itself."""
        condition = self.condition.render(rendering, required=False, negated=False)
        argument = self.argument.render(rendering)
        rest = [term.render(rendering) for term in self.rest]
        if isinstance(self.function, Gathered):
            taking_part = None if self.condition.key is True else condition
            return self.function.gather(self.argument.field, taking_part, argument, *rest)
        if self.condition.key is not True:
            # Rows that do not take part count as NULL, which aggregates pass over, on every database.
            counted = sqlalchemy.literal_column("1") if isinstance(self.argument, RowTerm) else argument
            argument = sqlalchemy.case((condition, counted))
        return self.function.build(argument)

    def leaves(self) -> tuple[Term, ...]:
        others = (leaf for term in self.rest for leaf in term.leaves())
        return (*self.condition.leaves(), *self.argument.leaves(), *others)


class WindowTerm(Term):
    """A function over the rows around each row."""

    window = True

    def __init__(
        self,
        call: FuncTerm | AggregateTerm,
        partition: tuple[Term, ...],
        order: tuple[Ordered, ...],
        frame: Frame | None,
    ) -> None:
        self.inner = call
        self.partition = partition
        self.order = order
        self.frame = frame
        self.field = call.field
        self.key = (
            *("window", call.key, tuple(term.key for term in partition), tuple(term.key for term in order)),
            None if frame is None else frame.key,
        )
        parts: tuple[Any, ...] = (call, *partition, *order)
        self.values = tuple(value for part in parts for value in part.values)
        # Over groups, it is computed from aggregates, and is none itself.
        self.aggregate = False

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        call: Any = self.inner.call(rendering)
        frame: dict[str, Any] = {}
        if self.frame is not None:
            frame["range_" if self.frame.by_value else "rows"] = (self.frame.start, self.frame.end)
        found = call.over(
            partition_by=[term.render(rendering) for term in self.partition] or None,
            order_by=[element for term in self.order for element in term.render(rendering)] or None,
            **frame,
        )
        return sqlalchemy.type_coerce(found, result_type(self.field))

    def leaves(self) -> tuple[Term, ...]:
        parts = (self.inner, *self.partition, *(term.term for term in self.order))
        return tuple(leaf for part in parts for leaf in part.leaves())


class CTETerm(Term):
    """A column of a common table expression."""

    def __init__(self, cte: CTE, name: str) -> None:
        self.cte = cte
        self.name = name
        self.field = cte.field(name)
        self.key = ("cte", cte.name, name)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return rendering.cte_column(self.cte, self.name)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)


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


class CaseTerm(Term):
    """The first of several terms whose condition holds."""

    def __init__(
        self, branches: tuple[tuple[Condition, Term], ...], default: Term, output_field: Field[Any] | None
    ) -> None:
        self.branches = branches
        self.default = default
        outcomes = [*(term for _, term in branches), default]
        telling = next((term.field for term in outcomes if term is not NULL), None)
        if output_field is None and telling is None:
            raise QueryError("A Case() whose every outcome is None needs output_field=.")
        self.field = output_field or telling
        self.key = ("case", *((when.key, then.key) for when, then in branches), default.key, lookup_key(self.field))
        found: list[Any] = []
        for when, then in branches:
            found += [*when.values, *then.values]
        self.values = (*found, *default.values)
        self.aggregate = any(term.aggregate for term in outcomes) or any(when.aggregate for when, _ in branches)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        pairs = [
            (when.render(rendering, required=False, negated=False), then.render(rendering))
            for when, then in self.branches
        ]
        default = self.default.render(rendering)
        found = sqlalchemy.case(*pairs, else_=default) if pairs else default
        return sqlalchemy.type_coerce(found, result_type(self.field))

    def leaves(self) -> tuple[Term, ...]:
        found = [leaf for when, then in self.branches for leaf in (*when.leaves(), *then.leaves())]
        return (*found, *self.default.leaves())


class ConditionTerm(Term):
    """A condition as a value: true, false, or NULL where it is neither."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.key = ("condition", condition.key)
        self.values = condition.values
        self.field = VALUE_FIELDS[0][1]
        self.aggregate = condition.aggregate

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        condition = self.condition.render(rendering, required=False, negated=False)
        return sqlalchemy.type_coerce(Grouping(condition), Computed("boolean"))

    def leaves(self) -> tuple[Term, ...]:
        return self.condition.leaves()


class SubqueryTerm(Term):
    """The one value that another query selects."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.field = query.projection.field
        self.key = ("subquery", query.key)
        self.values = query.values

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        found = self.query.subselect(rendering, nested=False).scalar_subquery()
        return sqlalchemy.type_coerce(found, result_type(self.field))


class OuterRefTerm(Term):
    """A name of the query that this one is inside of, which is known when it is rendered there."""

    typed = False

    def __init__(self, name: str, depth: int) -> None:
        self.name = name
        self.depth = depth
        self.key = ("outer name", name, depth)

    @property
    def field(self) -> Field[Any]:
        raise QueryError(
            f"OuterRef({self.name!r}) can be compared with; what it is otherwise depends on the outer query."
        )

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        outer: Rendering | None = rendering
        for _ in range(self.depth):
            outer = None if outer is None else outer.outer
        if outer is None:
            raise QueryError(
                f"OuterRef({self.name!r}) outside of a subquery: a queryset with one can only be used in "
                "Subquery(), Exists() or a lookup of another query."
            )
        return outer.named(self.name)


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
            else sqlalchemy.type_coerce(sqlalchemy.null(), result_type(self._field))
        )


NULL = NullTerm()


def _known_field(term: Term) -> Field[Any] | None:
    """The field of an argument, if there is one: NULL has none, and that of an outer query's name is not known yet."""
    return None if term is NULL or isinstance(term, OuterRefTerm) else term.field


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


class Ordered(Protocol):
    """What a window needs to know of its ordering: see `orm.planning.ordering.OrderTerm`."""

    key: Hashable
    values: tuple[Any, ...]
    term: Term

    def render(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        """Its SQL."""


class Condition(Protocol):
    """What a term needs to know of a condition inside it: see `orm.planning.conditions.Node`."""

    key: Hashable
    values: tuple[Any, ...]
    aggregate: bool

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        """Its SQL."""

    def leaves(self) -> tuple[Term, ...]:
        """The columns and annotations that it reads."""


def lookup_key(field: Field[Any]) -> Hashable:
    """What tells one result type from another, for a query's shape."""
    if field.kind in Computed.PYTHON:
        return field.kind
    found: Hashable = field.__dict__.get("_lookup_key")
    if found is None:
        found = field.__dict__["_lookup_key"] = repr(result_type(field))
    return found


def result_type(field: Field[Any]) -> TypeEngine[Any]:
    """The type that reads a computed value as the field's: drivers answer sums and means as they please."""
    if field.kind in Computed.PYTHON:
        return Computed(field.kind)
    return lookup_type(field)


def value_field(value: Any) -> Field[Any]:
    """A field that binds a value of this type. Raises `QueryError` if there is none."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return AWARE_DATETIME
    for python_type, field in VALUE_FIELDS:
        if isinstance(value, python_type):
            return field
    raise QueryError(f"A value of type {type(value).__name__} cannot stand in an expression by itself.")
