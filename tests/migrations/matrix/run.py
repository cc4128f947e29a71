"""Runs one change: autogenerate, upgrade, autogenerate again, downgrade. Says what is not right."""

from __future__ import annotations

import itertools
import json
import types
import warnings
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy
from alembic import autogenerate
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _render_cmd_body
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from alembic.util import CommandError
from sqlalchemy.engine import Connection

import orm
from orm.migrations import Answers, autogenerate_options, process_revision_directives
from orm.migrations.answers import UNANSWERED
from tests.migrations.matrix.changes import MODELS, OTHERS, ROWS, Change
from tests.migrations.matrix.database import Description, describe, differences, rows

numbers = itertools.count()


def declare(source: str, edits: tuple[tuple[str, str], ...]) -> tuple[str, orm.ModelRegistry]:
    """The source after the edits, and the models that it declares."""
    for old, new in edits:
        assert old in source, old
        source = source.replace(old, new)
    module = types.ModuleType(f"matrix_models_{next(numbers)}")
    exec(compile(source, module.__name__, "exec"), module.__dict__)
    return source, module.models


class FromChange(Answers):
    """The answers of a change."""

    def __init__(self, change: Change) -> None:
        self.change = change

    def one_off(self, table: Any, column: Any, field: Any) -> Any:
        return UNANSWERED if self.change.one_off is None else self.change.one_off

    def enum_value(self, table: Any, column: Any, value: Any, members: Any) -> Any:
        return self.change.members.get(value, UNANSWERED)

    def renamed_table(self, old: str, new: sqlalchemy.Table) -> bool:
        return self.change.renames.get(old) == new.name

    def renamed_column(self, table: sqlalchemy.Table, old: str, new: Any) -> bool:
        return self.change.renames.get(f"{table.name}.{old}") == new.name


@dataclass
class Written:
    """A migration, as its file would have it."""

    upgrade: str
    downgrade: str
    imports: set[str]


first_migrations: dict[tuple[str, str], Written] = {}


class Migrator:
    """Writes migrations and runs them, as Alembic does with files."""

    def __init__(self, connection: Connection, change: Change) -> None:
        self.connection = connection
        self.change = change
        self.history: list[str] = []

    def context(self, *registries: orm.ModelRegistry) -> MigrationContext:
        options = autogenerate_options(*registries, answers=FromChange(self.change))
        options["ownership"].texts = list(self.history)
        return MigrationContext.configure(self.connection, opts=options)

    def write(self, *registries: orm.ModelRegistry) -> Written | None:
        """The migration to these models; None if there is nothing to do."""
        context = self.context(*registries)
        script = autogenerate.produce_migrations(context, context.opts["target_metadata"])
        process_revision_directives(context, (), [script])
        assert isinstance(script.upgrade_ops, ops.UpgradeOps)
        if script.upgrade_ops.is_empty():
            return None
        prefixes = {"sqlalchemy_module_prefix": "sa.", "alembic_module_prefix": "op.", "user_module_prefix": None}
        rendering = AutogenContext(context, opts={**context.opts, **prefixes})
        upgrade = _render_cmd_body(script.upgrade_ops, rendering)
        assert script.downgrade_ops is not None
        downgrade = _render_cmd_body(script.downgrade_ops, rendering)
        return Written(upgrade, downgrade, rendering.imports)

    def run(self, code: str, imports: set[str]) -> None:
        """Run the code of `upgrade()` or `downgrade()`."""
        source = (
            "import sqlalchemy as sa\n" + "\n".join(imports) + "\n\ndef run():\n    " + code.replace("\n", "\n    ")
        )
        namespace: dict[str, Any] = {}
        exec(compile(source, "migration", "exec"), namespace)
        context = MigrationContext.configure(self.connection)
        with Operations.context(context) as operations:
            namespace["op"] = operations
            namespace["run"]()
        self.history.append(code)


def kind_of(connection: Connection) -> str:
    """The name of the database among `Change.only`."""
    dialect: Any = connection.dialect
    return "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name


def clean(connection: Connection) -> None:
    """Remove everything from the database."""
    kind = connection.dialect.name
    inspector = sqlalchemy.inspect(connection)
    if kind == "postgresql":
        for schema in ("public", "other"):
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    else:
        if kind != "sqlite":
            connection.exec_driver_sql("SET foreign_key_checks = 0")
        for table in inspector.get_table_names():
            connection.exec_driver_sql(f"DROP TABLE {connection.dialect.identifier_preparer.quote(table)}")
        if kind != "sqlite":
            connection.exec_driver_sql("SET foreign_key_checks = 1")
    connection.commit()


def run(connection: Connection, change: Change) -> list[str]:
    """Run a change on an empty database. Returns what is not right."""
    kind = kind_of(connection)
    schemas = change.schemas
    outcome = change.outcomes.get(kind, change.outcome)
    source, old = declare(MODELS, change.before)
    _, new = declare(source, change.edits)
    migrator = Migrator(connection, change)
    wanted = _fresh(connection, new, schemas)

    # Most changes begin with the same models.
    known = first_migrations.get((kind, source))
    first = known or migrator.write(old)
    assert first is not None
    first_migrations[kind, source] = first
    migrator.run(first.upgrade, first.imports)
    others = OTHERS["mysql" if kind == "mariadb" else kind]
    for statement in (*ROWS, *change.rows, *others):
        connection.exec_driver_sql(statement)
    connection.commit()
    wrong = [] if known or migrator.write(old) is None else ["the first migration is not complete"]
    before, rows_before = describe(connection, schemas), rows(connection, schemas)
    connection.commit()

    try:
        second = migrator.write(new)
        if second is not None:
            migrator.run(second.upgrade, second.imports)
        connection.commit()
    except (sqlalchemy.exc.DBAPIError, CommandError) as error:
        connection.rollback()
        if outcome != "refused":
            wrong.append(f"it fails: {str(error).splitlines()[0]}")
        wrong += [f"after it failed: {each}" for each in differences(before, describe(connection, schemas))]
        if rows(connection, schemas) != rows_before:
            wrong.append("after it failed, rows are others")
        return wrong
    if outcome == "refused":
        return [*wrong, "it is not refused"]
    if (second is None) != (outcome == "nothing"):
        return [*wrong, f"{outcome} was expected, and it does {'nothing' if second is None else second.upgrade}"]
    after = describe(connection, schemas)
    wrong += [f"not as created: {each}" for each in differences(_plus_others(wanted, before), after)]
    wrong += _changed_rows(
        change if second is not None else replace(change, values={}), rows_before, rows(connection, schemas)
    )
    again = migrator.write(new)
    if again is not None:
        wrong.append(f"the second time, it does {again.upgrade}")
    connection.commit()
    if second is None:
        return wrong
    try:
        migrator.run(second.downgrade, second.imports)
        connection.commit()
    except (sqlalchemy.exc.DBAPIError, CommandError) as error:
        connection.rollback()
        return [*wrong, f"the downgrade fails: {str(error).splitlines()[0]}"]
    wrong += [f"after the downgrade: {each}" for each in differences(before, describe(connection, schemas))]
    wrong += [f"after the downgrade: {each}" for each in _restored(change, rows_before, rows(connection, schemas))]
    return wrong


def _fresh(connection: Connection, registry: orm.ModelRegistry, schemas: tuple[str | None, ...]) -> Description:
    """What `create_all()` makes of the models, and nothing of it afterwards."""
    for schema in filter(None, schemas):
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)  # of tables in a cycle
        registry.metadata.create_all(connection)
        connection.commit()
        found = describe(connection, schemas)
        registry.metadata.drop_all(connection)
    for schema in filter(None, schemas):
        connection.exec_driver_sql(f"DROP SCHEMA {schema}")
    connection.commit()
    return found


def _plus_others(wanted: Description, before: Description) -> Description:
    """What is wanted, with what was there beside the models: the other table, its sequence, the trigger."""
    others = {table: set(texts) for table, texts in before.items() if table.startswith("log")}
    found = {**{table: set(texts) for table, texts in wanted.items()}, **others}
    for table, texts in before.items():
        for text in texts:
            if text.startswith("trigger "):
                name = next((each for each in found if each.lower() == table), "volume")
                found[name].add(text if name == table else text.replace("ON book", f"ON {name}"))
    return found


def _changed_rows(change: Change, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The values that are not what they should be."""
    wrong = []
    for table, old_rows in before.items():
        if table in change.lost:
            continue
        new_rows = after.get(change.renames.get(table, table))
        if new_rows is None or len(old_rows) != len(new_rows):
            wrong.append(f"{table}: rows are missing")
            continue
        for old, new in zip(_sorted(old_rows), _sorted(new_rows), strict=True):
            for column, value in old.items():
                full = f"{table}.{column}"
                if full in change.lost:
                    continue
                value = change.values.get(full, {}).get(
                    value if value is None or isinstance(value, (int, str)) else str(value), value
                )
                name = change.renames.get(full, column)
                if name not in new:
                    wrong.append(f"{full}: the values are gone")
                elif not _same(value, new[name]):
                    wrong.append(f"{full}: {value!r} is {new[name]!r}")
    return wrong


def _restored(change: Change, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    wrong = []
    one_way = {
        full for full, values in change.values.items() if len(set(values.values())) < len(values) or None in values
    }
    for table, old_rows in before.items():
        if table in change.lost:
            continue
        for old, new in zip(_sorted(old_rows), _sorted(after.get(table, [])), strict=False):
            for column, value in old.items():
                full = f"{table}.{column}"
                if (
                    full in change.lost
                    or full in one_way
                    or (full in ("book.mood", "book.subtitle") and change.members)
                ):
                    continue
                if not _same(value, new.get(column)):
                    wrong.append(f"{full}: {value!r} is {new.get(column)!r}")
    return wrong


def _sorted(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda row: str(row.get("id", row)))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) != isinstance(other, dict):
        one, other = (each if isinstance(each, dict) else json.loads(each) for each in (one, other))
    if one == other or str(one).replace("-", "") == str(other).replace("-", ""):
        return True
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return False
