"""JSON documents: plain ones, and documents of a Python type."""

from __future__ import annotations

import datetime
import decimal
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import typesystem
from sqlalchemy.types import TypeEngine
from typing_extensions import TypeVar as DefaultTypeVar
from typing_extensions import Unpack

from orm.database.types import column_types
from orm.exceptions import FieldError, QueryError
from orm.fields.base import Field
from orm.fields.json_codecs import JSONCodec, PydanticCodec, codec_of
from orm.fields.json_validator import JSON_SCALARS, JSONValidator
from orm.fields.options import FieldOptions
from orm.utils.codegen import Inline

D = TypeVar("D")
T = DefaultTypeVar("T", default=Any)


class JSON(Field[T], Generic[T]):
    """A JSON value: dicts with text keys, lists, text, numbers, booleans, None (which is NULL).

    With a type, values are of that type, and are validated when they are written and when they are read:

        class Customer(orm.Model):
            address = orm.JSON(Address)
            tags = orm.JSON(list[str], default=list)

        await Customer.objects.create(address={"city": "Turin", "since": "2020-05-01"})
        (await Customer.objects.get(address__city="Turin")).address.since

    Args:
        type: A Pydantic model, a dataclass, a `TypedDict`, a `msgspec.Struct`, or a type made of these, such as
            ``list[Address]``. Pydantic or msgspec must be installed.
        mutable: Whether an `orm.Session` notices values that are changed in place: ``customer.tags.append("new")``. For
            this it keeps a copy of each value. False: only another value is a change, unless the model has
            ``track_changes``.
    """

    family = "json"
    is_text_like = True  # its text lookups compare the text of the JSON value
    is_pageable = False
    accepts = "JSON values"
    mutable: bool = True

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: JSON[Any], *, allow_null: bool = ..., mutable: bool = ..., **options: Unpack[FieldOptions]
        ) -> None: ...
        @overload
        def __init__(
            self: JSON[D],
            type: type[D],
            *,
            allow_null: Literal[False] = ...,
            mutable: bool = ...,
            **options: Unpack[FieldOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: JSON[D | None],
            type: type[D],
            *,
            allow_null: Literal[True],
            mutable: bool = ...,
            **options: Unpack[FieldOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: JSON[Any], type: Any, *, allow_null: bool = ..., **options: Unpack[FieldOptions]
        ) -> None: ...
        def __init__(self, type: Any = ..., **options: Any) -> None: ...

    else:

        def __new__(cls, type=None, **options):
            typed = () if type is None else (type,)
            return super().__new__(cls if not typed or cls is not JSON else TypedJSON, *typed, **options)

        def __init__(self, *, allow_null=False, mutable=True, **options):
            self.mutable = mutable
            super().__init__(allow_null=allow_null, **options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return JSONValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.JSON()

    def fast_check(self) -> Inline | None:
        # Choices may be lists and dicts, which are not hashable.
        return Inline("type({v}) in {scalars}", scalars=JSON_SCALARS - {type(None)}) if self.choices is None else None

    def convert(self, value: Any) -> Any:
        return JSONValidator().validate(value)

    @property
    def key_field(self) -> JSONKey:
        """The field of the values under keys of the document: ``data__owner__name``."""
        return KEY_FIELD


class JSONKey(JSON[Any]):
    """The value under a key of a JSON document."""

    def ordered_value(self, value: Any) -> Any:
        """A value of `gt`, `lte`, `range` and the like, as the document contains it."""
        return value


KEY_FIELD = JSONKey(allow_null=True)


class TypedJSON(JSON[T], stored_as=JSON()):
    """A JSON document of a Python type: what ``orm.JSON(Address)`` makes."""

    def __init__(self, type: Any, **options: Any) -> None:
        if options.get("choices") is not None:
            raise FieldError("orm.JSON of a type has no choices: the type defines the values.")
        #: The type of the documents.
        self.python_type = type
        self._codec: JSONCodec = codec_of(type)
        self.mutable = options.pop("mutable", True)
        super().__init__(**options)

    @property
    def accepts(self) -> str:  # type: ignore[override]
        """What `to_python` accepts, for its error message."""
        return f"values of {self._codec.name}, and JSON of them"

    @property
    def is_of_pydantic(self) -> bool:
        """Whether Pydantic converts the documents, not msgspec."""
        return isinstance(self._codec, PydanticCodec)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return Field.build_validator(self, **options)

    def column_type(self) -> TypeEngine[Any]:
        return Field.column_type(self)

    def fast_check(self) -> Inline | None:
        return None

    def convert(self, value: Any) -> Any:
        return self._codec.validate(value)

    def to_database(self, value: Any) -> Any:
        return self._codec.to_builtins(value)

    def from_database(self, value: Any) -> Any:
        return self._codec.load(value)

    @property
    def key_field(self) -> JSONKey:
        """The field of the values under keys, which converts dates, decimals and the like to their JSON form."""
        return TypedJSONKey(self._codec)


class TypedJSONKey(JSONKey):
    """The value under a key of a JSON document of a Python type."""

    def __init__(self, codec: JSONCodec) -> None:
        self._codec = codec
        super().__init__(allow_null=True)

    def convert(self, value: Any) -> Any:
        return super().convert(self._codec.to_builtins_of_any(value))

    def ordered_value(self, value: Any) -> Any:
        """A date, or the value of an enum's member, as the document contains it.

        Raises `QueryError` for values whose texts in the document sort in another order: decimals, datetimes, times.
        """
        if isinstance(value, (decimal.Decimal, datetime.datetime, datetime.time)):
            raise QueryError(
                f"A {type(value).__name__} is text in a JSON document, and text sorts in another order: compare it for "
                "equality, or keep it in a field of its own."
            )
        return value if value is None else self._codec.to_builtins_of_any(value)
