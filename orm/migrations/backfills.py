"""`op.backfill()`: changes the rows of a large table in batches, and goes on where it was interrupted."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.operations import MigrateOperation, Operations
from sqlalchemy.exc import DBAPIError

from orm.database.dialect_registry import dialect_for
from orm.exceptions import MigrationError
from orm.migrations import journal
from orm.migrations.operations import Statement

BATCH_SIZE = 1000
REVISION, REPORT, RUN_ALREADY = "orm.migrations.revision", "orm.migrations.report", "orm.migrations.run_already"
"""The keys in a connection's `info` of the revision that runs, of what is told how far a backfill has come, and of the
names of the backfills that this run of the revision has come to."""

Report = Callable[[str, int, int], None]
"""Is called with the name of a table, the rows that were passed so far, and about how many there are."""

#: The types of keys that are noted, with the functions from and to text.
KEY_TYPES: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "int": (int, int, int),
    "str": (str, str, str),
    "uuid": (uuid.UUID, uuid.UUID, str),
    "decimal": (decimal.Decimal, decimal.Decimal, str),
    "datetime": (datetime.datetime, datetime.datetime.fromisoformat, datetime.datetime.isoformat),
    "date": (datetime.date, datetime.date.fromisoformat, datetime.date.isoformat),
    "bytes": (bytes, bytes.fromhex, bytes.hex),
}


@Operations.register_operation("backfill")
class Backfill(MigrateOperation):
    """Changes the rows of a table in batches.

    Attributes:
        table_name: the table.
        values: the SQL of the new values, by column.
        where: a condition; empty for all rows.
        schema: the table's schema.
        batch_size: the number of rows that one transaction passes.
    """

    def __init__(
        self,
        table_name: str,
        values: Mapping[str, str],
        *,
        where: str = "",
        schema: str | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.table_name = table_name
        self.values = dict(values)
        self.where = where
        self.schema = schema
        self.batch_size = batch_size

    @classmethod
    def backfill(
        cls,
        operations: Operations,
        table_name: str,
        values: Mapping[str, str],
        *,
        where: str = "",
        schema: str | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Any:
        """Set columns to expressions of SQL, in batches by the primary key, each in its own transaction.

        >>> op.backfill("track", {"rating": "plays / 100"}, where="rating IS NULL")

        How far it has come is committed with each batch, so that a run that was killed goes on after the last one, and
        no row is changed twice. What the revision did before is committed first.

        Raises `MigrationError` if the table has no primary key.
        """
        return operations.invoke(cls(table_name, values, where=where, schema=schema, batch_size=batch_size))

    def reverse(self) -> MigrateOperation:
        """Nothing: the old values are not known."""
        return Statement("", "")

    def to_diff_tuple(self) -> tuple[str, str]:
        """What `alembic check` shows."""
        return "backfill", self.table_name

    def table(self, *key: sqlalchemy.ColumnClause[Any]) -> sqlalchemy.TableClause:
        """The table, with the columns of its key and those that are set."""
        names = [name for name in self.values if name not in {column.name for column in key}]
        return sqlalchemy.table(self.table_name, *key, *map(sqlalchemy.column, names), schema=self.schema)

    def update(self, table: sqlalchemy.TableClause) -> sqlalchemy.Update:
        """The UPDATE of all rows."""
        statement = sqlalchemy.update(table).values({name: sqlalchemy.text(sql) for name, sql in self.values.items()})
        return statement.where(sqlalchemy.text(f"({self.where})")) if self.where else statement

    def digest(self, revision: str, number: int = 0) -> str:
        """A name for it, in a revision; `number` tells backfills that do the same apart."""
        parts: list[Any] = [revision, self.schema, self.table_name, sorted(self.values.items()), self.where]
        parts += [number] * (number > 0)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


@renderers.dispatch_for(Backfill)
def _render(context: AutogenContext, operation: Backfill) -> str:
    options: list[tuple[str, Any, Any]] = [
        ("where", operation.where, ""),
        ("schema", operation.schema, None),
        ("batch_size", operation.batch_size, BATCH_SIZE),
    ]
    text = "".join(f", {name}={value!r}" for name, value, default in options if value != default)
    return f"op.backfill({operation.table_name!r}, {operation.values!r}{text})"


@Operations.implementation_for(Backfill)
def _run(operations: Operations, operation: Backfill) -> None:
    context = operations.migration_context
    if context.as_sql:
        operations.execute(operation.update(operation.table()))  # a file of SQL has no loops
        return
    with context.autocommit_block():
        assert context.connection is not None
        _Batches(context.connection, operation).run()


class _Batches:
    """A run of a backfill on a connection without a transaction."""

    def __init__(self, connection: sqlalchemy.Connection, operation: Backfill) -> None:
        self.connection = connection
        self.operation = operation
        self.revision = str(connection.info.get(REVISION, ""))
        run_already: list[str] = connection.info.setdefault(RUN_ALREADY, [])
        digest = operation.digest(self.revision)
        self.name = operation.digest(self.revision, run_already.count(digest))
        run_already.append(digest)
        self.report: Report = connection.info.get(REPORT) or (lambda table, rows, total: None)
        inspector = sqlalchemy.inspect(connection)
        name, schema = operation.table_name, operation.schema
        names = inspector.get_pk_constraint(name, schema)["constrained_columns"]
        if not names:
            raise MigrationError(
                f"the table {name} has no primary key, and batches are ranges of it: change its rows with one UPDATE"
            )
        types = {column["name"]: column["type"] for column in inspector.get_columns(name, schema)}
        self.key = [sqlalchemy.column(each, types[each]) for each in names]
        self.table = operation.table(*self.key)

    def run(self) -> None:
        """Change the rows after the last batch that was committed."""
        journal.create_backfills(self.connection)
        state = journal.read_backfill(self.connection, self.name)
        if state is not None and state.is_done:
            for statement in ("BEGIN", "COMMIT"):  # the block is seen, and what comes after it told from what is before
                self.connection.exec_driver_sql(statement)
            return
        last = None if state is None else _values(state.last_key)
        rows = 0 if state is None else state.rows
        changes = dialect_for(self.connection.dialect).schema_changes
        total = changes.estimated_rows(self.connection, self.operation.table_name, self.operation.schema) or 0
        is_done = False
        while not is_done:
            upper = self._upper(last)
            is_done = upper is None
            rows += 0 if is_done else self.operation.batch_size
            state = journal.BackfillState(self.name, self.revision, _text(upper or last), rows, is_done)
            self._change(self._range(last, upper), state)
            last = upper
            self.report(self.operation.table_name, max(total, rows) if is_done else rows, max(total, rows))

    def _upper(self, last: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """The last key of the next batch; None if it is the last batch."""
        query = sqlalchemy.select(*self.key).select_from(self.table).order_by(*self.key)
        if last is not None:
            query = query.where(_after(self.key, last))
        row = self.connection.execute(query.offset(self.operation.batch_size - 1).limit(1)).first()
        return None if row is None else tuple(row)

    def _range(self, last: tuple[Any, ...] | None, upper: tuple[Any, ...] | None) -> list[Any]:
        conditions = [] if last is None else [_after(self.key, last)]
        return conditions if upper is None else [*conditions, sqlalchemy.not_(_after(self.key, upper))]

    def _change(self, conditions: list[Any], state: journal.BackfillState) -> None:
        """Change the rows of a batch, and note that they are, in one transaction."""
        self.connection.exec_driver_sql("BEGIN")
        try:
            self.connection.execute(self.operation.update(self.table).where(*conditions))
            journal.write_backfill(self.connection, state)
            self.connection.exec_driver_sql("COMMIT")
        except BaseException:
            with contextlib.suppress(DBAPIError):
                self.connection.exec_driver_sql("ROLLBACK")
            raise


def _after(key: list[sqlalchemy.ColumnClause[Any]], values: tuple[Any, ...]) -> sqlalchemy.ColumnElement[bool]:
    """The condition of the rows whose key comes after these values."""
    condition: sqlalchemy.ColumnElement[bool] = key[-1] > values[-1]
    for column, value in zip(reversed(key[:-1]), reversed(values[:-1]), strict=True):
        # The first part alone finds the range in the index; servers do not see that from the OR.
        condition = (column >= value) & ((column > value) | condition)
    return condition


def _text(key: tuple[Any, ...] | None) -> str:
    """The text that notes a key. Raises `MigrationError` for a value of another type."""
    parts = []
    for value in key or ():
        names = [name for name, (type_, _, _) in KEY_TYPES.items() if isinstance(value, type_)]
        if not names:
            raise MigrationError(f"a backfill cannot note keys of the type {type(value).__name__}")
        parts.append([names[0], KEY_TYPES[names[0]][2](value)])
    return json.dumps(parts)


def _values(text: str) -> tuple[Any, ...] | None:
    """The key that a text notes; None for none."""
    return tuple(KEY_TYPES[name][1](value) for name, value in json.loads(text)) or None
