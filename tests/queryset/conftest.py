"""Databases with the models of `players`, for reading, and of `shop`, for writing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import databases
import pytest

from orm.database.connections.database import Database
from tests.sample_models import players as world_module
from tests.sample_models import shop as shop_models


@pytest.fixture
async def tables(database: Database) -> AsyncIterator[Database]:
    """The empty tables of `players`, on each server."""
    await world_module.create(database)
    yield database


@pytest.fixture
async def world(tables: Database) -> AsyncIterator[Database]:
    """The tables of `players` with their rows, on each server."""
    await world_module.fill()
    yield tables


@pytest.fixture
async def any_tables(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    """The empty tables of `players`, on each server, as an `orm.Database` and as a plain `databases.Database`."""
    await world_module.create(any_database)
    yield any_database


@pytest.fixture
async def any_world(any_tables: databases.Database) -> AsyncIterator[databases.Database]:
    """The tables of `players` with their rows, on each server, as an `orm.Database` and as a plain one."""
    await world_module.fill()
    yield any_tables


@pytest.fixture
async def empty_shop(database: Database) -> AsyncIterator[Database]:
    """The empty tables of `shop`, on each server."""
    await shop_models.create(database)
    yield database


@pytest.fixture
async def shop(empty_shop: Database) -> AsyncIterator[Database]:
    """The tables of `shop` with their rows, on each server."""
    await shop_models.fill()
    yield empty_shop


@pytest.fixture
async def any_shop(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    """The tables of `shop` with their rows, on each server, as an `orm.Database` and as a plain one."""
    await shop_models.create(any_database)
    await shop_models.fill()
    yield any_database


@pytest.fixture
def has_targets(database: Database) -> bool:
    """Whether an upsert names its unique constraint (not on MySQL and MariaDB)."""
    return "mysql" not in str(database.url.dialect)
