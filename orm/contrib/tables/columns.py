"""The field of an attribute: its type with its limits."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import uuid
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import orm.fields as fields
from orm.contrib.tables.annotations import Attribute
from orm.exceptions import FieldError

#: The maximum length of a text that is a key, unique or indexed and has no `max_length`: MySQL cannot index more.
INDEXED_LENGTH = 255
NUMBER_LIMITS = ("minimum", "exclusive_minimum", "maximum", "exclusive_maximum", "multiple_of")


def field_of(label: str, attribute: Attribute, options: dict[str, Any]) -> fields.Field[Any]:
    """The field of an attribute that is no relation. `options` are those of the table about it.

    Raises `FieldError` if the type needs limits that it does not have.
    """
    limits = attribute.limits
    common: dict[str, Any] = {key: limits[key] for key in ("title", "description") if key in limits}
    common.update(options)
    if attribute.allow_null and not options.get("primary_key"):
        common["allow_null"] = True
    if len(attribute.types) != 1:
        union: Any = attribute.types[0]
        for each in attribute.types[1:]:
            union = union | each
        return _json(union, common)
    (python_type,) = attribute.types
    if get_origin(python_type) is Literal:
        return _of_literals(get_args(python_type), common)
    if not isinstance(python_type, type) or get_origin(python_type) is not None:
        return fields.JSON(**common) if python_type is Any else _json(python_type, common)
    for base, make in MAKERS.items():
        if issubclass(python_type, base):
            return make(label, python_type, limits, common)
    if python_type.__name__ in ("AwareDatetime", "NaiveDatetime"):
        return fields.DateTime(timezone=python_type.__name__ == "AwareDatetime", **common)
    return _json(python_type, common)


def _json(python_type: Any, common: dict[str, Any]) -> fields.Field[Any]:
    if python_type in (dict, list):
        return fields.JSON(**common)
    field: fields.Field[Any] = fields.JSON(python_type, **common)
    return field


def _of_literals(values: tuple[Any, ...], common: dict[str, Any]) -> fields.Field[Any]:
    if all(isinstance(value, str) for value in values):
        return fields.String(max_length=max(map(len, values)), choices=values, trim_whitespace=False, **common)
    if all(type(value) is int for value in values):
        return fields.BigInteger(choices=values, **common)
    return _json(Literal[values], common)


def _text(label: str, python_type: type, limits: dict[str, Any], common: dict[str, Any]) -> fields.Field[Any]:
    options: dict[str, Any] = {
        "allow_blank": not limits.get("min_length"),
        "trim_whitespace": False,
        **{key: limits[key] for key in ("min_length", "pattern") if key in limits},
        **common,
    }
    length = limits.get("max_length")
    if length is None and any(common.get(key) for key in ("primary_key", "unique", "index")):
        length = INDEXED_LENGTH
    return fields.Text(**options) if length is None else fields.String(max_length=length, **options)


def _number(kind: Callable[..., fields.Field[Any]]) -> Maker:
    def make(label: str, python_type: type, limits: dict[str, Any], common: dict[str, Any]) -> fields.Field[Any]:
        return kind(**{key: limits[key] for key in NUMBER_LIMITS if key in limits}, **common)

    return make


def _decimal(label: str, python_type: type, limits: dict[str, Any], common: dict[str, Any]) -> fields.Field[Any]:
    if "max_digits" not in limits or "decimal_places" not in limits:
        raise FieldError(f"{label} is a Decimal, whose column needs Field(max_digits=…, decimal_places=…).")
    options = {key: limits[key] for key in (*NUMBER_LIMITS, "max_digits", "decimal_places") if key in limits}
    return fields.Decimal(**options, **common)


def _enum(label: str, python_type: Any, limits: dict[str, Any], common: dict[str, Any]) -> fields.Field[Any]:
    by_value = all(isinstance(member.value, str) for member in python_type)
    field: fields.Field[Any] = fields.Enum(python_type, by="value" if by_value else "name", **common)
    return field


def _plain(kind: Callable[..., fields.Field[Any]]) -> Maker:
    def make(label: str, python_type: type, limits: dict[str, Any], common: dict[str, Any]) -> fields.Field[Any]:
        return kind(**common)

    return make


def _binary(label: str, python_type: type, limits: dict[str, Any], common: dict[str, Any]) -> fields.Field[Any]:
    return fields.Binary(max_length=limits.get("max_length"), **common)


Maker = Callable[[str, Any, dict[str, Any], dict[str, Any]], fields.Field[Any]]

#: The functions that make fields, by the base of the types. A subclass comes before its base.
MAKERS: dict[type, Maker] = {
    enum.Enum: _enum,
    bool: _plain(fields.Boolean),
    int: _number(fields.BigInteger),
    float: _number(fields.Float),
    str: _text,
    decimal.Decimal: _decimal,
    bytes: _binary,
    datetime.datetime: _plain(fields.DateTime),
    datetime.date: _plain(fields.Date),
    datetime.time: _plain(fields.Time),
    datetime.timedelta: _plain(fields.Duration),
    uuid.UUID: _plain(fields.UUID),
    ipaddress.IPv4Address: _plain(fields.IPAddress),
    ipaddress.IPv6Address: _plain(fields.IPAddress),
}
