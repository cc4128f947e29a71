"""`op.mirror_columns()`: two columns that keep the same value, while code of two releases writes one of them each."""

from __future__ import annotations

from alembic.operations import MigrateOperation, Operations

from orm.database.dialect_registry import dialect_for
from orm.database.schema_changes import Mirror
from orm.migrations.sql_texts import as_text


def _run(operations: Operations, mirror: Mirror, *, create: bool) -> None:
    dialect = operations.migration_context.dialect
    changes = dialect_for(dialect).schema_changes
    statements = changes.create_mirror(mirror, dialect) if create else changes.drop_mirror(mirror, dialect)
    for sql in statements:
        operations.execute(as_text(sql, dialect))


@Operations.register_operation("mirror_columns")
class MirrorColumns(MigrateOperation):
    """Creates the triggers. What is planned, graded and run are the server's statements."""

    @classmethod
    def mirror_columns(
        cls, operations: Operations, table_name: str, old: str, new: str, *, schema: str | None = None
    ) -> None:
        """Let each write of one of two columns set the other, by a trigger. Of a write that changes both, `old` counts.

        >>> op.mirror_columns("track", "position", "index")

        The rows that exist are left alone: `op.backfill()` fills them. `new` must have no DEFAULT, which would count as
        a value. On MySQL with binary logging, this needs `log_bin_trust_function_creators` or the privilege SUPER.

        Raises `NotSupportedError` on SQLite, where triggers cannot change the row that is written.
        """
        _run(operations, Mirror(table_name, old, new, schema), create=True)


@Operations.register_operation("stop_mirroring")
class StopMirroring(MigrateOperation):
    """Drops the triggers."""

    @classmethod
    def stop_mirroring(
        cls, operations: Operations, table_name: str, old: str, new: str, *, schema: str | None = None
    ) -> None:
        """Drop what `op.mirror_columns()` has created, before one of the columns is dropped.

        >>> op.stop_mirroring("track", "position", "index")

        Raises `NotSupportedError` on SQLite.
        """
        _run(operations, Mirror(table_name, old, new, schema), create=False)
