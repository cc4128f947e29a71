"""The base class of what differs between databases in migrations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.types import TypeEngine

from orm.database.dialect_registry import dialect_for
from orm.database.sql.ddl import NEW_TABLE, TableItem, is_made_on
from orm.database.sql.sequences import next_value_sql, sequences_in


@dataclass(frozen=True)
class Item:
    """An index or constraint as the database has it.

    Attributes:
        text: What is compared; two items with the same text are the same.
        create: The statement that makes it on the existing table; for a CHECK, its condition.
        columns: The names of its columns, as far as they are columns.
    """

    text: str
    create: str
    columns: tuple[str, ...] = ()


@dataclass
class Definitions:
    """A table as the database describes it: each in the database's own words, by its name."""

    types: dict[str, str] = field(default_factory=dict)
    generated: dict[str, str] = field(default_factory=dict)
    checks: dict[str, Item] = field(default_factory=dict)
    uniques: dict[str, Item] = field(default_factory=dict)
    indexes: dict[str, Item] = field(default_factory=dict)
    exclusions: dict[str, Item] = field(default_factory=dict)
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class SequenceOptions:
    """What a sequence was made with."""

    start: int
    increment: int
    cycle: bool


class Server:
    """A database, as migrations see it."""

    #: Whether a foreign key must be dropped before the type of its columns, or of those it refers to, is changed.
    keys_hold_types = False
    #: Whether the tables of a cycle can be made in any order, with the foreign keys in them.
    keys_to_missing_tables = False
    #: Whether a foreign key has an index of its own, which lives and dies with it.
    keys_have_indexes = False
    #: Whether a change of a column says if the database numbers it.
    takes_autoincrement = False
    #: Whether `makemigrations --safe` fills rows in batches: elsewhere a transaction is worth more.
    fills_in_batches = False
    #: How ALTER SEQUENCE says that a sequence ends with its last number.
    no_cycle = "NO CYCLE"

    def online(self, dialect: Dialect, operation: Any) -> list[Any] | None:
        """What `makemigrations --safe` writes for an operation on a table with rows; None for the operation itself."""
        return None

    def refuse_nulls(self, dialect: Dialect, table: tuple[str | None, str], column: str) -> list[Any]:
        """What comes before the rows of a column are filled that gets NOT NULL."""
        return []

    def validate_required(
        self, dialect: Dialect, table: tuple[str | None, str], column: str
    ) -> tuple[list[Any], list[Any]]:
        """What comes before NOT NULL, once the rows are filled, and after it."""
        return [], []

    def definitions(self, connection: Connection, table: sqlalchemy.Table) -> Definitions:
        """The definitions of a table that the database has under this name; here, the names only."""
        inspector, arguments = sqlalchemy.inspect(connection), (table.name, table.schema)
        return Definitions(
            checks={
                str(each["name"]): Item("", each["sqltext"]) for each in inspector.get_check_constraints(*arguments)
            },
            uniques={str(each["name"]): Item("", "") for each in inspector.get_unique_constraints(*arguments)},
            indexes={str(each["name"]): Item("", "") for each in inspector.get_indexes(*arguments)},
            key=tuple(inspector.get_pk_constraint(*arguments)["constrained_columns"]),
        )

    def model_definitions(self, connection: Connection, table: sqlalchemy.Table) -> Definitions:
        """The definitions that the table of a model would have: a temporary table is made, and described."""
        dialect = connection.dialect
        items: list[TableItem] = [*table.constraints, *table.indexes]
        wanted = [item for item in items if is_made_on(item, dialect)]

        def names(kind: type[TableItem]) -> dict[str, Item]:
            return {str(item.name): Item("", "") for item in wanted if isinstance(item, kind) and item.name is not None}

        return Definitions(
            checks=names(sqlalchemy.CheckConstraint),
            uniques=names(sqlalchemy.UniqueConstraint),
            indexes=names(sqlalchemy.Index),
            key=tuple(column.name for column in table.primary_key.columns),
        )

    def after_rename(
        self, connection: Connection, old: sqlalchemy.Table, new: sqlalchemy.Table
    ) -> list[tuple[str, str]]:
        """The statements that rename what is named after a renamed table, each with the one that undoes it."""
        return []

    def drop_constraint(self, dialect: Dialect, table: sqlalchemy.Table, name: str) -> str:
        """DROP CONSTRAINT."""
        prepare = dialect.identifier_preparer
        return f"ALTER TABLE {prepare.format_table(table)} DROP CONSTRAINT {prepare.quote(name)}"

    def drop_index(self, dialect: Dialect, table: sqlalchemy.Table, name: str) -> str:
        """DROP INDEX."""
        return f"DROP INDEX {dialect.identifier_preparer.quote(name)}"

    def conversion(self, dialect: Dialect, column: str, old: TypeEngine[Any], new: TypeEngine[Any]) -> str | None:
        """The expression that makes the new type's values of a column's, for USING; None if the database needs none."""
        return None

    def differs(self, old: str, new: str) -> bool:
        """Whether two types, in the database's own words, differ in more than their words."""
        return False

    def reflected_type(self, text: str, reflected: TypeEngine[Any]) -> TypeEngine[Any]:
        """The type of a column, of which the database says more than SQLAlchemy reflects."""
        return reflected

    def unfit(
        self, dialect: Dialect, column: str, old: TypeEngine[Any], new: TypeEngine[Any], family: str
    ) -> str | None:
        """The condition of the rows whose value the new type cannot hold; None if the database refuses them.

        `column` is quoted.
        """
        return None

    def before_type_change(
        self, dialect: Dialect, table: sqlalchemy.Table, column: str, old: TypeEngine[Any], new: TypeEngine[Any]
    ) -> list[str]:
        """Statements that prepare a column's values for their new type."""
        return []

    def widened_sequence(
        self, connection: Connection, table: sqlalchemy.Table, column: str, old: str, new: str
    ) -> tuple[str, str] | None:
        """The statements that change, and change back, the sequence that numbers a column; None if there is none."""
        return None

    def sequences(self, connection: Connection, schema: str | None) -> dict[str, SequenceOptions | None]:
        """The sequences that are no part of a table, with their options; None if these are not known."""
        if not dialect_for(connection.dialect).sequences:
            return {}
        return dict.fromkeys(sqlalchemy.inspect(connection).get_sequence_names(schema))

    def default_text(self, connection: Connection, column: sqlalchemy.Column[Any]) -> str | None:
        """The default of a column that SQLAlchemy does not reflect, because it does not know its syntax."""
        return None

    def defaults_of(
        self, connection: Connection, schema: str | None, sequence: str
    ) -> list[tuple[str | None, str, str, str]]:
        """The defaults that outlive a sequence that they use: schema, table, column and SQL."""
        return []

    def view_text(self, connection: Connection, name: str, schema: str | None) -> str | None:
        """The query of a view as the database writes it; None if the database cannot tell without making one."""
        return None

    def create_view(self, table: sqlalchemy.Table, kind: str, text: str, dialect: Dialect) -> str:
        """The statement that makes a view of the text of `view_text()`."""
        return f"CREATE {kind} {dialect.identifier_preparer.format_table(table)} AS {text}"

    def same_view(self, one: str, other: str) -> bool:
        """Whether two texts of views are the same."""
        return one == other

    def model_view_text(self, connection: Connection, table: sqlalchemy.Table, create: str) -> str | None:
        """The query that the view of a model would have, as the database writes it."""
        return None


def statements_of(table: sqlalchemy.Table, dialect: Dialect) -> tuple[str, list[str]]:
    """The CREATE TABLE without foreign keys, and the statements of the indexes, for a table without a schema."""
    prepare = dialect.identifier_preparer
    full, plain = prepare.format_table(table), prepare.quote(table.name)
    create = str(CreateTable(table, include_foreign_key_constraints=[]).compile(dialect=dialect)).strip()
    for sequence in sequences_in(table):  # the migration may be to make it first
        create = create.replace(next_value_sql(sequence, dialect), "1")
    indexes = [
        str(CreateIndex(index).compile(dialect=dialect, compile_kwargs={NEW_TABLE: True}))
        for index in sorted(table.indexes, key=lambda index: str(index.name))
        if is_made_on(index, dialect)
    ]
    if getattr(prepare, "_double_percents", False):
        create, indexes = create.replace("%%", "%"), [index.replace("%%", "%") for index in indexes]
    replaced = [index.replace(f" ON {full} ", f" ON {plain} ", 1) for index in indexes]
    replaced = [index.replace(f"ALTER TABLE {full} ", f"ALTER TABLE {plain} ", 1) for index in replaced]
    return create.replace(full, plain, 1), replaced


def by_name(items: Mapping[str, Item], name: str) -> Item | None:
    """The item of a name, in any letter case."""
    return next((item for key, item in items.items() if key.lower() == name.lower()), None)
