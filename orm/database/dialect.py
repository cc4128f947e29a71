"""`Dialect`: everything that differs between databases, in one object for each.

A database is one subclass, registered by one line in `orm/database/dialect_registry.py`. It says how values are stored
(`storage`), how functions and operators are written (`sql_functions`, `text_match()`, `in_list()`, …), which statements
the server accepts (`insert_returning`, `lock_rows()`, …), which drivers run them, and what their errors mean. The page
"Another database" of the documentation adds one.

Methods that write SQL take the SQL of their operands and return SQL, both as text.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from orm.database.errors import pep_249_class
from orm.database.reflection import Reflection
from orm.database.schema_changes import SchemaChanges
from orm.database.sql_functions import STANDARD_FUNCTIONS, CollectionCall, SQLTemplate
from orm.database.storage import StorageTypes
from orm.exceptions import NotSupportedError

# Precedes the placeholder of a list in compiled SQL, if its placeholders are written at each execution.
LIST_SLOT = "/*list*/"
# Escapes the wildcards of LIKE. Not a backslash, which also escapes in the string literals of MySQL.
LIKE_ESCAPE = "!"


def like_pattern(operator: str, text: str) -> str:
    """`text` as a LIKE pattern in which only the added ``%`` are wildcards."""
    escape = LIKE_ESCAPE
    text = text.replace(escape, escape * 2).replace("%", f"{escape}%").replace("_", f"{escape}_")
    if operator == "contains":
        return f"%{text}%"
    if operator == "startswith":
        return f"{text}%"
    return f"%{text}" if operator == "endswith" else text


def one_more(insert: sqlalchemy.Insert, columns: Sequence[str]) -> dict[str, sqlalchemy.ColumnElement[Any]]:
    """The values by which an INSERT increments these columns of an existing row, by name."""
    return {name: insert.table.c[name] + 1 for name in columns}


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
    """The scheme of URLs, and the name of the SQLAlchemy dialect."""
    storage: ClassVar[StorageTypes] = StorageTypes()
    """How each type of column is stored."""
    sql_functions: Mapping[str, SQLTemplate] = {}
    """How functions are written, by the ORM's name. Those of `STANDARD_FUNCTIONS` need no entry."""

    drivers: ClassVar[tuple[DriverClasses, ...]] = ()
    """The drivers, the preferred one first."""
    orm_url_options: ClassVar[tuple[str, ...]] = ("min_size", "max_size")
    """The ORM's options in a URL, except those of `PoolOptions`, which all databases have."""
    engine_url_options: ClassVar[Mapping[str, str]] = {}
    """The options in a URL that the URL of SQLAlchemy's engine can have, too, and their names there."""

    sqlalchemy_name: ClassVar[str] = ""
    """The name of the SQLAlchemy dialect, if it is not `name`: that of the database of which this is a variant."""
    of_same_scheme: ClassVar[tuple[str, ...]] = ()
    """The names of other dialects whose servers may be at URLs with this scheme; `Driver.server` tells which is."""
    server_query: ClassVar[str | None] = None
    """SQL that fetches the value for `adapt`; None if all servers are alike."""
    lacks: Mapping[str, str] = {}
    """The features that the server does not have, each with an error message that says what to write instead.

    Savepoints and locks: ``savepoint``, ``advisory_lock``, ``shared_advisory_lock``. Options of transactions:
    ``readonly``, ``deferrable``, and isolation levels in lower case. Options of `select_for_update()`: ``of``,
    ``no_key``, ``nowait``, ``skip_locked``. Names of functions.
    """
    held_cursors: bool = True
    """Whether a cursor can outlive its transaction; if not, a stream outside of one begins a transaction."""
    sequential_keys: bool = True
    """Whether the keys that one INSERT generates ascend in the order of its rows."""
    pooler_can_be_found: ClassVar[bool] = True
    """Whether a connection can detect a pooler in transaction mode; if not, the option `pooler` must be set."""
    resets_sessions: ClassVar[bool] = True
    """Whether the driver can reset a session that has state left; if not, the connection is closed."""
    position_query: str | None = None
    """SQL for the current position of the primary's log; None if a replica does not say what it has replayed."""
    position_pattern: re.Pattern[str] = re.compile("")
    """The form of a position: a token may come from outside of the program."""
    lag_query: str | None = None
    """SQL for the lag of a replica in seconds; None if it does not report that."""
    reserved_words: ClassVar[frozenset[str]] = frozenset()
    """The server's reserved words that SQLAlchemy does not know, and therefore does not quote as names."""
    numbered_parameters: ClassVar[bool] = False
    """Whether parameters are numbered (``$1``), so that the SQL of one row cannot be repeated for the next."""
    insert_returning: ClassVar[bool] = False
    """Whether INSERT can return columns."""
    key_step_query: ClassVar[str | None] = None
    """SQL that fetches the difference between consecutive keys of one INSERT; None if it need not be known."""
    max_statement_bytes_query: ClassVar[str | None] = None
    """SQL for the maximum length of a statement with its arguments; None if it is not reached in practice."""
    one_key_per_upsert: ClassVar[bool] = False
    """Whether an INSERT that updates rows returns the key of one row only, so that upsert() sends one at a time."""
    updates_a_row_twice: ClassVar[bool] = True
    """Whether an INSERT that updates rows may have several rows for one key, of which the last wins."""
    update_returning: ClassVar[bool] = False
    """Whether UPDATE can return columns."""
    virtual_columns: ClassVar[bool] = True
    """Whether a generated column may be calculated when it is read."""
    delete_returning: ClassVar[bool] = False
    """Whether DELETE can return columns."""
    row_locks: ClassVar[bool] = True
    """Whether rows can be locked one by one."""
    locks_groups: ClassVar[bool] = True
    """Whether a query that groups rows can lock them."""
    nulls_high: ClassVar[bool] = False
    """Whether NULL is ordered as if it were greater than all values, and not less."""
    max_rows_per_statement: ClassVar[int] = 500
    """The maximum number of rows of one UPDATE of many rows."""
    max_keys_per_query: ClassVar[int | None] = None
    """The maximum number of keys in a list of one query; None if a list is one argument."""
    one_statement_per_trip: ClassVar[bool] = False
    """Whether the driver takes a single statement per round trip."""
    explain_prefix: ClassVar[str] = "EXPLAIN "
    explain_formats: ClassVar[tuple[str, ...]] = ()
    """The formats of `explain()`."""
    explain_options: ClassVar[tuple[str, ...]] = ()
    """The other options of `explain()`, which are on or off."""
    explains_by_running: ClassVar[bool] = True
    """Whether EXPLAIN can run the statement, and show the rows and the time of each step."""
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
    leaves_orphans: bool = False
    """Whether a cascade that goes through two tables may leave rows without the row that they reference."""
    known_fault: str = ""
    """A fault of the server that loses data, which is logged on the first connection."""
    error_breaks_transaction: ClassVar[bool] = False
    """Whether a failed statement ends what its transaction, or savepoint, can do."""
    databases_need_no_server: ClassVar[bool] = False
    """Whether a database is a file, or memory of the program, which no statement creates."""
    disable_foreign_keys: ClassVar[tuple[str, ...]] = ()
    """The statements that stop the enforcement of foreign keys."""
    enable_foreign_keys: ClassVar[tuple[str, ...]] = ()
    """The statements that resume it."""

    lag_lead_default: ClassVar[bool] = True
    """Whether LAG() and LEAD() take a default."""
    checks_on_set_null: ClassVar[bool] = True
    """Whether a CHECK may name columns that foreign keys set to NULL."""
    partial_indexes: ClassVar[bool] = True
    """Whether an index can be limited to rows that meet a condition; if not, its keys are NULL in other rows."""
    indexes_expressions: ClassVar[bool] = True
    """Whether an index can have expressions as keys; if not, they become generated columns."""
    sequences: ClassVar[bool] = False
    """Whether the database has sequences that are no part of a table."""
    identity_columns: ClassVar[bool] = False
    """Whether the database has columns that are GENERATED AS IDENTITY."""
    current_schema_query: ClassVar[str] = "SELECT NULL"
    """SQL for the schema in which a connection looks for tables first."""
    drops_schema_by_cascade: ClassVar[bool] = False
    """Whether a schema that has tables is dropped by ``DROP SCHEMA … CASCADE`` only."""
    materialized_views: ClassVar[bool] = False
    """Whether the database has materialized views."""
    adds_constraints: ClassVar[bool] = True
    """Whether ALTER TABLE can add a constraint to an existing table."""
    reflection: ClassVar[Reflection] = Reflection()
    schema_changes: ClassVar[SchemaChanges] = SchemaChanges()
    """How the server takes changes of the schema, for migrations."""
    refused_table_options: ClassVar[Mapping[str, str]] = {}
    """The options of indexes and constraints that the database does not have, each with what to write instead."""

    schema: str | None = None
    """The schema of the tables, if they are not where the connection looks for them."""

    def __init__(self) -> None:
        self._variants: dict[Any, Dialect] = {}
        self._schemas: dict[str, Dialect] = {}
        self.sqlalchemy = self.make_sqlalchemy_dialect()
        self.sqlalchemy.orm_dialect = self  # type: ignore[attr-defined]
        # The SQLAlchemy dialect may be that of another database, of which this is a variant.
        self.sqlalchemy.name = self.sqlalchemy_name or self.name
        if type(self.sqlalchemy) is DefaultDialect:
            # Standard SQL has them; SQLAlchemy's base class assumes that a database does not.
            self.sqlalchemy.supports_multivalues_insert = self.sqlalchemy.supports_default_values = True
        self.quote_reserved_words(self.sqlalchemy)

    def quote_reserved_words(self, sqlalchemy_dialect: SQLAlchemyDialect) -> None:
        """Make a SQLAlchemy dialect for this server quote names that are `reserved_words`."""
        preparer: Any = sqlalchemy_dialect.identifier_preparer
        preparer.reserved_words = {*preparer.reserved_words, *self.reserved_words}

    def find_driver(self, package: str = "") -> DriverClasses | None:
        """The driver of this package, by default the first that is installed, else the last. None if there is none."""
        if package:
            return next((driver for driver in self.drivers if driver.package == package), None)
        installed = (driver for driver in self.drivers if find_spec(driver.package))
        return next(installed, self.drivers[-1] if self.drivers else None)

    def classify_error(self, error: BaseException) -> type[exceptions.Error]:
        """The ORM's class for an exception of the driver."""
        return pep_249_class(error)

    def violation(self, error: BaseException) -> exceptions.Violation:
        """What an exception of the driver tells about the constraint that was violated."""
        return exceptions.Violation()

    def error_message(self, error: BaseException) -> str | None:
        """A message that says what to do about an exception of the driver; None to keep the driver's message."""
        return None

    def check(self, *features: str) -> None:
        """Raise `NotSupportedError` if the server `lacks` one of these."""
        for feature in features:
            if feature in self.lacks:
                raise NotSupportedError(self.lacks[feature])

    def for_server(self, answer: Any) -> Dialect:
        """The dialect for servers that return `answer` for `server_query`: one for each answer, changed by `adapt`."""
        variant = self._variants.get(answer)
        if variant is None:
            variant = type(self)()
            variant.adapt(answer)
            self._variants[answer] = variant
        return variant

    def in_schema(self, name: str) -> Dialect:
        """This dialect for the tables of a schema, which it names in full, unless they name another schema.

        Raises `NotSupportedError` if the database has no schemas, or if the name is longer than the database keeps.
        """
        known = self._schemas.get(name)
        if known is not None:
            return known
        self.check("schema")
        limit = self.sqlalchemy.max_identifier_length
        if len(name.encode(errors="surrogatepass")) > limit:
            raise NotSupportedError(
                f"{self.name} keeps {limit} bytes of a name, and the schema {name!r} has a longer one."
            )
        variant = copy.copy(self)
        variant.schema = name
        variant.sqlalchemy = copy.copy(self.sqlalchemy)
        variant.sqlalchemy.orm_dialect = variant  # type: ignore[attr-defined]
        preparer: Any = copy.copy(self.sqlalchemy.identifier_preparer)
        preparer.dialect = variant.sqlalchemy
        quoted = sqlalchemy.sql.quoted_name(name, quote=True)
        preparer.schema_for_object = lambda item: (
            item.schema or (quoted if isinstance(item, (sqlalchemy.Table, sqlalchemy.Sequence)) else None)
        )
        variant.sqlalchemy.identifier_preparer = preparer
        self._schemas[name] = variant
        return variant

    def adapt(self, answer: Any) -> None:
        """Change this new dialect to suit servers that return `answer` for `server_query`."""

    def position_reached(self, token: str, seconds: float) -> tuple[str, tuple[Any, ...]]:
        """SQL and arguments that ask a replica whether it has replayed a position; it may wait for some seconds."""
        raise NotSupportedError(f"{self.name} has no positions in a log: use consistency='eventual'.")

    def replica_lag(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> float | None:
        """The lag in seconds by the answer to `lag_query`; None if the server does not replicate at the moment."""
        return float(rows[0][0] or 0)

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
            raise NotSupportedError(self.lacks.get(name) or f"{self.name} has no function for {name}.")
        if callable(template):
            return template(*literals, *arguments)
        return f"({template.format(*arguments, all=', '.join(arguments))})"

    def cast(self, value: str, source: str, target: str, type_: TypeEngine[Any]) -> str:
        """A value of the field family `source` converted to the family `target`, whose column type is `type_`."""
        return f"CAST({value} AS {self.type_sql(type_)})"

    def decimal_dividend(self, value: str) -> str:
        """A number that is divided and whose quotient is a decimal, even if both numbers are whole."""
        return value

    def collection_aggregate(self, call: CollectionCall) -> str:
        """An aggregate that collects values. Raises `NotSupportedError` if the database does not have it."""
        raise NotSupportedError(f"{self.name} has no aggregate for {call.name}.")

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

    def explain(self, analyze: bool, format: str | None, options: Mapping[str, bool]) -> str:
        """The SQL before a statement that explains it. Raises `NotSupportedError` for what the server lacks."""
        if analyze and not self.explains_by_running:
            raise NotSupportedError(f"{self.name} does not run a statement to explain it: leave out analyze=True.")
        if format is not None and format.upper() not in self.explain_formats:
            raise NotSupportedError(
                f"explain(format={format!r}): the formats of {self.name} are {_listed(self.explain_formats)}."
            )
        for name in options:
            if name not in self.explain_options:
                raise NotSupportedError(
                    f"explain({name}=...): the further options of {self.name} are {_listed(self.explain_options)}."
                )
        return self.explain_statement(analyze, None if format is None else format.upper(), options)

    def explain_statement(self, analyze: bool, format: str | None, options: Mapping[str, bool]) -> str:
        """The SQL before a statement that explains it, for arguments that have been checked."""
        return self.explain_prefix

    def same_moment(self, column: str, value: Callable[[], str]) -> str:
        """Whether a time or datetime equals an argument. `value` returns the argument's SQL, anew for each use."""
        return f"{column} = {value()}"

    def first_text(self, value: str) -> str:
        """An argument, a time or datetime, as the first of the texts that it may be stored as."""
        return value

    #: Whether JSON texts with other escapes differ for `json_equal`.
    compares_json_escapes: ClassVar[bool] = False

    def json_equal(self, left: str, right: str) -> str:
        """Whether two JSON documents are equal; `right` is an argument."""
        return f"{left} = {right}"

    def json_compare(self, document: str, operator: str, number: str) -> str:
        """The order of a JSON number and a number: ``<``, ``<=``, ``>`` or ``>=``; NULL for any other JSON value."""
        return f"{self.function('json_number', (), (document,))} {operator} {number}"

    def encode_path(self, keys: tuple[str, ...]) -> Any:
        """The argument for a path into a JSON document, which the function ``json_at`` takes."""
        return list(keys)

    def distinct_on(self, columns: Sequence[str]) -> str:
        """DISTINCT ON, which keeps the first of the rows that agree in these columns."""
        raise NotSupportedError(
            "distinct() with fields is PostgreSQL's DISTINCT ON, which this database does not have."
        )

    def empty_tables(self, tables: Sequence[str]) -> list[str]:
        """Statements that delete all rows of tables, whose names are quoted; they run on one connection."""
        deletes = [f"DELETE FROM {table}" for table in tables]
        return [*self.disable_foreign_keys, *deletes, *self.enable_foreign_keys]

    def create_table(self, sql: str) -> str:
        """CREATE TABLE as SQLAlchemy compiles it, adapted to the server."""
        return sql

    def refused_table_option(self, option: str) -> str | None:
        """Why the database cannot have an index or constraint with this option; None if it can.

        `option` is a key of `refused_table_options`, or ``using`` and a kind of index.
        """
        return self.refused_table_options.get(option)

    def is_concurrent(self, index: sqlalchemy.Index) -> bool:
        """Whether an index is made without a lock against writes, which no transaction can contain."""
        return False

    def exclusion_constraint(
        self,
        elements: Sequence[tuple[sqlalchemy.ColumnElement[Any], str]],
        *,
        name: str,
        where: sqlalchemy.ColumnElement[Any] | None,
        using: str,
        deferrable: str | None,
    ) -> sqlalchemy.Constraint:
        """The SQLAlchemy constraint that refuses a row if all elements compare as true with those of another row."""
        raise NotSupportedError(f"{self.name} has no exclusion constraints.")

    def partly_generated_key(self, columns: tuple[str, ...], generated: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The columns of a PRIMARY KEY whose column `generated` the server numbers, and those of a UNIQUE beside it."""
        return columns, ()

    def column_default(self, sql: str, type_: TypeEngine[Any], *, is_literal: bool) -> str:
        """The DEFAULT of a column of this type, in the form in which the ORM stores the type's values.

        `is_literal`: `sql` is a value in the form in which it is stored; otherwise any expression.
        """
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

    def next_value(self, sequence: str) -> str:
        """The next value of a sequence, of which `sequence` is the quoted name.

        Raises `NotSupportedError` if the database has no sequences.
        """
        raise NotSupportedError(f"{self.name} has no sequences, whose next value orm.NextVal() is.")

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
        # RETURNING guarantees no order. If keys do not show the order, the rows come from INSERT … SELECT … ORDER BY.
        return sorted(returned, key=itemgetter(key)) if self.sequential_keys else returned

    def insert(self, table: sqlalchemy.Table) -> sqlalchemy.Insert:
        """An INSERT to which a conflict clause can be added."""
        return sqlalchemy.insert(table)

    def ignore_conflicts(self, insert: sqlalchemy.Insert) -> sqlalchemy.Insert:
        """`insert` that skips rows which already exist."""
        raise NotImplementedError

    def update_conflicts(
        self, insert: sqlalchemy.Insert, update: Sequence[str], unique: Sequence[str], count: Sequence[str]
    ) -> sqlalchemy.Insert:
        """`insert` that sets the columns `update` of a row which already exists to the new values.

        Its columns `count` become one more (see `one_more`).
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
        of: list[sqlalchemy.FromClause],
        share: bool,
        no_key: bool,
        nowait: bool,
        skip_locked: bool,
    ) -> sqlalchemy.Select[Any]:
        """`select` that locks the rows it reads. Raises `NotSupportedError` for an option that the database lacks."""
        if not self.row_locks:
            return select
        options = {"of": of, "no_key": no_key, "nowait": nowait, "skip_locked": skip_locked}
        wanted = [option for option, is_set in {**options, "share": share}.items() if is_set]
        if wanted and self.sqlalchemy.statement_compiler.for_update_clause is SQLCompiler.for_update_clause:
            # SQLAlchemy's own would leave them out.
            raise NotSupportedError(
                f"{self.name} locks rows by FOR UPDATE alone, without {', '.join(wanted)}: its SQLAlchemy dialect has "
                f"no for_update_clause(). Define lock_rows() of {type(self).__name__}."
            )
        self.check(*(option for option, is_set in options.items() if is_set))
        return select.with_for_update(
            of=of or None, read=share, key_share=no_key, nowait=nowait, skip_locked=skip_locked
        )


STANDARD = Dialect()
"""Stands for SQLAlchemy dialects that are not registered."""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
