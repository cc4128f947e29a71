"""Row classes: Pydantic models, dataclasses and msgspec structs, each behind the same methods."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from orm.contrib.tables.annotations import Attribute, read_annotation
from orm.exceptions import FieldError, NotLoaded


def unloaded(owner: type, relation: str) -> NotLoaded:
    """The error for a relation of a row that was not loaded."""
    name = owner.__name__
    return NotLoaded(
        f"{name}.{relation} was not loaded, and relations are not loaded implicitly. Have the query bring it: "
        f"load=[selectinload({relation!r})]; or load it: `await models[{name}].load({name.lower()}, {relation!r})`."
    )


class UnloadedAttribute:
    """The class attribute of a relation: reading it on a row for which it was not loaded raises `NotLoaded`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        raise unloaded(owner, self.name)


class Unloaded:
    """The value of a dataclass's relation that was not loaded. All but printing it raises `NotLoaded`.

    A missing attribute would make the dataclass's own `repr()` and comparisons fail.
    """

    __slots__ = ("_name", "_owner")

    def __init__(self, owner: type, name: str) -> None:
        self._owner = owner
        self._name = name

    def __repr__(self) -> str:
        return "<not loaded>"

    def __deepcopy__(self, memo: Any) -> Unloaded:
        return self

    def _refuse(self, *arguments: Any) -> Any:
        raise unloaded(self._owner, self._name)

    __getattr__ = __iter__ = __len__ = __bool__ = __getitem__ = __contains__ = _refuse


class RowClass:
    """A class whose instances are rows."""

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def attributes(self, known: Mapping[str, Any]) -> list[Attribute]:
        """The attributes of rows. `known` are other row classes, by name."""
        raise NotImplementedError

    def build(self, values: dict[str, Any], unloaded: set[str]) -> Any:
        """A row of these values. The attributes in `unloaded`, whose values only fill the place, are removed again."""
        row = self.cls(**values)
        for name in unloaded:
            self.remove(row, name)
        return row

    def blank(self) -> Any:
        """A row that fills the place of another one that is not there yet."""
        return object.__new__(self.cls)

    def assign(self, row: Any, name: str, value: Any) -> None:
        """Set an attribute, of a frozen row too."""
        object.__setattr__(row, name, value)

    def remove(self, row: Any, name: str) -> None:
        """Remove an attribute."""
        object.__delattr__(row, name)

    def get(self, row: Any, name: str) -> Any:
        """The value of an attribute. Raises AttributeError if it was removed."""
        return row.__dict__[name] if name in getattr(row, "__dict__", ()) else object.__getattribute__(row, name)

    def mark_relations(self, names: set[str]) -> None:
        """Make the reading of relations that were not loaded raise `NotLoaded`."""
        for name in names:
            setattr(self.cls, name, UnloadedAttribute(name))


class PydanticRows(RowClass):
    """A Pydantic model."""

    def attributes(self, known: Mapping[str, Any]) -> list[Attribute]:
        cls: Any = self.cls
        attributes = []
        for name, info in cls.model_fields.items():
            attribute = read_annotation(name, info.annotation, cls, (info, *info.metadata), known)
            alias = info.validation_alias or info.alias
            attribute.alias = alias if isinstance(alias, str) else None
            attributes.append(attribute)
        return attributes

    def build(self, values: dict[str, Any], unloaded: set[str]) -> Any:
        cls: Any = self.cls
        row = cls.model_validate(values)
        for name in unloaded:
            self.remove(row, name)
        return row

    def complete(self, known: Mapping[str, Any]) -> None:
        """Define what the class could not, because it refers to classes that are declared after it."""
        cls: Any = self.cls
        if not cls.__pydantic_complete__:
            cls.model_rebuild(raise_errors=False, _types_namespace={**known})

    def blank(self) -> Any:
        cls: Any = self.cls
        return cls.model_construct()

    def assign(self, row: Any, name: str, value: Any) -> None:
        row.__dict__[name] = value
        row.__pydantic_fields_set__.add(name)

    def remove(self, row: Any, name: str) -> None:
        row.__dict__.pop(name, None)
        row.__pydantic_fields_set__.discard(name)

    def get(self, row: Any, name: str) -> Any:
        if name not in row.__dict__:
            raise AttributeError(name)
        return row.__dict__[name]


class DataclassRows(RowClass):
    """A dataclass."""

    def attributes(self, known: Mapping[str, Any]) -> list[Attribute]:
        annotations = _annotations_of(self.cls)
        matching = [
            read_annotation(each.name, annotations.get(each.name, each.type), self.cls, (), known)
            for each in dataclasses.fields(self.cls)
        ]
        return [attribute for attribute in matching if attribute is not None]

    def build(self, values: dict[str, Any], unloaded: set[str]) -> Any:
        initial = {each.name for each in dataclasses.fields(self.cls) if each.init}
        row = self.cls(**{name: value for name, value in values.items() if name in initial})
        for name, value in values.items():
            if name not in initial:
                self.assign(row, name, value)
        for name in unloaded:
            self.remove(row, name)
        return row

    def remove(self, row: Any, name: str) -> None:
        self.assign(row, name, Unloaded(self.cls, name))

    def get(self, row: Any, name: str) -> Any:
        value = getattr(row, name)
        if type(value) is Unloaded:
            raise AttributeError(name)
        return value

    def mark_relations(self, names: set[str]) -> None:
        """The attributes of rows have an `Unloaded` instead: see there."""


class StructRows(RowClass):
    """A msgspec struct. A relation that was not loaded is `msgspec.UNSET`, which is never encoded."""

    def __init__(self, cls: type) -> None:
        super().__init__(cls)
        self._msgspec = import_module("msgspec")

    def attributes(self, known: Mapping[str, Any]) -> list[Attribute]:
        annotations = _annotations_of(self.cls)
        names: tuple[str, ...] = self.cls.__struct_fields__  # type: ignore[attr-defined]
        return [read_annotation(name, annotations[name], self.cls, (), known) for name in names]

    def blank(self) -> Any:
        return self._msgspec.UNSET

    def assign(self, row: Any, name: str, value: Any) -> None:
        self._msgspec.structs.force_setattr(row, name, value)

    def remove(self, row: Any, name: str) -> None:
        self.assign(row, name, self._msgspec.UNSET)

    def get(self, row: Any, name: str) -> Any:
        value = getattr(row, name)
        if value is self._msgspec.UNSET:
            raise AttributeError(name)
        return value

    def mark_relations(self, names: set[str]) -> None:
        """Attributes of structs are slots."""


def _annotations_of(cls: type) -> dict[str, Any]:
    """The annotations of a class and its bases; names that are not defined yet stay references."""
    annotations: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if sys.version_info >= (3, 14):
            annotationlib: Any = import_module("annotationlib")
            annotated = annotationlib.get_annotations(base, format=annotationlib.Format.FORWARDREF)
        else:
            annotated = inspect.get_annotations(base)
        annotations.update(annotated)
    return annotations


def row_class_of(cls: Any) -> RowClass:
    """The row class of a class. Raises `FieldError` for a class that is none of the three kinds."""
    for kind, module, name in ((PydanticRows, "pydantic", "BaseModel"), (StructRows, "msgspec", "Struct")):
        mro = cls.__mro__ if isinstance(cls, type) else ()
        if any(base.__name__ == name and base.__module__.partition(".")[0] == module for base in mro):
            return kind(cls)
    if isinstance(cls, type) and dataclasses.is_dataclass(cls):
        return DataclassRows(cls)
    name = getattr(cls, "__name__", type(cls).__name__)
    raise FieldError(f"A table is declared by a Pydantic model, a dataclass or a msgspec.Struct, and {name} is none.")
