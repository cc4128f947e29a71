"""Litestar over ASGI, on each database: the plugin, `ModelDTO`, dependencies, errors as answers, and OpenAPI."""

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from litestar import Litestar, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.dto import DTOConfig, DTOData
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.testing import AsyncTestClient

import orm
from orm.contrib.asgi import TransactionMiddleware
from orm.contrib.litestar import (
    Filters,
    ModelDTO,
    OrmPlugin,
    PageOf,
    PageRequest,
    error_responses,
    filters_of,
    get_or_404,
    in_transaction,
    page_request,
)
from orm.contrib.pydantic import create_model, read_model
from tests.contrib.music import create_rows, define_models

pytestmark = pytest.mark.anyio

ALBUM = {"artist_id": 1, "name": "Blue", "price": "9.5"}


@pytest.fixture
async def music(database: Any) -> AsyncIterator[Any]:
    music = define_models(database)
    await create_rows(music)
    yield music
    await music.registry.drop_all()


def application(music: Any, *handlers: Any, **options: Any) -> Litestar:
    return Litestar([*handlers], plugins=[OrmPlugin(music.registry.database)], debug=True, **options)


def client_of(app: Litestar) -> httpx.AsyncClient:
    """A client on the test's event loop, where the database is connected."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://music")  # type: ignore[arg-type]


def service(music: Any) -> Litestar:
    """Albums and tracks, with a handler for each kind of type."""
    Album, Track, database = music.Album, music.Track, music.registry.database
    AlbumCreate = create_model(Album)
    AlbumRead = read_model(Album, include=["id", "name", "price"], nested={"tracks": {"include": ["title"]}})
    Title = ModelDTO[Annotated[Track, DTOConfig(include={"title", "album.name"})]]
    Change = ModelDTO[Annotated[Album, DTOConfig(partial=True, rename_strategy="camel")]]

    @get("/albums")
    async def list_albums() -> list[Album]:
        return [*await Album.objects.order_by("id")]

    @get("/albums/{id:int}")
    async def read_album(id: FromPath[int]) -> AlbumRead:
        return AlbumRead.model_validate(await get_or_404(Album.objects.prefetch_related("tracks"), id=id))

    @post("/albums")
    async def create_album(data: JSONBody[Album]) -> Album:
        await data.save()
        return data

    @post("/many")
    async def create_albums(data: JSONBody[list[Album]]) -> list[int]:
        return [album.id for album in await Album.objects.bulk_create(data)]

    @post("/validated")
    async def validate_album(data: JSONBody[AlbumCreate]) -> dict[str, Any]:
        album = await Album.objects.create(**data.model_dump())
        return {"album": await Album.objects.select_related("artist").get(id=album.id)}

    @patch("/albums/{id:int}", dto=Change)
    async def update_album(id: FromPath[int], data: JSONBody[DTOData[Album]]) -> Album:
        album = data.update_instance(await Album.objects.get(id=id))
        await album.save()
        return album

    @delete("/albums/{id:int}")
    async def delete_album(id: FromPath[int]) -> None:
        await (await Album.objects.get(id=id)).delete()

    @get("/titles", return_dto=Title)
    async def list_titles(loaded: FromQuery[bool] = True) -> list[Track]:
        tracks = Track.objects.order_by("id")
        return [*await (tracks.select_related("album") if loaded else tracks)]

    @post("/twice", dependencies={"transaction": in_transaction(database)})
    async def create_twice(
        data: JSONBody[Album], transaction: NamedDependency[Any], fail: FromQuery[bool] = False
    ) -> None:
        await data.save()
        if fail:
            raise HTTPException(status_code=418)
        await Album.objects.create(artist=1, name="Other", price=1)

    handlers = (list_albums, read_album, create_album, create_albums, validate_album, update_album, delete_album)
    return application(music, *handlers, list_titles, create_twice)


async def test_models_are_types_of_bodies_and_answers(music: Any) -> None:
    async with client_of(service(music)) as client:
        answer = await client.post("/albums", json={**ALBUM, "released": "1971-06-22", "id": 77})
        assert answer.status_code == 201, answer.text
        album = answer.json()
        assert album.pop("added")
        assert album == {
            "id": 2,
            "artist_id": 1,
            "name": "Blue",
            "format": "lp",
            "price": "9.50",
            "released": "1971-06-22",
            "length": "P0DT00H40M00S",
            "studio": None,
            "sleeve": None,
            "rank": 3,
        }
        albums = (await client.get("/albums")).json()
        assert [each["name"] for each in albums] == ["Wild", "Blue"]
        assert (albums[0]["sleeve"], albums[0]["studio"]) == ("/wA=", {"name": "RCA", "city": None})
        assert (await client.post("/many", json=[{**ALBUM, "name": name} for name in ("One", "Two")])).json() == [3, 4]


async def test_classes_of_pydantic_are_types_of_bodies_and_answers(music: Any) -> None:
    async with client_of(service(music)) as client:
        assert (await client.get("/albums/1")).json() == {
            "id": 1,
            "name": "Wild",
            "price": "9.50",
            "tracks": [{"title": "Intro"}, {"title": "End"}],
        }
        answer = await client.post("/validated", json=ALBUM)
        assert answer.status_code == 201, answer.text
        album = answer.json()["album"]
        assert (album["price"], album["artist"]) == ("9.50", {"id": 1, "name": "Nina"})
        answer = await client.post("/validated", json={"name": "x", "price": -1})
        assert answer.status_code == 422
        assert {tuple(each["loc"]): each["msg"] for each in answer.json()["detail"]} == {
            ("body", "artist_id"): "Field required",
            ("body", "name"): "Must have at least 2 characters.",
            ("body", "price"): "Must be greater than or equal to 0.",
        }


async def test_partial_dto_writes_what_the_body_has(music: Any) -> None:
    async with client_of(service(music)) as client:
        answer = await client.patch("/albums/1", json={"name": "Wilder", "artistId": 1, "id": 99})
        assert answer.status_code == 200, answer.text
        assert (answer.json()["id"], answer.json()["name"], answer.json()["price"]) == (1, "Wilder", "9.50")
        answer = await client.patch("/albums/1", json={"name": None})
        assert answer.json()["detail"] == [{"loc": ["body", "name"], "msg": "May not be null.", "type": "null"}]


async def test_relation_that_a_dto_includes_is_answered_as_it_was_loaded(music: Any) -> None:
    async with client_of(service(music)) as client:
        assert (await client.get("/titles")).json() == [
            {"title": "Intro", "album": {"name": "Wild"}},
            {"title": "End", "album": {"name": "Wild"}},
        ]
        answer = await client.get("/titles?loaded=false")
        assert answer.status_code == 500
        assert "Track.objects.select_related('album')" in answer.text


async def test_errors_are_answers(music: Any) -> None:
    async with client_of(service(music)) as client:
        answer = await client.post("/albums", json={"name": "x", "price": -1, "released": "soon"})
        assert answer.status_code == 422
        assert {tuple(each["loc"]): each["msg"] for each in answer.json()["detail"]} == {
            ("body", "artist_id"): "This field is required.",
            ("body", "name"): "Must have at least 2 characters.",
            ("body", "price"): "Must be greater than or equal to 0.",
            ("body", "released"): "Must be a valid date format.",
        }
        answer = await client.post("/many", json=[ALBUM, {**ALBUM, "name": "x"}, 7])
        assert [each["loc"] for each in answer.json()["detail"]] == [["body", 1, "name"], ["body", 2]]
        for body in ([], "text", 7):
            assert (await client.post("/albums", json=body)).status_code == 422
        assert (await client.post("/albums", content=b"{")).status_code == 400
        assert (await client.post("/albums", content=b"\xff")).status_code == 400

        answer = await client.post("/albums", json={**ALBUM, "artist_id": 7})
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["msg"] == "The row that this refers to does not exist."
        assert (await client.delete("/albums/7")).json() == {"detail": "Not Found"}
        assert (await client.get("/albums/7")).status_code == 404
        assert (await client.get(f"/albums/{2**70}")).status_code == 404


async def test_unique_violation_is_409_with_the_field(music: Any) -> None:
    @post("/artists")
    async def create_artist(data: JSONBody[music.Artist]) -> music.Artist:
        await data.save()
        return data  # type: ignore[no-any-return]

    async with client_of(application(music, create_artist)) as client:
        answer = await client.post("/artists", json={"name": "Nina"})
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (409, ["body", "name"])


async def test_transaction_dependency_commits_before_the_answer_and_rolls_back_with_an_error(music: Any) -> None:
    async with client_of(service(music)) as client:
        assert (await client.post("/twice?fail=true", json=ALBUM)).status_code == 418
        assert await music.Album.objects.count() == 1
        assert (await client.post("/twice", json=ALBUM)).status_code == 201
        assert await music.Album.objects.count() == 3
        assert (await client.post("/twice", json={**ALBUM, "artist_id": 7})).status_code == 422
        assert await music.Album.objects.count() == 3


async def test_transaction_middleware(music: Any) -> None:
    Album, database = music.Album, music.registry.database

    @post("/albums")
    async def create_album(data: JSONBody[Album], fail: FromQuery[bool] = False) -> Album:
        await data.save()
        if fail:
            raise HTTPException(status_code=418)
        return data

    middleware = [DefineMiddleware(TransactionMiddleware, database=database)]
    async with client_of(application(music, create_album, middleware=middleware)) as client:
        assert (await client.post("/albums?fail=true", json=ALBUM)).status_code == 418
        assert await Album.objects.count() == 1
        assert (await client.post("/albums", json=ALBUM)).status_code == 201
        assert await Album.objects.count() == 2


async def test_filters_and_pages_of_handlers_of_ones_own(music: Any) -> None:
    Track = music.Track
    TrackRead = read_model(Track, include=["title"])
    lookups = ["title__in", "album__artist", "bonus_of__isnull", "position__range", "title__regex", "title__iregex"]
    dependencies = {"page": page_request(size=1, max_size=2), "filters": filters_of(Track, lookups)}

    @get("/tracks", dependencies=dependencies, responses=error_responses(422))
    async def list_tracks(page: NamedDependency[PageRequest], filters: NamedDependency[Filters]) -> PageOf[TrackRead]:
        return PageOf[TrackRead].model_validate(await page.fetch(filters.of(Track.objects.order_by("position"))))

    @get("/titles", dependencies=dependencies)
    async def list_titles(filters: NamedDependency[Filters]) -> list[str]:
        return [*await filters.of(Track.objects.order_by("id")).values_list("title", flat=True)]

    app = application(music, list_tracks, list_titles)
    async with client_of(app) as client:

        async def titles(query: str) -> list[str]:
            return [each["title"] for each in (await client.get(f"/tracks?size=2&{query}")).json()["items"]]

        assert await titles("title__in=Intro&title__in=None") == ["Intro"]
        assert await titles("album__artist=1&bonus_of__isnull=true") == ["Intro", "End"]
        assert await titles("album__artist=2") == []
        assert await titles("position__range=2&position__range=9") == ["End"]
        first = (await client.get("/tracks")).json()
        assert (len(first["items"]), first["has_next"]) == (1, True)
        assert (await client.get("/tracks", params={"after": first["next_cursor"]})).json()["items"] == [
            {"title": "End"}
        ]
        for query, loc in (
            ("size=3", ["query", "size"]),
            ("after=x", ["query", "after"]),
            ("after=x&before=y", ["query", "before"]),
            ("album__artist=x", ["query", "album__artist"]),
            ("position__range=1", ["query", "position__range"]),
        ):
            answer = await client.get(f"/tracks?{query}")
            assert (answer.status_code, [each["loc"] for each in answer.json()["detail"]]) == (422, [loc]), query
        for query, name in (("title__regex=[", "title__regex"), ("title__regex=^I&title__iregex=(", "title__iregex")):
            [message] = (await client.get(f"/titles?{query}")).json()["detail"]
            assert (message["loc"], message["type"]) == (["query", name], "regex")
        assert (await client.get("/titles?title__regex=^I")).json() == ["Intro"]
    operation = app.openapi_schema.to_schema()["paths"]["/tracks"]["get"]
    parameters = {each["name"]: each["schema"] for each in operation["parameters"]}
    assert parameters["position__range"] == {
        "type": "array",
        "items": {"type": "integer"},
        "minItems": 2,
        "maxItems": 2,
    }
    assert parameters["size"] == {"type": "integer", "minimum": 1, "maximum": 2, "default": 1}
    assert operation["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("Refusal")


def test_unknown_names_are_refused_where_they_are_declared() -> None:
    music = define_models(orm.Database("sqlite://"))
    with pytest.raises(orm.FieldError, match="'titel'"):
        filters_of(music.Track, ["titel"])
    with pytest.raises(orm.FieldError, match="describes the statuses 400, 404, 409, 422, not 418"):
        error_responses(418)


async def test_database_connects_and_disconnects_with_the_application(database_url: str) -> None:
    database = orm.Database(database_url)
    music = define_models(database)

    @get("/")
    async def is_connected(database: NamedDependency[orm.Database]) -> bool:
        return database.is_connected and await music.Album.objects.count() == 0

    app = Litestar([is_connected], plugins=[OrmPlugin(database, create_all=music.registry)])
    async with AsyncTestClient(app) as client:
        assert (await client.get("/")).json() is True
    assert not database.is_connected
    async with database:
        await music.registry.drop_all()


async def test_handlers_and_dependencies_of_the_application_go_first(music: Any) -> None:
    def gone(request: Request[Any, Any, Any], error: orm.NoMatch) -> Response[str]:
        return Response("gone", status_code=410)

    @get("/")
    async def read() -> None:
        await music.Album.objects.get(id=7)

    async with client_of(application(music, read, exception_handlers={orm.NoMatch: gone})) as client:
        assert (await client.get("/")).status_code == 410


def test_openapi_says_what_is_accepted_and_answered() -> None:
    document = service(define_models(orm.Database("sqlite://"))).openapi_schema.to_schema()

    def schema(content: Any) -> Any:
        """The schema of a body or of an answer."""
        described = content["content"]["application/json"]["schema"]
        reference = described.get("items", described)["$ref"]
        return document["components"]["schemas"][reference.rpartition("/")[2]]

    def body(path: str, method: str = "post") -> Any:
        return schema(document["paths"][path][method]["requestBody"])

    accepted = body("/albums")
    assert accepted["required"] == ["artist_id", "name", "price"]
    assert {"id", "added", "tracks"}.isdisjoint(accepted["properties"])
    name = accepted["properties"]["name"]
    assert (name["minLength"], name["maxLength"], name["pattern"]) == (2, 20, "^[A-Z]")
    assert accepted["properties"]["format"] == {"enum": ["lp", "cd"], "default": "lp"}
    assert accepted["properties"]["price"]["anyOf"][0] == {"type": "number", "minimum": 0}
    assert body("/many")["properties"] == accepted["properties"]
    assert body("/validated")["properties"]["name"] == name
    changed = body("/albums/{id}", "patch")
    assert {"artistId", "name"} <= set(changed["properties"]) and "id" not in changed["properties"]
    assert changed["required"] == []

    answered = schema(document["paths"]["/albums"]["get"]["responses"]["200"])
    assert answered["properties"]["price"] == {"type": "string"}
    assert "added" in answered["required"]
    answered = schema(document["paths"]["/titles"]["get"]["responses"]["200"])
    assert set(answered["properties"]) == {"title", "album"}
    answered = schema(document["paths"]["/albums/{id}"]["get"]["responses"]["200"])
    assert set(answered["properties"]) == {"id", "name", "price", "tracks"}


def test_import_without_litestar_is_one_line_with_the_command() -> None:
    code = "import sys; sys.modules['litestar'] = None; import orm.contrib.litestar"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: orm.contrib.litestar needs the package litestar, which is not installed: pip install litestar"
    )


def test_importing_orm_imports_no_litestar() -> None:
    code = "import sys, orm; assert not {'litestar', 'msgspec', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
