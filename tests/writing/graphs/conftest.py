"""The tables of `tests.writing.graphs.models`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import databases
import pytest

from orm.database.connections.database import Database
from tests.writing.graphs.models import models


@pytest.fixture
async def tables(database: Database) -> AsyncIterator[Database]:
    """The empty tables, on each server in turn."""
    models.database = database
    await models.create_all()
    yield database


@pytest.fixture
async def any_tables(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    """The empty tables, on each server in turn, in an `orm.Database` and in a plain one."""
    models.database = any_database
    await models.create_all()
    yield any_database
