"""The database of tests, in place of the application's own `orm.Database` object."""

from __future__ import annotations

import asyncio
from asyncio import events
from typing import Any

from sqlalchemy.sql import text

from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from orm.database.dialect_registry import find
from orm.exceptions import QueryError
from orm.registry import ModelRegistry
from orm.testing.home_loop import HomeLoop, move_home


class TestingDatabase(Database):
    """A database for code on several event loops, which the application under test cannot close."""

    __test__ = False  # pytest: not a class of tests

    _may_disconnect: bool

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The running event loop: the database is connected on each."""
        return events._get_running_loop()

    @loop.setter
    def loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        return

    def needs_savepoint(self) -> bool:
        """Whether a failed statement would break the transaction that undoes the test's work."""
        connection = self._global_connection
        return (
            self._backend.dialect.error_breaks_transaction
            and connection is not None
            and len(connection._transaction_stack) == 1
        )

    def _leave_closed_loop(self) -> bool:
        if not self._connect_lock.locked():
            self._connect_lock = asyncio.Lock()
        return False

    async def _disconnect(self, timeout: float | None) -> None:
        if self._may_disconnect:
            await super()._disconnect(timeout)


class DatabaseForTests:
    """A registry's database, which is another one while tests run.

    The application's own `orm.Database` object leads to the other database, so that its transactions, middleware and
    lifespan use it as well.

    Args:
        registry: The models.
        url: The URL of the other database. It is created, and an existing one of this name is dropped.
    """

    def __init__(self, registry: ModelRegistry, url: str) -> None:
        database = registry.own_database
        if not isinstance(database, Database):
            raise QueryError(
                "orm.testing needs a ModelRegistry whose database is an orm.Database, and it is "
                f"{'None' if database is None else 'a plain ' + type(database).__module__ + '.Database'}: pass "
                "ModelRegistry(database=orm.Database(...))"
            )
        self.registry = registry
        self.url = url
        self.home = HomeLoop()
        self.database: Any = database
        self._before = type(database), dict(database.__dict__)
        self._is_open = False

    def open(self) -> None:
        """Create the database, and lead the application's object to it."""
        database, (_, attributes) = self.database, self._before
        if database.is_connected:
            raise QueryError("the application's database is connected already: disconnect it before the tests begin")
        self.home.call(self._create())
        self._is_open = True
        database.__dict__.clear()
        database.__class__ = TestingDatabase
        database.__init__(self.url)
        database._may_disconnect = False
        for hook in attributes["query_log"].hooks:
            database.add_hook(hook)
        database.query_log.observer = attributes["query_log"].observer
        move_home(database._backend, self.home, database.needs_savepoint)
        self.home.call(database.connect())

    def close(self) -> None:
        """Lead the object to its own database again, and drop the other one."""
        database, (kind, attributes) = self.database, self._before
        if self._is_open:
            self._is_open = False
            self._let_disconnect()
            database.__class__ = kind
            database.__dict__.clear()
            database.__dict__.update(attributes)
            self.home.call(self._drop())
        self.home.close()

    def begin(self) -> None:
        """Begin what `roll_back()` undoes."""
        self.database._force_rollback = True
        self.home.call(self.database.connect())

    def roll_back(self) -> None:
        """Undo all since `begin()`, also after a failed statement."""
        self._let_disconnect()
        self.database._force_rollback = False

    def empty(self) -> None:
        """Delete the rows of all tables."""
        self.home.call(self._empty())

    def _let_disconnect(self) -> None:
        self.database._may_disconnect = True
        try:
            self.home.call(self.database.disconnect())
        finally:
            self.database._may_disconnect = False

    async def _create(self) -> None:
        await self._on_server("DROP DATABASE IF EXISTS {}", "CREATE DATABASE {}")

    async def _drop(self) -> None:
        await self._on_server("DROP DATABASE IF EXISTS {}")

    async def _on_server(self, *statements: str) -> None:
        url = Database(self.url).url
        dialect = find(url.dialect)
        if dialect is None or dialect.databases_need_no_server:
            return
        name = dialect.sqlalchemy.identifier_preparer.quote_identifier(url.database)
        async with Database(self._before[1]["url"]) as server:
            for statement in statements:
                await server.execute(text(statement.format(name)))

    async def _empty(self) -> None:
        dialect = await dialect_of(self.database)
        preparer = dialect.sqlalchemy.identifier_preparer
        tables = [preparer.format_table(table) for table in self.registry.metadata.tables.values()]
        if tables:
            async with self.database.connection() as connection:
                for statement in dialect.empty_tables(tables):
                    await connection.execute(text(statement))


def url_for_tests(url: Any, worker: str = "") -> str:
    """The URL of the database for tests that belongs to an application's: beside it on its server, or in memory.

    >>> url_for_tests("postgresql://localhost/shop", "gw1")
    'postgresql://localhost/test_shop_gw1'
    """
    parsed = Database(url).url
    dialect = find(parsed.dialect)
    if dialect is not None and dialect.databases_need_no_server:
        return f"{parsed.scheme}://"
    name = "_".join(filter(None, ("test", parsed.database, worker)))
    return str(parsed.replace(database=name))
