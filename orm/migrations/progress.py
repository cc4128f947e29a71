"""Records how far a revision has come, so that one that was interrupted goes on where it stopped.

A revision is a row of *segments* and *steps*. A step is a statement that commits by itself: every change of the schema
on MySQL and MariaDB, and on the others what runs in an `autocommit_block()`. A segment is what is between two
steps: its statements are committed together, with the journal's note that they are. The next run passes over the
segments that are committed and the steps that are done. Whether a step that was begun has ended is seen in the
server's catalogs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy
from alembic.runtime.migration import MigrationContext, MigrationInfo, RevisionStep

from orm.database.dialect_registry import dialect_for
from orm.database.schema_changes import WRITES
from orm.exceptions import MigrationError
from orm.migrations import journal
from orm.migrations.backfills import REPORT, REVISION, RUN_ALREADY
from orm.migrations.grades.grade import SMALL
from orm.migrations.grades.grading import Grading
from orm.migrations.grades.statements import altered_table, mark_of
from orm.migrations.journal import APPLYING, UNDOING, JournalEntry

#: Statements that change nothing, or only the session.
READS = re.compile(r"\s*\(*\s*(?:SELECT|SHOW|DESC|DESCRIBE|EXPLAIN|PRAGMA|SET|USE|VALUES|DO|ROLLBACK)\b", re.IGNORECASE)
BLOCK = "rows"
"""In the place of a statement's digest, for a block that changes rows outside of transactions."""
#: Statements that change rows.
ROW_CHANGES = re.compile(
    r"\s*(?:INSERT|UPDATE|DELETE|REPLACE|MERGE|WITH|COPY|LOAD|CALL|COMMIT|BEGIN|START|SAVEPOINT|RELEASE)\b",
    re.IGNORECASE,
)


PROGRESS = "orm.migrations.progress"
"""The key of the `Progress` in a connection's `info`."""


def without_file(entry: JournalEntry) -> str:
    """What to know of a revision that was interrupted, and whose file is gone."""
    return (
        f"the revision {entry.revision} was interrupted while {entry.state}, after {entry.done} statements that commit "
        "by themselves, and no file has it: restore its file, or mend the schema by hand and forget it, with "
        f"`orm repair --forget {entry.revision}`"
    )


def refuse_other_direction(entry: JournalEntry, *, up: bool, has_file: bool = True) -> None:
    """Raise `MigrationError` if a revision was interrupted while it went the other way."""
    if entry.is_partial and entry.state != (APPLYING if up else UNDOING):
        if not has_file:
            raise MigrationError(without_file(entry))
        raise MigrationError(
            f"the revision {entry.revision} was interrupted while {entry.state}, after {entry.done} statements that "
            "commit by themselves. `orm repair` completes it; then it can go the other way."
        )


class Progress:
    """Watches the statements of a connection that runs revisions.

    Attributes:
        entry: how far the current revision has come; None outside of revisions.
        statement: the last statement of the current revision, for the message of an error.
        has_changed: whether the current revision has, in this run or an earlier one, statements that do not commit by
            themselves. They are committed with the note of the next step.
        refuses_copies: whether the server is told to refuse a copy of a large table during which writers wait.
    """

    def __init__(self, connection: sqlalchemy.Connection, version_table: str) -> None:
        self.connection = connection
        self.changes = dialect_for(connection.dialect).schema_changes
        self.version_table = version_table
        self.entry: JournalEntry | None = None
        self.statement = ""
        self.has_changed = False
        self.refuses_copies = False
        self.on_statement: Callable[[str], None] = lambda sql: None
        self._known: JournalEntry | None = None
        self._step = 0
        self._is_in_block = False
        self._is_own = False

    def __enter__(self) -> Progress:
        sqlalchemy.event.listen(self.connection, "before_cursor_execute", self._before_statement, retval=True)
        sqlalchemy.event.listen(self.connection, "after_cursor_execute", self._after_statement)
        sqlalchemy.event.listen(self.connection, "commit", self._before_commit)
        self.connection.info[WRITES] = True
        self.connection.info[PROGRESS] = self
        return self

    def __exit__(self, *exc_info: object) -> None:
        sqlalchemy.event.remove(self.connection, "before_cursor_execute", self._before_statement)
        sqlalchemy.event.remove(self.connection, "after_cursor_execute", self._after_statement)
        sqlalchemy.event.remove(self.connection, "commit", self._before_commit)
        for key in (WRITES, REVISION, REPORT, RUN_ALREADY, PROGRESS):
            self.connection.info.pop(key, None)

    def begin(self, step: RevisionStep) -> None:
        """A revision begins, or goes on. Raises `MigrationError` if it was interrupted in the other direction."""
        revision = step.revision.revision
        state = APPLYING if step.is_upgrade else UNDOING
        self._is_own = True
        try:
            known = journal.read(self.connection).get(revision)
        finally:
            self._is_own = False
        if known is not None:
            refuse_other_direction(known, up=step.is_upgrade)
        path = str(step.revision.path)
        if known is None or known.state != state:
            known = JournalEntry(revision, state)
        self._known = known
        self.entry = replace(known, checksum=journal.checksum(path))
        self._step = 0
        self._is_in_block = False
        self.connection.info[REVISION] = revision
        self.connection.info[RUN_ALREADY] = []
        self.statement = ""
        self.has_changed = False

    def applied(self, *, ctx: MigrationContext, step: MigrationInfo, heads: set[Any], run_args: Any) -> None:
        """Alembic has written the new version: note it in the same transaction."""
        entry, self.entry, self._known = self.entry, None, None
        if entry is None:
            return
        self._is_own = True
        try:
            if step.is_upgrade:
                journal.write(self.connection, JournalEntry(entry.revision, journal.APPLIED, entry.checksum))
                journal.delete_backfills(self.connection, entry.revision)
            else:
                journal.delete(self.connection, entry.revision)
        finally:
            self._is_own = False

    def _write(self, **changes: Any) -> None:
        assert self.entry is not None
        self.entry = replace(self.entry, **changes)
        self._is_own = True
        try:
            journal.write(self.connection, self.entry)
        finally:
            self._is_own = False

    def _is_autocommit(self) -> bool:
        return self.connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"

    def _before_statement(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> tuple[str, Any]:
        if self._is_own or self.entry is None or READS.match(statement) or self._is_of_own_table(statement):
            return statement, parameters
        if not self._is_autocommit():
            if not statement.startswith("BEGIN"):
                self._end_block()
        elif ROW_CHANGES.match(statement):
            self._begin_block()
        if self._is_step(statement):
            is_skipped = self._begin_step(statement)
        else:
            self.has_changed = True
            is_skipped = self._step < self.entry.committed and not self._is_autocommit()
        if is_skipped:
            return self.changes.skipped, [()] if executemany else ()
        if self.refuses_copies:
            statement = self._online(statement)
        self.statement = statement
        self.on_statement(statement)
        return statement, parameters

    def _online(self, statement: str) -> str:
        """A statement on a large table, with which the server does not make writers wait."""
        online = self.changes.online(statement)
        if online == statement or mark_of(statement) is not None:
            return statement
        schema, table = altered_table(statement)
        self._is_own = True
        try:
            rows = None if table is None else Grading(self.connection).rows(table, schema)
        finally:
            self._is_own = False
        return statement if rows is None or rows <= SMALL else online

    def _is_of_own_table(self, statement: str) -> bool:
        return self.version_table in statement or journal.BACKFILLS in statement

    def _begin_block(self) -> None:
        """Note that rows are changed outside of transactions, which is a step that each run repeats.

        So what comes before it and what comes after it are segments of their own.
        """
        if self._is_in_block:
            return
        self._is_in_block = True
        assert self.entry is not None
        number = self._step
        self._step += 1
        if number >= self.entry.begun:
            self._write(
                committed=max(self.entry.committed, number + 1),
                begun=number + 1,
                fingerprint="",
                statements=(*self.entry.statements[:number], BLOCK),
            )

    def _end_block(self) -> None:
        """Note that a block is done, together with what comes after it."""
        if self._is_in_block:
            self._is_in_block = False
            assert self.entry is not None
            if self._step > self.entry.done:
                self._write(done=self._step)

    def passes_over_rows(self) -> bool:
        """Note that rows are changed beside SQLAlchemy. Returns whether an earlier run has committed these changes."""
        if self.entry is None:
            return False
        if self._is_autocommit():
            self._begin_block()
            return False
        self._end_block()
        self.has_changed = True
        return self._step < self.entry.committed

    def _is_step(self, statement: str) -> bool:
        """Whether a statement commits by itself, and is not one that can be repeated."""
        is_alone = self._is_autocommit() if self.changes.transactional else True
        return is_alone and not ROW_CHANGES.match(statement)

    def _begin_step(self, statement: str) -> bool:
        """Note that a step begins. Returns whether an earlier run has completed it."""
        entry, number = self.entry, self._step
        assert entry is not None
        self._step += 1
        digest = hashlib.sha256(statement.encode()).hexdigest()[:8]
        if number < entry.begun and entry.statements[number] != digest and number < entry.done:
            raise MigrationError(
                f"the revision {entry.revision} was interrupted, and its statement {number + 1} is now another one "
                f"than the one that ran: {statement.strip()[:200]!r}. Restore what the file had up to there, or mend "
                f"the schema by hand and forget what ran, with `orm repair --forget {entry.revision}`."
            )
        if number < entry.done:
            return True
        self._is_own = True
        try:
            if number < entry.begun:
                self.changes.clear_leftovers(self.connection, statement)
            fingerprint = self.changes.fingerprint(self.connection, statement)
        finally:
            self._is_own = False
        if number < entry.begun and entry.statements[number] == digest and fingerprint != entry.fingerprint:
            self._write(done=number + 1)
            self._commit()
            return True
        self._write(
            committed=max(entry.committed, number + 1),
            begun=number + 1,
            fingerprint=fingerprint,
            statements=(*entry.statements[:number], digest),
        )
        self._commit()
        return False

    def _commit(self) -> None:
        """Commit beside SQLAlchemy, whose transaction goes on: the step would do it by itself."""
        if not self._is_autocommit():
            self._is_own = True
            try:
                self.connection.exec_driver_sql("COMMIT")
            finally:
                self._is_own = False

    def _after_statement(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        if self._is_own or self.entry is None or statement == self.changes.skipped:
            return
        if self._is_step(statement) and not READS.match(statement) and self.version_table not in statement:
            self._write(done=self._step)
            self._commit()

    def _before_commit(self, connection: sqlalchemy.Connection) -> None:
        if self._is_own:
            return
        self._is_own = True
        try:
            self.changes.before_commit(connection)
        finally:
            self._is_own = False
        if self.entry is not None and not self._is_autocommit() and self._step >= self.entry.committed:
            # A part of the revision is committed before its end, by an autocommit_block().
            self._write(committed=self._step + 1)
