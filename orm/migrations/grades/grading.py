"""Grades operations, for a server, its version, and the tables that it has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy
from alembic.operations import ops

from orm.database.dialect_registry import dialect_for, server_name
from orm.migrations.grades.classification import Kind, kinds_of
from orm.migrations.grades.grade import LETTERS, SMALL, Grade
from orm.migrations.grades.not_null_checks import NotNullChecks
from orm.migrations.grades.rules import RULES, effect_of
from orm.migrations.journal import BACKFILLS
from orm.migrations.journal import TABLE as JOURNAL

OWN_TABLES = {"alembic_version", JOURNAL, BACKFILLS}
_COVERED = {"set not null": "set not null after a check"}
WHOLE_DATABASE = {"not understood", "read by the revision"}


class Grading:
    """Grades the operations of revisions, in the order in which they will run.

    A table that an earlier operation makes is empty. `connection` is asked how large the others are; with
    `is_large=True` all of them are taken as large, for a file that will run elsewhere.
    """

    def __init__(self, connection: sqlalchemy.Connection, *, is_large: bool = False) -> None:
        self.connection = connection
        self.server = server_name(connection.dialect)
        self.version = tuple(part for part in connection.dialect.server_version_info or () if isinstance(part, int))
        self.is_large = is_large
        self._created: set[str] = set()
        self._checks = NotNullChecks(connection)
        self._rows: dict[tuple[str | None, str], int | None] = {}
        self._is_empty: bool | None = None

    @property
    def server_text(self) -> str:
        """The server and its version, for a person."""
        return f"{self.server} {'.'.join(map(str, self.version[:2]))}"

    def grade(self, operation: Any) -> Grade:
        """The grade of an operation: the worst of what it does."""
        if isinstance(operation, ops.AlterColumnOp) and operation.modify_type is not None:
            operation = self._with_old_type(operation)
        self._checks.note(operation)
        kinds = kinds_of(operation, self.connection.dialect)
        if isinstance(operation, ops.AlterColumnOp) and operation.modify_nullable is False:
            is_covered = self._checks.cover(operation)
            kinds = [replace(kind, rule=_COVERED.get(kind.rule, kind.rule)) if is_covered else kind for kind in kinds]
        grades = [self._grade(kind) for kind in kinds]
        if isinstance(operation, ops.CreateTableOp):
            self._created.add(operation.table_name)
        if isinstance(operation, ops.RenameTableOp) and operation.table_name in self._created:
            self._created.add(operation.new_table_name)
        return max(reversed(grades), key=lambda grade: (LETTERS.index(grade.letter), grade.rewrites))

    def of_rule(self, rule: str) -> Grade:
        """The grade of a rule that is about no table."""
        return self._grade(Kind(rule))

    def _grade(self, kind: Kind) -> Grade:
        rule = RULES[kind.rule]
        effect = effect_of(kind.rule, self.server, self.version)
        if kind.rule == "create table" and kind.table is not None:
            self._created.add(kind.table)
        rows = None if kind.table is None else self.rows(kind.table, kind.schema)
        letter = effect.letter
        if kind.mark is not None:
            letter = kind.mark
        elif kind.rule in WHOLE_DATABASE:
            letter = "A" if self.is_empty() else letter
        elif self._is_exempt(letter, rows, deploys=rule.deploys):
            letter = "A"
        is_lost = letter == "D"
        return Grade(
            letter,
            kind.rule,
            effect.lock,
            effect.blocks,
            effect.rewrites,
            rows,
            rule.loses if is_lost else "",
            rule.undo,
            rule.safer if letter != "A" else "",
        )

    def _is_exempt(self, letter: str, rows: int | None, *, deploys: bool) -> bool:
        """An empty table has nobody who waits, and nothing to lose; a small one is soon done with."""
        if rows is None:
            return False
        return rows == 0 or (rows <= SMALL and letter in ("B", "C") and not deploys)

    def rows(self, table: str, schema: str | None = None) -> int | None:
        """How many rows a table has, by the server's statistics; a small table's are counted."""
        if table in self._created:
            return 0
        if self.is_large:
            return None
        key = (schema, table)
        if key not in self._rows:
            rows = dialect_for(self.connection.dialect).schema_changes.estimated_rows(self.connection, table, schema)
            if rows is not None and rows <= SMALL:
                some = sqlalchemy.select(sqlalchemy.literal(1)).select_from(sqlalchemy.table(table, schema=schema))
                count = sqlalchemy.select(sqlalchemy.func.count()).select_from(some.limit(SMALL + 1).subquery())
                rows = self.connection.scalar(count)
            self._rows[key] = rows
        return self._rows[key]

    def is_empty(self) -> bool:
        """Whether the database has no rows, in any table of the connection's schema."""
        if self.is_large:
            return False
        if self._is_empty is None:
            names = set(sqlalchemy.inspect(self.connection).get_table_names()) - OWN_TABLES
            self._is_empty = all(self.rows(name) == 0 for name in names)
        return self._is_empty

    def _with_old_type(self, operation: ops.AlterColumnOp) -> ops.AlterColumnOp:
        """The operation with the type that the database has, if a person wrote it without."""
        if operation.existing_type is not None:
            return operation
        inspector = sqlalchemy.inspect(self.connection)
        old: Any = sqlalchemy.types.NullType()
        if inspector.has_table(operation.table_name, operation.schema):
            columns = inspector.get_columns(operation.table_name, operation.schema)
            old = next((column["type"] for column in columns if column["name"] == operation.column_name), old)
        completed = ops.AlterColumnOp(operation.table_name, operation.column_name, schema=operation.schema)
        vars(completed).update({**vars(operation), "existing_type": old})
        return completed


def unreadable(grading: Grading) -> Grade:
    """The grade of a revision whose operations depend on the rows that it reads."""
    return grading.of_rule("read by the revision")
