"""The tables of the models, empty, on each server in turn, for synchronous tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import orm
from tests.synchronous.models import connected


@pytest.fixture
def database(database_url: str) -> Iterator[orm.Database]:
    yield from connected(database_url)
