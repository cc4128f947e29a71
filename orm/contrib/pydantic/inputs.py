"""`create_model()` and `update_model()`: what an API accepts for a new row, and for a change of a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

import pydantic
from pydantic import AliasChoices, ConfigDict, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_core import ValidationError as PydanticValidationError

from orm.contrib.pydantic.classes import build_class, cached_class, label_of, options_key, selected_fields
from orm.contrib.pydantic.field_types import FieldType
from orm.fields import NO_DEFAULT, Field
from orm.fields.base import IMMUTABLE
from orm.mapping.model_info import ModelInfo
from orm.models import Model


class InputModel(pydantic.BaseModel):
    """The base of the classes of `create_model()` and `update_model()`.

    `model_dump()` leaves out what the request did not have, unless the field has a default: in an update, unset is not
    null.
    """

    model_config = ConfigDict(protected_namespaces=())

    #: The names that are left out of `model_dump()` unless they were set.
    __left_out__: ClassVar[frozenset[str]] = frozenset()
    #: The names of many-to-many relations, which a subclass may declare.
    __not_written__: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _refuse_relations(cls, document: Any) -> Any:
        """Refuse what would be lost silently: a row is created before it can have relations to several others."""
        if isinstance(document, Mapping) and not cls.__not_written__.isdisjoint(document):
            declared = set(cls.model_fields) | {info.alias for info in cls.model_fields.values()}
            refused = [name for name in document if name in cls.__not_written__ - declared]
            if refused:
                raise PydanticValidationError.from_exception_data(
                    cls.__name__, [_not_written(name) for name in refused]
                )
        return document

    @model_serializer(mode="wrap")
    def _set_values(self, handler: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def] # its JSON Schema
        values = handler(self)
        for name in self.__left_out__ - self.__pydantic_fields_set__:
            values.pop(name, None)
        return values


def _not_written(name: str) -> InitErrorDetails:
    error = PydanticCustomError("relation", "Is a relation to several rows, which this request does not write.")
    return InitErrorDetails(type=error, loc=(name,), input=None)


def create_model(
    model: type[Model], *, include: Iterable[str] | None = None, exclude: Iterable[str] = (), name: str | None = None
) -> type[InputModel]:
    """A Pydantic class of what a request gives for a new row: ``create_model(Note)``, called ``NoteCreate``.

        NoteCreate = create_model(Note)

        @app.post("/notes", status_code=201, response_model=read_model(Note))
        async def create_note(body: NoteCreate):
            return await Note.objects.create(**body.model_dump())

    It has the fields that are not read-only, with their limits, choices and defaults; a foreign key is its `<name>_id`,
    or its name. A many-to-many relation is refused, unless a subclass declares it.

    Args:
        model: The model.
        include: The names of the fields, if not all; read-only ones such as the key may be named.
        exclude: The names of fields to leave out.
        name: The name of the class, which is also that of its JSON Schema.

    Raises:
        FieldError: `model` has no table, or a name is unknown.
    """
    include, exclude = _names(include), tuple(exclude)
    key = options_key(include, exclude, name)
    return cached_class(
        model, "create_model", key, lambda info: _input_class(info, include, exclude, name, "create_model")
    )


def update_model(
    model: type[Model], *, include: Iterable[str] | None = None, exclude: Iterable[str] = (), name: str | None = None
) -> type[InputModel]:
    """A Pydantic class of what a request changes of a row, for PATCH: ``update_model(Note)``, called ``NoteUpdate``.

        NoteUpdate = update_model(Note)

        @app.patch("/notes/{id}", response_model=read_model(Note))
        async def update_note(id: int, body: NoteUpdate):
            note = await Note.objects.get(id=id)
            await note.update(**body.model_dump())
            return note

    All fields are optional, and `model_dump()` has those that the request has. Null is a value, which a field without
    `allow_null` refuses. The primary key is left out. The arguments and errors are those of `create_model()`.
    """
    include, exclude = _names(include), tuple(exclude)
    key = options_key(include, exclude, name)
    return cached_class(
        model, "update_model", key, lambda info: _input_class(info, include, exclude, name, "update_model")
    )


def replace_model(model: type[Model], created: type[pydantic.BaseModel]) -> type[pydantic.BaseModel]:
    """What a request gives for PUT: what it gives for a new row, without the primary key, which the path has.

    It is `created` itself, unless that requires the key: then a subclass of it, in which the key may be left out.
    """
    return cached_class(model, "replace_model", created, lambda info: _without_required_key(info, created))


def _without_required_key(info: ModelInfo, created: type[pydantic.BaseModel]) -> type[pydantic.BaseModel]:
    fields: dict[str, tuple[Any, Any]] = {}
    annotated: Any = Annotated
    for key in info.pk_fields:
        field = created.model_fields.get(key.attname)
        if field is not None and field.is_required():
            optional = pydantic.Field(json_schema_extra=_without_default, validation_alias=field.validation_alias)
            parts = (field.annotation, *field.metadata, optional)
            fields[key.attname] = (annotated[parts], None)
    if not fields:
        return created
    return build_class(f"{created.__name__.removesuffix('Create')}Replace", info.model, created, fields)


def _names(names: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def written_fields(info: ModelInfo, *, updating: bool, include: Iterable[str] | None = None) -> Iterator[Field[Any]]:
    """The fields that a request may write. Read-only ones are among them only if `include` names them."""
    included = set(include or ())
    for field in info.fields.values():
        if field.is_generated or (updating and field.primary_key):
            continue
        if not field.read_only or included & {field.name, field.attname}:
            yield field


def _input_class(
    info: ModelInfo, include: tuple[str, ...] | None, exclude: tuple[str, ...], name: str | None, function: str
) -> type[InputModel]:
    updating = function == "update_model"
    fields = selected_fields(info, written_fields(info, updating=updating, include=include), include, exclude, function)
    left_out = frozenset(
        field.attname for field in fields if updating or not (field.has_default() or is_required(field))
    )
    default_name = f"{info.name}{'Update' if updating else 'Create'}"
    if include is not None:
        default_name += "Of" + "".join(map(label_of, include))
    if exclude:
        default_name += "Without" + "".join(map(label_of, sorted(exclude)))
    return build_class(
        name or default_name,
        info.model,
        InputModel,
        {field.attname: (Annotated[Any, FieldType(field)], _input_field(field, updating)) for field in fields},
        {"__left_out__": left_out, "__not_written__": frozenset(info.many_to_many)},
    )


def is_required(field: Field[Any]) -> bool:
    """Whether a new row needs a value: neither Python nor the database has one."""
    return not field.has_default() and field.server_default is None and not field.read_only


def _input_field(field: Field[Any], updating: bool) -> Any:
    """The options of a field of an input class. A foreign key is taken by the name of its relation too."""
    alias = None if field.name == field.attname else AliasChoices(field.attname, field.name)
    if updating or not (field.has_default() or is_required(field)):
        return pydantic.Field(default=None, json_schema_extra=_without_default, validation_alias=alias)
    if not field.has_default():
        return pydantic.Field(validation_alias=alias)
    default = field.validator.default if field.default is NO_DEFAULT else field.default
    if callable(default) or not isinstance(default, IMMUTABLE):
        return pydantic.Field(default_factory=field.get_default, validation_alias=alias)
    return pydantic.Field(default=default, validation_alias=alias)


def _without_default(schema: dict[str, Any]) -> None:
    """Remove the default of a value that may be left out: None stands for it here, and is no default."""
    schema.pop("default", None)
