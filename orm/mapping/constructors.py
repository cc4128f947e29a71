"""Constructors: generated functions, one per model, that fill a new instance from keyword arguments.

Each name is a parameter, and each value is assigned as an attribute, so that the interpreter creates no dict: neither
of the arguments nor of the attributes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from orm.exceptions import FieldError
from orm.fields import NO_DEFAULT, Field
from orm.fields.base import IMMUTABLE
from orm.utils.codegen import generate

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

Constructor = Callable[..., None]


def constructor_of(info: ModelInfo) -> Constructor:
    """Generate a function that takes a new instance and the values of its fields, and fills in defaults.

    As in Django, a name may be that of a property with a setter, which is called when the fields are set. The function
    raises `FieldError` for an unknown name.
    """
    # The names that the code adds begin with an underscore; those of fields do not.
    scope: dict[str, Any] = {
        "_missing": object(),
        "_check_properties": partial(_check_properties, info),
        "_set_properties": _set_properties,
        "_set_pk": info.set_pk,
    }
    names = list(dict.fromkeys([*info.fields, *info.by_attname, *info.composed]))
    lines = [
        "_self.__dict__['_persisted'] = False",
        "if _others: _check_properties(_others)",
    ]
    if info.model.__setattr__ is object.__setattr__:
        lines[0] = "_self._persisted = False"
    defaults: list[str] = []
    for position, field in enumerate(info.fields.values()):
        if not field.has_default():
            continue
        default, name = _default(field, position, scope), field.attname
        if field is info.discriminator:
            scope["_check_kind"] = _kind_check(info)
            lines.append(f"if {field.name} is not _missing: _check_kind({field.name})")
        if _is_plain_attribute(info, field):
            lines.append(f"_self.{name} = {default} if {name} is _missing else {name}")
            names.remove(name)
        else:
            absent = " and ".join(f"{name!r} not in _attributes" for name in dict.fromkeys([field.name, name]))
            defaults.append(f"if {absent}: _attributes[{name!r}] = {default}")
    lines += [f"if {name} is not _missing: _self.{name} = {name}" for name in names]
    lines += [f"if {name} is not _missing: _self.{field} = {name}" for name, field in info.aliases.items()]
    lines.append("if pk is not _missing: _set_pk(_self, pk)")  # it overrides the key's fields, as in Django
    if defaults:
        lines += ["_attributes = _self.__dict__", *defaults]
    lines.append("if _others: _set_properties(_self, _others)")
    arguments = dict.fromkeys([*info.fields, *info.settable, *info.aliases, "pk"])
    parameters = ", ".join(f"{name}=_missing" for name in arguments)
    body = "".join(f"\n    {line}" for line in lines)
    source = f"def __init__(_self, /, *, {parameters}, **_others):{body}"
    constructor: Constructor = generate(f"constructor of {info.name}", source, scope)["__init__"]
    constructor.__module__, constructor.__qualname__ = info.model.__module__, f"{info.model.__qualname__}.__init__"
    return constructor


def _check_properties(info: ModelInfo, names: Iterable[str]) -> None:
    """Raise `FieldError` for a name that is no property of the model that can be set."""
    for name in names:
        descriptor = inspect.getattr_static(info.model, name, None)
        if not isinstance(descriptor, property) or descriptor.fset is None:
            raise info.unknown(name, "an argument")


def _set_properties(instance: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(instance, name, value)


def _kind_check(info: ModelInfo) -> Callable[[Any], None]:
    """A function that refuses the discriminator of another class."""

    def check(value: Any) -> None:
        if value != info.kind:
            assert info.discriminator is not None
            raise FieldError(
                f"{info.name}.{info.discriminator.name} is {info.kind!r}, which tells its rows apart from "
                "those of other models. Leave it out, or create an instance of another class."
            )

    return check


def _default(field: Field[Any], position: int, scope: dict[str, Any]) -> str:
    """The code of a field's default: a shared object, or a call."""
    default = field.validator.default if field.default is NO_DEFAULT else field.default
    shared = isinstance(default, IMMUTABLE)
    scope[f"_default{position}"] = default if shared or callable(field.default) else field.get_default
    return f"_default{position}" if shared else f"_default{position}()"


def _is_plain_attribute(info: ModelInfo, field: Field[Any]) -> bool:
    """Whether the argument alone sets the field, without a descriptor and without other arguments."""
    if field.primary_key or field.attname != field.name or info.composed:
        return False
    descriptor = type(inspect.getattr_static(info.model, field.name, None))
    return info.model.__setattr__ is object.__setattr__ and not hasattr(descriptor, "__set__")
