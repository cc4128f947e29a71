"""What a diagram shows: entities with their attributes, and the links between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from orm.migrations.inspection.tables import Table
from orm.registry import ModelRegistry
from orm.relations import CompositeForeignKey, ForeignKey


@dataclass(frozen=True)
class Attribute:
    """A field or column: its name, its type, and whether it is a part of the primary key, or may be null."""

    name: str
    kind: str
    is_key: bool = False
    is_null: bool = False


@dataclass(frozen=True)
class Link:
    """A relation, from the entity that has the key to the one that it references."""

    name: str
    source: str
    target: str
    is_null: bool = False
    is_unique: bool = False
    """Whether at most one row references each."""
    is_many: bool = False
    """Whether it is many-to-many."""


@dataclass
class Entity:
    """A model or a table."""

    name: str
    attributes: list[Attribute] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)


def entities_of_models(registries: Iterable[ModelRegistry]) -> list[Entity]:
    """An entity for each model that has a table, without those that a `ManyToMany` makes."""
    models: list[Any] = [model for registry in registries for model in registry.models.values()]
    through_models = {relation.auto_through for model in models for relation in model._meta.local_many_to_many.values()}
    return [_entity_of_model(model) for model in models if not model._meta.abstract and model not in through_models]


def _entity_of_model(model: Any) -> Entity:
    info = model._meta
    entity = Entity(info.name)
    for each in info.local_fields.values():
        is_relation = isinstance(each, ForeignKey)
        kind = each.target.__name__ if is_relation else type(each).__name__
        entity.attributes.append(Attribute(each.name, kind, each.primary_key, each.allow_null))
        if is_relation:
            is_unique = each.unique or info.pk_fields == (each,)
            entity.links.append(Link(each.name, info.name, kind, each.allow_null, is_unique))
    for relation in info.local_forward:
        if isinstance(relation, CompositeForeignKey):
            entity.links.append(Link(relation.name, info.name, relation.target.__name__, relation.allow_null))
    for name, relation in info.local_many_to_many.items():
        entity.links.append(Link(name, info.name, relation.target.__name__, is_many=True))
    return entity


def entities_of_tables(tables: Iterable[Table]) -> list[Entity]:
    """An entity for each table."""
    entities = []
    for table in tables:
        entity = Entity(table.name)
        for column in table.columns:
            is_key = column["name"] in table.primary_key
            entity.attributes.append(Attribute(column["name"], str(column["type"]), is_key, bool(column["nullable"])))
        nullable = {column["name"] for column in table.columns if column["nullable"]}
        for key in table.keys:
            is_null = bool(nullable & set(key.columns))
            name = "_".join(key.columns)
            entity.links.append(Link(name, table.name, key.table, is_null, table.is_unique(key.columns)))
        entities.append(entity)
    return entities
