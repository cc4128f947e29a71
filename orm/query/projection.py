"""`Projection` and `Instances`: the columns that a query selects, and what its rows become."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement

from orm.exceptions import FieldError
from orm.fields import Field
from orm.query.paths import (
    check_name,
    hops_over,
    leads_to_some_rows,
    relation_paths,
    resolve_path,
    split_name,
    with_chain,
)
from orm.query.resolving.resolver import Resolver
from orm.query.terms.base import Term
from orm.relations import CompositeForeignKey, Embedded, ForeignKey, ParentLink, Relation, ReverseRelation
from orm.relations.attaching import local_fields
from orm.rows.discriminators import Kinds
from orm.rows.readers import Entity, GroupBy, Process, Reader, read_instances
from orm.utils.memoized import memoized_property

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.query.prefetch_tree import Branch
    from orm.query.rendering import Rendering

Joinable = ForeignKey[Any] | CompositeForeignKey[Any] | ReverseRelation
Relations = tuple[Joinable, ...]
"""A chain of relations, each to a single row."""


class Projection:
    """The columns that a query selects, and the reader of its rows."""

    key: Hashable
    values: tuple[Any, ...] = ()
    names: tuple[str, ...]

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.names)

    @property
    def field(self) -> Field[Any]:
        """The field of its only column."""
        raise NotImplementedError

    def position(self, name: str) -> int:
        """The position of the column with this name."""
        return self.names.index(name)

    def annotated(self, name: str, term: Term | None) -> Projection:
        """With the annotation of this name, which replaces another one of that name; without it if `term` is None."""
        raise NotImplementedError

    @property
    def inner_projection(self) -> Projection:
        """The projection of the query itself, if this one only adds columns to it."""
        return self

    @property
    def extra_columns(self) -> tuple[Term, ...]:
        """The added columns, which a grouped query is also grouped by."""
        return ()

    def selected(self, resolver: Resolver) -> tuple[Term, ...]:
        """The selected terms, in which distinct rows differ."""
        raise NotImplementedError

    def columns(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        """The columns to select."""
        raise NotImplementedError

    def reader(self, processors: Sequence[Process | None], trailing_columns: int) -> Reader:
        """The reader of the rows.

        `processors` convert the values of each column; `trailing_columns` is the number of columns that follow these.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Instances(Projection):
    """Instances of the model, with the related instances of `select_related()`."""

    info: ModelInfo
    related: tuple[Relations, ...] = ()
    only: frozenset[tuple[Relations, Field[Any]]] | None = None
    defer: frozenset[tuple[Relations, Field[Any]]] = frozenset()
    annotations: tuple[str, ...] = ()
    """The annotations that become attributes of the instances."""
    required: frozenset[tuple[Relations, Field[Any]]] = frozenset()
    """Fields that are loaded even if `only` or `defer` omit them: the keys that other rows are attached by."""
    group_by: GroupBy | None = None
    """How the reader puts the instances into the lists of their owners."""

    @property
    def is_sparse(self) -> bool:
        """Whether some fields are left out."""
        return self.only is not None or bool(self.defer)

    @memoized_property
    def key(self) -> Hashable:
        required = self.required if self.is_sparse else None
        return ("instances", self.related, self.only, self.defer, self.annotations, required, self.group_by)

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*(field.attname for field in self._fields(())), *self.annotations)

    def selected(self, resolver: Resolver) -> tuple[Term, ...]:
        paths = [
            "__".join([*(relation.name for relation in chain), field.attname])
            for chain in ((), *self.related)
            for field in self._fields(chain)
        ]
        columns = (resolver.column(resolve_path(self.info, path, "a column")) for path in paths)
        return (*columns, *(resolver.annotations[name] for name in self.annotations))

    def annotated(self, name: str, term: Term | None) -> Instances:
        if term is None:
            return replace(self, annotations=tuple(each for each in self.annotations if each != name))
        return self if name in self.annotations else replace(self, annotations=(*self.annotations, name))

    def with_related(self, paths: Iterable[str]) -> Instances:
        """With the related instances at these paths. Raises `FieldError` for a path that is no relation."""
        related = list(self.related)
        names: list[str] = []
        for path in paths:
            check_name(path, "A relation of select_related()")
            names += relation_paths(self.info, path, "select_related()")
        for path in names:
            relations: Relations = ()
            current = self.info
            for part in split_name(self.info, path):
                relation = joinable(current, part)
                if relation is None:
                    raise _not_joinable(current, part, path)
                relations = (*relations, relation)
                current = relation.target._meta
                if relations not in related:
                    related.append(relations)
        return replace(self, related=tuple(related))

    def all_related(self) -> Instances:
        """With the related instances of all relations that cannot be null, at any depth, as in Django."""
        paths: list[str] = []

        def walk(info: ModelInfo, prefix: str, seen: frozenset[str]) -> None:
            for relation in info.forward:
                target = relation.target._meta
                if isinstance(relation, ParentLink):
                    continue
                if not relation.allow_null and target.name not in seen:
                    paths.append(prefix + relation.name)
                    walk(target, f"{prefix}{relation.name}__", seen | {target.name})

        walk(self.info, "", frozenset({self.info.name}))
        return self.with_related(paths)

    def with_only(self, names: Iterable[str]) -> Instances:
        """With only these fields and the keys."""
        # As in Django, fields that were deferred before stay deferred; if no field is left, only() does not apply.
        masks = self._masks(names, "only()")
        left = masks - self.defer
        return replace(self, only=left if left or not masks else None, defer=frozenset())

    def with_deferred(self, names: tuple[str | None, ...]) -> Instances:
        """Without these fields; with None alone, with all fields, whatever was deferred before."""
        if names == (None,):
            return replace(self, only=None, defer=frozenset())
        masks = self._masks((name or "" for name in names), "defer()")
        if self.only is not None:
            if left := self.only - masks:
                return replace(self, only=left, defer=frozenset())
            # As in Django, only() no longer applies if no field of it is left.
            masks -= self.only
        return replace(self, only=None, defer=self.defer | masks)

    def with_required(self, relations: Relations, fields: Iterable[Field[Any]]) -> Instances:
        """With these fields of the instances at the end of the relations, even if they are deferred."""
        return replace(self, required=self.required.union((relations, field) for field in fields))

    def with_branch_keys(self, branches: Iterable[Branch], chain: Relations = ()) -> Instances:
        """With the fields that the rows of these branches are attached by to the instances at the end of `chain`."""
        projection = self
        for branch in branches:
            projection = projection.with_required(chain, local_fields(branch.relation))
            further: Any = (*chain, branch.relation)
            if further in projection.related:
                projection = projection.with_branch_keys(branch.branches, further)
        return projection

    def _masks(self, names: Iterable[str], what: str) -> frozenset[tuple[Relations, Field[Any]]]:
        masks: set[tuple[Relations, Field[Any]]] = set()
        for name in names:
            check_name(name, f"A field of {what}")
            if name == "pk":
                continue  # Keys are always loaded.
            parts = split_name(self.info, name)
            relations: Relations = ()
            current = self.info
            while parts[1:] and "__".join(parts) not in current.aliases:
                relation = joinable(current, parts[0])
                if relation is None and parts[0] in current.composed:
                    raise current.unknown("__".join(parts), what, current.aliases)
                if relation is None:
                    raise current.unknown(parts[0], f"a relation in {what}")
                relations = (*relations, relation)
                current = relation.target._meta
                del parts[0]
            last = "__".join(parts)
            if last in current.composed and not isinstance(current.composed[last], Embedded):
                raise current.unknown(last, what)
            fields = current.fields_for(last)
            if not fields:
                raise current.unknown(last, what)
            masks.update((relations, field) for field in fields)
        return frozenset(masks)

    def own_fields(self) -> list[Field[Any]]:
        """The model's own fields that are loaded."""
        return self._fields(())

    def _fields(self, relations: Relations) -> list[Field[Any]]:
        info = relations[-1].target._meta if relations else self.info
        only = None
        if self.only is not None:
            only = {field for where, field in self.only if where == relations}
            if relations and not any(where[: len(relations)] == relations for where, _ in self.only):
                only = None  # only("album__name") does not restrict other relations.
        # A related instance needs its key, which tells whether it exists. As in Django, only("album__name") loads it.
        loaded = [chain[-1] for chain in self.related if chain[:-1] == relations]
        depth = len(relations)
        loaded += [where[depth] for where, _ in self.only or () if where[:depth] == relations and len(where) > depth]
        keys: set[Any] = {field for relation in loaded for field in info.fields_of_columns(relation.local_columns)}
        keys.update(field for where, field in self.required if where == relations)
        deferred = {field for where, field in self.defer if where == relations}
        return [
            field
            for field in (info.fields.values() if info.discriminator is None else info.loaded_fields())
            if field in info.pk_fields
            or field is info.discriminator
            or field in keys
            or (field in only if only is not None else field not in deferred)
        ]

    def columns(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        columns: list[ColumnElement[Any]] = []
        for relations in ((), *self.related):
            info = relations[-1].target._meta if relations else self.info
            hops = hops_over(self.info, relations)
            table = rendering.join(hops)
            for field in self._fields(relations):
                chain = info.chain_to(field) if info.ancestors else ()
                columns.append((rendering.join(with_chain(hops, chain)) if chain else table).c[field.column_name])
        columns.extend(rendering.annotation(name) for name in self.annotations)
        return columns

    def reader(self, processors: Sequence[Process | None], trailing_columns: int) -> Reader:
        return read_instances(self.entities(), processors, self.annotations, trailing_columns, self.group_by)

    def entities(self) -> list[Entity]:
        """The instances that each row contains, in the order of the columns: the model's own, then the joined ones."""
        chains: list[Relations] = [(), *self.related]
        entities = []
        for chain in chains:
            info = chain[-1].target._meta if chain else self.info
            reverse = chain[-1] if chain and isinstance(chain[-1], ReverseRelation) else None
            fields = self._fields(chain)
            entities.append(
                Entity(
                    model=info.model,
                    attributes=tuple(field.attname for field in fields),
                    keys=tuple(field.attname for field in info.pk_fields),
                    parent=chains.index(chain[:-1]) if chain else None,
                    name=chain[-1].accessor if chain else None,
                    back=reverse.relation.accessor if reverse is not None else None,
                    missing_key=chain[-1].key.attname if chain and leads_to_some_rows(chain[-1]) else None,
                    shared=_shared_key(info) if chain and reverse is None else (),
                    kinds=None if info.discriminator is None else kinds_of(info, fields),
                )
            )
        return entities


def kinds_of(info: ModelInfo, fields: Sequence[Field[Any] | None]) -> Kinds | None:
    """The classes of the instances that these fields are read of; None if all are of the model itself.

    None among the fields stands for a column without a field, which all instances get.
    """
    kinds = info.kinds
    if len(kinds) <= 1 or info.discriminator not in fields:
        return None
    known = {None, *info.fields.values()}
    further = {
        each.model: tuple(i for i, field in enumerate(fields) if field not in known and field in each.fields.values())
        for each in kinds.values()
    }
    classes = {value: each.model for value, each in kinds.items()}
    common = tuple(i for i, field in enumerate(fields) if field in known)
    return Kinds(fields.index(info.discriminator), common, classes, further)


def joinable(info: ModelInfo, name: str) -> Joinable | None:
    """The relation of this name if it leads to a single row, which can be joined; else None."""
    relation: Relation | None = info.relations.get(name)
    field = info.fields.get(name)
    if isinstance(field, ForeignKey):
        return field
    return relation if isinstance(relation, (CompositeForeignKey, ReverseRelation)) and not relation.many else None


def _not_joinable(info: ModelInfo, name: str, path: str) -> FieldError:
    if info.retired_field(name) is not None:
        return info.unknown(name, f"a relation ({path!r})")
    if (name in info.relations and info.relations[name].many) or (name in info.accessors and info.accessors[name].many):
        return FieldError(
            f"select_related({path!r}): {info.name}.{name} leads to many rows, which a join would multiply. "
            f"Use prefetch_related({path!r})."
        )
    choices = sorted(name for name in (*info.fields, *info.relations) if joinable(info, name) is not None)
    return FieldError(
        f"select_related({path!r}): {info.name}.{name} is not a relation. "
        f"The relations of {info.name} are: {', '.join(choices) or 'none'}."
    )


def _shared_key(info: ModelInfo) -> tuple[str, ...]:
    """The attributes that identify a related instance; none if a key is not hashable, such as an array."""
    if not all(field.is_hashable for field in info.pk_fields):
        return ()
    return tuple(field.attname for field in info.pk_fields)
