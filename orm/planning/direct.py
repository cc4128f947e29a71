"""`Direct`: what `get(name=value, …)` asks, worked out once for a query and a set of names.

To find a row by its key is what a service does most. All that changes from one time to the next are the values, so the
query that was made of the first ones serves the others, as long as each is as plain as the first was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from orm.lookups import Prepared
from orm.planning.conditions import Match, conjuncts
from orm.planning.matching import PLAIN_VALUES

if TYPE_CHECKING:
    from orm.planning.query import Query


class Direct:
    """A query, and how the values of its lookups become its arguments."""

    __slots__ = ("_matches", "_rest", "query")

    def __init__(self, query: Query, matches: tuple[Match, ...], rest: tuple[Any, ...]) -> None:
        self.query = query
        self._matches = tuple((match.lookup, match.term.field, match.variant) for match in matches)
        self._rest = rest

    def arguments(self, values: Iterable[Any]) -> tuple[Any, ...] | None:
        """The query's arguments with these values; None if one of them makes another query.

        Raises `QueryError` for a value that makes no sense.
        """
        found: tuple[Any, ...] = ()
        for (lookup, field, variant), value in zip(self._matches, values, strict=True):
            if type(value) not in PLAIN_VALUES:
                return None
            prepared = lookup.prepare(field, value)
            if type(prepared) is not Prepared or prepared.variant != variant:
                return None
            found += prepared.values
        return found + self._rest


def direct(query: Query, lookups: Mapping[str, Any]) -> Direct | None:
    """What serves other values in the place of these; None if the query has more than plain lookups of columns."""
    if query.annotations or query.projection.values or query.ctes or query.cte_joins:
        return None
    matches = conjuncts(query.where)
    if len(matches) != len(lookups) or not PLAIN_VALUES.issuperset(map(type, lookups.values())):
        return None
    plain: list[Match] = []
    for name, match in zip(lookups, matches, strict=True):
        known = query.info.lookups.get(name)
        if not isinstance(known, tuple) or not isinstance(match, Match):
            return None
        path, steps, lookup = known
        # A value that is out of a column's range asks by another lookup.
        if steps or match.lookup is not lookup or match.term is not path.term:
            return None
        plain.append(match)
    bound = tuple(value for match in plain for value in match.values)
    if query.values[: len(bound)] != bound:
        return None
    return Direct(query, tuple(plain), query.values[len(bound) :])
