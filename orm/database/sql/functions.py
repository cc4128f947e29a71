"""Functions that databases spell their own way, as SQLAlchemy constructs.

A `SQLFunction` has the ORM's own name for a function; the tables of `spellings`, filled in by
`orm/database/<dialect>/sql_functions.py`, say how each database writes it. What no table names is standard SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeDecorator, TypeEngine

from orm.database.dialect_registry import ByKind, spelled_by_kind, unless_spelled
from orm.exceptions import NotSupportedError

Words = tuple[str, ...]
Spelling = str | Callable[..., str] | None
"""A template of the arguments (``{0}``, ``{1}``; ``{all}`` for all of them), a function of the words and the
arguments that gives the SQL, or None for what the database does not have."""

spellings: ByKind[dict[str, Spelling]] = ByKind()
"""By SQLAlchemy's dialect name, by the function's."""


def _parts(**parts: InternalTraversal) -> Any:
    """What makes one element another, for SQLAlchemy's cache: its clauses, and these attributes."""
    return [*FunctionElement._traverse_internals, *parts.items()]


class SQLFunction(FunctionElement[Any]):
    """A function by its name. `words` are fixed parts of its spelling, such as a unit: never a user's text."""

    inherit_cache = True
    _traverse_internals = _parts(function=InternalTraversal.dp_string, words=InternalTraversal.dp_plain_obj)

    def __init__(self, function: str, *arguments: Any, words: Words = (), type_: TypeEngine[Any] | None = None) -> None:
        self.function = function
        self.words = words
        if type_ is not None:
            self.type = type_
        super().__init__(*arguments)


class CastTo(FunctionElement[Any]):
    """A value made one of another type. `source` is the kind of field that it comes from."""

    inherit_cache = True
    _traverse_internals = _parts(
        source=InternalTraversal.dp_string, target=InternalTraversal.dp_string, type=InternalTraversal.dp_type
    )

    def __init__(self, argument: Any, source: str, target: str, type_: TypeEngine[Any]) -> None:
        self.source = source
        self.target = target
        self.type = type_
        super().__init__(argument)


class CollectionAggregate(FunctionElement[Any]):
    """An aggregate that makes one value of many: (value, delimiter if it takes one, what to order by ...).

    Only rows that meet `condition` take part.
    """

    inherit_cache = True
    _traverse_internals = _parts(
        function=InternalTraversal.dp_string,
        only_distinct=InternalTraversal.dp_boolean,
        descending=InternalTraversal.dp_plain_obj,
        filtered=InternalTraversal.dp_boolean,
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
        self.only_distinct = distinct
        self.descending = descending
        self.filtered = condition is not None
        super().__init__(*arguments, *(() if condition is None else (condition,)))

    def parts(self, compiler: SQLCompiler, **kw: Any) -> tuple[list[str], list[str], str | None]:
        """The SQL of the value (and the delimiter), of what to order by, and of the condition."""
        rendered = [compiler.process(clause, **kw) for clause in self.clauses]
        condition = rendered.pop() if self.filtered else None
        count = len(rendered) - len(self.descending)
        return rendered[:count], rendered[count:], condition

    def ordered(self, keys: list[str]) -> str:
        """An ORDER BY clause of these, or nothing."""
        terms = [f"{key} DESC" if down else key for key, down in zip(keys, self.descending, strict=True)]
        return f" ORDER BY {', '.join(terms)}" if terms else ""


class LagLeadWithDefault(FunctionElement[Any]):
    """LAG() or LEAD() with a default: (the call with it, the call without, how many rows are there, the default).

    All three calls are over the same window.
    """

    inherit_cache = True


spelled_by_kind(CastTo, CollectionAggregate)


@compiles(LagLeadWithDefault)
@unless_spelled
def _neighbour_or(element: LagLeadWithDefault, compiler: SQLCompiler, **kw: Any) -> str:
    whole, *_ = element.clauses
    return compiler.process(whole, **kw)


@compiles(SQLFunction)
def _call(element: SQLFunction, compiler: SQLCompiler, **kw: Any) -> str:
    arguments = [compiler.process(clause, **kw) for clause in element.clauses]
    known = spellings.find(compiler.dialect.name) or {}
    if element.function not in known:
        return f"{element.function.upper()}({', '.join(arguments)})"
    spelling = known[element.function]
    if spelling is None:
        raise NotSupportedError(f"{compiler.dialect.name} has no function for {element.function}.")
    if callable(spelling):
        return spelling(*element.words, *arguments)
    return f"({spelling.format(*arguments, all=', '.join(arguments))})"


def with_frame_exclusion(rows: str, over: str) -> str:
    """A window function whose frame leaves some of its rows out; which, is in SQL's words."""
    # SQLAlchemy 2.0 knows no EXCLUDE. What it makes of a window ends with the frame.
    return f"{over.removesuffix(')')} EXCLUDE {rows})"


def not_supported(element: CollectionAggregate, compiler: SQLCompiler, **kw: Any) -> str:
    """Refuse an aggregate that the database does not have."""
    raise NotSupportedError(f"{compiler.dialect.name} has no aggregate for {element.function}.")


PathEncoder = Callable[[tuple[str, ...]], Any]
path_encoders: ByKind[PathEncoder] = ByKind()
"""By SQLAlchemy's dialect name: how the keys on the way to a value in a JSON document are passed."""


class JSONPath(TypeDecorator[Any]):
    """Binds the keys on the way to a value in a JSON document, as the database takes them."""

    impl = sqlalchemy.types.NullType
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """From the keys to the driver's argument."""
        return path_encoders[dialect.name]
