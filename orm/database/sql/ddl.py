"""DDL that databases write in different ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import DDLCompiler, SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeEngine

from orm.database.dialect_registry import dialect_for, server_name
from orm.exceptions import FieldError, NotSupportedError

# In the `info` of a CHECK whose columns foreign keys set to NULL.
ON_SET_NULL = "orm_on_set_null"
# In the `info` of an index or constraint: the options that the database must have, and the databases that get it.
REQUIRED = "orm_required"
DATABASES = "orm_databases"
# In the `info` of a table: a mark that the ORM does not make it, and the `View` if it is one.
UNMANAGED = "orm_unmanaged"
VIEW = "orm_view"
#: A compilation argument: the table is new, so an index need not be made CONCURRENTLY.
NEW_TABLE = "new_table"

TableItem = sqlalchemy.Constraint | sqlalchemy.Index


@compiles(CreateTable)
def _create_table(element: CreateTable, compiler: DDLCompiler, **kw: Any) -> str:
    sql: str = compiler.visit_create_table(element, **kw)  # type: ignore[no-untyped-call]
    return dialect_for(compiler.dialect).create_table(sql)


class PartlyGeneratedKey(sqlalchemy.PrimaryKeyConstraint):
    """A composite primary key of which the database numbers one column."""

    inherit_cache = True

    def keys_on(self, dialect: Dialect) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The columns of the PRIMARY KEY on a database, and those of a UNIQUE beside it, if there is one."""
        (generated,) = (column.name for column in self.columns if column.autoincrement is True)
        return dialect_for(dialect).partly_generated_key(tuple(column.name for column in self.columns), generated)


@compiles(PartlyGeneratedKey)
def _partly_generated_key(element: PartlyGeneratedKey, compiler: DDLCompiler, **kw: Any) -> str:
    key, unique = (", ".join(map(compiler.preparer.quote, names)) for names in element.keys_on(compiler.dialect))
    return f"PRIMARY KEY ({key})" + (f", UNIQUE ({unique})" if unique else "")


class StoredDefault(sqlalchemy.ColumnElement[Any]):
    """A server default, as the database stores the values of its column's type."""

    inherit_cache = False

    def __init__(self, default: sqlalchemy.ColumnElement[Any] | sqlalchemy.TextClause, type_: TypeEngine[Any]) -> None:
        self.default = default
        self.type = type_


@compiles(StoredDefault)
def _stored_default(element: StoredDefault, compiler: SQLCompiler, **kw: Any) -> str:
    sql = compiler.process(element.default, **kw)
    is_literal = isinstance(element.default, sqlalchemy.BindParameter)
    return dialect_for(compiler.dialect).column_default(sql, element.type, is_literal=is_literal)


def check_beside_set_null(constraint: sqlalchemy.CheckConstraint) -> sqlalchemy.CheckConstraint:
    """A CHECK on columns that foreign keys set to NULL; databases that refuse it (MySQL, MariaDB) go without."""
    constraint.info[ON_SET_NULL] = True
    return constraint.ddl_if(callable_=_has_checks_on_set_null)


def _has_checks_on_set_null(*arguments: Any, dialect: Dialect, **kw: Any) -> bool:
    return dialect_for(dialect).checks_on_set_null


def is_left_out(constraint: sqlalchemy.CheckConstraint, dialect: Dialect) -> bool:
    """Whether a database goes without the constraint."""
    return ON_SET_NULL in constraint.info and not dialect_for(dialect).checks_on_set_null


def require(item: TableItem, options: Iterable[str]) -> None:
    """Note that an index or constraint needs these options of the database: see `Dialect.refused_table_options`."""
    item.info[REQUIRED] = (*item.info.get(REQUIRED, ()), *options)


def only_on(item: TableItem, databases: Sequence[str]) -> None:
    """Let an index or constraint be made on these databases only."""
    item.info[DATABASES] = frozenset(databases)
    item.ddl_if(callable_=_is_wanted)


def _is_wanted(ddl: Any, target: Any, *arguments: Any, dialect: Dialect, **kw: Any) -> bool:
    return is_made_on(target, dialect)


def is_made_on(item: TableItem, dialect: Dialect) -> bool:
    """Whether an index or constraint is to be made on a database."""
    databases = item.info.get(DATABASES)
    return databases is None or server_name(dialect) in databases


def check_supported(table: sqlalchemy.Table, dialect: Dialect) -> None:
    """Raise `NotSupportedError` for what the database cannot have as declared: an index, a constraint, a column."""
    ours = dialect_for(dialect)
    for column in table.columns:
        if column.computed is not None and not column.computed.persisted and not ours.virtual_columns:
            raise NotSupportedError(
                f"The column {table.name}.{column.name} is calculated when it is read, which not every release of "
                f"{ours.name} supports: store it (stored=True)."
            )
        if column.identity is not None and not ours.identity_columns:
            raise NotSupportedError(
                f"The column {table.name}.{column.name} is an orm.Identity(), which {ours.name} does not have: an "
                "integer primary key without it is numbered on every database."
            )
    items: list[TableItem] = [*table.constraints, *table.indexes]
    for item in items:
        for option in item.info.get(REQUIRED, ()) if is_made_on(item, dialect) else ():
            reason = ours.refused_table_option(option)
            if reason is not None:
                kind = "index" if isinstance(item, sqlalchemy.Index) else "constraint"
                raise NotSupportedError(
                    f"The {kind} {item.name or '(unnamed)'} of the table {table.name} cannot be made: {reason} To make "
                    f"it on the other databases only, give it databases=, such as databases=['postgresql']."
                )


class KeyPart(sqlalchemy.ColumnElement[Any]):
    """An expression as a key of an index; with a condition, NULL for the rows that do not meet it.

    On a database with partial indexes, the condition is that of the index. On one that cannot index expressions, the
    key is a generated column with the name of the part.
    """

    inherit_cache = False
    __visit_name__ = "orm_key_part"
    _traverse_internals: Any = [  # noqa: RUF012 - SQLAlchemy declares it as an instance's
        ("source", InternalTraversal.dp_clauseelement),
        ("condition", InternalTraversal.dp_clauseelement),
        ("name", InternalTraversal.dp_string),
    ]

    def __init__(
        self, source: sqlalchemy.ColumnElement[Any], condition: sqlalchemy.ColumnElement[bool] | None, name: str
    ) -> None:
        self.source = source
        self.condition = condition
        self.key = self.name = name
        self.type = source.type

    def get_children(self, **kw: Any) -> Iterable[Any]:
        """What traversals visit: not the condition, which reads other columns than the key."""
        return [self.source]

    def value(self, *, conditional: bool) -> sqlalchemy.ColumnElement[Any]:
        """The expression, NULL where the condition is not met."""
        if self.condition is None or not conditional:
            return self.source
        return sqlalchemy.case((self.condition, self.source))


@compiles(KeyPart)
def _key_part(element: KeyPart, compiler: SQLCompiler, **kw: Any) -> str:
    dialect = dialect_for(compiler.dialect)
    if not dialect.indexes_expressions:
        return compiler.preparer.quote(element.name)
    value = element.value(conditional=not dialect.partial_indexes)
    sql = compiler.process(value, **kw)
    return sql if isinstance(value, sqlalchemy.Column) else f"({sql})"


def key_parts(index: sqlalchemy.Index) -> list[KeyPart]:
    """The keys of an index that are not just columns."""
    return [
        element
        for expression in index.expressions
        for element in (() if isinstance(expression, str) else visitors.iterate(expression))
        if isinstance(element, KeyPart)
    ]


@compiles(CreateIndex)
def _create_index(element: CreateIndex, compiler: DDLCompiler, **kw: Any) -> str:
    is_new_table = kw.pop(NEW_TABLE, False)
    sql: str = compiler.visit_create_index(element, **kw)  # type: ignore[no-untyped-call]
    if is_new_table:
        sql = sql.replace(" INDEX CONCURRENTLY ", " INDEX ", 1)
    index = element.element
    parts = key_parts(index)
    if not parts or dialect_for(compiler.dialect).indexes_expressions:
        return sql
    # ALTER TABLE adds the generated columns and the index that CREATE … INDEX names, in one statement.
    assert index.table is not None
    table = compiler.preparer.format_table(index.table)
    columns = ", ".join(f"ADD COLUMN {_generated_column(part, compiler)}" for part in parts)
    kind, _, rest = sql.partition("INDEX ")
    name, _, keys = rest.partition(f" ON {table} ")
    return f"ALTER TABLE {table} {columns}, ADD {kind.removeprefix('CREATE ')}INDEX {name} {keys}"


def _generated_column(part: KeyPart, compiler: DDLCompiler) -> str:
    sql = compiler.sql_compiler.process(part.value(conditional=True), include_table=False, literal_binds=True)
    type_ = compiler.dialect.type_compiler_instance.process(_bounded(part).dialect_impl(compiler.dialect))
    return f"{compiler.preparer.quote(part.name)} {type_} GENERATED ALWAYS AS ({sql}) VIRTUAL INVISIBLE"


def _bounded(part: KeyPart) -> TypeEngine[Any]:
    """The type of the generated column. For text, it has the length of the columns that the expression reads."""
    if not isinstance(part.type, sqlalchemy.Text) and not _is_text(part.type):
        return part.type
    columns = [element for element in visitors.iterate(part.source) if isinstance(element, sqlalchemy.Column)]
    lengths: list[Any] = [getattr(column.type, "length", None) for column in columns]
    if not lengths or None in lengths:
        raise FieldError(
            f"The index with the key {part.name} is on a text of unlimited length, which MariaDB cannot index: use "
            "orm.String(max_length=…) for its fields, or databases= to make it on the others only."
        )
    return sqlalchemy.String(sum(lengths))


def _is_text(type_: TypeEngine[Any]) -> bool:
    return getattr(type_, "impl", None) is not None and isinstance(type_.impl, sqlalchemy.Text)  # type: ignore[attr-defined]


def hidden_columns(table: sqlalchemy.Table, dialect: Dialect) -> set[str]:
    """The names of the generated columns by which a database indexes expressions of a table."""
    if dialect_for(dialect).indexes_expressions:
        return set()
    return {part.name for index in table.indexes if is_made_on(index, dialect) for part in key_parts(index)}


@dataclass(frozen=True)
class View:
    """What a view selects. `select` makes a SQLAlchemy clause, or SQL."""

    select: Callable[[], sqlalchemy.ClauseElement | str]
    materialized: bool = False

    def create_sql(self, table: sqlalchemy.Table, dialect: Dialect) -> list[str]:
        """CREATE VIEW, and of a materialized view the indexes.

        Raises `NotSupportedError` for a materialized view on a database that has none.
        """
        if self.materialized and not dialect_for(dialect).materialized_views:
            raise NotSupportedError(
                f"The materialized view {table.name} cannot be made: {dialect_for(dialect).name} has no materialized "
                "views. Leave out materialized, for a view that is computed when it is read."
            )
        select = self.select()
        if not isinstance(select, str):
            select = str(select.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        elif getattr(dialect.identifier_preparer, "_double_percents", False):
            select = select.replace("%", "%%")  # as SQLAlchemy writes it for such drivers
        preparer = dialect.identifier_preparer
        columns = ", ".join(preparer.format_column(column) for column in table.columns)
        indexes = sorted(table.indexes, key=lambda index: str(index.name)) if self.materialized else []
        return [
            f"CREATE {self.kind} {preparer.format_table(table)} ({columns}) AS {select}",
            *(
                str(CreateIndex(index).compile(dialect=dialect, compile_kwargs={NEW_TABLE: True}))
                for index in indexes
                if is_made_on(index, dialect)
            ),
        ]

    def drop_sql(self, table: sqlalchemy.Table, dialect: Dialect) -> str:
        """DROP VIEW."""
        return f"DROP {self.kind} IF EXISTS {dialect.identifier_preparer.format_table(table)}"

    @property
    def kind(self) -> str:
        """What SQL calls it."""
        return "MATERIALIZED VIEW" if self.materialized else "VIEW"


def is_managed(table: sqlalchemy.Table) -> bool:
    """Whether the ORM makes the table, and it is not a view."""
    return UNMANAGED not in table.info and VIEW not in table.info


def views_of(metadata: sqlalchemy.MetaData) -> list[tuple[sqlalchemy.Table, View]]:
    """The views that the ORM makes, in the order of their declaration."""
    tables = [table for table in metadata.tables.values() if VIEW in table.info and UNMANAGED not in table.info]
    return [(table, table.info[VIEW]) for table in tables]
