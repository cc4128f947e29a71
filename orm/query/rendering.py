"""`Rendering`: the joins and bind parameters of a query while its SQL is built."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import BindParameter, ColumnElement, FromClause
from sqlalchemy.types import TypeEngine

from orm.exceptions import QueryError
from orm.query.paths import Path, leads_to_some_rows
from orm.relations import join_condition

if TYPE_CHECKING:
    from orm.expressions.ctes import CTE
    from orm.mapping.model_info import ModelInfo
    from orm.query.terms.base import Term
    from orm.query.terms.filtered_relation import FilteredJoinTerm
    from orm.relations import Hop


NO_COLUMNS: Mapping[Hashable, ColumnElement[Any]] = {}


class BindNumbering:
    """Numbers the bind parameters of a statement in the order of the query's values."""

    def __init__(self) -> None:
        self.count = 0
        self._aliases = 0
        self.ctes: dict[CTE, sqlalchemy.CTE] = {}
        """The common table expressions of the statement."""

    def alias(self, table: sqlalchemy.Table) -> FromClause:
        """The table under an alias that is unique in the statement, including its subqueries."""
        while True:
            self._aliases += 1
            name = f"{table.name}_{self._aliases}"
            if name not in table.metadata.tables:
                return table.alias(name)

    def bind(self, type_: TypeEngine[Any]) -> BindParameter[Any]:
        """The parameter for the next value."""
        return self.at(self.reserve(1), type_)

    def reserve(self, count: int) -> int:
        """Reserve the next `count` values; returns the position of the first."""
        position = self.count
        self.count += count
        return position

    def at(self, position: int, type_: TypeEngine[Any]) -> BindParameter[Any]:
        """The parameter for the value at a reserved position."""
        return sqlalchemy.bindparam(f"p{position}", type_=type_, required=True)


class Join:
    """A table joined over a relation."""

    def __init__(self, relation: Hop, parent: Join | None, table: FromClause) -> None:
        self.relation = relation
        self.parent = parent
        self.table = table
        self.required = False
        self.condition: ColumnElement[bool] | None = None
        """A condition in addition to that of the relation: of a filtered relation, or for the rows of one model."""

    def require(self) -> None:
        """Make it an inner join, and those before it: rows without a related row are dropped."""
        join: Join | None = self
        while join is not None and not join.required:
            join.required = True
            join = join.parent

    @property
    def outer(self) -> bool:
        """Whether it is an outer join, which keeps rows without a related row."""
        if self.required:
            return False
        if self.condition is not None:
            return True
        return self.relation.allow_null or (self.parent is not None and self.parent.outer)


class Rendering:
    """The context in which a query's terms and predicates render themselves: it joins tables and numbers binds."""

    def __init__(
        self,
        info: ModelInfo,
        binds: BindNumbering | None = None,
        outer: Rendering | None = None,
        outer_columns: Mapping[Hashable, ColumnElement[Any]] = NO_COLUMNS,
    ) -> None:
        self.info = info
        self.outer = outer
        """The rendering of the outer query, for a subquery."""
        self.outer_columns = outer_columns
        """The SQL of the outer query's terms that an `OuterRef` refers to: see `Correlation.render`."""
        self.has_subqueries = False
        if outer is not None:
            outer.has_subqueries = True
        table = info.require_table()
        # In a subquery each table has an alias, so that it is not confused with the outer query's.
        self.binds = binds or BindNumbering()
        self.table: FromClause = table if outer is None else self.binds.alias(table)
        self.bind = self.binds.bind
        self.selected_count = 0
        """The number of columns of the projection. Any after those are only selected for the ordering."""
        self._joins: dict[tuple[tuple[Hop, ...], int], Join] = {}
        self._tables: set[FromClause] = {self.table}
        self.annotated: dict[Hashable, ColumnElement[Any]] = {}
        """The rendered annotations of the query, by name and by the key of their term."""
        self._clauses: list[ColumnElement[Any]] = []
        self._rendered: dict[int, tuple[Term, ColumnElement[Any]]] = {}
        self._filtered: dict[int, FilteredJoinTerm] = {}
        self._filtered_values: dict[int, int] = {}
        self._joined_ctes: list[tuple[FromClause, ColumnElement[bool]]] = []

    def subquery(self, info: ModelInfo, outer_columns: Mapping[Hashable, ColumnElement[Any]] = NO_COLUMNS) -> Rendering:
        """The context of a subquery of this query."""
        return Rendering(info, self.binds, self, outer_columns)

    def column(self, path: Path, join_number: int = 0, *, required: bool = False) -> ColumnElement[Any]:
        """The column of a path. With `required`, rows without the related row are dropped."""
        table = self.join(path.relations, join_number, required=required)
        column: ColumnElement[Any] = table.c[path.stored.column_name]
        return column

    def join(self, hops: tuple[Hop, ...], join_number: int = 0, *, required: bool = False) -> FromClause:
        """The table at the end of these relations, which is joined once for each join number."""
        if not hops:
            return self.table
        join_number, filtered = self._number_of(hops, join_number)
        join = self._joins.get((hops, join_number))
        if join is None:
            self.join(hops[:-1], join_number)
            parent = self._joins.get((hops[:-1], self._number_of(hops[:-1], join_number)[0]))
            table = hops[-1].target._meta.require_table()
            # The first join of a table has no alias, so that SQLAlchemy clauses can refer to the table.
            joined: FromClause = table
            if self.outer is not None or table in self._tables:
                joined = self.binds.alias(table)
            self._tables.add(joined)
            join = self._joins[hops, join_number] = Join(hops[-1], parent, joined)
            if leads_to_some_rows(hops[-1]):
                join.condition = _is_of_model(hops[-1].target._meta, joined)
            if filtered is not None and hops == filtered.hops:
                condition = self._condition_of(filtered)
                join.condition = condition if join.condition is None else sqlalchemy.and_(join.condition, condition)
                self._joins[hops, join_number] = self._joins.pop((hops, join_number))  # after those that it reads
        if required:
            join.require()
        return join.table

    def define_filtered_relation(self, term: FilteredJoinTerm) -> None:
        """Join this filtered relation where its columns are read. The values of its condition have their place here."""
        self._filtered[term.join_number] = term
        self._filtered_values[term.join_number] = self.binds.reserve(len(term.values))

    def _condition_of(self, term: FilteredJoinTerm) -> ColumnElement[bool]:
        position, self.binds.count = self.binds.count, self._filtered_values[term.join_number]
        condition = term.condition.render(self, required=False, negated=False)
        self.binds.count = position
        return condition

    def _number_of(self, hops: tuple[Hop, ...], join_number: int) -> tuple[int, FilteredJoinTerm | None]:
        """The number of the join of these relations for a column, and the filtered relation that the join is for."""
        filtered = self._filtered.get(join_number)
        while filtered is not None and filtered.parent is not None and len(hops) <= len(filtered.parent.hops):
            filtered = filtered.parent
        if filtered is not None:
            return filtered.join_number, filtered
        return join_number if any(relation.many for relation in hops) else 0, None

    def render_once(self, term: Term) -> ColumnElement[Any]:
        """The SQL of a term that may be in several places. It is rendered once, so its values are bound once.

        The query's values repeat them for each place, so the positions for the other places are skipped.
        """
        known = self._rendered.get(id(term))
        if known is None:
            known = self._rendered[id(term)] = term, term.render(self)
        else:
            self.binds.reserve(len(term.values))
        return known[1]

    def rendered(self, term: Term) -> ColumnElement[Any]:
        """The SQL of a term in a place for which the query's values do not repeat the term's values."""
        known = self._rendered.get(id(term))
        if known is not None:
            return known[1]
        assert not term.values, "a term with values is rendered where its values are"
        return self.render_once(term)

    def preset(self, term: Term, column: ColumnElement[Any]) -> None:
        """Set the SQL of a term for `render_once`."""
        self._rendered[id(term)] = term, column

    def annotation(self, key: Hashable) -> ColumnElement[Any]:
        """The SQL of an annotation of the query, by its name or the key of its term."""
        return self.annotated[key]

    @property
    def tables(self) -> set[FromClause]:
        """The tables that this query reads, without those of its subqueries."""
        return self._tables

    def is_joined(self, hops: tuple[Hop, ...]) -> bool:
        """Whether the statement reads the table at the end of these relations."""
        return not hops or (hops, self._number_of(hops, 0)[0]) in self._joins

    @property
    def has_joins(self) -> bool:
        """Whether another table than the model's is joined."""
        return bool(self._joins)

    def cte_column(self, cte: CTE, name: str) -> ColumnElement[Any]:
        """A column of a CTE. Raises `QueryError` if the statement does not define it."""
        table = self.binds.ctes.get(cte)
        if table is None:
            raise QueryError(f"This query uses the CTE {cte.name!r} without having it: add with_cte({cte.name}).")
        column: ColumnElement[Any] = table.c[f"c{cte.query.projection.position(name)}"]
        return column

    def join_cte(self, cte: CTE, condition: ColumnElement[bool]) -> None:
        """Join a CTE of the statement."""
        self._joined_ctes.append((self.binds.ctes[cte], condition))

    def include(self, clause: ColumnElement[Any]) -> None:
        """Add a SQLAlchemy clause to those that `check_tables` checks."""
        self._clauses.append(clause)

    def check_tables(self) -> None:
        """Raise `QueryError` if a SQLAlchemy clause reads a table that the query does not join."""
        for clause in self._clauses:
            for table in clause._from_objects:
                if table not in self._tables:
                    raise QueryError(
                        f"A SQLAlchemy clause in this query of {self.info.name} reads the table {table}, "
                        "which the query does not join: state the condition as a lookup across the relation, or, "
                        "where instances are read, add select_related()."
                    )

    def from_clause(self) -> FromClause:
        """The model's table and all that is joined to it."""
        self.check_tables()
        clause: FromClause = self.table
        for join in self._joins.values():
            left = self.table if join.parent is None else join.parent.table
            condition = join_condition(join.relation, left, join.table)
            if join.condition is not None:
                condition = sqlalchemy.and_(condition, join.condition)
            clause = clause.join(join.table, condition, isouter=join.outer)
        for table, condition in self._joined_ctes:
            clause = clause.join(table, condition)
        return clause


def _is_of_model(info: ModelInfo, table: FromClause) -> ColumnElement[bool]:
    """Whether a row of single-table inheritance is one of the model."""
    assert info.discriminator is not None
    column = table.c[info.discriminator.column_name]
    return sqlalchemy.or_(*(column == kind for kind in info.kinds))


class SubqueryRendering(Rendering):
    """Renders terms over a subquery that selects the columns and annotations that they read."""

    def __init__(
        self,
        info: ModelInfo,
        binds: BindNumbering,
        columns: Mapping[Hashable, ColumnElement[Any]],
        outer_columns: Mapping[Hashable, ColumnElement[Any]] = NO_COLUMNS,
    ) -> None:
        super().__init__(info, binds, outer_columns=outer_columns)
        self._columns = columns

    def column(self, path: Path, join_number: int = 0, *, required: bool = False) -> ColumnElement[Any]:
        """The subquery's column of this path."""
        return self._columns[path, join_number]

    def render_once(self, term: Term) -> ColumnElement[Any]:
        """The subquery's column of a term that it selects, or the term's SQL. A key says nothing about values."""
        column = self._columns.get(id(term) if term.values else term.key)
        if column is None:
            return super().render_once(term)
        self.binds.reserve(len(term.values))  # They are bound in the subquery.
        return column

    def annotation(self, key: Hashable) -> ColumnElement[Any]:
        """The subquery's column of this annotation."""
        return self._columns[key]
