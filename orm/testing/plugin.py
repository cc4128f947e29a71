"""Fixtures for pytest: a database per worker, whose tests leave nothing behind.

In `conftest.py`::

    pytest_plugins = ["orm.testing.plugin"]

and in pytest's settings ``orm_registry = app.models:models``. The fixtures need no plugin for asynchronous tests, and
work with those of anyio and pytest-asyncio, in tests without an event loop, and with Starlette's `TestClient`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orm.database.connections.database import Database
from orm.database.query_log.tracking import QueryTracker, track_queries
from orm.registry import ModelRegistry
from orm.testing.counts import sql_of
from orm.testing.database import DatabaseForTests, url_for_tests
from orm.testing.factory import restart_numbers
from orm.utils.articles import with_article


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the settings."""
    parser.addini("orm_registry", "the models under test, as module:name")
    parser.addini("orm_database_url", "the URL of the database for tests, by default beside the application's")
    parser.addoption("--sql-update", action="store_true", help="write the SQL of orm_sql_snapshot anew")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "orm_commits: the test commits; afterwards the rows of all tables are deleted (orm_database)"
    )


@pytest.fixture(scope="session")
def orm_registry(pytestconfig: pytest.Config) -> ModelRegistry:
    """The models under test. Override it, or set `orm_registry` in pytest's settings."""
    setting = str(pytestconfig.getini("orm_registry"))
    module, colon, name = setting.partition(":")
    if not colon:
        raise pytest.UsageError("set orm_registry = module:name in pytest's settings, or override the fixture")
    registry = getattr(importlib.import_module(module), name)
    if not isinstance(registry, ModelRegistry):
        type_name = with_article(type(registry).__name__)
        raise pytest.UsageError(f"orm_registry = {setting} is no orm.ModelRegistry: it is {type_name}")
    return registry


@pytest.fixture(scope="session")
def orm_database_url(pytestconfig: pytest.Config, orm_registry: ModelRegistry) -> str:
    """The URL of this worker's database for tests, which is created anew: an existing one is dropped."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    configured = str(pytestconfig.getini("orm_database_url"))
    if not configured:
        return url_for_tests(_own_url(orm_registry), worker)
    return f"{configured}_{worker}" if worker and Database(configured).url.database else configured


@pytest.fixture(scope="session")
def orm_create_tables(orm_registry: ModelRegistry) -> Callable[[], Awaitable[None]]:
    """What creates the tables: `create_all()`. Override it to run migrations."""
    return orm_registry.create_all


@pytest.fixture(scope="session")
def orm_database_for_tests(
    orm_registry: ModelRegistry, orm_database_url: str, orm_create_tables: Callable[[], Awaitable[None]]
) -> Iterator[DatabaseForTests]:
    """The database for tests, with its tables, during the whole run."""
    database = DatabaseForTests(orm_registry, orm_database_url)
    try:
        database.open()

        async def create_tables() -> None:
            await orm_create_tables()

        database.home.call(create_tables())
        yield database
    finally:
        database.close()


@pytest.fixture
def orm_database(request: pytest.FixtureRequest, orm_database_for_tests: DatabaseForTests) -> Iterator[Database]:
    """The models' database, a connected `orm.Database` for tests. What the test writes is rolled back.

    With the marker `orm_commits` the test's transactions are committed, and the rows are deleted after it.
    """
    restart_numbers()
    commits = request.node.get_closest_marker("orm_commits") is not None
    if commits:
        try:
            yield orm_database_for_tests.database
        finally:
            orm_database_for_tests.empty()
        return
    orm_database_for_tests.begin()
    try:
        yield orm_database_for_tests.database
    finally:
        orm_database_for_tests.roll_back()


@pytest.fixture
def orm_sql_snapshot(request: pytest.FixtureRequest) -> Callable[[], object]:
    """`with orm_sql_snapshot():` compares the SQL of a block with that of the last run with ``--sql-update``.

    The SQL is in ``__sql__/<module>/<test>.sql`` beside the test, without values. A second block of a test is `-2`.
    """
    numbers = iter(range(1, 1_000_000))
    path: Path = request.node.path
    update = bool(request.config.getoption("--sql-update"))

    @contextmanager
    def snapshot() -> Iterator[QueryTracker]:
        number = next(numbers)
        name = "".join(char if char.isalnum() or char in "-_." else "_" for char in request.node.name)
        file = path.parent / "__sql__" / path.stem / f"{name}{'' if number == 1 else f'-{number}'}.sql"
        with track_queries() as queries:
            yield queries
        sql = sql_of(queries)
        if update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(sql, encoding="utf-8")
            return
        if not file.exists():
            raise AssertionError(f"there is no {file}: run pytest with --sql-update once.\n{sql}")
        assert sql == file.read_text(encoding="utf-8"), f"the SQL differs from {file}; --sql-update writes it anew"

    return snapshot


def _own_url(registry: ModelRegistry) -> str:
    database = registry.own_database
    if database is None:
        raise pytest.UsageError("the ModelRegistry of orm_registry has no database")
    return str(database.url)
