"""Bytes, identifiers, addresses, enums and arrays."""

from __future__ import annotations

import base64
import enum
import ipaddress
import json
import uuid
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, TypeVar, overload

import typesystem
from sqlalchemy.types import TypeEngine
from typing_extensions import Unpack

from orm.database.types import column_types
from orm.exceptions import FieldError
from orm.fields.base import ConversionError, Field
from orm.fields.options import CoercedOptions, FieldOptions, FormattedOptions
from orm.fields.validators import (
    ArrayValidator,
    BinaryValidator,
    EnumValidator,
    IPAddressValidator,
    UUIDValidator,
    find_member,
)
from orm.utils.codegen import Inline
from orm.utils.uuid7 import uuid7

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)
Item = TypeVar("Item")


class Binary(Field[T]):
    """Bytes, of any length, or at most `max_length`."""

    family = "binary"
    is_ordered = True
    accepts = "bytes"

    @overload
    def __init__(
        self: Binary[bytes],
        *,
        max_length: int | None = ...,
        allow_null: Literal[False] = ...,
        **options: Unpack[FieldOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: Binary[bytes | None],
        *,
        max_length: int | None = ...,
        allow_null: Literal[True],
        **options: Unpack[FieldOptions],
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return BinaryValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Binary(self.max_length)

    def fast_check(self) -> Inline | None:
        limit = "" if self.max_length is None else f" and len({{v}}) <= {self.max_length}"
        return Inline(f"type({{v}}) is bytes{limit}")

    def convert(self, value: Any) -> bytes:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        raise TypeError

    def to_json(self, value: Any) -> str:
        """The bytes in base64."""
        return base64.b64encode(value).decode("ascii")

    def from_json(self, value: Any) -> Any:
        return base64.b64decode(value, validate=True)


UUID_VERSIONS: dict[int, Callable[[], uuid.UUID]] = {4: uuid.uuid4, 7: uuid7}


class UUID(Field[T]):
    """A uuid.UUID.

    With `version=4` or `version=7`, a missing value is made by `uuid.uuid4` or `orm.uuid7`. Values of version 7 are
    ordered by time, which keeps the index of a key compact. Raises `FieldError` for another version, and for a version
    together with a default.
    """

    family = "uuid"
    is_ordered = True
    accepts = "UUIDs and text of them"
    exact_type = uuid.UUID

    @overload
    def __init__(
        self: UUID[uuid.UUID],
        *,
        version: Literal[4, 7] | None = ...,
        allow_null: Literal[False] = ...,
        **options: Unpack[FormattedOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: UUID[uuid.UUID | None],
        *,
        version: Literal[4, 7] | None = ...,
        allow_null: Literal[True],
        **options: Unpack[FormattedOptions],
    ) -> None: ...

    def __init__(self, *, version: Literal[4, 7] | None = None, **options: Any) -> None:
        if version is not None:
            if version not in UUID_VERSIONS:
                raise FieldError(f"orm.UUID makes values of version 4 or 7, got version={version!r}.")
            if "default" in options or options.get("server_default") is not None:
                raise FieldError("orm.UUID: version= makes the default. Leave out the other one.")
            options["default"] = UUID_VERSIONS[version]
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return UUIDValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.UUID()

    def fast_check(self) -> Inline | None:
        return Inline("type({v}) is {UUID}", UUID=uuid.UUID)

    def convert(self, value: Any) -> uuid.UUID:
        if isinstance(value, uuid.UUID):
            return value
        if isinstance(value, str):
            return uuid.UUID(value)
        raise TypeError

    def to_json(self, value: Any) -> str:
        return str(value)


IP = ipaddress.IPv4Address | ipaddress.IPv6Address


class IPAddress(Field[T]):
    """An ipaddress.IPv4Address or IPv6Address."""

    family = "ip"
    is_ordered = is_text_like = True
    accepts = "IP addresses and text of them"

    @overload
    def __init__(
        self: IPAddress[IP], *, allow_null: Literal[False] = ..., **options: Unpack[FormattedOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: IPAddress[IP | None], *, allow_null: Literal[True], **options: Unpack[FormattedOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return IPAddressValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.IPAddress()

    def fast_check(self) -> Inline | None:
        return Inline("type({v}) is {IPv4Address}", IPv4Address=ipaddress.IPv4Address)

    def convert(self, value: Any) -> IP:
        if isinstance(value, (ipaddress.IPv4Interface, ipaddress.IPv6Interface)):
            return value.ip
        if isinstance(value, (str, ipaddress.IPv4Address, ipaddress.IPv6Address)):
            return ipaddress.ip_address(value)
        raise TypeError

    def to_json(self, value: Any) -> str:
        return str(value)


class Enum(Field[T]):
    """A member of an enum.

    It is stored by its name, or with ``by="value"`` by its value, which must be text; a member of an integer enum is
    always stored by its value. A value may be the member, its value or its name.
    """

    family = "enum"
    is_text = True

    @overload
    def __init__(
        self: Enum[E],
        enum: type[E],
        *,
        by: Literal["name", "value"] = ...,
        allow_null: Literal[False] = ...,
        **options: Unpack[CoercedOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: Enum[E | None],
        enum: type[E],
        *,
        by: Literal["name", "value"] = ...,
        allow_null: Literal[True],
        **options: Unpack[CoercedOptions],
    ) -> None: ...

    def __init__(self, enum: Any, *, by: Literal["name", "value"] = "name", **options: Any) -> None:
        self.enum = check_enum(enum)
        if by not in ("name", "value"):
            raise FieldError(f'orm.Enum stores a member by="name" or by="value", got by={by!r}.')
        self.by_value = by == "value" and not issubclass(self.enum, int)
        if self.by_value and not all(isinstance(member.value, str) for member in self.enum):
            raise FieldError(
                f'orm.Enum(by="value") stores text, and a member of {self.enum.__qualname__} has another value: '
                "make it an enum.IntEnum, or store the names."
            )
        if issubclass(self.enum, int):
            self.family = "integer enum"  # stored by value, so it has an order
            self.is_text = False
            self.is_ordered = self.is_number = self.supports_arithmetic = True
        super().__init__(**options)

    @property
    def accepts(self) -> str:  # type: ignore[override]
        """What `to_python` accepts, for its error message."""
        return f"members of {self.enum.__qualname__}, their values and names"

    def build_validator(self, **options: Any) -> typesystem.Field:
        return EnumValidator(enum_class=self.enum, **options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Enum(self.enum, self.by_value)

    def fast_check(self) -> Inline | None:
        return Inline("type({v}) is {enum}", enum=self.enum)

    def convert(self, value: Any) -> enum.Enum:
        member = find_member(self.enum, value)
        if member is None:
            names = ", ".join(self.enum.__members__)
            raise ConversionError(f"the members are {names}.")
        return member

    @cached_property
    def _values_are_json(self) -> bool:
        try:
            json.dumps([member.value for member in self.enum], allow_nan=False)
        except (TypeError, ValueError):
            return False
        return True

    def to_json(self, value: Any) -> Any:
        """The member's value; its name if JSON cannot hold the values of the enum."""
        return value.value if self._values_are_json else value.name

    def from_json(self, value: Any) -> Any:
        return self.to_python(tuple(value) if isinstance(value, list) else value)


def check_enum(enum_class: Any) -> type[enum.Enum]:
    """Return the enum class. Raises `FieldError` if its members cannot be stored."""
    if not (isinstance(enum_class, type) and issubclass(enum_class, enum.Enum)):
        raise FieldError("orm.Enum takes an enum class, such as orm.Enum(Status).")
    if not enum_class.__members__:
        raise FieldError(f"orm.Enum: {enum_class.__qualname__} has no members.")
    if issubclass(enum_class, enum.Flag) and not issubclass(enum_class, enum.IntFlag):
        raise FieldError(
            f"orm.Enum: combined flags of {enum_class.__qualname__} have no name to store; make it an enum.IntFlag."
        )
    return enum_class


class Array(Field[T]):
    """A list of values of another field's type: an array on PostgreSQL, a JSON list on other databases.

        class Post(orm.Model):
            tags = orm.Array(orm.String(max_length=20), default=list)

        await Post.objects.filter(tags__contains=["orm"], tags__len__lt=5, tags__0="news")

    Its lookups are the same on every database: `contains`, `contained_by`, `overlap`, `any`, `len`, items (``tags__0``)
    and slices (``tags__0_2``). The order of two arrays (`gt`, `lte`) is PostgreSQL's alone.

    Args:
        field: The field of the items. Items that are JSON or bytes need PostgreSQL; elsewhere creating the table raises
            `orm.NotSupportedError`.
        min_items, max_items, unique_items: These limit the list.
    """

    family = "array"
    is_ordered = True
    is_pageable = is_hashable = False
    accepts = "lists"

    @overload
    def __init__(
        self: Array[list[Item]],
        field: Field[Item],
        *,
        allow_null: Literal[False] = ...,
        min_items: int | None = ...,
        max_items: int | None = ...,
        unique_items: bool = ...,
        **options: Unpack[FieldOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: Array[list[Item] | None],
        field: Field[Item],
        *,
        allow_null: Literal[True],
        min_items: int | None = ...,
        max_items: int | None = ...,
        unique_items: bool = ...,
        **options: Unpack[FieldOptions],
    ) -> None: ...

    def __init__(self, field: Field[Any], **options: Any) -> None:
        if not isinstance(field, Field) or isinstance(field.column_type(), column_types.Array):
            raise FieldError(
                "orm.Array takes a field for its items, which is no array itself: orm.Array(orm.Integer()). "
                "For nested lists use orm.JSON()."
            )
        self.field = field
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return ArrayValidator(items=self.field.validator, **options)

    def column_type(self) -> TypeEngine[Any]:
        item = self.field.column_type()
        assert isinstance(item, column_types.ORMType)
        return column_types.Array(item)

    def convert(self, value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple, set, frozenset)):
            raise TypeError
        return [self.field.to_python(item) for item in value]

    def to_json(self, value: Any) -> list[Any]:
        item_to_json = self.field.to_json
        return [None if item is None else item_to_json(item) for item in value]

    def from_json(self, value: Any) -> Any:
        item_from_json = self.field.from_json
        return [None if item is None else item_from_json(item) for item in value]

    @property
    def is_json(self) -> bool:
        """Whether JSON can hold the items as they are."""
        return self.field.is_json
