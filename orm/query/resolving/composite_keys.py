"""Lookups on composite keys, and on relations whose key has several columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from orm.exceptions import QueryError
from orm.expressions.base import Expression, F, FieldExpression, Q
from orm.expressions.subqueries import OuterRef
from orm.query.conditions.related_to import RelatedIn, RelatedTo
from orm.query.paths import continues_at, resolve_path, split_name
from orm.relations import (
    CompositeForeignKey,
    Embedded,
    ForeignKey,
    GenericForeignKey,
    ManyToManySide,
    Relation,
    key_values,
)
from orm.relations.composed import ComposedExpression

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo
    from orm.query.paths import Path


ORDERED = ("gt", "gte", "lt", "lte")
"""The lookups that compare two keys as SQL compares rows."""


def key_is_null(names: Sequence[str], value: Any) -> Q:
    """The condition that a part of a key is NULL, or with False, that no part is. Raises `QueryError` otherwise."""
    if not isinstance(value, bool):
        raise QueryError(f"isnull takes True or False, got {type(value).__name__}.")
    connector = Q.__or__ if value else Q.__and__
    return reduce(connector, (Q(**{f"{name}__isnull": value}) for name in names))


@dataclass(frozen=True)
class CompositeKeyLookup:
    """A lookup on a relation whose key has several columns."""

    info: ModelInfo
    prefix: str
    """The part of the name before the relation."""
    relation: Relation | GenericForeignKey[Any] | Embedded[Any]
    lookup: str
    by_pk: bool = False
    """Whether the name ends with the primary key: ``order__pk``."""

    def condition(self, value: Any) -> Any:
        """The condition on the columns. Raises `QueryError` for a lookup or value that a composite key cannot take."""
        if isinstance(self.relation, (Embedded, GenericForeignKey)):
            return self.relation.condition(self.prefix, self.lookup, value)
        paths = self.paths
        if self.lookup == "isnull" or (self.lookup == "exact" and value is None):
            return key_is_null([path.name for path in paths], value is None or value)
        if self.lookup not in ("exact", "in", *ORDERED):
            raise QueryError(
                f"{self.relation!r} has a key of several columns: it is compared with instances and tuples (also by "
                f"{', '.join(ORDERED)}), with a list or a query of them (__in), and with NULL (__isnull)."
            )
        if hasattr(value, "_query") and self.lookup not in ORDERED:
            return RelatedIn(paths, value._query.selecting_key(self._label, self._target, self._fields), self.lookup)
        if self.lookup != "in":
            return RelatedTo(paths, self._parts(value), self.lookup)
        any_of = Q()
        for item in value:
            if item is not None:
                any_of = any_of | RelatedTo(paths, self._parts(item))
        return any_of if any_of.children else RelatedIn(paths, None, "in")

    @property
    def bare(self) -> str:
        """The name without the lookup."""
        return f"{self.prefix}{self.relation.name}{'__pk' if self.by_pk else ''}"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths of the columns that are compared."""
        if isinstance(self.relation, CompositeForeignKey):
            names = [f"{self.prefix}{field.attname}" for field in self.relation.fields]
        else:
            names = [f"{self.prefix}{self.relation.name}__{field.attname}" for field in self._fields]
        return tuple(resolve_path(self.info, name, "a lookup") for name in names)

    @property
    def _to_one(self) -> Relation:
        assert not isinstance(self.relation, (Embedded, GenericForeignKey))
        return self.relation

    @property
    def _label(self) -> str:
        return f"{self._to_one.key.model.__name__}.{self._to_one.name}"

    @property
    def _target(self) -> ModelInfo:
        return self._to_one.target._meta

    @property
    def _fields(self) -> tuple[Field[Any], ...]:
        return self._target.pk_fields if self.by_pk else key_fields(self._to_one)

    def _parts(self, value: Any) -> tuple[Any, ...]:
        expressions = composite_key_expressions(self.info, self._label, self._fields, value)
        return expressions or key_values(self._label, self._target.model, self._fields, value)


def composite_key_expressions(
    info: ModelInfo, label: str, fields: Sequence[Field[Any]], value: Any
) -> tuple[Any, ...] | None:
    """The parts of a composite key, if any of them is an expression; None if all are plain values.

    Raises `QueryError` for an expression that is no composite key.
    """
    if isinstance(value, Expression):
        parts = key_parts(info, value, len(fields))
        if parts is None or len(parts) != len(fields):
            raise QueryError(f"{label} is a key of {len(fields)} columns, and is not compared with {value!r}.")
        return parts
    if isinstance(value, (tuple, list)) and len(value) == len(fields) and any(isinstance(p, Expression) for p in value):
        pairs = zip(fields, value, strict=True)
        return tuple(part if isinstance(part, Expression) else field.to_python(part) for field, part in pairs)
    return None


def key_parts(info: ModelInfo, named: Any, count: int = 0) -> tuple[Expression[Any], ...] | None:
    """One expression per column of the composite key that `named` refers to; None if it refers to something else.

    `named` is a name or an expression. For an `OuterRef`, which the outer query resolves, `count` is the number
    of columns.
    """
    if isinstance(named, OuterRef):
        return tuple(named.part(position, count) for position in range(count))
    name = named if isinstance(named, str) else named.path if isinstance(named, F) else None
    if isinstance(named, FieldExpression):
        name = "__".join(named._path)
    paths = None if name is None else key_paths(info, name)
    if paths is None:
        return None
    if isinstance(named, FieldExpression):
        split = [path.name.split("__") for path in paths]
        return tuple(FieldExpression(named._model, last, tuple(via)) for *via, last in split)
    return tuple(F(path.name) for path in paths)


def key_paths(info: ModelInfo, name: str) -> tuple[Path, ...] | None:
    """The paths of the columns of a composite key: ``pk``, ``order``, ``order__pk``. None for other names."""
    if name == "pk":
        fields = info.pk_fields if len(info.pk_fields) > 1 else ()
        return tuple(resolve_path(info, field.attname, "a column") for field in fields) or None
    composite = find_composite_lookup(info, name)
    if composite is None or composite.bare != name or isinstance(composite.relation, (Embedded, GenericForeignKey)):
        return None
    return composite.paths


def embedded_parts(info: ModelInfo, named: Any) -> tuple[Embedded[Any], list[str]] | None:
    """The embedded value that a name or an expression refers to, with the names of its fields; None for another."""
    name = named if isinstance(named, str) else named.path if isinstance(named, F) else name_of(named)
    lookup = find_composite_lookup(info, name) if name else None
    if lookup is None or lookup.bare != name or not isinstance(lookup.relation, Embedded):
        return None
    return lookup.relation, [f"{lookup.prefix}{field}" for field in lookup.relation.field_names]


def name_of(expression: Any) -> str:
    """The name in queries of an expression that is a field or a relation: ``album__label``; of others empty."""
    path = getattr(expression, "_path", ())
    return "__".join((*path, expression._name) if isinstance(expression, ComposedExpression) else path)


def key_fields(relation: Relation) -> tuple[Field[Any], ...]:
    """The fields of the target that are compared in a lookup on the relation."""
    if isinstance(relation, (ForeignKey, CompositeForeignKey)):
        return relation.target._meta.fields_of_columns(relation.remote_columns)
    if isinstance(relation, ManyToManySide):
        return relation.target._meta.fields_of_columns(relation.remote_key.remote_columns)
    return relation.target._meta.pk_fields


def find_composite_lookup(info: ModelInfo, name: str) -> CompositeKeyLookup | None:
    """The lookup of a keyword if it is on a relation whose key has several columns; else None."""
    parts = split_name(info, name)
    current = info
    position = 0
    while position < len(parts):
        part, rest = parts[position], parts[position + 1 :]
        prefix = "".join(f"{before}__" for before in parts[:position])
        relation: Relation | None
        composed = current.composed.get(part)
        if isinstance(composed, Embedded):
            is_part = rest and rest[0] in composed.names
            return None if is_part else CompositeKeyLookup(info, prefix, composed, "__".join(rest) or "exact")
        if isinstance(composed, GenericForeignKey):
            if not rest or rest[0] not in composed.names:
                return CompositeKeyLookup(info, prefix, composed, "__".join(rest) or "exact")
            relation = current.fields[composed.names[rest[0]]]  # type: ignore[assignment]
            position += 1
        else:
            field = current.fields.get(part)
            relation = field if isinstance(field, ForeignKey) else current.relations.get(part)
        position += 1
        if relation is None:
            return None
        if parts[position : position + 1] == ["pk"] and len(relation.target._meta.pk_fields) > 1:
            return CompositeKeyLookup(info, prefix, relation, "__".join(parts[position + 1 :]) or "exact", by_pk=True)
        if position == len(parts) or not continues_at(relation.target._meta, parts[position]):
            if len(key_fields(relation)) == 1:
                return None
            return CompositeKeyLookup(info, prefix, relation, "__".join(parts[position:]) or "exact")
        current = relation.target._meta
    return None
