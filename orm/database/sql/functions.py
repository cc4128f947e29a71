"""Functions that databases write in different ways, as SQLAlchemy constructs.

A `SQLFunction` has the ORM's own name of a function; `Dialect.sql_functions` says how a database writes it, from
the table in `orm/database/<dialect>/sql_functions.py`. A function without an entry is standard SQL, or refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy
from sqlalchemy import ClauseElement, ColumnElement
from sqlalchemy.engine import Dialect as SQLAlchemyDialect
from sqlalchemy.exc import UnsupportedCompilationError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import Function, FunctionElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeDecorator, TypeEngine

from orm.database.dialect import STANDARD, Dialect
from orm.database.dialect_registry import dialect_for
from orm.database.sql_functions import STANDARD_FUNCTIONS, CollectionCall


def registered_dialect(element: ClauseElement, compiler: SQLCompiler) -> Dialect:
    """The dialect to compile `element` for. Raises SQLAlchemy's error if it is not registered."""
    dialect = dialect_for(compiler.dialect)
    if dialect is STANDARD:
        raise UnsupportedCompilationError(compiler, type(element))
    return dialect


def _parts(**parts: InternalTraversal) -> Any:
    """The attributes that tell two elements apart in SQLAlchemy's cache: the clauses, and these."""
    return [*FunctionElement._traverse_internals, *parts.items()]


class SQLFunction(FunctionElement[Any]):
    """A function by the ORM's name. `literals` are constants, such as a unit; never user input."""

    inherit_cache = True
    _traverse_internals = _parts(function=InternalTraversal.dp_string, literals=InternalTraversal.dp_plain_obj)

    def __init__(
        self, function: str, *arguments: Any, literals: tuple[str, ...] = (), type_: TypeEngine[Any] | None = None
    ) -> None:
        self.function = function
        self.literals = literals
        if type_ is not None:
            self.type = type_
        super().__init__(*arguments)


class NamedCall(Function[Any]):
    """A call of the function that has this name in the database.

    PostgreSQL's functions of full text are reserved for SQLAlchemy's own classes, which would cast the arguments.
    """

    inherit_cache = True


@compiles(NamedCall)
def _named_call(element: NamedCall, compiler: Any, **kw: Any) -> str:
    if element.name.lower() in FULL_TEXT:
        return f"{element.name}{compiler.function_argspec(element, **kw)}"
    called: str = compiler.visit_function(element, **kw)
    return called


FULL_TEXT = frozenset(
    ["to_tsvector", "to_tsquery", "plainto_tsquery", "phraseto_tsquery", "websearch_to_tsquery", "ts_headline"]
)


class CastTo(FunctionElement[Any]):
    """A value converted from the field family `source` to the family `target`."""

    inherit_cache = True
    _traverse_internals = _parts(
        source=InternalTraversal.dp_string, target=InternalTraversal.dp_string, type=InternalTraversal.dp_type
    )

    def __init__(self, argument: Any, source: str, target: str, type_: TypeEngine[Any]) -> None:
        self.source = source
        self.target = target
        self.type = type_
        super().__init__(argument)


class DecimalDividend(FunctionElement[Any]):
    """A number that is divided and whose quotient is a decimal."""

    inherit_cache = True

    def __init__(self, number: ColumnElement[Any]) -> None:
        self.type = number.type
        super().__init__(number.self_group(against=operators.truediv))


class CollectionAggregate(FunctionElement[Any]):
    """An aggregate that collects values: (value, delimiter if it takes one, the expressions to order by ...).

    It covers the rows that meet `condition`.
    """

    inherit_cache = True
    _traverse_internals = _parts(
        function=InternalTraversal.dp_string,
        is_distinct=InternalTraversal.dp_boolean,
        descending=InternalTraversal.dp_plain_obj,
        has_condition=InternalTraversal.dp_boolean,
    )

    def __init__(
        self,
        function: str,
        *arguments: Any,
        distinct: bool,
        descending: tuple[bool, ...],
        condition: ColumnElement[bool] | None = None,
    ) -> None:
        self.function = function
        self.is_distinct = distinct
        self.descending = descending
        self.has_condition = condition is not None
        super().__init__(*arguments, *(() if condition is None else (condition,)))


class LagLeadWithDefault(FunctionElement[Any]):
    """LAG() or LEAD() with a default: (call with the default, call without, number of rows at the offset, default).

    All calls are over the same window.
    """

    inherit_cache = True


@compiles(SQLFunction)
def _function(element: SQLFunction, compiler: SQLCompiler, **kw: Any) -> str:
    arguments = [compiler.process(clause, **kw) for clause in element.clauses]
    is_standard = element.function in STANDARD_FUNCTIONS
    dialect = dialect_for(compiler.dialect) if is_standard else registered_dialect(element, compiler)
    return dialect.function(element.function, element.literals, arguments)


@compiles(CastTo)
def _cast(element: CastTo, compiler: SQLCompiler, **kw: Any) -> str:
    (argument,) = element.clauses
    value = compiler.process(argument, **kw)
    return registered_dialect(element, compiler).cast(value, element.source, element.target, element.type)


@compiles(DecimalDividend)
def _decimal_dividend(element: DecimalDividend, compiler: SQLCompiler, **kw: Any) -> str:
    (number,) = element.clauses
    return dialect_for(compiler.dialect).decimal_dividend(compiler.process(number, **kw))


@compiles(CollectionAggregate)
def _collection_aggregate(element: CollectionAggregate, compiler: SQLCompiler, **kw: Any) -> str:
    dialect = registered_dialect(element, compiler)
    clauses = [compiler.process(clause, **kw) for clause in element.clauses]
    condition = clauses.pop() if element.has_condition else None
    values = len(clauses) - len(element.descending)
    order = list(zip(clauses[values:], element.descending, strict=True))
    return dialect.collection_aggregate(
        CollectionCall(element.function, clauses[:values], element.is_distinct, order, condition)
    )


@compiles(LagLeadWithDefault)
def _lag_lead_with_default(element: LagLeadWithDefault, compiler: SQLCompiler, **kw: Any) -> str:
    call, *parts = element.clauses
    if dialect_for(compiler.dialect).lag_lead_default:
        return compiler.process(call, **kw)
    # A missing row is not a row whose value is NULL.
    bare_call, row_count, default = (compiler.process(clause, **kw) for clause in parts)
    return f"CASE WHEN {row_count} = 0 THEN {default} ELSE {bare_call} END"


def with_frame_exclusion(rows: str, over: str) -> str:
    """A window function with an EXCLUDE clause: ``CURRENT ROW``, ``GROUP``, …."""
    # SQLAlchemy has no EXCLUDE. The SQL of a window ends with its frame.
    return f"{over.removesuffix(')')} EXCLUDE {rows})"


class JSONPath(TypeDecorator[Any]):
    """Binds a path into a JSON document, a tuple of keys, as the database takes it."""

    impl = sqlalchemy.types.NullType
    cache_ok = True

    def bind_processor(self, dialect: SQLAlchemyDialect) -> Callable[[Any], Any]:
        """A function from the keys to the driver's argument."""
        return dialect_for(dialect).encode_path

    def literal_processor(self, dialect: SQLAlchemyDialect) -> Callable[[Any], str]:
        """A function from the keys to SQL, for CHECK constraints; a list of keys is the text of an array."""
        encode = dialect_for(dialect).encode_path
        quote = sqlalchemy.String().dialect_impl(dialect).literal_processor(dialect)
        assert quote is not None

        def literal(keys: tuple[str, ...]) -> str:
            path = encode(keys)
            return quote(path if isinstance(path, str) else f"{{{','.join(map(_array_item, path))}}}")

        return literal


def _array_item(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
