"""`LookupTemplate`: a `get(name=value, …)` or `filter(name=value, …)`, resolved once for a query and a set of names.

To find rows by plain values is what a service does most. All that changes from one time to the next are the values, so
what was worked out of the first ones serves the others, as long as each is as plain as the first was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from orm.lookups.base import Prepared
from orm.query.conditions.base import FilterCall, LookupPredicate, conjuncts, junction
from orm.query.conditions.comparing import PLAIN_VALUES

if TYPE_CHECKING:
    from orm.query.query import Query

# A program has few sets of names; one that lets others name its lookups may have any number.
MOST_KNOWN = 200
# What was asked so often without being plain will not be.
MOST_TRIED = 5


class LookupTemplate:
    """A query, and how the values of its lookups become its arguments."""

    __slots__ = ("_clauses", "_matches", "_rest", "query")

    def __init__(self, query: Query, matches: tuple[LookupPredicate, ...], rest: tuple[Any, ...]) -> None:
        self.query = query
        self._clauses: dict[str, Any] = {**query.replace().__dict__, "key": query.key}
        self._matches = tuple((match.lookup, match.term, match.variant) for match in matches)
        self._rest = rest

    def arguments(self, lookups: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The query's arguments with these values; None if one of them makes another query.

        Raises `QueryError` or `FieldError` for a value that makes no sense.
        """
        prepared = self._prepared(lookups)
        if prepared is None:
            return None
        found: tuple[Any, ...] = ()
        for part in prepared:
            found += part.values
        return found + self._rest

    def narrowed(self, before: Query, lookups: Mapping[str, Any]) -> Query | None:
        """The query that these lookups make of the one `before`, as `arguments` has it."""
        prepared = self._prepared(lookups)
        if prepared is None:
            return None
        matches = [
            LookupPredicate(term, lookup, part) for (lookup, term, _), part in zip(self._matches, prepared, strict=True)
        ]
        where = matches[0] if len(matches) == 1 else junction("AND", matches)
        clauses = self._clauses.copy()
        clauses["where"] = where
        clauses["filters"] = (*before.filters, FilterCall((), tuple(lookups.items())))
        clauses["values"] = where.values + self._rest
        return before.made(clauses)

    def _prepared(self, lookups: Mapping[str, Any]) -> list[Prepared] | None:
        found: list[Prepared] = []
        for (lookup, term, variant), value in zip(self._matches, lookups.values(), strict=True):
            prepared = lookup.prepare(term.field, value) if type(value) in PLAIN_VALUES else None
            if type(prepared) is not Prepared or prepared.variant != variant:
                return None
            found.append(prepared)
        return found


class LookupMemo:
    """What a query was asked by plain lookups, by their names: as a `LookupTemplate`, from the second time on.

    Most querysets are asked once, and nothing is worked out for them.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], LookupTemplate | int] = {}  # How often, while that is all there is to know.

    def before(self, lookups: Mapping[str, Any]) -> LookupTemplate | None:
        """What has been asked by these names before."""
        known = self._known.get(tuple(lookups))
        return known if isinstance(known, LookupTemplate) else None

    def remember(self, lookups: Mapping[str, Any], made: Callable[[], Query]) -> None:
        """Note that these lookups made this query."""
        names = tuple(lookups)
        known = self._known.get(names, 0)
        if isinstance(known, LookupTemplate) or known > MOST_TRIED:
            return
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[names] = (direct(made(), lookups) if known else None) or known + 1


def direct(query: Query, lookups: Mapping[str, Any]) -> LookupTemplate | None:
    """What serves other values in the place of these; None if the query has more than plain lookups of columns."""
    if query.annotations or query.projection.values or query.ctes or query.cte_joins:
        return None
    matches = conjuncts(query.where)
    if len(matches) != len(lookups) or not PLAIN_VALUES.issuperset(map(type, lookups.values())):
        return None
    plain: list[LookupPredicate] = []
    for name, match in zip(lookups, matches, strict=True):
        known = query.info.lookups.get(name)
        if not isinstance(known, tuple) or not isinstance(match, LookupPredicate):
            return None
        path, steps, lookup = known
        # A value that is out of a column's range asks by another lookup.
        if steps or match.lookup is not lookup or match.term is not path.term:
            return None
        plain.append(match)
    bound = tuple(value for match in plain for value in match.values)
    if query.values[: len(bound)] != bound:
        return None
    return LookupTemplate(query, tuple(plain), query.values[len(bound) :])
