"""The difference between the models and a database, in the order in which a migration makes it good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection, Dialect

from orm.database.sql.ddl import is_managed
from orm.fields.base import Field
from orm.migrations.answers import Answers
from orm.migrations.operations import OnlyBack, Statement
from orm.migrations.ownership import Ownership
from orm.migrations.servers.base import Server
from orm.migrations.servers.registry import server_of
from orm.registry import registries_of

# The order of operations. What is on one table between TABLE and LAST is made in one block.
RENAMES, CREATED, KEYS_DROPPED, TABLE, KEYS_CREATED, DROPPED, LAST = 10, 20, 30, 40, 50, 60, 70
# The order of those on one table.
PREPARED, REMOVED, VALUES, ADDED, ALTERED, COLUMNS_DROPPED, COMPLETED = range(7)

#: The operations that are in no block of a table.
ALONE = (Statement, ops.CreateTableOp, ops.DropTableOp, ops.RenameTableOp)

Key = tuple[str | None, str]


@dataclass
class Step:
    """An operation, and its place."""

    operation: Any
    rank: int
    inner_rank: int = 0
    table: Key = (None, "")


@dataclass
class Difference:
    """What a migration has to do on one database.

    Attributes:
        steps: The operations so far.
        renamed: The new names of the tables that are renamed, with the old ones.
    """

    context: MigrationContext
    connection: Connection
    metadatas: list[sqlalchemy.MetaData]
    ownership: Ownership
    answers: Answers
    steps: list[Step] = field(default_factory=list)
    renamed: dict[Key, Key] = field(default_factory=dict)

    @property
    def dialect(self) -> Dialect:
        """SQLAlchemy's dialect of the connection."""
        return self.context.dialect

    @property
    def server(self) -> Server:
        """What is peculiar to the database."""
        return server_of(self.dialect)

    @property
    def inspector(self) -> sqlalchemy.Inspector:
        """A new inspector of the database."""
        return sqlalchemy.inspect(self.connection)

    # The models.

    def table(self, key: Key) -> sqlalchemy.Table | None:
        """The table of a model."""
        return self.ownership.table(key[1], key[0])

    def managed_tables(self) -> Iterator[sqlalchemy.Table]:
        """The tables that migrations make."""
        for metadata in self.metadatas:
            yield from filter(is_managed, metadata.tables.values())

    def field_of(self, table: sqlalchemy.Table, column: str) -> Field[Any] | None:
        """The field of a column."""
        for registry in registries_of(table.metadata):
            for model in registry.models.values():
                if model._meta.table is table:
                    for each in model._meta.fields.values():
                        if each.column_name == column:
                            return each
        return None

    # The steps.

    def take(self, operations: Iterable[Any]) -> None:
        """Put Alembic's operations in their places."""
        for operation in operations:
            if isinstance(operation, ops.ModifyTableOps):
                for inner in operation.ops:
                    self.add_to_table(inner, (operation.schema, operation.table_name))
            elif isinstance(operation, (ops.CreateIndexOp, ops.DropIndexOp)):
                self.add_to_table(operation, (operation.schema, str(operation.table_name)))
            elif isinstance(operation, ops.CreateTableOp):
                self.steps.append(Step(operation, CREATED, table=(operation.schema, operation.table_name)))
            elif isinstance(operation, ops.DropTableOp):
                self.steps.append(Step(operation, DROPPED, table=(operation.schema, operation.table_name)))
            else:
                self.steps.append(Step(operation, LAST))

    def add_to_table(self, operation: Any, key: Key, inner_rank: int | None = None) -> None:
        """Add an operation on a table."""
        if inner_rank is None:
            inner_rank = _inner_rank(operation)
        rank = TABLE
        if not self.server.keys_to_missing_tables:  # elsewhere they are part of the table's one copy
            if isinstance(operation, ops.CreateForeignKeyOp):
                rank = KEYS_CREATED
            elif isinstance(operation, ops.DropConstraintOp) and operation.constraint_type == "foreignkey":
                rank = KEYS_DROPPED
        self.steps.append(Step(operation, rank, inner_rank, key))

    def statement(
        self, sql: str, reverse: str, table: Key, rank: int = TABLE, inner_rank: int = VALUES, **more: Any
    ) -> None:
        """Add a statement about a table."""
        self.steps.append(Step(Statement(sql, reverse, table=table[1], **more), rank, inner_rank, table))

    def on_table(self, key: Key, kind: type[Any] | tuple[type[Any], ...] = object) -> list[Step]:
        """The steps on a table with operations of a kind."""
        return [step for step in self.steps if step.table == key and isinstance(step.operation, kind)]

    def remove(self, step: Step) -> None:
        """Remove a step."""
        self.steps = [each for each in self.steps if each is not step]

    @property
    def created(self) -> set[Key]:
        """The tables that the migration makes."""
        return {step.table for step in self.steps if isinstance(step.operation, ops.CreateTableOp)}

    @property
    def dropped(self) -> set[Key]:
        """The tables that the migration drops."""
        return {step.table for step in self.steps if isinstance(step.operation, ops.DropTableOp)}

    def operations(self) -> list[Any]:
        """All operations in order, those on one table in blocks."""
        order: dict[Key, int] = {}
        for step in self.steps:
            order.setdefault(step.table, len(order))
        ordered = sorted(
            self.steps,
            key=lambda step: (step.rank, order[step.table] if step.rank == TABLE else 0, step.inner_rank),
        )
        blocks: list[Any] = []
        for step in ordered:
            if isinstance(step.operation, ALONE) or not step.table[1]:
                blocks.append(step.operation)
                continue
            schema, name = step.table
            last = blocks[-1] if blocks else None
            if not isinstance(last, ops.ModifyTableOps) or (last.schema, last.table_name) != step.table:
                blocks.append(ops.ModifyTableOps(name, [], schema=schema))
            blocks[-1].ops.append(step.operation)
        return blocks


def _inner_rank(operation: Any) -> int:
    if isinstance(operation, ops.DropConstraintOp):
        return REMOVED
    if isinstance(operation, ops.DropIndexOp):
        return REMOVED
    if isinstance(operation, ops.AddColumnOp):
        return ADDED
    if isinstance(operation, ops.AlterColumnOp):
        return ALTERED
    if isinstance(operation, ops.DropColumnOp):
        return COLUMNS_DROPPED
    return COMPLETED


def that_run(operations: Iterable[Any]) -> list[Any]:
    """The operations without those of the other direction, and those that drop the indexes of a table before the table.

    MySQL and MariaDB refuse to drop an index that a foreign key needs.
    """
    operations = list(operations)
    dropped = {(op.schema, op.table_name) for op in operations if isinstance(op, ops.DropTableOp)}
    names = {name for _, name in dropped}
    kept = []
    for operation in operations:
        if isinstance(operation, ops.ModifyTableOps):
            is_dropped = (operation.schema, operation.table_name) in dropped
            left_out = (OnlyBack, ops.DropIndexOp) if is_dropped else OnlyBack
            operation.ops = [op for op in operation.ops if not isinstance(op, left_out)]
            if not operation.ops:
                continue
        if isinstance(operation, Statement) and operation.table in names and operation.sql.startswith(DROPS):
            continue
        if isinstance(operation, Statement) and not operation.sql:
            continue
        kept.append(operation)
    return kept


DROPS = ("DROP INDEX ", "ALTER TABLE ")
