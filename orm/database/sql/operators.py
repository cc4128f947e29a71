"""Operators that databases write in different ways, as SQLAlchemy constructs and bind types.

Each construct is compiled by one function, which asks the `Dialect` (see `orm/database/dialect.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

import sqlalchemy
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeDecorator, TypeEngine

from orm.database.dialect_registry import dialect_for
from orm.database.sql.functions import registered_dialect
from orm.database.types import column_types
from orm.database.types.column_types import unconverted
from orm.utils.codegen import function_of, list_converter

# SQLAlchemy compares a Boolean with 1 if the database has no boolean type, and so hides the condition from indexes.
UNTYPED: Any = sqlalchemy.types.NullType()
TextOperator = Literal["exact", "contains", "startswith", "endswith", "regex"]


class TextMatch(FunctionElement[bool]):
    """Text compared with a value: (expression, pattern).

    `beyond_ascii`: the value has characters whose case takes more than ASCII to fold.
    """

    type = UNTYPED
    inherit_cache = True
    _traverse_internals: Any = [  # noqa: RUF012 - SQLAlchemy declares it as an instance's
        *FunctionElement._traverse_internals,
        ("operator", InternalTraversal.dp_string),
        ("ignore_case", InternalTraversal.dp_boolean),
        ("beyond_ascii", InternalTraversal.dp_boolean),
    ]

    def __init__(
        self,
        expression: sqlalchemy.ColumnElement[Any],
        pattern: sqlalchemy.ColumnElement[Any],
        operator: TextOperator,
        *,
        ignore_case: bool = False,
        beyond_ascii: bool = False,
    ) -> None:
        self.operator = operator
        self.ignore_case = ignore_case
        self.beyond_ascii = beyond_ascii
        super().__init__(expression, pattern)


class InList(FunctionElement[bool]):
    """An expression is in a list of any length, which is one bind parameter: (expression, list)."""

    type = UNTYPED
    inherit_cache = True

    @property
    def item_type(self) -> TypeEngine[Any]:
        """The type of the list's items."""
        _, values = self.clauses
        assert isinstance(values.type, ListOf)
        return unconverted(values.type.item)


class JSONEqual(FunctionElement[bool]):
    """Two JSON documents are equal: (expression, document)."""

    type = UNTYPED
    inherit_cache = True


class JSONCompare(FunctionElement[bool]):
    """The order of a JSON value and a number: (document, number). Not true of a value that is no number."""

    type = UNTYPED
    inherit_cache = True
    _traverse_internals: Any = [  # noqa: RUF012 - SQLAlchemy declares it as an instance's
        *FunctionElement._traverse_internals,
        ("operator", InternalTraversal.dp_string),
    ]

    def __init__(
        self,
        document: sqlalchemy.ColumnElement[Any],
        operator: Literal["<", "<=", ">", ">="],
        number: sqlalchemy.ColumnElement[Any],
    ) -> None:
        self.operator = operator
        super().__init__(document, number)


class SameMoment(FunctionElement[bool]):
    """A time or datetime is that of a value, however many digits its fraction is written with: (expression, value)."""

    type = UNTYPED
    inherit_cache = True


class FirstText(FunctionElement[Any]):
    """The value of a time or datetime, as the first of the texts that it can be written as: (value)."""

    inherit_cache = True

    def __init__(self, value: sqlalchemy.ColumnElement[Any]) -> None:
        self.type = value.type
        super().__init__(value)


def is_moment_value(operand: sqlalchemy.ColumnElement[Any]) -> bool:
    """Whether an operand is a bound time or datetime."""
    moments = (column_types.DateTime, column_types.Time)
    return isinstance(operand, sqlalchemy.BindParameter) and isinstance(unconverted(operand.type), moments)


class DistinctOn(FunctionElement[Any]):
    """DISTINCT ON, which keeps the first of the rows that agree in these columns; a prefix of a SELECT."""

    type = UNTYPED
    inherit_cache = True


@compiles(TextMatch)
def _text_match(element: TextMatch, compiler: SQLCompiler, **kw: Any) -> str:
    text, pattern = (compiler.process(clause, **kw) for clause in element.clauses)
    dialect = registered_dialect(element, compiler)
    if element.operator == "regex":
        return dialect.regex(text, pattern, ignore_case=element.ignore_case)
    return dialect.text_match(
        text, pattern, element.operator, ignore_case=element.ignore_case, beyond_ascii=element.beyond_ascii
    )


@compiles(InList)
def _in_list(element: InList, compiler: SQLCompiler, **kw: Any) -> str:
    value, values = (compiler.process(clause, **kw) for clause in element.clauses)
    return registered_dialect(element, compiler).in_list(value, values, element.item_type)


@compiles(JSONEqual)
def _json_equal(element: JSONEqual, compiler: SQLCompiler, **kw: Any) -> str:
    left, document = element.clauses
    dialect = registered_dialect(element, compiler)
    operands = [document]
    if dialect.compares_json_escapes and isinstance(document, sqlalchemy.BindParameter):
        escaped = EscapedJSON(document.type)
        if kw.get("literal_binds"):
            operands.append(sqlalchemy.literal(document.effective_value, escaped))
        else:
            operands.append(sqlalchemy.bindparam(f"e{document.key[1:]}", type_=escaped, required=True))
    # A parameter that is written twice is compiled twice.
    tests = [dialect.json_equal(compiler.process(left, **kw), compiler.process(operand, **kw)) for operand in operands]
    return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"


@compiles(SameMoment)
def _same_moment(element: SameMoment, compiler: SQLCompiler, **kw: Any) -> str:
    column, value = element.clauses
    # A parameter that is written twice is compiled twice.
    return registered_dialect(element, compiler).same_moment(
        compiler.process(column, **kw), lambda: compiler.process(value, **kw)
    )


@compiles(FirstText)
def _first_text(element: FirstText, compiler: SQLCompiler, **kw: Any) -> str:
    (value,) = element.clauses
    return registered_dialect(element, compiler).first_text(compiler.process(value, **kw))


@compiles(JSONCompare)
def _json_compare(element: JSONCompare, compiler: SQLCompiler, **kw: Any) -> str:
    document, number = (compiler.process(clause, **kw) for clause in element.clauses)
    return registered_dialect(element, compiler).json_compare(document, element.operator, number)


@compiles(DistinctOn)
def _distinct_on(element: DistinctOn, compiler: SQLCompiler, **kw: Any) -> str:
    return dialect_for(compiler.dialect).distinct_on([compiler.process(clause, **kw) for clause in element.clauses])


class TextPattern(TypeDecorator[str]):
    """Binds a text as the pattern of a `TextMatch`."""

    impl = sqlalchemy.Text
    cache_ok = True

    def __init__(self, operator: TextOperator, ignore_case: bool) -> None:
        super().__init__()
        self.operator = operator
        self.ignore_case = ignore_case

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        """A function from a text to the pattern, in the dialect's syntax. The dialect is looked up once."""
        encode, operator, ignore_case = dialect_for(dialect).encode_pattern, self.operator, self.ignore_case
        return lambda text: None if text is None else encode(operator, ignore_case, str(text))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The pattern, for SQL with literal values."""
        return self.bind_processor(dialect)(value)


class EscapedJSON(TypeDecorator[Any]):
    """Binds a JSON document, or what a field stores as one, as ASCII, as other programs write it: é as an escape."""

    impl = sqlalchemy.Text
    cache_ok = True

    def __init__(self, document_type: TypeEngine[Any]) -> None:
        super().__init__()
        self.document_type = document_type

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:
        """A function from a document to its text."""
        assert isinstance(self.document_type, column_types.ORMType)
        encode = function_of(self.document_type.storage(dialect).bind)

        def escaped(document: Any) -> str | None:
            text: str | None = encode(document)
            return text if text is None or text.isascii() else BEYOND_ASCII.sub(_escape, text)

        return escaped

    def literal_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        """A function from a document to SQL, for CHECK constraints."""
        encode = self.bind_processor(dialect)
        quote = sqlalchemy.String().dialect_impl(dialect).literal_processor(dialect)
        assert quote is not None
        return lambda document: quote(encode(document))


BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


class ListOf(TypeDecorator[Iterable[Any]]):
    """Binds a list of values of the type `item` as one argument."""

    impl = sqlalchemy.types.NullType
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """A function from the values to the argument: each is converted by the item type, the list by the dialect."""
        process = self.item.dialect_impl(dialect).bind_processor(dialect)
        encode, convert = dialect_for(dialect).encode_list, list_converter(process)
        return lambda values: encode(convert(values))
