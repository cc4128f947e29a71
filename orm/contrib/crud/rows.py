"""`CrudRows`: how the routes of a model read and write its rows, and refuse what is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError
from typesystem import Message

import orm.exceptions
from orm.contrib.crud.filters import FilterType
from orm.contrib.crud.pages import PAGE_PARAMETERS
from orm.contrib.pydantic.classes import check_model
from orm.contrib.pydantic.inputs import create_model, replace_model, update_model
from orm.contrib.pydantic.reads import read_model, with_nested
from orm.exceptions import FieldError
from orm.fields import Field
from orm.models import Model
from orm.queryset.queryset import QuerySet
from orm.utils.articles import with_article

ROUTES = ("list", "create", "read", "replace", "update", "delete")


def check_routes(model: type[Model], routes: Sequence[str], filters: Iterable[str]) -> None:
    """Raise `FieldError` for an unknown route, or for a filter that is called as a parameter of pages."""
    for name in routes:
        if name not in ROUTES:
            raise FieldError(f"crud_router() has no route {name!r}. The routes are: {', '.join(ROUTES)}.")
    for name in filters:
        if name in PAGE_PARAMETERS:
            raise FieldError(
                f"crud_router(): the filter {name!r} of {model._meta.name} is called as a parameter of the page. Use "
                f"{name + '__exact'!r}."
            )


class CrudRows:
    """The rows of a model that routes read and write, and the classes of their bodies and answers.

    Raises `FieldError` if `model` has no table.
    """

    def __init__(
        self,
        model: type[Model],
        *,
        created: type[BaseModel] | None,
        updated: type[BaseModel] | None,
        answered: type[BaseModel] | None,
        queryset: QuerySet[Any, Any] | None,
    ) -> None:
        self.info = check_model(model, "crud_router()")
        self.label = self.info.name
        self.a_row = with_article(self.info.name)
        self.rows: Any = queryset
        if queryset is None:
            self.rows = model.objects.order_by(*(field.name for field in self.info.pk_fields))
        self.is_limited = queryset is not None
        self.created: Any = created or create_model(model)
        self.replaced: Any = replace_model(model, self.created)
        self.updated: Any = updated or update_model(model)
        self.answered: Any = answered or read_model(model)
        self.loads = with_nested(self.rows, self.answered)

    async def create(self, body: BaseModel) -> Any:
        """What is answered for a new row."""
        rows = self.rows if self.is_limited else self.info.model.objects
        return await self._answer(await self._write(lambda: rows.create(**body.model_dump())))

    async def read(self, key: dict[str, Any]) -> Any:
        """The row with this key, and the relations that are answered."""
        return await self.loads.get(**key)

    async def change(self, key: dict[str, Any], body: BaseModel, document: dict[str, Any]) -> Any:
        """Write the values of a body to a row. `document` is its JSON, which may have a key that the class ignores."""
        keys = {field.attname for field in self.info.pk_fields}
        values = {name: value for name, value in body.model_dump().items() if name not in keys}

        async def changed() -> Any:
            row = await self.rows.get(**key)
            self._check_key(row, document)
            if values:
                await row.update(**values)
            return row

        return await self._answer(await self._write(changed))

    async def delete(self, key: dict[str, Any]) -> None:
        """Delete the row with this key."""
        await (await self.rows.get(**key)).delete()

    async def _answer(self, row: Any) -> Any:
        """What is answered for a row that was written: the row, loaded again if the answer has relations."""
        if getattr(self.answered, "__nested__", None):
            row = await self.loads.get(pk=row.pk)
        return self.answered.model_validate(row, from_attributes=True)

    async def _write(self, change: Callable[[], Awaitable[Any]]) -> Any:
        """Write a row and return it. Refuses, and undoes, what makes a row that a limiting queryset does not have."""
        if not self.is_limited:
            return await change()
        async with self.rows.database.transaction():
            row = await change()
            if not await self.rows.filter(pk=row.pk).exists():
                raise _refused([], "The row with these values would not be one of the rows of this list.", "queryset")
            return row

    def _check_key(self, row: Any, document: dict[str, Any]) -> None:
        """Refuse a body that has another primary key than the row."""
        for field in self.info.pk_fields:
            for name in {field.name, field.attname} & set(document):
                if not _is_equal(field, document[name], getattr(row, field.attname)):
                    raise _refused([name], "The primary key of a row cannot be changed.", "primary_key")


def _refused(path: list[int | str], text: str, code: str) -> orm.exceptions.ValidationError:
    return orm.exceptions.ValidationError(messages=[Message(text=text, code=code, index=path)])


def _is_equal(field: Field[Any], document: Any, value: Any) -> bool:
    """Whether a value of a JSON document is this value of the field."""
    try:
        return bool(FilterType(field).validate(document) == value)
    except (PydanticCustomError, ValidationError):
        return False
