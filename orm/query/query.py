"""`Query`: the clauses of a queryset's query, as an immutable value."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy
from typing_extensions import Self

from orm.exceptions import FieldError, QueryError
from orm.fields import Field
from orm.query.columns import Columns, one_column
from orm.query.conditions.base import EVERYTHING, FilterCall, Predicate, and_, constant, split, without_group_terms
from orm.query.lookup_memo import LookupMemo
from orm.query.ordering import OrderTerm
from orm.query.paths import resolve_path
from orm.query.projection import Instances, Projection
from orm.query.rendering import Rendering
from orm.query.resolving.resolver import (
    NO_JOINS,
    AggregateResolver,
    Joins,
    Resolver,
    default_ordering,
    primary_key_ordering,
)
from orm.query.select_statement import queries_of, select_statement
from orm.query.terms.base import AnnotationTerm, InlinedAnnotation, PathTerm, Term
from orm.relations import ForeignKey, RelatedKey
from orm.relations.attaching import remote_fields
from orm.utils.memoized import memoized_property

if TYPE_CHECKING:
    from orm.expressions.ctes import CTE
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model
    from orm.query.locking import Lock
    from orm.query.prefetch_tree import Branch, SuppressedRelation
    from orm.query.terms.subqueries import Correlation, OuterRefTerm
    from orm.relations import ReverseRelation
    from orm.relations.fetch_modes import FetchMode


@dataclass(frozen=True)
class Query:
    """The clauses of a query of one model.

    `key` identifies its plan in the cache: it has everything but the values. `values` are the arguments, in the order
    in which the statement binds them.
    """

    info: ModelInfo
    projection: Projection
    where: Predicate = EVERYTHING
    ordering: tuple[OrderTerm, ...] | None = None
    """The terms of ORDER BY; None for the model's default ordering."""
    offset: int = 0
    """The position of the first row."""
    stop: int | None = None
    """The position after the last row; None if there is no limit."""
    sliced: bool = False
    """Whether a slice has fixed the rows, so that they can no longer be filtered or ordered."""
    distinct: bool = False
    distinct_on: tuple[Term, ...] = ()
    """The terms of DISTINCT ON: only the first of the rows that are equal in these."""
    annotations: Mapping[str, AnnotationTerm] = field(default_factory=dict)
    grouped: bool = False
    """Whether an annotation is an aggregate, so that the rows are groups."""
    grouping: tuple[Term, ...] | None = None
    """The terms to group by; None if each row of the model is a group."""
    joins: Joins = NO_JOINS
    """The joins over relations to many rows."""
    shares_joins: bool = False
    """Whether the next ``filter()`` uses the joins of the last one: see `ManyToManyManager`."""
    lock: Lock | None = None
    all_rows_confirmed: bool = False
    """Whether ``all()`` confirmed that every row may be written: see `ModelRegistry`."""
    manager_where: Predicate = EVERYTHING
    """The condition of the manager that the query starts from. It does not count as a filter for `require_all`."""
    ctes: tuple[CTE, ...] = ()
    """The CTEs that the statement defines."""
    cte_joins: tuple[tuple[CTE, Predicate], ...] = ()
    """The CTEs that are joined, each with its join condition."""
    filters: tuple[FilterCall, ...] = ()
    """The calls of ``filter()`` and ``exclude()``, for ``&`` to repeat."""
    branches: tuple[Branch, ...] = ()
    """The relations to prefetch, each with its query."""
    suppressed: tuple[SuppressedRelation, ...] = ()
    """The relations that ``noload()`` and ``raiseload()`` suppress."""
    fetch_mode: FetchMode | None = None
    """What happens when something is read that the query did not load; None: the mode of the query around it."""
    owner: tuple[ReverseRelation, Model] | None = None
    """For a related manager, its relation and instance: the rows' reverse attribute is set to the instance."""

    @memoized_property
    def conditions(self) -> tuple[Predicate, Predicate, Predicate]:
        """The conditions on rows (WHERE), on groups (HAVING) and on window functions."""
        where = self.where
        if where.aggregate or where.window or where.has_constant:
            return split(where)
        return where, EVERYTHING, EVERYTHING

    @memoized_property
    def key(self) -> Hashable:
        """The key of its plan: model, projection and condition, then each further clause with its name before it."""
        key: list[Hashable] = [self.info, self.projection.key, self.where.key]
        if self.order:
            key += ["order", tuple(term.key for term in self.order)]
        if self.stop is not None:
            key.append("stop")
        if self.offset:
            key.append("offset")
        if self.annotations or self.grouped:
            named = tuple((name, annotation.term.key) for name, annotation in self.annotations.items())
            groups = None if self.grouping is None else tuple(term.key for term in self.grouping)
            key += ["annotations", named, self.grouped, groups]
            if self.unselected_groups:
                key.append(tuple(term.key for term in self.unselected_groups))
        if self.distinct:
            terms = (
                tuple((term.key, term in self.ordered_terms) for term in self.distinct_terms)
                if self.distinct_on
                else ()
            )
            key += ["distinct", terms]
        if self.lock is not None:
            key += ["lock", self.lock]
        if self.ctes or self.cte_joins:
            key += ["ctes", tuple((cte.name, *(query.key for query in queries_of(cte))) for cte in self.ctes)]
            key.append(tuple((cte.name, predicate.key) for cte, predicate in self.cte_joins))
        return tuple(key)

    @memoized_property
    def values(self) -> tuple[Any, ...]:
        """The arguments."""
        values: list[Any] = []
        for cte in self.ctes:
            values += [value for query in queries_of(cte) for value in query.values]
        for _, predicate in self.cte_joins:
            values.extend(predicate.values)
        for annotation in self.annotations.values():
            values.extend(annotation.term.values)
        values += self.projection.values
        if self.grouping:
            for group in self.unselected_groups:
                values.extend(group.values)
        for predicate in self.conditions:
            values += predicate.values
        for term in self.order:
            values.extend(term.values)
        if self.distinct_on:
            for distinct_term in self.distinct_terms:
                values.extend(() if distinct_term in self.ordered_terms else distinct_term.values)
        if self.stop is not None:
            values.append(self.stop - self.offset)
        if self.offset:
            values.append(self.offset)
        return tuple(values)

    @memoized_property
    def get_memo(self) -> LookupMemo:
        """The calls of ``get()`` on this query, not on those derived from it."""
        return LookupMemo()

    @memoized_property
    def filter_memo(self) -> LookupMemo:
        """The calls of ``filter()`` on this query."""
        return LookupMemo()

    @memoized_property
    def unselected_groups(self) -> tuple[Term, ...]:
        """The terms of `grouping` with values that the projection no longer selects: nothing else binds them."""
        projection = self.projection.inner_projection
        selected = {id(term) for term in projection.terms} if isinstance(projection, Columns) else set()
        return tuple(term for term in self.grouping or () if term.values and id(term) not in selected)

    @memoized_property
    def distinct_terms(self) -> tuple[Term, ...]:
        """The terms of DISTINCT ON. If ORDER BY has the same term, it is that one: both must have the same binds."""
        return tuple(
            next((each for each in self.ordered_terms if (each.key, each.values) == (term.key, term.values)), term)
            for term in self.distinct_on
        )

    @memoized_property
    def ordered_terms(self) -> tuple[Term, ...]:
        """The terms of `order` without their directions."""
        return tuple(term.term for term in self.order)

    @memoized_property
    def order(self) -> tuple[OrderTerm, ...]:
        """The effective ordering. The model's default ordering does not apply to groups."""
        if self.ordering is None:
            return () if self.grouped else default_ordering(self.info)
        if not any(term.many for term in self.ordering):
            return self.ordering
        # As in Django, a column over a relation to many rows is the selected one, or that of the latest join.
        selected = self.projection.terms if isinstance(self.projection, Columns) else ()
        column = self.resolver().column
        return tuple(term.rebound(selected, column) for term in self.ordering)

    def replace(self, **changes: Any) -> Self:
        """The query with these clauses changed."""
        clauses = {**self.__dict__, **changes}
        for name in clauses.keys() & DERIVED:
            del clauses[name]
        return self._from_clauses(clauses)

    def _from_clauses(self, clauses: dict[str, Any]) -> Self:
        """A query of these clauses, which may contain derived values that are known."""
        query = object.__new__(type(self))
        object.__setattr__(query, "__dict__", clauses)
        return query

    def resolver(self) -> Resolver:
        """Resolves the arguments of the next call of a queryset's method, other than ``filter()``."""
        return Resolver(self.info, self.annotations, self.joins)

    def filter_resolver(self) -> Resolver:
        """Resolves the arguments of the next ``filter()``, which makes new joins."""
        highest = self.joins.highest
        resolver = Resolver(self.info, self.annotations, self.joins, highest if self.shares_joins else highest + 1)
        resolver.windows = {}
        return resolver

    def aggregate_resolver(self) -> AggregateResolver:
        """Resolves aggregates over this query, where each group is a row."""
        annotations = {name: annotation.of_a_row() for name, annotation in self.annotations.items()}
        return AggregateResolver(self.info, annotations, self.joins)

    def update_resolver(self) -> Resolver:
        """Resolves the values of an UPDATE, in which an annotation's name stands for its expression."""
        annotations = {annotation.key: annotation for annotation in self.annotations.values()}
        return Resolver(
            self.info, {name: InlinedAnnotation.of(term, annotations) for name, term in self.annotations.items()}
        )

    def with_joins(self, joins: Joins, **changes: Any) -> Self:
        """The query with the joins of a resolver, and with the clauses that it resolved."""
        return self.replace(joins=joins, shares_joins=False, **changes)

    def with_windows(self, resolver: Resolver) -> Self:
        """The query with the window functions of a condition or an ordering."""
        return self.replace(annotations={**self.annotations, **resolver.windows}) if resolver.windows else self

    def sharing_joins(self) -> Query:
        """The query with the next ``filter()`` using the joins of the last one."""
        return self.replace(shares_joins=True)

    def check_rows_open(self, what: str) -> None:
        """Raise `QueryError` if the rows are fixed by a slice, which `what` would change."""
        if self.sliced:
            raise QueryError(f"{what} after a slice would change which rows were sliced: {what} first, then slice.")

    def filter(self, conditions: Sequence[Any], lookups: Mapping[str, Any], *, negated: bool = False) -> Query:
        """The query of the rows that also meet the conditions; with `negated`, of those that do not.

        Raises `FieldError` for an unknown name or lookup, `QueryError` for a value that makes no sense.
        """
        self.check_rows_open("exclude()" if negated else "filter()")
        if conditions or negated or self.where is not EVERYTHING:
            return self._filter(conditions, lookups, negated)
        memo = self.filter_memo
        template = memo.get(lookups)
        if template is not None:
            clauses = template.clauses(self, lookups)
            if clauses is not None:
                return self._from_clauses(clauses)
        query = self._filter((), lookups, False)
        memo.record(lookups, query)
        return query

    def _filter(self, conditions: Sequence[Any], lookups: Mapping[str, Any], negated: bool) -> Query:
        resolver = self.filter_resolver()
        # An iterator can be read once, and `&` repeats the call.
        lookups = {name: list(value) if isinstance(value, Iterator) else value for name, value in lookups.items()}
        where = resolver.filter(conditions, lookups.items(), negated=negated, grouped=self.grouped)
        if where.aggregate and not self.grouped:
            method = "exclude()" if negated else "filter()"
            raise FieldError(f"{method} can use an aggregate only of grouped rows: annotate() it first.")
        call = FilterCall(tuple(conditions), tuple(lookups.items()), negated, self.shares_joins)
        query = self.with_joins(resolver.joins, where=and_(self.where, where), filters=(*self.filters, call))
        return query.with_windows(resolver)

    @property
    def selected_annotations(self) -> tuple[str, ...]:
        """The names of the annotations that ``values()`` without names selects."""
        if isinstance(self.projection, Instances):
            return self.projection.annotations
        return tuple(name for name, annotation in self.annotations.items() if annotation.selectable)

    @property
    def is_empty(self) -> bool:
        """Whether it has no rows, which is known without sending it."""
        return self.where.truth is False or (self.stop is not None and self.stop <= self.offset)

    @memoized_property
    def needs_no_loading(self) -> bool:
        """Whether nothing is loaded along with its rows or set on them."""
        return not (self.branches or self.suppressed or self.fetch_mode is not None or self.owner is not None)

    @property
    def is_limited(self) -> bool:
        """Whether it has a LIMIT or OFFSET."""
        return self.offset > 0 or self.stop is not None

    @property
    def needed_ordering(self) -> tuple[OrderTerm, ...] | None:
        """The ordering, if it decides which rows a subquery has: with a LIMIT or DISTINCT ON."""
        return self.ordering if self.is_limited or self.distinct_on else ()

    @property
    def is_nested(self) -> bool:
        """Whether its rows are not simply those of the model, so that counting them needs a subquery."""
        return self.distinct or self.is_limited or self.grouped or self.conditions[2] is not EVERYTHING

    @property
    def limits_before_joins(self) -> bool:
        """Whether the LIMIT can be applied to the model's own table, before other tables are joined."""
        if not (self.is_limited and isinstance(self.projection, Instances) and self.projection.related):
            return False
        if self.annotations or self.distinct or self.cte_joins or self.joins.highest or self.where.has_clause:
            return False
        return all(_is_own_column(term) for term in (*self.where.leaves(), *self.ordered_terms))

    def selecting(self, projection: Projection, **changes: Any) -> Query:
        """The query with another projection, and with `changes`.

        The joins of the present projection are kept, because they can multiply the rows.
        """
        terms = self.projection.terms if isinstance(self.projection, Columns) else ()
        keep_joins = constant(True, *(leaf for term in terms for leaf in term.leaves()))
        return self.replace(projection=projection, where=and_(self.where, without_group_terms(keep_joins)), **changes)

    @property
    def with_branch_keys(self) -> Query:
        """The query with the columns that its rows are attached by, even if ``only()`` or ``defer()`` omit them.

        By these columns the rows of its branches are attached to its rows, and its rows to their owner.
        """
        if not isinstance(self.projection, Instances) or not (self.branches or self._omits_key_of_owner):
            return self
        return self._with_branch_keys

    @property
    def _omits_key_of_owner(self) -> bool:
        projection = self.projection
        return self.owner is not None and isinstance(projection, Instances) and projection.is_sparse

    @memoized_property
    def _with_branch_keys(self) -> Query:
        assert isinstance(self.projection, Instances)
        projection = self.projection.with_branch_keys(self.branches)
        if self.owner is not None:
            projection = projection.with_required((), remote_fields(self.owner[0]))
        return self.replace(projection=projection)

    def with_order(self) -> Query:
        """The query itself if it has an order, or else ordered by primary key."""
        return self if self.order else self.replace(ordering=primary_key_ordering(self.info))

    def reversed(self) -> Query:
        """The query in the opposite order."""
        return self.replace(ordering=tuple(term.reversed() for term in self.with_order().order))

    def slice(self, start: int, stop: int | None) -> Query:
        """The query of the rows from `start` up to `stop` of this query's rows."""
        offset = self.offset + start
        stop = self.stop if stop is None else self.offset + stop
        if self.stop is not None and stop is not None:
            stop = min(stop, self.stop)
        if stop is not None:
            offset = min(offset, stop)
        return self.replace(offset=offset, stop=stop)

    def as_single_column(self, compared: Field[Any] | None) -> Query:
        """The query as a subquery that selects one column, to be compared with the field `compared`.

        If it selects instances, the column is the primary key, or the field that the foreign key `compared` references.
        Raises `QueryError` if it selects several columns.
        """
        if isinstance(self.projection, Instances):
            relation = compared if isinstance(compared, (ForeignKey, RelatedKey)) else None
            target = relation.target_field if relation is not None else None
            if relation is not None and relation.primary_key and relation.model._meta.concrete is self.info.concrete:
                target = relation  # The key of the model itself, which is a relation.
            elif relation is not None and self.info.concrete in relation.target._meta.ancestors:
                target = None  # The rows of a model that the target inherits from, by their key.
            elif relation is not None and not _has_rows_of(self.info, relation.target._meta):
                raise QueryError(
                    f"{relation.label} is compared with a query of {self.info.name}; "
                    f"it takes a query of {relation.target.__name__}."
                )
            projection: Projection = one_column(self.info, target)
        elif self.projection.width == 1:
            projection = self.projection
        else:
            raise QueryError(
                f"A query of {self.info.name} that selects {self.projection.width} columns cannot stand "
                "for one value: choose one with values() or values_list()."
            )
        return self.replace(projection=projection, ordering=self.needed_ordering)

    def column_field(self, correlation: Correlation) -> Field[Any]:
        """The field of the only column of a subquery. If that is an `OuterRef`, it is the field of the outer query."""
        term = self.projection.terms[0] if isinstance(self.projection, Columns) else None
        while isinstance(term, AnnotationTerm):
            term = term.term
        outer = None if term is None else correlation.terms.get(term.key)
        field: Field[Any] = self.projection.field if outer is None else outer.field
        return field

    def selecting_key(self, label: str, info: ModelInfo, fields: Sequence[Field[Any]]) -> Query:
        """The query as a subquery that selects these fields of `info`, to be compared with the relation `label`.

        Raises `QueryError` if it is of another model or selects another number of columns.
        """
        projection = self.projection
        if isinstance(projection, Instances):
            if self.info.concrete is not info.concrete:
                raise QueryError(
                    f"{label} is compared with a query of {self.info.name}; it takes a query of {info.name}."
                )
            terms = tuple(PathTerm(resolve_path(info, field.attname, "a column")) for field in fields)
            projection = Columns("tuples", tuple(field.name for field in fields), terms)
        elif projection.width != len(fields):
            raise QueryError(
                f"{label} is a key of {len(fields)} columns and is compared with a query of as many; "
                f"this one of {self.info.name} selects {projection.width}."
            )
        return self.replace(projection=projection, ordering=self.needed_ordering)

    def as_exists(self) -> Query:
        """The query as a subquery for EXISTS."""
        projection = self.projection if self.grouped or self.distinct else Instances(self.info, only=frozenset())
        return self.replace(projection=projection, ordering=self.needed_ordering)

    @property
    def outer_references(self) -> Mapping[Hashable, OuterRefTerm]:
        """Its references to the query around it: see `Joins.outer_references`."""
        return self.joins.outer_references

    def subselect(self, outer: Rendering, correlation: Correlation, *, nested: bool = True) -> sqlalchemy.SelectBase:
        """The statement as a subquery of `outer`, with the binds of `outer`.

        With `nested`, one with a LIMIT is a subquery in a subquery.
        """
        rendering = outer.subquery(self.info, correlation.render(outer))
        statement = self.select(rendering).correlate_except(*rendering.tables)
        ordered_by = len(statement.selected_columns) > rendering.selected_count
        if self.is_limited and (nested or ordered_by):
            # MySQL does not accept LIMIT directly inside IN (…).
            inner = statement.subquery()
            return sqlalchemy.select(*[*inner.columns][: rendering.selected_count])
        return statement

    def select(self, rendering: Rendering) -> sqlalchemy.Select[Any]:
        """The SELECT statement. Its binds are numbered in the order of `values`."""
        return select_statement(self, rendering)


def rows_of_model(info: ModelInfo) -> Query:
    """The query of all rows of a model, as instances."""
    query = Query(info, Instances(info))
    if not info.is_filtered:
        return query
    assert info.discriminator is not None
    name, kinds = info.discriminator.name, list(info.kinds)
    lookup = (name, kinds[0]) if len(kinds) == 1 else (f"{name}__in", kinds)
    where = Resolver(info).filter((), [lookup])
    return query.replace(where=where, manager_where=where)


def of_own_model(query: Query) -> Query:
    """The query of rows of its model only, in single-table inheritance."""
    where = rows_of_model(query.info).where
    return query if where is EVERYTHING else query.replace(where=and_(query.where, where))


DERIVED = frozenset(name for name, value in vars(Query).items() if isinstance(value, memoized_property))


def _has_rows_of(info: ModelInfo, other: ModelInfo) -> bool:
    """Whether the rows of a model are rows of another one, too: also in multi-table inheritance."""
    return info.concrete is other.concrete or other.concrete in info.ancestors


def _is_own_column(term: Term) -> bool:
    """Whether a term is a column of the model's own table."""
    return isinstance(term, PathTerm) and not term.path.relations
