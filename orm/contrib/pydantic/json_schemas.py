"""The JSON Schema of a field's values."""

from __future__ import annotations

import base64
import decimal
from importlib import import_module
from typing import Any, Literal

from typesystem.fields import Field as Validator

from orm.fields import BigInteger, DateTime, Decimal, Duration, Field, Integer, SmallInteger
from orm.fields.base import NO_DEFAULT
from orm.fields.durations import format_duration
from orm.fields.json import TypedJSON
from orm.fields.ranges import RangeField
from orm.fields.structured import Array, Enum

JSONSchema = dict[str, Any]
Mode = Literal["validation", "serialization"]

TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
#: Of a datetime without a timezone, which the format "date-time" has.
LOCAL: JSONSchema = {
    "type": "string",
    "format": "date-time-local",
    "pattern": rf"^[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T{TIME}$",
}

#: The JSON Schemas of families of SQL types whose fields have no limits.
FAMILIES: dict[str, JSONSchema] = {
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    # JSON Schema's format "time" has an offset; "time-local" is in OpenAPI's registry of formats.
    "time": {"type": "string", "format": "time-local", "pattern": f"^{TIME}$"},
    "duration": {"type": "string", "format": "duration"},
    "uuid": {"type": "string", "format": "uuid"},
    "ip": {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "json": {},
    "hstore": {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
}
#: JSON Schema's names of the formats of typesystem.
FORMATS = {"email": "email", "url": "uri", "uuid": "uuid", "ipaddress": "ipv4"}
#: The JSON Schema's names of the limits of numbers.
LIMITS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusive_minimum": "exclusiveMinimum",
    "exclusive_maximum": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}


def stored_field(field: Field[Any]) -> Field[Any]:
    """The field that stores the values: of a relation the key of its target, of `stored_as` the other field."""
    field = field.underlying_field
    return field if field.storage_field is None else field.storage_field


def json_schema(field: Field[Any], mode: Mode) -> JSONSchema:
    """The JSON Schema of a field's values, with its limits, choices, title and description."""
    document = field.underlying_field
    if isinstance(document, TypedJSON) and not document.is_of_pydantic:
        schema = _of_msgspec(document.python_type)
    else:
        schema = _of_values(stored_field(field), mode)
    validator = field.validator
    if field.choices is not None:
        schema["enum"] = [to_json(field, value) for value, _ in field.choices]
    if field.allow_null:
        schema = {"anyOf": [schema, {"type": "null"}]} if schema else {}
    if validator.title:
        schema["title"] = validator.title
    if validator.description:
        schema["description"] = validator.description
    return schema


def _of_values(field: Field[Any], mode: Mode) -> JSONSchema:
    """The JSON Schema of a field's values that are not null."""
    validator = field.validator
    if isinstance(field, Enum):
        return {"enum": [field.to_json(member) for member in field.enum]}
    if isinstance(field, Array):
        schema: JSONSchema = {"type": "array", "items": json_schema(field.field, mode)}
        options = {"min_items": "minItems", "max_items": "maxItems"}
        schema.update(_options(validator, options))
        if getattr(validator, "unique_items", False):
            schema["uniqueItems"] = True
        return schema
    if isinstance(field, RangeField):
        bound = {"anyOf": [_of_values(field.base_field, mode), {"type": "null"}]}
        bounds = {"enum": ["[)", "[]", "()", "(]"]}
        properties = {"lower": bound, "upper": bound, "bounds": bounds, "empty": {"type": "boolean"}}
        return {"type": "object", "properties": properties, "additionalProperties": False}
    if field.family == "text":
        return _of_text(validator)
    if field.is_number:
        limits = _options(validator, LIMITS)
        if field.family == "integer":
            return {"type": "integer", **(_integer_limits(field, limits) if mode == "validation" else limits)}
        if field.family == "decimal":
            # A JSON number may have lost digits, so the text of a decimal is answered, and accepted too.
            return {"type": "string"} if mode == "serialization" else _number_or_text(field, limits)
        return {"type": "number", **limits}
    return dict(LOCAL if isinstance(field, DateTime) and not field.timezone else FAMILIES.get(field.family, {}))


def _of_msgspec(python_type: Any) -> JSONSchema:
    """The JSON Schema that msgspec makes of a type, with its definitions in their places; a recursive one is open."""
    schema: JSONSchema = import_module("msgspec").json.schema(python_type)
    definitions = schema.pop("$defs", {})
    inlined: JSONSchema = _inlined(schema, definitions, ())
    return inlined


def _inlined(part: Any, definitions: dict[str, Any], above: tuple[str, ...]) -> Any:
    if isinstance(part, list):
        return [_inlined(each, definitions, above) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return {} if name in above else _inlined(definitions[name], definitions, (*above, name))
    return {key: _inlined(value, definitions, above) for key, value in part.items()}


def _of_text(validator: Any) -> JSONSchema:
    schema: JSONSchema = {"type": "string"}
    min_length = max(validator.min_length or 0, 0 if validator.allow_blank or validator.allow_null else 1)
    if min_length:
        schema["minLength"] = min_length
    if validator.max_length is not None:
        schema["maxLength"] = validator.max_length
    if validator.pattern_regex is not None:
        # JSON Schema's expressions are those of JavaScript, which has no \A and \Z.
        schema["pattern"] = validator.pattern_regex.pattern.replace(r"\A", "^").replace(r"\Z", "$")
    if validator.format in FORMATS:
        schema["format"] = FORMATS[validator.format]
    return schema


def _number_or_text(field: Field[Any], limits: JSONSchema) -> JSONSchema:
    """The JSON Schema of a decimal, which is accepted as a number and as text of at most the column's digits."""
    digits, decimals = getattr(field, "max_digits", None), getattr(field, "decimal_places", None)
    smallest: Any = limits.get("minimum", limits.get("exclusiveMinimum", -1))
    sign = "-?" if smallest < 0 else ""
    whole = "+" if digits is None or decimals is None else f"{{1,{max(digits - decimals, 1)}}}"
    fraction = "" if decimals == 0 else r"(\.[0-9]+)?" if decimals is None else rf"(\.[0-9]{{1,{decimals}}})?"
    return {"anyOf": [{"type": "number", **limits}, {"type": "string", "pattern": f"^{sign}[0-9]{whole}{fraction}$"}]}


def _options(validator: Validator, names: dict[str, str]) -> JSONSchema:
    options = {name: getattr(validator, option, None) for option, name in names.items()}
    return {name: _number(value) for name, value in options.items() if value is not None}


def _number(value: Any) -> int | float:
    return value if isinstance(value, int) else float(value)


def integer_range(field: Field[Any]) -> tuple[int, int] | None:
    """The smallest and the largest integer that the field's column holds; None for a field of another type."""
    for kind, bits in ((SmallInteger, 15), (BigInteger, 63), (Integer, 31)):
        if isinstance(field, kind):
            return -(2**bits), 2**bits - 1
    return None


def _integer_limits(field: Field[Any], limits: JSONSchema) -> JSONSchema:
    smallest, largest = integer_range(field) or (None, None)
    if smallest is not None and "minimum" not in limits and "exclusiveMinimum" not in limits:
        limits["minimum"] = smallest
    if largest is not None and "maximum" not in limits and "exclusiveMaximum" not in limits:
        limits["maximum"] = largest
    return limits


def to_json(field: Field[Any], value: Any) -> Any:
    """A value (not None) as the JSON of an API has it: durations in ISO 8601, the rest as in `as_dicts()`."""
    field = field.underlying_field
    if isinstance(field, Duration):
        return format_duration(value)
    if isinstance(field, Decimal) and field.decimal_places is not None and isinstance(value, decimal.Decimal):
        # As the column stores it, also before it was read back: validated values have no more decimal places.
        return f"{value:.{field.decimal_places}f}"
    return field.to_json(value)


def from_json(field: Field[Any], value: Any) -> Any:
    """What the validator takes for a value of a JSON document: bytes for base64, the rest unchanged."""
    if isinstance(value, str) and stored_field(field).family == "binary":
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            return value
    return value


def json_default(field: Field[Any]) -> Any:
    """The default as JSON has it; `NO_DEFAULT` if there is none, or if a function makes it."""
    default = field.default
    if default is NO_DEFAULT and field.has_default():
        default = field.get_default()
    if default is NO_DEFAULT or callable(default):
        return NO_DEFAULT
    return None if default is None else to_json(field, default)
