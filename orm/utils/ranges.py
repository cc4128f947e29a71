"""`Range`: the values between two bounds."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

V = TypeVar("V")
Bounds = Literal["[)", "[]", "(]", "()"]


class Range(Generic[V]):
    """The values between two bounds: ``Range(1, 10)`` has 1 and not 10. It is immutable and can be hashed.

        period = orm.Range(datetime.date(2024, 5, 1), None)
        assert datetime.date(2025, 1, 1) in period and period.upper_inf

    Args:
        lower, upper: The bounds. None: there is none on this side.
        bounds: Whether each bound belongs to the range: ``[`` and ``]`` if it does, ``(`` and ``)`` if not.
        empty: True: the range has no values, and no bounds.

    Raises:
        ValueError: The lower bound is above the upper one, or `bounds` is something else.
    """

    __slots__ = ("_bounds", "_empty", "_lower", "_upper")

    _lower: V | None
    _upper: V | None

    def __init__(
        self, lower: V | None = None, upper: V | None = None, bounds: Bounds = "[)", *, empty: bool = False
    ) -> None:
        if bounds not in ("[)", "[]", "(]", "()"):
            raise ValueError(f"The bounds of a range are '[)', '[]', '(]' or '()', got {bounds!r}.")
        first: Any = lower
        if lower is not None and upper is not None and first > upper:
            raise ValueError("The lower bound of a range must not be above the upper one.")
        self._empty = empty
        self._lower = None if empty else lower
        self._upper = None if empty else upper
        before = "(" if empty or lower is None else bounds[0]
        after = ")" if empty or upper is None else bounds[1]
        self._bounds = before + after

    @property
    def lower(self) -> V | None:
        """The lower bound."""
        return self._lower

    @property
    def upper(self) -> V | None:
        """The upper bound."""
        return self._upper

    @property
    def bounds(self) -> str:
        """Which bounds belong to it: ``[)``."""
        return self._bounds

    @property
    def isempty(self) -> bool:
        """Whether it has no values."""
        if self._lower is None or self._upper is None:
            return self._empty
        return self._lower == self._upper and self._bounds != "[]"

    @property
    def lower_inc(self) -> bool:
        """Whether the lower bound belongs to it."""
        return self._bounds[0] == "["

    @property
    def upper_inc(self) -> bool:
        """Whether the upper bound belongs to it."""
        return self._bounds[1] == "]"

    @property
    def lower_inf(self) -> bool:
        """Whether it has no lower bound."""
        return self._lower is None and not self._empty

    @property
    def upper_inf(self) -> bool:
        """Whether it has no upper bound."""
        return self._upper is None and not self._empty

    def __contains__(self, value: Any) -> bool:
        if self.isempty:
            return False
        lower: Any = self._lower
        upper: Any = self._upper
        above = lower is None or (lower <= value if self.lower_inc else lower < value)
        below = upper is None or (value <= upper if self.upper_inc else value < upper)
        return bool(above and below)

    def _key(self) -> tuple[Any, ...]:
        return (None, None, "()", True) if self.isempty else (self._lower, self._upper, self._bounds, False)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Range) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return "Range(empty=True)" if self.isempty else f"Range({self._lower!r}, {self._upper!r}, {self._bounds!r})"

    def __str__(self) -> str:
        if self.isempty:
            return "empty"
        lower, upper = ("" if bound is None else bound for bound in (self._lower, self._upper))
        return f"{self._bounds[0]}{lower},{upper}{self._bounds[1]}"

    def __reduce__(self) -> Any:
        return _restored, (self._lower, self._upper, self._bounds, self._empty)


def _restored(lower: Any, upper: Any, bounds: Any, empty: bool) -> Range[Any]:
    return Range(lower, upper, bounds, empty=empty)
