"""`read_model()`: what an API answers for a row, with the relations that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import pydantic
from pydantic import ConfigDict, model_validator

from orm.contrib.loaded_relations import required_relation
from orm.contrib.pydantic.classes import build_class, cached_class, label_of, options_key, selected_fields
from orm.contrib.pydantic.field_types import FieldType
from orm.exceptions import FieldError
from orm.mapping.model_info import ModelInfo
from orm.models import Model
from orm.queryset.queryset import QuerySet
from orm.relations import Relation

R = TypeVar("R")

#: What is answered of a relation: everything, options of `read_model()`, its class, or "self" for the same class again.
Nested = Literal[True, "self"] | Mapping[str, Any] | type[pydantic.BaseModel]


class ReadModel(pydantic.BaseModel):
    """The base of the classes of `read_model()`. An instance is made of a row: ``NoteRead.model_validate(note)``.

    A subclass may add fields: attributes of the row, such as annotations and properties.
    """

    model_config = ConfigDict(from_attributes=True, protected_namespaces=())

    #: The relations that are answered, by their attribute, with whether they lead to many rows.
    __relations__: ClassVar[dict[str, Relation]] = {}
    #: The paths of these relations and of those of their rows, for `loading()`.
    __nested__: ClassVar[dict[str, type[pydantic.BaseModel]]] = {}

    @model_validator(mode="before")
    @classmethod
    def _values_of(cls, value: Any) -> Any:
        """The values of a row. Raises `NotLoaded` for a field or a relation that was not loaded."""
        if not isinstance(value, Model):
            return value
        relations = cls.__relations__
        return {
            name: required_relation(value, relations[name]) if name in relations else getattr(value, name)
            for name in cls.model_fields
        }


def read_model(
    model: type[Model],
    *,
    include: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    nested: Mapping[str, Nested] | Iterable[str] = (),
    depth: int = 0,
    name: str | None = None,
) -> type[ReadModel]:
    """A Pydantic class of what is answered for a row: ``read_model(Note)``, called ``NoteRead``.

        TrackRead = read_model(Track, nested={"album": {"include": ["id", "name"]}})

        @app.get("/tracks")
        async def list_tracks() -> list[TrackRead]:
            return await Track.objects.select_related("album")

    It has the columns; of a foreign key `<name>_id`. A relation that is answered must have been loaded: otherwise
    `orm.NotLoaded` says how the query loads it. The same options give the same class.

    Args:
        model: The model.
        include: The names of the fields, if not all.
        exclude: The names of fields to leave out.
        nested: The relations to answer, in both directions: their names, or by name ``True``, a dict of these options,
            a class, or ``"self"`` for rows of the same model that are answered alike.
        depth: The number of foreign keys to follow from each row: with 1, `album` has its columns.
        name: The name of the class, which is also that of its JSON Schema. By default it is made of the options.

    Raises:
        FieldError: `model` has no table, or a name is unknown.
    """
    include = None if include is None else tuple(include)
    exclude = tuple(exclude)
    relations: dict[str, Nested] = dict(nested) if isinstance(nested, Mapping) else dict.fromkeys(nested, True)
    key = options_key(include, exclude, relations, depth, name)
    return cached_class(
        model, "read_model", key, lambda info: _read_class(info, include, exclude, relations, depth, name)
    )


def _read_class(
    info: ModelInfo,
    include: tuple[str, ...] | None,
    exclude: tuple[str, ...],
    nested: dict[str, Nested],
    depth: int,
    name: str | None,
) -> type[ReadModel]:
    info.registry.build_tables()  # so that reverse relations of models that were declared later are known
    fields = selected_fields(info, info.fields.values(), include, exclude, "read_model", nested)
    if depth > 0:
        followed = {relation.name for relation in info.forward} - set(exclude) - nested.keys()
        nested = {**nested, **{relation: {"depth": depth - 1} for relation in info.accessors if relation in followed}}
    annotations: dict[str, tuple[Any, Any]] = {
        field.attname: (Annotated[Any, FieldType(field, trusted=True)], pydantic.Field()) for field in fields
    }
    relations = {accessor: _relation(info, accessor) for accessor in nested}
    classes = {accessor: _class_of(relations[accessor], options, info) for accessor, options in nested.items()}
    full_name = name or _name(info, include, exclude, classes)
    for accessor, answered in classes.items():
        annotations[accessor] = (_annotation(relations[accessor], answered, full_name), pydantic.Field())
    built = build_class(full_name, info.model, ReadModel, annotations)
    built.__relations__ = relations
    built.__nested__ = {accessor: built if each == "self" else each for accessor, each in classes.items()}
    return built


def _relation(info: ModelInfo, accessor: str) -> Relation:
    relation = info.accessors.get(accessor)
    if relation is None:
        raise FieldError(
            f"read_model(): {info.name} has no relation {accessor!r}. The relations are: "
            f"{', '.join(sorted(info.accessors)) or 'none'}."
        )
    return relation


def _class_of(relation: Relation, options: Nested, info: ModelInfo) -> Any:
    """The class of a relation's rows; "self" for the class that is being built."""
    if options == "self":
        if relation.target is not info.model:
            raise FieldError(f'read_model(): {relation.accessor!r} leads to another model: "self" is for the same one.')
        return "self"
    if isinstance(options, type):
        return options
    return read_model(relation.target, **({} if options is True else options))


def _annotation(relation: Relation, answered: Any, name: str) -> Any:
    """The annotation of a relation; a forward reference to the class that is being built, if that is answered."""
    if answered == "self":
        return f"list[{name}]" if relation.many else f"{name} | None" if may_be_missing(relation) else name
    if relation.many:
        return list[answered]
    return answered | None if may_be_missing(relation) else answered


def may_be_missing(relation: Relation) -> bool:
    """Whether a relation to one may have no row: it is nullable, or the other side of a `OneToOne`."""
    return any(join.allow_null for join in relation.hops)


def _name(
    info: ModelInfo, include: tuple[str, ...] | None, exclude: tuple[str, ...], classes: Mapping[str, Any]
) -> str:
    """A name that is made of the options: ``TrackReadOfIdTitleWithAlbum``."""
    name = f"{info.name}Read"
    if include is not None:
        name += "Of" + "".join(map(label_of, include))
    if exclude:
        name += "Without" + "".join(map(label_of, sorted(exclude)))
    for accessor, nested in classes.items():
        name += f"With{label_of(accessor)}"
        inner = "" if nested == "self" else nested.__name__.partition("Read")[2]
        name += inner
    return name


def with_nested(rows: QuerySet[Any, R], read: type[pydantic.BaseModel]) -> QuerySet[Any, R]:
    """The queryset with the relations that a class of `read_model()` answers: joins, and prefetches of many rows.

        albums = await with_nested(Album.objects, AlbumRead)

    Of a class that nests itself, the first level is loaded.
    """
    joined, prefetched = _paths(read, (), joinable=True, above=())
    if joined:
        rows = rows.select_related(*joined)
    return rows.prefetch_related(*prefetched) if prefetched else rows


def _paths(
    read: type[pydantic.BaseModel], path: tuple[str, ...], *, joinable: bool, above: tuple[Any, ...]
) -> tuple[list[str], list[str]]:
    """The paths to join, and those to prefetch: what follows a relation to many is prefetched, too."""
    joined: list[str] = []
    prefetched: list[str] = []
    if not issubclass(read, ReadModel) or read in above:
        return joined, prefetched
    for accessor, nested in read.__nested__.items():
        relation = read.__relations__[accessor]
        joins = joinable and not relation.many
        name = "__".join((*path, accessor))
        (joined if joins else prefetched).append(name)
        below = _paths(nested, (*path, accessor), joinable=joins, above=(*above, read))
        joined += below[0]
        prefetched += below[1]
    return joined, prefetched
