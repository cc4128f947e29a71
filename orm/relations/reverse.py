"""`ReverseRelation`: a foreign key as the model that it references sees it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import typesystem

from orm.exceptions import NoMatch, QueryError
from orm.fields import Field
from orm.relations.base import Hop, Relation, format_related_name, key_value, missing_error
from orm.relations.instance_state import forget, set_loaded
from orm.relations.key_field import KeyField

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

    @cached_property
    def missing(self) -> type[NoMatch]:
        """The error for the one related row when a query did not find it."""
        return missing_error(self.relation.target, self.accessor, self.target)

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

    def detach_row(self, instance: Model, row: Model) -> None:
        """Mark an instance as having no related row, if `row` is the one that it has."""
        if instance.__dict__.get(self.accessor) is row:
            del instance.__dict__[self.accessor]
            set_loaded(instance, self.accessor, [])


class RelatedKey(KeyField[Any]):
    """The target's primary key, which ``filter(tracks=...)`` compares for a relation without a column."""

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

    def to_python(self, value: Any) -> Any:
        """The key for a lookup's value."""
        return None if value is None else key_value(self.label, self.target, self.target_field, value)
