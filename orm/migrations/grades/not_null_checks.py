"""The CHECKs that refuse NULL: after one that is valid, SET NOT NULL scans nothing on PostgreSQL."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy
from alembic.operations import ops

from orm.database.dialect_registry import dialect_for

_NAME = r'(?:"((?:[^"]|"")+)"|(\w+))'
_TABLE = rf"(?:{_NAME}\.)?{_NAME}"
_ADD = re.compile(
    rf"\s*ALTER TABLE (?:ONLY )?{_TABLE} ADD CONSTRAINT {_NAME} CHECK \({_NAME} IS NOT NULL\)( NOT VALID)?\s*;?\s*",
    re.IGNORECASE,
)
_OTHER = re.compile(rf"\s*ALTER TABLE (?:ONLY )?{_TABLE} (VALIDATE|DROP) CONSTRAINT {_NAME}\s*;?\s*", re.IGNORECASE)
_CONDITION = re.compile(rf"\(*\s*{_NAME} IS NOT NULL\s*\)*", re.IGNORECASE)

Table = tuple[str | None, str]


class NotNullChecks:
    """Which columns a valid CHECK keeps from NULL: those of the database, and those of the operations so far."""

    def __init__(self, connection: sqlalchemy.Connection) -> None:
        self.connection = connection
        self._columns: dict[tuple[Table, str], str] = {}
        self._valid: dict[tuple[Table, str], bool] = {}

    def note(self, operation: Any) -> None:
        """Note what an operation does to such a CHECK."""
        if isinstance(operation, ops.CreateCheckConstraintOp):
            match = _CONDITION.fullmatch(str(operation.condition))
            if match:
                key = (operation.schema, str(operation.table_name)), str(operation.constraint_name)
                self._columns[key] = _name(match[1], match[2])
                self._valid[key] = not operation.kw.get(f"{self.connection.dialect.name}_not_valid")
        elif isinstance(operation, ops.DropConstraintOp):
            self._valid[(operation.schema, str(operation.table_name)), str(operation.constraint_name)] = False
        elif isinstance(operation, ops.ExecuteSQLOp) and isinstance(operation.sqltext, (str, sqlalchemy.TextClause)):
            self._note_statement(str(operation.sqltext))

    def _note_statement(self, sql: str) -> None:
        if match := _ADD.fullmatch(sql):
            schema, table, name, column = (_name(*match.groups()[at : at + 2]) for at in (0, 2, 4, 6))
            key = (schema or None, table), name
            self._columns[key] = column
            self._valid[key] = match[9] is None
        elif match := _OTHER.fullmatch(sql):
            schema, table, name = (_name(*match.groups()[at : at + 2]) for at in (0, 2, 5))
            self._valid[(schema or None, table), name] = match[5].upper() == "VALIDATE"

    def cover(self, operation: ops.AlterColumnOp) -> bool:
        """Whether SET NOT NULL of a column has nothing to scan."""
        schema, name = operation.schema, operation.table_name
        table = (schema, name)
        valid = {check for (where, check), is_valid in self._valid.items() if where == table and is_valid}
        if any(self._columns.get((table, check)) == operation.column_name for check in valid):
            return True
        gone = {check for (where, check), is_valid in self._valid.items() if where == table and not is_valid}
        changes = dialect_for(self.connection.dialect).schema_changes
        return bool(changes.not_null_checks(self.connection, name, schema, operation.column_name) - gone)


def _name(quoted: str | None, plain: str | None) -> str:
    return quoted.replace('""', '"') if quoted is not None else (plain or "")
