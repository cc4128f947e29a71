"""The CRUD applications of examples/ over HTTP, with FastAPI and with Litestar, on each database."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import orm
from orm.database.connections.database import Database
from tests.contrib.web_frameworks import FRAMEWORKS, client_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=FRAMEWORKS)
def web(request: pytest.FixtureRequest) -> Any:
    return FRAMEWORKS[request.param]


@pytest.fixture
async def crud(web: Any, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    app, models = web.example.app, web.example.models
    before = models.database
    models.database = Database(database_url)
    async with models.database, client_of(app) as client:
        await models.create_all()
        yield client
        await models.drop_all()
    models.database = before


def test_crud_application_has_at_most_45_lines(web: Any) -> None:
    lines = Path(web.example.__file__).read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 45


async def test_row_from_beginning_to_end(crud: httpx.AsyncClient) -> None:
    answer = await crud.post("/album", json={"name": "Wild", "price": "9.5"})
    assert answer.status_code == 201
    album = {"id": 1, "name": "Wild", "released": None, "price": "9.50", "tracks": []}
    assert answer.json() == album
    answer = await crud.post("/track", json={"album_id": 1, "title": "Intro", "position": 1})
    assert answer.json() == {"id": 1, "title": "Intro", "position": 1, "album": {"id": 1, "name": "Wild"}}
    album["tracks"] = [{"id": 1, "title": "Intro", "position": 1}]
    assert (await crud.get("/album/1")).json() == album

    answer = await crud.patch("/album/1", json={"released": "1966-09-01"})
    assert answer.json() == {**album, "released": "1966-09-01"}
    answer = await crud.put("/album/1", json={"name": "Blue", "price": 3})
    assert answer.json() == {**album, "name": "Blue", "price": "3.00"}
    assert (await crud.patch("/album/1", json={})).json()["name"] == "Blue"

    assert (await crud.delete("/album/1")).status_code == 204
    assert (await crud.get("/track/1")).status_code == 404


async def test_requests_with_mistakes_are_refused(web: Any, crud: httpx.AsyncClient) -> None:
    await crud.post("/album", json={"name": "Wild", "price": 1})
    await crud.post("/track", json={"album_id": 1, "title": "Intro", "position": 1})

    async def refused(method: str, path: str, body: Any = None) -> tuple[int, list[Any]]:
        answer = await crud.request(method, path, json=body)
        return answer.status_code, [(each["loc"], each["msg"]) for each in answer.json()["detail"]]

    assert await refused("POST", "/album", {"name": "x" * 101, "price": -1, "released": "soon"}) == (
        422,
        [
            (["body", "name"], "Must have no more than 100 characters."),
            (["body", "released"], "Must be a valid date format."),
            (["body", "price"], "Must be greater than or equal to 0."),
        ],
    )
    assert await refused("POST", "/album", {"name": "Wild", "price": 1}) == (
        409,
        [(["body", "name"], "Album with this name already exists.")],
    )
    status, messages = await refused("POST", "/track", {"album_id": 1, "title": "Again", "position": 1})
    assert (status, [loc for loc, _ in messages]) == (409, [["body", "album"], ["body", "position"]])
    status, messages = await refused("POST", "/track", {"album_id": 7, "title": "Lost", "position": 1})
    assert (status, messages[0][1]) == (422, "The row that this refers to does not exist.")
    assert await refused("PATCH", "/track/1", {"title": None, "position": 2**31}) == (
        422,
        [
            (["body", "title"], "May not be null."),
            (["body", "position"], "Must be less than or equal to 2147483647."),
        ],
    )
    assert await refused("GET", "/album/x") == (422, [(["path", "id"], "Must be a valid integer.")])
    assert await refused("GET", "/album?price__lte=x&released__year=soon") == (
        422,
        [
            (["query", "released__year"], "Must be a valid integer."),
            (["query", "price__lte"], "Must be a valid decimal."),
        ],
    )
    assert await refused("GET", "/album?size=0") == (
        422,
        [(["query", "size"], "Input should be greater than or equal to 1")],
    )
    assert await refused("GET", "/album?after=nonsense") == (
        422,
        [(["query", "after"], "Must be a cursor of this list.")],
    )
    assert await refused("GET", "/album?name__icontains=%00") == (
        422,
        [(["query", "name__icontains"], "Must not have NUL characters.")],
    )
    headers = {"content-type": "application/json"}
    answer = await crud.post("/album", headers=headers, content=b'{"name": "\\ud800", "price": "\\ud800"}')
    if web is FRAMEWORKS["fastapi"]:
        assert answer.json()["detail"][0]["msg"] == "Must be valid Unicode."
    else:  # Litestar's reader of JSON refuses it
        assert answer.status_code == 400
    for method in ("GET", "DELETE"):
        for key in ("2", "9" * 40):
            assert (await crud.request(method, f"/album/{key}")).status_code == 404
    assert (await crud.put("/album/2", json={"name": "New", "price": 1})).status_code == 404


async def test_list_is_filtered_and_divided_into_pages(crud: httpx.AsyncClient) -> None:
    for number in range(5):
        body = {"name": f"Album {number}", "price": number, "released": f"200{number}-01-01"}
        await crud.post("/album", json=body)

    async def names(**query: Any) -> tuple[list[str], dict[str, Any]]:
        page = (await crud.get("/album", params=query)).json()
        return [item["name"] for item in page.pop("items")], page

    first, page = await names(size=2)
    assert (first, page["has_next"]) == (["Album 0", "Album 1"], True)
    second, page = await names(size=2, after=page["next_cursor"])
    assert second == ["Album 2", "Album 3"]
    assert (await names(size=2, before=page["previous_cursor"]))[0] == first
    assert (await names(price__lte="1.5", name__icontains="ALBUM"))[0] == ["Album 0", "Album 1"]
    assert (await names(released__year=2003))[0] == ["Album 3"]


async def test_list_with_nested_rows_has_one_query_for_each_prefetch(crud: httpx.AsyncClient) -> None:
    for number in range(3):
        await crud.post("/album", json={"name": f"Album {number}", "price": 1})
        await crud.post("/track", json={"album_id": number + 1, "title": "Intro", "position": 1})
    with orm.track_queries() as tracker:
        assert len((await crud.get("/album")).json()["items"]) == 3
    assert len(tracker) == 2
    with orm.track_queries() as tracker:
        assert len((await crud.get("/track")).json()["items"]) == 3
    assert len(tracker) == 1


def schema_of(document: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body or of an answer."""
    described = content["content"]["application/json"]["schema"]
    reference: str = described.get("items", described)["$ref"]
    schema: dict[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return schema


def test_openapi_says_what_is_accepted_and_answered(web: Any) -> None:
    document = web.openapi(web.example.app)
    album, row = document["paths"]["/album"], document["paths"]["/album/{id}"]
    created = schema_of(document, album["post"]["requestBody"])
    assert created["properties"]["name"]["maxLength"] == 100
    assert sorted(created["required"]) == ["name", "price"]
    assert not schema_of(document, row["patch"]["requestBody"]).get("required")
    title = schema_of(document, document["paths"]["/track"]["post"]["requestBody"])["properties"]["title"]
    assert title["description"] == "As on the sleeve."
    answered = schema_of(document, row["get"]["responses"]["200"])["properties"]["tracks"]["items"]["$ref"]
    assert "album" not in document["components"]["schemas"][answered.rpartition("/")[2]]["properties"]
    parameters = {each["name"]: each["schema"] for each in album["get"]["parameters"]}
    assert set(parameters) == {"after", "before", "size", "name__icontains", "released__year", "price__lte"}
    year = parameters["released__year"]
    assert year.get("anyOf", [year])[0] == {"type": "integer"}
    assert (parameters["size"]["default"], parameters["size"]["maximum"]) == (50, 200)
    assert set(album["post"]["responses"]) == {"201", "400", "409", "422"}
    assert set(row) == {"get", "put", "patch", "delete"}
    assert set(row["patch"]["responses"]) == {"200", "400", "404", "409", "422"}
    assert {"204", "404", "409"} <= set(row["delete"]["responses"])
    assert row["get"]["parameters"][0]["schema"]["type"] == "integer"
