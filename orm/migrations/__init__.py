"""Migrations on Alembic: `run()` for its `env.py`, and what the commands of `orm` do, as awaitable functions.

    await orm.migrations.upgrade(models)

The extra `migrations` installs Alembic.
"""

from orm.migrations.answers import UNANSWERED, Answers
from orm.migrations.api import check, current, downgrade, make, plan, repair, show, sql, upgrade
from orm.migrations.checking import Finding, Repair
from orm.migrations.defaults import compare_server_default
from orm.migrations.directives import autogenerate_options, process_revision_directives
from orm.migrations.engine import async_url, connect
from orm.migrations.environment import run
from orm.migrations.folder import init
from orm.migrations.grades.grade import Grade
from orm.migrations.historical import HistoricalModels, models_at
from orm.migrations.making import NewRevision
from orm.migrations.runner import Migrations, PlannedOperation, RevisionState
from orm.migrations.servers.sqlite_copy import SQLiteImpl
from orm.migrations.types import compare_type, render_item

__all__ = [
    "UNANSWERED",
    "Answers",
    "Finding",
    "Grade",
    "HistoricalModels",
    "Migrations",
    "NewRevision",
    "PlannedOperation",
    "Repair",
    "RevisionState",
    "SQLiteImpl",
    "async_url",
    "autogenerate_options",
    "check",
    "compare_server_default",
    "compare_type",
    "connect",
    "current",
    "downgrade",
    "init",
    "make",
    "models_at",
    "plan",
    "process_revision_directives",
    "render_item",
    "repair",
    "run",
    "show",
    "sql",
    "upgrade",
]
