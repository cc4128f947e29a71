"""`filters_of()`: a dependency on query parameters that are declared by the lookups of a model."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

import fastapi
from fastapi.exceptions import RequestValidationError

from orm.contrib.crud.filters import (
    NOT_AN_EXPRESSION,
    FilterParameter,
    Filters,
    expressions_of,
    filter_parameter,
    refused_expressions,
)
from orm.exceptions import DataError
from orm.models import Model


def filters_of(model: type[Model], lookups: Iterable[str]) -> Any:
    """A dependency on filters: each lookup is an optional query parameter, of the type of its field.

        NoteFilters = Annotated[Filters, filters_of(Note, ["text__icontains", "created__gte", "author"])]

        @app.get("/notes")
        async def list_notes(filters: NoteFilters) -> list[NoteRead]:
            return await filters.of(Note.objects.order_by("id"))

    Only these lookups can be used. ``__in`` and ``__range`` are given several times: ``?id__in=1&id__in=2``. A value
    that the lookup cannot take is a 422; so is the expression of a ``__regex`` that the database cannot read. Raises
    `FieldError` for a lookup that the model does not have.
    """
    parameters = [_parameter(filter_parameter(model, name)) for name in lookups]

    async def filters(**values: Any) -> AsyncIterator[Filters]:
        used = {name: value for name, value in values.items() if value is not None}
        try:
            yield Filters(used)
        except (DataError, fastapi.HTTPException) as error:
            # Only the database knows its regular expressions: other values were converted before.
            expressions = expressions_of(used)
            if not expressions or not isinstance(error if isinstance(error, DataError) else error.__cause__, DataError):
                raise
            raise _not_expressions(refused_expressions(expressions)) from None

    filters.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return fastapi.Depends(filters)


def _parameter(parameter: FilterParameter) -> inspect.Parameter:
    annotated: Any = Annotated
    annotation = annotated[parameter.annotation | None, fastapi.Query(description=parameter.description)]
    return inspect.Parameter(parameter.name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)


def _not_expressions(refused: dict[str, str]) -> RequestValidationError:
    return RequestValidationError(
        [
            {"loc": ("query", name), "msg": NOT_AN_EXPRESSION, "type": "regex", "input": text}
            for name, text in refused.items()
        ]
    )
