"""What OpenAPI says of the errors that a route answers."""

from __future__ import annotations

from typing import Any

from orm.contrib.crud.answers import ANSWERS, chosen

#: What OpenAPI says of each status. FastAPI says 422 by itself where a route has parameters.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": content, "description": description}
    for status, (content, description) in ANSWERS.items()
    if status != 422
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route answers, for its OpenAPI: ``@app.get("/notes/{id}", responses=error_responses(404))``.

    The statuses are 400, 404 and 409; without any, all of them, as in ``FastAPI(responses=error_responses())``. Raises
    `FieldError` for another one.
    """
    return chosen(statuses, RESPONSES)
