"""`regex` and `iregex` with what is no regular expression."""

from __future__ import annotations

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("lookup", ["regex", "iregex"])
@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "[", "*"])
@pytest.mark.parametrize("rows", [0, 1])
async def test_invalid_pattern_is_refused_with_and_without_rows(
    database: Database, lookup: str, pattern: str, rows: int
) -> None:
    models = orm.ModelRegistry(database=database)

    class Note(orm.Model):
        registry = models

        text = orm.String(max_length=10)

    await models.create_all()
    await Note.objects.bulk_create([{"text": "a"}] * rows)
    for query in (Note.objects.filter, Note.objects.exclude):
        with pytest.raises(orm.DataError, match=r"(?i)reg.*ex"):
            await query(**{f"text__{lookup}": pattern})
    assert await Note.objects.filter(**{f"text__{lookup}": "^a$"}).count() == rows
