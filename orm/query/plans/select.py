"""Plans of statements that read: rows, counts, existence."""

from __future__ import annotations

import sqlalchemy

from orm.database.dialect import Dialect
from orm.query.locking import locked
from orm.query.plans.cache import plans
from orm.query.plans.plan import Plan, make_plan, result_processors
from orm.query.projection import Instances
from orm.query.query import Query
from orm.query.rendering import Rendering
from orm.query.set_operations import Combination
from orm.rows.readers import read_values


def rows_plan(dialect: Dialect, query: Query) -> Plan:
    """The plan that selects the query's rows."""

    def make() -> Plan:
        rendering = Rendering(query.info)
        statement = query.select(rendering)
        if query.limits_before_joins:
            statement = dialect.join_in_written_order(statement)
        if query.lock is not None:
            statement = locked(dialect, statement, query.lock, query, rendering)
        columns = list(statement.selected_columns)
        processors = result_processors(dialect, columns[: rendering.selected_count])
        reader = query.projection.reader(processors, len(columns) - rendering.selected_count)
        return make_plan(dialect, statement, reader)

    return plans.get((dialect, "rows", query.key), make)


def count_plan(dialect: Dialect, query: Query) -> Plan:
    """The plan that counts the query's rows; its values are those of `count_query(query)`."""

    def make() -> Plan:
        rendering = Rendering(query.info)
        if query.is_nested:
            inner = query.select(rendering).subquery()
            statement = sqlalchemy.select(sqlalchemy.func.count()).select_from(inner)
        else:
            statement = query.select(rendering).with_only_columns(sqlalchemy.func.count(), maintain_column_froms=True)
        return make_plan(dialect, statement, read_values([None]))

    return plans.get((dialect, "count", query.key), make)


def count_query(query: Query) -> Query:
    """The query reduced to what COUNT needs: usually without ordering and related instances."""
    if isinstance(query, Combination):
        return query
    if not query.distinct and not query.grouped:
        projection = query.projection
        related = projection.related if isinstance(projection, Instances) and query.where.has_clause else ()
        query = query.selecting(Instances(query.info, related, only=frozenset()))
    # The ordering's columns are selected by DISTINCT as well.
    needs_order = query.is_limited or query.distinct
    return query.replace(ordering=query.ordering if needs_order else (), lock=None)


def exists_query(query: Query) -> Query:
    """The query reduced to what an existence check needs: the key of one row."""
    return count_query(query).replace(lock=query.lock).slice(0, 1)
