"""`LookupMemo`: the ``get()`` and ``filter()`` calls of a query, resolved once for each set of lookup names.

Finding rows by plain values is what a service does most. From one call to the next only the values change, so the query
resolved for the first values serves the others, as long as each of them is as plain as the first was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from orm.lookups.base import Prepared
from orm.lookups.transforms import registrations
from orm.query.conditions.base import FilterCall, LookupPredicate, conjuncts, junction
from orm.query.conditions.comparing import PLAIN_VALUES

if TYPE_CHECKING:
    from orm.query.query import Query

# A program has few sets of names, unless it takes them from its users.
MAX_TEMPLATES = 200
# Give up on names that were used this often without plain values.
MAX_ATTEMPTS = 5


class LookupTemplate:
    """A query of plain lookups, and how their values become its arguments."""

    __slots__ = ("_clauses", "_predicates", "_rest", "query")

    def __init__(self, query: Query, predicates: tuple[LookupPredicate, ...], rest: tuple[Any, ...]) -> None:
        self.query = query
        self._clauses: dict[str, Any] = {**query.replace().__dict__, "key": query.key}
        self._predicates = tuple(
            (predicate.lookup, predicate.term, predicate.variant, len(predicate.values) - len(predicate.term.values))
            for predicate in predicates
        )
        self._rest = rest

    def arguments(self, lookups: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The query's arguments with these values; None if one of them needs another query.

        Raises `QueryError` or `FieldError` for a value that makes no sense.
        """
        prepared = self._prepare(lookups)
        if prepared is None:
            return None
        arguments: tuple[Any, ...] = ()
        for value in prepared:
            arguments += value.values
        return arguments + self._rest

    def clauses(self, query: Query, lookups: Mapping[str, Any]) -> dict[str, Any] | None:
        """The clauses of `query` filtered by these lookups; None if one of the values needs another query.

        Raises `QueryError` or `FieldError` for a value that makes no sense.
        """
        prepared = self._prepare(lookups)
        if prepared is None:
            return None
        predicates = [
            LookupPredicate(term, lookup, value)
            for (lookup, term, _, _), value in zip(self._predicates, prepared, strict=True)
        ]
        where = predicates[0] if len(predicates) == 1 else junction("AND", predicates)
        clauses = self._clauses.copy()
        clauses["where"] = where
        clauses["filters"] = (*query.filters, FilterCall((), tuple(lookups.items())))
        clauses["values"] = where.values + self._rest
        return clauses

    def _prepare(self, lookups: Mapping[str, Any]) -> list[Prepared] | None:
        prepared: list[Prepared] = []
        for (lookup, term, variant, count), value in zip(self._predicates, lookups.values(), strict=True):
            part = lookup.prepare(term.field, value) if type(value) in PLAIN_VALUES else None
            if type(part) is not Prepared or part.variant != variant:
                return None
            if part.values[count:] or (count and not part.values[count - 1 :]):  # another number of values
                return None
            prepared.append(part)
        return prepared


class LookupMemo:
    """The templates of a query's calls, by the names of the lookups.

    A template is made at the second call: most querysets are used once.
    """

    __slots__ = ("_known", "_registered")

    def __init__(self) -> None:
        self._registered = registrations.count
        self._known: dict[tuple[str, ...], LookupTemplate | int] = {}  # Without a template, the number of calls.

    def resolve(
        self, lookups: Mapping[str, Any], make: Callable[[Mapping[str, Any]], Query]
    ) -> tuple[Query, tuple[Any, ...] | None]:
        """The query of a call with these lookups, and its arguments if they are other than the query's own.

        `make` makes the query if there is no template for it.
        """
        template = self.get(lookups)
        values = template.arguments(lookups) if template is not None else None
        if template is not None and values is not None:
            return template.query, values
        query = make(lookups)
        self.record(lookups, query)
        return query, None

    def get(self, lookups: Mapping[str, Any]) -> LookupTemplate | None:
        """The template for these names, if there is one."""
        if self._registered != registrations.count:
            self._known.clear()
            self._registered = registrations.count
        known = self._known.get(tuple(lookups))
        return known if isinstance(known, LookupTemplate) else None

    def record(self, lookups: Mapping[str, Any], query: Query) -> None:
        """Record the query that these lookups were resolved to."""
        names = tuple(lookups)
        known = self._known.get(names, 0)
        if isinstance(known, LookupTemplate) or known > MAX_ATTEMPTS:
            return
        if len(self._known) >= MAX_TEMPLATES:
            self._known.clear()
        self._known[names] = (_template(query, lookups) if known else None) or known + 1


def _template(query: Query, lookups: Mapping[str, Any]) -> LookupTemplate | None:
    """The template of a query; None if it has more than plain lookups of columns."""
    if query.annotations or query.projection.values or query.ctes or query.cte_joins:
        return None
    predicates = conjuncts(query.where)
    if len(predicates) != len(lookups) or not PLAIN_VALUES.issuperset(map(type, lookups.values())):
        return None
    plain: list[LookupPredicate] = []
    for name, predicate in zip(lookups, predicates, strict=True):
        known = query.info.lookups.get(name)
        if not isinstance(known, tuple) or not isinstance(predicate, LookupPredicate):
            return None
        path, steps, lookup = known
        # A value that is out of its column's range has become another lookup.
        if steps or predicate.lookup is not lookup or predicate.term is not path.term:
            return None
        plain.append(predicate)
    values = tuple(value for predicate in plain for value in predicate.values)
    if query.values[: len(values)] != values:
        return None
    return LookupTemplate(query, tuple(plain), query.values[len(values) :])
