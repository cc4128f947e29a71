"""`OrmPlugin`: what an application with these models needs of Litestar."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from litestar.config.app import AppConfig
from litestar.dto import AbstractDTO
from litestar.openapi.spec import Schema
from litestar.plugins import InitPlugin, OpenAPISchemaPlugin, SerializationPlugin
from litestar.typing import FieldDefinition
from pydantic.fields import FieldInfo
from typesystem import Message

from orm.contrib.lifespans import lifespan
from orm.contrib.litestar.answers import exception_handlers
from orm.contrib.litestar.dependencies import in_transaction, provide
from orm.contrib.litestar.dtos import FieldValue, ModelDTO
from orm.contrib.litestar.parameters import ParameterValue, ParameterValues
from orm.contrib.litestar.schemas import schema_of
from orm.contrib.pydantic.field_types import FieldType
from orm.contrib.pydantic.inputs import InputModel
from orm.contrib.pydantic.json_schemas import json_schema
from orm.contrib.pydantic.model_types import answer
from orm.contrib.pydantic.reads import ReadModel
from orm.database.connections.database import Database
from orm.exceptions import ValidationError
from orm.models import Model
from orm.registry import ModelRegistry


class OrmPlugin(InitPlugin, OpenAPISchemaPlugin, SerializationPlugin):
    """Models in a Litestar application: ``Litestar(route_handlers=[…], plugins=[OrmPlugin(database)])``.

    - Models, and lists of them, are types of `data` and of answers, by the `ModelDTO` of their columns, and so are the
      classes of `orm.contrib.pydantic`. OpenAPI has their limits.
    - The database connects at the start of the application and disconnects at its end. With ``create_all=models``, the
      tables of that registry that do not exist are created at the start.
    - Handlers can take `database`, and `transaction`: see `in_transaction()`.
    - Errors are answers, as in `exception_handlers`. Handlers and dependencies of the application go first.
    """

    def __init__(self, database: Database, *, create_all: ModelRegistry | None = None) -> None:
        self.database = database
        self.create_all = create_all
        self._dtos: dict[type[Model], type[AbstractDTO[Any]]] = {}

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the plugin's parts to the application. Litestar calls it."""
        app_config.lifespan = [*app_config.lifespan, lifespan(self.database, create_all=self.create_all)]
        app_config.exception_handlers = {**exception_handlers, **app_config.exception_handlers}
        dependencies = {"database": provide(self.database), "transaction": in_transaction(self.database)}
        app_config.dependencies = {**dependencies, **app_config.dependencies}
        app_config.type_encoders = {Model: _encoded, ReadModel: _dumped, **(app_config.type_encoders or {})}
        app_config.plugins.append(InputDecoders(postponed=True))
        return app_config

    def supports_type(self, field_definition: FieldDefinition) -> bool:
        """Whether a type is a model, or a collection of one."""
        return _model_of(field_definition) is not None

    def create_dto_for_type(self, field_definition: FieldDefinition) -> type[AbstractDTO[Any]]:
        """The DTO of a model: all of its columns."""
        model = _model_of(field_definition)
        assert model is not None
        if model not in self._dtos:
            self._dtos[model] = ModelDTO[model]  # type: ignore[valid-type]
        return self._dtos[model]

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Whether a type is a field of a model, a parameter of a URL, or a class of `orm.contrib.pydantic`."""
        annotation = field_definition.annotation
        return _is_generated(annotation) or _is_parameter(annotation) or _field_type(field_definition) is not None

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """The JSON Schema of a field, with its limits, choices and description, or of a class of such fields."""
        annotation = field_definition.annotation
        if _is_generated(annotation):
            parts = {name: _part(name, info) for name, info in annotation.model_fields.items()}
            required = [name for name, info in annotation.model_fields.items() if info.is_required()]
            described_class: Schema = schema_creator.create_component_schema(
                field_definition, required=required, property_fields=parts, title=annotation.__name__
            )
            return described_class
        if _is_parameter(annotation):
            parameter: Schema = schema_of(annotation.described)
            return parameter
        field_type = _field_type(field_definition)
        assert field_type is not None
        described = json_schema(field_type.field, "serialization" if field_type.trusted else "validation")
        schema: Schema = schema_of(described)
        return schema


class InputDecoders(InitPlugin):
    """Reads the classes of `create_model()` and `update_model()`, before Litestar's own plugin for Pydantic would.

    That plugin puts its decoders first, and is added by a plugin, too: so this one adds itself again, behind it.
    """

    def __init__(self, *, postponed: bool) -> None:
        self.postponed = postponed

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the decoder to the application. Litestar calls it."""
        if self.postponed:
            app_config.plugins.append(InputDecoders(postponed=False))
        else:
            app_config.type_decoders = [(_is_input, _decoded), *(app_config.type_decoders or ())]
        return app_config


def _model_of(field_definition: FieldDefinition) -> type[Model] | None:
    """The model that a type is, or is a collection, a union with None, or a `DTOData` of."""
    if field_definition.is_subclass_of(Model):
        model: type[Model] = field_definition.annotation
        return None if model._meta.abstract else model
    models = {_model_of(inner) for inner in field_definition.inner_types if not inner.is_none_type}
    return models.pop() if len(models) == 1 else None


def _is_generated(annotation: Any) -> bool:
    """Whether a type is a class of `create_model()`, `update_model()` or `read_model()`."""
    return isinstance(annotation, type) and issubclass(annotation, (InputModel, ReadModel))


def _is_parameter(annotation: Any) -> bool:
    """Whether a type is that of a filter, of a page's cursor or size, or of a primary key in a path."""
    return isinstance(annotation, type) and issubclass(annotation, (ParameterValue, ParameterValues))


def _part(name: str, info: FieldInfo) -> FieldDefinition:
    annotated: Any = Annotated
    parts = (info.annotation, *info.metadata)
    return FieldDefinition.from_kwarg(annotation=annotated[parts] if info.metadata else info.annotation, name=name)


def _field_type(field_definition: FieldDefinition) -> FieldType | None:
    annotation = field_definition.annotation
    if isinstance(annotation, type) and issubclass(annotation, FieldValue):
        return annotation.field_type
    return next((each for each in field_definition.metadata if isinstance(each, FieldType)), None)


def _encoded(instance: Model) -> dict[str, Any]:
    """An instance inside of another object: its columns, and the relations that were loaded."""
    return answer(instance, json=True)


def _dumped(instance: pydantic.BaseModel) -> dict[str, Any]:
    return instance.model_dump(mode="json")


def _is_input(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, InputModel)


def _decoded(target: type[InputModel], value: Any) -> InputModel:
    """An instance of a class of `create_model()` or `update_model()`. Raises `orm.ValidationError`."""
    try:
        return target.model_validate(value)
    except pydantic.ValidationError as error:
        raise ValidationError(
            messages=[Message(text=each["msg"], code=each["type"], index=list(each["loc"])) for each in error.errors()]
        ) from None
