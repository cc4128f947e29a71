"""What `env.py` calls: `run(models)` configures Alembic, locks the database, and runs what the command asks for."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import databases
import sqlalchemy
from alembic import context
from alembic.runtime.migration import MigrationContext, RevisionStep
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import await_only

from orm.database.connections.database import Database
from orm.database.dialect_registry import dialect_for
from orm.exceptions import MigrationError
from orm.migrations import journal, mirrors  # noqa: F401  # the import registers operations
from orm.migrations.answers import Answers
from orm.migrations.backfills import REPORT, Report
from orm.migrations.directives import autogenerate_options
from orm.migrations.engine import connect, dialect_url
from orm.migrations.progress import Progress
from orm.migrations.questions import Questions
from orm.registry import ModelRegistry

LOCK_NAME = "orm.migrations"
RUN = "orm.migrations.run"
"""The key of a `Run` in the attributes of Alembic's configuration."""
POLL_SECONDS = 0.05

Say = Callable[[str], None]


def to_stderr(text: str) -> None:
    """Print a message that is not the result of a command."""
    print(text, file=sys.stderr, flush=True)


@dataclass
class Run:
    """What a command passes to `run()`, in the attributes of Alembic's configuration.

    Attributes:
        connection: the connection that the command has opened and locked.
        registries: the models to compare with, instead of those that `env.py` names.
        lock_timeout: the seconds that a statement waiting for a lock.
        say: takes messages that are not the result.
        on_statement: is called with each statement of a revision before it runs.
        on_batch: is called with each batch of a backfill that is committed.
        answers: the answers to what autogenerate cannot know.
        options: further options of `context.configure()`.
        refuses_copies: whether the server is told to refuse a copy of a large table during which writers wait.
        offline_url: the URL, with the server's own name, that SQL is written for.
        has_run: whether `env.py` has called `run()`.
        statement: the last statement of the revision that ran last.
        has_changed: whether that revision has statements that do not commit by themselves.
    """

    connection: sqlalchemy.Connection | None = None
    registries: tuple[ModelRegistry, ...] = ()
    lock_timeout: float = 3.0
    say: Say = to_stderr
    on_statement: Callable[[str], None] | None = None
    on_batch: Report | None = None
    answers: Answers | None = None
    options: dict[str, Any] = field(default_factory=dict)
    refuses_copies: bool = False
    offline_url: sqlalchemy.URL | None = None
    has_run: bool = False
    statement: str = ""
    has_changed: bool = False


def run(*models: ModelRegistry, answers: Answers | None = None, **options: Any) -> None:
    """Run what the command asks for on the database of the models. This is all that `env.py` needs to call.

    >>> run(models)

    Works with the commands of `alembic`, with those of `orm`, and inside a running event loop. Several registries must
    have the same database. `answers` knows what autogenerate cannot know; what the options of `orm makemigrations` say
    comes first, and a person is asked last. `options` are passed to `context.configure()`.

    Raises:
        MigrationError: no models were given, or a revision was interrupted in the other direction.
    """
    attributes = context.config.attributes
    current = attributes.setdefault(RUN, Run())
    current.has_run = True
    registries = current.registries or models
    if not registries:
        raise MigrationError("run() in env.py needs the models: run(models)")
    if isinstance(current.answers, Questions):
        current.answers.application = answers
    configured = {
        **autogenerate_options(*registries, answers=current.answers or answers, script=context.script),
        **options,
        **current.options,
    }
    database = registries[0].database
    if context.is_offline_mode():
        context.configure(url=current.offline_url or dialect_url(database.url), literal_binds=True, **configured)
        with context.begin_transaction():
            context.run_migrations()
    elif current.connection is not None:
        _run_on(current.connection, current, configured, str(database.url))
    else:
        asyncio.run(_connect_and_run(database, current, configured))


async def _connect_and_run(database: databases.Database, current: Run, configured: dict[str, Any]) -> None:
    async with connect(database) as connection:
        try:
            await connection.run_sync(_run_on, current, configured, str(database.url))
        finally:
            await close(connection)


async def close(connection: AsyncConnection) -> None:
    """Roll back what is open, so that closing the connection does not wait."""
    await connection.rollback()


def _run_on(connection: sqlalchemy.Connection, current: Run, configured: dict[str, Any], url: str) -> None:
    changes = dialect_for(connection.dialect).schema_changes
    is_locked_before = current.connection is not None
    if not is_locked_before:
        changes.prepare(connection)
    connection.commit()  # Alembic begins its own transactions
    context.configure(
        connection=connection,
        transaction_per_migration=True,
        transactional_ddl=changes.transactional,
        **configured,
    )
    migration_context = context.get_context()
    is_migration = migration_context.opts.get("destination_rev") is not None
    if not is_migration:
        with warnings.catch_warnings():
            # Alembic sorts the tables first; what refers to each other is sorted by `tables.defer_keys()`.
            warnings.filterwarnings("ignore", "Cannot correctly sort tables", sqlalchemy.exc.SAWarning)
            # It does not compare these, which `table_items.compare_items()` does.
            warnings.filterwarnings("ignore", "Skipped unsupported reflection", sqlalchemy.exc.SAWarning)
            # It reads all tables first, also those that are none of the application's.
            warnings.filterwarnings("ignore", "Did not recognize type", sqlalchemy.exc.SAWarning)
            _run_migrations(migration_context, current)
        return
    if is_locked_before:
        _run_migrations(migration_context, current)
        return
    with locked(connection, url, current.say):
        set_lock_timeout(connection, current.lock_timeout)
        prepare_journal(connection)
        _run_migrations(migration_context, current)


def _run_migrations(migration_context: MigrationContext, current: Run) -> None:
    connection = migration_context.connection
    assert connection is not None
    with Progress(connection, migration_context.version_table) as progress:
        if current.on_statement is not None:
            progress.on_statement = current.on_statement
        progress.refuses_copies = current.refuses_copies
        connection.info[REPORT] = current.on_batch
        steps_of = migration_context._migrations_fn

        def watched(heads: Any, inner: MigrationContext) -> Iterator[Any]:
            assert steps_of is not None
            for step in steps_of(heads, inner):
                if isinstance(step, RevisionStep):
                    progress.begin(step)
                yield step

        migration_context._migrations_fn = watched
        migration_context.on_version_apply_callbacks = (
            *migration_context.on_version_apply_callbacks,
            progress.applied,
        )
        try:
            with context.begin_transaction():
                context.run_migrations()
        finally:
            current.statement = progress.statement
            current.has_changed = progress.has_changed


def set_lock_timeout(connection: sqlalchemy.Connection, seconds: float) -> None:
    """Let later statements of the connection wait at most this long for a lock."""
    for statement in dialect_for(connection.dialect).schema_changes.timeout_statements(seconds):
        connection.exec_driver_sql(statement)
    connection.commit()


def prepare_journal(connection: sqlalchemy.Connection) -> None:
    """Create the table of the journal, outside of the revisions' transactions."""
    journal.create(connection)
    connection.commit()


@contextmanager
def locked(connection: sqlalchemy.Connection, url: str, say: Say) -> Iterator[None]:
    """Hold the lock of the database's migrations: one runner at a time, the others wait.

    A server keeps the lock on the connection that migrates, so that it is held for as long as the last statement of a
    process that was killed goes on.
    """
    backend: Any = Database(url)._backend
    waiting = "another process migrates this database: waiting until it has ended"
    statements = backend.lock_statements(LOCK_NAME, 0, False)
    if statements is None:
        while (release := backend.try_lock(LOCK_NAME, False)) is None:
            if waiting:
                say(waiting)
                waiting = ""
            await_only(asyncio.sleep(POLL_SECONDS))
        try:
            yield
        finally:
            release()
        return
    if not _fetch(connection, statements.acquire):
        say(waiting)
        for_ever = backend.lock_statements(LOCK_NAME, None, False)
        if not _fetch(connection, for_ever.acquire):
            raise MigrationError("the lock of the database's migrations could not be taken")
    connection.commit()
    try:
        yield
    finally:
        if not connection.closed and not connection.invalidated:
            connection.rollback()
            _fetch(connection, statements.release)
            connection.commit()


def _fetch(connection: sqlalchemy.Connection, statement: tuple[str, Any]) -> Any:
    sql, arguments = statement
    return connection.exec_driver_sql(sql, tuple(arguments)).scalar()
