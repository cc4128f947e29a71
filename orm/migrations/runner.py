"""`Migrations`: runs the revisions of a folder on a database, one runner at a time."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import sqlalchemy
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.util import await_only

from orm.database.connections.errors import translate
from orm.database.dialect_registry import dialect_for, server_name
from orm.exceptions import Error, GradeNotAllowed, LockNotAvailable, MigrationError
from orm.migrations import journal
from orm.migrations.backfills import Report
from orm.migrations.broken_files import BROKEN, what
from orm.migrations.engine import connect, dialect_url
from orm.migrations.environment import RUN, Run, Say, close, locked, prepare_journal, set_lock_timeout, to_stderr
from orm.migrations.folder import Folder
from orm.migrations.grades.grade import Grade
from orm.migrations.grades.grading import Grading, unreadable
from orm.migrations.journal import JournalEntry
from orm.migrations.progress import refuse_other_direction
from orm.migrations.recording import operations_of
from orm.registry import ModelRegistry

T = TypeVar("T")
Registries = ModelRegistry | Sequence[ModelRegistry]

UNREADABLE = (
    *(TypeError, ValueError, AttributeError, LookupError, ArithmeticError, AssertionError, RuntimeError),
    SQLAlchemyError,  # as of sqlalchemy.inspect(op.get_bind())
)
"""What Python in a revision may raise where it reads rows, when it is called to see what it would do."""

_running: list[object] = []
"""What uses Alembic in this process: its `op` and `context` are those of one run."""


@dataclass(frozen=True)
class RevisionState:
    """A revision, and what the database knows of it.

    Attributes:
        revision: its identifier.
        message: the first line of its file.
        path: its file.
        follows: the revisions before it.
        state: "applied"; "pending"; "applying" or "undoing" of one that was interrupted.
        is_edited: whether its file does something else now than when it ran.
        done: of one that was interrupted, how many of the statements that commit by themselves are done.
    """

    revision: str
    message: str
    path: str
    follows: tuple[str, ...]
    state: str
    is_edited: bool = False
    done: int = 0


@dataclass(frozen=True)
class PlannedOperation:
    """An operation of a revision that has not run.

    Attributes:
        revision: the revision's identifier.
        message: the first line of its file.
        operation: Alembic's operation; None of a revision that changes nothing.
        description: what it does, in a line.
        grade: the grade and its reasons; None of a revision that changes nothing.
    """

    revision: str
    message: str
    operation: Any
    description: str
    grade: Grade | None = None


def refuse(
    planned: Sequence[PlannedOperation], allow: str, ask: Callable[[list[PlannedOperation]], bool] | None = None
) -> str:
    """Raise `GradeNotAllowed` if an operation is worse than allowed, and nobody says that a C may run.

    Returns the worst grade that may run.
    """
    worse = [row for row in planned if row.grade is not None and row.grade.is_worse_than(allow)]
    if not worse:
        return allow
    worst = max(str(row.grade) for row in worse)
    if worst == "C" and ask is not None and ask(worse):
        return worst
    lines = [text for row in worse for text in reasons(row)]
    raise GradeNotAllowed(
        "\n".join(["nothing has run, because of:", *lines, f"`orm migrate --allow {worst}` runs it as it is"]), worse
    )


def reasons(row: PlannedOperation) -> list[str]:
    """What a person has to know of an operation: what it does, its grade, and what is safer."""
    grade = row.grade
    assert grade is not None
    rows = "" if grade.rows is None else f", about {grade.rows} rows"
    lines = [f"  {grade} {row.revision}: {row.description} ({grade.lock}{rows}; who waits: {grade.blocks})"]
    lines += [f"    loses: {grade.loses}"] if grade.loses else []
    return [*lines, *([f"    safer: {grade.safer}"] if grade.safer else [])]


@dataclass
class Migrations:
    """The migrations of a folder, and the database that they are for. All methods are awaitable in a running loop.

    Attributes:
        models: the registry, or several that have one database.
        directory: the folder that `orm init` has made.
        lock_timeout: the seconds that a statement waits for a lock, with all that come after it behind it.
        retries: how often a revision that did not get a lock is tried again, after a pause.
        say: takes messages about what it waits for.
        on_revision: is called with each revision that has run, and whether it was applied or undone.
        on_statement: is called with each statement of a revision before it runs.
        on_batch: is called with each batch of a backfill that is committed: the table, the rows so far, about how many
            there are.
    """

    models: Registries
    directory: str | os.PathLike[str] = "migrations"
    lock_timeout: float = 3.0
    retries: int = 10
    say: Say = to_stderr
    on_revision: Callable[[str, bool], None] | None = None
    on_statement: Callable[[str], None] | None = None
    on_batch: Report | None = None
    folder: Folder = field(init=False)

    def __post_init__(self) -> None:
        self.registries = (self.models,) if isinstance(self.models, ModelRegistry) else tuple(self.models)
        self.folder = Folder(self.directory)
        self.url = str(self.registries[0].database.url)

    # What runs

    async def upgrade(
        self,
        target: str = "head",
        *,
        fake: bool = False,
        allow: str = "D",
        ask: Callable[[list[PlannedOperation]], bool] | None = None,
    ) -> list[str]:
        """Run the revisions up to the target. Returns those that ran.

        `allow` is the worst grade that may run; `ask` is asked once about operations with the grade C that come after.
        If none may, MySQL and MariaDB are told to refuse what would copy a large table while writers wait.
        """

        def move(connection: sqlalchemy.Connection) -> list[str]:
            worst = allow
            if allow != "D" and not fake:
                worst = refuse(self.planned(connection, target, up=True), allow, ask)
            return self._move(connection, target, up=True, fake=fake, refuses_copies=worst in "AB")

        return await self.on_connection(move, lock=True)

    async def downgrade(self, target: str = "-1", *, fake: bool = False) -> list[str]:
        """Undo the revisions down to the target, newest first. Returns those that were undone."""
        return await self.on_connection(
            lambda connection: self._move(connection, target, up=False, fake=fake), lock=True
        )

    async def sql(self, target: str = "head", *, up: bool = True) -> str:
        """The SQL of the revisions up to the target, for the server that the database is on."""

        def write(connection: sqlalchemy.Connection) -> str:
            heads = self.heads_of(connection)
            url = dialect_url(self.url)
            driver = url.get_driver_name()
            offline = url.set(drivername=f"{server_name(connection.dialect)}+{driver}")
            steps = self.steps(target, heads, up=up)
            text = io.StringIO()
            run = self.new_run(offline_url=offline, options={"output_buffer": text})
            with self._environment(run, lambda heads, context: steps, as_sql=True, starting_rev=heads or None) as env:
                self._run_env(run, env)
            return text.getvalue()

        return await self.on_connection(write)

    async def plan(self, target: str = "head", *, up: bool = True) -> list[PlannedOperation]:
        """The operations of the revisions up to the target that have not run. Nothing is changed."""
        return await self.on_connection(lambda connection: self.planned(connection, target, up=up))

    def planned(self, connection: sqlalchemy.Connection, target: str, *, up: bool) -> list[PlannedOperation]:
        """The operations of the revisions up to the target, with their grades on the database of a connection."""
        planned = []
        grading = Grading(connection)
        for step in self.steps(target, self.heads_of(connection), up=up):
            script = step.revision
            try:
                operations = operations_of(script, connection, self.folder.script, up=up)
            except UNREADABLE as error:
                text = f"unknown: {type(error).__name__} without the rows that the revision reads"
                planned.append(PlannedOperation(script.revision, script.doc, None, text, unreadable(grading)))
                continue
            except BROKEN as error:
                text = what(error, self.folder.path)
                raise MigrationError(f"{_named(script)} cannot be read: {text}") from error
            rows = [
                PlannedOperation(script.revision, script.doc, operation, text, grading.grade(operation))
                for operation, text in operations
            ]
            planned += rows or [PlannedOperation(script.revision, script.doc, None, "nothing")]
        return planned

    # What is known

    async def current(self) -> tuple[str, ...]:
        """The revisions that the database is at: one, unless branches are not merged."""
        return await self.on_connection(self.heads_of)

    async def show(self) -> list[RevisionState]:
        """All revisions with their states, each after those that it follows."""
        return await self.on_connection(self.states)

    def states(self, connection: sqlalchemy.Connection) -> list[RevisionState]:
        """All revisions with their states."""
        heads, entries = self.heads_of(connection), journal.read(connection)
        applied = self.folder.applied(heads)
        return [self._state(script, applied, entries.get(script.revision)) for script in self.folder.revisions()]

    def _state(self, script: Script, applied: set[str], entry: JournalEntry | None) -> RevisionState:
        is_applied = script.revision in applied
        state = RevisionState(
            script.revision,
            script.doc or "",
            str(script.path),
            tuple(script._all_down_revisions),
            journal.APPLIED if is_applied else "pending",
        )
        if entry is None:
            return state
        if entry.is_partial:
            return replace(state, state=entry.state, done=entry.done)
        is_squashed = hasattr(script.module, "replaces")
        is_edited = is_applied and not is_squashed and entry.checksum not in ("", journal.checksum(state.path))
        return replace(state, is_edited=is_edited)

    # How it runs

    async def on_connection(self, function: Callable[[sqlalchemy.Connection], T], *, lock: bool = False) -> T:
        """Call a function with a connection to the database, and with the lock of its migrations."""

        def call(connection: sqlalchemy.Connection) -> T:
            if not lock:
                return function(connection)
            dialect_for(connection.dialect).schema_changes.prepare(connection)
            with locked(connection, self.url, self.say):
                set_lock_timeout(connection, self.lock_timeout)
                prepare_journal(connection)
                return function(connection)

        async with connect(self.registries[0].database) as connection, _alone():
            try:
                return await connection.run_sync(call)
            except CommandError as error:
                raise MigrationError(str(error)) from error
            except DBAPIError as error:
                raise MigrationError(str(_translated(error) or error)) from error
            finally:
                await close(connection)

    def heads_of(self, connection: sqlalchemy.Connection) -> tuple[str, ...]:
        """The revisions that the database of a connection is at."""
        return MigrationContext.configure(connection).get_current_heads()

    def steps(self, target: str, heads: tuple[str, ...], *, up: bool) -> list[Any]:
        """Alembic's steps from the heads of a database to the target."""
        scripts = self.folder.revisions()
        unknown = [head for head in heads if head not in {script.revision for script in scripts}]
        for script in scripts:
            if set(unknown) & set(getattr(script.module, "replaces", ())):
                raise MigrationError(
                    f"the database is at the revision {unknown[0]}, which was squashed into {script.revision}: run "
                    "`orm migrate` with the files from before the squash first"
                )
        if unknown:
            raise MigrationError(
                f"the database is at the revision {unknown[0]}, which no file of {self.directory} has: get the newest "
                "files, or see what `orm repair` says"
            )
        find = self.folder.script._upgrade_revs if up else self.folder.script._downgrade_revs
        name = "upgrade" if up else "downgrade"
        ends = self.folder.heads()
        if up and target == "head" and len(ends) > 1:
            raise MigrationError(f"there are {len(ends)} heads, {' and '.join(ends)}: `orm merge` joins them")
        merged = [script for script in scripts if script.revision in heads and len(script._all_down_revisions) > 1]
        if not up and target.startswith("-") and merged:
            raise MigrationError(
                f"{_named(merged[0])} joins branches, so that it is not known how far to go back: name one of "
                f"{', '.join(merged[0]._all_down_revisions)}, or base"
            )
        try:
            return [*find(target, heads)]  # type: ignore[arg-type]
        except AttributeError as error:
            for script in scripts:
                if not hasattr(script.module, name):
                    raise MigrationError(f"{_named(script)} has no {name}() in {script.path}") from error
            raise

    def new_run(self, **attributes: Any) -> Run:
        """What `env.py` is told."""
        options = {
            "registries": self.registries,
            "lock_timeout": self.lock_timeout,
            "say": self.say,
            "on_statement": self.on_statement,
            "on_batch": self.on_batch,
        }
        return Run(**{**options, **attributes})

    @contextlib.contextmanager
    def _environment(self, run: Run, steps: Callable[..., Any], **options: Any) -> Iterator[EnvironmentContext]:
        self.folder.config.attributes[RUN] = run
        try:
            with EnvironmentContext(self.folder.config, self.folder.script, fn=steps, **options) as environment:
                yield environment
        finally:
            del self.folder.config.attributes[RUN]

    def run_env(self, run: Run, steps: Callable[..., Any], **options: Any) -> None:
        """Run `env.py`, with a function that returns Alembic's steps."""
        with self._environment(run, steps, **options) as environment:
            self._run_env(run, environment)

    def _run_env(self, run: Run, environment: EnvironmentContext) -> None:
        try:
            environment.script.run_env()
        except BROKEN as error:
            if run.has_run or isinstance(error, Error):
                raise
            if isinstance(error, RuntimeError) and "event loop" in str(error):
                raise MigrationError(
                    f"{self.folder.path / 'env.py'} opens a connection of its own: let it call "
                    "orm.migrations.run(models) instead, as the env.py that `orm init` writes does"
                ) from error
            raise MigrationError(f"{self.folder.path / 'env.py'} failed: {what(error, self.folder.path)}") from error
        if not run.has_run:
            raise MigrationError(f"{self.folder.path / 'env.py'} does not call orm.migrations.run(models)")

    def _move(
        self, connection: sqlalchemy.Connection, target: str, *, up: bool, fake: bool, refuses_copies: bool = False
    ) -> list[str]:
        done = []
        known = {script.revision for script in self.folder.revisions()}
        for entry in journal.read(connection).values():
            refuse_other_direction(entry, up=up, has_file=entry.revision in known)
        for step in self.steps(target, self.heads_of(connection), up=up):
            connection.commit()
            if fake:
                self._fake(connection, step)
            else:
                self._run_step(connection, step, refuses_copies)
            done.append(step.revision.revision)
            if self.on_revision is not None:
                self.on_revision(done[-1], up)
        return done

    def _fake(self, connection: sqlalchemy.Connection, step: Any) -> None:
        """Note a revision as run, in Alembic's table and in the journal."""
        context = MigrationContext.configure(connection, opts={"fn": lambda heads, inner: [step]})
        with connection.begin():
            context._ensure_version_table()
            step.migration_fn = lambda **arguments: None
            context.run_migrations()
            if step.is_upgrade:
                journal.write(connection, journal.applied(step.revision.revision, str(step.revision.path)))
            else:
                journal.delete(connection, step.revision.revision)

    def _run_step(self, connection: sqlalchemy.Connection, step: Any, refuses_copies: bool) -> None:
        name = _named(step.revision)
        for attempt in range(self.retries + 1):
            run = self.new_run(connection=connection, refuses_copies=refuses_copies)
            try:
                self.run_env(run, lambda heads, context: [step], destination_rev=step.revision.revision)
                return
            except (*BROKEN, Error) as error:
                if isinstance(error, (MigrationError, CommandError)):
                    raise
                translated = _translated(error) or MigrationError(what(error, self.folder.path))
                if not connection.invalidated and not connection.closed:
                    connection.rollback()
                if isinstance(translated, LockNotAvailable) and attempt < self.retries:
                    self.say(
                        f"{name}: no lock within {self.lock_timeout:g} s for {_short(run.statement)}; others would "
                        f"wait behind it, so it is tried again ({attempt + 1} of {self.retries})"
                    )
                    await_only(asyncio.sleep(min(0.5 * 2**attempt, 5)))
                    continue
                cause = error if isinstance(translated, MigrationError) else translated
                text = self._failure(connection, step, run, translated)
                if any(
                    dialect_for(connection.dialect).schema_changes.is_copy_refused(each) for each in _origins(error)
                ):
                    text += (
                        " Writers would wait while the server copies the table, which is C: `orm migrate --allow C` "
                        "lets them"
                    )
                raise MigrationError(text) from cause

    def _failure(self, connection: sqlalchemy.Connection, step: Any, run: Run, error: BaseException) -> str:
        name = _named(step.revision)
        at = f" at {_short(run.statement)}" if run.statement else ""
        text = f"{name} failed{at}: {error}"
        if connection.invalidated or connection.closed:
            return f"{text}. The connection was lost; `orm migrate` goes on where it stopped."
        entry = journal.read(connection).get(step.revision.revision)
        connection.rollback()
        if entry is None or self._is_untouched(connection, entry, run):
            return f"{text}. Nothing of it has stayed."
        command = "orm migrate" if step.is_upgrade else "orm rollback"
        if not entry.done:
            return f"{text}. What it changed before that stays; `{command}` goes on after it."
        many = f"The first {entry.done} statements" if entry.done > 1 else "The first statement"
        return f"{text}. {many} that commit by themselves stay; `{command}` goes on after them."

    def _is_untouched(self, connection: sqlalchemy.Connection, entry: JournalEntry, run: Run) -> bool:
        """Whether a failed revision has changed nothing; then the note that its first statement began is deleted."""
        if not entry.is_partial:
            return True
        if entry.done or run.has_changed:
            return False
        changes = dialect_for(connection.dialect).schema_changes
        if changes.fingerprint(connection, run.statement) == entry.fingerprint:
            journal.delete(connection, entry.revision)
        connection.commit()
        return True


@contextlib.asynccontextmanager
async def _alone() -> AsyncIterator[None]:
    """Wait until no other task of the process runs Alembic."""
    turn = object()
    _running.append(turn)
    try:
        for _ in iter(lambda: _running[0] is turn, True):
            await asyncio.sleep(0.01)
        yield
    finally:
        _running.remove(turn)


def _translated(error: BaseException) -> Error | None:
    """An error of a statement as one of the ORM's."""
    if isinstance(error, Error):
        return error
    for candidate in _origins(error):
        if (translated := translate(candidate)) is not None:
            return translated
    return None


def _origins(error: BaseException) -> list[BaseException]:
    """The driver's errors that an error of SQLAlchemy is about."""
    original = getattr(error, "orig", None)
    return [each for each in (getattr(original, "__cause__", None), original) if isinstance(each, BaseException)]


def _named(script: Script) -> str:
    return f"{script.revision} ({script.doc})" if script.doc else str(script.revision)


def _short(sql: str) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= 160 else f"{text[:157]}…"
