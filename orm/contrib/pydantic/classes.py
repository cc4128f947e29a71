"""What the generated Pydantic classes have in common: their fields, their names, and one class per set of options."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import pydantic

from orm.exceptions import FieldError
from orm.fields import Field
from orm.mapping.model_info import ModelInfo
from orm.models import Model

C = TypeVar("C", bound=pydantic.BaseModel)

_classes: WeakKeyDictionary[type[Model], dict[Hashable, type[pydantic.BaseModel]]] = WeakKeyDictionary()


def cached_class(
    model: type[Model], function: str, options: Hashable, build: Callable[[ModelInfo], type[C]]
) -> type[C]:
    """What a function makes of a model with these options. It is built once: the same options give the same class."""
    info = check_model(model, f"{function}()")
    classes = _classes.setdefault(info.model, {})
    key = (function, options)
    existing: Any = classes.get(key)
    if existing is None:
        existing = classes[key] = build(info)
    built: type[C] = existing
    return built


def check_model(model: Any, what: str) -> ModelInfo:
    """The description of a model with a table. Raises `FieldError` for anything else."""
    info = getattr(model, "_meta", None)
    if not isinstance(info, ModelInfo) or info.abstract:
        name = getattr(model, "__name__", type(model).__name__)
        raise FieldError(f"{what} takes a model with a table, got {name}.")
    return info


def selected_fields(
    info: ModelInfo,
    fields: Iterable[Field[Any]],
    include: Iterable[str] | None,
    exclude: Iterable[str],
    function: str,
    others: Iterable[str] = (),
) -> list[Field[Any]]:
    """Those of the fields that are included and not excluded, by the field's name or its attribute.

    `others` are names that are allowed although they are no fields. Raises `FieldError` for an unknown name.
    """
    possible = list(fields)
    known = {name for field in possible for name in (field.name, field.attname)}
    wanted = None if include is None else set(include)
    unwanted = set(exclude)
    for name in sorted((wanted or set()) | unwanted):
        if name not in known and name not in others:
            if name in info.settable:
                raise FieldError(f"{function}(): {info.name}.{name} is never written by a request: leave it out.")
            raise info.unknown(name, f"a field of {function}()")
    return [
        field
        for field in possible
        if (wanted is None or wanted & {field.name, field.attname}) and not unwanted & {field.name, field.attname}
    ]


def build_class(
    name: str,
    model: type[Model],
    base: type[C],
    fields: Mapping[str, tuple[Any, Any]],
    members: Mapping[str, Any] | None = None,
) -> type[C]:
    """A Pydantic class of these fields, pairs of annotation and `pydantic.Field`."""
    create: Any = pydantic.create_model
    with warnings.catch_warnings():
        # A field may be called `json` or `copy`, as an old method of Pydantic's classes is.
        warnings.filterwarnings("ignore", message=".*shadows an attribute in parent", category=UserWarning)
        built: type[C] = create(
            name, __base__=base, __module__=model.__module__, __doc__=model.__dict__.get("__doc__"), **fields
        )
    for attribute, value in (members or {}).items():
        setattr(built, attribute, value)
    return built


def options_key(*options: Any) -> Hashable:
    """Options as a hashable value: mappings by their items, lists by theirs."""
    return tuple(map(_hashable, options))


def _hashable(option: Any) -> Hashable:
    if isinstance(option, Mapping):
        return tuple((key, _hashable(value)) for key, value in option.items())
    if isinstance(option, (list, tuple)):
        return tuple(map(_hashable, option))
    if isinstance(option, (set, frozenset)):
        return tuple(sorted(option))
    hashable: Hashable = option
    return hashable


def label_of(name: str) -> str:
    """A name in the spelling of classes, for the names of generated ones: ``album_id`` is ``AlbumId``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
