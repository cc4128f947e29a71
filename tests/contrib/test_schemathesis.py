"""Schemathesis: requests made of the OpenAPI of the CRUD applications, valid and invalid ones. None is a 500."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

import orm
from examples import fastapi_crud, litestar_crud
from orm.database.connections.database import Database
from tests.contrib import every_field


def operations_of(document: dict[str, Any]) -> dict[str, Any]:
    """What Schemathesis knows of each route, by its method and path."""
    schema = schemathesis.openapi.from_dict(document)
    return {operation.ok().label: operation.ok() for operation in schema.get_all_operations()}


OPERATIONS = operations_of(fastapi_crud.app.openapi())
OPERATIONS_OF_ITEMS = operations_of(every_field.app.openapi())
#: On SQLite only: what differs by database is the same code with each framework.
OF_LITESTAR = operations_of(litestar_crud.app.openapi_schema.to_schema())
ITEMS_OF_LITESTAR = operations_of(every_field.litestar_app.openapi_schema.to_schema())
#: OpenAPI cannot say all that is refused: that the row of a foreign key exists, or that a cursor is of this list.
EXCLUDED: list[Any] = [positive_data_acceptance]


class Crud:
    """The application on an event loop of its own: Hypothesis draws values in synchronous code."""

    def __init__(self, portal: BlockingPortal, app: Any) -> None:
        self.portal = portal
        self.app = app
        self.numbers = itertools.count(1)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://music")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.portal.call(lambda: self.client.request(method, path, **options))

    def answer(self, case: Any) -> httpx.Response:
        """The answer to a request that Schemathesis has made."""
        options = case.as_transport_kwargs(base_url="http://music")
        body = {"json": options["json"]} if "json" in options else {"content": options.get("data")}
        headers = {name: value for name, value in options["headers"].items() if value is not None}
        return self.request(options["method"], options["url"], params=options.get("params"), headers=headers, **body)

    def keys(self, path: str) -> list[int]:
        """The keys of the rows that are listed there, which are created if there are none."""
        rows = self.request("GET", path).json()["items"]
        if rows:
            return [row["id"] for row in rows]
        if path == "/item":
            self.request("POST", path, json={})
            return self.keys(path)
        album = self.request("POST", "/album", json={"name": f"Album {next(self.numbers)}", "price": "9.50"}).json()
        for position in (1, 2):
            self.request("POST", "/track", json={"album_id": album["id"], "title": "Intro", "position": position})
        return self.keys(path)


def is_trimmed(document: Any) -> bool:
    """Whether no text of a document begins or ends with spaces: fields remove them before they look at the length."""
    if isinstance(document, dict):
        return all(is_trimmed(each) for each in document.values())
    return not isinstance(document, str) or document == document.strip()


def running(app: Any, models: orm.ModelRegistry, url: str) -> Iterator[Crud]:
    before = models.database
    models.database = Database(url)
    with start_blocking_portal("asyncio", {"debug": True}) as portal:
        crud = Crud(portal, app)
        portal.call(models.database.connect)
        portal.call(models.create_all)
        yield crud
        portal.call(models.drop_all)
        portal.call(crud.client.aclose)
        portal.call(models.database.disconnect)
    models.database = before


@pytest.fixture
def crud(database_url: str) -> Iterator[Crud]:
    yield from running(fastapi_crud.app, fastapi_crud.models, database_url)


@pytest.fixture
def items(database_url: str) -> Iterator[Crud]:
    yield from running(every_field.app, every_field.models, database_url)


@pytest.fixture
def litestar(tmp_path: Path) -> Iterator[Crud]:
    yield from running(litestar_crud.app, litestar_crud.models, f"sqlite:///{tmp_path}/albums.db")


@pytest.fixture
def litestar_items(tmp_path: Path) -> Iterator[Crud]:
    yield from running(every_field.litestar_app, every_field.models, f"sqlite:///{tmp_path}/items.db")


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_answers_conform_to_openapi(crud: Crud, operation: Any) -> None:
    check_answers(crud, operation)


@pytest.mark.parametrize("operation", OF_LITESTAR.values(), ids=OF_LITESTAR)
def test_answers_of_litestar_conform_to_openapi(litestar: Crud, operation: Any) -> None:
    check_answers(litestar, operation)


@pytest.mark.parametrize("operation", OPERATIONS_OF_ITEMS.values(), ids=OPERATIONS_OF_ITEMS)
def test_values_of_each_type_are_stored_or_refused(items: Crud, operation: Any) -> None:
    check_items(items, operation)


@pytest.mark.parametrize("operation", ITEMS_OF_LITESTAR.values(), ids=ITEMS_OF_LITESTAR)
def test_values_of_each_type_are_stored_or_refused_by_litestar(litestar_items: Crud, operation: Any) -> None:
    check_items(litestar_items, operation)


def check_answers(crud: Crud, operation: Any) -> None:
    requests = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(case=requests, row=st.none() | st.integers(0, 3))
    def check(case: Any, row: int | None) -> None:
        keys = crud.keys(operation.path.partition("/{")[0])
        if row is not None and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = keys[row % len(keys)]  # of a row that is there
        trimmed = [] if is_trimmed(case.body) else [negative_data_rejection]
        case.validate_response(crud.answer(case), excluded_checks=EXCLUDED + trimmed)

    check()


def check_items(items: Crud, operation: Any) -> None:
    requests = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(case=requests, exists=st.booleans())
    def check(case: Any, exists: bool) -> None:
        keys = items.keys("/item")
        if exists and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = keys[0]
        # Numbers and dates of an API are accepted in more spellings than a JSON Schema can name.
        case.validate_response(items.answer(case), excluded_checks=[*EXCLUDED, negative_data_rejection])

    check()
