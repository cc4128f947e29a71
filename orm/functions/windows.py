"""Window functions: Window, its frames, and the functions that only make sense in one."""

from __future__ import annotations

import enum
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, TypeVar

import sqlalchemy
from sqlalchemy import ColumnElement, func

from orm.database.sql.functions import LagLeadWithDefault
from orm.exceptions import QueryError
from orm.expressions.base import Expression, F, Func, Operand
from orm.fields import BigInteger, Field, Float

T = TypeVar("T")

WHOLE = BigInteger()
REAL = Float()


class WindowFrameExclusion(enum.Enum):
    """Which rows of a frame a window function does not see after all. MySQL and MariaDB have no such thing."""

    CURRENT_ROW = "CURRENT ROW"
    GROUP = "GROUP"
    """The current row and those that are equal to it in the order."""
    TIES = "TIES"
    """Those that are equal to the current row in the order, but not that itself."""
    NO_OTHERS = "NO OTHERS"


class Frame:
    """Which rows around the current one a window function sees, from `start` to `end`, but for an `exclusion`.

    A negative number is so many before the current row, 0 the current row, a positive one after it; None is
    as far as the partition goes.
    """

    by_value: ClassVar[bool]

    def __init__(
        self, start: int | None = None, end: int | None = None, exclusion: WindowFrameExclusion | None = None
    ) -> None:
        for bound in (start, end):
            if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int)):
                raise QueryError(f"A frame goes from and to whole numbers or None, got {type(bound).__name__}.")
        if not isinstance(exclusion, WindowFrameExclusion | None):
            raise QueryError(f"The exclusion of a frame is a WindowFrameExclusion, got {type(exclusion).__name__}.")
        self.start = start
        self.end = end
        self.exclusion = exclusion

    @property
    def key(self) -> Hashable:
        """The frame, for a query's shape."""
        return self.by_value, self.start, self.end, self.exclusion


class RowRange(Frame):
    """A frame that counts rows."""

    by_value = False


class ValueRange(Frame):
    """A frame of the rows whose ordering values are in range."""

    by_value = True

    def __init__(
        self, start: int | None = None, end: int | None = None, exclusion: WindowFrameExclusion | None = None
    ) -> None:
        super().__init__(start, end, exclusion)
        if start or end:
            raise QueryError("ValueRange() takes None and 0 only, which is what every database supports.")


class Window(Expression[T]):
    """A function over the rows around each row.

        Window(RowNumber(), partition_by="author", order_by="-created")

    It can be filtered on: ``annotate(n=Window(...)).filter(n__lte=3)`` is the top three of each author.
    """

    def __init__(
        self,
        expression: Func[T],
        partition_by: Operand | Sequence[Operand] | None = None,
        order_by: Operand | Sequence[Operand] | None = None,
        frame: Frame | None = None,
    ) -> None:
        if not isinstance(expression, Func):
            raise QueryError(f"Window() takes a window function or an aggregate, got {type(expression).__name__}.")
        if frame is not None and not isinstance(frame, Frame):
            raise QueryError(f"The frame of a Window() is a RowRange or a ValueRange, got {type(frame).__name__}.")
        self.expression = expression
        self.partition_by = [F(p) if isinstance(p, str) else p for p in _listed(partition_by)]
        self.order_by = _listed(order_by)
        self.frame = frame

    def __repr__(self) -> str:
        return f"Window({self.expression!r})"


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]


class WindowFunction(Func[T]):
    """A function that needs a `Window` around it."""

    def over(self, call: Any, **window: Any) -> ColumnElement[Any]:
        """The rendered call over a window, given as SQLAlchemy's ``over()`` takes it."""
        found: ColumnElement[Any] = call.over(**window)
        return found


class RankingFunc(WindowFunction[int]):
    """A window function that gives a whole number."""

    def __init__(self) -> None:
        super().__init__()

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A whole number."""
        return WHOLE


class RowNumber(RankingFunc):
    """The number of the row in its partition, from 1."""

    function = "row_number"


class Rank(RankingFunc):
    """The rank, equal rows sharing one and leaving a gap."""

    function = "rank"


class DenseRank(RankingFunc):
    """The rank, without gaps."""

    function = "dense_rank"


class Ntile(RankingFunc):
    """Which of `num_buckets` equal buckets the row falls into, from 1."""

    def __init__(self, num_buckets: int = 1) -> None:
        super().__init__()
        self.num_buckets = whole(num_buckets, "Ntile()", 1)

    @property
    def options(self) -> Hashable:
        """The number of buckets."""
        return self.num_buckets

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL."""
        return func.ntile(sqlalchemy.literal_column(str(self.num_buckets)))


class RatioFunc(WindowFunction[float]):
    """A window function that gives a share between 0 and 1."""

    def __init__(self) -> None:
        super().__init__()

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A float."""
        return REAL


class PercentRank(RatioFunc):
    """The rank as a share of the partition."""

    function = "percent_rank"


class CumeDist(RatioFunc):
    """The share of rows up to and including this one."""

    function = "cume_dist"


class OffsetFunc(WindowFunction[Any]):
    """The value of another row of the partition, `offset` rows away; `default` where there is no such row."""

    direction: ClassVar[int]

    def __init__(self, expression: Operand, offset: int = 1, default: Any = None) -> None:
        super().__init__(expression, *(() if default is None else (default,)))
        self.offset = whole(offset, f"{type(self).__name__}()", 0)

    @property
    def options(self) -> Hashable:
        """How far away the row is."""
        return self.offset

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        value, *default = arguments
        return super().build(value, sqlalchemy.literal_column(str(self.offset)), *default)

    def over(self, call: Any, **window: Any) -> ColumnElement[Any]:
        """The rendered call over a window."""
        value, offset, *defaults = call.clauses
        if not defaults:
            return super().over(call, **window)
        place = self.direction * self.offset
        return LagLeadWithDefault(
            call.over(**window),
            super().build(value, offset).over(**window),
            func.count(sqlalchemy.literal_column("*")).over(**{**window, "rows": (place, place)}),
            *defaults,
        )


class Lag(OffsetFunc):
    """The value `offset` rows before."""

    function = "lag"
    direction = -1


class Lead(OffsetFunc):
    """The value `offset` rows after."""

    function = "lead"
    direction = 1


class FirstValue(WindowFunction[Any]):
    """The value of the frame's first row."""

    function = "first_value"


class LastValue(WindowFunction[Any]):
    """The value of the frame's last row."""

    function = "last_value"


class NthValue(WindowFunction[Any]):
    """The value of the frame's nth row, from 1."""

    def __init__(self, expression: Operand, nth: int = 1) -> None:
        super().__init__(expression)
        self.nth = whole(nth, "NthValue()", 1)

    @property
    def options(self) -> Hashable:
        """Which row."""
        return self.nth

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        return func.nth_value(*arguments, sqlalchemy.literal_column(str(self.nth)))


def whole(value: int, what: str, least: int) -> int:
    """A whole number that is at least `least`. Raises `QueryError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise QueryError(f"{what} takes a whole number of at least {least}, got {value!r}.")
    return value
