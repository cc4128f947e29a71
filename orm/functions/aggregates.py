"""Aggregates: Count, Sum, Avg, Min, Max, StdDev, Variance."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, TypeVar

import sqlalchemy
from sqlalchemy import ColumnElement, func

from orm.database.sql.functions import CollectionAggregate, SQLFunction
from orm.exceptions import QueryError
from orm.expressions.base import Condition, Expression, F, Func, Operand, Ordering, Value
from orm.fields import JSON, Array, BigInteger, Decimal, Field, Float, Text

T = TypeVar("T")

WHOLE = BigInteger()
REAL = Float()
EXACT = Decimal(max_digits=38, decimal_places=19)
TEXT = Text()
DOCUMENT = JSON()


class Aggregate(Func[T]):
    """A function over the rows of a group.

    `distinct` counts equal values once, `filter` is a condition that a row must meet to take part, `default`
    stands in when no row did. Over a relation that leads to many rows, together with another one, rows
    multiply, as they do in Django: `distinct=True` or a `Subquery` is the way out.
    """

    name: ClassVar[str] = ""
    """What its default alias ends with: ``level__count``."""
    of_nothing: ClassVar[Any] = None
    """Its value where there are no rows."""

    def __init__(
        self,
        expression: Operand,
        *,
        distinct: bool = False,
        filter: Condition | None = None,
        default: Any = None,
        output_field: Field[Any] | None = None,
    ) -> None:
        super().__init__(expression, output_field=output_field)
        self.distinct = distinct
        self.filter = filter
        self.default = default

    @property
    def options(self) -> Hashable:
        """Whether equal values count once."""
        return self.distinct

    @property
    def default_alias(self) -> str:
        """The name that an aggregate without a name goes by. Raises `QueryError` if it needs one."""
        argument = self.arguments[0]
        path = getattr(argument, "path", None) or "__".join(getattr(argument, "_path", ()))
        if not path:
            raise QueryError(f"{self!r} needs a name: pass it as a keyword.")
        return f"{path}__{self.name}"

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        (argument,) = arguments
        return super().build(sqlalchemy.distinct(argument) if self.distinct else argument)


class Count(Aggregate[int]):
    """How many values there are that are not NULL; ``Count("*")`` counts rows."""

    name = "count"
    function = "count"
    of_nothing = 0

    def __init__(self, expression: Operand = "*", *, distinct: bool = False, filter: Condition | None = None) -> None:
        star = isinstance(expression, str) and expression == "*"
        if star and distinct:
            raise QueryError('Count("*", distinct=True) is not possible: name the field to count.')
        super().__init__(AllRows() if star else expression, distinct=distinct, filter=filter)

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A whole number."""
        return WHOLE


class AllRows(Expression[int]):
    """The row itself, for ``COUNT(*)``."""

    def __repr__(self) -> str:
        return "'*'"


class Sum(Aggregate[Any]):
    """The sum; None (NULL) of no rows."""

    name = "sum"
    function = "sum"

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """What is summed; whole numbers may grow beyond its own size."""
        found = super().result(*fields)
        return WHOLE if found.kind == "integer" else found


class Avg(Aggregate[Any]):
    """The mean: a float, of decimals a Decimal."""

    name = "avg"
    function = "avg"

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A float, a Decimal or a duration."""
        found = super().result(*fields)
        return REAL if found.kind == "integer" else EXACT if found.kind == "decimal" else found


class Min(Aggregate[Any]):
    """The smallest value."""

    name = "min"
    function = "min"


class Max(Aggregate[Any]):
    """The largest value."""

    name = "max"
    function = "max"


class Spread(Aggregate[float]):
    """Standard deviation and variance, of the population or (`sample=True`) a sample of it."""

    functions: ClassVar[tuple[str, str]]

    def __init__(self, expression: Operand, *, sample: bool = False, **options: Any) -> None:
        super().__init__(expression, **options)
        self.sample = sample

    @property
    def options(self) -> Hashable:
        """Whether equal values count once, and whose spread it is."""
        return self.distinct, self.sample

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        (argument,) = arguments
        function = getattr(func, self.functions[self.sample])
        found: ColumnElement[Any] = function(sqlalchemy.distinct(argument) if self.distinct else argument)
        return found

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A float."""
        return REAL


class StdDev(Spread):
    """The standard deviation."""

    name = "stddev"
    functions = ("stddev_pop", "stddev_samp")


class Variance(Spread):
    """The variance."""

    name = "variance"
    functions = ("var_pop", "var_samp")


class Gathered(Aggregate[T]):
    """An aggregate that makes one value of all of a group's, in an order of its own.

    `order_by` is what `order_by()` takes, one or several: ``order_by="-created"``. Without it the order is the
    database's. None (or `default`) of no rows.
    """

    gathering: ClassVar[str]

    def __init__(
        self,
        expression: Operand,
        *own: Operand,
        distinct: bool = False,
        filter: Condition | None = None,
        default: Any = None,
        order_by: str | Expression[Any] | Ordering | Sequence[str | Expression[Any] | Ordering] = (),
    ) -> None:
        super().__init__(expression, distinct=distinct, filter=filter, default=default)
        given = [order_by] if isinstance(order_by, (str, Expression, Ordering)) else list(order_by)
        orderings = [_ordering(term) for term in given]
        self.arguments = (*self.arguments, *own, *(term.expression for term in orderings))
        self.descending = tuple(term.descending for term in orderings)

    @property
    def options(self) -> Hashable:
        """Whether equal values count once, and which way each term of the order goes."""
        return self.distinct, self.descending

    def gather(
        self, field: Field[Any], condition: ColumnElement[bool] | None, *arguments: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """The SQL for rendered arguments, of rows that meet the condition; `field` is that of the first."""
        return CollectionAggregate(
            self.gathering, *arguments, distinct=self.distinct, descending=self.descending, condition=condition
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


class StringAgg(Gathered[str]):
    """The texts of a group joined by `delimiter`; those that are NULL are left out."""

    name = "stringagg"
    gathering = "string_agg"

    def __init__(self, expression: Operand, delimiter: str, **options: Any) -> None:
        if not isinstance(delimiter, str):
            raise QueryError(f"StringAgg() takes its delimiter as text, got {type(delimiter).__name__}.")
        super().__init__(expression, Value(delimiter), **options)

    def gather(
        self, field: Field[Any], condition: ColumnElement[bool] | None, *arguments: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """The SQL for rendered arguments, of rows that meet the condition."""
        first, *others = arguments
        return super().gather(
            field, condition, first if field.kind == "text" else SQLFunction("as_text", first), *others
        )

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """Text."""
        return TEXT


class ArrayAgg(Gathered["list[Any]"]):
    """The values of a group as a list, those that are NULL too. PostgreSQL only; `JSONAgg` is for all databases."""

    name = "arrayagg"
    gathering = "array_agg"

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A list."""
        return Array(fields[0])


class JSONAgg(Gathered["list[Any]"]):
    """The values of a group as a JSON array, those that are NULL as null."""

    name = "jsonagg"
    gathering = "json_agg"

    def gather(
        self, field: Field[Any], condition: ColumnElement[bool] | None, *arguments: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """The SQL for rendered arguments, of rows that meet the condition."""
        first, *others = arguments
        kind = "json" if field.kind.startswith("json") else field.kind
        return super().gather(field, condition, SQLFunction("json_element", first, words=(kind,)), *others)

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """JSON."""
        return DOCUMENT
