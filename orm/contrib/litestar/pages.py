"""`page_request()`: a dependency on the page of a list that a request asks for."""

from __future__ import annotations

from typing import Annotated, Any

from litestar.di import Provide
from pydantic import Field, TypeAdapter

from orm.contrib.crud.pages import AFTER, BEFORE, PageRequest
from orm.contrib.litestar.parameters import UrlParameter, converted, with_parameters


def page_request(*, size: int = 50, max_size: int = 200) -> Provide:
    """A dependency on the page that a request asks for, with `size` rows unless it says otherwise.

        @get("/notes", dependencies={"page": page_request(size=20)})
        async def list_notes(page: NamedDependency[PageRequest]) -> PageOf[NoteRead]:
            return PageOf[NoteRead].model_validate(await page.fetch(Note.objects.order_by("-created")))

    A size above `max_size` and a cursor of another list are a 422.
    """
    text: TypeAdapter[Any] = TypeAdapter(str)
    number: TypeAdapter[Any] = TypeAdapter(Annotated[int, Field(ge=1, le=max_size)])
    parameters = [
        UrlParameter("after", text, description=AFTER),
        UrlParameter("before", text, description=BEFORE),
        UrlParameter("size", number, default=size),
    ]

    async def page(**texts: Any) -> PageRequest:
        used = converted(parameters, texts)
        return PageRequest(used.get("after"), used.get("before"), used.get("size", size))

    page.__annotations__["return"] = PageRequest
    return Provide(with_parameters(page, parameters))
