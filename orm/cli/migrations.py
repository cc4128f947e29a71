"""The subcommands for migrations."""

from __future__ import annotations

import os
from enum import Enum
from typing import Annotated, Any

import typer

from orm.cli import output
from orm.cli.running import FOUND, AsJSON, migrations_of, run
from orm.cli.settings import SettingsError
from orm.exceptions import MigrationError
from orm.migrations import PlannedOperation, RevisionState, checking, making, squashing
from orm.migrations.grades.grade import Grade
from orm.migrations.questions import Questions
from orm.migrations.runner import reasons


class Letter(str, Enum):
    """A grade, as an option."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


MARKS = {"applied": "[X]", "pending": "[ ]", "applying": "[~]", "undoing": "[~]"}


def add_to(app: typer.Typer) -> None:
    """Add the subcommands."""
    for command in (makemigrations, migrate, rollback, showmigrations, history, check, repair, merge, squash):
        app.command()(command)


def makemigrations(
    context: typer.Context,
    message: Annotated[str | None, typer.Option("--message", "-m", help="The name of the revision.")] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Write a revision to fill in by hand.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if something is missing.")] = False,
    rename: Annotated[
        list[str] | None, typer.Option(help="Track.position=index; Track=Song for a table; may be repeated.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Track.position: it is dropped, and not renamed.")] = None,
    one_off: Annotated[
        list[str] | None, typer.Option(help="Track.rating=5: the value of existing rows in a required column.")
    ] = None,
    safe: Annotated[
        bool, typer.Option("--safe", help="Write sequences during which the application goes on, for large tables.")
    ] = False,
    json: AsJSON = False,
) -> None:
    """Write a revision of the difference between the models and the database.

    The database must have run all revisions: it is compared as it is. The file is plain Alembic, to be read, changed
    and committed. What the difference does not tell is asked, and without a terminal it is answered by --rename, --drop
    and --one-off; a question without an answer exits with 3.

    \b
      orm makemigrations -m "add rating"
      orm makemigrations --check           for CI: are all changes of the models in a revision?
      orm makemigrations --empty -m data   for rows
      orm makemigrations --rename Track.position=index --one-off Track.rating=5
      orm makemigrations --safe            CONCURRENTLY, NOT VALID with VALIDATE, and batches
    """
    migrations = migrations_of(context)
    ask = output.ask if output.can_ask() else None
    answers = Questions(migrations.registries, rename or (), drop or (), one_off or (), ask)
    making_it = making.make_revision(migrations, message, empty=empty, write=not check, answers=answers, safe=safe)
    revision = run(context, making_it)
    for option in answers.unused():
        output.message(f"{option} answers no question of this revision")
    if json:
        output.as_json(revision)
    elif revision is None:
        output.line("No changes.")
    else:
        if revision.path is not None:
            output.line(f"wrote {os.path.relpath(revision.path)}")
        for operation in revision.operations:
            output.line(f"  {operation}")
    if check and revision is not None:
        raise typer.Exit(FOUND)


def migrate(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="A revision, or its beginning; +1; head.")] = "head",
    plan: Annotated[bool, typer.Option("--plan", help="Show what would run, and run nothing.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL that would run, and run nothing.")] = False,
    fake: Annotated[bool, typer.Option("--fake", help="Note the revisions as run, without running them.")] = False,
    allow: Annotated[
        Letter, typer.Option(help="The worst grade that runs; C is asked for on a terminal.", envvar="ORM_ALLOW")
    ] = Letter.B,
    json: AsJSON = False,
) -> None:
    """Run the revisions that the database lacks.

    One process at a time migrates a database; others wait until it has ended. A statement that does not get a lock in
    lock_timeout seconds is given up and tried again, so that the application does not queue behind it. What was
    interrupted goes on where it stopped.

    Each operation has a grade on this database, by its lock and the size of its table: A is online, B is online with
    one scan or work in the background, C blocks others or needs two deployments, D loses data. Small tables are A, but
    for what loses data or breaks code that runs. A and B run; C is asked for; the rest exits with 5.

    \b
      orm migrate                 up to the newest revision
      orm migrate 1c0a            up to the revision that begins with 1c0a
      orm migrate --plan          what would run, with grades, locks and rows
      orm migrate --allow D       also what blocks, or loses data
      orm migrate --sql > up.sql  the SQL of it
      orm migrate --fake          for tables that create_all() has made
    """
    migrations = migrations_of(context)
    if plan:
        _show_plan(run(context, migrations.plan(target)), json)
        return
    if sql:
        output.line(run(context, migrations.sql(target)).strip())
        return
    _move(context, migrations, target, up=True, fake=fake, json=json, allow=allow.value)


def rollback(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(help="The revision to go back to, which stays; or base.", show_default=False)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="How many revisions to undo, without a target; one by default.", min=1)
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would run, and run nothing.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL that would run, and run nothing.")] = False,
    fake: Annotated[bool, typer.Option("--fake", help="Note the revisions as undone, without undoing them.")] = False,
    json: AsJSON = False,
) -> None:
    """Undo revisions, newest first.

    \b
      orm rollback            the last one
      orm rollback --steps 3  the last three
      orm rollback 1c0a       all after 1c0a
      orm rollback base       all of them
    """
    if target is not None and steps is not None:
        raise SettingsError(f"a target, {target}, and --steps {steps} exclude each other")
    migrations = migrations_of(context)
    to = target or f"-{steps or 1}"
    if plan:
        _show_plan(run(context, migrations.plan(to, up=False)), json)
        return
    if sql:
        output.line(run(context, migrations.sql(to, up=False)).strip())
        return
    _move(context, migrations, to, up=False, fake=fake, json=json)


def showmigrations(context: typer.Context, json: AsJSON = False) -> None:
    """Say which revisions the database has run.

    [X] has run, [ ] has not, [~] was interrupted: `orm migrate` completes it. "edited" has a file that does something
    else now than when it ran.
    """
    states = run(context, migrations_of(context).show())
    if json:
        output.as_json(states)
    for state in [] if json else states:
        output.line(f"{MARKS[state.state]} {state.revision}  {state.message}{_remark(state)}")
    if not states and not json:
        output.line("No revisions.")


def _remark(state: RevisionState) -> str:
    if state.is_edited:
        return "  (edited after it ran)"
    if state.state in ("applying", "undoing"):
        many = f"{state.done} statement{'s' * (state.done != 1)}"
        return f"  (interrupted while {state.state}, after {many} that commit by themselves)"
    return ""


def history(context: typer.Context, json: AsJSON = False) -> None:
    """List the revisions, newest first, without looking at the database."""
    folder = migrations_of(context).folder
    heads = set(folder.heads())
    rows: list[dict[str, Any]] = [
        {
            "revision": script.revision,
            "message": script.doc,
            "follows": list(script._all_down_revisions),
            "is_head": script.revision in heads,
            "path": os.path.relpath(str(script.path)),
        }
        for script in reversed(folder.revisions())
    ]
    if json:
        output.as_json(rows)
        return
    texts = [
        (row["revision"], "head" if row["is_head"] else "", row["message"], ", ".join(row["follows"]), row["path"])
        for row in rows
    ]
    output.table(("revision", "", "message", "follows", "file"), texts)


def check(
    context: typer.Context,
    max_grade: Annotated[
        Letter | None, typer.Option(help="Ask whether what has not run is at most this, instead of what is wrong.")
    ] = None,
    json: AsJSON = False,
) -> None:
    """Say what is wrong with the database's migrations; exit with 1 if anything is.

    Revisions that have not run, were edited after they ran, or were interrupted; and drift, which is what the database
    and the models do not agree on once all revisions have run, with the statements that would close it.

    \b
      orm check          for a deployment
      orm check --json   with the statements, for a program
      orm check --max-grade B   for CI: does a revision that has not run block, or lose data, on this database?
    """
    grade = None if max_grade is None else max_grade.value
    findings = run(context, checking.check(migrations_of(context), max_grade=grade))
    if json:
        output.as_json(findings)
    for finding in [] if json else findings:
        output.line(f"{finding.kind}: {finding.text}")
        for statement in finding.statements:
            output.line("\n".join(f"    {part}" for part in statement.splitlines()))
    if not findings and not json and max_grade is not None:
        output.line(f"Nothing that has not run is worse than {max_grade.value}.")
    elif not findings and not json:
        output.line("The database has run all revisions, and is what the models say.")
    if findings:
        raise typer.Exit(FOUND)


def repair(
    context: typer.Context,
    forget: Annotated[str | None, typer.Option(help="A revision that was interrupted, and shall begin anew.")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Take the files of edited revisions as they are.")] = False,
    json: AsJSON = False,
) -> None:
    """Mend what an interrupted migration has left.

    Removes incomplete copies of tables (SQLite) and invalid indexes (PostgreSQL), and completes the revision after the
    statements that are done. Exits with 1 if something is left to do by hand.

    \b
      orm repair
      orm repair --forget 1c0a   the schema was mended by hand to what it was before 1c0a
      orm repair --accept        edited files are right
    """
    result = run(context, checking.repair(migrations_of(context), forget=forget, accept=accept))
    if json:
        output.as_json(result)
    else:
        for text in [*result.done, *(f"by hand: {text}" for text in result.left)] or ["Nothing to repair."]:
            output.line(text)
    if result.left:
        raise typer.Exit(FOUND)


def merge(
    context: typer.Context,
    message: Annotated[str | None, typer.Option("--message", "-m", help="The name of the revision.")] = None,
    json: AsJSON = False,
) -> None:
    """Write a revision that follows all heads, after two people have each written one that follows the same.

    It has no operations; what the branches do must not depend on their order.

    \b
      orm merge
    """
    path = squashing.merge(migrations_of(context).folder, message)
    if json:
        output.as_json({"path": path})
    else:
        output.line(f"wrote {os.path.relpath(path)}")


def squash(
    context: typer.Context,
    message: Annotated[str, typer.Option("--message", "-m", help="The name of the revision.")] = "squashed",
    json: AsJSON = False,
) -> None:
    """Write one revision in the place of all, with their operations one after another.

    It has the identifier of the last one: a database that has run all of them needs nothing. Run `orm migrate` on every
    database first. The old files get the ending .squashed; delete them when all is well.

    \b
      orm squash -m "until 2.0"
    """
    migrations = migrations_of(context)
    if set(run(context, migrations.current())) != set(migrations.folder.heads()):
        raise MigrationError("the database has not run all revisions: run `orm migrate` on every database first")
    path, replaced = squashing.squash(migrations.folder, message)
    if json:
        output.as_json({"path": path, "replaced": replaced})
        return
    output.line(f"wrote {os.path.relpath(path)}")
    for old in replaced:
        output.line(f"  in the place of {os.path.relpath(old)}")


def _move(
    context: typer.Context, migrations: Any, target: str, *, up: bool, fake: bool, json: bool, allow: str = "D"
) -> None:
    verb = ("noted as run" if up else "noted as undone") if fake else ("applied" if up else "undone")

    async def move() -> list[str]:
        planned = await migrations.show()
        with output.bars() as bars:
            total = sum((state.state == "applied") is not up for state in planned)
            done: list[str] = []

            def moved(revision: str, is_up: bool) -> None:
                done.append(revision)
                bars.show("migrating", len(done), total)
                if not json:
                    output.line(f"{verb} {revision}  {names.get(revision, '')}")

            names = {state.revision: state.message for state in planned}
            migrations.on_revision = moved
            migrations.on_batch = lambda table, rows, about: bars.show(f"filling {table}", rows, about)
            if not up:
                return list(await migrations.downgrade(target, fake=fake))
            ask = _may_run if output.can_ask() else None
            return list(await migrations.upgrade(target, fake=fake, allow=allow, ask=ask))

    done = run(context, move())
    if json:
        output.as_json({("applied" if up else "undone"): done, "fake": fake})
    elif not done:
        output.line("Nothing to migrate." if up else "Nothing to undo.")


def _may_run(planned: list[PlannedOperation]) -> bool:
    for row in planned:
        output.message("\n".join(reasons(row)))
    return output.ask("Run it? [y/N]").strip().lower() in ("y", "yes")


def _graded(grade: Grade | None) -> tuple[str, str, str, str]:
    if grade is None:
        return "", "", "", ""
    return grade.letter, grade.lock, "" if grade.rows is None else str(grade.rows), grade.undo


def _show_plan(planned: list[PlannedOperation], json: bool) -> None:
    if json:
        keys = ("revision", "message", "description", "grade")
        output.as_json([{key: getattr(row, key) for key in keys} for row in planned])
    elif planned:
        heads = ("revision", "message", "operation", "grade", "lock", "rows", "undo")
        output.table(
            heads, [(row.revision, row.message or "", row.description, *_graded(row.grade)) for row in planned]
        )
    else:
        output.line("Nothing to migrate.")
