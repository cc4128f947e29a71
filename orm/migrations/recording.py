"""The operations of a revision, found by calling its functions without a database to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import sqlalchemy
from alembic.operations import BatchOperations, Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from orm.migrations.backfills import Backfill

DIRECTORY = "script_directory"
"""The key of the revisions' directory in the options of a context that records."""


class _NoRows:
    """The result of a statement that did not run."""

    rowcount = 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def _none(self, *arguments: Any, **options: Any) -> None:
        return None

    def _empty(self, *arguments: Any, **options: Any) -> list[Any]:
        return []

    first = one_or_none = scalar = scalar_one_or_none = fetchone = _none
    all = fetchall = fetchmany = _empty

    def scalars(self) -> _NoRows:
        """Itself: it has no rows."""
        return self

    mappings = scalars


class BoundStatement(ops.ExecuteSQLOp):
    """A statement that a revision sends through `op.get_bind()`, whose rows it may read."""


class RecordingBind:
    """In the place of the connection that a revision asks for: it reads nothing, and writes nothing."""

    def __init__(self, operations: list[ops.MigrateOperation], connection: sqlalchemy.Connection) -> None:
        self.operations = operations
        self.dialect = connection.dialect

    def execute(self, statement: Any, *arguments: Any, **options: Any) -> _NoRows:
        """Record the statement."""
        self.operations.append(BoundStatement(statement))
        return _NoRows()

    exec_driver_sql = execute

    def scalar(self, statement: Any, *arguments: Any, **options: Any) -> None:
        """Record the statement."""
        self.execute(statement)


class _Batch(BatchOperations):
    operations: list[ops.MigrateOperation]

    def invoke(self, operation: Any) -> Any:
        self.operations.append(operation)


@contextmanager
def recorded(migration_context: MigrationContext, connection: sqlalchemy.Connection) -> Iterator[list[Any]]:
    """Let Alembic's `op` record what it is told to do."""
    operations: list[Any] = []
    proxy: Any = Operations(migration_context)

    @contextmanager
    def batch_alter_table(table_name: str, schema: str | None = None, **options: Any) -> Iterator[Any]:
        batch = _Batch(migration_context, impl=SimpleNamespace(table_name=table_name, schema=schema))  # type: ignore[arg-type]
        batch.operations = operations
        yield batch

    # Alembic installs instances of its own class only.
    proxy.invoke = operations.append
    proxy.get_bind = lambda: RecordingBind(operations, connection)
    proxy.batch_alter_table = batch_alter_table
    proxy._install_proxy()
    try:
        yield operations
    finally:
        proxy._remove_proxy()


def operations_of(
    script: Script, connection: sqlalchemy.Connection, directory: ScriptDirectory, *, up: bool
) -> list[tuple[Any, str]]:
    """The operations of a revision with their descriptions, in the order in which they run.

    Statements that the revision sends through `op.get_bind()` are recorded as well, and return no rows.
    """
    context = MigrationContext.configure(
        dialect_name=connection.dialect.name, opts={"as_sql": True, "output_buffer": _Discarded(), DIRECTORY: directory}
    )
    with recorded(context, connection) as operations:
        (script.module.upgrade if up else script.module.downgrade)()
    return [(operation, describe(operation)) for operation in operations]


class _Discarded:
    """Takes the text that Alembic writes for a block outside of transactions."""

    def write(self, text: str) -> None:
        """Discard it."""

    def flush(self) -> None:
        """Nothing to do."""


def describe(operation: Any) -> str:
    """What an operation does, in a line.

    >>> describe(ops.DropColumnOp("track", "position"))
    'drop column track.position'
    """
    table = getattr(operation, "table_name", None)
    if getattr(operation, "schema", None):
        table = f"{operation.schema}.{table}"
    if isinstance(operation, ops.AddColumnOp):
        return f"add column {table}.{operation.column.name}"
    if isinstance(operation, ops.DropColumnOp):
        return f"drop column {table}.{operation.column_name}"
    if isinstance(operation, ops.RenameTableOp):
        return f"rename table {table} to {operation.new_table_name}"
    if isinstance(operation, ops.AlterColumnOp):
        return f"alter column {table}.{operation.column_name}: {', '.join(_changes(operation))}"
    if isinstance(operation, (ops.CreateIndexOp, ops.DropIndexOp)):
        verb = "create" if isinstance(operation, ops.CreateIndexOp) else "drop"
        return f"{verb} index {operation.index_name} on {table}"
    if isinstance(operation, ops.DropConstraintOp):
        return f"drop constraint {operation.constraint_name} of {table}"
    if isinstance(operation, ops.AddConstraintOp):
        constraint = operation.to_constraint()
        kind = type(constraint).__name__.removesuffix("Constraint")
        of = getattr(operation, "source_table", None) or table
        return f"add {kind} constraint {constraint.name or ''} to {of}".replace("  ", " ")
    if isinstance(operation, ops.ExecuteSQLOp):
        text = " ".join(str(operation.sqltext).split())
        return text if len(text) <= 100 else f"{text[:97]}…"
    if isinstance(operation, Backfill):
        return f"fill {', '.join(f'{table}.{column}' for column in operation.values)} in batches"
    name = type(operation).__name__.removesuffix("Op")
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return f"{words} {table}" if table else words


def _changes(operation: ops.AlterColumnOp) -> Iterator[str]:
    if operation.modify_name is not None:
        yield f"name {operation.modify_name}"
    if operation.modify_type is not None:
        yield f"type {operation.modify_type!r}"
    if operation.modify_nullable is not None:
        yield "NULL" if operation.modify_nullable else "NOT NULL"
    if operation.modify_server_default is not False:
        default = operation.modify_server_default
        yield "no default" if default is None else f"default {default}"
    if operation.modify_comment is not False:
        yield f"comment {operation.modify_comment!r}"
