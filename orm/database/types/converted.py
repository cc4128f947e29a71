"""`Converted`: the column type of a field that is stored as another field."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from orm.database.storage import Process, Storage, StorageTypes
from orm.database.types.column_types import ORMType
from orm.utils.codegen import Inline, function_of


class Converter(Protocol):
    """What `Converted` asks for values: a field that is stored as another."""

    @property
    def conversion(self) -> str:
        """A text that is the same only for fields that convert alike."""

    def to_database(self, value: Any) -> Any:
        """The value that the column stores."""

    def database_reader(self) -> Callable[[Any], Any]:
        """A function from what the column stores to the value. It raises `DataError` for what is no value."""


class Converted(ORMType):
    """Values of a field that is stored as another field: each is converted before `base` writes or after it reads."""

    def __init__(self, base: TypeEngine[Any], converter: Converter) -> None:
        super().__init__()
        self.base = base
        self.converter = converter
        self.impl = base.impl_instance if isinstance(base, TypeDecorator) else base

    def stored_by(self, types: StorageTypes) -> Storage:
        assert isinstance(self.base, ORMType)
        storage = self.base.stored_by(types)
        return Storage(storage.sql_type, self._writer(storage.bind), self._reader(storage.result))

    def _writer(self, bind: Process | None) -> Process:
        convert, write = self.converter.to_database, function_of(bind)
        if write is None:
            return Inline("None if {v} is None else {convert}({v})", convert=convert)
        return Inline("None if {v} is None else {write}({convert}({v}))", write=write, convert=convert)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return self.base.load_dialect_impl(dialect) if isinstance(self.base, TypeDecorator) else self.base

    def result_processor(self, dialect: Dialect, coltype: object) -> Process:
        return self._reader(self.base.result_processor(dialect, coltype))

    def _reader(self, result: Process | None) -> Process:
        convert, read = self.converter.database_reader(), function_of(result)
        if read is None:
            return Inline("None if {v} is None else {convert}({v})", convert=convert)
        return Inline("None if {v} is None else {convert}({read}({v}))", read=read, convert=convert)

    @property
    def unconverted(self) -> TypeEngine[Any]:
        return self.base

    @property
    def comparison_type(self) -> ORMType:
        base = self.base.comparison_type if isinstance(self.base, ORMType) else self.base
        return Converted(base, self.converter)

    @property
    def cache_key(self) -> Hashable:
        base = self.base.cache_key if isinstance(self.base, ORMType) else repr(self.base)
        return (Converted, base, self.converter)

    def __repr__(self) -> str:
        return f"Converted({self.base!r}, {self.converter.conversion})"
