"""Terms held against plain values and queries: the matches that need no names resolved."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import TYPE_CHECKING, Any

from orm.exceptions import QueryError
from orm.functions import Extract
from orm.lookups.base import Prepared, lookup_for
from orm.query.conditions.base import InQuery, LookupPredicate, Predicate, constant
from orm.query.terms.base import Term
from orm.query.terms.transforms import TransformTerm

if TYPE_CHECKING:
    from orm.query.query import Query

# Values of these very types are nothing but values: no expression, no query, no list of such.
PLAIN_VALUES = frozenset(
    {bool, int, float, str, bytes, decimal.Decimal, uuid.UUID}
    | {datetime.date, datetime.datetime, datetime.time, datetime.timedelta}
)
# Which end of a year a comparison with the year is one with.
YEAR_BOUNDS = {"exact": 0, "gt": 1, "gte": 0, "lt": 0, "lte": 1}


def within_year(term: TransformTerm, extract: Extract, name: str, year: Any) -> Predicate | None:
    """A comparison of the year as one of the column itself, which an index serves; None where that cannot be."""
    bounds = extract.as_bounds(term.term.field, year)
    if bounds is None or name not in YEAR_BOUNDS:
        return None
    values = bounds if name == "exact" else (bounds[YEAR_BOUNDS[name]],)
    return LookupPredicate(
        term.term, lookup_for(term.term.field, "range" if name == "exact" else name), Prepared(values)
    )


def one_row(query: Query, name: str) -> Query:
    """A query that stands for one value. Raises `QueryError` if it is not limited to one row."""
    if name == "exact" and (query.stop is None or query.stop - query.offset > 1):
        raise QueryError(
            f"A query of {query.info.name} that is compared with must be sliced to one row: queryset[:1]; "
            "to find any of several, use __in."
        )
    return query


def in_query(term: Term, query: Query, *, of_outer: bool = False) -> Predicate:
    """``__in=queryset``: one statement, whose inner query selects the keys. `of_outer`: see `InQuery`."""
    if query.is_empty:
        return constant(False, *term.leaves(), aggregate=term.aggregate)
    return InQuery((term,), query.as_single_column(term.field), of_outer)
