"""Makes a new revision of the difference between the models and the database."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic.autogenerate.api import AutogenContext, RevisionContext
from alembic.autogenerate.compare import _populate_migration_script
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import rev_id

from orm.exceptions import MigrationError
from orm.migrations import states
from orm.migrations.answers import Answers
from orm.migrations.directives import SAFE
from orm.migrations.grades.grading import Grading
from orm.migrations.questions import Questions
from orm.migrations.recording import describe
from orm.migrations.runner import Migrations


@dataclass(frozen=True)
class NewRevision:
    """A revision that was made, or would be.

    Attributes:
        revision: its identifier.
        message: its name.
        path: its file; None if it was not written.
        operations: what it does, a line for each operation.
    """

    revision: str
    message: str
    path: Path | None
    operations: list[str]


async def make_revision(
    migrations: Migrations,
    message: str | None = None,
    *,
    empty: bool = False,
    write: bool = True,
    process: Callable[..., None] | None = None,
    answers: Answers | None = None,
    safe: bool = False,
) -> NewRevision | None:
    """Make a revision of what the models have and the database lacks, and the reverse. None if there is nothing.

    With `safe=True`, operations on tables that exist are written as sequences that do not stop running applications.

    Raises:
        MigrationError: the database has not run all revisions, or there are several heads.
        OptionError: one of the answers names nothing that the models or the database have. No file is written.
    """

    def make(connection: sqlalchemy.Connection) -> NewRevision | None:
        folder = migrations.folder
        heads = folder.heads()
        if len(heads) > 1:
            raise MigrationError(f"there are {len(heads)} heads, {' and '.join(heads)}: `orm merge` joins them")
        if not empty and set(migrations.heads_of(connection)) != set(heads):
            pending = [state.revision for state in migrations.states(connection) if state.state == "pending"]
            raise MigrationError(
                f"the database has not run {len(pending)} revision{'s' * (len(pending) != 1)}: run `orm migrate` "
                "first, because a new revision is what the database lacks"
            )
        if isinstance(answers, Questions):
            answers.refuse_unknown(connection)
            connection.rollback()
        arguments = {
            "message": message,
            "rev_id": rev_id(),
            "sql": False,
            "head": "head",
            "splice": False,
            "branch_label": None,
            "version_path": None,
            "depends_on": None,
        }
        context = RevisionContext(
            folder.config, folder.script, {**arguments, "autogenerate": not empty}, process_revision_directives=process
        )

        def generate(heads: Any, migration_context: Any) -> list[Any]:
            if empty:
                context.run_no_autogenerate(heads, migration_context)
            else:
                context.run_autogenerate(heads, migration_context)
            return []

        run = migrations.new_run(connection=connection, answers=answers, options={"dont_mutate": True, SAFE: safe})
        migrations.run_env(run, generate)
        [script] = context.generated_revisions
        assert script.upgrade_ops is not None and script.rev_id is not None
        if isinstance(answers, Questions):
            answers.refuse_unused(flat(script.upgrade_ops))
        if script.upgrade_ops.is_empty() and not empty:
            return None
        lines = [describe(operation) for operation in flat(script.upgrade_ops)]
        script.message = message or ("data" if empty else name_of(script.upgrade_ops, is_first=not heads))
        path = None
        if write:
            [written] = context.generate_scripts()
            assert written is not None
            path = Path(str(written.path))
            add_grades(path, flat(script.upgrade_ops), connection)
            if not empty or states.state_at(folder.script, "head") is None:
                state = states.state_of(migrations.registries, connection.dialect)
                states.write(path.with_name(f"{script.rev_id}.state.json"), state)
            folder.reload()
        return NewRevision(script.rev_id, script.message, path, lines)

    return await migrations.on_connection(make)


def add_grades(path: Path, operations: list[Any], connection: sqlalchemy.Connection) -> None:
    """Write the grades that operations have on a large table above `upgrade()`, as a comment."""
    grading = Grading(connection, is_large=True)
    lines = []
    for operation in operations:
        grade = grading.grade(operation)
        lines += textwrap.wrap(
            f"{grade}  {describe(operation)} ({grade.lock})", 110, initial_indent="#   ", subsequent_indent="#      "
        )
        if grade.safer:
            lines += textwrap.wrap(f"safer: {grade.safer}", 110, initial_indent="#      ", subsequent_indent="#      ")
    if lines:
        text = path.read_text(encoding="utf-8")
        head = f"# Grades of a large table on {grading.server_text}; `orm migrate --plan` has those of a database:"
        text = re.sub(r"^(?=def upgrade\()", lambda match: "\n".join([head, *lines, ""]), text, count=1, flags=re.M)
        path.write_text(text, encoding="utf-8")


def compare(migrations: Migrations, connection: sqlalchemy.Connection) -> list[Any]:
    """The operations that would make the database of a connection what the models are."""
    script = ops.MigrationScript(None, ops.UpgradeOps([]), ops.DowngradeOps([]))

    def generate(heads: Any, migration_context: MigrationContext) -> list[Any]:
        context = AutogenContext(migration_context, autogenerate=True)
        _populate_migration_script(context, script)
        hook = migration_context.opts["process_revision_directives"]
        if hook:
            hook(migration_context, heads, [script])
        return []

    migrations.run_env(migrations.new_run(connection=connection, options={"dont_mutate": True}), generate)
    return flat(script.upgrade_ops)


def flat(container: Any) -> list[Any]:
    """The operations of a container, without the containers inside it."""
    operations = []
    for operation in container.ops:
        operations += flat(operation) if isinstance(operation, ops.OpContainer) else [operation]
    return operations


def name_of(container: Any, *, is_first: bool) -> str:
    """A name for a revision with these operations."""
    if is_first:
        return "initial"
    operations = flat(container)
    if len(operations) == 1 and not isinstance(operations[0], ops.ExecuteSQLOp):
        text = describe(operations[0]).partition(":")[0]
    else:
        tables = {getattr(operation, "table_name", None) for operation in operations} - {None}
        text = f"change {' '.join(sorted(map(str, tables))[:3])}" if tables else "change schema"
    return re.sub(r"\W+", "_", text).strip("_").lower()[:60]
