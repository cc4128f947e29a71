"""Databases with the shop in them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import databases
import pytest

from orm.database.database import Database
from tests.queryset3 import stock


@pytest.fixture
async def tables(database: Database) -> AsyncIterator[Database]:
    """The shop's tables, empty, on each server in turn."""
    await stock.create(database)
    yield database


@pytest.fixture
async def shop(tables: Database) -> AsyncIterator[Database]:
    """The shop with its rows, on each server in turn."""
    await stock.fill()
    yield tables


@pytest.fixture
async def any_shop(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    """The shop with its rows, on each server in turn, as an orm.Database and as a plain one."""
    await stock.create(any_database)
    await stock.fill()
    yield any_database


@pytest.fixture
def has_targets(database: Database) -> bool:
    """Whether the server is told which unique constraint an upsert is about (MySQL and MariaDB are not)."""
    return "mysql" not in str(database.url.dialect)
