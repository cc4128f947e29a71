"""`makemigrations --safe`: the operations of a revision, as sequences that do not stop an application that runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alembic.operations import ops

from orm.migrations.backfills import Backfill
from orm.migrations.difference import Difference, Key
from orm.migrations.operations import Statement


def safe_sequence(difference: Difference, operations: Iterable[Any]) -> list[Any]:
    """The operations, those on tables that exist before the revision as the server's online sequences.

    Rows are filled in batches. What has no such sequence stays as it is.
    """
    created = difference.created
    required = {
        (step.table, step.operation.column_name)
        for step in difference.steps
        if isinstance(step.operation, ops.AlterColumnOp) and step.operation.modify_nullable is False
    }
    sequence = _Sequence(difference, required)
    for operation in operations:
        if isinstance(operation, ops.ModifyTableOps):
            key = (operation.schema, operation.table_name)
            for inner in operation.ops:
                sequence.add(inner, key, is_new=key in created)
        else:
            sequence.add(operation, None, is_new=False)
    return sequence.operations


class _Sequence:
    """The operations so far.

    Attributes:
        required: the columns that get NOT NULL.
        checked: those of them of which a CHECK refuses new NULLs already.
    """

    def __init__(self, difference: Difference, required: set[tuple[Key, str]]) -> None:
        self.server = difference.server
        self.dialect = difference.dialect
        self.required = required
        self.checked: set[tuple[Key, str]] = set()
        self.operations: list[Any] = []

    def add(self, operation: Any, key: Key | None, *, is_new: bool) -> None:
        """Add the sequence of an operation: a part of the block of a table, or alone."""
        if is_new:
            self._add_in_block(operation, key)
        elif (fill := self._batches(operation)) is not None:
            # Not before it: a CHECK would refuse each change of a row that is not filled yet.
            self.operations.append(fill)
            before = len(self.operations)
            for column in fill.values:
                self._refuse_nulls((fill.schema, fill.table_name), column)
            if len(self.operations) > before:
                self.operations.append(fill)  # the rows that were written meanwhile
        elif key is not None and isinstance(operation, ops.AlterColumnOp) and operation.modify_nullable is False:
            self._refuse_nulls(key, operation.column_name)
            validate, drop = self.server.validate_required(self.dialect, key, operation.column_name)
            self.operations += validate
            self._add_in_block(operation, key)
            self.operations += drop
        else:
            steps = self.server.online(self.dialect, operation)
            if steps is None:
                self._add_in_block(operation, key)
            else:
                self.operations += steps

    def _batches(self, operation: Any) -> Backfill | None:
        batches = operation.batches if isinstance(operation, Statement) else None
        return batches if isinstance(batches, Backfill) and self.server.fills_in_batches else None

    def _refuse_nulls(self, key: Key, column: str) -> None:
        if (key, column) in self.required - self.checked:
            self.checked.add((key, column))
            self.operations += self.server.refuse_nulls(self.dialect, key, column)

    def _add_in_block(self, operation: Any, key: Key | None) -> None:
        last = self.operations[-1] if self.operations else None
        if key is None:
            self.operations.append(operation)
        elif isinstance(last, ops.ModifyTableOps) and (last.schema, last.table_name) == key:
            last.ops.append(operation)
        else:
            self.operations.append(ops.ModifyTableOps(key[1], [operation], schema=key[0]))
