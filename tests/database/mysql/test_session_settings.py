"""The settings of a session on MySQL and MariaDB, whatever the server's defaults and the user's `init_command` are."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.mysql.driver import UNSUPPORTED_MODES

pytestmark = pytest.mark.anyio

HOSTILE = [
    *("', 0x61646d696e) -- ", "' OR 1=1 -- ", "\\", "\\'", 'a"b', "it's", "end\\", "\x1a", "%s", "`x`", "ünïcödé"),
]


def declare(database: Database) -> type[orm.Model]:
    models = orm.ModelRegistry(database=database)

    class Upload(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=100, allow_blank=True, trim_whitespace=False)
        body = orm.Binary(max_length=200)
        role = orm.String(max_length=20, default="guest")
        data = orm.JSON(allow_null=True)

    return Upload


@pytest.fixture(params=["asyncmy", "aiomysql"])
def driver_url(request: pytest.FixtureRequest, mysql_url: str) -> str:
    return mysql_url.replace("mysql://", f"mysql+{request.param}://")


@pytest.fixture(params=[None, *UNSUPPORTED_MODES])
async def uploads(request: pytest.FixtureRequest, driver_url: str) -> AsyncIterator[type[orm.Model]]:
    """A model on a database whose user asks for a SQL mode that changes the meaning of SQL."""
    options = (
        {} if request.param is None else {"init_command": f"SET sql_mode = CONCAT(@@sql_mode, ',{request.param}')"}
    )
    if request.param is not None:
        async with Database(driver_url) as plain:
            try:
                await plain.execute(f"SET sql_mode = '{request.param}'")
            except orm.Error:
                pytest.skip(f"this server has no mode {request.param}")
    async with Database(driver_url, **options) as database:
        model = declare(database)
        await model.registry.create_all()
        yield model


async def test_hostile_values_are_stored_and_compared_as_values(uploads: type[orm.Model]) -> None:
    for text in HOSTILE:
        upload = await uploads.objects.create(name=text, body=text.encode(), data={"k": text})
        assert await uploads.objects.filter(id=upload.pk).values_list("name", "body", "role") == [
            (text, text.encode(), "guest")
        ]
    for text in HOSTILE:
        assert await uploads.objects.filter(body=text.encode()).count() == 1
        assert await uploads.objects.filter(name=text).count() == 1
        assert await uploads.objects.filter(name__startswith=text).count() == sum(
            other.startswith(text) for other in HOSTILE
        )
        assert await uploads.objects.filter(data__k=text).count() == 1
    assert await uploads.objects.filter(body=b"' OR 1=1 #").delete() == 0
    assert await uploads.objects.count() == len(HOSTILE)


async def test_aggregates_of_text_are_not_cut(uploads: type[orm.Model]) -> None:
    await uploads.objects.bulk_create([{"name": "x" * 100, "body": b"", "data": {"k": "y" * 100}} for _ in range(50)])
    totals = await uploads.objects.aggregate(text=orm.StringAgg("name", ","), documents=orm.JSONAgg("data"))
    assert totals["text"] == ",".join(["x" * 100] * 50)
    assert totals["documents"] == [{"k": "y" * 100}] * 50


async def test_get_or_create_finds_what_was_committed_after_the_transaction_began(mysql_url: str) -> None:
    """MariaDB 11.6 and newer refuse to lock such a row, by default."""
    models = orm.ModelRegistry()

    class Tag(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=20, unique=True)

        class Meta:
            tablename = "tag_of_a_race"

    async with Database(mysql_url) as models.database:
        await models.create_all()
        await Tag.objects.create(name="first")

        async def create_elsewhere() -> int:
            return int((await Tag.objects.create(name="second")).pk)

        async with models.database.transaction():
            assert await Tag.objects.count() == 1  # the transaction's snapshot begins here
            key = await contextvars.Context().run(asyncio.create_task, create_elsewhere())
            tag, created = await Tag.objects.get_or_create(name="second")
            assert (tag.pk, created) == (key, False)
            assert await Tag.objects.filter(name="second").update(name="third") == 1


@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql"])
async def test_literals_have_the_collation_of_columns(driver: str, mysql_url: str) -> None:
    """Also after the user's `init_command`."""
    url = mysql_url.replace("mysql://", f"mysql+{driver}://")
    async with Database(mysql_url):  # asyncmy: aiomysql gets in only where the server has cached the password
        pass
    for options in ({}, {"init_command": "SET collation_connection = 'utf8mb4_general_ci'"}):
        async with Database(url, **options) as database:
            assert await database.fetch_val("SELECT 'a' = 'A' OR 'a' = 'a ' OR 'a' = 'á'") == 0


async def test_bytes_are_refused_where_the_program_turns_the_meaning_of_backslashes_off(driver_url: str) -> None:
    async with Database(driver_url) as database:
        async with database.transaction():
            await database.execute("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'")
            for text in HOSTILE:
                with pytest.raises(orm.InterfaceError, match="NO_BACKSLASH_ESCAPES"):
                    await database.fetch_all("SELECT :body", {"body": text.encode()})
                assert await database.fetch_val("SELECT :name", {"name": text}) == text
        # The session is reset when its connection goes back to the pool.
        assert await database.fetch_val("SELECT :body", {"body": b"'"}) == b"'"
