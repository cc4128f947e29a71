"""The rows that belong to given instances over a relation: all of them, or the first few of each instance's."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import sqlalchemy

from orm.exceptions import NotSupportedError, QueryError
from orm.lookups.base import In, Prepared
from orm.query.conditions.base import EVERYTHING, LookupPredicate, and_
from orm.query.conditions.related_to import owner_key_paths
from orm.query.ordering import ClauseOrder, OrderTerm
from orm.query.paths import Path
from orm.query.projection import Instances, Projection
from orm.query.query import Query
from orm.query.rendering import Rendering
from orm.query.set_operations import Combination
from orm.query.terms.base import Term
from orm.relations import ManyToManySide, Relation, ReverseRelation
from orm.relations.attaching import reverse_attribute_of_new
from orm.rows.readers import Process, Reader
from orm.utils.memoized import memoized_property

IN = In()
# A path takes part in a query's shape by its identity.
paths_to = lru_cache(2_000)(owner_key_paths)


@dataclass(frozen=True)
class WithOwnerKey(Projection):
    """Instances, each row with the key of the one that it belongs to, into whose list it goes.

    The same row of the database may belong to several, and is one instance then, unless what it has besides its
    columns may differ.
    """

    inner: Instances
    links: tuple[Term, ...]

    @property
    def plain(self) -> Projection:
        return self.inner

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.inner.names

    @property
    def beside(self) -> tuple[Term, ...]:
        return self.links

    @property
    def key(self) -> Hashable:  # type: ignore[override]
        return ("linked", self.inner.key, tuple(link.key for link in self.links))

    def columns(self, rendering: Rendering) -> list[sqlalchemy.ColumnElement[Any]]:
        return [*self.inner.columns(rendering), *(link.render(rendering) for link in self.links)]

    def reader(self, processors: Sequence[Process | None], hidden: int) -> Reader:
        return self.inner.reader(processors, hidden, links=len(self.links))


@dataclass(frozen=True)
class WithExtraColumns(Projection):
    """Another projection's columns, and more that only the query around it reads."""

    inner: Projection
    extra: tuple[Term, ...]

    @property
    def plain(self) -> Projection:
        return self.inner.plain

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.inner.names

    @property
    def beside(self) -> tuple[Term, ...]:
        return self.extra

    @property
    def key(self) -> Hashable:  # type: ignore[override]
        return ("beside", self.inner.key, tuple(term.key for term in self.extra))

    @property
    def values(self) -> tuple[Any, ...]:  # type: ignore[override]
        return (*self.inner.values, *(value for term in self.extra for value in term.values))

    def columns(self, rendering: Rendering) -> list[sqlalchemy.ColumnElement[Any]]:
        return [*self.inner.columns(rendering), *(rendering.once(term) for term in self.extra)]


@dataclass(frozen=True)
class LimitedPerOwner(Query):
    """The rows `offset` to `stop` of each instance's rows in a query."""

    rows: Query | None = None
    """All the rows, unordered, each with what it is ordered by and whom it belongs to."""
    places: tuple[OrderTerm, ...] = ()
    links: tuple[Term, ...] = ()

    @classmethod
    def of(cls, query: Query, links: tuple[Term, ...]) -> LimitedPerOwner:
        """The query's slice, taken of the rows of each instance that `links` tell apart."""
        order = query.with_order().order
        beside = WithExtraColumns(query.projection, (*(place.term for place in order), *links))
        rows = query.replace(projection=beside, ordering=(), offset=0, stop=None)
        return cls(
            query.info, query.projection, offset=query.offset, stop=query.stop, rows=rows, places=order, links=links
        )

    @memoized_property
    def key(self) -> Hashable:
        """The shape."""
        assert self.rows is not None
        places = tuple((place.descending, place.nulls) for place in self.places)
        return ("first of each", self.rows.key, places, self.offset > 0, self.stop is None)

    @memoized_property
    def values(self) -> tuple[Any, ...]:
        """The arguments: the rows', and the bounds."""
        assert self.rows is not None
        bounds = ([self.offset] if self.offset else []) + ([self.stop] if self.stop is not None else [])
        return (*self.rows.values, *bounds)

    @property
    def is_empty(self) -> bool:
        """Whether it is known, without asking, that no row can be found."""
        assert self.rows is not None
        return self.rows.is_empty or super().is_empty

    def select(self, rendering: Rendering) -> sqlalchemy.Select[Any]:
        """The rows, numbered among those of the same instance, of which so many are taken."""
        assert self.rows is not None
        statement = self.rows.select(rendering)
        labelled = [column.label(f"c{i}") for i, column in enumerate(statement.selected_columns)]
        columns = list(statement.with_only_columns(*labelled, maintain_column_froms=True).subquery().columns)
        width = len(columns) - len(self.places) - len(self.links)
        outer = Rendering(self.info, rendering.binds)
        for term, column in zip((*(place.term for place in self.places), *self.links), columns[width:], strict=True):
            outer.know(term, column)
        number = sqlalchemy.func.row_number().over(
            partition_by=[outer.once(link) for link in self.links],
            order_by=[element for place in self.places for element in place.render(outer)],
        )
        numbered = sqlalchemy.select(*columns[:width], number.label("number")).subquery()
        found = sqlalchemy.select(*list(numbered.columns)[:width]).order_by(numbered.c.number)
        if self.offset:
            found = found.where(numbered.c.number > rendering.bind(sqlalchemy.Integer()))
        if self.stop is not None:
            found = found.where(numbered.c.number <= rendering.bind(sqlalchemy.Integer()))
        rendering.selected = width
        return found


def check_related_query(relation: Relation, query: Query, what: str) -> None:
    """Raise unless these rows can be loaded for the instances that have the relation. `what` loads them."""
    name = query.info.name
    of = f"{what}: the queryset of {relation.accessor!r}"
    if query.info is not relation.target._meta:
        raise QueryError(f"{what}: {relation!r} leads to {relation.target.__name__}, not to {name}.")
    if not isinstance(query.projection, Instances):
        raise QueryError(f"{of} gives {name} instances, not values.")
    if isinstance(query, Combination):
        raise NotSupportedError(f"{of} cannot be one after {query.operation}().")
    if query.is_limited:
        if not relation.many:
            raise QueryError(f"{of}, which leads to one {name}, takes no slice.")
        if query.distinct_on:
            raise QueryError(f"{of} cannot have a slice and be distinct() in single fields.")
        if query.lock is not None:
            raise QueryError(f"{of} cannot have a slice and lock its rows.")
        if any(isinstance(term, ClauseOrder) for term in query.order):
            raise QueryError(f"{of} has a slice: it is ordered by fields and expressions, not by SQLAlchemy clauses.")


def rows_of_owners(relation: Relation, query: Query, keys: Sequence[Any] | None) -> Query:
    """The query's rows that belong to the instances with these keys, its slice taken of each one's rows.

    They are read into lists by key. For a key of several columns there may be rows too many, which belong to nobody.
    `keys` may be None for all the instances that there are, unless `must_filter_by_owner` says otherwise.
    """
    paths: tuple[Path, ...] = paths_to(relation)
    # As in Django: what the query has joined of the relation already is about the same pair.
    resolver = query.resolver()
    links = tuple(resolver.column(path) for path in paths)
    where = query.where
    for link, values in zip(links, _by_column(keys, len(links)), strict=False):
        where = and_(where, LookupPredicate(link, IN, Prepared((values,))))
    projection = query.projection
    assert isinstance(projection, Instances)
    if isinstance(relation, ManyToManySide):
        found = query.with_joins(resolver.joins, where=where, projection=WithOwnerKey(projection, links))
    else:
        fields = [link.path.stored for link in links]
        projection = replace(
            projection.needing((), fields),
            listed_by=tuple(field.attname for field in fields),
            back=reverse_attribute_of_new(relation, projection.related) if relation.many else None,
            returned=bool(query.branches),
        )
        found = query.with_joins(resolver.joins, where=where, projection=projection)
    return LimitedPerOwner.of(found, links) if query.is_limited else found


def _by_column(keys: Sequence[Any] | None, width: int) -> list[tuple[Any, ...]]:
    """The values of each column of the keys, for a key of so many."""
    if keys is None:
        return []
    return [tuple(keys)] if width == 1 else [tuple(dict.fromkeys(part)) for part in zip(*keys, strict=True)]


def selects_whole_table(query: Query) -> bool:
    """Whether the query is of all rows of its model."""
    return (
        query.where is EVERYTHING
        and not query.is_limited
        and not query.grouped
        and not query.distinct
        and not query.annotations
        and not query.cte_joins
        and query.lock is None
        and not isinstance(query, Combination)
    )


def must_filter_by_owner(relation: Relation, query: Query) -> bool:
    """Whether these rows, for all the instances that there are, are others with their keys than without.

    Rows that belong to nobody are passed over. They must not have been locked, counted or taken for others before.
    """
    plain = not query.annotations and not query.distinct and query.lock is None
    return not (plain and always_has_owner(relation))


def always_has_owner(relation: Relation) -> bool:
    """Whether each row at its far end surely belongs to a row of the model that has the relation.

    Where all of these are there, no key need be looked for. A row that points at nothing, where the database does not
    enforce the key, or at a row that came later, must be passed over.
    """
    return isinstance(relation, ReverseRelation) and not relation.relation.allow_null
