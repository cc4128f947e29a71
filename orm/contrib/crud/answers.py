"""What OpenAPI says of the errors that a route answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel

from orm.exceptions import FieldError

K = TypeVar("K")
R = TypeVar("R")


class Message(BaseModel):
    """One of the reasons for which a request is refused."""

    loc: list[str | int]
    msg: str
    type: str


class ErrorText(BaseModel):
    """The content of a 400 and of a 404."""

    detail: str


class Conflict(BaseModel):
    """The content of a 409."""

    detail: list[Message] | str


class Refusal(BaseModel):
    """The content of a 422."""

    detail: list[Message]


#: The content of the errors by their status, and what OpenAPI says of them.
ANSWERS: dict[int, tuple[type[BaseModel], str]] = {
    400: (ErrorText, "The body is not JSON"),  # the framework's answer, if it is not UTF-8 either
    404: (ErrorText, "No such row"),
    409: (Conflict, "A row with this value exists, or other rows refer to this one"),
    422: (Refusal, "A value is refused"),
}


def chosen(statuses: tuple[K, ...], known: Mapping[K, R]) -> dict[K, R]:
    """The known answers with these statuses, or all of them. Raises `FieldError` for another status."""
    for status in statuses:
        if status not in known:
            names = ", ".join(map(str, known))
            raise FieldError(f"error_responses() describes the statuses {names}, not {status}.")
    return {status: known[status] for status in statuses or known}
