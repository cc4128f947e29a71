"""Databases with the records in them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import databases
import pytest

from orm.database.connections.database import Database
from tests.loading import models as records


@pytest.fixture
async def world(database: Database) -> AsyncIterator[Database]:
    """The records, on each server in turn."""
    await records.create(database)
    await records.fill()
    yield database


@pytest.fixture
async def any_world(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    """The records, on each server in turn, as an orm.Database and as a plain one."""
    await records.create(any_database)
    await records.fill()
    yield any_database
