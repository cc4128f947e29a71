"""Databases with the things in them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orm.database.connections.database import Database
from tests.sample_models.all_column_types import fill


@pytest.fixture
async def things(database: Database) -> AsyncIterator[Database]:
    """The things, on each server in turn."""
    await fill(database)
    yield database
