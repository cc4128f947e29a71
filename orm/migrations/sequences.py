"""Sequences in migrations: made before the tables that use them, and dropped after them."""

from __future__ import annotations

import sqlalchemy
from alembic.operations import ops
from sqlalchemy.schema import CreateSequence, DropSequence

from orm.database.sql.sequences import check_sequences
from orm.migrations.difference import LAST, REMOVED, RENAMES, TABLE, Difference
from orm.migrations.servers.base import SequenceOptions
from orm.migrations.sql_texts import as_text


def compare_sequences(difference: Difference) -> None:
    """Make the sequences that are missing, change those whose options changed, and drop those that no model has.

    Raises `NotSupportedError` for a database without sequences.
    """
    dialect, connection, ownership = difference.dialect, difference.connection, difference.ownership
    wanted = [each for metadata in difference.metadatas for each in check_sequences(metadata, dialect)]
    if not wanted and not ownership.sequences:
        return
    server, existing_schemas = difference.server, {None, *difference.inspector.get_schema_names()}
    schemas = {each.schema for each in wanted} | ownership.schemas
    had = {schema: server.sequences(connection, schema) for schema in schemas & existing_schemas}
    for sequence in wanted:
        existing, name = had.get(sequence.schema, {}), str(sequence.name)
        if name not in existing:
            difference.statement(*_statements(difference, sequence), (sequence.schema, ""), RENAMES)
            continue
        old, new = existing[name], _options(sequence)
        if old is not None and old != new:
            forth, back = _alter(difference, sequence, new), _alter(difference, sequence, old)
            difference.statement(forth, back, (sequence.schema, ""), RENAMES)
    names = {(each.schema, str(each.name)) for each in wanted}
    for schema, existing in had.items():
        for name, options in existing.items():
            if (schema, name) not in names and name in ownership.sequences:
                _drop(difference, schema, name, options)


def _drop(difference: Difference, schema: str | None, name: str, options: SequenceOptions | None) -> None:
    """Drop a sequence, after the defaults that would outlive it."""
    sequence = sqlalchemy.Sequence(name, schema=schema)
    if options is not None:
        sequence.start, sequence.increment, sequence.cycle = options.start, options.increment, options.cycle or None
    prepare = difference.dialect.identifier_preparer
    for of_schema, table, column, default in difference.server.defaults_of(difference.connection, schema, name):
        key = (of_schema, table)
        changed = [step.operation for step in difference.on_table(key, (ops.AlterColumnOp, ops.DropColumnOp))]
        if key in difference.dropped or any(
            operation.column_name == column and getattr(operation, "modify_server_default", None) is not False
            for operation in changed
        ):
            continue
        full = prepare.format_table(sqlalchemy.Table(table, sqlalchemy.MetaData(), schema=of_schema))
        alter = f"ALTER TABLE {full} ALTER COLUMN {prepare.quote(column)}"
        difference.statement(
            as_text(f"{alter} DROP DEFAULT"), as_text(f"{alter} SET DEFAULT {default}"), key, TABLE, REMOVED
        )
    create, drop = _statements(difference, sequence)
    difference.statement(drop, create, (schema, ""), LAST)


def _statements(difference: Difference, sequence: sqlalchemy.Sequence) -> tuple[str, str]:
    """CREATE and DROP."""
    dialect = difference.dialect
    create, drop = (str(each.compile(dialect=dialect)) for each in (CreateSequence(sequence), DropSequence(sequence)))
    return as_text(create, dialect), as_text(drop, dialect)


def _alter(difference: Difference, sequence: sqlalchemy.Sequence, options: SequenceOptions) -> str:
    """ALTER SEQUENCE. The next number stays as it is: `start` is where a RESTART would begin."""
    name = difference.dialect.identifier_preparer.format_sequence(sequence)
    cycle = "CYCLE" if options.cycle else difference.server.no_cycle
    sql = f"ALTER SEQUENCE {name} INCREMENT BY {options.increment} START WITH {options.start} {cycle}"
    return as_text(sql, difference.dialect)


def _options(sequence: sqlalchemy.Sequence) -> SequenceOptions:
    increment = 1 if sequence.increment is None else sequence.increment
    start = sequence.start
    if start is None:
        start = 1 if increment > 0 else -1
    return SequenceOptions(start, increment, bool(sequence.cycle))
