"""`orm.contrib.sqlcommenter`: what arrives at the server."""

from __future__ import annotations

import pytest

import orm
from orm.contrib.sqlcommenter import comment_of, comment_statements, sql_tags

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()
HOSTILE = "*/ DROP TABLE note; -- ' % %s $1 ? :x \\ /*"


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=100)


CURRENT = {
    "postgresql": "SELECT current_query()",
    "mysql": "SELECT info FROM information_schema.processlist WHERE id = connection_id()",
}


async def check(database: orm.Database) -> None:
    models.database = database
    await models.create_all()
    current = CURRENT[database.url.dialect]
    comment_statements(database)
    with sql_tags(controller="notes"), sql_tags(action=HOSTILE):
        comment = comment_of({"controller": "notes", "action": HOSTILE})
        assert (await database.fetch_val(current)).endswith(f" {comment}")
        [row] = [row async for row in database.iterate(current)]
        assert row[0] is None or row[0].endswith(f" {comment}")  # PostgreSQL does not tell the query of a cursor
        # The ORM's statements of all kinds, with and without values.
        note = await Note.objects.create(text="100%")
        await Note.objects.bulk_create([Note(text=HOSTILE), Note(text="x")])
        assert await Note.objects.filter(text="100%").count() == 1
        assert await Note.objects.filter(text__contains="%").count() == 2
        assert [each.text async for each in Note.objects.order_by("id")] == ["100%", HOSTILE, "x"]
        async with database.transaction():
            await note.update(text="y")
        async with orm.track_queries() as queries:
            assert await Note.objects.filter(id=note.id).values_list("text", flat=True) == ["y"]
            await Note.objects.all().delete()
        assert "/*" not in queries[0].sql
    assert "/*" not in await database.fetch_val(current)
    with pytest.raises(orm.QueryError, match="already"):
        comment_statements(database)


async def test_postgresql(postgresql_url: str) -> None:
    async with orm.Database(postgresql_url) as database:
        await check(database)


async def test_mysql(mysql_url: str) -> None:
    async with orm.Database(mysql_url) as database:
        await check(database)


async def test_no_value_ends_the_comment() -> None:
    comment = comment_of({"b'": HOSTILE, "a": "1"})
    assert comment.startswith("/*a='1',b%27='") and comment.count("*/") == 1 and comment.count("'") == 4


async def test_sqlite_is_refused(sqlite_url: str) -> None:
    with pytest.raises(orm.NotSupportedError, match="no server"):
        comment_statements(orm.Database(sqlite_url))
