"""Databases with the rows of `all_column_types`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orm.database.connections.database import Database
from tests.sample_models.all_column_types import fill


@pytest.fixture
async def things(database: Database) -> AsyncIterator[Database]:
    """The rows of `all_column_types`, on each server."""
    await fill(database)
    yield database
