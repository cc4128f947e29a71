"""The library's tables, empty, on each server in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orm.database.connections.database import Database
from tests.relations import world


@pytest.fixture
async def library(database: Database) -> AsyncIterator[Database]:
    world.models.database = database
    await world.models.create_all()
    yield database
