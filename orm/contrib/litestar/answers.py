"""What our errors are over HTTP, and rows or 404."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from litestar import Request, Response
from litestar.exceptions import NotFoundException
from litestar.openapi.datastructures import ResponseSpec
from typesystem import Message

from orm.contrib.crud.answers import ANSWERS, chosen
from orm.contrib.crud.filters import NOT_AN_EXPRESSION, refused_expressions
from orm.contrib.problems import STATUSES, RefusedParameters, matching_row, problem_of
from orm.exceptions import DataError
from orm.models import Model
from orm.queryset.queryset import QuerySet

M = TypeVar("M", bound=Model)


#: The name of the regular expressions among a request's filters, in the state of the request.
EXPRESSIONS = "orm_expressions"


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    expressions = request.scope["state"].get(EXPRESSIONS)
    if isinstance(error, DataError) and expressions:  # other values of filters were converted before
        error = _not_expressions(refused_expressions(expressions))
    status, detail = problem_of(error)
    return Response({"detail": detail}, status_code=status)


def _not_expressions(refused: dict[str, str]) -> RefusedParameters:
    return RefusedParameters(messages=[Message(text=NOT_AN_EXPRESSION, code="regex", index=[name]) for name in refused])


#: For ``Litestar(exception_handlers=exception_handlers)``, and those of `OrmPlugin`: no row is 404, a value that exists
#: 409, a value that is refused 422, each with the paths of the values.
exception_handlers: dict[Any, Callable[[Request[Any, Any, Any], Any], Response[Any]]] = dict.fromkeys(STATUSES, _answer)


async def get_or_404(rows: type[M] | QuerySet[Any, M], *conditions: Any, **lookups: Any) -> M:
    """The only row that matches, or the answer 404: ``note = await get_or_404(Note, id=id)``.

    Raises:
        NotFoundException: No row matches.
        MultipleMatches: Several rows match.
    """
    row = await matching_row(rows, conditions, lookups)
    if row is None:
        raise NotFoundException
    return row


#: What OpenAPI says of each status.
RESPONSES = {
    status: ResponseSpec(content, generate_examples=False, description=description)
    for status, (content, description) in ANSWERS.items()
}


def error_responses(*statuses: int) -> dict[int, ResponseSpec]:
    """The errors that a handler answers, for its OpenAPI: ``@get("/notes/{id:int}", responses=error_responses(404))``.

    The statuses are 400, 404, 409 and 422; without any, all of them. Raises `FieldError` for another one.
    """
    return chosen(statuses, RESPONSES)
