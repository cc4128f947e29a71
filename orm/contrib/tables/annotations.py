"""What an annotation of a class says: the type of a column with its limits, or a relation to another table."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, ForwardRef, Union, get_args, get_origin

#: The limits that the metadata of annotations have, and the names of our options.
LIMITS = {
    "ge": "minimum",
    "gt": "exclusive_minimum",
    "le": "maximum",
    "lt": "exclusive_maximum",
    "multiple_of": "multiple_of",
    "min_length": "min_length",
    "max_length": "max_length",
    "pattern": "pattern",
    "max_digits": "max_digits",
    "decimal_places": "decimal_places",
}


class Undeclared:
    """The base of the classes that stand for names that are not defined yet."""


@dataclass
class Attribute:
    """An attribute of a row's class.

    `types` are its types without None; `limits` are options of our fields.
    """

    name: str
    types: tuple[Any, ...]
    allow_null: bool
    limits: dict[str, Any] = field(default_factory=dict)
    alias: str | None = None
    """The name under which the class takes the value, if it is another one."""


def read_annotation(name: str, annotation: Any, owner: type, metadata: Any = (), known: Mapping[str, Any] = {}) -> Any:
    """The attribute of this annotation; None for a class variable.

    `known` are classes by name, besides those of the owner's module.
    """
    limits = dict(_limits(metadata))
    alternatives = []
    for each in _alternatives(_evaluated(annotation, owner, known), limits, owner, known):
        if each is ClassVar or get_origin(each) is ClassVar:
            return None
        alternatives.append(each)
    not_null = tuple(each for each in alternatives if each is not type(None) and each is not None)
    return Attribute(name, not_null, len(not_null) < len(alternatives), limits)


def _alternatives(annotation: Any, limits: dict[str, Any], owner: type, known: Mapping[str, Any]) -> Iterator[Any]:
    """The types of a union, with the metadata inside of it added to the limits."""
    annotation = _evaluated(annotation, owner, known)
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        limits.update(_limits(metadata))
        yield from _alternatives(inner, limits, owner, known)
    elif origin in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _alternatives(each, limits, owner, known)
    elif origin is list:
        (item,) = get_args(annotation)
        yield list[_evaluated(item, owner, known)]  # type: ignore[misc]
    else:
        yield annotation


def _limits(metadata: Any) -> Iterator[tuple[str, Any]]:
    for each in metadata:
        if isinstance(each, str):
            continue
        for name, option in LIMITS.items():
            value = getattr(each, name, None)
            if value is not None:
                yield option, value
        yield from _limits(getattr(each, "metadata", ()))
        for name in ("title", "description"):
            text = getattr(each, name, None)
            if isinstance(text, str):
                yield name, text


def _evaluated(annotation: Any, owner: type, known: Mapping[str, Any]) -> Any:
    """An annotation that is text as the type that it names; a class that is not defined yet as `Undeclared`."""
    text = annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation
    if not isinstance(text, str):
        return annotation
    module = sys.modules.get(owner.__module__)
    return eval(text, dict(vars(module)) if module else {}, _Names(owner, known, vars(module) if module else {}))


class _Names(dict[str, Any]):
    """The names that an annotation may use, besides those of its module."""

    def __init__(self, owner: type, known: Mapping[str, Any], module: Mapping[str, Any]) -> None:
        super().__init__({**known, owner.__name__: owner})
        self._module = module

    def __missing__(self, name: str) -> Any:
        builtins: Any = __builtins__
        if name in self._module or name in (builtins if isinstance(builtins, dict) else vars(builtins)):
            raise KeyError(name)
        return type(name, (Undeclared,), {})
