"""Rows that are together longer than `max_allowed_packet` are inserted by several statements."""

from __future__ import annotations

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.mysql.dialect import MySQLDialect
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()


class Paper(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.Text()
    scan = orm.Binary(allow_null=True)
    data = orm.JSON(allow_null=True)


@pytest.mark.parametrize("longest", [1, 3000, 40_000])
async def test_long_rows_are_divided_among_statements(
    longest: int, mysql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    maximum = 300_000
    monkeypatch.setattr(MySQLDialect, "max_statement_bytes_query", f"SELECT {maximum}")
    texts = ["é" * longest if n % 7 == 0 else "'" * (n + 1) for n in range(200)]
    rows = [{"text": text, "scan": b"\0" * (longest // 4), "data": {"a": text[:longest]}} for text in texts]
    async with Database(mysql_url) as models.database:
        await models.create_all()
        with recorded(models.database) as statements:
            papers = await Paper.objects.bulk_create(rows)
        inserts = [event for event in statements if event.sql.startswith("INSERT")]
        assert (len(inserts) > 1) is (longest > 1)
        assert [paper.text for paper in papers] == texts
        saved = await Paper.objects.order_by("id")
        assert [(paper.pk, paper.text, paper.scan) for paper in saved] == [
            (paper.pk, text, b"\0" * (longest // 4)) for paper, text in zip(papers, texts, strict=True)
        ]


async def test_long_rows_fit_into_the_packets_of_the_server(mysql_url: str) -> None:
    async with Database(mysql_url) as models.database:
        await models.create_all()
        maximum = await models.database.fetch_val("SELECT @@max_allowed_packet")
        rows = [{"text": "x" * (maximum // 20)} for _ in range(24)]
        await Paper.objects.bulk_create(rows)
        assert await Paper.objects.count() == 24


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_the_connection_of_a_row_beyond_the_maximum_is_not_lent_again(
    in_transaction: bool, mysql_url: str
) -> None:
    async with Database(mysql_url, max_size=1) as models.database:
        await models.create_all()
        maximum = await models.database.fetch_val("SELECT @@max_allowed_packet")
        for _ in range(3):
            with pytest.raises((orm.DataError, orm.ConnectionLost)):  # the server may close before it has answered
                if in_transaction:
                    async with models.database.transaction():
                        await Paper.objects.create(text="x" * (maximum + 10))
                else:
                    await Paper.objects.create(text="x" * (maximum + 10))
            assert await Paper.objects.count() == 0
