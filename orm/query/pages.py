"""`Page`: consecutive rows of a query, with cursors to those before and after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from orm.exceptions import QueryError
from orm.query.cursors import Cursor, encode_cursor
from orm.query.keyset import Keyset
from orm.query.query import Query
from orm.query.set_operations import Combination
from orm.query.terms.base import AnnotationTerm, PathTerm

if TYPE_CHECKING:
    from orm.query.ordering import OrderTerm

R = TypeVar("R")


@dataclass(frozen=True)
class Page(Generic[R]):
    """Consecutive rows of a query.

    Pass `next_cursor` to ``page(after=…)`` and `previous_cursor` to ``page(before=…)``; they are None only if there has
    been no row yet. `has_next` and `has_previous` tell whether there are more rows: in the direction of the page this
    was looked up, in the other direction it is where the cursor came from.
    """

    items: list[R]
    has_next: bool
    has_previous: bool
    next_cursor: str | None
    previous_cursor: str | None

    def __iter__(self) -> Iterator[R]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def check_page_size(size: Any, what: str) -> int:
    """The size, if it is a number of rows. Raises `QueryError` otherwise."""
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise QueryError(f"{what} takes a size of at least 1, got {size!r}.")
    return size


def first_page_query(query: Query, size: int, what: str) -> Query:
    """The query of the first page, and of the row after it, whose slice may be that of each owner.

    Raises `QueryError` if the position of a row cannot be told from its instance.
    """
    if query.is_limited or query.distinct_on or isinstance(query, Combination):
        raise QueryError(f"{what} takes a queryset that is not sliced, combined or distinct on fields.")
    keyset = Keyset.of(query, nulls_high=False)
    for term in keyset.order:
        if _attribute(term) is None:
            raise QueryError(f"{what} is ordered by fields of {query.info.name} itself, or by annotations.")
    return query.replace(ordering=keyset.order).slice(0, size + 1)


def first_page(query: Query, rows: Sequence[Any], size: int) -> Page[Any]:
    """The first page of these rows of a `first_page_query()`, which may be one more than its size."""
    items = list(rows[:size])
    order = query.ordering or ()

    def cursor(row: Any) -> str:
        position = tuple(getattr(row, str(_attribute(term))) for term in order)
        return encode_cursor(query.info.name, order, Cursor(position))

    return Page(
        items=items,
        has_next=len(rows) > size,
        has_previous=False,
        next_cursor=cursor(items[-1]) if items else None,
        previous_cursor=cursor(items[0]) if items else None,
    )


def _attribute(term: OrderTerm) -> str | None:
    """The attribute of an instance with its value of the term; None if instances do not have it."""
    if isinstance(term.term, AnnotationTerm):
        return term.term.name
    if isinstance(term.term, PathTerm) and not term.term.path.relations:
        return term.term.path.field.attname
    return None
