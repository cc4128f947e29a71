"""The error for a stored value that its field cannot represent: another program may have written it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from orm.exceptions import DataError, Error
from orm.utils.articles import with_article

READ_ERRORS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, DataError)
"""What conversions raise for such values."""


class ColumnLabels(NamedTuple):
    """The names of a row's columns in messages, and the positions of its key."""

    labels: Sequence[str]
    keys: Sequence[int] = ()


NO_LABELS = ColumnLabels(())


def unreadable_value_check(
    processors: Sequence[Callable[[Any], Any] | None], names: ColumnLabels
) -> Callable[[BaseException, Sequence[Sequence[Any]]], None]:
    """A function that raises `DataError` for the first value of the rows that its processor cannot read."""
    functions = tuple(processors)

    def check(error: BaseException, rows: Sequence[Sequence[Any]]) -> None:
        if isinstance(error, Error) and not isinstance(error, DataError):
            return
        for number, row in enumerate(rows, start=1):
            for position, process in enumerate(functions):
                if process is None:
                    continue
                try:
                    process(row[position])
                except READ_ERRORS as refusal:
                    where = _row_label(number, row, names)
                    column = names.labels[position] if position < len(names.labels) else f"column {position + 1}"
                    reason = f" {refusal}" if isinstance(refusal, DataError) else ""
                    kind = type(row[position]).__name__
                    raise DataError(
                        f"{column} of {where} holds {with_article(kind)} that is no value of the field.{reason}"
                    ) from error

    return check


def _row_label(number: int, row: Sequence[Any], names: ColumnLabels) -> str:
    if not names.keys:
        return f"row {number} of the result"
    keys = ", ".join(f"{names.labels[key].rpartition('.')[2]}={row[key]!r}" for key in names.keys)
    return f"the row with {keys}"
