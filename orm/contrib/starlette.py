"""Starlette: what our errors are over HTTP, rows or 404, and the connection during the application's life.

app = Starlette(routes=routes, lifespan=lifespan(database), exception_handlers=exception_handlers)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from orm.contrib.lifespans import lifespan
from orm.contrib.problems import STATUSES, Problem, matching_row, problem_of
from orm.models import Model
from orm.queryset.queryset import QuerySet
from orm.utils.extras import missing_extra

try:
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
except ImportError:
    raise missing_extra("orm.contrib.starlette", "starlette") from None

__all__ = ["Problem", "exception_handlers", "get_or_404", "lifespan", "problem_of"]

M = TypeVar("M", bound=Model)


def _answer(request: Request, error: Exception) -> Response:
    status, detail = problem_of(error)
    return JSONResponse({"detail": detail}, status)


#: For ``Starlette(exception_handlers=exception_handlers)``, and FastAPI: no row is 404, a value that exists 409, a
#: value that is refused 422, each with the paths of the values.
exception_handlers: dict[Any, Callable[[Request, Exception], Response | Awaitable[Response]]] = dict.fromkeys(
    STATUSES, _answer
)


async def get_or_404(rows: type[M] | QuerySet[Any, M], *conditions: Any, **lookups: Any) -> M:
    """The only row that matches, or the answer 404.

        note = await get_or_404(Note, id=request.path_params["id"])

    Raises:
        HTTPException: No row matches.
        MultipleMatches: Several rows match.
    """
    row = await matching_row(rows, conditions, lookups)
    if row is None:
        raise HTTPException(404)
    return row
