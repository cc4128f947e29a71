"""Fixtures of the tests of sessions."""

from __future__ import annotations

import pytest

import orm
from tests.sessions.two_sides import fill


@pytest.fixture
async def rows(database: orm.Database) -> orm.Database:
    """A database with the tables and rows of the sample models."""
    await fill(database)
    return database
