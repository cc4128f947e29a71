"""`HStore`: a flat dict of texts (PostgreSQL's extension hstore)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, overload

import typesystem
from sqlalchemy.types import TypeEngine
from typing_extensions import Unpack

from orm.database.types import column_types
from orm.fields.base import ConversionError, Field
from orm.fields.options import FieldOptions
from orm.fields.validators import ConvertingValidator
from orm.utils.articles import with_article
from orm.utils.codegen import Inline

T = TypeVar("T")


class HStore(Field[T]):
    """A dict of texts and None: PostgreSQL's ``hstore``.

        class Dog(orm.Model):
            data = orm.HStore(default=dict)

        await Dog.objects.filter(data__breed="Labrador", data__has_key="owner")

    The database needs the extension: ``CREATE EXTENSION hstore``. Numbers and booleans are converted to text. On other
    databases creating the table raises `orm.NotSupportedError`.
    """

    family = "hstore"
    is_pageable = is_hashable = False
    accepts = "dicts of texts"

    @overload
    def __init__(
        self: HStore[dict[str, str | None]], *, allow_null: Literal[False] = ..., **options: Unpack[FieldOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: HStore[dict[str, str | None] | None], *, allow_null: Literal[True], **options: Unpack[FieldOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return ConvertingValidator(self, **options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.HStore()

    def fast_check(self) -> Inline | None:
        return None

    def convert(self, value: Any) -> dict[str, str | None]:
        if not isinstance(value, Mapping):
            raise TypeError
        return {_text(key): None if item is None else _text(item) for key, item in value.items()}


def _text(value: Any) -> str:
    if isinstance(value, (bool, int, float)):
        return str(value)
    if not isinstance(value, str):
        raise ConversionError(f"it has {with_article(type(value).__name__)}, which is no text.")
    if "\0" in value:
        raise ConversionError("it has a NUL character.")
    return value
