"""The settings of a session on MySQL and MariaDB, whatever the server's defaults and the user's `init_command` are."""

from __future__ import annotations

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
