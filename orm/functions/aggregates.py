"""Aggregates: `AnyValue`, `Count`, `Sum`, `Avg`, `Min`, `Max`, `StdDev`, `Variance`, and those that collect values."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

import sqlalchemy
from sqlalchemy import ColumnElement, func

from orm.database.sql.functions import CastTo, CollectionAggregate, SQLFunction
from orm.database.types import column_types
from orm.exceptions import QueryError
from orm.expressions.base import Condition, Expression, F, Operand, Ordering
from orm.fields import Array, Field
from orm.functions.base import BIG_INTEGER, DECIMAL, FLOAT, JSON_VALUE, TEXT, Func, Value, as_text
from orm.functions.result_types import number_field

T = TypeVar("T")
V = TypeVar("V")


class Aggregate(Func[T]):
    """A function over the rows of a group.

    `distinct` counts equal values once, `filter` is a condition on the rows that are aggregated, and `default` is
    the result if there are none. As in Django, aggregates over two to-many relations in one query multiply each
    other's rows: use `distinct=True` or a `Subquery`.
    """

    name: ClassVar[str] = ""
    """The suffix of its default alias: ``level__count``."""
    empty_result: ClassVar[Any] = None
    """Its value if there are no rows."""
    arity: ClassVar[int] = 1
    """The number of expressions that it takes."""
    window_compatible: ClassVar[bool] = True
    """Whether `Window()` takes it."""
    allow_distinct: ClassVar[bool] = True
    """Whether it takes `distinct=`: False for a class that defines `build()`, unless it says that it applies it."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.__dict__.keys().isdisjoint({"build", "build_from"}) and "allow_distinct" not in cls.__dict__:
            cls.allow_distinct = False

    def __init__(
        self,
        expression: Operand,
        *others: Operand,
        distinct: bool = False,
        filter: Condition | None = None,
        default: Any = None,
        output_field: Field[Any] | None = None,
    ) -> None:
        if 1 + len(others) != self.arity:
            raise QueryError(
                f"{type(self).__name__}() takes {self.arity} expression{'s' * (self.arity > 1)}, got {1 + len(others)}."
            )
        super().__init__(expression, *others, output_field=output_field)
        if distinct and not self.allow_distinct:
            raise QueryError(
                f"{type(self).__name__}() does not support distinct=True: its build() is its own. If it applies "
                "self.distinct, set allow_distinct = True."
            )
        self.distinct = distinct
        self.filter = filter
        self.default = default

    @property
    def options(self) -> Hashable:
        """Whether equal values count once."""
        return self.distinct

    @property
    def default_alias(self) -> str:
        """The name of an aggregate that is passed without a keyword. Raises `QueryError` if there is none."""
        argument = self.arguments[0]
        path = getattr(argument, "path", None) or "__".join(getattr(argument, "_path", ()))
        if not path:
            raise QueryError(f"{self!r} needs a name: pass it as a keyword.")
        return f"{path}__{self.name}"

    def _of_decimals(self, name: str, argument: ColumnElement[Any]) -> ColumnElement[Any]:
        if self.function not in ("sum", "avg") or type(self).build is not Aggregate.build:
            return self.build(argument)
        return SQLFunction(name, sqlalchemy.distinct(argument) if self.distinct else argument)

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        argument, *others = arguments
        return super().build(sqlalchemy.distinct(argument) if self.distinct else argument, *others)


class Count(Aggregate[int]):
    """The number of values that are not NULL; ``Count("*")`` counts rows."""

    name = "count"
    function = "count"
    empty_result = 0

    def __init__(self, expression: Operand = "*", *, distinct: bool = False, filter: Condition | None = None) -> None:
        star = isinstance(expression, str) and expression == "*"
        if star and distinct:
            raise QueryError('Count("*", distinct=True) is not possible: name the field to count.')
        super().__init__(AllRows() if star else expression, distinct=distinct, filter=filter)

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A big integer field."""
        return BIG_INTEGER


class AllRows(Expression[int]):
    """The ``*`` of ``COUNT(*)``."""

    def __repr__(self) -> str:
        return "'*'"


def _as_number(field: Field[Any], argument: ColumnElement[Any]) -> ColumnElement[Any]:
    # PostgreSQL does not add booleans.
    if field.family == "boolean":
        return CastTo(argument, "boolean", "integer", column_types.Integer())
    return argument


def _as_float(field: Field[Any], argument: ColumnElement[Any]) -> ColumnElement[Any]:
    # Databases differ in the digits of what they calculate of integers and decimals: MySQL and MariaDB stop after four.
    if field.family == "float":
        return argument
    return CastTo(_as_number(field, argument), field.family, "float", column_types.Float())


class Sum(Aggregate[T]):
    """The sum; None if there are no rows. Booleans count as 0 and 1, members of an integer enum as their values."""

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: Sum[V | None], expression: Expression[V], *, distinct: bool = ..., filter: Condition | None = ...
        ) -> None: ...
        @overload
        def __init__(
            self: Sum[V],
            expression: Expression[V],
            *,
            default: V,
            distinct: bool = ...,
            filter: Condition | None = ...,
        ) -> None: ...
        @overload
        def __init__(
            self: Sum[Any],
            expression: Operand,
            *,
            distinct: bool = ...,
            filter: Condition | None = ...,
            default: Any = ...,
            output_field: Field[Any] | None = ...,
        ) -> None: ...
        def __init__(self, expression: Any, **options: Any) -> None: ...

    name = "sum"
    function = "sum"
    allow_distinct = True

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """The field that is summed; a big integer field for integers, whose sum may exceed their own range."""
        field = number_field(super().result(*fields))
        return BIG_INTEGER if field.family == "integer" else field

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for a rendered argument of this field."""
        (field,), (argument,) = fields, arguments
        if field is not None and field.family == "decimal":
            return self._of_decimals("decimal_sum", argument)
        return self.build(argument if field is None else _as_number(field, argument))


class Avg(Aggregate[Any]):
    """The mean: a float, or a `Decimal` if the values are decimals. Booleans count as 0 and 1."""

    name = "avg"
    function = "avg"
    allow_distinct = True

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A field of floats, decimals or durations."""
        field = number_field(super().result(*fields))
        return FLOAT if field.family == "integer" else DECIMAL if field.family == "decimal" else field

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for a rendered argument of this field."""
        (field,), (argument,) = fields, arguments
        if field is not None and self.result(field).family == "float":
            argument = _as_float(field, argument)
        elif field is not None and field.family == "decimal":
            return self._of_decimals("decimal_mean", argument)
        return self.build(argument)


class Extreme(Aggregate[T]):
    """The base of the smallest and the largest value."""

    allow_distinct = True
    boolean_function: ClassVar[str]
    """The function of booleans, for which PostgreSQL has no MIN() and MAX()."""

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for a rendered argument of this field."""
        (field,), (argument,) = fields, arguments
        if field is not None and field.family == "boolean":
            return SQLFunction(self.boolean_function, sqlalchemy.distinct(argument) if self.distinct else argument)
        return self.build(argument)


class Min(Extreme[T]):
    """The smallest value; of booleans, whether all are true."""

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: Min[V | None], expression: Expression[V], *, distinct: bool = ..., filter: Condition | None = ...
        ) -> None: ...
        @overload
        def __init__(
            self: Min[V],
            expression: Expression[V],
            *,
            default: V,
            distinct: bool = ...,
            filter: Condition | None = ...,
        ) -> None: ...
        @overload
        def __init__(
            self: Min[Any],
            expression: Operand,
            *,
            distinct: bool = ...,
            filter: Condition | None = ...,
            default: Any = ...,
            output_field: Field[Any] | None = ...,
        ) -> None: ...
        def __init__(self, expression: Any, **options: Any) -> None: ...

    name = "min"
    function = "min"
    boolean_function = "bool_and"


class Max(Extreme[T]):
    """The largest value; of booleans, whether any is true."""

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: Max[V | None], expression: Expression[V], *, distinct: bool = ..., filter: Condition | None = ...
        ) -> None: ...
        @overload
        def __init__(
            self: Max[V],
            expression: Expression[V],
            *,
            default: V,
            distinct: bool = ...,
            filter: Condition | None = ...,
        ) -> None: ...
        @overload
        def __init__(
            self: Max[Any],
            expression: Operand,
            *,
            distinct: bool = ...,
            filter: Condition | None = ...,
            default: Any = ...,
            output_field: Field[Any] | None = ...,
        ) -> None: ...
        def __init__(self, expression: Any, **options: Any) -> None: ...

    name = "max"
    function = "max"
    boolean_function = "bool_or"


class AnyValue(Aggregate[Any]):
    """One of the values that are not NULL, whichever the database prefers: for a field that a group has once.

        Order.objects.values("customer").annotate(name=AnyValue("customer__name"), n=Count("id"))

    As in Django, it takes no `distinct=` and is no window function. Not for JSON on MySQL.
    """

    name = "anyvalue"
    allow_distinct = False
    window_compatible = False

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for a rendered argument."""
        return SQLFunction("any_value", *arguments)


class Dispersion(Aggregate[float]):
    """The base of standard deviation and variance, of a population or (`sample=True`) of a sample."""

    functions: ClassVar[tuple[str, str]]
    allow_distinct = True

    def __init__(self, expression: Operand, *, sample: bool = False, **options: Any) -> None:
        super().__init__(expression, **options)
        self.sample = sample

    @property
    def options(self) -> Hashable:
        """Whether equal values count once, and whether the rows are a sample."""
        return self.distinct, self.sample

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        (argument,) = arguments
        function = getattr(func, self.functions[self.sample])
        call: ColumnElement[Any] = function(sqlalchemy.distinct(argument) if self.distinct else argument)
        return call

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for a rendered argument of this field."""
        (field,), (argument,) = fields, arguments
        return self.build(argument if field is None else _as_float(field, argument))

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A float field."""
        return FLOAT


class StdDev(Dispersion):
    """The standard deviation."""

    name = "stddev"
    functions = ("stddev_pop", "stddev_samp")


class Variance(Dispersion):
    """The variance."""

    name = "variance"
    functions = ("var_pop", "var_samp")


class OrderableAggregate(Aggregate[T]):
    """An aggregate that collects the values of a group into one value, in the order of `order_by`.

    `order_by` takes one or more terms, as `QuerySet.order_by()` does: ``order_by="-created"``. Without it the order
    is undefined. The result is None (or `default`) if there are no rows.
    """

    sql_name: ClassVar[str]

    def __init__(
        self,
        expression: Operand,
        *arguments: Operand,
        distinct: bool = False,
        filter: Condition | None = None,
        default: Any = None,
        order_by: str | Expression[Any] | Ordering | Sequence[str | Expression[Any] | Ordering] = (),
    ) -> None:
        super().__init__(expression, distinct=distinct, filter=filter, default=default)
        terms = [order_by] if isinstance(order_by, (str, Expression, Ordering)) else list(order_by)
        orderings = [_ordering(term) for term in terms]
        self.arguments = (*self.arguments, *arguments, *(term.expression for term in orderings))
        self.descending = tuple(term.descending for term in orderings)

    @property
    def options(self) -> Hashable:
        """Whether equal values count once, and the direction of each ordering term."""
        return self.distinct, self.descending

    def build_collection(
        self, field: Field[Any], condition: ColumnElement[bool] | None, *arguments: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """The SQL for rendered arguments, over the rows that meet `condition`. `field` is the first argument's."""
        return CollectionAggregate(
            self.sql_name, *arguments, distinct=self.distinct, descending=self.descending, condition=condition
        )


def _ordering(term: str | Expression[Any] | Ordering) -> Ordering:
    if isinstance(term, str):
        return Ordering(F(term.removeprefix("-")), term.startswith("-"))
    if isinstance(term, Ordering):
        if term.nulls is not None:
            raise QueryError("An aggregate's order_by= does not support nulls_first and nulls_last.")
        return term
    if not isinstance(term, Expression):
        raise QueryError(f"order_by= takes names and expressions, got {type(term).__name__}.")
    return Ordering(term)


class StringAgg(OrderableAggregate[str]):
    """The texts of a group, joined by `delimiter`; NULLs are skipped."""

    name = "stringagg"
    sql_name = "string_agg"

    def __init__(self, expression: Operand, delimiter: str, **options: Any) -> None:
        if not isinstance(delimiter, str):
            raise QueryError(f"StringAgg() takes its delimiter as text, got {type(delimiter).__name__}.")
        super().__init__(expression, Value(delimiter), **options)

    def build_collection(
        self, field: Field[Any], condition: ColumnElement[bool] | None, *arguments: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """The SQL for rendered arguments, over the rows that meet `condition`."""
        first, *others = arguments
        return super().build_collection(field, condition, as_text(field, first), *others)

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A text field."""
        return TEXT


class ArrayAgg(OrderableAggregate["list[Any]"]):
    """The values of a group as a list, NULLs included. PostgreSQL only; `JSONAgg` works on every database."""

    name = "arrayagg"
    sql_name = "array_agg"

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """An array of the argument's field."""
        return Array(fields[0])


class JSONAgg(OrderableAggregate["list[Any]"]):
    """The values of a group as a JSON array, NULLs as null."""

    name = "jsonagg"
    sql_name = "json_agg"

    def build_collection(
        self, field: Field[Any], condition: ColumnElement[bool] | None, *arguments: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """The SQL for rendered arguments, over the rows that meet `condition`."""
        first, *others = arguments
        return super().build_collection(
            field, condition, SQLFunction("json_element", first, literals=(field.family,)), *others
        )

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A JSON field."""
        return JSON_VALUE
