"""Projections: the columns that a query selects, and what its rows become."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import ColumnElement

from orm.exceptions import FieldError, QueryError
from orm.fields import Field
from orm.query.paths import check_name, relation_paths, resolve_path
from orm.query.resolving.composite_keys import key_parts
from orm.query.resolving.resolver import Resolver
from orm.query.terms.base import AnnotationTerm, PathTerm, Term
from orm.relations import CompositeForeignKey, ForeignKey, Relation, ReverseRelation
from orm.relations.attaching import local_fields
from orm.rows.readers import (
    Entity,
    GroupBy,
    Process,
    Reader,
    read_dicts,
    read_instances,
    read_named_tuples,
    read_tuples,
    read_values,
)
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

    @memoized_property
    def key(self) -> Hashable:
        required = self.required if self.only is not None or self.defer else None
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
            for part in path.split("__"):
                relation = joinable(current, part)
                if relation is None:
                    raise FieldError(_not_joinable(current, part, path))
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
                if not relation.allow_null and target.name not in seen:
                    paths.append(prefix + relation.name)
                    walk(target, f"{prefix}{relation.name}__", seen | {target.name})

        walk(self.info, "", frozenset({self.info.name}))
        return self.with_related(paths)

    def with_only(self, names: Iterable[str]) -> Instances:
        """With only these fields and the keys."""
        # As in Django, fields that were deferred before stay deferred.
        return replace(self, only=self._masks(names, "only()") - self.defer, defer=frozenset())

    def with_deferred(self, names: Iterable[str]) -> Instances:
        """Without these fields."""
        masks = self._masks(names, "defer()")
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
        masks = set()
        for name in names:
            check_name(name, f"A field of {what}")
            if name == "pk":
                continue  # Keys are always loaded.
            parts = name.split("__")
            relations: Relations = ()
            current = self.info
            for part in parts[:-1]:
                relation = joinable(current, part)
                if relation is None:
                    raise current.unknown(part, f"a relation in {what}")
                relations = (*relations, relation)
                current = relation.target._meta
            field = current.fields.get(parts[-1]) or current.by_attname.get(parts[-1])
            if field is None:
                raise current.unknown(parts[-1], what)
            masks.add((relations, field))
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
        # A related instance needs its key, which tells whether there is one.
        loaded = [chain[-1] for chain in self.related if chain[:-1] == relations]
        keys: set[Any] = {field for relation in loaded for field in info.fields_of_columns(relation.local_columns)}
        keys.update(field for where, field in self.required if where == relations)
        deferred = {field for where, field in self.defer if where == relations}
        return [
            field
            for field in info.fields.values()
            if field.primary_key or field in keys or (field in only if only is not None else field not in deferred)
        ]

    def columns(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        columns: list[ColumnElement[Any]] = []
        for relations in ((), *self.related):
            table = rendering.join(relations)
            columns.extend(table.c[field.column_name] for field in self._fields(relations))
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
            entities.append(
                Entity(
                    model=info.model,
                    attributes=tuple(field.attname for field in self._fields(chain)),
                    keys=tuple(field.attname for field in info.pk_fields),
                    parent=chains.index(chain[:-1]) if chain else None,
                    name=chain[-1].accessor if chain else None,
                    back=reverse.relation.accessor if reverse is not None else None,
                    shared=_shared_key(info) if chain and reverse is None else (),
                )
            )
        return entities


def joinable(info: ModelInfo, name: str) -> Joinable | None:
    """The relation of this name if it leads to a single row, which can be joined; else None."""
    relation: Relation | None = info.relations.get(name)
    field = info.fields.get(name)
    if isinstance(field, ForeignKey):
        return field
    return relation if isinstance(relation, (CompositeForeignKey, ReverseRelation)) and not relation.many else None


def _not_joinable(info: ModelInfo, name: str, path: str) -> str:
    if (name in info.relations and info.relations[name].many) or (name in info.accessors and info.accessors[name].many):
        return (
            f"select_related({path!r}): {info.name}.{name} leads to many rows, which a join would multiply. "
            f"Use prefetch_related({path!r})."
        )
    choices = sorted(name for name in (*info.fields, *info.relations) if joinable(info, name) is not None)
    return (
        f"select_related({path!r}): {info.name}.{name} is not a relation. "
        f"The relations of {info.name} are: {', '.join(choices) or 'none'}."
    )


def _shared_key(info: ModelInfo) -> tuple[str, ...]:
    """The attributes that identify a related instance; none if a key is not hashable, such as an array."""
    if not all(field.is_hashable for field in info.pk_fields):
        return ()
    return tuple(field.attname for field in info.pk_fields)


Shape = Literal["dicts", "tuples", "named", "flat"]


@dataclass(frozen=True)
class Columns(Projection):
    """Columns that `values()` or `values_list()` names, as dicts, tuples, named tuples or single values."""

    shape: Shape
    names: tuple[str, ...]
    terms: tuple[Term, ...]
    widths: tuple[int, ...] | None = None
    """The number of terms of each name: several are a composite key, whose value is a tuple. None: one each."""

    @classmethod
    def of(cls, resolver: Resolver, shape: Shape, fields: Iterable[Any], named: dict[str, Any]) -> Columns:
        """The columns of these names and expressions; if there are none, all columns of the model."""
        keys: list[str] = []
        terms: list[tuple[Term, ...]] = []
        selected = list(fields)
        if not selected and not named:
            selected = [field.attname for field in resolver.info.fields.values()]
            selected += [
                name for name, annotation in resolver.annotations.items() if getattr(annotation, "selectable", True)
            ]
        for field in selected:
            column = _column(resolver, field)
            if isinstance(field, str):
                name = field
                if isinstance(column[0], AnnotationTerm) and not column[0].selectable:
                    raise FieldError(f"{field!r} is an alias(), which is not selected: annotate() it instead.")
            else:
                name = "__".join(getattr(field, "_path", ())) or f"column{len(keys) + 1}"
            keys.append(name)
            terms.append(column)
        for name, expression in named.items():
            keys.append(name)
            terms.append(_column(resolver, expression))
        if shape == "named":
            _check_attributes(keys)
        if shape == "flat" and len(keys) != 1:
            raise QueryError(f"values_list(flat=True) takes exactly one field, got {len(keys)}.")
        flat = tuple(term for column in terms for term in column)
        widths = None if len(flat) == len(terms) else tuple(map(len, terms))
        return cls(shape, tuple(keys), flat, widths)

    @property
    def field(self) -> Field[Any]:
        (term,) = self.terms
        field: Field[Any] = term.field
        return field

    def selected(self, resolver: Resolver) -> tuple[Term, ...]:
        return self.terms

    @property
    def width(self) -> int:
        return len(self.terms)

    def adding(self, name: str, term: Term) -> Columns:
        """With one more column."""
        widths = None if self.widths is None else (*self.widths, 1)
        return replace(self, names=(*self.names, name), terms=(*self.terms, term), widths=widths)

    def position(self, name: str) -> int:
        """The position of the column with this name. Raises `QueryError` for a composite key."""
        index = self.names.index(name)
        if self.widths is None:
            return index
        if self.widths[index] > 1:
            raise QueryError(f"{name!r} is a key of several columns: name one of its fields.")
        return sum(self.widths[:index])

    @memoized_property
    def key(self) -> Hashable:
        return (self.shape, self.names, tuple(term.key for term in self.terms), self.widths)

    @property
    def values(self) -> tuple[Any, ...]:  # type: ignore[override]
        return tuple(value for term in self.terms for value in term.values)

    def columns(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        return [rendering.render_once(term) for term in self.terms]

    def reader(self, processors: Sequence[Process | None], trailing_columns: int) -> Reader:
        if self.shape == "dicts":
            return read_dicts(self.names, processors, trailing_columns, self.widths)
        if self.shape == "named":
            return read_named_tuples(self.names, processors, trailing_columns, self.widths)
        return (read_values if self.shape == "flat" else read_tuples)(processors, trailing_columns, self.widths)


def _column(resolver: Resolver, expression: Any) -> tuple[Term, ...]:
    """The terms that a name or expression selects: several for a composite key."""
    try:
        if isinstance(expression, str):
            return (resolver.name(expression, "a column"),)
        return (resolver.expression(expression, "a column"),)
    except (FieldError, QueryError):
        parts = key_parts(resolver.info, expression)
        if parts is None:
            raise
        return tuple(resolver.expression(part, "a column") for part in parts)


def _check_attributes(names: Sequence[str]) -> None:
    """Raise `QueryError` unless these names can be the attributes of a named tuple."""
    for position, name in enumerate(names):
        if not name.isidentifier() or iskeyword(name) or name.startswith("_") or name in names[:position]:
            raise QueryError(f"values_list(named=True): {name!r} is not a valid attribute name, or occurs twice.")


def one_column(info: ModelInfo, field: Field[Any] | None) -> Columns:
    """The projection to one column: `field` of the model, or its primary key."""
    if field is None:
        if len(info.pk_fields) > 1:
            raise QueryError(
                f"{info.name} has a composite primary key, so a query of it stands for no single value: "
                "choose one column with values_list()."
            )
        field = info.pk_fields[0]
    term = PathTerm(resolve_path(info, field.attname, "a column"))
    return Columns("flat", (field.name,), (term,))
