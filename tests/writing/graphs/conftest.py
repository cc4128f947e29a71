"""The tables of `tests.writing.graphs.models`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import databases
import pytest

from orm.database.connections.checkout import Checkout
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from tests.writing.graphs.models import models


@pytest.fixture
async def tables(database: Database) -> AsyncIterator[Database]:
    """The empty tables, on each server in turn."""
    models.database = database
    await models.create_all()
    await ask_settings(database)
    yield database


@pytest.fixture
async def any_tables(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    """The empty tables, on each server in turn, in an `orm.Database` and in a plain one."""
    models.database = any_database
    await models.create_all()
    await ask_settings(any_database)
    yield any_database


async def ask_settings(database: databases.Database) -> None:
    """Have MySQL's settings known before the statements of a test are counted: they are asked once for a connection."""
    async with Checkout(database) as checkout:
        dialect = await dialect_of(database)
        if dialect.key_step_query is not None:
            await checkout.setting(dialect.key_step_query)
