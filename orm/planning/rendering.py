"""`Rendering`: one statement in the making — its joins, and its bind parameters in fingerprint order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import BindParameter, ColumnElement, FromClause
from sqlalchemy.types import TypeEngine

from orm.exceptions import QueryError
from orm.planning.paths import Path
from orm.relations import ForeignKey

if TYPE_CHECKING:
    from orm.meta import ModelInfo


class Binds:
    """Numbers the bind parameters of a statement: the first is the fingerprint's first value."""

    def __init__(self) -> None:
        self.count = 0

    def bind(self, type_: TypeEngine[Any]) -> BindParameter[Any]:
        """The parameter of the next value."""
        return self.at(self.reserve(1), type_)

    def reserve(self, count: int) -> int:
        """Take the next `count` values; returns the position of the first."""
        position = self.count
        self.count += count
        return position

    def at(self, position: int, type_: TypeEngine[Any]) -> BindParameter[Any]:
        """The parameter of the value at a reserved position."""
        return sqlalchemy.bindparam(f"p{position}", type_=type_, required=True)


class Join:
    """One table joined for a relation."""

    def __init__(self, relation: ForeignKey[Any], parent: Join | None, table: FromClause) -> None:
        self.relation = relation
        self.parent = parent
        self.table = table
        self.required = False

    def require(self) -> None:
        """Rows without this one are not wanted: an inner join will do, and so for those before it."""
        join: Join | None = self
        while join is not None and not join.required:
            join.required = True
            join = join.parent

    @property
    def outer(self) -> bool:
        """Whether rows that have nothing to join must be kept."""
        if self.required:
            return False
        return self.relation.allow_null or (self.parent is not None and self.parent.outer)


class Rendering:
    """Where a query's parts render themselves: gives them columns (joining as needed) and binds."""

    def __init__(self, info: ModelInfo, binds: Binds | None = None) -> None:
        self.info = info
        self.table = info.require_table()
        self.binds = binds or Binds()
        self.bind = self.binds.bind
        self.selected = 0
        """How many columns the projection selected; any after those only serve the ordering."""
        self._joins: dict[tuple[ForeignKey[Any], ...], Join] = {}
        self._tables: set[FromClause] = {self.table}
        self._clauses: list[ColumnElement[Any]] = []

    def column(self, path: Path, *, required: bool = False) -> ColumnElement[Any]:
        """The column of a path. `required`: rows whose path leads nowhere are not wanted."""
        table = self.join(path.relations, required=required)
        column: ColumnElement[Any] = table.c[path.stored.column_name]
        return column

    def join(self, relations: tuple[ForeignKey[Any], ...], *, required: bool = False) -> FromClause:
        """The table at the end of these relations, joined once however often it is asked for."""
        if not relations:
            return self.table
        join = self._joins.get(relations)
        if join is None:
            self.join(relations[:-1])
            parent = self._joins.get(relations[:-1])
            table = relations[-1].target._meta.require_table()
            # The first use keeps the table's own name, so that SQLAlchemy clauses can refer to it.
            joined: FromClause = table
            if table in self._tables:
                joined = table.alias(f"{table.name}_{len(self._joins) + 2}")
            self._tables.add(table)
            join = self._joins[relations] = Join(relations[-1], parent, joined)
        if required:
            join.require()
        return join.table

    def joined(self, relations: tuple[ForeignKey[Any], ...]) -> Join:
        """The join made for these relations."""
        return self._joins[relations]

    @property
    def has_joins(self) -> bool:
        """Whether anything but the model's own table is needed."""
        return bool(self._joins)

    def include(self, clause: ColumnElement[Any]) -> None:
        """Take note of a clause in SQLAlchemy's own terms, which may read tables that are not joined."""
        self._clauses.append(clause)

    def check_tables(self) -> None:
        """Raise `QueryError` if an included clause reads a table that the query does not join."""
        for clause in self._clauses:
            for table in clause._from_objects:
                if table not in self._tables:
                    raise QueryError(
                        f"A SQLAlchemy clause in this query of {self.info.name} reads the table {table}, "
                        "which the query does not join: add select_related(), or state the condition as a "
                        "lookup across the relation."
                    )

    def from_clause(self) -> FromClause:
        """The table and everything joined to it."""
        self.check_tables()
        clause: FromClause = self.table
        for join in self._joins.values():
            left = self.table if join.parent is None else join.parent.table
            on = left.c[join.relation.column_name] == join.table.c[join.relation.target_field.column_name]
            clause = clause.join(join.table, on, isouter=join.outer)
        return clause
