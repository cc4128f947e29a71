"""`Query`: what a queryset asks, as an immutable value, with its shape and its arguments apart."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy
from typing_extensions import Self

from orm.database.sql import operators
from orm.exceptions import FieldError, QueryError
from orm.fields import Field
from orm.query.conditions.base import (
    EVERYTHING,
    FilterCall,
    Predicate,
    and_,
    constant,
    is_always,
    split,
    without_group_terms,
)
from orm.query.lookup_memo import LookupMemo
from orm.query.ordering import OrderTerm
from orm.query.paths import resolve_path
from orm.query.projection import Columns, Instances, Projection, one_column
from orm.query.rendering import BindNumbering, Rendering, SubqueryRendering
from orm.query.resolving.resolver import NO_JOINS, Joins, Resolver, default_ordering, primary_key_ordering
from orm.query.terms.base import AnnotationTerm, PathTerm, Term
from orm.relations import ForeignKey, RelatedKey
from orm.utils.memoized import memoized_property

if TYPE_CHECKING:
    from orm.expressions.ctes import CTE
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model
    from orm.query.locking import Lock
    from orm.query.prefetch_tree import Branch, SuppressedRelation
    from orm.relations import ReverseRelation


@dataclass(frozen=True)
class Query:
    """The clauses of one query of one model.

    `key` is its shape: hashable, and free of values. `values` are its arguments, in the order in which the
    planner binds them: projection, condition, ordering, slice.
    """

    info: ModelInfo
    projection: Projection
    where: Predicate = EVERYTHING
    ordering: tuple[OrderTerm, ...] | None = None
    """None: the model's own ordering."""
    offset: int = 0
    stop: int | None = None
    sliced: bool = False
    distinct: bool = False
    distinct_on: tuple[Term, ...] = ()
    """Of the rows that agree in these, only the first."""
    annotations: Mapping[str, AnnotationTerm] = field(default_factory=dict)
    grouped: bool = False
    """Whether an annotation is an aggregate, so that each row stands for a group."""
    grouping: tuple[Term, ...] | None = None
    """What the groups have in common; None: each row of the model is a group."""
    joins: Joins = NO_JOINS
    """The joins over relations to many rows."""
    shares_joins: bool = False
    """Whether the next ``filter()`` uses the joins of the last one: see `ManyToManyManager`."""
    lock: Lock | None = None
    all_rows_confirmed: bool = False
    """Whether ``all()`` said that every row is meant: see `ModelRegistry`."""
    ctes: tuple[CTE, ...] = ()
    """The common table expressions that the statement defines."""
    cte_joins: tuple[tuple[CTE, Predicate], ...] = ()
    """Those that it joins, and on what."""
    filters: tuple[FilterCall, ...] = ()
    """The calls that made the condition."""
    branches: tuple[Branch, ...] = ()
    """What is loaded along with its rows, each branch by a query of its own."""
    suppressed: tuple[SuppressedRelation, ...] = ()
    """The relations that ``noload()`` and ``raiseload()`` keep from its rows."""
    owner: tuple[ReverseRelation, Model] | None = None
    """The instance whose related rows these are, and how: they have it for their forward side."""

    @memoized_property
    def conditions(self) -> tuple[Predicate, Predicate, Predicate]:
        """The conditions on rows, on groups of them, and on windows over them all."""
        where = self.where
        if where.aggregate or where.window or where.has_constant:
            return split(where)
        return where, EVERYTHING, EVERYTHING

    @memoized_property
    def key(self) -> Hashable:
        """The shape: the model, what is selected, the condition; and by its name, each further clause that is there."""
        found: list[Hashable] = [self.info, self.projection.key, self.where.key]
        if self.order:
            found += ["order", tuple(term.key for term in self.order)]
        if self.stop is not None:
            found.append("stop")
        if self.offset:
            found.append("offset")
        if self.annotations or self.grouped:
            named = tuple((name, annotation.term.key) for name, annotation in self.annotations.items())
            groups = None if self.grouping is None else tuple(term.key for term in self.grouping)
            found += ["annotations", named, self.grouped, groups]
        if self.distinct:
            shared = (
                tuple((term.key, term in self._ordered_by) for term in self.distinct_terms) if self.distinct_on else ()
            )
            found += ["distinct", shared]
        if self.lock is not None:
            found += ["lock", self.lock]
        if self.ctes or self.cte_joins:
            found += ["ctes", tuple(_cte_key(cte) for cte in self.ctes)]
            found.append(tuple((cte.name, node.key) for cte, node in self.cte_joins))
        return tuple(found)

    @memoized_property
    def values(self) -> tuple[Any, ...]:
        """The arguments."""
        found: list[Any] = []
        for cte in self.ctes:
            found += [value for query in _queries_of(cte) for value in query.values]
        for _, node in self.cte_joins:
            found.extend(node.values)
        for annotation in self.annotations.values():
            found.extend(annotation.term.values)
        found += self.projection.values
        for node in self.conditions:
            found += node.values
        for term in self.order:
            found.extend(term.values)
        if self.distinct_on:
            for distinct_term in self.distinct_terms:
                found.extend(() if distinct_term in self._ordered_by else distinct_term.values)
        if self.stop is not None:
            found.append(self.stop - self.offset)
        if self.offset:
            found.append(self.offset)
        return tuple(found)

    @memoized_property
    def get_memo(self) -> LookupMemo:
        """The calls of ``get()`` on this query, not on those derived from it."""
        return LookupMemo()

    @memoized_property
    def filter_memo(self) -> LookupMemo:
        """The calls of ``filter()`` on this query."""
        return LookupMemo()

    @memoized_property
    def distinct_terms(self) -> tuple[Term, ...]:
        """What `distinct_on` has; where the ordering has the same, that, for their values must be the same binds."""
        return tuple(
            next((o for o in self._ordered_by if (o.key, o.values) == (term.key, term.values)), term)
            for term in self.distinct_on
        )

    @memoized_property
    def _ordered_by(self) -> tuple[Term, ...]:
        return tuple(term.term for term in self.order)

    @memoized_property
    def order(self) -> tuple[OrderTerm, ...]:
        """The ordering in force. The model's own is not one of groups."""
        if self.ordering is None:
            return () if self.grouped else default_ordering(self.info)
        if not any(term.term.many for term in self.ordering):
            return self.ordering
        # As in Django: over many rows it orders by what is selected or was joined last, whenever that was.
        selected = self.projection.terms if isinstance(self.projection, Columns) else ()
        column = self.resolver().column
        return tuple(term.rebound(selected, column) for term in self.ordering)

    def replace(self, **changes: Any) -> Self:
        """The query with these clauses changed."""
        clauses = {**self.__dict__, **changes}
        for name in DERIVED:
            clauses.pop(name, None)
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
        """Resolves the arguments of the next ``filter()``, which has joins of its own."""
        highest = self.joins.highest
        return Resolver(self.info, self.annotations, self.joins, highest if self.shares_joins else highest + 1)

    def aggregate_resolver(self) -> Resolver:
        """Resolves aggregates over this query, where each group is a row."""
        annotations = {name: annotation.of_a_row() for name, annotation in self.annotations.items()}
        return Resolver(self.info, annotations, self.joins)

    def update_resolver(self) -> Resolver:
        """Resolves the values of an UPDATE, in which an annotation's name stands for its expression."""
        return Resolver(self.info, {name: annotation.term for name, annotation in self.annotations.items()})

    def with_joins(self, joins: Joins, **changes: Any) -> Self:
        """The query with the joins of a resolver, and with the clauses that it resolved."""
        return self.replace(joins=joins, shares_joins=False, **changes)

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
        where = resolver.filter(conditions, lookups.items(), negated=negated, grouped=self.grouped)
        if where.aggregate and not self.grouped:
            method = "exclude()" if negated else "filter()"
            raise FieldError(f"{method} can use an aggregate only of grouped rows: annotate() it first.")
        call = FilterCall(tuple(conditions), tuple(lookups.items()), negated, self.shares_joins)
        return self.with_joins(resolver.joins, where=and_(self.where, where), filters=(*self.filters, call))

    @property
    def is_empty(self) -> bool:
        """Whether it is known, without asking, that no row can be found."""
        return self.where.truth is False or (self.stop is not None and self.stop <= self.offset)

    @memoized_property
    def needs_no_loading(self) -> bool:
        """Whether its rows are all that there is to load and to link."""
        return not (self.branches or self.suppressed or self.owner is not None)

    @property
    def is_limited(self) -> bool:
        """Whether only a part of the rows is wanted."""
        return self.offset > 0 or self.stop is not None

    @property
    def is_nested(self) -> bool:
        """Whether its rows are not just the model's that match: what counts them goes over a subquery."""
        return self.distinct or self.is_limited or self.grouped or self.conditions[2] is not EVERYTHING

    @property
    def limits_before_joins(self) -> bool:
        """Whether it wants a few rows on which the model's own table decides alone, whatever is joined to them."""
        if not (self.is_limited and isinstance(self.projection, Instances) and self.projection.related):
            return False
        if self.annotations or self.distinct or self.cte_joins or self.joins.highest or self.where.has_clause:
            return False
        read = [*self.where.leaves(), *self._ordered_by]
        return all(_is_own(term) for term in read)

    def selecting(self, projection: Projection, **changes: Any) -> Query:
        """The query with other columns. What the ones before it joined stays joined, for it multiplies rows.

        `changes` are further clauses.
        """
        before = self.projection.terms if isinstance(self.projection, Columns) else ()
        joined = constant(True, *(leaf for term in before for leaf in term.leaves()))
        return self.replace(projection=projection, where=and_(self.where, without_group_terms(joined)), **changes)

    @property
    def with_branch_keys(self) -> Query:
        """The query with the columns that its branches are attached by, whatever ``only()`` and ``defer()`` say."""
        if not self.branches or not isinstance(self.projection, Instances):
            return self
        return self._with_branch_keys

    @memoized_property
    def _with_branch_keys(self) -> Query:
        assert isinstance(self.projection, Instances)
        return self.replace(projection=self.projection.needing_branches(self.branches))

    def with_order(self) -> Query:
        """The same query, ordered at least by the primary key."""
        return self if self.order else self.replace(ordering=primary_key_ordering(self.info))

    def reversed(self) -> Query:
        """The same query in the opposite order."""
        return self.replace(ordering=tuple(term.reversed() for term in self.with_order().order))

    def slice(self, start: int, stop: int | None) -> Query:
        """Rows `start` to `stop` of this query's rows."""
        offset = self.offset + start
        stop = self.stop if stop is None else self.offset + stop
        if self.stop is not None and stop is not None:
            stop = min(stop, self.stop)
        if stop is not None:
            offset = min(offset, stop)
        return self.replace(offset=offset, stop=stop)

    def as_single_column(self, compared: Field[Any] | None) -> Query:
        """The query as a subquery that selects one column, to hold against the field `compared`.

        Of instances that is the primary key, or the field that a foreign key points at.
        """
        if isinstance(self.projection, Instances):
            relation = compared if isinstance(compared, (ForeignKey, RelatedKey)) else None
            target = relation.target_field if relation is not None else None
            if relation is not None and relation.target is not self.info.model:
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
        ordering = self.ordering if self.is_limited else ()
        return self.replace(projection=projection, ordering=ordering)

    def selecting_key(self, label: str, info: ModelInfo, fields: Sequence[Field[Any]]) -> Query:
        """The query as a subquery that selects these fields of `info`, to hold against the relation `label`.

        Raises `QueryError` for a query of another model, and for one that selects another number of columns.
        """
        projection = self.projection
        if isinstance(projection, Instances):
            if self.info is not info:
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
        return self.replace(projection=projection, ordering=self.ordering if self.is_limited else ())

    def as_exists(self) -> Query:
        """The query as a subquery of which only its having a row matters."""
        projection = self.projection if self.grouped or self.distinct else Instances(self.info, only=frozenset())
        return self.replace(projection=projection, ordering=self.ordering if self.is_limited else ())

    def subselect(self, outer: Rendering, *, nested: bool = True) -> sqlalchemy.SelectBase:
        """The statement inside of another one, sharing its binds. `nested`: a limited one is put a level deeper."""
        rendering = Rendering(self.info, outer.binds, outer)
        statement = self.select(rendering).correlate_except(*rendering.tables)
        ordered_by = len(statement.selected_columns) > rendering.selected
        if self.is_limited and (nested or ordered_by):
            # MySQL takes no LIMIT directly inside IN (...).
            inner = statement.subquery()
            return sqlalchemy.select(*[*inner.columns][: rendering.selected])
        return statement

    def select(self, rendering: Rendering) -> sqlalchemy.Select[Any]:
        """The SELECT statement; binds are numbered in the order of `values`."""
        for cte in self.ctes:
            _define_cte(cte, rendering.binds)
        for cte, node in self.cte_joins:
            rendering.join_cte(cte, node.render(rendering, required=False, negated=False))
        for name, annotation in self.annotations.items():
            rendering.annotated[name] = annotation.term.render(rendering)
        columns = self.projection.columns(rendering)
        rendering.selected = len(columns)
        rows, groups, windows = self.conditions
        where = None if rows is EVERYTHING else rows.render(rendering, required=True, negated=False)
        having: sqlalchemy.ColumnElement[bool] | None = groups.render(rendering, required=False, negated=False)
        if is_always(groups):
            having = None
        if windows is not EVERYTHING:
            return self._select_over_windows(rendering, columns, where, having)
        order = [element for term in self.order for element in term.render(rendering)]
        distinct_on = [rendering.render_once(term) for term in self.distinct_terms]
        if self.distinct and not distinct_on:
            # Databases order distinct rows only by what is selected.
            columns.extend(_bare(element) for element in order)
        statement = self._select_rows(rendering, columns, where, having)
        return self._finish(statement, rendering, order, distinct_on)

    def _select_rows(
        self,
        rendering: Rendering,
        columns: list[sqlalchemy.ColumnElement[Any]],
        where: sqlalchemy.ColumnElement[bool] | None,
        having: sqlalchemy.ColumnElement[bool] | None,
    ) -> sqlalchemy.Select[Any]:
        group_by = self._group_by(rendering) if self.grouped else []
        statement = sqlalchemy.select(*columns).select_from(rendering.from_clause())
        if where is not None:
            statement = statement.where(where)
        if group_by:
            statement = statement.group_by(*group_by)
        if having is not None:
            statement = statement.having(having)
        return statement

    def _select_over_windows(
        self,
        rendering: Rendering,
        columns: list[sqlalchemy.ColumnElement[Any]],
        where: sqlalchemy.ColumnElement[bool] | None,
        having: sqlalchemy.ColumnElement[bool] | None,
    ) -> sqlalchemy.Select[Any]:
        """Conditions on windows: the rows with their windows in a subquery, and the condition over that."""
        windows = self.conditions[2]
        parts: list[Any] = [windows, *self._ordered_by, *self.distinct_terms]
        leaves = {leaf.key: leaf for part in parts for leaf in part.leaves()}
        extra = [leaf.render(rendering) for leaf in leaves.values()]
        labelled = [column.label(f"c{i}") for i, column in enumerate([*columns, *extra])]
        inner = self._select_rows(rendering, labelled, where, having).subquery()
        found: list[sqlalchemy.ColumnElement[Any]] = list(inner.columns)
        outer = SubqueryRendering(self.info, rendering.binds, dict(zip(leaves, found[len(columns) :], strict=True)))
        condition = windows.render(outer, required=False, negated=False)
        order = [element for term in self.order for element in term.render(outer)]
        distinct_on = [outer.render_once(term) for term in self.distinct_terms]
        shown = found[: len(columns)]
        if self.distinct and not distinct_on:
            shown.extend(_bare(element) for element in order)
        return self._finish(sqlalchemy.select(*shown).where(condition), outer, order, distinct_on)

    def _finish(
        self,
        statement: sqlalchemy.Select[Any],
        rendering: Rendering,
        order: list[sqlalchemy.ColumnElement[Any]],
        distinct_on: Sequence[sqlalchemy.ColumnElement[Any]] = (),
    ) -> sqlalchemy.Select[Any]:
        if distinct_on:
            statement = statement.prefix_with(operators.DistinctOn(*distinct_on))
        elif self.distinct:
            statement = statement.distinct()
        if order:
            statement = statement.order_by(*order)
        if self.stop is not None:
            statement = statement.limit(rendering.bind(sqlalchemy.Integer()))
        if self.offset:
            statement = statement.offset(rendering.bind(sqlalchemy.Integer()))
        return statement

    def _group_by(self, rendering: Rendering) -> list[sqlalchemy.ColumnElement[Any]]:
        """What the groups have in common: what is selected and ordered by, but for aggregates."""
        groups = self.conditions[1]
        found: list[sqlalchemy.ColumnElement[Any]] = []
        if self.grouping is None:
            projection = self.projection.inner_projection
            chains = projection.related if isinstance(projection, Instances) else ()
            for chain in ((), *chains):
                info = chain[-1].target._meta if chain else self.info
                # The key stands for the row: databases know that its other columns depend on it.
                found.extend(rendering.join(chain).c[key.column_name] for key in info.pk_fields)
            if isinstance(projection, Columns):
                found.extend(rendering.render_once(t) for t in projection.terms if _is_plain(t))
        else:
            found.extend(rendering.render_once(term) for term in self.grouping)
        found.extend(
            rendering.annotated[name]
            for name, annotation in self.annotations.items()
            if not annotation.aggregate and not annotation.window and name in self.projection.names
        )
        read = [*(t.term for t in self.order), *groups.leaves(), *self.projection.extra_columns]
        shown: set[int] = set()
        if self.grouping is None and isinstance(self.projection, Instances):
            # MariaDB loses its way in HAVING where two columns of one name are grouped by.
            shown = {id(rendering.table.c[field.column_name]) for field in self.projection.own_fields()}
        elements = [rendering.render_once(term) for term in read if _is_plain(term)]
        found.extend(element for element in elements if id(element) not in shown)
        # What is selected and ordered by too is the same element twice.
        return list({id(element): element for element in found}.values())


DERIVED = tuple(name for name, value in vars(Query).items() if isinstance(value, memoized_property))


def _is_own(term: Term) -> bool:
    """Whether a term is a column of the model's own table."""
    return isinstance(term, PathTerm) and not term.path.relations


def _is_plain(term: Term) -> bool:
    """Whether a term is of each row, and reads anything of it."""
    return not term.aggregate and not term.window and bool(term.leaves())


def _cte_key(cte: CTE) -> Hashable:
    return cte.name, *(query.key for query in _queries_of(cte))


def _queries_of(cte: CTE) -> list[Query]:
    """The query of a common table expression, and of a recursive one the query that is repeated."""
    return [cte.query] if cte.step is None else [cte.query, cte.step._query]


def _define_cte(cte: CTE, binds: BindNumbering) -> None:
    """Add a common table expression to the statement."""
    first, *repeated = _queries_of(cte)
    table = binds.ctes[cte] = _labelled(first, binds).cte(cte.name, recursive=bool(repeated))
    for query in repeated:
        binds.ctes[cte] = table.union_all(_labelled(query, binds))


def _labelled(query: Query, binds: BindNumbering) -> sqlalchemy.Select[Any]:
    statement = query.select(Rendering(query.info, binds))
    labelled = [column.label(f"c{i}") for i, column in enumerate(statement.selected_columns)]
    return statement.with_only_columns(*labelled, maintain_column_froms=True)


def _bare(element: sqlalchemy.ColumnElement[Any]) -> sqlalchemy.ColumnElement[Any]:
    return element.element if isinstance(element, sqlalchemy.UnaryExpression) else element
