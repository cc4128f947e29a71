"""The parts of dataclasses, Pydantic models, TypedDicts and msgspec structs, and the field that stores each part."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import typesystem
from typing_extensions import NotRequired, Required, get_type_hints, is_typeddict

from orm.exceptions import FieldError
from orm.fields import (
    JSON,
    UUID,
    BigInteger,
    Binary,
    Boolean,
    Date,
    DateTime,
    Decimal,
    Duration,
    Enum,
    Field,
    Float,
    IPAddress,
    String,
    Text,
    Time,
)
from orm.fields.json_codecs import JSONCodec, codec_of
from orm.utils.articles import with_article

#: The field of a part that is annotated with one of these types.
FIELDS: dict[Any, Callable[..., Field[Any]]] = {
    bool: Boolean,
    int: BigInteger,
    float: Float,
    datetime.datetime: DateTime,
    datetime.date: Date,
    datetime.time: Time,
    datetime.timedelta: Duration,
    bytes: Binary,
    uuid.UUID: UUID,
    ipaddress.IPv4Address: IPAddress,
    ipaddress.IPv6Address: IPAddress,
}
NULL_TYPE = type(None)


class Part(NamedTuple):
    """An attribute or key of a type."""

    field: Field[Any]
    """What stores it, as declared for a row that has a value of the type."""
    is_required: bool
    """Whether it cannot be None."""
    may_be_absent: bool = False
    """Whether it is a key that may be left out."""


class ValueType:
    """A type whose values consist of parts: how they are taken apart, and put together. See `value_type_of`."""

    parts: dict[str, Part]

    def __init__(self, python_type: Any, overridden: Mapping[str, Field[Any]]) -> None:
        self.python_type = python_type
        self.name: str = python_type.__qualname__
        unknown = [name for name in overridden if name not in self.hints]
        if unknown:
            raise FieldError(f"orm.Embedded: {self.name} has no {unknown[0]!r}. It has {', '.join(self.hints)}.")
        self.parts = {name: _part(self, name, hint, overridden.get(name)) for name, hint in self.hints.items()}

    @property
    def hints(self) -> dict[str, Any]:
        """The annotations of the parts."""
        return get_type_hints(self.python_type, include_extras=True)

    def metadata(self, name: str) -> tuple[Any, ...]:
        """What the type says of a part besides its annotation."""
        return ()

    def is_instance(self, value: Any) -> bool:
        """Whether it is a value of the type."""
        return isinstance(value, self.python_type)

    def take_apart(self, value: Any) -> dict[str, Any]:
        """The parts of a value, or of a mapping. Raises `typesystem.ValidationError` for anything else."""
        if self.is_instance(value):
            return {name: getattr(value, name) for name in self.parts}
        if isinstance(value, Mapping):
            return self.read(value)
        raise typesystem.ValidationError(text=f"Must be {with_article(self.name)} or a mapping.", code="type")

    def current(self, value: Any) -> list[Any]:
        """The parts of a value of the type as they are, valid or not."""
        if isinstance(value, Mapping):
            return [value.get(name) for name in self.parts]
        return [getattr(value, name) for name in self.parts]

    def copied(self, value: Any) -> Any:
        """A copy, whose parts can be set without changing those of `value`."""
        return copy.copy(value)

    def read(self, mapping: Mapping[str, Any]) -> dict[str, Any]:
        """The parts of a mapping. Raises `typesystem.ValidationError` with paths."""
        defaults = self.defaults()
        messages = [
            typesystem.Message(text="This is no part of it.", code="unknown", index=[name])
            for name in mapping
            if name not in self.parts
        ]
        for name, part in self.parts.items():
            if name not in mapping and name not in defaults and part.is_required:
                messages.append(typesystem.Message(text="This field is required.", code="required", index=[name]))
        if messages:
            raise typesystem.ValidationError(messages=messages)
        return {
            name: mapping[name] if name in mapping else defaults[name]() if name in defaults else None
            for name in self.parts
        }

    def defaults(self) -> dict[str, Callable[[], Any]]:
        """Functions that return the defaults of parts."""
        return {}

    def put_together(self, parts: dict[str, Any]) -> Any:
        """The value of its parts."""
        return self.python_type(**parts)


class DataclassType(ValueType):
    """A dataclass."""

    def copied(self, value: Any) -> Any:
        """A copy; a frozen value, whose parts cannot be set, itself."""
        return value if self.python_type.__dataclass_params__.frozen else copy.copy(value)

    @property
    def hints(self) -> dict[str, Any]:
        """The annotations of the parts."""
        hints = get_type_hints(self.python_type, include_extras=True)
        return {each.name: hints[each.name] for each in dataclasses.fields(self.python_type) if each.init}

    def defaults(self) -> dict[str, Callable[[], Any]]:
        """Functions that return the defaults of parts."""
        defaults: dict[str, Callable[[], Any]] = {}
        for each in dataclasses.fields(self.python_type):
            if each.default_factory is not dataclasses.MISSING:
                defaults[each.name] = each.default_factory
            elif each.default is not dataclasses.MISSING:
                defaults[each.name] = _returning(each.default)
        return defaults


class TypedDictType(ValueType):
    """A TypedDict. A key that is not required is left out where its column is NULL."""

    def is_instance(self, value: Any) -> bool:
        """False: what is in a dict has to be looked at."""
        return False

    def put_together(self, parts: dict[str, Any]) -> Any:
        """The dict of its parts."""
        return {name: part for name, part in parts.items() if part is not None or not self.parts[name].may_be_absent}


class CodecType(ValueType):
    """A type of a library that validates whole values: a Pydantic model or a msgspec struct."""

    def __init__(self, python_type: Any, overridden: Mapping[str, Field[Any]]) -> None:
        self.codec: JSONCodec = codec_of(python_type)
        super().__init__(python_type, overridden)

    def take_apart(self, value: Any) -> dict[str, Any]:
        """The parts of a value or a mapping that the library accepts. Raises `typesystem.ValidationError`."""
        if not self.is_instance(value) and not isinstance(value, Mapping):
            return super().take_apart(value)
        return super().take_apart(self.codec.validate(value))


class PydanticType(CodecType):
    """A Pydantic model."""

    @property
    def hints(self) -> dict[str, Any]:
        """The annotations of the parts."""
        hints = get_type_hints(self.python_type, include_extras=True)
        return {name: hints[name] for name in self.python_type.model_fields}

    def metadata(self, name: str) -> tuple[Any, ...]:
        """The limits of `pydantic.Field`."""
        return tuple(self.python_type.model_fields[name].metadata)

    def defaults(self) -> dict[str, Callable[[], Any]]:
        """Functions that return the defaults of parts."""
        fields = self.python_type.model_fields.items()
        return {name: partial(f.get_default, call_default_factory=True) for name, f in fields if not f.is_required()}

    def put_together(self, parts: dict[str, Any]) -> Any:
        """The value of its parts, which were validated when they were written."""
        return self.python_type.model_construct(**parts)


class StructType(CodecType):
    """A msgspec struct."""

    @property
    def hints(self) -> dict[str, Any]:
        """The annotations of the parts."""
        hints = get_type_hints(self.python_type, include_extras=True)
        return {name: hints[name] for name in self.python_type.__struct_fields__}


def value_type_of(python_type: Any, overridden: Mapping[str, Field[Any]]) -> ValueType:
    """The parts of a type; `overridden` are the fields of some of them.

    Raises `FieldError` if it is no type with parts, or if it does not say how one of them is stored.
    """
    if isinstance(python_type, type):
        if dataclasses.is_dataclass(python_type):
            return DataclassType(python_type, overridden)
        if is_typeddict(python_type):
            return TypedDictType(python_type, overridden)
        if hasattr(python_type, "model_fields") and hasattr(python_type, "model_construct"):
            return PydanticType(python_type, overridden)
        if hasattr(python_type, "__struct_fields__"):
            return StructType(python_type, overridden)
    raise FieldError(
        "orm.Embedded takes a dataclass, a Pydantic model, a TypedDict or a msgspec.Struct, "
        f"got {getattr(python_type, '__qualname__', python_type)!r}."
    )


def nullable(field: Field[Any]) -> Field[Any]:
    """A copy of a field that allows NULL."""
    copied: Field[Any] = copy.copy(field)
    if not copied.allow_null:
        copied.allow_null = True
        copied.validator = copy.copy(copied.validator)
        copied.validator.allow_null = True
        copied.validator.default = None
    return copied


def _returning(value: Any) -> Callable[[], Any]:
    return lambda: value


def _part(owner: ValueType, name: str, hint: Any, field: Field[Any] | None) -> Part:
    metadata = [*owner.metadata(name)]
    annotation, is_required = hint, True
    may_be_absent = is_typeddict(owner.python_type) and name not in owner.python_type.__required_keys__
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            metadata += more
        elif origin is Required or origin is NotRequired:
            # Where annotations are text, `__required_keys__` does not know of them.
            may_be_absent = origin is NotRequired
            (annotation,) = get_args(annotation)
        elif (origin is Union or origin is types.UnionType) and NULL_TYPE in get_args(annotation):
            is_required = False
            rest = tuple(each for each in get_args(annotation) if each is not NULL_TYPE)
            annotation = rest[0] if len(rest) == 1 else Union[rest]  # noqa: UP007 - it is not known before
        else:
            break
    is_required = is_required and not may_be_absent
    if field is None:
        field = next((each for each in metadata if isinstance(each, Field)), None)
    if field is None:
        field = _field_of(annotation, metadata, f"{owner.name}.{name}")
    elif field.allow_null:
        is_required = False
    if field.primary_key or field.is_generated:
        raise FieldError(f"orm.Embedded: {owner.name}.{name} is a part of a value, and no key or generated column.")
    return Part(field if is_required else nullable(field), is_required, may_be_absent)


def _field_of(annotation: Any, metadata: list[Any], label: str) -> Field[Any]:
    """The field for an annotation and its metadata."""
    limits = dict(_limits(metadata))
    if annotation is str:
        length = limits.get("max_length")
        return String(max_length=length) if isinstance(length, int) else Text()
    if annotation is decimal.Decimal:
        digits, scale = limits.get("max_digits"), limits.get("decimal_places")
        if digits is None or scale is None:
            raise FieldError(
                f"orm.Embedded: how many digits does {label} have? Write "
                f"Annotated[Decimal, orm.Decimal(max_digits=…, decimal_places=…)], or give fields={{…}}."
            )
        return Decimal(max_digits=digits, decimal_places=scale)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Enum(annotation)
    field_class = FIELDS.get(annotation)
    return JSON(annotation) if field_class is None else field_class()


def _limits(metadata: list[Any]) -> Iterator[tuple[str, Any]]:
    for each in metadata:
        for name in ("max_length", "max_digits", "decimal_places"):
            limit = getattr(each, name, None)
            if isinstance(limit, int):
                yield name, limit
