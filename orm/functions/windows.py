"""Window functions: `Window`, its frames, and the functions that need a window."""

from __future__ import annotations

import enum
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, TypeVar

import sqlalchemy
from sqlalchemy import ColumnElement, func

from orm.database.sql.functions import LagLeadWithDefault
from orm.exceptions import QueryError
from orm.expressions.base import Expression, F, Operand
from orm.fields import Field
from orm.functions.base import BIG_INTEGER, FLOAT, Func

T = TypeVar("T")


class WindowFrameExclusion(enum.Enum):
    """The rows that are excluded from a frame. MySQL and MariaDB do not support it."""

    CURRENT_ROW = "CURRENT ROW"
    GROUP = "GROUP"
    """The current row and its peers (the rows that are equal to it in the order)."""
    TIES = "TIES"
    """The peers of the current row, but not the row itself."""
    NO_OTHERS = "NO OTHERS"


class Frame:
    """The rows around the current one that a window function sees: from `start` to `end`, without the `exclusion`.

    A negative number counts back from the current row, 0 is the current row, a positive number counts forward; None
    is the start or end of the partition.
    """

    by_value: ClassVar[bool]

    def __init__(
        self, start: int | None = None, end: int | None = None, exclusion: WindowFrameExclusion | None = None
    ) -> None:
        for bound in (start, end):
            if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int)):
                raise QueryError(f"A frame goes from and to whole numbers or None, got {type(bound).__name__}.")
        if start is not None and end is not None and start > end:
            raise QueryError(f"A frame cannot begin after it ends: {start} is greater than {end}.")
        if not isinstance(exclusion, WindowFrameExclusion | None):
            raise QueryError(f"The exclusion of a frame is a WindowFrameExclusion, got {type(exclusion).__name__}.")
        self.start = start
        self.end = end
        self.exclusion = exclusion

    @property
    def key(self) -> Hashable:
        """The frame's part of the cache key of a plan."""
        return self.by_value, self.start, self.end, self.exclusion


class RowRange(Frame):
    """A frame that counts rows."""

    by_value = False


class ValueRange(Frame):
    """A frame of the rows whose ordering values are in a range: in ``ValueRange(-2, 2)`` they differ by at most two.

    With bounds other than None and 0, the window must be ordered by one number.
    """

    by_value = True

    def __init__(
        self, start: int | None = None, end: int | None = None, exclusion: WindowFrameExclusion | None = None
    ) -> None:
        super().__init__(start, end, exclusion)
        if (start or 0) > 0 or (end or 0) < 0:
            raise QueryError(
                f"ValueRange() begins at or before the row's value, and ends at or after it: {start}, {end}."
            )


class Window(Expression[T]):
    """A function over the rows around each row.

        Window(RowNumber(), partition_by="author", order_by="-created")

    Annotations with a window can be filtered: ``annotate(n=Window(...)).filter(n__lte=3)`` is the top three of each
    author.
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
        if not getattr(expression, "window_compatible", True):
            raise QueryError(f"{type(expression).__name__}() is no window function: use FirstValue(), for example.")
        if frame is not None and not isinstance(frame, Frame):
            raise QueryError(f"The frame of a Window() is a RowRange or a ValueRange, got {type(frame).__name__}.")
        self.expression = expression
        self.partition_by = [F(p) if isinstance(p, str) else p for p in _as_list(partition_by)]
        self.order_by = _as_list(order_by)
        self.frame = frame

    def __repr__(self) -> str:
        return f"Window({self.expression!r})"


def _as_list(terms: Any) -> list[Any]:
    if terms is None:
        return []
    return list(terms) if isinstance(terms, (list, tuple)) else [terms]


class WindowFunction(Func[T]):
    """A function that is only valid in a `Window`."""

    def over(self, call: Any, **window: Any) -> ColumnElement[Any]:
        """The rendered call over a window; `window` are the arguments of SQLAlchemy's ``over()``."""
        windowed: ColumnElement[Any] = call.over(**window)
        return windowed


class RankingFunc(WindowFunction[int]):
    """A window function that returns an integer."""

    def __init__(self) -> None:
        super().__init__()

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A big integer field."""
        return BIG_INTEGER


class RowNumber(RankingFunc):
    """The number of the row in its partition, counted from 1."""

    function = "row_number"


class Rank(RankingFunc):
    """The rank, with gaps after rows that are equal in the order."""

    function = "rank"


class DenseRank(RankingFunc):
    """The rank, without gaps."""

    function = "dense_rank"


class Ntile(RankingFunc):
    """The number of the row's bucket, counted from 1, of `num_buckets` equal ones."""

    def __init__(self, num_buckets: int = 1) -> None:
        super().__init__()
        self.num_buckets = check_integer(num_buckets, "Ntile()", 1)

    @property
    def options(self) -> Hashable:
        """The number of buckets."""
        return self.num_buckets

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL."""
        return func.ntile(sqlalchemy.literal_column(str(self.num_buckets)))


class RatioFunc(WindowFunction[float]):
    """A window function that returns a fraction between 0 and 1."""

    def __init__(self) -> None:
        super().__init__()

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A float field."""
        return FLOAT


class PercentRank(RatioFunc):
    """The relative rank of the row: (rank - 1) / (rows of the partition - 1)."""

    function = "percent_rank"


class CumeDist(RatioFunc):
    """The fraction of the partition's rows up to and including this one and its peers."""

    function = "cume_dist"


class OffsetFunc(WindowFunction[Any]):
    """The value of the partition's row that is `offset` rows away; `default` if there is no such row."""

    direction: ClassVar[int]

    def __init__(self, expression: Operand, offset: int = 1, default: Any = None) -> None:
        super().__init__(expression, *(() if default is None else (default,)))
        self.offset = check_integer(offset, f"{type(self).__name__}()", 0)

    @property
    def options(self) -> Hashable:
        """The distance of the row."""
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
        distance = self.direction * self.offset
        return LagLeadWithDefault(
            call.over(**window),
            super().build(value, offset).over(**window),
            func.count(sqlalchemy.literal_column("*")).over(**{**window, "rows": (distance, distance)}),
            *defaults,
        )


class Lag(OffsetFunc):
    """The value of the row `offset` rows before this one."""

    function = "lag"
    direction = -1


class Lead(OffsetFunc):
    """The value of the row `offset` rows after this one."""

    function = "lead"
    direction = 1


class FirstValue(WindowFunction[Any]):
    """The value of the frame's first row."""

    function = "first_value"


class LastValue(WindowFunction[Any]):
    """The value of the frame's last row."""

    function = "last_value"


class NthValue(WindowFunction[Any]):
    """The value of the frame's nth row, counted from 1."""

    def __init__(self, expression: Operand, nth: int = 1) -> None:
        super().__init__(expression)
        self.nth = check_integer(nth, "NthValue()", 1)

    @property
    def options(self) -> Hashable:
        """The number of the row."""
        return self.nth

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        return func.nth_value(*arguments, sqlalchemy.literal_column(str(self.nth)))


def check_integer(value: int, what: str, least: int) -> int:
    """The value, if it is an integer of at least `least`. Raises `QueryError` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise QueryError(f"{what} takes a whole number of at least {least}, got {value!r}.")
    return value
