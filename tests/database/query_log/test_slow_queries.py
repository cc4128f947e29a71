"""`orm.SlowQueryLog`: which statements it logs, and what it says of them."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import orm
from orm.database.query_log.call_sites import Source
from orm.database.query_log.events import QueryEvent

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=100, unique=True)


async def test_a_statement_is_logged_with_the_line_that_awaited_it(
    database: orm.Database, caplog: pytest.LogCaptureFixture
) -> None:
    models.database = database
    await models.create_all()
    hook = orm.SlowQueryLog(0)
    database.add_hook(hook)
    with caplog.at_level(logging.WARNING, "orm.slow"):
        await Note.objects.create(text="secret")
        caplog.clear()
        await Note.objects.filter(text="secret")
    database.remove_hook(hook)
    [record] = [record for record in caplog.records if record.name == "orm.slow"]
    fields: Any = record
    assert isinstance(fields.source, Source)
    assert (fields.source.file, fields.source.text) == (__file__, 'await Note.objects.filter(text="secret")')
    assert fields.sql.startswith("SELECT") and fields.seconds > 0 and fields.server
    assert "1 rows at" in record.getMessage() and record.levelname == "WARNING"
    assert "secret'," not in record.getMessage() and "('secret'" not in record.getMessage()
    caplog.clear()
    await Note.objects.count()
    assert not caplog.records


async def test_a_statement_that_failed(database: orm.Database, caplog: pytest.LogCaptureFixture) -> None:
    models.database = database
    await models.create_all()
    await Note.objects.create(text="secret")
    database.add_hook(orm.SlowQueryLog(0, values=True))
    with pytest.raises(orm.UniqueViolation):
        await Note.objects.create(text="secret")
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "Error" in text or "Violation" in text
    assert "secret'" in text


async def test_fast_statements_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    hook = orm.SlowQueryLog(0.2)
    hook(QueryEvent("SELECT 1", (), 0.19, 1, None))
    assert not caplog.records
    hook(QueryEvent("SELECT 2", (), 0.2, 1, None))
    [record] = caplog.records
    assert record.getMessage().startswith("200 ms, 1 rows at")


@pytest.mark.parametrize("seconds", [-1, True, "1", float("nan")])
async def test_what_is_no_time_is_refused(seconds: Any) -> None:
    with pytest.raises(orm.QueryError, match="a number of seconds"):
        orm.SlowQueryLog(seconds)
