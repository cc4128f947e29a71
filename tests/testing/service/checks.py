"""Tests of the service, which `test_plugin.py` runs in a process of their own, with each plugin for asynchronous tests.

Each of the tests that leave rows finds none, in any order.
"""

from __future__ import annotations

import asyncio
import os

import httpx
import pytest
from starlette.testclient import TestClient

import orm
from orm.testing import assert_num_queries, capture_on_commit
from tests.testing.service.app import Author, Note, app, database, models, sent

asynchronous: pytest.MarkDecorator = getattr(pytest.mark, os.environ["SERVICE_MARKER"])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynchronous
@pytest.mark.parametrize("run", [1, 2])
async def test_rows_are_rolled_back(orm_database: orm.Database, run: int) -> None:
    assert orm_database is database is models.database
    assert await Note.objects.count() == 0
    await Note.objects.create(text="Call Mum.")
    async with database.transaction():
        await Note.objects.create(text="Call Dad.")
    assert await Note.objects.count() == 2


@asynchronous
@pytest.mark.parametrize("run", [1, 2])
async def test_a_failed_statement_is_rolled_back_too(orm_database: orm.Database, run: int) -> None:
    assert await Author.objects.count() == 0
    await Author.objects.create(name="Ann")
    with pytest.raises(orm.UniqueViolation):
        async with database.transaction():
            await Author.objects.create(name="Ann")
    assert await Author.objects.count() == 1
    with pytest.raises(orm.UniqueViolation):
        await Author.objects.create(name="Ann")  # on PostgreSQL it breaks a transaction that has no savepoint
    with pytest.raises(orm.UniqueViolation):
        await database.execute("INSERT INTO author (name) VALUES ('Ann')")
    assert await Author.objects.count() == 1


@asynchronous
@pytest.mark.parametrize("run", [1, 2])
async def test_a_client_on_another_loop(orm_database: orm.Database, run: int) -> None:
    await Note.objects.create(text="Call Mum.")
    with TestClient(app) as client:  # its lifespan connects and disconnects the database
        assert client.get("/notes").json() == ["Call Mum."]
        with assert_num_queries(2):
            assert client.post("/notes", json={"text": "Call Dad."}).json() == ["Call Mum.", "Call Dad."]
    assert TestClient(app).get("/notes").json() == ["Call Mum.", "Call Dad."]
    assert await Note.objects.count() == 2
    assert [note.text async for note in Note.objects.order_by("id")] == ["Call Mum.", "Call Dad."]
    assert [row[0] async for row in database.iterate("SELECT text FROM note ORDER BY id")] == ["Call Mum.", "Call Dad."]


@pytest.mark.parametrize("run", [1, 2])
def test_a_client_without_a_loop(orm_database: orm.Database, run: int) -> None:
    with orm.sync(models) as db, TestClient(app) as client:
        assert db(Note).count() == 0
        db(Note).create(text="Call Mum.")
        assert client.post("/authors", json={"name": "Ann"}).status_code == 201
        assert client.post("/authors", json={"name": "Ann"}).status_code == 409
        assert client.post("/notes", json={"text": "Call Dad."}).status_code == 201
        assert client.get("/notes").json() == ["Call Mum.", "Call Dad."]
        assert db(Note).count() == 2
        assert db(Author).count() == 1


@asynchronous
async def test_functions_that_wait_for_a_commit(orm_database: orm.Database) -> None:
    sent.clear()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        async with capture_on_commit(models, execute=False) as captured:
            await client.post("/notes", json={"text": "Call Mum."})
        assert len(captured.callbacks) == 1
        assert sent == []
        async with capture_on_commit(database) as captured:
            await client.post("/notes", json={"text": "Call Dad."})
            assert sent == []
        assert (len(captured.callbacks), sent) == (1, ["Call Dad."])

    calls: list[str] = []

    async def again() -> None:
        calls.append("first")
        await database.on_commit(lambda: calls.append("second"))

    async with capture_on_commit(models) as captured:
        async with database.transaction():
            await database.on_commit(again)
        with pytest.raises(ZeroDivisionError):
            async with database.transaction():
                await database.on_commit(lambda: calls.append("rolled back"))
                raise ZeroDivisionError
    assert (calls, len(captured.callbacks)) == (["first", "second"], 2)


def test_functions_that_wait_for_a_commit_without_a_loop(orm_database: orm.Database) -> None:
    sent.clear()
    with capture_on_commit(models), TestClient(app) as client:
        client.post("/notes", json={"text": "Call Mum."})
    assert sent == ["Call Mum."]


@asynchronous
@pytest.mark.orm_commits
@pytest.mark.parametrize("run", [1, 2])
async def test_commits(orm_database: orm.Database, run: int) -> None:
    assert await Note.objects.count() == 0
    sent.clear()
    author = await Author.objects.create(name="Ann")
    await asyncio.gather(*(Note.objects.create(text=str(number), author=author) for number in range(20)))
    assert await Note.objects.count() == 20
    with TestClient(app) as client:
        assert client.post("/notes", json={"text": "Call Mum."}).status_code == 201
        assert len(client.get("/notes").json()) == 21
    assert sent == ["Call Mum."]
    assert await Note.objects.count() == 21
    with pytest.raises(orm.QueryError, match="capture_on_commit"):
        async with capture_on_commit(models):
            pass


@asynchronous
async def test_counts(orm_database: orm.Database) -> None:
    async with assert_num_queries(1):
        await Note.objects.count()
    with pytest.raises(AssertionError, match="2 queries expected, but there were 1"):
        async with assert_num_queries(2):
            await Note.objects.count()
    with pytest.raises(AssertionError, match="0 queries expected, but there were 1"):
        async with assert_num_queries(0):
            await Note.objects.count()
    with pytest.raises(orm.QueryError, match="not True"):
        assert_num_queries(True)
