"""`filters_of()`: a dependency on query parameters that are declared by the lookups of a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from litestar import Request
from litestar.di import Provide
from pydantic import TypeAdapter

from orm.contrib.crud.filters import Filters, expressions_of, filter_parameter
from orm.contrib.litestar.answers import EXPRESSIONS
from orm.contrib.litestar.parameters import UrlParameter, converted, with_parameters
from orm.models import Model


def filters_of(model: type[Model], lookups: Iterable[str]) -> Provide:
    """A dependency on filters: each lookup is an optional query parameter, of the type of its field.

        @get("/notes", dependencies={"filters": filters_of(Note, ["text__icontains", "created__gte", "author"])})
        async def list_notes(filters: NamedDependency[Filters]) -> list[Note]:
            return [*await filters.of(Note.objects.order_by("id"))]

    Only these lookups can be used. ``__in`` and ``__range`` are given several times: ``?id__in=1&id__in=2``. A value
    that the lookup cannot take is a 422; so is the expression of a ``__regex`` that the database cannot read. Raises
    `FieldError` for a lookup that the model does not have.
    """
    declared = [filter_parameter(model, name) for name in lookups]
    parameters = [
        UrlParameter(each.name, TypeAdapter(each.annotation), each.repeats, each.description) for each in declared
    ]

    async def filters(request: Request[Any, Any, Any], **texts: Any) -> Filters:
        used = converted(parameters, texts)
        request.scope["state"][EXPRESSIONS] = expressions_of(used)
        return Filters(used)

    filters.__annotations__["return"] = Filters
    return Provide(with_parameters(filters, parameters, request=Request))
