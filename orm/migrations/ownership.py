"""Which tables, indexes and constraints of a database are the application's, and which are somebody else's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from orm.database.sql.ddl import hidden_columns, is_managed
from orm.migrations.states import owned_names, owned_sequences

NAME = re.compile(r"[^\W\d][\w$]*")


class Ownership:
    """What the models have, and what the revisions have made.

    A table that no model has is dropped only if a snapshot beside a revision has it: another application, an extension
    or a person made the others, also those that revisions make by SQL of their own. The same is true of views, indexes
    and constraints. Of revisions that are older than the first snapshot, all names count but those in such SQL.
    """

    def __init__(self, metadatas: Iterable[sqlalchemy.MetaData], script: ScriptDirectory | None = None) -> None:
        self.metadatas = list(metadatas)
        self.script = script
        #: More text that names what the application has made, such as a snapshot's.
        self.texts: list[str] = []

    @cached_property
    def names(self) -> frozenset[str]:
        """What the models of the snapshots declare, and every name in older revisions, in lower case."""
        texts, declared = list(self.texts), set[str]()
        if self.script is not None:
            files = {
                revision.revision: Path(revision.path).read_text(encoding="utf-8")
                for revision in self.script.walk_revisions()
            }
            declared, old = owned_names(self.script, files)
            texts += map(without_own_sql, old)
        return (
            frozenset(name.lower() for text in texts for name in NAME.findall(text))
            | frozenset(quoted.lower() for text in texts for quoted in re.findall(r"'([^'\n]+)'", text))
            | frozenset(name.lower() for name in declared)
        )

    @cached_property
    def sequences(self) -> frozenset[str]:
        """The sequences that the models of the snapshots have."""
        return frozenset() if self.script is None else frozenset(owned_sequences(self.script))

    def is_made(self, name: str | None) -> bool:
        """Whether a revision names it."""
        return name is not None and name.lower() in self.names

    def table(self, name: str, schema: str | None) -> sqlalchemy.Table | None:
        """The table of a model."""
        key = f"{schema}.{name}" if schema else name
        return next((metadata.tables[key] for metadata in self.metadatas if key in metadata.tables), None)

    @property
    def schemas(self) -> set[str | None]:
        """The schemas that the models name; None is the connection's own."""
        return {table.schema for metadata in self.metadatas for table in metadata.tables.values()}

    def include_name(self, name: str | None, type_: str, parent_names: Any) -> bool:
        """Whether Alembic is to look at it; for `context.configure(include_name=…)`."""
        if type_ == "schema":
            return name is None or name in self.schemas or self.is_made(name)
        if type_ == "table" and name is not None:
            table = self.table(name, parent_names.get("schema_name"))
            return self.is_made(name) if table is None else is_managed(table)
        return True

    def include_object(self, item: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
        """Whether Alembic is to compare it; for `context.configure(include_object=…)`."""
        if type_ == "table" and reflected and compare_to is None:
            return self.is_made(name)
        return True


def without_own_sql(text: str) -> str:
    """The text of a revision without the calls of `op.execute()`."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # it is reported when it is loaded
        return text
    lines = text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "execute":
            for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                lines[number - 1] = ""
    return "\n".join(lines)


def version_table(context: MigrationContext) -> tuple[str | None, str]:
    """The schema and the name of Alembic's own table."""
    return context.version_table_schema, context.version_table


def hidden(table: sqlalchemy.Table, dialect: Any) -> set[str]:
    """The generated columns behind indexes of expressions."""
    return hidden_columns(table, dialect)
