"""The awaitable functions of `orm.migrations`: what the commands of `orm` do, inside a running event loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orm.migrations import checking
from orm.migrations.answers import Answers
from orm.migrations.checking import Finding, Repair
from orm.migrations.making import NewRevision, make_revision
from orm.migrations.questions import Questions
from orm.migrations.runner import Migrations, PlannedOperation, Registries, RevisionState


async def upgrade(
    models: Registries, target: str = "head", *, fake: bool = False, allow: str = "D", **options: Any
) -> list[str]:
    """Run the revisions that the database lacks, up to the target: "head", a revision, or "+1".

    >>> await upgrade(models)
    ['1c0a7d5e2f41']

    Works inside a running event loop. One runner at a time: others wait until it has ended. With `fake=True`, the
    revisions are only noted as run. `allow` is the worst grade that may run, "A" to "D": all run unless it is given.
    `options` are attributes of `Migrations`: `directory`, `lock_timeout`, `retries`.

    Returns the revisions that ran.

    Raises:
        GradeNotAllowed: an operation has a worse grade than `allow`. Nothing has run.
        MigrationError: there is no such revision, or one failed. The message says what of it has stayed.
    """
    return await Migrations(models, **options).upgrade(target, fake=fake, allow=allow)


async def downgrade(models: Registries, target: str = "-1", *, fake: bool = False, **options: Any) -> list[str]:
    """Undo revisions, newest first, down to the target: "-1", a revision, which stays, or "base".

    >>> await downgrade(models)
    ['1c0a7d5e2f41']

    Returns the revisions that were undone. Raises `MigrationError`, as `upgrade()` does.
    """
    return await Migrations(models, **options).downgrade(target, fake=fake)


async def current(models: Registries, **options: Any) -> tuple[str, ...]:
    """The revision that the database is at; several if branches are not merged, none before the first migration."""
    return await Migrations(models, **options).current()


async def show(models: Registries, **options: Any) -> list[RevisionState]:
    """All revisions, oldest first, with their states: "applied", "pending", or one that was interrupted."""
    return await Migrations(models, **options).show()


async def plan(models: Registries, target: str = "head", **options: Any) -> list[PlannedOperation]:
    """The operations of the revisions that `upgrade(models, target)` would run, with their grades. Nothing changes."""
    return await Migrations(models, **options).plan(target)


async def sql(models: Registries, target: str = "head", **options: Any) -> str:
    """The SQL that `upgrade(models, target)` would run, for the server that the database is on."""
    return await Migrations(models, **options).sql(target)


async def check(models: Registries, *, max_grade: str | None = None, **options: Any) -> list[Finding]:
    """What is not as it should be: revisions that have not run, or were edited or interrupted; and drift.

    >>> await check(models)
    [Finding(kind='drift', text='drop index by_title on note', statements=['DROP INDEX by_title'])]

    With `max_grade="B"`, the operations that have not run and have a worse grade on this database.
    """
    return await checking.check(Migrations(models, **options), max_grade=max_grade)


async def repair(models: Registries, *, forget: str | None = None, accept: bool = False, **options: Any) -> Repair:
    """Mend what an interrupted migration has left: remove leftovers, and complete the revision.

    `forget` is a revision whose half-done run is forgotten, because its schema was mended by hand. With `accept=True`,
    the files of edited revisions are taken as they are.

    Raises:
        MigrationError: the revision to forget was not interrupted, or an interrupted one fails again.
    """
    return await checking.repair(Migrations(models, **options), forget=forget, accept=accept)


async def make(
    models: Registries,
    message: str | None = None,
    *,
    empty: bool = False,
    write: bool = True,
    renames: Iterable[str] = (),
    drops: Iterable[str] = (),
    one_offs: Iterable[str] = (),
    answers: Answers | None = None,
    safe: bool = False,
    **options: Any,
) -> NewRevision | None:
    """Make a revision of the difference between the models and the database; None if there is none.

    >>> await make(models, "add rating")

    With `safe=True`, what would make readers and writers of large tables wait is written as a sequence that does not:
    on PostgreSQL CONCURRENTLY, NOT VALID with VALIDATE; rows are filled in batches, except on SQLite.

    With `empty=True` the revision has no operations, for one that is written by hand. With `write=False` no file is
    written.

    What the difference does not tell is answered by `renames` (``"Track.position=index"``), `drops`
    (``"Track.position"``: dropped, not renamed) and `one_offs` (``"Track.rating=5"``, the value of existing rows), or
    by the methods of `answers`.

    Raises:
        MigrationError: the database has not run all revisions.
        UnansweredQuestion: something is not answered.
    """
    migrations = Migrations(models, **options)
    known = answers or Questions(migrations.registries, renames, drops, one_offs)
    return await make_revision(migrations, message, empty=empty, write=write, answers=known, safe=safe)
