"""`ModelDTO`: what of a model is accepted in a body, and what is answered."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

import msgspec
from litestar.dto import AbstractDTO, DTOData, DTOField, Mark
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.enums import RequestEncodingType
from litestar.serialization import decode_json, decode_msgpack
from litestar.types import Empty
from litestar.typing import FieldDefinition
from typesystem import Message

from orm.contrib.litestar.values import AnyValue
from orm.contrib.loaded_relations import required_relation
from orm.contrib.pydantic.classes import check_model
from orm.contrib.pydantic.field_types import FieldType, validated
from orm.contrib.pydantic.inputs import is_required, written_fields
from orm.contrib.pydantic.json_schemas import json_default, to_json
from orm.contrib.pydantic.reads import may_be_missing
from orm.exceptions import ValidationError
from orm.fields import NO_DEFAULT, Field
from orm.models import Model
from orm.relations import Relation

T = TypeVar("T", bound="Model | Collection[Model]")

_accepting: ContextVar[bool] = ContextVar("_accepting", default=False)
"""Whether the DTO that is being built is for a request body, not for a response."""


class FieldValue(metaclass=AnyValue):
    """A type for each field of a model, in the signatures of Litestar: the plugin describes it in OpenAPI."""

    field_type: FieldType


class ModelDTO(AbstractDTO[T], Generic[T]):
    """The columns of a model in a body and in an answer: ``ModelDTO[Note]``, or with a configuration.

        PublicNote = ModelDTO[Annotated[Note, DTOConfig(exclude={"secret"})]]

        @get("/notes/{id:int}", return_dto=PublicNote)
        async def read_note(id: int) -> Note: ...

    Values of a body are validated by the fields, with the messages of `save()`. What the database makes is never read
    from a body; with ``partial=True`` the primary key is not, either. A foreign key is its `<name>_id`. A relation is
    answered if the configuration includes it, or one of its fields: ``include={"title", "album.name"}``. It must have
    been loaded: otherwise `NotLoaded` names the method of the query that loads it.
    """

    @staticmethod
    def attribute_accessor(source: object, name: str) -> Any:
        """A value for an answer, as JSON has it. Raises `NotLoaded`."""
        if not isinstance(source, Model):
            return getattr(source, name)
        info = source._meta
        relation = info.accessors.get(name)
        if relation is not None:
            return required_relation(source, relation)
        value = getattr(source, name)
        field = _fields_by_attribute(source).get(name)
        return value if value is None or field is None else to_json(field, value)

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Make what converts the bodies or the answers of a handler. Litestar calls it."""
        token = _accepting.set(field_definition.name == "data")
        try:
            super().create_for_field_definition(field_definition, handler_id, backend_cls)
        finally:
            _accepting.reset(token)

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:
        """The columns, and the relations that are included. Raises `FieldError` for an abstract model."""
        info = check_model(model_type, cls.__name__)
        info.registry.build_tables()  # so that reverse relations of models that were declared later are known
        accepting = _accepting.get()
        written = {field.attname for field in written_fields(info, updating=cls.config.partial)}
        for field in info.fields.values():
            mark = None if field.attname in written else Mark.READ_ONLY
            field_type = FieldType(field, trusted=not accepting)
            annotation = AnyValue(field.attname, (FieldValue,), {"field_type": field_type})
            default, factory = _default(field) if accepting else (Empty, None)
            yield _definition(field.attname, annotation, info.name, mark, default, factory)
        included = {part for path in cls.config.include for part in path.split(".")}
        for accessor, relation in info.accessors.items():
            if accessor in included:
                yield _definition(accessor, _annotation(relation), info.name, Mark.READ_ONLY)

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Whether the field is a relation."""
        return field_definition.is_subclass_of(Model)

    def decode_builtins(self, value: Any) -> Any:
        """What a handler gets for the values of a form. Raises `orm.ValidationError`."""
        return self._data(value)

    def decode_bytes(self, value: bytes) -> Any:
        """What a handler gets for a body of JSON or MessagePack. Raises `orm.ValidationError`."""
        content_type = getattr(self.asgi_connection, "content_type", ("",))[0]
        document = decode_msgpack(value) if content_type == RequestEncodingType.MESSAGEPACK else decode_json(value)
        return self._data(document)

    def _data(self, document: Any) -> Any:
        backend = self._dto_backends[self.asgi_connection.route_handler.handler_id]["data_backend"]
        messages: list[Message] = []
        model: Any = backend.model_type
        if backend.dto_data_type is not None:
            values = self._values(document, backend.transfer_model_type, model, messages, [])
            data: Any = DTOData(backend=backend, data_as_builtins=values)
        elif backend.field_definition.is_non_string_collection:
            if not isinstance(document, list):
                raise ValidationError(messages=[Message(text="Must be an array.", code="type")])
            rows = [
                self._values(each, backend.transfer_model_type, model, messages, [number])
                for number, each in enumerate(document)
            ]
            data = [] if messages else backend.field_definition.instantiable_origin(model(**row) for row in rows)
        else:
            values = self._values(document, backend.transfer_model_type, model, messages, [])
            data = None if messages else model(**values)
        if messages:
            raise ValidationError(messages=messages)
        return data

    @staticmethod
    def _values(
        document: Any,
        accepted: type[msgspec.Struct],
        model: type[Model],
        messages: list[Message],
        path: list[int | str],
    ) -> dict[str, Any]:
        """The validated values of an object of a body, by attribute. What is wrong is added to `messages`."""
        values: dict[str, Any] = {}
        if not isinstance(document, Mapping):
            messages.append(Message(text="Must be an object.", code="type", index=[*path]))
            return values
        fields = {field.attname: field for field in model._meta.fields.values()}
        for part in msgspec.structs.fields(accepted):
            name = part.encode_name
            if name not in document:
                if part.required:
                    messages.append(Message(text="This field is required.", code="required", index=[*path, name]))
                continue
            try:
                values[part.name] = validated(fields[part.name], document[name])
            except ValidationError as error:
                messages += [_below(each, [*path, name]) for each in error.messages()]
        if accepted.__struct_config__.forbid_unknown_fields:
            known = {part.encode_name for part in msgspec.structs.fields(accepted)}
            messages += [
                Message(text="Is not a field that this request accepts.", code="unknown", index=[*path, str(name)])
                for name in document
                if name not in known
            ]
        return values


def _below(message: Any, path: list[int | str]) -> Message:
    """A message about a part of the value at a path."""
    return Message(text=message.text, code=message.code, index=[*path, *message.index])


def _fields_by_attribute(instance: Model) -> dict[str, Field[Any]]:
    return {field.attname: field for field in instance._meta.fields.values()}


def _default(field: Field[Any]) -> tuple[Any, Any]:
    """The default and the default factory of a field that a body may leave out; `Empty` if it is required."""
    default = json_default(field)
    if default is not NO_DEFAULT:
        return default, None
    return (Empty, None) if is_required(field) else (Empty, _nothing)


def _nothing() -> None:
    """The default that OpenAPI does not show: the database or a function makes the value."""


def _annotation(relation: Relation) -> Any:
    target: Any = relation.target
    if relation.many:
        return list[target]
    return target | None if may_be_missing(relation) else target


def _definition(
    name: str, annotation: Any, model_name: str, mark: Mark | None, default: Any = Empty, factory: Any = None
) -> DTOFieldDefinition:
    return DTOFieldDefinition.from_field_definition(
        FieldDefinition.from_kwarg(annotation=annotation, name=name, default=default),
        model_name=model_name,
        default_factory=factory,
        dto_field=DTOField(mark),
        passthrough_constraints=False,
    )
