"""Operations of migrations that Alembic lacks, or that it could not undo or write in full."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op, renderers
from alembic.operations import ops


class Statement(ops.ExecuteSQLOp):
    """A statement, and the statement that undoes it; either can be empty. It is about `table`.

    `autocommit`: it cannot run in a transaction. `what`: a comment that stands above it. `batches`: the operation that
    does the same in batches.
    """

    def __init__(
        self,
        sql: str,
        reverse: str,
        *,
        table: str = "",
        autocommit: bool = False,
        what: str = "",
        batches: ops.MigrateOperation | None = None,
    ) -> None:
        super().__init__(sql)
        self.sql = sql
        self.reversed = reverse
        self.table = table
        self.autocommit = autocommit
        self.what = what
        self.batches = batches

    def reverse(self) -> Statement:
        """The statement that undoes it."""
        return Statement(self.reversed, self.sql, table=self.table, autocommit=self.autocommit)

    def to_diff_tuple(self) -> tuple[str, str]:
        """What `alembic check` shows."""
        return "execute", self.sql


class AlterColumn(ops.AlterColumnOp):
    """ALTER COLUMN with the expression that converts the values, in both directions, and with its new name."""

    using: str | None = None
    using_reversed: str | None = None

    @classmethod
    def of(cls, operation: ops.AlterColumnOp, **changed: Any) -> AlterColumn:
        """The same operation with other values for what is named."""
        return cls(operation.table_name, operation.column_name, **{**_options(operation), **changed})

    def reverse(self) -> AlterColumn:
        """The operation that undoes it."""
        back = AlterColumn.of(super().reverse())
        back.using, back.using_reversed = self.using_reversed, self.using
        if self.modify_name is not None:
            back.column_name, back.modify_name = self.modify_name, self.column_name
        return back


class OnlyBack(ops.MigrateOperation):
    """An operation of the downgrade alone."""

    def __init__(self, operation: ops.MigrateOperation) -> None:
        self.operation = operation

    def reverse(self) -> ops.MigrateOperation:
        """The operation."""
        return self.operation


class RenameTable(ops.RenameTableOp):
    """RENAME TABLE, which Alembic writes in no migration."""

    def reverse(self) -> RenameTable:
        """The operation that undoes it."""
        return RenameTable(self.new_table_name, self.table_name, schema=self.schema)

    def to_diff_tuple(self) -> tuple[str, str, str]:
        """What `alembic check` shows."""
        return "rename_table", self.table_name, self.new_table_name


@renderers.dispatch_for(Statement)
def _render_statement(context: AutogenContext, operation: Statement) -> list[str]:
    if not operation.sql:
        return []
    comment = [f"# {line}" for line in operation.what.split("\n")] if operation.what else []
    execute = f"op.execute({operation.sql!r})"
    if operation.autocommit:
        return [*comment, "with op.get_context().autocommit_block():", execute, ""]
    return [*comment, execute]


@renderers.dispatch_for(AlterColumn)
def _render_alter_column(context: AutogenContext, operation: AlterColumn) -> str:
    [text] = render_op(context, ops.AlterColumnOp(operation.table_name, operation.column_name, **_options(operation)))
    return text if operation.using is None else f"{text[:-1]},\n           postgresql_using={operation.using!r})"


@renderers.dispatch_for(RenameTable)
def _render_rename_table(context: AutogenContext, operation: RenameTable) -> str:
    schema = f", schema={operation.schema!r}" if operation.schema else ""
    return f"op.rename_table({str(operation.table_name)!r}, {str(operation.new_table_name)!r}{schema})"


def _options(operation: ops.AlterColumnOp) -> dict[str, Any]:
    """The keyword arguments that make the same operation."""
    return {
        "schema": operation.schema,
        "existing_type": operation.existing_type,
        "existing_server_default": operation.existing_server_default,
        "existing_nullable": operation.existing_nullable,
        "existing_comment": operation.existing_comment,
        "modify_nullable": operation.modify_nullable,
        "modify_comment": operation.modify_comment,
        "modify_server_default": operation.modify_server_default,
        "modify_name": operation.modify_name,
        "modify_type": operation.modify_type,
        **operation.kw,
    }
