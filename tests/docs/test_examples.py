"""The examples run: the demo as a program, the notes services over HTTP, in this process, on each database.

The applications have tests of their own, which run as their README says, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from examples.notes import fastapi_app, starlette_app
from examples.notes.models import models
from orm.database.connections.database import Database

ROOT = Path(__file__).parents[2]


def test_the_demo() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "examples/demo.py"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    for piece in ("CREATE TABLE track", "INSERT INTO album", "LIKE ?", "JOIN album", "UPDATE track", "DELETE FROM"):
        assert piece in done.stdout
    assert "->  <Album: Album(id=1) [sparse]>" in done.stdout


@pytest.mark.parametrize("application", ["feed", "wiki"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_application_passes_its_tests(application: str, kind: str, request: pytest.FixtureRequest) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "dev",
            "-W",
            "error",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:asyncio",
        ],
        cwd=ROOT / "examples" / application,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TEST_DATABASE_URL": request.getfixturevalue(f"{kind}_url")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout


@pytest.fixture(params=[starlette_app.app, fastapi_app.app], ids=["starlette", "fastapi"])
async def app(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Starlette | FastAPI]:
    before = models.database
    models.database = Database(database_url)
    async with request.param.router.lifespan_context(request.param):
        yield request.param
    models.database = before


@pytest.fixture
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://notes") as client:
        yield client


async def test_a_note_from_beginning_to_end(client: httpx.AsyncClient) -> None:
    answer = await client.post("/notes", json={"title": "Milk", "text": "two bottles 🥛"})
    assert answer.status_code == 201
    note = answer.json()
    assert note == {
        "id": note["id"],
        "title": "Milk",
        "text": "two bottles 🥛",
        "completed": False,
        "created": note["created"],
    }
    assert note["created"].endswith("Z")

    assert (await client.get(f"/notes/{note['id']}")).json() == note
    answer = await client.patch(f"/notes/{note['id']}", json={"completed": True})
    assert answer.status_code == 200
    assert answer.json() == {**note, "completed": True}
    assert (await client.get("/notes")).json() == [{**note, "completed": True}]

    assert (await client.delete(f"/notes/{note['id']}")).status_code == 204
    assert (await client.get("/notes")).json() == []


async def test_lists_are_searched_filtered_and_limited(client: httpx.AsyncClient) -> None:
    for title in ("Call Mum", "Buy milk", "Call the bank"):
        await client.post("/notes", json={"title": title, "completed": title == "Buy milk"})

    async def titles(**params: str) -> list[str]:
        answer = await client.get("/notes", params=params)
        assert answer.status_code == 200
        return [note["title"] for note in answer.json()]

    assert await titles() == ["Call the bank", "Buy milk", "Call Mum"]
    assert await titles(search="call") == ["Call the bank", "Call Mum"]
    assert await titles(search="100%") == []
    assert await titles(completed="true") == ["Buy milk"]
    assert await titles(completed="false", limit="1") == ["Call the bank"]
    assert (await client.get("/notes", params={"completed": "perhaps"})).status_code == 422


async def test_what_is_not_there_is_404(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.get("/notes/12345"),
        await client.patch("/notes/12345", json={"title": "x"}),
        await client.delete("/notes/12345"),
        await client.get("/notes/99999999999999999999999"),
    ):
        assert answer.status_code == 404
        assert "No Note matches" in answer.json()["detail"]


@pytest.mark.parametrize(
    "given", [{}, {"title": ""}, {"title": "   "}, {"title": "x" * 101}, {"title": "x", "completed": "perhaps"}, ["x"]]
)
async def test_what_is_invalid_is_422_and_not_stored(client: httpx.AsyncClient, given: Any) -> None:
    answer = await client.post("/notes", json=given)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]
    assert (await client.get("/notes")).json() == []


async def test_an_invalid_change_is_422(client: httpx.AsyncClient) -> None:
    note = (await client.post("/notes", json={"title": "x"})).json()
    for given in ({"title": ""}, {"title": None}, {"completed": 17}):
        assert (await client.patch(f"/notes/{note['id']}", json=given)).status_code == 422
    assert (await client.patch(f"/notes/{note['id']}", content=b"{")).status_code == 422
    assert (await client.get(f"/notes/{note['id']}")).json() == note


async def test_a_title_that_is_taken_is_409(client: httpx.AsyncClient) -> None:
    await client.post("/notes", json={"title": "Milk"})
    other = (await client.post("/notes", json={"title": "Bread"})).json()
    assert (await client.post("/notes", json={"title": "Milk"})).status_code == 409
    assert (await client.patch(f"/notes/{other['id']}", json={"title": "Milk"})).status_code == 409
    assert [note["title"] for note in (await client.get("/notes")).json()] == ["Bread", "Milk"]


@pytest.mark.parametrize("app", [starlette_app.app], indirect=True, ids=["starlette"])
async def test_the_page_and_its_form(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert '<input type="text" id="title" name="title" required' in page.text
    assert 'name="created"' not in page.text

    answer = await client.post("/", data={"title": "<b>Milk</b>", "completed": "true"})
    assert answer.status_code == 303
    assert "<li>&lt;b&gt;Milk&lt;/b&gt; ✓</li>" in (await client.get(answer.headers["location"])).text

    answer = await client.post("/", data={"title": "", "text": "what was typed"})
    assert answer.status_code == 422
    assert "Must not be blank." in answer.text
    assert "what was typed" in answer.text

    answer = await client.post("/", data={"title": "<b>Milk</b>"})
    assert answer.status_code == 409
    assert "There is a note of this title already." in answer.text
