"""What our errors are over HTTP, for each of the frameworks: a status, and the content of `detail`."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from typesystem import Message

from orm.exceptions import (
    CheckViolation,
    DataError,
    ForeignKeyViolation,
    IntegrityError,
    NoMatch,
    NotNullViolation,
    QueryError,
    StaleObject,
    UniqueViolation,
    ValidationError,
)
from orm.models import Model
from orm.query.plans.plan import UnstorableArgument
from orm.queryset.queryset import QuerySet

M = TypeVar("M", bound=Model)
Detail = str | list[dict[str, Any]]

#: The status of each error that a request can cause. Other errors are faults of the application or of the server.
STATUSES: dict[type[Exception], int] = {
    NoMatch: 404,
    UniqueViolation: 409,
    ForeignKeyViolation: 422,  # of a row that others refer to: 409
    NotNullViolation: 422,
    CheckViolation: 422,
    IntegrityError: 409,  # of an exclusion constraint, for example
    ValidationError: 422,
    DataError: 422,
    StaleObject: 409,
}


class Problem(NamedTuple):
    """What is answered to an error: the status, and the content of `detail`."""

    status: int
    detail: Detail


class RefusedParameters(ValidationError):
    """What is wrong with parameters of a URL: a 422, whose paths begin with `source`, which is "query" or "path"."""

    source = "query"


def refused_parameter(name: str, text: str, code: str) -> RefusedParameters:
    """The error for one parameter of the query of a URL."""
    return RefusedParameters(messages=[Message(text=text, code=code, index=[name])])


def problem_of(error: Exception) -> Problem:
    """What is answered to one of our errors. Raises KeyError for an error that is none of `STATUSES`.

    The detail of a 409 and of a 422 is a list, as FastAPI's is: of each message `loc` (the path in the body), `msg` and
    `type`. The texts show no SQL and no values.
    """
    status = next(STATUSES[each] for each in type(error).__mro__ if each in STATUSES)
    if isinstance(error, IntegrityError):
        if isinstance(error, ForeignKeyViolation) and error.violation.is_referenced:
            status = 409
        return Problem(status, _messages(error.as_validation_error()))
    if isinstance(error, ValidationError):
        return Problem(status, _messages(error))
    if isinstance(error, NoMatch):
        return Problem(status, "Not Found")
    if isinstance(error, StaleObject):
        return Problem(status, "It has been changed or deleted in the meantime.")
    return Problem(status, [{"loc": ["body"], "msg": "A value cannot be stored.", "type": "data"}])


def _messages(error: ValidationError) -> Detail:
    messages: list[Any] = error.messages()
    source = error.source if isinstance(error, RefusedParameters) else "body"
    return [{"loc": [source, *message.index], "msg": message.text, "type": message.code} for message in messages]


async def matching_row(
    rows: type[M] | QuerySet[Any, M], conditions: tuple[Any, ...], lookups: dict[str, Any]
) -> M | None:
    """The only row that matches; None if there is none. Raises `MultipleMatches` if several rows match."""
    queryset: Any = rows if isinstance(rows, QuerySet) else rows.objects
    try:
        row: M = await queryset.get(*conditions, **lookups)
    except NoMatch:
        return None
    except QueryError as error:
        if isinstance(error.__cause__, UnstorableArgument):  # no row has what the database cannot store
            return None
        raise
    return row
