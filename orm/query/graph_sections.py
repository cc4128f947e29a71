"""Sections: a query and everything that hangs on it, each relation's rows by a query of their own.

A section finds its rows by the keys of the section that it hangs on, in a table of keys that the database makes and
nobody reads: so the sections need not wait for each other's rows, and one trip brings them all. See `graph.py`.
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
from orm.query.conditions.base import EVERYTHING, IS_NULL, LookupPredicate, Predicate, both
from orm.query.paths import resolve_path
from orm.query.prefetch_tree import Branch
from orm.query.projection import Columns, Instances
from orm.query.query import Query
from orm.query.related_rows import LimitedPerOwner, is_owned_wholly, paths_to, selects_whole_table
from orm.query.rendering import BindNumbering, Rendering
from orm.query.resolving.resolve import primary_key_ordering
from orm.query.set_operations import Combination
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.computed import FuncTerm
from orm.relations import ManyToManySide, Relation, fields_of
from orm.relations.attaching import local_fields, remote_fields

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

Source = tuple[Literal["keys", "pairs"], int]
"""A table of keys: of what a section's rows lead to, or of the pairs that lead to them; and the section's number."""


class KeyTables(BindNumbering):
    """Binds of statements that share tables of keys."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[Source, sqlalchemy.CTE] = {}


class AmongKeys(Predicate):
    """Columns have the values of these columns of a row in a table of keys."""

    def __init__(self, terms: Sequence[Term], source: Source, columns: tuple[int, ...]) -> None:
        self.terms = tuple(terms)
        self.source = source
        self.columns = columns
        self.key: Hashable = ("among keys", tuple(term.key for term in terms), source, columns)

    def leaves(self) -> tuple[Term, ...]:
        return tuple(leaf for term in self.terms for leaf in term.leaves())

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        binds = rendering.binds
        assert isinstance(binds, KeyTables)
        table = binds.tables[self.source]
        keys = sqlalchemy.select(*(table.c[f"c{column}"] for column in self.columns))
        found = [term.render(rendering, required=required) for term in self.terms]
        return found[0].in_(keys) if len(found) == 1 else sqlalchemy.tuple_(*found).in_(keys)


@dataclass(frozen=True)
class Section:
    """The rows of a graph's root, or of one relation of it.

    What a row belongs to is in its `links`, or in `pairs` of keys: the remote side's after the local side's.
    """

    path: str
    """The relations from the root: ``posts__comments``, empty for the root."""
    branch: Branch | None
    """None: the root."""
    parent: int
    """The number of the section that it hangs on."""
    given: Query
    """The query as it was given."""
    query: Query
    """The rows."""
    links: tuple[Field[Any], ...] = ()
    """The fields of a row by which it is attached."""
    local: tuple[Field[Any], ...] = ()
    """The fields of the row that it is attached to, which have the same values."""
    outgoing: tuple[Field[Any], ...] = ()
    """The fields by which others will be attached to it."""
    keys: Query | None = None
    """Their values; None if nothing hangs on it."""
    pairing: Query | None = None
    """Over a relation by pairs: the pairs, in no order."""
    pairs: Query | None = None
    """The pairs in the order of the rows, where those have one."""
    whole: bool = False
    """Whether its rows are all that the model has: then every row that must point at one is its own."""

    @property
    def instances(self) -> Instances:
        """What the rows become."""
        projection = self.query.projection
        assert isinstance(projection, Instances)
        return projection

    @property
    def unique(self) -> bool:
        """Whether it is known that no row comes twice: no relation to many is joined."""
        given = self.given
        ordered_by = (leaf for term in given.order for leaf in term.term.leaves())
        return not given.reached and not given.cte_joins and not any(leaf.many for leaf in ordered_by)

    def queries(self) -> Iterator[Query]:
        """Its queries, in the order in which they are rendered."""
        for query in (self.pairing, self.pairs, self.keys, self.query):
            if query is not None:
                yield query

    @property
    def key(self) -> Hashable:
        """Its share of the graph's shape."""
        where = None if self.branch is None else (self.branch.relation, self.branch.to_attr)
        parts = (self.pairing, self.pairs, self.keys, self.query)
        # Of suppressed relations the reader only knows whether there are any: it then returns the instances.
        suppressed = bool(self.given.suppressed)
        return (where, self.parent, suppressed, tuple(None if query is None else query.key for query in parts))


def sections_of(query: Query, branches: Iterable[Branch], most: int | None) -> list[Section]:
    """The sections of a query with these branches, each after the one that it hangs on.

    A slice has at most one row more than `most`. Raises `QueryError` and `NotSupportedError` for queries that cannot be
    part of a graph.
    """
    return _Sections(most).of(query, tuple(branches))


def values_of(sections: Iterable[Section]) -> tuple[Any, ...]:
    """The arguments of all sections, in the order in which they are rendered."""
    return tuple(value for section in sections for query in section.queries() for value in query.values)


class _Sections:
    """Makes the sections of one graph."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._found: list[Section] = []

    def of(self, query: Query, branches: tuple[Branch, ...]) -> list[Section]:
        check_query(query)
        outgoing = outgoing_fields(branches)
        given = query
        if query.is_limited:
            query = _settled(query)
            query = query if self._most is None else query.slice(0, self._most + 1)
        rows = query.replace(branches=(), projection=needing(query, outgoing))
        keys = _keys(query, outgoing)
        whole = selects_whole_table(given)
        self._found.append(Section("", None, 0, given, rows, outgoing=outgoing, keys=keys, whole=whole))
        self._add_branches(branches, "", 0)
        return self._found

    def _add_branches(self, branches: tuple[Branch, ...], path: str, parent: int) -> None:
        for branch in branches:
            number = len(self._found)
            name = f"{path}__{branch.name}" if path else branch.name
            check_query(branch.query, name)
            add = self._paired if isinstance(branch.relation, ManyToManySide) else self._linked
            self._found.append(add(branch, name, number, parent))
            self._add_branches(branch.branches, name, number)

    def _linked(self, branch: Branch, path: str, number: int, parent: int) -> Section:
        """The section of rows that have a key in themselves."""
        query, links = self._belonging(branch, parent)
        outgoing = outgoing_fields(branch.branches)
        remote = remote_fields(branch.relation)
        rows = query.replace(projection=needing(query, (*remote, *outgoing)))
        if query.is_limited:
            query = _settled(query)
            rows = LimitedPerOwner.of(query.replace(projection=rows.projection), links)
            keys: Query | None = LimitedPerOwner.of(_selecting(query, outgoing), links) if outgoing else None
        else:
            keys = _keys(query, outgoing)
        whole = self._are_all_owned(branch.relation, parent) and selects_whole_table(branch.query)
        local = local_fields(branch.relation)
        return Section(path, branch, parent, branch.query, rows, remote, local, outgoing, keys, whole=whole)

    def _paired(self, branch: Branch, path: str, number: int, parent: int) -> Section:
        """The section of rows that another table pairs with those that they belong to."""
        relation = branch.relation
        assert isinstance(relation, ManyToManySide)
        target = relation.target._meta
        remote = fields_of(target, relation.remote_key.remote_columns)
        outgoing = outgoing_fields(branch.branches)
        query = branch.query
        pairs: Query | None = None
        if _is_plain(query):
            pairing = self._through(relation, parent)
        else:
            rows_of_owners, links = self._belonging(branch, parent)
            paired = _selecting(_settled(rows_of_owners) if query.is_limited else rows_of_owners, remote, links)
            if query.is_limited:
                pairing = pairs = LimitedPerOwner.of(paired, links)
            else:
                pairing = paired.replace(ordering=())
                pairs = paired if paired.order else None
        names = query.names()
        keys = [names.path_term(resolve_path(target, field.attname, "a key")) for field in remote]
        width = len(local_fields(relation))
        among = AmongKeys(keys, ("pairs", number), tuple(range(width, width + len(remote))))
        rows = query.replace(where=both(query.where, among), ordering=(), offset=0, stop=None)
        return Section(
            path,
            branch,
            parent,
            query,
            rows.replace(projection=needing(rows, (*remote, *outgoing))),
            links=remote,
            local=local_fields(relation),
            outgoing=outgoing,
            keys=_keys(rows, outgoing),
            pairing=pairing,
            pairs=pairs,
        )

    def _belonging(self, branch: Branch, parent: int) -> tuple[Query, tuple[PathTerm, ...]]:
        """The rows that belong to those of the section `parent`, and the columns that say to which."""
        query = branch.query
        names = query.replace(same_scope=False).names(own_scope=True)
        links = tuple(names.path_term(path) for path in paths_to(branch.relation))
        where = query.where
        if not self._are_all_owned(branch.relation, parent):
            where = both(where, AmongKeys(links, ("keys", parent), self._columns(branch.relation, parent)))
        return query.with_scope(names, where=where), links

    def _are_all_owned(self, relation: Relation, parent: int) -> bool:
        """Whether each row of the target surely belongs to a row of the section `parent`: no key need be looked for."""
        return is_owned_wholly(relation) and self._found[parent].whole

    def _through(self, relation: ManyToManySide, parent: int) -> Query:
        """The pairs of keys, as their table has them."""
        info = relation.through._meta
        names = Query(info, Instances(info)).names()
        local, remote = (
            tuple(
                names.path_term(resolve_path(info, field.attname, "a key"))
                for field in fields_of(info, key.local_columns)
            )
            for key in (relation.local_key, relation.remote_key)
        )
        where: Predicate = EVERYTHING
        if relation.local_key.allow_null or not self._found[parent].whole:
            where = AmongKeys(local, ("keys", parent), self._columns(relation, parent))
        for term in remote if relation.remote_key.allow_null else ():
            where = both(where, LookupPredicate(term, IS_NULL, Prepared((), variant=False)))
        terms = (*local, *remote)
        return Query(info, Columns("tuples", tuple(f"c{i}" for i in range(len(terms))), terms), where, ordering=())

    def _columns(self, relation: Relation, parent: int) -> tuple[int, ...]:
        """Where the keys that the relation starts from are in the table of keys of the section `parent`."""
        outgoing = self._found[parent].outgoing
        return tuple(outgoing.index(field) for field in local_fields(relation))


def outgoing_fields(branches: Iterable[Branch]) -> tuple[Field[Any], ...]:
    """The fields by which the rows of these branches are attached."""
    return tuple(dict.fromkeys(field for branch in branches for field in local_fields(branch.relation)))


def needing(query: Query, fields: Iterable[Field[Any]]) -> Instances:
    """What the query's rows become, these fields included."""
    assert isinstance(query.projection, Instances)
    return query.projection.needing((), fields)


def _selecting(query: Query, fields: Iterable[Field[Any]], before: tuple[PathTerm, ...] = ()) -> Query:
    """The query for `before` and these fields only."""
    names = query.names()
    info: ModelInfo = query.info
    terms = (*before, *(names.path_term(resolve_path(info, field.attname, "a key")) for field in fields))
    return query.replace(projection=Columns("tuples", tuple(f"c{i}" for i in range(len(terms))), terms))


def _settled(query: Query) -> Query:
    """A slice of the query, of which it is settled which rows it has, however often it is taken."""
    return query.replace(ordering=(*query.order, *primary_key_ordering(query.info)))


def _keys(query: Query, outgoing: tuple[Field[Any], ...]) -> Query | None:
    """The values of these fields of the query's rows, None if there are no fields."""
    if not outgoing:
        return None
    return _selecting(query if query.is_limited else query.replace(ordering=()), outgoing)


def _is_plain(query: Query) -> bool:
    """Whether the query is of all rows, in no order."""
    return selects_whole_table(query) and not query.order


def check_query(query: Query, path: str = "") -> None:
    """Raise unless the query can be the root of a graph, or the part of it at this path."""
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
