"""Keyset pagination: pages and batches that start where the last one ended, instead of counting rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import databases

from orm import execution
from orm.database.connections.server_dialect import dialect_of
from orm.exceptions import NotSupportedError, QueryError
from orm.query.conditions.base import and_
from orm.query.cursors import Cursor, decode_cursor, encode_cursor
from orm.query.keyset import Keyset
from orm.query.pages import Page
from orm.query.query import Query
from orm.query.resolving.resolver import primary_key_ordering
from orm.query.set_operations import Combination

R = TypeVar("R")

__all__ = ["NumberedPage", "Page", "batches", "fetch_page"]


@dataclass(frozen=True)
class NumberedPage(Generic[R]):
    """The rows of a numbered page, and the number of all rows: the result of ``paginate()``."""

    items: list[R]
    number: int
    """The number of the page; the first is 1."""
    size: int
    total: int
    """The number of rows on all pages."""

    @property
    def pages(self) -> int:
        """The number of pages; an empty list has one."""
        return max(1, -(-self.total // self.size))

    @property
    def has_next(self) -> bool:
        """Whether there is a page after this one."""
        return self.number < self.pages

    @property
    def has_previous(self) -> bool:
        """Whether there is a page before this one."""
        return self.number > 1

    def __iter__(self) -> Iterator[R]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def check_size(size: Any, what: str, name: str = "size") -> int:
    """The size, if it is a number of rows. Raises `QueryError` otherwise."""
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise QueryError(f"{what} takes a {name} of at least 1, got {size!r}.")
    return size


def check_pageable(query: Query, what: str) -> None:
    """Raise `QueryError` or `NotSupportedError` unless rows can be found by their position in the query's order."""
    if isinstance(query, Combination):
        raise NotSupportedError(f"{what} cannot follow {query.operation}().")
    if query.is_limited:
        raise QueryError(f"{what} cannot follow a slice or a limit: it selects the rows itself.")
    if query.distinct_on:
        raise QueryError(f"{what} after distinct() with fields: which row is the first depends on where it begins.")


async def fetch_page(
    query: Query, database: databases.Database, after: str | None, before: str | None, size: int
) -> Page[Any]:
    """The page after or before a cursor, or the first page."""
    check_pageable(query, "page()")
    check_size(size, "page()")
    if after is not None and before is not None:
        raise QueryError("page() takes either after= or before=, not both.")
    name = query.info.name
    dialect = await dialect_of(database)
    keyset = Keyset.of(query, nulls_high=dialect.nulls_high)
    backwards = before is not None
    text = before if backwards else after
    direction = keyset.reversed() if backwards else keyset
    page_query = direction.query(query)
    cursor = None
    if text is not None:
        cursor = decode_cursor(name, keyset.order, text)
        page_query = page_query.replace(
            where=and_(page_query.where, direction.after(cursor.position, inclusive=cursor.inclusive))
        )
    rows: list[Any] = await execution.fetch(page_query.replace(stop=size + 1), database)
    more = len(rows) > size
    rows = rows[:size]
    if backwards:
        rows.reverse()
    ends = [Cursor(rows[-1][1]), Cursor(rows[0][1])] if rows else [None, None]
    if cursor is not None and not rows:
        # There are no rows beyond the cursor; in the other direction they start with the row at it.
        turning = cursor._replace(inclusive=not cursor.inclusive)
        ends = [turning, cursor] if backwards else [cursor, turning]
    following, preceding = (end and encode_cursor(name, keyset.order, end) for end in ends)
    return Page(
        items=[item for item, _ in rows],
        has_next=backwards or more,
        has_previous=more if backwards else cursor is not None,
        next_cursor=following,
        previous_cursor=preceding,
    )


async def batches(query: Query, database: databases.Database, size: int) -> AsyncIterator[list[Any]]:
    """The rows by primary key, `size` at a time. Rows that are deleted in between do not shift the others."""
    check_pageable(query, "in_batches()")
    check_size(size, "in_batches()")
    dialect = await dialect_of(database)
    keyset = Keyset.of(query.replace(ordering=primary_key_ordering(query.info)), nulls_high=dialect.nulls_high)
    first = following = keyset.query(query).replace(stop=size)
    while True:
        rows = await execution.fetch(following, database)
        if rows:
            yield [item for item, _ in rows]
        if len(rows) < size:
            return
        following = first.replace(where=and_(first.where, keyset.after(rows[-1][1])))
