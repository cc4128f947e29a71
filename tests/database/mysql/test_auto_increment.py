"""MySQL, which returns no keys: they are told by the first one, and by how far apart they are.

No MySQL is there to test with: a MariaDB stands in for it that is taken for one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.mysql.dialect import MySQLDialect
from orm.database.mysql.driver import INIT_COMMAND, AsyncmyDriver

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    album = orm.ForeignKey(Album, related_name="tracks")
    title = orm.String(max_length=100)


async def is_mysql(driver: AsyncmyDriver, raw: object) -> str:
    return "mysql"


@pytest.fixture(params=[1, 7])
async def mysql(
    request: pytest.FixtureRequest, mysql_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A server of a group of so many, each of which numbers rows with keys that no other one gives."""
    async with Database(mysql_url) as models.database:
        await models.create_all()
    monkeypatch.setattr(AsyncmyDriver, "server", is_mysql)
    monkeypatch.setattr(MySQLDialect, "server_query", None)  # which asks for what MariaDB has not
    init = f"{INIT_COMMAND}, auto_increment_increment = {request.param}"
    async with Database(mysql_url, init_command=init) as models.database:
        yield models.database


async def test_bulk_create_gives_each_row_its_generated_key(mysql: Database) -> None:
    rows = await Album.objects.bulk_create([Album(name=f"album {n}") for n in range(20)])
    for row in rows:
        assert (await Album.objects.get(id=row.id)).name == row.name
    again = await Album.objects.bulk_create([Album(name=f"more {n}") for n in range(20)], batch_size=6)
    for row in again:
        assert (await Album.objects.get(id=row.id)).name == row.name


async def test_dependent_inserts_give_each_row_its_parents_key(mysql: Database) -> None:
    albums = [{"name": f"album {n}", "tracks": [{"title": f"{n}-{m}"} for m in range(3)]} for n in range(5)]
    await Album.objects.create_graph(albums)
    for track in await Track.objects.select_related("album"):
        assert track.album.name == f"album {track.title.partition('-')[0]}"
