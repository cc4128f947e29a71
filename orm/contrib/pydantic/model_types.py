"""Models as types of Pydantic's own: ``TypeAdapter(Note)``, ``response_model=Note``, `Note` in a body.

`Model.__get_pydantic_core_schema__` and `Model.__get_pydantic_json_schema__` call this module, which imports Pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from functools import partial
from inspect import cleandoc
from typing import Any

import pydantic
from pydantic import GetJsonSchemaHandler, SerializationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, SchemaSerializer, core_schema
from typesystem import Message, ValidationError

from orm.contrib.loaded_relations import NOT_THERE, loaded_relation, unloaded
from orm.contrib.pydantic.classes import check_model
from orm.contrib.pydantic.field_types import pydantic_error, validated
from orm.contrib.pydantic.inputs import is_required, written_fields
from orm.contrib.pydantic.json_schemas import json_default, json_schema, to_json
from orm.contrib.pydantic.reads import may_be_missing
from orm.fields import NO_DEFAULT, Field
from orm.fields.json import TypedJSON
from orm.mapping.model_info import ModelInfo
from orm.models import Model
from orm.relations import Relation

#: On an instance that was made of a request's body, so that no query can have brought its relations.
OF_INPUT = "_of_input"

#: What applies ``include=`` and ``exclude=`` to the values of an answer.
ANY = SchemaSerializer(core_schema.any_schema())

_described: ContextVar[tuple[type[Model], ...]] = ContextVar("_described", default=())
"""The models whose JSON Schema is being built, in the order in which relations lead to them."""


def core_schema_of(model: type[Model]) -> CoreSchema:
    """The schema with which Pydantic validates and serializes instances. Raises `FieldError` for an abstract model."""
    info = check_model(model, "Pydantic")

    def validate(value: Any) -> Any:
        return value if isinstance(value, model) else instance_of(info, value)

    def serialize(value: Any, details: SerializationInfo) -> Any:
        return _serialized(value, details, whole=True) if isinstance(value, Model) else value

    return core_schema.no_info_plain_validator_function(
        validate,
        ref=_ref(model),
        serialization=core_schema.plain_serializer_function_ser_schema(serialize, info_arg=True),
    )


def _serialized(instance: Model, details: SerializationInfo, *, whole: bool) -> Any:
    values = answer(instance, json=details.mode == "json", nulls=not details.exclude_none, whole=whole)
    chosen: dict[str, Any] = {"include": details.include, "exclude": details.exclude}
    return ANY.to_python(values, **chosen)


def _serialize_loaded(instance: Model, details: SerializationInfo) -> Any:
    return _serialized(instance, details, whole=False)


#: Writes what was loaded of an instance of any model, where no type says what it is: in ``dict[str, Any]``.
UNTYPED = SchemaSerializer(
    core_schema.any_schema(
        serialization=core_schema.plain_serializer_function_ser_schema(_serialize_loaded, info_arg=True)
    )
)


def _ref(model: type[Model]) -> str:
    """Pydantic's name for the schema of a model, of which it makes the one in ``$defs``."""
    return f"{model.__module__}.{model.__qualname__}:{id(model)}"


def json_schema_of(model: type[Model], handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """The JSON Schema of what is accepted for a new row, or of what is answered."""
    info = model._meta
    accepting = handler.mode == "validation"
    fields = [*(written_fields(info, updating=False) if accepting else info.fields.values())]
    properties = {field.attname: _property(field, handler) for field in fields}
    required = [field.attname for field in fields if not accepting or is_required(field)]
    if not accepting:
        info.registry.build_tables()  # so that reverse relations of models that were declared later are known
        for accessor, relation in info.accessors.items():
            schema = _reference(model, relation.target, handler)
            if relation.many:
                properties[accessor] = {"type": "array", "items": schema}
            else:
                properties[accessor] = {"anyOf": [schema, {"type": "null"}]} if may_be_missing(relation) else schema
    described: JsonSchemaValue = {"title": info.name, "type": "object", "properties": properties}
    if required:
        described["required"] = required
    documentation = model.__dict__.get("__doc__")
    if documentation:
        described["description"] = cleandoc(documentation)
    return described


def _property(field: Field[Any], handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    schema = {"title": field.attname.replace("_", " ").title(), **json_schema(field, handler.mode)}
    if isinstance(field, TypedJSON) and field.is_of_pydantic:
        inner = _described_by(pydantic.TypeAdapter(field.python_type).core_schema, handler)
        schema = {"anyOf": [inner, {"type": "null"}]} if field.allow_null else inner
    if handler.mode == "validation":
        default = json_default(field)
        if default is not NO_DEFAULT:
            schema["default"] = default
    return schema


def _reference(model: type[Model], target: type[Model], handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """The reference to the JSON Schema of a relation's model, which is built unless that is under way."""
    above = (*_described.get(), model)
    if target in above:
        return handler(core_schema.definition_reference_schema(_ref(target)))
    token = _described.set(above)
    try:
        return _described_by(pydantic.TypeAdapter(target).core_schema, handler)
    finally:
        _described.reset(token)


def _described_by(schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """The JSON Schema of another type. A handler calls a type's own functions only if another type contains it."""
    items: JsonSchemaValue = handler(core_schema.list_schema(schema))["items"]
    return items


# Input


def instance_of(info: ModelInfo, value: Any) -> Model:
    """A new instance of the values of a request. Read-only fields and unknown names are ignored.

    Raises Pydantic's `ValidationError` with our messages, all at once.
    """
    if not isinstance(value, Mapping):
        raise pydantic_error(info.name, [Message(text="Must be an object.", code="type")], value)
    values: dict[str, Any] = {}
    messages: list[Message] = []
    for field in written_fields(info, updating=False):
        name = field.attname if field.attname in value else field.name
        if name not in value:
            if is_required(field):
                messages.append(Message(text="This field is required.", code="required", index=[field.attname]))
            continue
        try:
            values[field.name] = validated(field, value[name])
        except ValidationError as error:
            messages += error.messages(add_prefix=name)
    if messages:
        raise pydantic_error(info.name, messages, value)
    instance = info.model(**values)
    instance.__dict__[OF_INPUT] = True
    return instance


# Output


def answer(
    instance: Model,
    *,
    json: bool,
    nulls: bool = True,
    whole: bool = True,
    through: Relation | None = None,
    above: tuple[Model, ...] = (),
) -> dict[str, Any]:
    """The values of an instance, and the relations that were loaded, without those that lead back.

    A query's row must have the relations whose key it holds, unless it is itself a row of a relation. Without `nulls`,
    null is left out; without `whole`, what was not loaded.

    Raises:
        NotLoaded: A field or such a relation was not loaded.
    """
    info = instance._meta
    values: dict[str, Any] = {}
    for field in info.fields.values():
        name = field.attname
        if name not in instance.__dict__ and not (whole and instance._persisted):
            continue  # The database has not made it yet, or it was not loaded.
        value = getattr(instance, name)
        if value is not None or nulls:
            values[name] = to_json(field, value) if json and value is not None else value
    forward = {relation.name for relation in info.forward}
    nested = partial(answer, json=json, nulls=nulls, whole=whole, above=(*above, instance))
    for accessor, relation in info.accessors.items():
        if through is not None and _is_reverse(relation, through):
            continue
        related = loaded_relation(instance, relation)
        if related is NOT_THERE:
            if whole and accessor in forward and not above and OF_INPUT not in instance.__dict__:
                raise unloaded(instance, relation)
        elif related is None:
            if nulls:
                values[accessor] = None
        elif relation.many:
            values[accessor] = [nested(row, through=relation) for row in related]
        elif not any(related is each for each in above):
            values[accessor] = nested(related, through=relation)
    return values


def _is_reverse(relation: Relation, other: Relation) -> bool:
    """Whether two relations are the two sides of one."""
    return relation is not other and getattr(relation, "relation", relation) is getattr(other, "relation", other)
