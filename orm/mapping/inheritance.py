"""Inheritance between models that have rows: which models a class inherits from, and proxy models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy

from orm.exceptions import FieldError
from orm.fields import Field
from orm.mapping.meta_options import MetaOptions
from orm.mapping.model_info import ModelInfo
from orm.relations import CompositeForeignKey, ForeignKey, Hop, ManyToMany, ManyToManySide, ReverseRelation

if TYPE_CHECKING:
    from orm.models import Model, ModelRegistry


def concrete_parents(parents: Iterable[type[Any]]) -> tuple[ModelInfo, ...]:
    """The models with rows that a class inherits from, directly or over abstract models."""
    infos: list[ModelInfo] = []
    for parent in parents:
        info: ModelInfo | None = getattr(parent, "_meta", None)
        if info is not None:
            infos += info.bases if info.abstract else [info]
    return tuple(dict.fromkeys(infos))


def proxied_parent(name: str, concrete: Sequence[ModelInfo]) -> ModelInfo:
    """The model whose proxy a class is. Raises `FieldError` unless it inherits the rows of one model."""
    if not concrete:
        raise FieldError(f"{name} is a proxy model and inherits from no model with a table.")
    owners = dict.fromkeys(info.relation_owner for info in concrete)
    if len(owners) > 1:
        names = " and ".join(info.name for info in concrete)
        raise FieldError(f"{name} is a proxy model and inherits from {names}: it can have the table of one of them.")
    return concrete[0]


class ProxyInfo(ModelInfo):
    """A proxy model: the rows of another model as instances of another class."""

    def __init__(
        self, model: type[Model], registry: ModelRegistry | None, options: MetaOptions, base: ModelInfo
    ) -> None:
        taken = ("tablename", "schema", "comment", "table_options", "managed", "view", "materialized")
        meta = {name: getattr(options, name) for name in ("indexes", "constraints", "table_options", "comment", "view")}
        declared = [name for name, value in meta.items() if value]
        if declared:
            raise FieldError(
                f"{model.__name__} is a proxy model, which has no table: remove {', '.join(declared)} from its class "
                f"Meta, or declare them on {base.name}."
            )
        options = replace(options, **{name: getattr(base.options, name) for name in taken})
        super().__init__(model, registry, options, base.fields, base.many_to_many, base.composed, legacy=base.legacy)
        self.local_fields, self.local_composed, self.local_many_to_many = {}, {}, {}
        self.base = base
        self.bases = (base,)
        self.concrete = base.concrete
        self.instance_class = base.instance_class
        self.view = base.view
        self.constraints = base.constraints
        self.fallback_descriptors = base.fallback_descriptors
        self.discriminator = base.discriminator
        self.kind = base.kind
        self.ancestors = base.ancestors
        self.parent_links = base.parent_links

    @property
    def is_filtered(self) -> bool:
        """As the model that it is a proxy of."""
        return self.base.is_filtered

    @property
    def kinds(self) -> dict[Any, ModelInfo]:
        """As of the model that it is a proxy of; rows with the discriminator of that one are rows of the proxy."""
        return {} if self.discriminator is None else {**self.base.kinds, self.kind: self}

    @property
    def kind_of_rows(self) -> bool:
        """No: the rows are those of the other model."""
        return False

    @property
    def ends(self) -> Sequence[ReverseRelation | ManyToManySide]:
        """Those of the model that it is a proxy of."""
        return self.base.ends

    @property
    def relation_owner(self) -> ModelInfo:
        """The model that it is a proxy of."""
        return self.base.relation_owner

    @property
    def pk_fields(self) -> tuple[Field[Any], ...]:
        """Those of the model that it is a proxy of."""
        return self.base.pk_fields

    def chain_to(self, member: Any) -> tuple[Hop, ...]:
        """As of the model that it is a proxy of."""
        return self.base.chain_to(member)

    def fields_of_columns(self, columns: Sequence[str]) -> tuple[Field[Any], ...]:
        """As of the model that it is a proxy of."""
        return self.base.fields_of_columns(columns)

    def add_relation(self, relation: ReverseRelation | ManyToManySide) -> None:
        """Add a relation that leads to the model, as in Django to that which it is a proxy of."""
        self.base.add_relation(relation)

    def drop_relation(self, declared: ForeignKey[Any] | CompositeForeignKey[Any] | ManyToMany[Any]) -> None:
        """Undo `add_relation`."""
        self.base.drop_relation(declared)

    def build_table_if_ready(self, metadata: sqlalchemy.MetaData) -> bool:
        """Take the table of the other model, once it is built."""
        if self.table is None:
            self.table = self.base.table
        return False
