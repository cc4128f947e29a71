"""Text, plain or in a format (e-mail addresses, URLs)."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import uuid
from typing import Any, Literal, TypeVar, overload

import typesystem
from sqlalchemy.types import TypeEngine
from typesystem.fields import FORMATS
from typing_extensions import Unpack

from orm.database.types import column_types
from orm.exceptions import FieldError
from orm.fields.base import Field
from orm.fields.options import TextOptions
from orm.fields.validators import EmailValidator, SlugValidator, StringValidator, TextValidator, URLValidator
from orm.utils.codegen import Inline

T = TypeVar("T")

#: Other types whose values have one obvious text.
CONVERTED_TYPES = (
    int,
    float,
    decimal.Decimal,
    uuid.UUID,
    datetime.date,
    datetime.time,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
)


class TextField(Field[T]):
    """Base class of text fields."""

    family = "text"
    is_ordered = is_text_like = is_text = True
    accepts = "text"
    exact_type = str

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.default == "" and not (self.choices or self.allow_null or options.get("allow_blank")):
            raise FieldError(f'{self._type_name}: default="" is an empty text, which needs allow_blank=True.')

    def fast_check(self) -> Inline | None:
        validator: Any = self.validator
        if validator.pattern_regex is not None or validator.format in FORMATS:
            return None
        checks = ["type({v}) is str"]
        min_length = max(validator.min_length or 0, 0 if validator.allow_blank else 1)
        if min_length:
            checks.append("{v}" if min_length == 1 else f"len({{v}}) >= {min_length}")
        if validator.max_length is not None:
            checks.append(f"len({{v}}) <= {validator.max_length}")
        if validator.trim_whitespace:
            checks.append("{v}.strip() == {v}")
        return Inline(" and ".join([*checks, "'\\0' not in {v}"]))

    def convert(self, value: Any) -> str:
        if isinstance(value, enum.Enum):
            value = value.value
        if isinstance(value, (str, *CONVERTED_TYPES)):
            return str(value)
        raise TypeError


class String(TextField[T]):
    """Text of at most `max_length` characters.

    Leading and trailing whitespace is removed unless `trim_whitespace=False`. Empty text needs `allow_blank=True`.
    `min_length` and `pattern` (a regular expression) limit it further. NUL characters are refused.
    """

    @overload
    def __init__(
        self: String[str], *, max_length: int, allow_null: Literal[False] = ..., **options: Unpack[TextOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: String[str | None], *, max_length: int, allow_null: Literal[True], **options: Unpack[TextOptions]
    ) -> None: ...

    def __init__(self, *, max_length: int | None = None, **options: Any) -> None:
        if max_length is None:
            raise FieldError(
                "orm.String needs max_length, such as orm.String(max_length=100); orm.Text() is text of any length."
            )
        super().__init__(max_length=max_length, **options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return StringValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.String(self.max_length)


class Text(TextField[T]):
    """Text of any length, or of at most `max_length` characters."""

    @overload
    def __init__(
        self: Text[str],
        *,
        max_length: int | None = ...,
        allow_null: Literal[False] = ...,
        **options: Unpack[TextOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: Text[str | None],
        *,
        max_length: int | None = ...,
        allow_null: Literal[True],
        **options: Unpack[TextOptions],
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return TextValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Text()


class Email(TextField[T]):
    """An e-mail address."""

    @overload
    def __init__(
        self: Email[str], *, max_length: int = ..., allow_null: Literal[False] = ..., **options: Unpack[TextOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: Email[str | None], *, max_length: int = ..., allow_null: Literal[True], **options: Unpack[TextOptions]
    ) -> None: ...

    def __init__(self, *, max_length: int = 254, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return EmailValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.String(self.max_length)


class URL(TextField[T]):
    """A URL, with its scheme and host."""

    @overload
    def __init__(
        self: URL[str], *, max_length: int = ..., allow_null: Literal[False] = ..., **options: Unpack[TextOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: URL[str | None], *, max_length: int = ..., allow_null: Literal[True], **options: Unpack[TextOptions]
    ) -> None: ...

    def __init__(self, *, max_length: int = 200, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return URLValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.String(self.max_length)


class Slug(TextField[T]):
    """A part of a URL: letters, digits, hyphens and underscores.

    As in Django it has at most 50 characters and an index, unless `max_length` and `index` say otherwise.

    Args:
        allow_unicode: True: letters and digits of all alphabets; by default those of ASCII.
    """

    @overload
    def __init__(
        self: Slug[str],
        *,
        max_length: int = ...,
        allow_unicode: bool = ...,
        allow_null: Literal[False] = ...,
        **options: Unpack[TextOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: Slug[str | None],
        *,
        max_length: int = ...,
        allow_unicode: bool = ...,
        allow_null: Literal[True],
        **options: Unpack[TextOptions],
    ) -> None: ...

    def __init__(self, *, max_length: int = 50, allow_unicode: bool = False, **options: Any) -> None:
        if "pattern" in options:
            raise FieldError("orm.Slug has a pattern of its own: for another one, declare orm.String(pattern=...).")
        self.allow_unicode = allow_unicode
        if not options.get("unique") and not options.get("primary_key"):
            options.setdefault("index", True)
        super().__init__(max_length=max_length, **options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return SlugValidator(allow_unicode=self.allow_unicode, **options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.String(self.max_length)


class CIText(TextField[T]):
    """Text that is compared, sorted and unique without regard to case: PostgreSQL's ``citext``.

    The database needs the extension of that name (``CREATE EXTENSION citext``). On other databases creating the table
    raises `orm.NotSupportedError`: there, declare a `String` with a unique constraint on ``Lower("name")``.
    """

    @overload
    def __init__(
        self: CIText[str],
        *,
        max_length: int | None = ...,
        allow_null: Literal[False] = ...,
        **options: Unpack[TextOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: CIText[str | None],
        *,
        max_length: int | None = ...,
        allow_null: Literal[True],
        **options: Unpack[TextOptions],
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return TextValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.CIText()
