"""Base classes of lookups whose condition is one function of the column and the value."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.exceptions import QueryError
from orm.fields import Field
from orm.lookups.base import KnownResult, Lookup, Prepared, label, refuse_null


class FunctionLookup(Lookup):
    """A lookup whose condition is the function `sql_name` of the column and the value, which is not None."""

    sql_name: ClassVar[str]

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare the value."""
        refuse_null(self, field, value)
        return super().prepare(field, value)

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction(self.sql_name, column, operand)


class KeysLookup(FunctionLookup):
    """A lookup that takes a list of keys."""

    takes_expression = False

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare the keys."""
        if not isinstance(value, (list, tuple, set, frozenset)):
            raise QueryError(f"{label(field)}__{self.name} takes a list of keys, got {type(value).__name__}.")
        return Prepared(([str(key) for key in value],))


class KeyLookup(KeysLookup):
    """A lookup that takes one key."""

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare the key."""
        if not isinstance(value, (str, int)):
            raise QueryError(f"{label(field)}__{self.name} takes a key, got {type(value).__name__}.")
        return Prepared(([str(value)],))
