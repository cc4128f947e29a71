"""`Dialect`: everything that differs between databases, in one object for each.

A database is one subclass, registered by one line in `orm/database/dialect_registry.py`. It says how values are stored
(`storage`), how functions and operators are written (`sql_functions`, `text_match()`, `in_list()`, …), what statements
the server takes (`returning`, `lock_rows()`, …), which drivers run them, and what their errors mean. The page "Another
database" of the documentation adds one.

Methods that write SQL take the SQL of their operands, and return text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from operator import itemgetter
from typing import Any, ClassVar

import sqlalchemy
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from orm import exceptions
from orm.database.storage import StorageTypes
from orm.exceptions import NotSupportedError

# Stands in compiled SQL for a list whose placeholders are written at each execution.
LIST_SLOT = "/*list*/"
# Escapes LIKE's wildcards. Not a backslash, which MySQL's string literals would eat.
LIKE_ESCAPE = "!"

SQLTemplate = str | Callable[..., str] | None
"""How a function is written: a template of its arguments (``{0}``, ``{1}``; ``{all}`` for all of them), a callable
that takes the literals and the arguments and returns SQL, or None for a function that the database does not have."""

PEP_249_CLASSES: dict[str, type[exceptions.Error]] = {
    name: getattr(exceptions, name)
    for name in (
        "InterfaceError",
        "DatabaseError",
        "DataError",
        "InternalError",
        "ProgrammingError",
        "NotSupportedError",
        "IntegrityError",
        "OperationalError",
    )
}


def pep_249_class(error: BaseException) -> type[exceptions.Error]:
    """The ORM's class of the same name as the error's class or the nearest of its bases that PEP 249 names."""
    for cls in type(error).__mro__:
        if cls.__name__ in PEP_249_CLASSES:
            return PEP_249_CLASSES[cls.__name__]
    return exceptions.DatabaseError


def like_pattern(operator: str, text: str) -> str:
    """`text` as a LIKE pattern in which nothing but the added ``%`` is a wildcard."""
    escape = LIKE_ESCAPE
    text = text.replace(escape, escape * 2).replace("%", f"{escape}%").replace("_", f"{escape}_")
    if operator == "contains":
        return f"%{text}%"
    if operator == "startswith":
        return f"{text}%"
    return f"%{text}" if operator == "endswith" else text


def order_by_clause(order: Sequence[tuple[str, bool]]) -> str:
    """An ORDER BY clause of SQL expressions, each with whether it is descending; nothing without any."""
    terms = [f"{key} DESC" if descending else key for key, descending in order]
    return f" ORDER BY {', '.join(terms)}" if terms else ""


@dataclass(frozen=True)
class DriverClasses:
    """A driver and the classes that run it, as ``module:Class``, so that none is imported before it is used."""

    package: str
    """The package to import, which a URL can name: ``mysql+aiomysql://``."""
    backend: str
    """The backend of `orm.Database`."""
    driver: str
    """The `Driver` that a plain `databases.Database` runs on."""
    databases_backend: str
    """The module of the backend that `databases` has for it."""


class Dialect:
    """One database: how SQL is compiled for it, how values are stored there, and which drivers connect to it.

    There is one instance for each registered name. Attributes and methods that a database does not override are
    standard SQL's, or what most databases have.
    """

    name: ClassVar[str] = "standard"
    """The name of SQLAlchemy's dialect, and the scheme of URLs."""
    storage: ClassVar[StorageTypes] = StorageTypes()
    """How each type of column is stored."""
    sql_functions: Mapping[str, SQLTemplate] = {}
    """How functions are written, by the ORM's names; those left out are standard: the name in capitals."""

    drivers: ClassVar[tuple[DriverClasses, ...]] = ()
    """The drivers, the preferred one first."""
    extra: ClassVar[str] = ""
    """The extra of `orm` that installs a driver: ``pip install 'orm[…]'``."""

    server_query: ClassVar[str | None] = None
    """A query of the one value that `for_server` takes; None if all servers are alike."""
    numbered_parameters: ClassVar[bool] = False
    """Whether the driver's parameters have numbers, so that one row's SQL cannot be repeated for the next."""
    returning: ClassVar[bool] = False
    """Whether INSERT can return columns."""
    number_step: ClassVar[str | None] = None
    """A query of how far apart the keys are that one INSERT generates; None where that need not be asked."""
    update_returning: ClassVar[bool] = False
    """Whether UPDATE can return columns."""
    delete_returning: ClassVar[bool] = False
    """Whether DELETE can return columns."""
    row_locks: ClassVar[bool] = True
    """Whether single rows can be locked."""
    nulls_high: ClassVar[bool] = False
    """Whether NULL is ordered after all values, not before them."""
    max_rows: ClassVar[int] = 500
    """How many rows one statement may take apart from an INSERT's."""
    max_list: ClassVar[int | None] = None
    """How many keys one list of a prefetch may have, where the list is written out; None where it is one argument."""
    one_statement: ClassVar[bool] = False
    """Whether the driver takes a single statement at a time, so that what goes in one trip must be one."""
    explain_prefix: ClassVar[str] = "EXPLAIN "
    max_parameters: ClassVar[int] = 32_000
    """How many arguments one statement may take."""
    existing_tables: ClassVar[str] = "SELECT NULL, table_name FROM information_schema.tables"
    """A query of (schema or NULL, table) for every table there is; NULL for the default schema."""
    foreign_keys_enforced: ClassVar[str | None] = None
    """A query of whether foreign keys are enforced, where that must be lifted to drop tables in a circle."""
    supports_set_default: ClassVar[bool] = True
    """Whether a foreign key can have ON DELETE SET DEFAULT; otherwise it is treated as RESTRICT."""
    max_cascade_depth: ClassVar[int | None] = None
    """The maximum depth of a cascade, as far as there is one."""
    lift_foreign_keys: ClassVar[tuple[str, ...]] = ()
    enforce_foreign_keys: ClassVar[tuple[str, ...]] = ()

    lag_lead_default: ClassVar[bool] = True
    """Whether LAG() and LEAD() take a default."""
    checks_on_set_null: ClassVar[bool] = True
    """Whether a CHECK may name columns that foreign keys set to NULL."""

    def __init__(self) -> None:
        self.sqlalchemy = self.make_sqlalchemy_dialect()
        self.sqlalchemy.orm_dialect = self  # type: ignore[attr-defined]
        self.sqlalchemy.name = self.name  # by which constructs find this dialect; one for another database has its

    def find_driver(self, package: str = "") -> DriverClasses | None:
        """The driver of this name; without one the first that is installed, or the last. None if there is none."""
        if package:
            return next((driver for driver in self.drivers if driver.package == package), None)
        installed = (driver for driver in self.drivers if find_spec(driver.package))
        return next(installed, self.drivers[-1] if self.drivers else None)

    def classify_error(self, error: BaseException) -> type[exceptions.Error]:
        """The ORM's class for a driver's error."""
        return pep_249_class(error)

    def for_server(self, answer: Any) -> Dialect:
        """The dialect for a server that has answered `server_query`."""
        return self

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """The SQLAlchemy dialect for the driver's parameter style."""
        return DefaultDialect()

    def compile(self, statement: sqlalchemy.ClauseElement) -> SQLCompiler:
        """`statement` compiled for the driver."""
        compiled = statement.compile(dialect=self.sqlalchemy)
        assert isinstance(compiled, SQLCompiler)
        return compiled

    def type_sql(self, type_: TypeEngine[Any]) -> str:
        """The SQL of a column type."""
        sql: str = self.sqlalchemy.type_compiler_instance.process(type_.dialect_impl(self.sqlalchemy))
        return sql

    # How functions and operators are written.

    def function(self, name: str, literals: Sequence[str], arguments: Sequence[str]) -> str:
        """A call of a function by the ORM's name. `literals` are fixed parts, such as a unit: never a user's text.

        Raises `NotSupportedError` for a function that the database does not have.
        """
        if name not in self.sql_functions:
            return f"{name.upper()}({', '.join(arguments)})"
        template = self.sql_functions[name]
        if template is None:
            raise NotSupportedError(f"{self.name} has no function for {name}.")
        if callable(template):
            return template(*literals, *arguments)
        return f"({template.format(*arguments, all=', '.join(arguments))})"

    def cast(self, value: str, source: str, target: str, type_: TypeEngine[Any]) -> str:
        """A value of the field type `source` as one of the field type `target`, whose column type is `type_`."""
        return f"CAST({value} AS {self.type_sql(type_)})"

    def collection_aggregate(
        self,
        name: str,
        values: Sequence[str],
        *,
        distinct: bool,
        order: Sequence[tuple[str, bool]],
        condition: str | None,
    ) -> str:
        """``string_agg``, ``array_agg`` or ``json_agg`` of a value (and a delimiter).

        `order` has SQL expressions, each with whether it is descending; rows that do not meet `condition` are left out.
        Raises `NotSupportedError` for an aggregate that the database does not have.
        """
        raise NotSupportedError(f"{self.name} has no aggregate for {name}.")

    def text_match(self, text: str, pattern: str, operator: str, *, ignore_case: bool, beyond_ascii: bool) -> str:
        """Whether text matches what `encode_pattern` made of a value.

        `operator` is ``contains``, ``startswith``, ``endswith`` or ``exact`` (only with `ignore_case`). `beyond_ascii`
        tells that folding the case of the value takes more than ASCII.
        """
        if ignore_case:
            text, pattern = f"UPPER({text})", f"UPPER({pattern})"
        return f"{text} = {pattern}" if operator == "exact" else f"{text} LIKE {pattern} ESCAPE '{LIKE_ESCAPE}'"

    def encode_pattern(self, operator: str, ignore_case: bool, text: str) -> str:
        """The argument that `text_match` compares with: a text as a pattern."""
        return text if operator == "exact" else like_pattern(operator, text)

    def regex(self, text: str, pattern: str, *, ignore_case: bool) -> str:
        """Whether text matches a regular expression."""
        raise NotSupportedError(f"{self.name} has no regular expressions.")

    def in_list(self, value: str, values: str, item_type: TypeEngine[Any]) -> str:
        """Whether a value is in a list, which is one argument: what `encode_list` made of it."""
        raise NotImplementedError

    def encode_list(self, values: list[Any]) -> Any:
        """The argument for a list of values that are the driver's own."""
        return values

    def json_equal(self, left: str, right: str) -> str:
        """Whether a JSON document equals another, which is an argument."""
        return f"{left} = {right}"

    def encode_path(self, keys: tuple[str, ...]) -> Any:
        """The argument for the keys that lead to a value in a JSON document: what ``json_at`` takes."""
        return list(keys)

    def distinct_on(self, columns: Sequence[str]) -> str:
        """DISTINCT ON (…): of the rows that agree in these columns, only the first. Raises `NotSupportedError`."""
        raise NotSupportedError(
            "distinct() with fields is PostgreSQL's DISTINCT ON, which this database does not have."
        )

    def create_table(self, sql: str) -> str:
        """CREATE TABLE as SQLAlchemy compiles it, adapted to the server."""
        return sql

    # Statements.

    def rows_per_insert(self, columns: int) -> int:
        """How many rows of so many columns one INSERT may hold."""
        return max(1, self.max_parameters // max(1, columns))

    def bulk_insert(
        self,
        table: sqlalchemy.Table,
        columns: Sequence[sqlalchemy.Column[Any]],
        returning: Sequence[sqlalchemy.Column[Any]],
    ) -> sqlalchemy.Insert | None:
        """An INSERT whose arguments are lists, one a column, for any number of rows; None if there is none."""
        return None

    def numbering(self, key: sqlalchemy.Column[Any]) -> sqlalchemy.Select[Any] | None:
        """A query of whether one INSERT of many rows numbers them one after the other, where that spares RETURNING.

        None where the generated keys should be returned, if they can.
        """
        return None

    def numbered(self, lastrowid: int, count: int, step: int) -> range:
        """The keys that one INSERT of so many rows generated, from the one that the driver tells: the first."""
        return range(lastrowid, lastrowid + count * step, step)

    def as_inserted(self, returned: list[tuple[Any, ...]], key: int) -> list[tuple[Any, ...]]:
        """What one INSERT of many rows returned, in the order of the rows; at `key` is the key that each was given."""
        # Keys are generated in the order of the rows; what is returned may be in any.
        return sorted(returned, key=itemgetter(key))

    def insert(self, table: sqlalchemy.Table) -> sqlalchemy.Insert:
        """An INSERT that can be told what to do about conflicts."""
        return sqlalchemy.insert(table)

    def ignore_conflicts(self, insert: sqlalchemy.Insert) -> sqlalchemy.Insert:
        """`insert`, without the rows that are there already."""
        raise NotImplementedError

    def update_conflicts(
        self, insert: sqlalchemy.Insert, update: Sequence[str], unique: Sequence[str]
    ) -> sqlalchemy.Insert:
        """`insert`, where a row that is there already takes the columns `update` from the new one.

        `unique` are the columns that make it the same row. Raises `NotSupportedError` where they cannot be
        chosen, `QueryError` where they must be and are not.
        """
        raise NotImplementedError

    def row_source(self, types: Sequence[TypeEngine[Any]]) -> sqlalchemy.FromClause | None:
        """Rows of any number as a table of columns c0, c1, …, from one list a column; None if there is none."""
        return None

    def own_rows_first(self, select: sqlalchemy.Select[Any]) -> sqlalchemy.Select[Any]:
        """`select`, of a few rows that its first table alone decides on, where the database has to be told to begin
        with that one.
        """
        return select

    def lock_rows(
        self,
        select: sqlalchemy.Select[Any],
        *,
        of: Sequence[sqlalchemy.FromClause],
        share: bool,
        no_key: bool,
        nowait: bool,
        skip_locked: bool,
    ) -> sqlalchemy.Select[Any]:
        """`select`, locking the rows it reads. Raises `NotSupportedError` for an option that is not there."""
        if not self.row_locks:
            return select
        return select.with_for_update(
            of=list(of) or None, read=share, key_share=no_key, nowait=nowait, skip_locked=skip_locked
        )


STANDARD = Dialect()
"""Stands for a dialect of SQLAlchemy's that is not registered."""
