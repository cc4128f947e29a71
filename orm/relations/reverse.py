"""`ReverseRelation`: a foreign key as the model that it references sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typesystem
from sqlalchemy.types import TypeEngine

from orm.exceptions import QueryError
from orm.fields import Field
from orm.relations.base import Hop, Relation, format_related_name, key_value
from orm.relations.instance_state import forget

if TYPE_CHECKING:
    from orm.models import Model
    from orm.relations import ForwardRelation


class ReverseRelation:
    """The reverse of a forward relation: from a row to the rows that reference it."""

    allow_null = True

    def __init__(self, relation: ForwardRelation) -> None:
        self.relation = relation
        info = relation.model._meta
        self.many = not (relation.unique or info.pk_fields == (relation,))
        owner = info.name.lower()
        related_name = format_related_name(relation.related_name, info.name)
        self.name = format_related_name(relation.related_query_name, info.name) or related_name or owner
        """The name in lookups: ``filter(tracks__title=...)``, or the lower-case model name without `related_name`."""
        self.accessor = related_name or (f"{owner}_set" if self.many else owner)
        """The attribute of instances; it ends with a plus if there is none."""
        self.key = RelatedKey(self, relation.target)

    def __repr__(self) -> str:
        return f"<ReverseRelation {self.name} of {self.relation.label}>"

    @property
    def target(self) -> type[Model]:
        """The model that declares the foreign key."""
        target: type[Model] = self.relation.model
        return target

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The one join to the target."""
        return (self,)

    @property
    def local_columns(self) -> tuple[str, ...]:
        """The columns that the foreign key references."""
        return self.relation.remote_columns

    @property
    def remote_columns(self) -> tuple[str, ...]:
        """The columns of the foreign key."""
        return self.relation.local_columns

    def attach_row(self, instance: Model, row: Model) -> None:
        """Set the one related row of an instance, as if it had been loaded."""
        if not self.accessor.endswith("+"):
            forget(instance, self.accessor)
            instance.__dict__[self.accessor] = row


class RelatedKey(Field[Any]):
    """The target's primary key, which ``filter(tracks=...)`` compares for a relation without a column of its own."""

    family = "relation"
    is_ordered = supports_arithmetic = True

    def __init__(self, relation: Relation, model: type[Model]) -> None:
        self.relation = relation
        super().__init__()
        self.name = relation.name
        self.model = model

    @property
    def label(self) -> str:
        """The relation's name in messages: ``Album.tracks``."""
        return f"{self.model.__name__}.{self.name}"

    @property
    def target(self) -> type[Model]:
        """The related model."""
        return self.relation.target

    @property
    def target_field(self) -> Field[Any]:
        """The target's primary key. Raises `QueryError` if it is composite."""
        info = self.relation.target._meta
        if len(info.pk_fields) != 1:
            raise QueryError(f"{info.name} has a composite primary key: compare one of its fields.")
        return info.pk_fields[0]

    def build_validator(self, **options: Any) -> typesystem.Field:
        """A validator that accepts anything: a reverse relation is not written."""
        return typesystem.Any(**options)

    def column_type(self) -> TypeEngine[Any]:
        """The key's column type."""
        column_type: TypeEngine[Any] = self.target_field.column_type()
        return column_type

    def to_json(self, value: Any) -> Any:
        """The key as JSON can hold it."""
        return self.target_field.to_json(value)

    def from_json(self, value: Any) -> Any:
        """The key that `to_json` converted."""
        return self.target_field.from_json(value)

    @property
    def is_json(self) -> bool:
        """Whether JSON can hold the keys as they are."""
        return bool(self.target_field.is_json)

    @property
    def underlying_field(self) -> Field[Any]:
        """The field that the key refers to."""
        field: Field[Any] = self.target_field.underlying_field
        return field

    def to_python(self, value: Any) -> Any:
        """The key for a lookup's value."""
        return None if value is None else key_value(self.label, self.target, self.target_field, value)
