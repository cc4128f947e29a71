"""The service over HTTP, on an SQLite file, or on the database of `TEST_DATABASE_URL`."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from feed.app import app
from feed.models import User, models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

import orm
from orm import migrations

pytestmark = pytest.mark.anyio

# Requests that are made of the service's OpenAPI, valid and invalid ones.
OPERATIONS = [each.ok() for each in schemathesis.openapi.from_dict(app.openapi()).get_all_operations()]
REQUESTS = st.one_of(
    *(operation.as_strategy(generation_mode=mode) for operation in OPERATIONS for mode in GenerationMode)
)
# Each request gets a token, also one that is made to have none; and OpenAPI cannot say all that is refused.
NOT_CHECKED = [ignored_auth, negative_data_rejection, positive_data_acceptance]


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def url(tmp_path_factory):
    return os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{tmp_path_factory.mktemp('feed')}/test.db"


@pytest.fixture(autouse=True)
async def database(url):
    """The migrated database, empty."""
    models.database = orm.Database(url)
    async with models.database:
        await migrations.upgrade(models, directory=Path(__file__).parents[1] / "migrations")
        await User.objects.all().delete()  # everything else with them
        yield models.database


@asynccontextmanager
async def signed_up(name):
    """A client that has the token of a new user."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://feed") as client:
        answer = await client.post("/users", json={"name": name})
        assert answer.status_code == 201, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        yield client


@pytest.fixture
async def ada():
    async with signed_up("ada") as client:
        yield client


@pytest.fixture
async def bob():
    async with signed_up("bob") as client:
        yield client


async def test_the_models_have_their_migrations():
    assert await migrations.check(models, directory=Path(__file__).parents[1] / "migrations") == []


async def test_the_feed_has_the_posts_of_those_whom_i_follow(ada, bob):
    await bob.post("/posts", json={"text": "Hello"})
    assert (await ada.get("/feed")).json()["items"] == []

    assert (await ada.put("/users/bob/follow")).status_code == 204
    assert (await ada.put("/users/bob/follow")).status_code == 204  # again is the same
    (post,) = (await ada.get("/feed")).json()["items"]
    assert (post["text"], post["author"], post["likes_count"]) == ("Hello", {"name": "bob"}, 0)
    user = (await ada.get("/users/bob")).json()
    assert (user["posts_count"], user["followers_count"]) == (1, 1)
    assert "token_hash" not in user

    await ada.delete("/users/bob/follow")
    assert (await ada.get("/feed")).json()["items"] == []


async def test_a_feed_has_pages(ada, bob):
    await ada.put("/users/bob/follow")
    for n in range(5):
        await bob.post("/posts", json={"text": str(n)})

    read, cursor = [], {}
    while True:
        async with orm.assert_max_queries(2):  # the user of the token, and the page
            page = (await ada.get("/feed", params={"size": 2, **cursor})).json()
        read.append([post["text"] for post in page["items"]])
        if not page["has_next"]:
            break
        cursor = {"after": page["next_cursor"]}
    assert read == [["4", "3"], ["2", "1"], ["0"]]
    assert (await ada.get("/feed", params={"after": "nonsense"})).status_code == 422


async def test_likes_are_counted_once(ada, bob):
    post = (await bob.post("/posts", json={"text": "Hello"})).json()
    for _ in range(2):
        assert (await ada.put(f"/posts/{post['id']}/like")).status_code == 204
    await bob.put(f"/posts/{post['id']}/like")

    assert (await ada.get(f"/posts/{post['id']}")).json() == {**post, "likes_count": 2, "liked": True}
    await ada.delete(f"/posts/{post['id']}/like")
    assert (await ada.get(f"/posts/{post['id']}")).json() == {**post, "likes_count": 1, "liked": False}


async def test_posts_are_changed_by_their_author_alone(ada, bob):
    post = (await bob.post("/posts", json={"text": "Helo"})).json()
    path = f"/posts/{post['id']}"
    assert (await ada.patch(path, json={"text": "Mine"})).status_code == 404
    assert (await ada.delete(path)).status_code == 404
    assert (await bob.patch(path, json={"text": "Hello"})).json() == {**post, "text": "Hello"}
    assert (await bob.delete(path)).status_code == 204
    assert (await bob.get(path)).json() == {"detail": "Not Found"}


async def test_errors_name_the_field(ada):
    answer = await ada.post("/users", json={"name": "ada"})
    assert answer.status_code == 409
    assert answer.json()["detail"][0]["loc"] == ["body", "name"]

    for body, field in [({"name": "No spaces"}, "name"), ({"name": "x" * 31}, "name"), ({"bio": "Hi"}, "name")]:
        answer = await ada.post("/users", json=body)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", field]

    for text in ("", "x" * 281, None):
        assert (await ada.post("/posts", json={"text": text})).status_code == 422

    answer = await ada.put("/users/ada/follow")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["msg"] == "You cannot follow yourself."
    assert (await ada.put("/users/nobody/follow")).status_code == 404
    assert (await ada.get("/users/nobody/posts")).status_code == 404
    assert (await ada.put("/posts/99999999999999999999/like")).status_code == 404


async def test_no_request_is_a_500(ada):
    for value in ("\0", b"\xff", "9" * 40, "-1", "%", "x" * 1000):
        answers = [
            await ada.get(f"/users/{quote(value)}"),
            await ada.put(f"/users/{quote(value)}/follow"),
            await ada.delete(f"/users/{quote(value)}/follow"),
            await ada.get(f"/posts/{quote(value)}"),
            await ada.delete(f"/posts/{quote(value)}/like"),
            await ada.get("/feed", params={"after": value}),
            await ada.post("/users", content=value, headers={"Content-Type": "application/json"}),
            await ada.post("/posts", json={"text": str(value)}),
        ]
        assert [answer.url for answer in answers if answer.status_code >= 500] == []


@settings(max_examples=120, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=REQUESTS, exists=st.booleans())
async def test_answers_conform_to_openapi(ada, bob, case, exists):
    if exists and case.path_parameters:
        post = (await bob.post("/posts", json={"text": "Hello"})).json()
        case.path_parameters.update({key: {"id": post["id"], "name": "bob"}[key] for key in case.path_parameters})
    options = case.as_transport_kwargs(base_url="http://feed")
    body = {"json": options["json"]} if "json" in options else {"content": options.get("data")}
    headers = {name: value for name, value in options["headers"].items() if name != "Authorization"}
    answer = await ada.request(options["method"], options["url"], params=options.get("params"), headers=headers, **body)
    case.validate_response(answer, excluded_checks=NOT_CHECKED)


async def test_a_request_needs_a_token(ada):
    assert (await ada.get("/feed", headers={"Authorization": "Bearer wrong"})).status_code == 401
    del ada.headers["Authorization"]
    assert (await ada.get("/feed")).status_code == 401
