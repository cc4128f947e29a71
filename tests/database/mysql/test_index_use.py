"""Text lookups use the index of a column, and are sent in SQL that the servers do not deprecate."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()


class Page(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    slug = orm.String(max_length=30, unique=True)
    title = orm.String(max_length=30)


@pytest.mark.parametrize("lookups", [{"slug__startswith": "p0001"}, {"slug__in": ["p00001", "p00002"]}])
async def test_lookup_of_text_uses_the_index(lookups: dict[str, Any], mysql_url: str) -> None:
    async with Database(mysql_url) as models.database:
        await models.create_all()
        await Page.objects.bulk_create({"slug": f"p{n:05}", "title": "t"} for n in range(3000))
        await models.database.execute("ANALYZE TABLE page")
        assert "range" in await Page.objects.filter(**lookups).explain()
        assert "range" not in await Page.objects.filter(title__startswith="p0001").explain()


async def test_text_lookups_are_not_deprecated(mysql_url: str) -> None:
    async with Database(mysql_url) as models.database, models.database.connection() as connection:
        await models.create_all()
        for lookup in ("exact", "contains", "startswith", "endswith", "icontains", "regex", "iregex"):
            await Page.objects.filter(**{f"slug__{lookup}": "a"}).values_list("id")
            assert await connection.fetch_all("SHOW WARNINGS") == []
