"""`crud_router()`: the routes that list, create, read, replace, update and delete the rows of a model."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from litestar import Request, Router, delete, get, patch, post, put
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from pydantic import BaseModel, TypeAdapter

from orm.contrib.crud.filters import Filters, KeyType
from orm.contrib.crud.pages import PageOf, PageRequest
from orm.contrib.crud.rows import ROUTES, CrudRows, check_routes
from orm.contrib.litestar.answers import error_responses, exception_handlers
from orm.contrib.litestar.filters import filters_of
from orm.contrib.litestar.pages import page_request
from orm.contrib.litestar.parameters import UrlParameter, argument_name, converted, with_parameters
from orm.models import Model
from orm.queryset.queryset import QuerySet


def crud_router(
    model: type[Model],
    *,
    create: type[BaseModel] | None = None,
    update: type[BaseModel] | None = None,
    read: type[BaseModel] | None = None,
    filters: Iterable[str] = (),
    queryset: QuerySet[Any, Any] | None = None,
    routes: Sequence[str] = ROUTES,
    path: str | None = None,
    page_size: int = 50,
    max_page_size: int = 200,
    **options: Any,
) -> Router:
    """A router with six routes for the rows of a model, in an application with `OrmPlugin`.

        notes = crud_router(Note, read=read_model(Note, nested=["author"]), filters=["text__icontains", "author"])
        app = Litestar([notes], plugins=[OrmPlugin(database)])

    | route | | answers |
    | --- | --- | --- |
    | `list` | ``GET /note?text__icontains=…&size=…&after=…`` | a page of rows |
    | `create` | ``POST /note`` | 201, the row |
    | `read` | ``GET /note/{id}`` | the row |
    | `replace` | ``PUT /note/{id}`` | the row, whose fields have the values of the body or their defaults |
    | `update` | ``PATCH /note/{id}`` | the row, with the changes of the body |
    | `delete` | ``DELETE /note/{id}`` | 204 |

    The relations that `read` answers are loaded with the rows, in one query for joins and one for each prefetch. No row
    is 404, a unique value that exists 409, a value that is refused 422: see `exception_handlers`. The primary key of a
    row cannot be changed.

    Args:
        model: The model.
        create: What is accepted for a new row; by default `create_model(model)`.
        update: What is accepted for a change; by default `update_model(model)`.
        read: What is answered; by default `read_model(model)`.
        filters: The lookups that are query parameters of the list.
        queryset: The rows that the routes read and write, in the order of the list; by default all, by primary key. A
            row that it would not have is not written: the answer is 422.
        routes: The names of the routes, if not all.
        path: The path, by default ``/`` and the name of the table.
        page_size: The number of rows of a page, unless the request says another one.
        max_page_size: The largest number that a request may ask for.
        options: Those of `litestar.Router`, such as `dependencies`, `guards` and `tags`.

    Raises:
        FieldError: A name is unknown, or `model` has no table.
    """
    filters = list(filters)
    check_routes(model, routes, filters)
    rows = CrudRows(model, created=create, updated=update, answered=read, queryset=queryset)
    page = page_request(size=page_size, max_size=max_page_size)
    handlers = _Handlers(rows, filters_of(model, filters), page)
    options.setdefault("tags", [rows.label])
    options["exception_handlers"] = {**exception_handlers, **(options.get("exception_handlers") or {})}
    return Router(
        path=f"/{rows.info.tablename}" if path is None else path,
        route_handlers=[getattr(handlers, name)() for name in routes],
        **options,
    )


class _Handlers:
    """The handlers of a model's routes. Each method makes one."""

    def __init__(self, rows: CrudRows, filters: Provide, page: Provide) -> None:
        self.rows = rows
        self.list_dependencies = {"filters": filters, "page": page}
        self.row_path = "".join(f"/{{{argument_name(field.attname)}:str}}" for field in rows.info.pk_fields)
        self.row_dependencies = {"key": self._key()}

    def _key(self) -> Provide:
        """A dependency on the primary key that the path has, as lookups."""
        parameters = [
            UrlParameter(field.attname, TypeAdapter(Annotated[Any, KeyType(field)]), in_path=True)
            for field in self.rows.info.pk_fields
        ]

        async def key(**texts: Any) -> dict[str, Any]:
            return converted(parameters, texts)

        return Provide(with_parameters(key, parameters))

    def list(self) -> HTTPRouteHandler:
        """The route that lists rows."""
        rows = self.rows
        answered: Any = rows.answered
        page_of = PageOf[answered]

        async def list_rows(page: NamedDependency[PageRequest], filters: NamedDependency[Filters]) -> PageOf[answered]:
            return page_of.model_validate(await page.fetch(filters.of(rows.loads)))

        options = _described(f"List {rows.label} rows", 422)
        return get("/", dependencies=self.list_dependencies, **options)(list_rows)

    def create(self) -> HTTPRouteHandler:
        """The route that creates a row."""
        rows = self.rows
        answered: Any = rows.answered
        created: Any = rows.created

        async def create_row(data: JSONBody[created]) -> answered:
            return await rows.create(data)

        return post("/", **_described(f"Create {rows.a_row}", 400, 409, 422))(create_row)

    def read(self) -> HTTPRouteHandler:
        """The route that reads a row."""
        rows = self.rows
        answered: Any = rows.answered

        async def read_row(key: NamedDependency[dict[str, Any]]) -> answered:
            return rows.answered.model_validate(await rows.read(key))

        options = _described(f"Read {rows.a_row}", 404, 422)
        return get(self.row_path, dependencies=self.row_dependencies, **options)(read_row)

    def replace(self) -> HTTPRouteHandler:
        """The route that gives all fields of a row a value."""
        return self._change(put, self.rows.replaced, "replace")

    def update(self) -> HTTPRouteHandler:
        """The route that changes some fields of a row."""
        return self._change(patch, self.rows.updated, "update")

    def _change(self, method: Any, accepted: Any, verb: str) -> HTTPRouteHandler:
        rows = self.rows
        answered: Any = rows.answered

        async def change_row(
            key: NamedDependency[dict[str, Any]], data: JSONBody[accepted], request: Request[Any, Any, Any]
        ) -> answered:
            return await rows.change(key, data, await request.json())

        change_row.__name__ = f"{verb}_row"
        options = _described(f"{verb.title()} {rows.a_row}", 400, 404, 409, 422)
        handler: HTTPRouteHandler = method(self.row_path, dependencies=self.row_dependencies, **options)(change_row)
        return handler

    def delete(self) -> HTTPRouteHandler:
        """The route that deletes a row."""
        rows = self.rows

        async def delete_row(key: NamedDependency[dict[str, Any]]) -> None:
            await rows.delete(key)

        options = _described(f"Delete {rows.a_row}", 404, 409, 422)
        return delete(self.row_path, dependencies=self.row_dependencies, **options)(delete_row)


def _described(summary: str, *errors: int) -> dict[str, Any]:
    """The options of a handler that OpenAPI shows."""
    return {"summary": summary, "responses": error_responses(*errors)}
