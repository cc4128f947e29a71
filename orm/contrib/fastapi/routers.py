"""`crud_router()`: the routes that list, create, read, replace, update and delete the rows of a model."""

import contextlib
import inspect
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import fastapi
from pydantic import BaseModel

from orm.contrib.crud.filters import Filters
from orm.contrib.crud.filters import KeyType as RowKeyType
from orm.contrib.crud.pages import PageOf
from orm.contrib.crud.rows import ROUTES, CrudRows, check_routes
from orm.contrib.fastapi.filters import filters_of
from orm.contrib.fastapi.pages import PageRequest, page_request
from orm.contrib.fastapi.responses import error_responses
from orm.contrib.problems import STATUSES, problem_of
from orm.models import Model
from orm.queryset.queryset import QuerySet


@contextlib.contextmanager
def errors_answered() -> Iterator[None]:
    """Turn our errors into FastAPI's `HTTPException`, so that the routes need no exception handlers."""
    try:
        yield
    except tuple(STATUSES) as error:
        status, detail = problem_of(error)
        raise fastapi.HTTPException(status, detail) from error


def crud_router(
    model: type[Model],
    *,
    create: type[BaseModel] | None = None,
    update: type[BaseModel] | None = None,
    read: type[BaseModel] | None = None,
    filters: Iterable[str] = (),
    queryset: QuerySet[Any, Any] | None = None,
    routes: Sequence[str] = ROUTES,
    prefix: str | None = None,
    page_size: int = 50,
    max_page_size: int = 200,
    **options: Any,
) -> fastapi.APIRouter:
    """A router with six routes for the rows of a model.

        app.include_router(
            crud_router(Note, read=read_model(Note, nested=["author"]), filters=["text__icontains", "author"])
        )

    | route | | answers |
    | --- | --- | --- |
    | `list` | ``GET /note?text__icontains=…&size=…&after=…`` | a page of rows |
    | `create` | ``POST /note`` | 201, the row |
    | `read` | ``GET /note/{id}`` | the row |
    | `replace` | ``PUT /note/{id}`` | the row, whose fields have the values of the body or their defaults |
    | `update` | ``PATCH /note/{id}`` | the row, with the changes of the body |
    | `delete` | ``DELETE /note/{id}`` | 204 |

    The relations that `read` answers are loaded with the rows, in one query for joins and one for each prefetch. No row
    is 404, a unique value that exists 409, a value that is refused 422: see `orm.contrib.starlette`. The primary key of
    a row cannot be changed.

    Args:
        model: The model.
        create: What is accepted for a new row; by default `create_model(model)`.
        update: What is accepted for a change; by default `update_model(model)`.
        read: What is answered; by default `read_model(model)`.
        filters: The lookups that are query parameters of the list.
        queryset: The rows that the routes read and write, in the order of the list; by default all, by primary key. A
            row that it would not have is not written: the answer is 422.
        routes: The names of the routes, if not all.
        prefix: The path, by default ``/`` and the name of the table.
        page_size: The number of rows of a page, unless the request says another one.
        max_page_size: The largest number that a request may ask for.
        options: Those of `fastapi.APIRouter`, such as `dependencies` and `tags`.

    Raises:
        FieldError: A name is unknown, or `model` has no table.
    """
    filters = list(filters)
    check_routes(model, routes, filters)
    rows = CrudRows(model, created=create, updated=update, answered=read, queryset=queryset)
    options.setdefault("tags", [rows.label])
    router = fastapi.APIRouter(prefix=f"/{rows.info.tablename}" if prefix is None else prefix, **options)
    built = _Handlers(rows, filters_of(model, filters), page_request(size=page_size, max_size=max_page_size))
    for name in routes:
        getattr(built, name)(router)
    return router


class KeyType(RowKeyType):
    """The type of a primary key in a path."""

    def validate(self, value: Any) -> Any:
        """The key. Answers 404 for a number that is not written in ASCII digits."""
        with errors_answered():
            return super().validate(value)


class _Handlers:
    """The handlers of a model's routes. Each method adds one route to a router."""

    def __init__(self, rows: CrudRows, filters: Any, page: Any) -> None:
        self.rows = rows
        self.filters = filters
        self.page = page
        self.row_path = "".join(f"/{{{field.attname}}}" for field in rows.info.pk_fields)
        self.key = self._key()

    def _key(self) -> Any:
        """A dependency on the primary key that the path has, as lookups."""

        async def key(**values: Any) -> dict[str, Any]:
            return values

        key.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(
                    field.attname,
                    inspect.Parameter.KEYWORD_ONLY,
                    annotation=Annotated[Any, KeyType(field), fastapi.Path()],
                )
                for field in self.rows.info.pk_fields
            ]
        )
        return fastapi.Depends(key)

    def list(self, router: fastapi.APIRouter) -> None:
        """Add the route that lists rows."""
        rows = self.rows
        answered: Any = rows.answered

        async def list_rows(
            page: Annotated[PageRequest, self.page], filters: Annotated[Filters, self.filters]
        ) -> PageOf[answered]:
            with errors_answered():
                return await page.fetch(filters.of(rows.loads))  # type: ignore[return-value]  # FastAPI converts it

        self._add(router, "", list_rows, "GET", f"List {rows.label} rows")

    def create(self, router: fastapi.APIRouter) -> None:
        """Add the route that creates a row."""
        rows = self.rows
        answered: Any = rows.answered
        created: Any = rows.created

        async def create_row(body: created) -> answered:
            with errors_answered():
                return await rows.create(body)

        self._add(router, "", create_row, "POST", f"Create {rows.a_row}", (400, 409), HTTPStatus.CREATED)

    def read(self, router: fastapi.APIRouter) -> None:
        """Add the route that reads a row."""
        rows = self.rows
        answered: Any = rows.answered

        async def read_row(key: Annotated[dict[str, Any], self.key]) -> answered:
            with errors_answered():
                return await rows.read(key)

        self._add(router, self.row_path, read_row, "GET", f"Read {rows.a_row}", (404,))

    def replace(self, router: fastapi.APIRouter) -> None:
        """Add the route that gives all fields of a row a value."""
        self._add_change(router, self.rows.replaced, "replace", "PUT")

    def update(self, router: fastapi.APIRouter) -> None:
        """Add the route that changes some fields of a row."""
        self._add_change(router, self.rows.updated, "update", "PATCH")

    def _add_change(self, router: fastapi.APIRouter, accepted: Any, name: str, method: str) -> None:
        rows = self.rows
        answered: Any = rows.answered

        async def change_row(
            key: Annotated[dict[str, Any], self.key], body: accepted, request: fastapi.Request
        ) -> answered:
            with errors_answered():
                return await rows.change(key, body, await request.json())

        change_row.__name__ = f"{name}_row"
        self._add(router, self.row_path, change_row, method, f"{name.title()} {rows.a_row}", (400, 404, 409))

    def delete(self, router: fastapi.APIRouter) -> None:
        """Add the route that deletes a row."""
        rows = self.rows

        async def delete_row(key: Annotated[dict[str, Any], self.key]) -> None:
            with errors_answered():
                await rows.delete(key)

        summary = f"Delete {rows.a_row}"
        self._add(router, self.row_path, delete_row, "DELETE", summary, (404, 409), HTTPStatus.NO_CONTENT)

    def _add(
        self,
        router: fastapi.APIRouter,
        path: str,
        handler: Any,
        method: str,
        summary: str,
        errors: Sequence[int] = (),
        status: int = HTTPStatus.OK,
    ) -> None:
        router.add_api_route(
            path,
            handler,
            methods=[method],
            summary=summary,
            name=f"{handler.__name__.partition('_')[0]}_{self.rows.info.tablename}",
            responses=error_responses(*errors),
            status_code=status,
        )
