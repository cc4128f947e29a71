"""FastAPI over HTTP, on each database: models in bodies and answers, the dependencies, and the answers to errors."""

import datetime
import subprocess
import sys
from typing import Annotated, Any

import fastapi
import pytest

import orm
from orm.contrib.fastapi import (
    Filters,
    FromBody,
    PageOf,
    PageRequest,
    crud_router,
    exception_handlers,
    filters_of,
    get_or_404,
    in_session,
    in_transaction,
    page_request,
    provide,
)
from orm.contrib.pydantic import read_model
from tests.contrib.music import create_rows, define_models
from tests.contrib.web_frameworks import client_of

pytestmark = pytest.mark.anyio


async def test_models_are_types_of_bodies_and_answers(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    app = fastapi.FastAPI(exception_handlers=exception_handlers)

    @app.post("/artists", status_code=201)
    async def create_artist(artist: FromBody[music.Artist]) -> music.Artist:  # type: ignore[name-defined]
        await artist.save()
        return artist

    @app.get("/artists", response_model=list[music.Artist])
    async def list_artists() -> Any:
        return await music.Artist.objects.prefetch_related("albums").order_by("id")

    @app.get("/tracks/{number}", response_model=music.Track)
    async def read_track(number: int, joined: bool = True) -> Any:
        rows = music.Track.objects.select_related("album") if joined else music.Track.objects
        return await get_or_404(rows, id=number)

    async with client_of(app) as client:
        answer = await client.post("/artists", json={"name": "Ella", "id": 70})
        assert (answer.status_code, answer.json()) == (201, {"id": 2, "name": "Ella"})
        answer = await client.post("/artists", json={"name": "Ella"})
        assert answer.status_code == 409
        assert answer.json()["detail"][0]["loc"] == ["body", "name"]
        answer = await client.post("/artists", json={"name": None})
        assert answer.json()["detail"] == [
            {"type": "null", "loc": ["body", "name"], "msg": "May not be null.", "input": {"name": None}}
        ]
        nina, ella = (await client.get("/artists")).json()
        assert (nina["albums"][0]["name"], ella["albums"]) == ("Wild", [])
        assert (await client.get("/tracks/1")).json()["album"]["name"] == "Wild"
        assert (await client.get("/tracks/9")).status_code == 404
        with pytest.raises(Exception, match=r"Track\.album is to be answered and was not loaded"):
            await client.get("/tracks/1?joined=false")
        schemas = app.openapi()["components"]["schemas"]
        assert {"Artist-Input", "Artist-Output", "Track"} <= set(schemas)
    await music.registry.drop_all()


@pytest.mark.parametrize("answered", [None, Any, dict[str, Any]])
async def test_answers_without_a_type_have_what_was_loaded_and_nothing_private(database: Any, answered: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    app = fastapi.FastAPI()
    artists, tracks = music.Artist.objects.order_by("id"), music.Track.objects.order_by("id")
    queries = {
        "plain": tracks,
        "joined": tracks.select_related("album"),
        "deferred": tracks.only("id"),
        "prefetched": artists.prefetch_related("albums"),
    }

    @app.get("/{name}", response_model=answered)
    async def read(name: str) -> Any:
        return {"row": await queries[name].first(), "created": datetime.date(2026, 1, 2)}

    async with client_of(app) as client:
        rows = {name: (await client.get(f"/{name}")).json()["row"] for name in queries}
    assert rows["plain"]["album_id"] == 1
    assert "album" not in rows["plain"]
    assert rows["joined"] == {**rows["plain"], "album": rows["joined"]["album"]}
    assert rows["joined"]["album"]["name"] == "Wild"
    assert rows["deferred"] == {"id": 1}
    assert set(rows["prefetched"]) == {"id", "name", "albums"}
    assert rows["prefetched"]["albums"][0]["name"] == "Wild"
    await music.registry.drop_all()


async def test_transaction_is_committed_before_the_answer_and_rolled_back_by_an_error(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    app = fastapi.FastAPI(exception_handlers=exception_handlers)
    states: list[Any] = []

    @app.post("/artists", dependencies=[in_transaction(database)])
    async def create_two(first: str, second: str, db: Annotated[Any, provide(database)]) -> int:
        await music.Artist.objects.create(name=first)
        await music.Artist.objects.create(name=second)
        if second == "stop":
            raise fastapi.HTTPException(418)
        states.append(db)
        return await music.Artist.objects.count()

    async with client_of(app) as client:
        assert (await client.post("/artists?first=a&second=b")).json() == 3
        assert states == [database]
        assert (await client.post("/artists?first=c&second=c")).status_code == 409
        assert (await client.post("/artists?first=d&second=stop")).status_code == 418
    assert await music.Artist.objects.order_by("id").values_list("name", flat=True) == ["Nina", "a", "b"]
    await music.registry.drop_all()


async def test_session_is_committed_before_the_answer_and_rolled_back_by_an_error(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    app = fastapi.FastAPI(exception_handlers=exception_handlers)

    @app.patch("/artists/{number}")
    async def rename(number: int, name: str, session: Annotated[orm.Session, in_session(database)]) -> None:
        artist = await session.get(music.Artist, number)
        artist.name = name
        if name == "stop":
            raise fastapi.HTTPException(418)

    async with client_of(app) as client:
        assert (await client.patch("/artists/1?name=Ella")).status_code == 200
        assert (await music.Artist.objects.get(id=1)).name == "Ella"
        assert (await client.patch("/artists/1?name=stop")).status_code == 418
        assert (await client.patch("/artists/1?name=")).json()["detail"][0]["msg"] == "Must not be blank."
        assert (await music.Artist.objects.get(id=1)).name == "Ella"
    await music.registry.drop_all()


async def test_errors_of_handlers_of_ones_own_are_answered(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    app = fastapi.FastAPI(exception_handlers=exception_handlers)

    @app.get("/missing")
    async def missing() -> None:
        await music.Artist.objects.get(name="nobody")

    @app.get("/invalid")
    async def invalid() -> None:
        await music.Artist.objects.bulk_create([{"name": "ok"}, {"name": ""}])

    async with client_of(app) as client:
        answer = await client.get("/missing")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
        answer = await client.get("/invalid")
        detail = [{"loc": ["body", 1, "name"], "msg": "Must not be blank.", "type": "blank"}]
        assert (answer.status_code, answer.json()) == (422, {"detail": detail})
    await music.registry.drop_all()


async def test_filters_and_pages_of_handlers_of_ones_own(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    read = read_model(music.Track, include=["title"])
    app = fastapi.FastAPI()
    lookups = ["title__in", "album__artist", "album__artist__name__istartswith", "bonus_of__isnull", "position__range"]

    @app.get("/tracks", response_model=PageOf[read])  # type: ignore[valid-type]
    async def list_tracks(
        page: Annotated[PageRequest, page_request(size=1, max_size=2)],
        filters: Annotated[Filters, filters_of(music.Track, lookups)],
    ) -> Any:
        return await page.fetch(filters.of(music.Track.objects.order_by("position")))

    async with client_of(app) as client:

        async def titles(query: str) -> list[str]:
            return [each["title"] for each in (await client.get(f"/tracks?size=2&{query}")).json()["items"]]

        assert await titles("title__in=Intro&title__in=None") == ["Intro"]
        assert await titles("album__artist=1") == ["Intro", "End"]
        assert await titles("album__artist=2") == []
        assert await titles("album__artist__name__istartswith=NI&bonus_of__isnull=true") == ["Intro", "End"]
        assert await titles("position__range=2&position__range=9") == ["End"]
        assert len((await client.get("/tracks")).json()["items"]) == 1
        assert (await client.get("/tracks?size=3")).status_code == 422
    await music.registry.drop_all()


async def test_expression_that_the_database_cannot_read_is_named(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    app = fastapi.FastAPI(exception_handlers=exception_handlers)

    @app.get("/titles")
    async def list_titles(
        filters: Annotated[Filters, filters_of(music.Track, ["title__regex", "title__iregex"])],
    ) -> list[str]:
        return await filters.of(music.Track.objects.order_by("id")).values_list("title", flat=True)

    async with client_of(app) as client:
        for query, name in (("title__regex=[", "title__regex"), ("title__regex=^I&title__iregex=(", "title__iregex")):
            [message] = (await client.get(f"/titles?{query}")).json()["detail"]
            assert message["loc"] == ["query", name]
            assert message["msg"] == "Must be a regular expression of the database."
        assert (await client.get("/titles?title__regex=^I")).json() == ["Intro"]
    await music.registry.drop_all()


def test_unknown_names_are_refused_where_they_are_declared() -> None:
    music = define_models(orm.Database("sqlite://"))
    with pytest.raises(orm.FieldError, match="'titel'"):
        filters_of(music.Track, ["titel"])
    with pytest.raises(orm.FieldError, match="no lookup 'like'"):
        filters_of(music.Track, ["title__like"])
    with pytest.raises(orm.FieldError, match=r"crud_router\(\) has no route 'lists'"):
        crud_router(music.Track, routes=["lists"])


@pytest.mark.parametrize(
    "package, module", [("fastapi", "orm.contrib.fastapi"), ("starlette", "orm.contrib.starlette")]
)
def test_missing_package_is_one_line_with_the_command(package: str, module: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; import {module}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stderr.splitlines()[-1] == (
        f"ImportError: {module} needs the package {package}, which is not installed: pip install {package}"
    )
