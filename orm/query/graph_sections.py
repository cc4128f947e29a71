"""Sections: the queries of a graph, one for the root's rows and one for the rows of each relation.

A section selects its rows by the keys of its parent section, which stay in the database as a common table expression.
So no section waits for another one's rows, and one round trip brings them all. See `plans/graph.py`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.exceptions import NotSupportedError, QueryError
from orm.fields import Field
from orm.functions.math import Random
from orm.lookups.base import Prepared
from orm.query.columns import Columns
from orm.query.conditions.base import EVERYTHING, IS_NULL, LookupPredicate, Predicate, and_
from orm.query.paths import resolve_path
from orm.query.prefetch_tree import Branch
from orm.query.projection import Instances
from orm.query.query import Query
from orm.query.related_rows import LimitedPerOwner, always_has_owner, owner_key_paths_of, selects_whole_table
from orm.query.rendering import BindNumbering, Rendering
from orm.query.resolving.resolver import Resolver, primary_key_ordering
from orm.query.set_operations import Combination
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.computed import FuncTerm
from orm.relations import ManyToManySide, Relation
from orm.relations.attaching import local_fields, remote_fields
from orm.rows.readers import Entity

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

KeyTable = tuple[Literal["keys", "pairs"], int]
"""A table of keys that a graph's statements share: what its rows are, and the number of its section."""


class KeyTables(BindNumbering):
    """The numbering of binds for statements that share key tables."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[KeyTable, sqlalchemy.CTE] = {}


class InKeyTable(Predicate):
    """The terms have the values of these columns in one of the rows of a key table."""

    def __init__(self, terms: Sequence[Term], table: KeyTable, columns: tuple[int, ...]) -> None:
        self.terms = tuple(terms)
        self.table = table
        self.columns = columns
        self.key: Hashable = ("in key table", tuple(term.key for term in terms), table, columns)

    def leaves(self) -> tuple[Term, ...]:
        return tuple(leaf for term in self.terms for leaf in term.leaves())

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        binds = rendering.binds
        assert isinstance(binds, KeyTables)
        table = binds.tables[self.table]
        keys = sqlalchemy.select(*(table.c[f"c{column}"] for column in self.columns))
        columns = [term.render(rendering, required=required) for term in self.terms]
        return columns[0].in_(keys) if len(columns) == 1 else sqlalchemy.tuple_(*columns).in_(keys)


@dataclass(frozen=True)
class Section:
    """The rows of a graph's root, or of one relation of it; to its reader, a `orm.rows.graph_readers.SectionShape`.

    The owner of a row is told by the row's `remote_fields`. Over a many-to-many relation it is told by `pairs` of keys,
    the owner's first, of which `remote_fields` are the row's.
    """

    path: str
    """The relations from the root: ``posts__comments``, empty for the root."""
    branch: Branch | None
    """None: the root."""
    parent: int
    """The number of the section with the owners of the rows."""
    original: Query
    """The query of the relation, before it is limited to the rows of the owners."""
    rows: Query
    """The query that selects the rows."""
    remote_fields: tuple[Field[Any], ...] = ()
    local_fields: tuple[Field[Any], ...] = ()
    """The owners' fields that have the same values as `remote_fields`, or as the first half of each pair."""
    child_fields: tuple[Field[Any], ...] = ()
    """The `local_fields` of all sections that are attached to this one."""
    child_keys: Query | None = None
    """Selects the values of `child_fields`; None if no section is attached."""
    pairs: Query | None = None
    """Selects the pairs of a many-to-many relation, in any order."""
    ordered_pairs: Query | None = None
    """Selects them in the order of the rows, if the rows have one."""
    has_all_rows: bool = False
    """Whether its rows are all of the model's, so that a row that must have an owner has it here."""

    @property
    def instances(self) -> Instances:
        """The projection of the rows."""
        projection = self.rows.projection
        assert isinstance(projection, Instances)
        return projection

    @property
    def relation(self) -> Relation | None:
        """The relation from the owners to the rows; None for the root."""
        return None if self.branch is None else self.branch.relation

    @property
    def to_attr(self) -> str | None:
        """The attribute of the owners that takes the rows; None for the relation itself."""
        return None if self.branch is None else self.branch.to_attr

    @property
    def entities(self) -> list[Entity]:
        """The columns of the section's model in each row, and those of the models joined to it."""
        return self.instances.entities()

    @property
    def annotations(self) -> dict[str, Field[Any]]:
        """The annotations of the instances, by name."""
        return {name: self.original.annotations[name].term.field for name in self.instances.annotations}

    @property
    def is_unique(self) -> bool:
        """Whether no row can come twice, because no relation to many is joined."""
        query = self.original
        ordered_by = (leaf for term in query.order for leaf in term.term.leaves())
        return not query.joins.highest and not query.cte_joins and not any(leaf.many for leaf in ordered_by)

    @property
    def has_suppressed(self) -> bool:
        """Whether relations of the instances are suppressed."""
        return bool(self.original.suppressed)

    def queries(self) -> Iterator[Query]:
        """Its queries, in the order in which they are rendered."""
        for query in (self.pairs, self.ordered_pairs, self.child_keys, self.rows):
            if query is not None:
                yield query

    @property
    def key(self) -> Hashable:
        """Its share of the plan's key: what the plan has of it, for its SQL and for its readers."""
        queries = (self.pairs, self.ordered_pairs, self.child_keys, self.rows)
        keys = tuple(None if query is None else query.key for query in queries)
        return (self.relation, self.to_attr, self.parent, self.has_suppressed, keys)


def sections_of(query: Query, branches: Iterable[Branch], max_rows: int | None) -> list[Section]:
    """The sections of a query with these branches, each after the one that it is attached to.

    A slice of the query is cut to one row more than `max_rows`. Raises `QueryError` and `NotSupportedError` for queries
    that cannot be part of a graph.
    """
    return _Sections(max_rows).of(query, tuple(branches))


def values_of(sections: Iterable[Section]) -> tuple[Any, ...]:
    """The arguments of all sections, in the order in which they are rendered."""
    return tuple(value for section in sections for query in section.queries() for value in query.values)


class _Sections:
    """Builds the sections of one graph."""

    def __init__(self, max_rows: int | None) -> None:
        self._max_rows = max_rows
        self._sections: list[Section] = []

    def of(self, query: Query, branches: tuple[Branch, ...]) -> list[Section]:
        check_query(query)
        original = query
        if query.is_limited:
            query = _deterministic_slice(query)
            query = query if self._max_rows is None else query.slice(0, self._max_rows + 1)
        child_fields = _child_fields(branches)
        root = Section(
            path="",
            branch=None,
            parent=0,
            original=original,
            rows=query.replace(branches=(), projection=_with_fields(query, child_fields)),
            child_fields=child_fields,
            child_keys=_child_keys(query, child_fields),
            has_all_rows=selects_whole_table(original),
        )
        self._sections.append(root)
        self._add_branches(branches, "", 0)
        return self._sections

    def _add_branches(self, branches: tuple[Branch, ...], path: str, parent: int) -> None:
        for branch in branches:
            number = len(self._sections)
            name = f"{path}__{branch.name}" if path else branch.name
            check_query(branch.query, name)
            make = self._paired_section if isinstance(branch.relation, ManyToManySide) else self._keyed_section
            self._sections.append(make(branch, name, number, parent))
            self._add_branches(branch.branches, name, number)

    def _keyed_section(self, branch: Branch, path: str, number: int, parent: int) -> Section:
        """The section of rows that have their owner's key."""
        query, owner_keys = self._rows_of_owners(branch, parent)
        child_fields = _child_fields(branch.branches)
        fields = remote_fields(branch.relation)
        projection = _with_fields(query, (*fields, *child_fields))
        if query.is_limited:
            query = _deterministic_slice(query)
            rows: Query = LimitedPerOwner.of(query.replace(projection=projection), owner_keys)
            keys: Query | None = (
                LimitedPerOwner.of(_select_fields(query, child_fields), owner_keys) if child_fields else None
            )
        else:
            rows = query.replace(projection=projection)
            keys = _child_keys(query, child_fields)
        return Section(
            path=path,
            branch=branch,
            parent=parent,
            original=branch.query,
            rows=rows,
            remote_fields=fields,
            local_fields=local_fields(branch.relation),
            child_fields=child_fields,
            child_keys=keys,
            has_all_rows=self._has_all_owners(branch.relation, parent) and selects_whole_table(branch.query),
        )

    def _paired_section(self, branch: Branch, path: str, number: int, parent: int) -> Section:
        """The section of rows that a through table pairs with their owners."""
        relation = branch.relation
        assert isinstance(relation, ManyToManySide)
        target = relation.target._meta
        fields = target.fields_of_columns(relation.remote_key.remote_columns)
        child_fields = _child_fields(branch.branches)
        query = branch.query
        ordered_pairs: Query | None = None
        if selects_whole_table(query) and not query.order:
            pairs = self._all_pairs(relation, parent)
        else:
            rows_of_owners, owner_keys = self._rows_of_owners(branch, parent)
            if query.is_limited:
                paired = _select_fields(_deterministic_slice(rows_of_owners), fields, owner_keys)
                pairs = ordered_pairs = LimitedPerOwner.of(paired, owner_keys)
            else:
                paired = _select_fields(rows_of_owners, fields, owner_keys)
                pairs = paired.replace(ordering=())
                ordered_pairs = paired if paired.order else None
        resolver = query.resolver()
        keys = [resolver.column(resolve_path(target, field.attname, "a key")) for field in fields]
        width = len(local_fields(relation))
        is_paired = InKeyTable(keys, ("pairs", number), tuple(range(width, width + len(fields))))
        rows = query.replace(where=and_(query.where, is_paired), ordering=(), offset=0, stop=None)
        return Section(
            path=path,
            branch=branch,
            parent=parent,
            original=query,
            rows=rows.replace(projection=_with_fields(rows, (*fields, *child_fields))),
            remote_fields=fields,
            local_fields=local_fields(relation),
            child_fields=child_fields,
            child_keys=_child_keys(rows, child_fields),
            pairs=pairs,
            ordered_pairs=ordered_pairs,
        )

    def _rows_of_owners(self, branch: Branch, parent: int) -> tuple[Query, tuple[PathTerm, ...]]:
        """The rows whose owners are in the section `parent`, and the terms for their owners' keys."""
        query = branch.query
        resolver = query.replace(shares_joins=False).filter_resolver()
        owner_keys = tuple(resolver.column(path) for path in owner_key_paths_of(branch.relation))
        where = query.where
        if not self._has_all_owners(branch.relation, parent):
            columns = self._key_columns(branch.relation, parent)
            where = and_(where, InKeyTable(owner_keys, ("keys", parent), columns))
        return query.with_joins(resolver.joins, where=where), owner_keys

    def _has_all_owners(self, relation: Relation, parent: int) -> bool:
        """Whether the section `parent` has the owners of all rows, so that these need no condition on their key."""
        return always_has_owner(relation) and self._sections[parent].has_all_rows

    def _all_pairs(self, relation: ManyToManySide, parent: int) -> Query:
        """The pairs of keys as the through table has them."""
        info = relation.through._meta
        resolver = Resolver(info)
        local, remote = (
            tuple(
                resolver.column(resolve_path(info, field.attname, "a key"))
                for field in info.fields_of_columns(key.local_columns)
            )
            for key in (relation.local_key, relation.remote_key)
        )
        where: Predicate = EVERYTHING
        if relation.local_key.allow_null or not self._sections[parent].has_all_rows:
            where = InKeyTable(local, ("keys", parent), self._key_columns(relation, parent))
        for term in remote if relation.remote_key.allow_null else ():
            where = and_(where, LookupPredicate(term, IS_NULL, Prepared((), variant=False)))
        return Query(info, _numbered_columns((*local, *remote)), where, ordering=())

    def _key_columns(self, relation: Relation, parent: int) -> tuple[int, ...]:
        """The columns with the relation's local fields in the key table of the section `parent`."""
        child_fields = self._sections[parent].child_fields
        return tuple(child_fields.index(field) for field in local_fields(relation))


def _child_fields(branches: Iterable[Branch]) -> tuple[Field[Any], ...]:
    """The fields that the rows of these branches are attached by."""
    return tuple(dict.fromkeys(field for branch in branches for field in local_fields(branch.relation)))


def _with_fields(query: Query, fields: Iterable[Field[Any]]) -> Instances:
    """The query's projection with these fields, whatever ``only()`` and ``defer()`` say."""
    assert isinstance(query.projection, Instances)
    return query.projection.with_required((), fields)


def _select_fields(query: Query, fields: Iterable[Field[Any]], before: tuple[PathTerm, ...] = ()) -> Query:
    """The query with only the columns of `before` and of these fields."""
    resolver = query.resolver()
    info: ModelInfo = query.info
    terms = (*before, *(resolver.column(resolve_path(info, field.attname, "a key")) for field in fields))
    return query.replace(projection=_numbered_columns(terms))


def _numbered_columns(terms: tuple[Term, ...]) -> Columns:
    return Columns("tuples", tuple(f"c{i}" for i in range(len(terms))), terms)


def _deterministic_slice(query: Query) -> Query:
    """The query ordered by primary key as well, so that its slice is the same each time."""
    return query.replace(ordering=(*query.order, *primary_key_ordering(query.info)))


def _child_keys(query: Query, child_fields: tuple[Field[Any], ...]) -> Query | None:
    """The values of these fields of the query's rows, None if there are no fields."""
    if not child_fields:
        return None
    return _select_fields(query if query.is_limited else query.replace(ordering=()), child_fields)


def check_query(query: Query, path: str = "") -> None:
    """Raise `QueryError` or `NotSupportedError` unless the query can be in a graph, at `path` (empty: as the root)."""
    name = f"{path!r} in a graph()" if path else f"A graph() of {query.info.name}"
    if isinstance(query, Combination):
        raise NotSupportedError(f"{name} cannot follow {query.operation}(): narrow by keys instead.")
    if not isinstance(query.projection, Instances):
        raise QueryError(f"{name} is of instances, not of values(): leave that out, or use as_dicts().")
    if query.lock is not None:
        raise QueryError(f"{name} cannot lock rows: lock them by a query of their own before.")
    if query.ctes:
        raise NotSupportedError(f"{name} cannot have common table expressions: narrow by keys instead.")
    if path and query.distinct_on:
        raise QueryError(f"{name} cannot be distinct() in single fields.")
    if query.is_limited and any(_is_random(term.term) for term in query.order):
        raise QueryError(f"{name} cannot be a slice in random order: choose the keys first, and narrow by them.")


def _is_random(term: Term) -> bool:
    if isinstance(term, FuncTerm):
        return isinstance(term.function, Random) or any(_is_random(argument) for argument in term.arguments)
    return False
