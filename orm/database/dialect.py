"""`Dialect`: everything that differs between databases, in one object for each.

A database is one subclass, registered by one line in `orm/database/dialect_registry.py`. It says how values are stored
(`storage`), how functions and operators are written (`sql_functions`, `text_match()`, `in_list()`, …), which statements
the server accepts (`insert_returning`, `lock_rows()`, …), which drivers run them, and what their errors mean. The page
"Another database" of the documentation adds one.

Methods that write SQL take the SQL of their operands and return SQL, both as text.
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

# Precedes the placeholder of a list in compiled SQL, if its placeholders are written at each execution.
LIST_SLOT = "/*list*/"
# Escapes the wildcards of LIKE. Not a backslash, which also escapes in the string literals of MySQL.
LIKE_ESCAPE = "!"

SQLTemplate = str | Callable[..., str] | None
"""How a function is written: a template of its arguments (``{0}``, ``{1}``; ``{all}`` for all of them), a callable
that takes the literals and the arguments and returns SQL, or None for a function that the database does not have."""


def same_name(*names: str) -> dict[str, SQLTemplate]:
    """Entries of `Dialect.sql_functions` for functions that a database has under the ORM's names."""

    def template(name: str) -> SQLTemplate:
        return lambda *arguments: f"{name.upper()}({', '.join(arguments)})"

    return {name: template(name) for name in names}


# The functions that standard SQL has under the ORM's names.
STANDARD_FUNCTIONS = same_name(
    *("abs", "ceiling", "exp", "floor", "ln", "log", "mod", "power", "sqrt"),
    *("acos", "asin", "atan", "cos", "sin", "tan"),
    *("lower", "lpad", "ltrim", "rpad", "rtrim", "trim", "upper"),
    *("coalesce", "greatest", "least", "nullif"),
)

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
    """The ORM's class with the PEP 249 name of the error's class, or of its nearest base class that has one."""
    for cls in type(error).__mro__:
        if cls.__name__ in PEP_249_CLASSES:
            return PEP_249_CLASSES[cls.__name__]
    return exceptions.DatabaseError


def like_pattern(operator: str, text: str) -> str:
    """`text` as a LIKE pattern in which only the added ``%`` are wildcards."""
    escape = LIKE_ESCAPE
    text = text.replace(escape, escape * 2).replace("%", f"{escape}%").replace("_", f"{escape}_")
    if operator == "contains":
        return f"%{text}%"
    if operator == "startswith":
        return f"{text}%"
    return f"%{text}" if operator == "endswith" else text


def order_by_clause(order: Sequence[tuple[str, bool]]) -> str:
    """An ORDER BY clause of (SQL, descending) pairs; an empty string if there are none."""
    terms = [f"{key} DESC" if descending else key for key, descending in order]
    return f" ORDER BY {', '.join(terms)}" if terms else ""


@dataclass(frozen=True)
class DriverClasses:
    """A driver, and the classes that run it as ``module:Class``, which are imported when they are first used."""

    package: str
    """The driver's package, which a URL can name: ``mysql+aiomysql://``."""
    backend: str
    """The backend of `orm.Database`."""
    driver: str
    """The `Driver` that a plain `databases.Database` runs on."""
    databases_backend: str
    """The module in which `databases` has its own backend for the driver."""


class Dialect:
    """One database: how SQL is compiled for it, how values are stored there, and which drivers connect to it.

    There is one instance per registered name. The attributes and methods of this class are standard SQL, or what most
    databases do; a subclass overrides what differs.
    """

    name: ClassVar[str] = "standard"
    """The name of the SQLAlchemy dialect, and the scheme of URLs."""
    storage: ClassVar[StorageTypes] = StorageTypes()
    """How each type of column is stored."""
    sql_functions: Mapping[str, SQLTemplate] = {}
    """How functions are written, by the ORM's name. Those of `STANDARD_FUNCTIONS` need no entry."""

    drivers: ClassVar[tuple[DriverClasses, ...]] = ()
    """The drivers, the preferred one first."""
    extra: ClassVar[str] = ""
    """The extra of `orm` that installs a driver: ``pip install 'orm[…]'``."""

    server_query: ClassVar[str | None] = None
    """SQL that fetches the value which `for_server` takes; None if all servers are alike."""
    numbered_parameters: ClassVar[bool] = False
    """Whether parameters are numbered (``$1``), so that the SQL of one row cannot be repeated for the next."""
    insert_returning: ClassVar[bool] = False
    """Whether INSERT can return columns."""
    key_step_query: ClassVar[str | None] = None
    """SQL that fetches the difference between consecutive keys of one INSERT; None if it need not be known."""
    update_returning: ClassVar[bool] = False
    """Whether UPDATE can return columns."""
    delete_returning: ClassVar[bool] = False
    """Whether DELETE can return columns."""
    row_locks: ClassVar[bool] = True
    """Whether rows can be locked one by one."""
    nulls_high: ClassVar[bool] = False
    """Whether NULL is ordered as if it were greater than all values, and not less."""
    max_rows_per_statement: ClassVar[int] = 500
    """The maximum number of rows of one UPDATE of many rows."""
    max_keys_per_query: ClassVar[int | None] = None
    """The maximum number of keys in a list of one query; None if a list is one argument."""
    one_statement_per_trip: ClassVar[bool] = False
    """Whether the driver takes a single statement per round trip."""
    explain_prefix: ClassVar[str] = "EXPLAIN "
    max_parameters: ClassVar[int] = 32_000
    """The maximum number of arguments of one statement."""
    tables_query: ClassVar[str] = "SELECT NULL, table_name FROM information_schema.tables"
    """SQL that fetches (schema, table) of every table. The schema is NULL for the default one."""
    foreign_keys_enforced_query: ClassVar[str | None] = None
    """SQL that tells whether foreign keys are enforced, if that must be disabled to drop tables that form a cycle."""
    supports_set_default: ClassVar[bool] = True
    """Whether a foreign key can have ON DELETE SET DEFAULT; otherwise it is treated as RESTRICT."""
    max_cascade_depth: ClassVar[int | None] = None
    """The maximum depth of a cascade; None if there is none."""
    disable_foreign_keys: ClassVar[tuple[str, ...]] = ()
    """The statements that stop the enforcement of foreign keys."""
    enable_foreign_keys: ClassVar[tuple[str, ...]] = ()
    """The statements that resume it."""

    lag_lead_default: ClassVar[bool] = True
    """Whether LAG() and LEAD() take a default."""
    checks_on_set_null: ClassVar[bool] = True
    """Whether a CHECK may name columns that foreign keys set to NULL."""

    def __init__(self) -> None:
        self.sqlalchemy = self.make_sqlalchemy_dialect()
        self.sqlalchemy.orm_dialect = self  # type: ignore[attr-defined]
        # The SQLAlchemy dialect may be that of another database, of which this is a variant.
        self.sqlalchemy.name = self.name
        if type(self.sqlalchemy) is DefaultDialect:
            # Standard SQL has them; SQLAlchemy's base class assumes that a database does not.
            self.sqlalchemy.supports_multivalues_insert = self.sqlalchemy.supports_default_values = True

    def find_driver(self, package: str = "") -> DriverClasses | None:
        """The driver of this package, by default the first that is installed, else the last. None if there is none."""
        if package:
            return next((driver for driver in self.drivers if driver.package == package), None)
        installed = (driver for driver in self.drivers if find_spec(driver.package))
        return next(installed, self.drivers[-1] if self.drivers else None)

    def classify_error(self, error: BaseException) -> type[exceptions.Error]:
        """The ORM's class for an exception of the driver."""
        return pep_249_class(error)

    def for_server(self, answer: Any) -> Dialect:
        """The dialect for a server that returned `answer` for `server_query`."""
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
        """The SQL name of a column type."""
        sql: str = self.sqlalchemy.type_compiler_instance.process(type_.dialect_impl(self.sqlalchemy))
        return sql

    # How functions and operators are written.

    def function(self, name: str, literals: Sequence[str], arguments: Sequence[str]) -> str:
        """A call of a function by the ORM's name. `literals` are constants, such as a unit; never user input.

        Raises `NotSupportedError` if the database has no such function, or if the dialect does not say how it is
        written.
        """
        if name in self.sql_functions:
            template = self.sql_functions[name]
        elif name in STANDARD_FUNCTIONS and not literals:
            template = STANDARD_FUNCTIONS[name]
        else:
            takes = [f"{len(part)} {what}" for part, what in ((literals, "literals"), (arguments, "arguments")) if part]
            raise NotSupportedError(
                f"{self.name} has no SQL for the function {name}: define sql_functions[{name!r}] of "
                f"{type(self).__name__}. It takes {' and '.join(takes) or 'nothing'}."
            )
        if template is None:
            raise NotSupportedError(f"{self.name} has no function for {name}.")
        if callable(template):
            return template(*literals, *arguments)
        return f"({template.format(*arguments, all=', '.join(arguments))})"

    def cast(self, value: str, source: str, target: str, type_: TypeEngine[Any]) -> str:
        """A value of the field family `source` converted to the family `target`, whose column type is `type_`."""
        return f"CAST({value} AS {self.type_sql(type_)})"

    def decimal_dividend(self, value: str) -> str:
        """A number that is divided and whose quotient is a decimal, even if both numbers are whole."""
        return value

    def collection_aggregate(
        self,
        name: str,
        values: Sequence[str],
        *,
        distinct: bool,
        order: Sequence[tuple[str, bool]],
        condition: str | None,
    ) -> str:
        """``string_agg``, ``array_agg`` or ``json_agg`` of a value (and a delimiter), over rows that meet `condition`.

        `order` has (SQL, descending) pairs. Raises `NotSupportedError` if the database has no such aggregate.
        """
        raise NotSupportedError(f"{self.name} has no aggregate for {name}.")

    def text_match(self, text: str, pattern: str, operator: str, *, ignore_case: bool, beyond_ascii: bool) -> str:
        """Whether text matches what `encode_pattern` made of a value.

        `operator` is ``contains``, ``startswith``, ``endswith`` or, with `ignore_case` only, ``exact``. `beyond_ascii`
        means that the value has letters beyond ASCII whose case must be folded.
        """
        if ignore_case:
            text, pattern = f"UPPER({text})", f"UPPER({pattern})"
        return f"{text} = {pattern}" if operator == "exact" else f"{text} LIKE {pattern} ESCAPE '{LIKE_ESCAPE}'"

    def encode_pattern(self, operator: str, ignore_case: bool, text: str) -> str:
        """The pattern that `text_match` takes for a value."""
        return text if operator == "exact" else like_pattern(operator, text)

    def regex(self, text: str, pattern: str, *, ignore_case: bool) -> str:
        """Whether text matches a regular expression."""
        raise NotSupportedError(f"{self.name} has no regular expressions.")

    def in_list(self, value: str, values: str, item_type: TypeEngine[Any]) -> str:
        """Whether a value is in a list: the argument that `encode_list` returned."""
        raise NotImplementedError

    def encode_list(self, values: list[Any]) -> Any:
        """The argument for a list of the driver's values."""
        return values

    def json_equal(self, left: str, right: str) -> str:
        """Whether two JSON documents are equal; `right` is an argument."""
        return f"{left} = {right}"

    def encode_path(self, keys: tuple[str, ...]) -> Any:
        """The argument for a path into a JSON document, which the function ``json_at`` takes."""
        return list(keys)

    def distinct_on(self, columns: Sequence[str]) -> str:
        """DISTINCT ON, which keeps the first of the rows that agree in these columns."""
        raise NotSupportedError(
            "distinct() with fields is PostgreSQL's DISTINCT ON, which this database does not have."
        )

    def create_table(self, sql: str) -> str:
        """CREATE TABLE as SQLAlchemy compiles it, adapted to the server."""
        return sql

    # Statements.

    def rows_per_insert(self, columns: int) -> int:
        """The maximum number of rows of one INSERT with this number of columns."""
        return max(1, self.max_parameters // max(1, columns))

    def bulk_insert(
        self,
        table: sqlalchemy.Table,
        columns: Sequence[sqlalchemy.Column[Any]],
        returning: Sequence[sqlalchemy.Column[Any]],
    ) -> sqlalchemy.Insert | None:
        """An INSERT of any number of rows whose arguments are lists, one per column; None if the database has none."""
        return None

    def consecutive_keys_query(self, key: sqlalchemy.Column[Any]) -> sqlalchemy.Select[Any] | None:
        """SQL that tells whether a multi-row INSERT gets consecutive keys, so that RETURNING can be skipped.

        None if generated keys are always read by RETURNING, as far as there is one.
        """
        return None

    def generated_keys(self, lastrowid: int, count: int, step: int) -> range:
        """The keys of the `count` rows of one INSERT, of which the driver reports the first as `lastrowid`."""
        return range(lastrowid, lastrowid + count * step, step)

    def in_insert_order(self, returned: list[tuple[Any, ...]], key: int) -> list[tuple[Any, ...]]:
        """The rows that one INSERT returned, in the order of insertion; `key` is the position of the key in a row."""
        # Keys are generated in the order of insertion; RETURNING guarantees no order.
        return sorted(returned, key=itemgetter(key))

    def insert(self, table: sqlalchemy.Table) -> sqlalchemy.Insert:
        """An INSERT to which a conflict clause can be added."""
        return sqlalchemy.insert(table)

    def ignore_conflicts(self, insert: sqlalchemy.Insert) -> sqlalchemy.Insert:
        """`insert` that skips rows which already exist."""
        raise NotImplementedError

    def update_conflicts(
        self, insert: sqlalchemy.Insert, update: Sequence[str], unique: Sequence[str]
    ) -> sqlalchemy.Insert:
        """`insert` that sets the columns `update` of a row which already exists to the new values.

        `unique` are the columns of the unique constraint. Raises `NotSupportedError` if the database does not take
        them, and `QueryError` if it needs them and there are none.
        """
        raise NotImplementedError

    def rows_from_lists(self, types: Sequence[TypeEngine[Any]]) -> sqlalchemy.FromClause | None:
        """A table of any number of rows with the columns c0, c1, … from one list per column; None if there is none."""
        return None

    def join_in_written_order(self, select: sqlalchemy.Select[Any]) -> sqlalchemy.Select[Any]:
        """`select` whose joins keep their order, for a query whose first table alone determines the rows."""
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
        """`select` that locks the rows it reads. Raises `NotSupportedError` for an option that the database lacks."""
        if not self.row_locks:
            return select
        return select.with_for_update(
            of=list(of) or None, read=share, key_share=no_key, nowait=nowait, skip_locked=skip_locked
        )


STANDARD = Dialect()
"""Stands for SQLAlchemy dialects that are not registered."""
