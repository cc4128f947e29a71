"""Functions of text."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.exceptions import QueryError
from orm.expressions.base import Expression, Operand
from orm.fields import Field
from orm.functions.base import IntegerOfTextFunc, TextFunc, Value, as_text


class Chr(TextFunc):
    """The character with this code point: ``Chr(Value(65))`` is A."""

    sql_name = "chr"

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        return self.build(*arguments)


class Concat(TextFunc):
    """The expressions concatenated; NULL counts as empty, and other types are converted to text."""

    sql_name = "concat"

    def __init__(self, *expressions: Operand, output_field: Field[Any] | None = None) -> None:
        if len(expressions) < 2:
            raise QueryError("Concat() takes at least two expressions.")
        super().__init__(*expressions, output_field=output_field)

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        return self.build(*(as_text(field, argument) for field, argument in zip(fields, arguments, strict=True)))


class ConcatPair(Concat):
    """Two expressions concatenated."""

    def __init__(self, first: Operand, second: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(first, second, output_field=output_field)


class Left(TextFunc):
    """The first `length` characters."""

    sql_name = "left"

    def __init__(self, expression: Operand, length: Operand, *, output_field: Field[Any] | None = None) -> None:
        _check_number(length, 1, "length")
        super().__init__(expression, length, output_field=output_field)


class Right(Left):
    """The last `length` characters."""

    sql_name = "right"


class Length(IntegerOfTextFunc):
    """The number of characters."""

    sql_name = "length"


class Lower(TextFunc):
    """In lower case."""

    sql_name = "lower"


class Upper(TextFunc):
    """In upper case."""

    sql_name = "upper"


class LPad(TextFunc):
    """Padded on the left with `fill_text` to `length` characters, or truncated to it."""

    sql_name = "lpad"

    def __init__(
        self,
        expression: Operand,
        length: Operand,
        fill_text: Operand = Value(" "),  # noqa: B008 (a value that never changes)
        *,
        output_field: Field[Any] | None = None,
    ) -> None:
        _check_number(length, 0, "length")
        super().__init__(expression, length, fill_text, output_field=output_field)


class RPad(LPad):
    """Padded on the right with `fill_text` to `length` characters, or truncated to it."""

    sql_name = "rpad"


class LTrim(TextFunc):
    """Without leading spaces."""

    sql_name = "ltrim"


class RTrim(TextFunc):
    """Without trailing spaces."""

    sql_name = "rtrim"


class Trim(TextFunc):
    """Without leading and trailing spaces."""

    sql_name = "trim"


class MD5(TextFunc):
    """The MD5 hash, in hexadecimal."""

    sql_name = "md5"


class SHA1(TextFunc):
    """The SHA-1 hash, in hexadecimal. On PostgreSQL it needs the pgcrypto extension."""

    sql_name = "sha1"


class SHA224(TextFunc):
    """The SHA-224 hash, in hexadecimal."""

    sql_name = "sha224"


class SHA256(TextFunc):
    """The SHA-256 hash, in hexadecimal."""

    sql_name = "sha256"


class SHA384(TextFunc):
    """The SHA-384 hash, in hexadecimal."""

    sql_name = "sha384"


class SHA512(TextFunc):
    """The SHA-512 hash, in hexadecimal."""

    sql_name = "sha512"


class Ord(IntegerOfTextFunc):
    """The code point of the first character; 0 for empty text."""

    sql_name = "ord"


class Repeat(TextFunc):
    """The text repeated `number` times."""

    sql_name = "repeat"

    def __init__(self, expression: Operand, number: Operand, *, output_field: Field[Any] | None = None) -> None:
        _check_number(number, 0, "number")
        super().__init__(expression, number, output_field=output_field)


class Replace(TextFunc):
    """With each occurrence of `text` replaced (removed by default)."""

    sql_name = "replace"

    def __init__(
        self,
        expression: Operand,
        text: Operand,
        replacement: Operand = Value(""),  # noqa: B008 (a value that never changes)
        *,
        output_field: Field[Any] | None = None,
    ) -> None:
        super().__init__(expression, text, replacement, output_field=output_field)


class Reverse(TextFunc):
    """The characters in reverse order."""

    sql_name = "reverse"


class StrIndex(IntegerOfTextFunc):
    """The position of the second text's first occurrence in the first, counted from 1; 0 if there is none."""

    sql_name = "strindex"

    def __init__(self, string: Operand, substring: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(string, substring, output_field=output_field)


class Substr(TextFunc):
    """The text from position `pos` (counted from 1), at most `length` characters of it."""

    sql_name = "substr"

    def __init__(
        self, expression: Operand, pos: Operand, length: Operand = None, *, output_field: Field[Any] | None = None
    ) -> None:
        _check_number(pos, 1, "pos")
        rest = (pos,) if length is None else (pos, length)
        super().__init__(expression, *rest, output_field=output_field)

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        return SQLFunction("substr_of" if len(arguments) > 2 else "substr", *arguments)


def _check_number(number: Operand, least: int, name: str) -> None:
    if isinstance(number, (Expression, str)):
        return
    if not isinstance(number, int) or number < least:
        raise QueryError(f"{name} is a whole number of at least {least}, or an expression; got {number!r}.")
