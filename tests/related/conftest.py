"""The library's tables, empty, on each server in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orm.database.connections.database import Database
from tests.related import models


@pytest.fixture
async def library(database: Database) -> AsyncIterator[Database]:
    models.models.database = database
    await models.models.create_all()
    yield database
