"""`Plan`: a compiled statement, which runs with any values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy.sql.compiler import SQLCompiler

from orm.database.dialect import LIST_SLOT, Dialect
from orm.database.types.column_types import UnstorableValue
from orm.utils.codegen import function_of

Process = Callable[[Any], Any]
# A placeholder of a list, any other placeholder, or an escaped per cent sign.
MYSQL_PLACEHOLDER = re.compile(rf"({re.escape(LIST_SLOT)})?%s|%%")
#: The name of a parameter: `p` and the position of a value of the query, or `e` for its `EscapedJSON` form.
OUR_BIND = re.compile(r"[pe]\d+")
#: What a conversion raises for a value that it does not know. `UnstorableValue` is one.
CONVERSION_ERRORS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)
NO_ROW = "SELECT NULL FROM DUAL WHERE FALSE"


class UnstorableArgument(ValueError):
    """An argument that the database cannot store: its position among the values, and the reason."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason


class Plan:
    """The SQL of a statement in one dialect, how values become its arguments, and how its rows are read."""

    __slots__ = ("_binds", "_constants", "_in_order", "_lists", "_passes_values", "_pieces", "reader", "sql")

    def __init__(
        self,
        sql: str,
        binds: Sequence[tuple[int, Process | None]],
        reader: Callable[[Any], list[Any]] | None = None,
        constants: tuple[Any, ...] = (),
        lists: frozenset[int] = frozenset(),
        pieces: tuple[str, ...] = (),
    ) -> None:
        self.sql = sql
        self.reader = reader
        self._binds = tuple(binds)
        self._in_order = not constants and all(i == position for i, (position, _) in enumerate(self._binds))
        # The common case: the values are passed to the driver as they are.
        self._passes_values = self._in_order and all(process is None for _, process in self._binds)
        self._constants = constants
        self._lists = lists
        self._pieces = pieces

    def arguments(self, values: Sequence[Any]) -> Sequence[Any]:
        """The arguments for the driver. Raises `UnstorableArgument`."""
        if self._passes_values:
            # The values of annotations that the statement leaves out come last.
            return values if len(values) == len(self._binds) else values[: len(self._binds)]
        if self._constants:
            values = (*values, *self._constants)
        try:
            return [values[i] if p is None else p(values[i]) for i, p in self._binds]
        except CONVERSION_ERRORS:
            for i, process in self._binds:
                value = values[i]
                try:
                    if process is not None:
                        process(value)
                except UnstorableValue as error:
                    raise UnstorableArgument(i, str(error)) from None
                except CONVERSION_ERRORS as error:  # of a field's to_database(), or of a value of another type
                    raise UnstorableArgument(i, f"its conversion raised {type(error).__name__}.") from error
            raise

    def in_order(self, converted: Sequence[Any]) -> Sequence[Any]:
        """Values that are converted for the driver already, in the order of the statement's parameters."""
        if self._in_order:
            return converted
        values = (*converted, *self._constants)
        return [values[i] for i, _ in self._binds]

    def statement(self, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """The SQL and its arguments. Lists are expanded where the driver takes no arrays."""
        arguments = self.arguments(values)
        if not self._lists:
            return self.sql, arguments
        sql = [self._pieces[0]]
        flat: list[Any] = []
        for position, argument in enumerate(arguments):
            if position in self._lists:
                sql.append(", ".join(["%s"] * len(argument)) or NO_ROW)
                flat.extend(argument)
            else:
                sql.append("%s")
                flat.append(argument)
            sql.append(self._pieces[position + 1])
        return "".join(sql), flat


def make_plan(
    dialect: Dialect,
    statement: sqlalchemy.ClauseElement,
    reader: Callable[[Any], list[Any]] | None = None,
) -> Plan:
    """Compile a statement whose bind parameters are named by `BindNumbering`."""
    compiled = dialect.compile(statement)
    names = compiled.positiontup or []
    # SQLAlchemy adds parameters, such as SQLite's OFFSET 0. Their values are appended to the query's.
    added = [name for name in names if not OUR_BIND.fullmatch(name)]
    constants = tuple(compiled.binds[name].value for name in added)
    positions = {name: i - len(added) for i, name in enumerate(added)}
    binds = [
        (positions[name] if name in positions else int(name[1:]), _processor(compiled, name, dialect)) for name in names
    ]
    if LIST_SLOT not in compiled.string:
        return Plan(compiled.string, binds, reader, constants)
    pieces, lists = [], set()
    end = position = 0
    piece = ""
    for match in MYSQL_PLACEHOLDER.finditer(compiled.string):
        piece += compiled.string[end : match.start()]
        end = match.end()
        if match.group() == "%%":
            piece += "%%"
            continue
        if match.group(1):
            lists.add(position)
        pieces.append(piece)
        piece = ""
        position += 1
    pieces.append(piece + compiled.string[end:])
    sql = compiled.string.replace(LIST_SLOT, "")
    return Plan(sql, binds, reader, constants, frozenset(lists), tuple(pieces))


def _processor(compiled: SQLCompiler, name: str, dialect: Dialect) -> Process | None:
    type_ = compiled.binds[name].type
    process: Process | None = type_.dialect_impl(dialect.sqlalchemy).bind_processor(dialect.sqlalchemy)
    return function_of(process)  # type: ignore[no-any-return]


def result_processors(dialect: Dialect, columns: Sequence[sqlalchemy.ColumnElement[Any]]) -> list[Process | None]:
    """The functions that convert the driver's values of each column; None for a column that needs no conversion."""
    return [
        column.type.dialect_impl(dialect.sqlalchemy).result_processor(dialect.sqlalchemy, None) for column in columns
    ]
