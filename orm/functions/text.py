"""Functions of text."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.exceptions import QueryError
from orm.expressions.base import Expression, Operand, Value
from orm.fields import Field
from orm.functions.base import CountOfText, TextFunc, as_text


class Chr(TextFunc):
    """The character of a code point: ``Chr(Value(65))`` is A."""

    call = "chr"

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        return self.build(*arguments)


class Concat(TextFunc):
    """Texts one after the other; NULL counts as empty, and what is no text is made one."""

    call = "concat"

    def __init__(self, *expressions: Operand, output_field: Field[Any] | None = None) -> None:
        if len(expressions) < 2:
            raise QueryError("Concat() takes at least two expressions.")
        super().__init__(*expressions, output_field=output_field)

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        return self.build(*(as_text(field, argument) for field, argument in zip(fields, arguments, strict=True)))


class ConcatPair(Concat):
    """Two texts, one after the other."""

    def __init__(self, first: Operand, second: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(first, second, output_field=output_field)


class Left(TextFunc):
    """The first `length` characters."""

    call = "left"

    def __init__(self, expression: Operand, length: Operand, *, output_field: Field[Any] | None = None) -> None:
        _check_number(length, 1, "length")
        super().__init__(expression, length, output_field=output_field)


class Right(Left):
    """The last `length` characters."""

    call = "right"


class Length(CountOfText):
    """How many characters there are."""

    call = "length"


class Lower(TextFunc):
    """In small letters."""

    call = "lower"


class Upper(TextFunc):
    """In capital letters."""

    call = "upper"


class LPad(TextFunc):
    """Filled up to `length` characters from the left, or cut to it."""

    call = "lpad"

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
    """Filled up to `length` characters from the right, or cut to it."""

    call = "rpad"


class LTrim(TextFunc):
    """Without spaces before it."""

    call = "ltrim"


class RTrim(TextFunc):
    """Without spaces after it."""

    call = "rtrim"


class Trim(TextFunc):
    """Without spaces around it."""

    call = "trim"


class MD5(TextFunc):
    """The MD5 hash, in hexadecimal."""

    call = "md5"


class SHA1(TextFunc):
    """The SHA-1 hash, in hexadecimal. PostgreSQL needs its pgcrypto extension for it."""

    call = "sha1"


class SHA224(TextFunc):
    """The SHA-224 hash, in hexadecimal."""

    call = "sha224"


class SHA256(TextFunc):
    """The SHA-256 hash, in hexadecimal."""

    call = "sha256"


class SHA384(TextFunc):
    """The SHA-384 hash, in hexadecimal."""

    call = "sha384"


class SHA512(TextFunc):
    """The SHA-512 hash, in hexadecimal."""

    call = "sha512"


class Ord(CountOfText):
    """The code point of the first character; 0 of no text."""

    call = "ord"


class Repeat(TextFunc):
    """The text `number` times."""

    call = "repeat"

    def __init__(self, expression: Operand, number: Operand, *, output_field: Field[Any] | None = None) -> None:
        _check_number(number, 0, "number")
        super().__init__(expression, number, output_field=output_field)


class Replace(TextFunc):
    """With each `text` in it replaced (taken out, by default)."""

    call = "replace"

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
    """The characters from last to first."""

    call = "reverse"


class StrIndex(CountOfText):
    """Where the second text first begins in the first, counted from 1; 0 where it does not."""

    call = "strindex"

    def __init__(self, string: Operand, substring: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(string, substring, output_field=output_field)


class Substr(TextFunc):
    """The text from the position `pos` (counted from 1) on, at most `length` characters of it."""

    call = "substr"

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
