"""The rows of a relation that belong to some owners: all of them, or a slice of each owner's."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import sqlalchemy

from orm.exceptions import NotSupportedError, QueryError
from orm.lookups.base import Prepared
from orm.lookups.comparisons import In
from orm.query.added_columns import AddedColumns, WithExtraColumns
from orm.query.conditions.base import EVERYTHING, LookupPredicate, and_
from orm.query.conditions.related_to import owner_key_paths
from orm.query.ordering import ClauseOrder, OrderTerm
from orm.query.projection import Instances, Projection
from orm.query.query import Query
from orm.query.rendering import Rendering
from orm.query.set_operations import Combination
from orm.query.terms.base import Term
from orm.relations import ManyToManySide, Relation, ReverseRelation
from orm.relations.attaching import reverse_attribute_of_new
from orm.rows.readers import GroupBy, Process, Reader, read_instances
from orm.utils.memoized import memoized_property

IN = In()
# A path takes part in a query's key by its identity, so each relation has its paths only once.
owner_key_paths_of = lru_cache(2_000)(owner_key_paths)


@dataclass(frozen=True)
class WithOwnerKey(AddedColumns):
    """Instances, each row with the key of its owner, into whose list the instance goes.

    A row of the database that has several owners becomes one instance, unless annotations make its rows differ.
    """

    inner: Instances
    owner_key: tuple[Term, ...]

    @property
    def extra_columns(self) -> tuple[Term, ...]:
        return self.owner_key

    @property
    def key(self) -> Hashable:  # type: ignore[override]
        return ("with owner key", self.inner.key, tuple(term.key for term in self.owner_key))

    def columns(self, rendering: Rendering) -> list[sqlalchemy.ColumnElement[Any]]:
        return [*self.inner.columns(rendering), *(term.render(rendering) for term in self.owner_key)]

    def reader(self, processors: Sequence[Process | None], trailing_columns: int) -> Reader:
        inner = self.inner
        group_by = GroupBy(key_columns=len(self.owner_key))
        return read_instances(inner.entities(), processors, inner.annotations, trailing_columns, group_by)


@dataclass(frozen=True)
class LimitedPerOwner(Query):
    """The rows `offset` to `stop` of each owner's rows in a query."""

    rows: Query | None = None
    """All rows, unordered, with the values of `row_order` and of `owner_key` as extra columns."""
    row_order: tuple[OrderTerm, ...] = ()
    owner_key: tuple[Term, ...] = ()

    @classmethod
    def of(cls, query: Query, owner_key: tuple[Term, ...]) -> LimitedPerOwner:
        """The query's slice, applied to the rows of each owner."""
        row_order = query.with_order().order
        extra_columns = (*(order.term for order in row_order), *owner_key)
        projection = WithExtraColumns(query.projection, extra_columns)
        return cls(
            query.info,
            query.projection,
            offset=query.offset,
            stop=query.stop,
            rows=query.replace(projection=projection, ordering=(), offset=0, stop=None),
            row_order=row_order,
            owner_key=owner_key,
        )

    @memoized_property
    def key(self) -> Hashable:
        """The shape."""
        assert self.rows is not None
        row_order = tuple((order.descending, order.nulls) for order in self.row_order)
        return ("limited per owner", self.rows.key, row_order, self.offset > 0, self.stop is None)

    @memoized_property
    def values(self) -> tuple[Any, ...]:
        """The arguments: those of the rows, and the bounds."""
        assert self.rows is not None
        bounds = ([self.offset] if self.offset else []) + ([self.stop] if self.stop is not None else [])
        return (*self.rows.values, *bounds)

    @property
    def is_empty(self) -> bool:
        """Whether it is known without a query that there are no rows."""
        assert self.rows is not None
        return self.rows.is_empty or super().is_empty

    def select(self, rendering: Rendering) -> sqlalchemy.Select[Any]:
        """The rows numbered within each owner's rows, and of these the ones between the bounds."""
        assert self.rows is not None
        statement = self.rows.select(rendering)
        labelled = [column.label(f"c{i}") for i, column in enumerate(statement.selected_columns)]
        columns = list(statement.with_only_columns(*labelled, maintain_column_froms=True).subquery().columns)
        extra_terms = (*(order.term for order in self.row_order), *self.owner_key)
        width = len(columns) - len(extra_terms)
        outer = Rendering(self.info, rendering.binds)
        for term, column in zip(extra_terms, columns[width:], strict=True):
            outer.preset(term, column)
        position = outer.binds.count
        number = sqlalchemy.func.row_number().over(
            partition_by=[outer.rendered(term) for term in self.owner_key],
            order_by=[element for order in self.row_order for element in order.render(outer)],
        )
        outer.binds.count = position  # The ordering is that of `rows`, and adds no values.
        numbered = sqlalchemy.select(*columns[:width], number.label("number")).subquery()
        selected = sqlalchemy.select(*list(numbered.columns)[:width]).order_by(numbered.c.number)
        if self.offset:
            selected = selected.where(numbered.c.number > rendering.bind(sqlalchemy.Integer()))
        if self.stop is not None:
            selected = selected.where(numbered.c.number <= rendering.bind(sqlalchemy.Integer()))
        rendering.selected_count = width
        return selected


def check_related_query(relation: Relation, query: Query, what: str) -> None:
    """Raise `QueryError` or `NotSupportedError` unless `what` can load these rows for the owners of the relation."""
    name = query.info.name
    of = f"{what}: the queryset of {relation.accessor!r}"
    if query.info.concrete is not relation.target._meta.concrete:
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
    """The query's rows whose owners have these keys; a slice applies to the rows of each owner.

    They are read into lists by key. If the key has several columns, rows without an owner may be among them. `keys` may
    be None for all owners that there are, unless `must_filter_by_owner` says otherwise.
    """
    # As in Django: the query's own joins over the relation refer to the same pair.
    resolver = query.resolver()
    owner_key = tuple(resolver.column(path) for path in owner_key_paths_of(relation))
    where = query.where
    for term, values in zip(owner_key, _values_by_column(keys, len(owner_key)), strict=False):
        where = and_(where, LookupPredicate(term, IN, Prepared((values,))))
    projection = query.projection
    assert isinstance(projection, Instances)
    grouped: Projection
    if isinstance(relation, ManyToManySide):
        grouped = WithOwnerKey(projection, owner_key)
    else:
        fields = [term.path.stored for term in owner_key]
        group_by = GroupBy(
            attributes=tuple(field.attname for field in fields),
            owner_attribute=reverse_attribute_of_new(relation, projection.related) if relation.many else None,
            returns_instances=bool(query.branches),
        )
        grouped = replace(projection.with_required((), fields), group_by=group_by)
    rows = query.with_joins(resolver.joins, where=where, projection=grouped)
    return LimitedPerOwner.of(rows, owner_key) if query.is_limited else rows


def _values_by_column(keys: Sequence[Any] | None, width: int) -> list[tuple[Any, ...]]:
    """The values of each column of the keys, which have `width` columns."""
    if keys is None:
        return []
    return [tuple(keys)] if width == 1 else [tuple(dict.fromkeys(part)) for part in zip(*keys, strict=True)]


def selects_whole_table(query: Query) -> bool:
    """Whether the query selects all rows of its model, unchanged."""
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
    """Whether the rows must be filtered by the owners' keys even when all owners are loaded.

    Rows without an owner are skipped when they are read, so they must not have been locked before, nor have an effect
    on annotations and distinct rows.
    """
    is_unaffected = not query.annotations and not query.distinct and query.lock is None
    return not (is_unaffected and always_has_owner(relation))


def always_has_owner(relation: Relation) -> bool:
    """Whether each row of the relation has an owner: then all owners' rows are selected without their keys.

    A row may still lack its owner, if the database does not enforce the foreign key or the row was inserted after the
    owners were read. It must be skipped.
    """
    return isinstance(relation, ReverseRelation) and not relation.relation.allow_null
