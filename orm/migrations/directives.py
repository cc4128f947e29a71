"""What a new migration does, set right before it is written."""

from __future__ import annotations

from collections.abc import Iterable

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext


def process_revision_directives(
    context: MigrationContext,
    revision: str | Iterable[str | None] | Iterable[str],
    directives: list[ops.MigrationScript],
) -> None:
    """Leave out the dropping of a table's indexes where the table itself is dropped.

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
