"""`page_request()`: a dependency on the page of a list that a request asks for."""

from typing import Annotated, Any, TypeVar

import fastapi
from fastapi.exceptions import RequestValidationError

from orm.contrib.crud import pages
from orm.contrib.problems import RefusedParameters, problem_of
from orm.queryset.paging import Page
from orm.queryset.queryset import QuerySet

R = TypeVar("R")


class PageRequest(pages.PageRequest):
    """The page that a request asks for: the value of the dependency `page_request()`."""

    async def fetch(self, rows: QuerySet[Any, R]) -> Page[R]:
        """The page of these rows. Answers 422 if the cursor is of another query, or is none."""
        try:
            return await super().fetch(rows)
        except RefusedParameters as error:
            detail: Any = problem_of(error).detail
            raise RequestValidationError(detail) from None


def page_request(*, size: int = 50, max_size: int = 200) -> Any:
    """A dependency on the page that a request asks for, with `size` rows unless it says otherwise.

    @app.get("/notes")
    async def list_notes(page: Annotated[PageRequest, page_request()]) -> PageOf[NoteRead]:
        return await page.fetch(Note.objects.order_by("-created"))
    """

    async def requested(
        after: Annotated[str | None, fastapi.Query(description=pages.AFTER)] = None,
        before: Annotated[str | None, fastapi.Query(description=pages.BEFORE)] = None,
        size: Annotated[int, fastapi.Query(ge=1, le=max_size)] = size,
    ) -> PageRequest:
        return PageRequest(after, before, size)

    return fastapi.Depends(requested)
