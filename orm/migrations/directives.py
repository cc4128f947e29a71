"""Corrections of a new migration before it is written."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from orm.migrations import columns, sequences, stored_values, tables, type_changes
from orm.migrations.answers import Answers
from orm.migrations.defaults import compare_server_default
from orm.migrations.difference import RENAMES, Difference, that_run
from orm.migrations.ownership import Ownership
from orm.migrations.safe_sequences import safe_sequence
from orm.migrations.servers.registry import OTHER
from orm.migrations.table_items import check_models, compare_items, complete_new_tables, remove_hidden_columns
from orm.migrations.types import compare_type, render_item
from orm.registry import ModelRegistry

logger = logging.getLogger("orm.migrations")
ANSWERS, OWNERSHIP, SAFE = "answers", "ownership", "safe"


def autogenerate_options(
    *registries: ModelRegistry, answers: Answers | None = None, script: ScriptDirectory | None = None
) -> dict[str, Any]:
    """The options of `context.configure()` with which Alembic compares these models with the database.

    `answers` knows what cannot be found out; without it, autogenerate stops where it would have to guess. `script` has
    the revisions, whose text tells what the application has made: only that is dropped.

    >>> context.configure(connection=connection, **autogenerate_options(models, script=context.script))
    """
    metadatas = [registry.metadata for registry in registries]
    ownership = Ownership(metadatas, script)
    return {
        "target_metadata": metadatas[0] if len(metadatas) == 1 else metadatas,
        "render_item": render_item,
        "compare_type": compare_type,
        "compare_server_default": compare_server_default,
        "process_revision_directives": process_revision_directives,
        "include_name": ownership.include_name,
        "include_object": ownership.include_object,
        "include_schemas": any(schema is not None for schema in ownership.schemas),
        "render_as_batch": True,
        ANSWERS: answers or Answers(),
        OWNERSHIP: ownership,
    }


def process_revision_directives(
    context: MigrationContext,
    revision: str | Iterable[str | None] | Iterable[str],
    directives: list[ops.MigrationScript],
) -> None:
    """Make what Alembic found complete: what it does not compare, does not write, or would do with a loss.

    For `context.configure(process_revision_directives=…)`. Raises `orm.NotSupportedError` for an index or constraint
    that the database does not have, and Alembic's `CommandError` where a value would have to be invented or lost.
    """
    metadatas = _metadatas(context.opts.get("target_metadata"))
    if not metadatas or context.connection is None:
        return
    for script in directives:
        for upgrade, downgrade in zip(script.upgrade_ops_list, script.downgrade_ops_list, strict=True):
            difference = _difference(context, metadatas, upgrade)
            operations = difference.operations()
            reversed_ = [operation.reverse() for operation in reversed(operations)]
            upgrade.ops = that_run(operations)
            if context.opts.get(SAFE):
                upgrade.ops = safe_sequence(difference, upgrade.ops)
            downgrade.ops = that_run(reversed_)


def _metadatas(target: Any) -> list[sqlalchemy.MetaData]:
    targets: Sequence[Any] = target if isinstance(target, Sequence) else [target]
    return [metadata for metadata in targets if isinstance(metadata, sqlalchemy.MetaData)]


def _difference(context: MigrationContext, metadatas: list[sqlalchemy.MetaData], upgrade: ops.UpgradeOps) -> Difference:
    environment = context.environment_context
    ownership = context.opts.get(OWNERSHIP) or Ownership(metadatas)
    if ownership.script is None and environment is not None:
        ownership.script = environment.script
    assert context.connection is not None
    difference = Difference(context, context.connection, metadatas, ownership, context.opts.get(ANSWERS) or Answers())
    check_models(difference)
    difference.take(upgrade.ops)
    tables.keep_own(difference)
    tables.rename_tables(difference)
    tables.move_tables(difference)
    remove_hidden_columns(difference)
    complete_new_tables(difference)
    for table in difference.managed_tables():
        _compare(difference, table)
    tables.make_schemas(difference)
    sequences.compare_sequences(difference)
    tables.defer_keys(difference)
    tables.compare_views(difference)
    return difference


def _compare(difference: Difference, table: sqlalchemy.Table) -> None:
    """Compare a table that the database has with that of its model."""
    key = (table.schema, table.name)
    old = difference.renamed.get(key, key)
    if key in difference.created or not difference.inspector.has_table(old[1], old[0]):
        return
    existing = sqlalchemy.Table(old[1], sqlalchemy.MetaData(), schema=old[0])
    server, connection = difference.server, difference.connection
    try:
        was, is_ = server.definitions(connection, existing), server.model_definitions(connection, table)
    except sqlalchemy.exc.DBAPIError as error:
        # The right to make temporary tables is missing, or a type that the migration is to make.
        logger.warning("%s is compared by names only, as no table like it can be made: %s", table.name, error.orig)
        was, is_ = OTHER.definitions(connection, existing), OTHER.model_definitions(connection, table)
    if old != key:
        for forth, back in server.after_rename(connection, existing, table):
            difference.statement(forth, back, key, RENAMES)
    columns.rename_columns(difference, table)
    compare_items(difference, table, was, is_)
    columns.change_generated(difference, table, was, is_)
    type_changes.change_types(difference, table, was, is_)
    columns.require_columns(difference, table)
    columns.restore_required(difference, table)
    stored_values.follow_references(difference, table)
    if old == key:
        stored_values.compare_members(difference, table)
