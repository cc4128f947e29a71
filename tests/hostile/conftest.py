"""Databases with the tables that are attacked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orm.database.connections.database import Database
from tests.hostile.models import Watch, contents, create


@pytest.fixture
async def watch(database: Database) -> AsyncIterator[Watch]:
    """A watch over the tables, on each server: after the test none may have changed."""
    await create(database)
    before = await contents()
    watch = Watch()
    database.add_hook(watch.hear)
    yield watch
    database.remove_hook(watch.hear)
    assert await contents() == before
    watch.check()
