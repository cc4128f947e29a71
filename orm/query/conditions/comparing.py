"""Predicates that compare a term with a plain value or with a query."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import TYPE_CHECKING, Any

from orm.exceptions import QueryError
from orm.fields import Date, DateTime
from orm.functions import Extract
from orm.lookups.base import Prepared, lookup_for
from orm.query.conditions.base import InQuery, LookupPredicate, Predicate, constant
from orm.query.terms.base import StoredTerm, Term
from orm.query.terms.transforms import TransformTerm

if TYPE_CHECKING:
    from orm.query.query import Query
    from orm.query.terms.subqueries import Correlation

# Values of exactly these types are plain: neither expressions nor queries, nor lists of them.
PLAIN_VALUES = frozenset(
    {bool, int, float, str, bytes, decimal.Decimal, uuid.UUID}
    | {datetime.date, datetime.datetime, datetime.time, datetime.timedelta}
)
# The bound of a year that a comparison with the year compares with.
YEAR_BOUNDS = {"exact": 0, "gt": 1, "gte": 0, "lt": 0, "lte": 1}


def within_year(term: TransformTerm, extract: Extract, name: str, year: Any) -> Predicate | None:
    """A comparison with the year as one with the column itself, which can use an index; None if there is no such."""
    column = StoredTerm(term.term) if term.term.field.storage_field is not None else term.term
    bounds = extract.as_bounds(column.field, year)
    if bounds is None or name not in YEAR_BOUNDS or not isinstance(column.field, (Date, DateTime)):
        return None
    values = bounds if name == "exact" else (bounds[YEAR_BOUNDS[name]],)
    return LookupPredicate(column, lookup_for(column.field, "range" if name == "exact" else name), Prepared(values))


def one_row(query: Query, name: str) -> Query:
    """The query, whose value is compared by the lookup `name`. Raises `QueryError` unless it is limited to one row."""
    if name == "exact" and (query.stop is None or query.stop - query.offset > 1):
        raise QueryError(
            f"A query of {query.info.name} that is compared with must be sliced to one row: queryset[:1]; "
            "to find any of several, use __in."
        )
    return query


def in_query(term: Term, query: Query, correlation: Correlation, *, of_outer: bool = False) -> Predicate:
    """The predicate of ``__in=queryset``, a subquery. `of_outer`: see `InQuery`."""
    if query.is_empty:
        return constant(False, *term.leaves(), aggregate=term.aggregate)
    return InQuery((term,), query.as_single_column(term.field), correlation, of_outer)
