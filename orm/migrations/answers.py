"""What a new migration needs to know and cannot find out: the answers of a person, or of a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy

from orm.fields.base import Field


class Unanswered:
    """The type of `UNANSWERED`."""

    def __repr__(self) -> str:
        return "UNANSWERED"


#: The answer of a method of `Answers` that does not know.
UNANSWERED = Unanswered()


class Answers:
    """Answers to the questions of autogenerate; those of this class know nothing, so that autogenerate stops instead.

    Pass an instance of a subclass to `run()` of `env.py`, or to `autogenerate_options()`:

    >>> class FromTerminal(Answers):
    ...     def one_off(self, table, column, field):
    ...         return input(f"A value for {table.name}.{column.name} of existing rows: ")
    >>> run(models, answers=FromTerminal())
    """

    def one_off(self, table: sqlalchemy.Table, column: sqlalchemy.Column[Any], field: Field[Any] | None) -> Any:
        """The value that existing rows get in a column that requires one: Python's, or a `sqlalchemy.text()`.

        It is asked for columns that are added, and for those that were nullable and have NULLs, if the field has no
        default. `field` is the model's field, if the column belongs to one.
        """
        return UNANSWERED

    def enum_value(
        self, table: sqlalchemy.Table, column: sqlalchemy.Column[Any], value: Any, members: Sequence[Any]
    ) -> Any:
        """The stored value that replaces one which rows have, and the enum no longer; None to leave the rows alone."""
        return UNANSWERED

    def renamed_table(self, old: str, new: sqlalchemy.Table) -> bool:
        """Whether a table that no model has any more was renamed to one that the database does not have."""
        return False

    def renamed_column(self, table: sqlalchemy.Table, old: str, new: sqlalchemy.Column[Any]) -> bool:
        """Whether a column that the model no longer has was renamed to one that the database does not have."""
        return False
