"""Lookups on relations whose key is not one column: to a composite key, or to one of several models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orm.exceptions import QueryError
from orm.expressions import Q
from orm.planning.linked import LinkedTo
from orm.planning.paths import goes_on, resolve_path
from orm.relations import (
    CompositeForeignKey,
    ForeignKey,
    GenericForeignKey,
    ManyToManyEnd,
    Relation,
    fields_of,
    related_keys,
)

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.meta import ModelInfo
    from orm.planning.paths import Path


@dataclass(frozen=True)
class Spread:
    """A lookup on such a relation: what the name has before it, and the lookup's own name."""

    info: ModelInfo
    prefix: str
    relation: Relation | GenericForeignKey[Any]
    lookup: str

    def condition(self, value: Any) -> Any:
        """The condition on the columns. Raises `QueryError` for a lookup or a value that makes no sense."""
        if isinstance(self.relation, GenericForeignKey):
            return self.relation.condition(self.prefix, self.lookup, value)
        paths = self.paths
        if self.lookup == "isnull" or (self.lookup == "exact" and value is None):
            missing = Q()
            for path in paths:
                missing = missing | Q(**{f"{path.name}__isnull": True})
            return missing if value is None or value is True else ~missing
        if self.lookup == "exact":
            return LinkedTo(paths, self._key(self.relation, value))
        if self.lookup != "in" or hasattr(value, "_query"):
            raise QueryError(
                f"{self.relation!r} has a key of several columns: it is compared with instances and tuples, with a "
                "list of them (__in), and with NULL (__isnull)."
            )
        found = Q()
        for item in value:
            if item is not None:
                found = found | LinkedTo(paths, self._key(self.relation, item))
        return found if found.children else Q(pk__in=[])

    def is_bare(self, name: str) -> bool:
        """Whether the name is that of the relation alone, without a lookup."""
        return name == f"{self.prefix}{self.relation.name}"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The columns that are compared."""
        relation = self.relation
        assert not isinstance(relation, GenericForeignKey)
        if isinstance(relation, CompositeForeignKey):
            names = [f"{self.prefix}{field.attname}" for field in relation.fields]
        else:
            names = [f"{self.prefix}{relation.name}__{field.attname}" for field in key_fields(relation)]
        return tuple(resolve_path(self.info, name, "a lookup") for name in names)

    @staticmethod
    def _key(relation: Relation, value: Any) -> tuple[Any, ...]:
        label = f"{relation.key.model.__name__}.{relation.name}"
        return related_keys(label, relation.target, key_fields(relation), value)


def key_fields(relation: Relation) -> tuple[Field[Any], ...]:
    """The fields of the target that a comparison with the relation compares."""
    if isinstance(relation, (ForeignKey, CompositeForeignKey)):
        return fields_of(relation.target._meta, relation.remote_columns)
    if isinstance(relation, ManyToManyEnd):
        return fields_of(relation.target._meta, relation.far.remote_columns)
    return relation.target._meta.pk_fields


def find_spread(info: ModelInfo, name: str) -> Spread | None:
    """The lookup on a relation of several columns that a keyword is, if it is one."""
    parts = name.split("__")
    current = info
    position = 0
    while position < len(parts):
        part, rest = parts[position], parts[position + 1 :]
        prefix = "".join(f"{before}__" for before in parts[:position])
        relation: Relation | None
        composed = current.composed.get(part)
        if isinstance(composed, GenericForeignKey):
            if not rest or rest[0] not in composed.names:
                return Spread(info, prefix, composed, "__".join(rest) or "exact")
            relation = current.fields[composed.names[rest[0]]]  # type: ignore[assignment]
            position += 1
        else:
            field = current.fields.get(part)
            relation = field if isinstance(field, ForeignKey) else current.relations.get(part)
        position += 1
        if relation is None:
            return None
        if position == len(parts) or not goes_on(relation.target._meta, parts[position]):
            if len(key_fields(relation)) == 1:
                return None
            return Spread(info, prefix, relation, "__".join(parts[position:]) or "exact")
        current = relation.target._meta
    return None
