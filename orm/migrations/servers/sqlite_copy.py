"""Changes of a table on SQLite that ALTER TABLE cannot do: the table is copied, with everything that it had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from alembic.ddl.base import format_server_default
from alembic.ddl.sqlite import SQLiteImpl as AlembicSQLite
from alembic.operations.batch import BatchOperationsImpl
from alembic.util import CommandError
from sqlalchemy import schema as sa_schema
from sqlalchemy import types as sqltypes
from sqlalchemy.types import TypeEngine

from orm.migrations.servers.sqlite_table import Clause, Column, CreateTable, tokens

COPY = "_orm_copy_"
#: An operation of a batch: the name of the method of `DefaultImpl`, and its arguments.
Operation = tuple[str, tuple[Any, ...], dict[str, Any]]
INTEGERS = {sqltypes.SmallInteger: 15, sqltypes.BigInteger: 63, sqltypes.Integer: 31}


class SQLiteImpl(AlembicSQLite):
    """Alembic's operations on SQLite. A batch that ALTER TABLE cannot do copies the table by its own SQL."""

    __dialect__ = "sqlite"
    # They are stored alike.
    type_synonyms = (*AlembicSQLite.type_synonyms, {"VARCHAR", "NVARCHAR"})

    def requires_recreate_in_batch(self, batch_op: BatchOperationsImpl) -> bool:
        """Replace the operations of a batch by one that changes the table. Without a connection, Alembic decides."""
        if self.as_sql or batch_op.copy_from is not None:
            return super().requires_recreate_in_batch(batch_op)
        batch_op.batch = [("change_table", (batch_op.table_name, batch_op.schema, batch_op.batch), {})]
        return False

    def change_table(self, name: str, schema: str | None, operations: Sequence[Operation]) -> None:
        """Run the operations of a batch: by ALTER TABLE where SQLite can, and together in one copy where it cannot.

        Raises `CommandError` if a value does not fit its new type, or a foreign key would point nowhere.
        """
        change = TableChange(self, name, schema)
        with change.savepoint():
            for operation in operations:
                change.apply(*operation)
            change.finish()

    def correct_for_autogen_constraints(
        self,
        conn_unique_constraints: set[Any],
        conn_indexes: set[Any],
        metadata_unique_constraints: set[Any],
        metadata_indexes: set[sqlalchemy.Index],
    ) -> None:
        """Leave indexes of expressions out of Alembic's comparison, which warns of them: they are compared later."""
        for index in list(metadata_indexes):
            if not all(isinstance(expression, sqlalchemy.Column) for expression in index.expressions):
                metadata_indexes.discard(index)

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        """RENAME TABLE; a name that differs in letter case only is taken by the table itself."""
        if str(old_table_name).lower() == str(new_table_name).lower():
            super().rename_table(old_table_name, COPY + str(new_table_name), schema=schema)
            old_table_name = COPY + str(new_table_name)
        super().rename_table(old_table_name, new_table_name, schema=schema)

    def add_constraint(self, const: sqlalchemy.Constraint, **kw: Any) -> None:
        """ADD CONSTRAINT, by a copy of the table."""
        assert const.table is not None
        self.change_table(const.table.name, const.table.schema, [("add_constraint", (const,), kw)])

    def drop_constraint(self, const: sqlalchemy.Constraint, **kw: Any) -> None:
        """DROP CONSTRAINT, by a copy of the table."""
        assert const.table is not None
        self.change_table(const.table.name, const.table.schema, [("drop_constraint", (const,), kw)])


class TableChange:
    """The changes of one table."""

    def __init__(self, impl: SQLiteImpl, name: str, schema: str | None) -> None:
        self.impl = impl
        self.name = name
        self.schema = schema
        assert impl.connection is not None
        self.connection = impl.connection
        self.prepare = impl.dialect.identifier_preparer
        self.master = f"{self.prepare.quote(schema)}.sqlite_master" if schema else "sqlite_master"
        #: The table as it is to be; None as long as nothing needs a copy.
        self.table: CreateTable | None = None
        self.columns_before: list[str] = []
        #: Conditions of the rows that a change of type would not convert, with what they are.
        self.refusals: list[tuple[str, str]] = []
        #: What a column's values become; the column itself for those that are not named.
        self.values: dict[str, str] = {}

    # One operation.

    def apply(self, operation: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Run an operation, or note it for the copy."""
        method = getattr(self, operation, None)
        if method is None:
            self.finish()
            getattr(self.impl, operation)(*arguments, **options)
        else:
            method(*arguments, **options)

    def add_column(self, table: str, column: sqlalchemy.Column[Any], *, schema: Any = None, **options: Any) -> None:
        """ADD COLUMN; SQLite itself adds those that every row can get without being written."""
        if self.table is None and _can_be_added(column):
            self.impl.add_column(self.name, column, schema=self.schema)
            return
        compiler: Any = self.impl.dialect.ddl_compiler(self.impl.dialect, None)  # type: ignore[arg-type]
        added = CreateTable.parse(f"CREATE TABLE t ({compiler.get_column_specification(column)})").columns[0]
        self._editable().columns.append(added)

    def drop_column(self, table: str, column: sqlalchemy.Column[Any], **options: Any) -> None:
        """DROP COLUMN, with the constraints that are written at the column or are only about it."""
        edited = self._editable()
        edited.columns.remove(self._column(column.name))
        gone = column.name.lower()
        edited.constraints = [each for each in edited.constraints if {name.lower() for name in each.columns} != {gone}]

    def alter_column(
        self,
        table: str,
        column_name: str,
        *,
        nullable: bool | None = None,
        server_default: Any = False,
        name: str | None = None,
        type_: TypeEngine[Any] | None = None,
        existing_type: TypeEngine[Any] | None = None,
        **options: Any,
    ) -> None:
        """The changes of a column."""
        if type_ is not None:
            self._change_type(column_name, type_, existing_type)
        if nullable is not None:
            column = self._column(column_name)
            column.remove("not null")
            column.remove("null")
            if not nullable:
                column.clauses.insert(0, Clause("not null", "NOT NULL"))
        if server_default is not False:
            column = self._column(column_name)
            default = column.clause("default")
            if default is not None and column.name.lower() not in self.columns_before:
                # Existing rows get the default that a new column had at first.
                self.values[column.name] = default.text.split(None, 1)[1]
            column.remove("default")
            column.remove("generated")
            if isinstance(server_default, sqlalchemy.Computed):
                compiler: Any = self.impl.dialect.ddl_compiler(self.impl.dialect, None)  # type: ignore[arg-type]
                column.clauses.append(Clause("generated", compiler.process(server_default)))
            elif server_default is not None:
                compiler = self.impl.dialect.ddl_compiler(self.impl.dialect, None)  # type: ignore[arg-type]
                column.clauses.insert(
                    0, Clause("default", f"DEFAULT {format_server_default(compiler, server_default)}")
                )
        if name is not None and name != column_name:
            self.finish()
            # RENAME COLUMN follows the name into indexes, constraints, triggers and views.
            quote = self.prepare.quote
            self._run(f"ALTER TABLE {self._quoted()} RENAME COLUMN {quote(column_name)} TO {quote(name)}")

    def add_constraint(self, constraint: sqlalchemy.Constraint, **options: Any) -> None:
        """ADD CONSTRAINT."""
        compiler: Any = self.impl.dialect.ddl_compiler(self.impl.dialect, None)  # type: ignore[arg-type]
        sql = compiler.process(constraint)
        edited = self._editable()
        if isinstance(constraint, sa_schema.PrimaryKeyConstraint):
            edited.constraints = [each for each in edited.constraints if each.kind != "primary key"]
            for column in edited.columns:
                column.remove("primary key")
        parsed = CreateTable.parse(f"CREATE TABLE t (x, {sql})").constraints
        edited.constraints.extend(parsed)

    def drop_constraint(self, constraint: sqlalchemy.Constraint, **options: Any) -> None:
        """DROP CONSTRAINT. Raises `CommandError` if the table has none of this name."""
        edited = self._editable()
        if isinstance(constraint, sa_schema.PrimaryKeyConstraint):
            edited.constraints = [each for each in edited.constraints if each.kind != "primary key"]
            for column in edited.columns:
                column.remove("primary key")
        elif not edited.drop_constraint(str(constraint.name)):
            raise CommandError(f"The table {self.name} has no constraint {constraint.name}.")

    def create_index(self, index: sqlalchemy.Index, **options: Any) -> None:
        """CREATE INDEX, on the table as the operations before it left it."""
        self.finish()
        self.impl.create_index(index, **options)

    def drop_index(self, index: sqlalchemy.Index, **options: Any) -> None:
        """DROP INDEX, before the copy."""
        self.impl.drop_index(index, **options)

    def _change_type(self, name: str, type_: TypeEngine[Any], existing: TypeEngine[Any] | None) -> None:
        column = self._column(name)
        compiled = self.impl.dialect.type_compiler_instance.process(type_)
        column.type = compiled
        value = self.prepare.quote(column.name)
        if isinstance(type_, sqltypes.Boolean) and not isinstance(existing, sqltypes.Boolean):
            self.values[column.name] = f"CASE WHEN typeof({value}) = 'text' THEN {value} ELSE {value} <> 0 END"
        condition = _unfit(type_, value)
        if condition:
            self.refusals.append((condition, f"{self.name}.{name} is to be {compiled}"))

    # The copy.

    def finish(self) -> None:
        """Copy the table, if an operation needs it."""
        if self.table is None:
            return
        table, self.table = self.table, None
        self._refuse_enforced_keys()
        quote, name = self.prepare.quote, self._quoted()
        orphans = self._orphans()
        indexes_and_triggers = self.connection.execute(
            sqlalchemy.text(
                f"SELECT type, sql FROM {self.master} WHERE tbl_name = :name COLLATE NOCASE AND sql IS NOT NULL "
                "AND type IN ('index', 'trigger') ORDER BY type, rowid"
            ),
            {"name": self.name},
        ).fetchall()
        counter = self._counter()
        prefix = f"{quote(self.schema)}." if self.schema else ""
        copy = f"{prefix}{quote(COPY + self.name)}"
        self._run(table.sql(copy))
        kept = [
            column.name
            for column in table.columns
            if (column.name.lower() in self.columns_before or column.name in self.values)
            and column.clause("generated") is None
        ]
        into, values = [quote(column) for column in kept], [self.values.get(column, quote(column)) for column in kept]
        if self._has_own_rowid(table):
            into, values = ["rowid", *into], ["rowid", *values]
        if into:
            self._run(f"INSERT INTO {copy} ({', '.join(into)}) SELECT {', '.join(values)} FROM {name}")
        for condition, what in self.refusals:
            count = self.connection.exec_driver_sql(f"SELECT count(*) FROM {copy} WHERE {condition}").scalar()
            if count:
                raise CommandError(
                    f"{what}, but {count} {'row has a value' if count == 1 else 'rows have values'} that would not be "
                    "converted, or not in full. Change them first, or convert them in the migration."
                )
        # The old behaviour of RENAME, which leaves the text of triggers, views and foreign keys of other tables alone.
        legacy = self.connection.exec_driver_sql("PRAGMA legacy_alter_table").scalar()
        self._run("PRAGMA legacy_alter_table = ON")
        try:
            self._run(f"DROP TABLE {name}")
            self._run(f"ALTER TABLE {copy} RENAME TO {quote(self.name)}")
        finally:
            self._run(f"PRAGMA legacy_alter_table = {'ON' if legacy else 'OFF'}")
        if counter is not None and table_counts(table):
            self._set_counter(counter)
        for _, sql in indexes_and_triggers:
            self._run(sql)
        new = self._orphans() - orphans
        if new:
            raise CommandError(
                f"A foreign key would point nowhere: {_described(new)}. Change these rows first; nothing was changed."
            )
        self.refusals, self.values = [], {}

    def _editable(self) -> CreateTable:
        if self.table is None:
            row = self.connection.execute(
                sqlalchemy.text(
                    f"SELECT name, sql FROM {self.master} WHERE type = 'table' AND name = :name COLLATE NOCASE"
                ),
                {"name": self.name},
            ).fetchone()
            if row is None:
                raise CommandError(f"There is no table {self.name} to change.")
            self.name = row[0]
            self.table = CreateTable.parse(row[1])
            self.columns_before = [column.name.lower() for column in self.table.columns]
        return self.table

    def _column(self, name: str) -> Column:
        try:
            return self._editable().column(name)
        except KeyError:
            raise CommandError(f"The table {self.name} has no column {name} to change.") from None

    def _quoted(self) -> str:
        prefix = f"{self.prepare.quote(self.schema)}." if self.schema else ""
        return prefix + self.prepare.quote(self.name)

    def _run(self, sql: str) -> None:
        self.connection.exec_driver_sql(sql)

    def _has_own_rowid(self, table: CreateTable) -> bool:
        """Whether rows have a rowid that is no column, which other programs may have noted."""
        words = {token.word for token in tokens(table.options)}
        names = {column.name.lower() for column in table.columns}
        return "WITHOUT" not in words and not table.has_rowid_alias() and "rowid" not in names

    def _refuse_enforced_keys(self) -> None:
        if self.connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
            raise CommandError(
                f"The table {self.name} cannot be copied on a connection that enforces foreign keys, because dropping "
                "the old table would delete the rows that refer to it. Use the connection of orm.migrations.connect(), "
                "or PRAGMA foreign_keys = OFF before the transaction."
            )

    def _orphans(self) -> set[tuple[Any, ...]]:
        """The rows whose foreign keys point nowhere, by table, rowid and target."""
        rows = self.connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        return {(row[0].removeprefix(COPY), row[1], row[2]) for row in rows}

    def _counter(self) -> int | None:
        """The counter of AUTOINCREMENT."""
        exists = self.connection.exec_driver_sql(f"SELECT 1 FROM {self.master} WHERE name = 'sqlite_sequence'").scalar()
        if not exists:
            return None
        sequence = self.master.replace("sqlite_master", "sqlite_sequence")
        query = sqlalchemy.text(f"SELECT seq FROM {sequence} WHERE name = :name COLLATE NOCASE")
        value = self.connection.execute(query, {"name": self.name}).scalar()
        return None if value is None else int(value)

    def _set_counter(self, value: int) -> None:
        sequence = self.master.replace("sqlite_master", "sqlite_sequence")
        self.connection.execute(sqlalchemy.text(f"DELETE FROM {sequence} WHERE name = :name"), {"name": self.name})
        self.connection.execute(
            sqlalchemy.text(f"INSERT INTO {sequence} (name, seq) VALUES (:name, :value)"),
            {"name": self.name, "value": value},
        )

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo everything if a statement fails, also where the driver has begun no transaction."""
        self._run("SAVEPOINT orm_change_table")
        try:
            yield
        except BaseException:
            self._run("ROLLBACK TO orm_change_table")
            self._run("RELEASE orm_change_table")
            raise
        self._run("RELEASE orm_change_table")


def table_counts(table: CreateTable) -> bool:
    """Whether the table has AUTOINCREMENT."""
    return any("AUTOINCREMENT" in clause.text.upper() for column in table.columns for clause in column.clauses)


def _described(orphans: set[tuple[Any, ...]]) -> str:
    shown = [f"row {rowid} of {table} has no row in {target}" for table, rowid, target in sorted(orphans, key=str)[:5]]
    return ", ".join(shown) + (f" and {len(orphans) - 5} more" if len(orphans) > 5 else "")


def _can_be_added(column: sqlalchemy.Column[Any]) -> bool:
    """Whether SQLite's own ADD COLUMN takes it."""
    if column.primary_key or column.unique:
        return False
    if column.computed is not None:
        return not column.computed.persisted
    default = column.server_default
    if default is None:
        return bool(column.nullable)
    argument = getattr(default, "arg", None)
    return isinstance(argument, str) or (isinstance(argument, sqlalchemy.TextClause) and _is_literal(argument.text))


def _is_literal(sql: str) -> bool:
    read = tokens(sql)
    return len(read) == 1 and read[0].kind in ("string", "number")


def _unfit(type_: TypeEngine[Any], value: str) -> str | None:
    """The condition of values that SQLite could not convert, or that other databases would refuse."""
    if isinstance(type_, sqltypes.Boolean):
        return f"{value} IS NOT NULL AND ({value} NOT IN (0, 1) OR typeof({value}) <> 'integer')"
    for kind, bits in INTEGERS.items():
        if isinstance(type_, kind):
            limit = 2**bits
            fits = f"typeof({value}) = 'integer' AND {value} BETWEEN {-limit} AND {limit - 1}"
            return f"{value} IS NOT NULL AND NOT ({fits})"
    if isinstance(type_, (sqltypes.Numeric, sqltypes.Float)):
        return f"typeof({value}) IN ('text', 'blob')"
    if isinstance(type_, sqltypes.JSON):
        return f"{value} IS NOT NULL AND NOT json_valid({value})"
    length = getattr(type_, "length", None)
    if isinstance(type_, sqltypes.String) and length:
        return f"length({value}) > {length}"
    return None
