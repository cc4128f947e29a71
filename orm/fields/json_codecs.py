"""How values of Python types become JSON documents and back: by Pydantic or by msgspec."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, get_args

import typesystem
from typing_extensions import is_typeddict

from orm.exceptions import FieldError


class JSONCodec(Protocol):
    """The conversions of one Python type."""

    name: str
    """The type's name, for messages."""

    def validate(self, value: Any) -> Any:
        """A value of the type, from a value of it or its JSON form. Raises `typesystem.ValidationError` with paths."""

    def load(self, document: Any) -> Any:
        """The value of a document that `to_builtins` made. Raises ValueError."""

    def to_builtins(self, value: Any) -> Any:
        """The document of a value."""

    def to_builtins_of_any(self, value: Any) -> Any:
        """What a document contains for any value, such as a date."""


def codec_of(python_type: Any) -> JSONCodec:
    """The codec of a type. Raises `FieldError` if it is not a type of documents, or if no library can convert it."""
    types = [*_types_in(python_type)]
    if any(_is_subclass(each, "msgspec", "Struct") for each in types):
        return MsgspecCodec(python_type)
    if any(_is_subclass(each, "pydantic", "BaseModel") for each in types):
        return PydanticCodec(python_type)
    if not isinstance(python_type, type) and not get_args(python_type):
        raise FieldError(
            f"orm.JSON takes a type, such as orm.JSON(Address) or orm.JSON(list[str]), got {python_type!r}."
        )
    if find_spec("pydantic") is not None:
        return PydanticCodec(python_type)
    if find_spec("msgspec") is not None:
        return MsgspecCodec(python_type)
    raise FieldError(
        f"orm.JSON({_name_of(python_type)}) converts its values with Pydantic or msgspec: install one of them, "
        "`pip install pydantic` or `pip install msgspec`."
    )


def _types_in(python_type: Any) -> Iterator[Any]:
    """The type and the types that it is made of: for ``list[Address]``, also `Address`."""
    yield python_type
    for argument in get_args(python_type):
        yield from _types_in(argument)


def _is_subclass(python_type: Any, module: str, name: str) -> bool:
    """Whether a type is a subclass of a library's class. The library is not imported to find out."""
    mro = python_type.__mro__ if isinstance(python_type, type) else ()
    return any(base.__name__ == name and base.__module__.partition(".")[0] == module for base in mro)


def _name_of(python_type: Any) -> str:
    is_plain = isinstance(python_type, type) and not get_args(python_type)
    return python_type.__qualname__ if is_plain else str(python_type)


class PydanticCodec:
    """The conversions of a type by Pydantic."""

    def __init__(self, python_type: Any) -> None:
        pydantic = import_module("pydantic")
        self.name = _name_of(python_type)
        self._error: type[Exception] = pydantic.ValidationError
        core = import_module("pydantic_core")
        self._to_jsonable = core.to_jsonable_python
        self._serialization_error: type[Exception] = core.PydanticSerializationError
        try:
            self._adapter = pydantic.TypeAdapter(python_type)
        except pydantic.errors.PydanticUserError as error:
            raise FieldError(f"orm.JSON({self.name}): Pydantic cannot convert it. {error}") from error
        #: Whether instances have to be validated here, because their class does not validate its attributes.
        self._is_unchecked = any(
            dataclasses.is_dataclass(each) or is_typeddict(each) for each in _types_in(python_type)
        )

    def validate(self, value: Any) -> Any:
        """A value of the type, whose document can be read. Raises `typesystem.ValidationError`."""
        try:
            if self._is_unchecked:
                value = self._adapter.dump_python(value, warnings=False, by_alias=True)
            validated = self._adapter.validate_python(value)
            # An instance may have been changed since it was validated, and a model may write what it does not read.
            self.load(self._adapter.dump_python(validated, mode="json", warnings=False, by_alias=True))
            return validated
        except self._serialization_error as error:
            raise typesystem.ValidationError(text=f"{error}.", code="invalid") from None
        except self._error as error:
            details: list[dict[str, Any]] = error.errors(include_url=False, include_input=False)  # type: ignore[attr-defined]
            raise typesystem.ValidationError(
                messages=[
                    typesystem.Message(text=f"{each['msg']}.", code=each["type"], index=[*each["loc"]])
                    for each in details
                ]
            ) from None

    def load(self, document: Any) -> Any:
        """The value of a document."""
        try:
            return self._adapter.validate_python(document)
        except self._error:
            # A strict type takes the text of a date from JSON alone.
            return self._adapter.validate_json(json.dumps(document))

    def to_builtins(self, value: Any) -> Any:
        """The document of a value."""
        return self._adapter.dump_python(value, mode="json", by_alias=True)

    def to_builtins_of_any(self, value: Any) -> Any:
        """What a document has of any value."""
        return self._to_jsonable(value)


class MsgspecCodec:
    """The conversions of a type by msgspec."""

    def __init__(self, python_type: Any) -> None:
        msgspec = import_module("msgspec")
        self.name = _name_of(python_type)
        self._type = python_type
        self._convert = msgspec.convert
        self._to_builtins = msgspec.to_builtins
        self._error: type[Exception] = msgspec.ValidationError
        try:
            msgspec.json.Decoder(python_type)
        except TypeError as error:
            raise FieldError(f"orm.JSON({self.name}): msgspec cannot convert it. {error}") from error

    def validate(self, value: Any) -> Any:
        """A value of the type. Raises `typesystem.ValidationError`."""
        try:
            return self._convert(self._to_builtins(value), self._type)
        except self._error as error:
            text, _, path = str(error).partition(" - at `$")
            index: list[Any] = [
                int(number) if number else name for number, name in re.findall(r"\[(\d+)\]|\.([^.\[\]`]+)", path)
            ]
            message = typesystem.Message(text=f"{text}.", code="invalid", index=index)
            raise typesystem.ValidationError(messages=[message]) from None

    def load(self, document: Any) -> Any:
        """The value of a document."""
        return self._convert(document, self._type)

    def to_builtins(self, value: Any) -> Any:
        """The document of a value."""
        return self._to_builtins(value)

    def to_builtins_of_any(self, value: Any) -> Any:
        """What a document has of any value."""
        return self._to_builtins(value)
