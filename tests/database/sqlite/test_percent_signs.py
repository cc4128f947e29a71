"""Percent signs in SQL of one's own, which `databases` formats for its log."""

from __future__ import annotations

import sqlalchemy

from orm.database.connections.database import Database


async def test_percent_signs_in_raw_sql_stay_as_they_are() -> None:
    async with Database("sqlite://") as database:
        assert await database.fetch_val("SELECT 7 % 4") == 3
        assert await database.fetch_val("SELECT 'a%b' LIKE '%\\%%' ESCAPE '\\'") == 1
        assert await database.fetch_val("SELECT '%%' || :x || '%s'", {"x": "%d"}) == "%%%d%s"
        assert await database.fetch_val(sqlalchemy.select(sqlalchemy.literal(7) % 4)) == 3
        [row] = await database.fetch_all("SELECT '100%' AS value WHERE 5 % :n = 1", {"n": 2})
        assert row.value == "100%"
