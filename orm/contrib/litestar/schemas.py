"""JSON Schema as Litestar has it in OpenAPI: objects, whose attributes have other names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from litestar.openapi.spec import OpenAPIType, Schema

#: The attributes of `Schema` by the names of JSON Schema.
ATTRIBUTES = {
    each.metadata.get(
        "alias", "".join([*each.name.split("_")[:1], *map(str.title, each.name.split("_")[1:])])
    ): each.name
    for each in fields(Schema)
}
LISTS = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})
SCHEMAS = frozenset({"items", "not", "additionalProperties", "contains", "propertyNames"})
MAPPINGS = frozenset({"properties", "patternProperties"})


def schema_of(described: Mapping[str, Any] | bool) -> Any:
    """The object of a JSON Schema that has no references."""
    if isinstance(described, bool):
        return described
    values = {ATTRIBUTES[key]: _value(key, value) for key, value in described.items() if key in ATTRIBUTES}
    return Schema(**values)


def _value(key: str, value: Any) -> Any:
    if key in LISTS:
        return [schema_of(each) for each in value]
    if key in SCHEMAS:
        return schema_of(value)
    if key in MAPPINGS:
        return {name: schema_of(each) for name, each in value.items()}
    if key == "type":
        return OpenAPIType(value) if isinstance(value, str) else [OpenAPIType(each) for each in value]
    return value
