"""Functions that newer versions of MySQL have in components only."""

from __future__ import annotations

import asyncmy.errors
import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.errors import translate
from orm.database.connections.server_dialect import dialect_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("function", ["MD5", "SHA1", "md5"])
async def test_error_of_a_missing_hash_names_the_component(function: str) -> None:
    error = translate(asyncmy.errors.OperationalError(1305, f"FUNCTION shop.{function} does not exist"))
    assert isinstance(error, orm.ProgrammingError)
    assert error.args[0] == 1305
    assert "component_classic_hashing" in error.args[1] and "SHA256" in error.args[1]


async def test_error_of_another_missing_function_is_the_servers(mysql_url: str) -> None:
    async with Database(mysql_url) as database:
        with pytest.raises(orm.ProgrammingError, match="no_such_function") as raised:
            await database.fetch_all("SELECT no_such_function(1)")
    assert "component" not in str(raised.value)


async def test_hash_is_computed_or_refused_with_the_component(mysql_url: str) -> None:
    models = orm.ModelRegistry()

    class Page(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        text = orm.String(max_length=100)

    async with Database(mysql_url) as models.database:
        await models.create_all()
        await Page.objects.create(text="orm")
        hashed = Page.objects.annotate(hash=orm.functions.MD5("text")).values_list("hash", flat=True)
        try:
            assert await hashed == ["51b0b5a943ae2b04076f7a6cb037afd6"]
        except orm.ProgrammingError as error:
            assert "component_classic_hashing" in str(error)
            assert (await dialect_of(models.database)).name == "mysql"
