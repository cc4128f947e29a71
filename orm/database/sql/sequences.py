"""Sequences of the database: how their next value is written, and which of them tables need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import IdentifierError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateSequence, DropSequence
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from orm.database.dialect_registry import dialect_for
from orm.database.sql.ddl import StoredDefault, is_managed
from orm.database.types import column_types
from orm.exceptions import FieldError, NotSupportedError


class NextValue(sqlalchemy.ColumnElement[Any]):
    """The next value of a sequence."""

    inherit_cache = False
    _traverse_internals: Any = [("full_name", InternalTraversal.dp_string)]  # noqa: RUF012 - as SQLAlchemy declares it

    def __init__(self, sequence: sqlalchemy.Sequence) -> None:
        self.sequence = sequence
        self.full_name = f"{sequence.schema or ''}.{sequence.name}"
        self.type = column_types.BigInteger()


@compiles(NextValue)
def _next_value(element: NextValue, compiler: SQLCompiler, **kw: Any) -> str:
    return next_value_sql(element.sequence, compiler.dialect)


def next_value_sql(sequence: sqlalchemy.Sequence, dialect: Dialect) -> str:
    """The SQL of the next value. Raises `NotSupportedError` on a database without sequences."""
    name: str = dialect.identifier_preparer.format_sequence(sequence)
    return dialect_for(dialect).next_value(name)


def sequences_in(table: sqlalchemy.Table) -> Iterator[sqlalchemy.Sequence]:
    """The sequences that the defaults of a table's columns use."""
    for column in table.columns:
        yield from sequences_in_default(column.server_default)


def sequences_in_default(default: Any) -> Iterator[sqlalchemy.Sequence]:
    """The sequences that the server default of a column uses."""
    argument = getattr(default, "arg", None)
    if isinstance(argument, StoredDefault):
        for element in visitors.iterate(argument.default):
            if isinstance(element, NextValue):
                yield element.sequence


def sequences_of(metadata: sqlalchemy.MetaData) -> list[sqlalchemy.Sequence]:
    """The sequences of the tables of a MetaData, each once, in the order of their names.

    Raises `FieldError` if two of one name differ.
    """
    sequences: dict[tuple[str | None, str], sqlalchemy.Sequence] = {}
    for table in filter(is_managed, metadata.tables.values()):
        for sequence in sequences_in(table):
            key = (sequence.schema, str(sequence.name))
            if _options(sequences.setdefault(key, sequence)) != _options(sequence):
                raise FieldError(f"Two sequences called {sequence.name!r} differ: use one orm.Sequence for both.")
    return [sequences[key] for key in sorted(sequences, key=lambda key: (key[0] or "", key[1]))]


def _options(sequence: sqlalchemy.Sequence) -> tuple[Any, ...]:
    return (sequence.start, sequence.increment, sequence.cycle)


def check_sequences(metadata: sqlalchemy.MetaData, dialect: Dialect) -> list[sqlalchemy.Sequence]:
    """The sequences of a MetaData. Raises `NotSupportedError` if the database has none, or not such names."""
    sequences = sequences_of(metadata)
    ours = dialect_for(dialect)
    for sequence in sequences:
        if not ours.sequences:
            raise NotSupportedError(
                f"The sequence {sequence.name} cannot be made: {ours.name} has no sequences. An integer primary key is "
                "numbered on every database without one."
            )
        try:
            dialect.validate_identifier(str(sequence.name))
        except IdentifierError as error:
            raise NotSupportedError(f"a name is too long for {ours.name}: {error}") from error
    return sequences


def create_sequences(metadata: sqlalchemy.MetaData, dialect: Dialect) -> Iterator[CreateSequence]:
    """CREATE SEQUENCE IF NOT EXISTS, for each; raises as `check_sequences`."""
    for sequence in check_sequences(metadata, dialect):
        yield CreateSequence(sequence, if_not_exists=True)


def drop_sequences(metadata: sqlalchemy.MetaData, dialect: Dialect) -> Iterator[DropSequence]:
    """DROP SEQUENCE IF EXISTS, for each; nothing on a database without sequences."""
    if dialect_for(dialect).sequences:
        for sequence in sequences_of(metadata):
            yield DropSequence(sequence, if_exists=True)
