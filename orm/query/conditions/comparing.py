"""Predicates that compare a term with a plain value or with a query."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orm.exceptions import QueryError
from orm.fields import Date, DateTime
from orm.functions import Extract
from orm.lookups.base import Lookup, Prepared, lookup_for
from orm.query.conditions.base import InQuery, LookupPredicate, Predicate, constant
from orm.query.conditions.exists import RowMatches
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


def any_row(
    correlate: Callable[[Query], Correlation], term: Term, lookup: Lookup, query: Query, *, of_outer: bool = False
) -> Predicate | None:
    """The predicate of a lookup that is true of any row of a query: ``__in=queryset``, and ``__overlap`` of arrays.

    None for a lookup that takes a query for one value. `correlate` resolves the query's `OuterRef`s; `of_outer`: see
    `InQuery`.
    """
    if lookup.name == "in":
        correlation = correlate(query)
        if query.is_empty:
            return _never(term)
        return InQuery((term,), query.as_single_column(term.field), correlation, of_outer)
    if type(lookup).for_rows is Lookup.for_rows:
        return None
    correlation = correlate(query)
    selected = query.as_single_column(term.field)
    lookup_of_row = lookup.for_rows(term.field, selected.column_field(correlation))
    if lookup_of_row is None:
        return None
    return _never(term) if query.is_empty else RowMatches(term, lookup_of_row, selected, correlation, of_outer)


def _never(term: Term) -> Predicate:
    return constant(False, *term.leaves(), aggregate=term.aggregate, window=term.window)
