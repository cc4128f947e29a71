"""Applications on each database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Application


@pytest.fixture
def application(tmp_path: Path, database_url: str) -> Application:
    """An empty folder for an application on each database."""
    return Application(tmp_path / "application", database_url)


@pytest.fixture
def sqlite_application(tmp_path: Path, sqlite_url: str) -> Application:
    """An empty folder for an application on SQLite."""
    return Application(tmp_path / "application", sqlite_url)
