"""Pages of a list: the JSON of a page, and the page that a request asks for."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from orm.contrib.problems import refused_parameter
from orm.exceptions import QueryError
from orm.queryset.paging import Page
from orm.queryset.queryset import QuerySet

R = TypeVar("R")

AFTER = "The cursor that the page comes after."
BEFORE = "The cursor that the page comes before."
#: The query parameters of `page_request()`.
PAGE_PARAMETERS = frozenset({"after", "before", "size"})


class PageOf(BaseModel, Generic[R]):
    """The JSON of a page: ``PageOf[NoteRead]``, as an answer's type.

    `next_cursor` is what to pass as `after`, and `previous_cursor` what to pass as `before`; each is null if there is
    no such page.
    """

    model_config = ConfigDict(from_attributes=True)

    items: list[R]
    has_next: bool
    has_previous: bool
    next_cursor: str | None
    previous_cursor: str | None

    @field_validator("next_cursor", "previous_cursor")
    @classmethod
    def _null_without_page(cls, cursor: str | None, info: ValidationInfo) -> str | None:
        """A `Page` has a cursor at its end too, behind which rows may be inserted; a client would follow it forever."""
        return cursor if info.data.get(f"has_{(info.field_name or '').partition('_')[0]}") else None


class PageRequest:
    """The page that a request asks for: the value of the dependency `page_request()`."""

    def __init__(self, after: str | None, before: str | None, size: int) -> None:
        self.after = after
        self.before = before
        self.size = size

    async def fetch(self, rows: QuerySet[Any, R]) -> Page[R]:
        """The page of these rows. Raises `RefusedParameters`, a 422, if the cursor is of another query, or is none."""
        if self.after is not None and self.before is not None:
            raise refused_parameter("before", "Give either after or before.", "cursor")
        try:
            return await rows.page(after=self.after, before=self.before, size=self.size)
        except QueryError:
            if self.after is None and self.before is None:
                raise
            name = "after" if self.before is None else "before"
            raise refused_parameter(name, "Must be a cursor of this list.", "cursor") from None
