"""What is wrong with a database's migrations, and what of it can be mended."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from alembic.autogenerate import render_python_code
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import CompileError

from orm.database.dialect_registry import dialect_for
from orm.exceptions import MigrationError
from orm.migrations import journal
from orm.migrations.journal import JournalEntry
from orm.migrations.making import compare
from orm.migrations.progress import without_file
from orm.migrations.recording import describe
from orm.migrations.runner import Migrations, reasons


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        kind: "pending", "edited", "unknown", "interrupted", "heads", "drift" or "grade".
        text: what it is, and what to do.
        statements: of drift, the SQL that would close it; Alembic's Python where SQLite needs a copy of the table.
    """

    kind: str
    text: str
    statements: list[str] = field(default_factory=list)


async def check(migrations: Migrations, *, max_grade: str | None = None) -> list[Finding]:
    """Compare the revisions with what the database has run, and the database with the models.

    The database is compared with the models only if it has run all revisions. With `max_grade`, the findings are the
    operations that have not run and have a worse grade.
    """
    if max_grade is not None:
        planned = await migrations.plan()
        return [
            Finding("grade", "\n".join(reasons(row)).strip())
            for row in planned
            if row.grade is not None and row.grade.is_worse_than(max_grade)
        ]
    return await migrations.on_connection(lambda connection: _check(migrations, connection))


def _check(migrations: Migrations, connection: sqlalchemy.Connection) -> list[Finding]:
    states = migrations.states(connection)
    known = {state.revision for state in states}
    findings = [
        Finding("unknown", f"the database is at the revision {head}, which no file has: get the newest files")
        for head in migrations.heads_of(connection)
        if head not in known
    ]
    findings += [Finding("interrupted", without_file(entry)) for entry in orphans(migrations, connection)]
    heads = migrations.folder.heads()
    if len(heads) > 1:
        findings.append(Finding("heads", f"{' and '.join(heads)} follow the same revision: `orm merge` joins them"))
    for state in states:
        name = f"{state.revision} ({state.message})"
        if state.is_edited:
            findings.append(
                Finding(
                    "edited", f"{name} was edited after it ran: restore it, or accept it with `orm repair --accept`"
                )
            )
        elif state.state == "pending":
            findings.append(Finding("pending", f"{name} has not run: `orm migrate` runs it"))
        elif state.state != journal.APPLIED:
            text = f"{name} was interrupted while {state.state}: `orm repair` completes it"
            findings.append(Finding("interrupted", text))
    if not any(finding.kind in ("unknown", "heads", "pending", "interrupted") for finding in findings):
        connection.rollback()
        for operation in compare(migrations, connection):
            findings.append(Finding("drift", describe(operation), statements_of(operation, connection)))
    return findings


def orphans(migrations: Migrations, connection: sqlalchemy.Connection) -> list[JournalEntry]:
    """The notes of interrupted revisions whose files are gone."""
    known = {script.revision for script in migrations.folder.revisions()}
    return [entry for entry in journal.read(connection).values() if entry.is_partial and entry.revision not in known]


def statements_of(operation: Any, connection: sqlalchemy.Connection) -> list[str]:
    """The SQL of an operation; the Python that Alembic writes for it, if the database needs a copy of the table."""
    text = io.StringIO()
    options = {"as_sql": True, "output_buffer": text, "literal_binds": True}
    context = MigrationContext.configure(dialect=connection.dialect, opts=options)
    try:
        Operations(context).invoke(operation)
    except (NotImplementedError, ValueError, CompileError):
        return [render_python_code(ops.UpgradeOps([operation]), migration_context=context).strip()]
    return [statement.strip() for statement in text.getvalue().split(";\n") if statement.strip()]


@dataclass(frozen=True)
class Repair:
    """What `repair()` did, a line for each thing, and what is left to do by hand."""

    done: list[str]
    left: list[str]


async def repair(migrations: Migrations, *, forget: str | None = None, accept: bool = False) -> Repair:
    """Mend what an interrupted migration has left: remove leftovers, and complete the revision.

    Args:
        forget: a revision whose half-done run is forgotten, because its schema was mended by hand.
        accept: take the files of edited revisions as they are now.

    Raises:
        MigrationError: the revision was not interrupted, or it fails again.
    """
    done = await migrations.on_connection(
        lambda connection: _mend(migrations, connection, forget=forget, accept=accept), lock=True
    )
    for state in await migrations.show():
        if state.state == journal.APPLYING:
            await migrations.upgrade(state.revision)
            done.append(f"completed {state.revision} ({state.message})")
        elif state.state == journal.UNDOING:
            await migrations.downgrade(state.follows[0] if state.follows else "base")
            done.append(f"completed the undoing of {state.revision} ({state.message})")
    kinds = ("unknown", "heads", "edited", "interrupted")
    left = [finding.text for finding in await check(migrations) if finding.kind in kinds]
    return Repair(done, left)


def _mend(migrations: Migrations, connection: sqlalchemy.Connection, *, forget: str | None, accept: bool) -> list[str]:
    done = dialect_for(connection.dialect).schema_changes.clear_leftovers(connection)
    entries = journal.read(connection)
    if forget is not None:
        gone = [entry.revision for entry in orphans(migrations, connection) if entry.revision.startswith(forget)]
        revision = gone[0] if len(gone) == 1 else migrations.folder.find(forget).revision
        if revision not in entries or not entries[revision].is_partial:
            raise MigrationError(f"the revision {revision} was not interrupted: there is nothing to forget")
        journal.delete(connection, revision)
        done.append(
            f"forgot {revision}, which no file has" if gone else f"forgot how far {revision} had come: it begins anew"
        )
    for state in migrations.states(connection) if accept else []:
        if state.is_edited:
            journal.write(connection, journal.applied(state.revision, state.path))
            done.append(f"accepted {state.revision} ({state.message}) as it is")
    connection.commit()
    return done
