"""Removes accidents from Django's answers to random queries.

Three accidents, each shown by a case and told in `docs/coming-from-django.md`:

- Under a NOT, Django asks whether a column is NULL only if it knows at that moment that it can be; a join that
  becomes an outer one later in the same condition is missed. Told that any column may be NULL, it always asks.
- A negated condition over a relation to many rows is about the row that the same `filter()` has joined, if there is
  one. Django recognises it by the name of its alias in another query, which may be another relation's, or not be
  the same at a second join. Queries where that happens are not compared: `Coincidence` is raised.
- A condition that is asked after a window joins its relations by inner joins if it is inside two NOTs, so that the
  window misses rows. In queries with windows the joins stay outer ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models.sql.query import Query


class Coincidence(Exception):
    """Django's answer depends on the names of its aliases."""


class Watched:
    """The negated conditions over to-many relations that Django is resolving, the innermost last."""

    def __init__(self) -> None:
        self.reusable: list[set[str]] = []
        self.expected: list[tuple[str | None, str | None]] = []

    def split_exclude(self, original: Any) -> Any:
        """`Query.split_exclude`, recording the joins that the condition may apply to."""

        def wrapped(query: Any, filter_expr: Any, can_reuse: set[str], names_with_path: Any) -> Any:
            self.reusable.append(set(can_reuse))
            self.expected.append(joined(query, can_reuse, names_with_path))
            try:
                return original(query, filter_expr, can_reuse, names_with_path)
            finally:
                self.reusable.pop()
                self.expected.pop()

        return wrapped

    def trim_start(self, original: Any) -> Any:
        """`Query.trim_start`, which chooses the alias; raises `Coincidence` if it is another join's."""

        def wrapped(query: Any, names_with_path: Any) -> Any:
            result = original(query, names_with_path)
            alias = query.select[0].alias
            before, last = self.expected[-1]
            about_parent = not last_is_trimmed(query, names_with_path)
            taken = alias in self.reusable[-1]
            if about_parent:
                if taken and alias != before:
                    raise Coincidence
            elif (alias if taken else None) != last:
                raise Coincidence
            return result

        return wrapped


def joined(query: Any, can_reuse: set[str], names_with_path: Any) -> tuple[str | None, str | None]:
    """The aliases under which this call has joined the relation to many rows, and what comes before it."""
    before: str | None = query.base_table
    for _, infos in names_with_path:
        for info in infos:
            last = next(
                (
                    alias
                    for alias, join in reversed(query.alias_map.items())
                    if join.parent_alias == before
                    and getattr(join, "join_field", None) is info.join_field
                    and (not info.m2m or alias in can_reuse)
                ),
                None,
            )
            if info.m2m:
                return before, last
            before = last
    raise AssertionError("a relation to many rows is among them")


def last_is_trimmed(query: Any, names_with_path: Any) -> bool:
    """Whether the inner query starts at the rows of the relation to many, not at those before it."""
    many = next(info for _, infos in names_with_path for info in infos if info.m2m)
    return query.select[0].target in {pair[0] for pair in many.join_field.field.related_fields}


@contextmanager
def repaired() -> Iterator[None]:
    """Patch Django so that the accidents do not happen inside the block."""
    watched = Watched()
    known = Query.is_nullable, Query.split_exclude, Query.trim_start, Query.demote_joins

    def demote_joins(query: Any, aliases: set[str]) -> None:
        if not any(getattr(each, "contains_over_clause", False) for each in query.annotations.values()):
            known[3](query, aliases)

    Query.is_nullable = lambda self, field: True
    Query.split_exclude = watched.split_exclude(known[1])
    Query.trim_start = watched.trim_start(known[2])
    Query.demote_joins = demote_joins
    try:
        yield
    finally:
        Query.is_nullable, Query.split_exclude, Query.trim_start, Query.demote_joins = known
