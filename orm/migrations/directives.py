"""Corrections of a new migration before it is written."""

from __future__ import annotations

from collections.abc import Iterable

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext


def process_revision_directives(
    context: MigrationContext,
    revision: str | Iterable[str | None] | Iterable[str],
    directives: list[ops.MigrationScript],
) -> None:
    """Do not drop the indexes of a table that is dropped.

    For `context.configure(process_revision_directives=…)`. MySQL and MariaDB refuse to drop an index that a foreign
    key needs.
    """
    for script in directives:
        for operations in (*script.upgrade_ops_list, *script.downgrade_ops_list):
            tables = {(op.schema, op.table_name) for op in operations.ops if isinstance(op, ops.DropTableOp)}
            operations.ops = [
                op
                for op in operations.ops
                if not isinstance(op, ops.ModifyTableOps)
                or (op.schema, op.table_name) not in tables
                or not all(isinstance(inner, ops.DropIndexOp) for inner in op.ops)
            ]
