"""Server defaults in migrations, compared by what they say and not by how a database writes them down."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy
from alembic.runtime.migration import MigrationContext

# A string, perhaps with PostgreSQL's cast behind it. Quotes in it are doubled or, on MySQL, escaped.
STRING = re.compile(r"'((?:''|\\'|[^'])*)'(?:::[\w .\[\]()\"]+)?", re.DOTALL)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
PRESENT = re.compile(r"(?:now|current_timestamp|localtimestamp|localtime)(?:\(\d?\))?")
BOOLEANS = {"true": "1", "false": "0"}


def compare_server_default(
    context: MigrationContext,
    inspected_column: sqlalchemy.Column[Any],
    metadata_column: sqlalchemy.Column[Any],
    inspected_default: str | None,
    metadata_default: object,
    rendered_metadata_default: str | None,
) -> bool | None:
    """Whether a column of the database has another server default than the model's field.

    For `context.configure(compare_server_default=…)`. Values are compared as values, whatever their quotes and casts,
    and the names that databases have for the present and for truth as the same. Returns None, which leaves the answer
    to Alembic, where that does not tell.
    """
    if inspected_default is None or rendered_metadata_default is None:
        return None
    given = getattr(metadata_default, "arg", None)
    inspected = _meaning(inspected_default)
    if isinstance(given, str):
        # Alembic would put the text into SQL as it is, quotes and all.
        return inspected not in (given, _meaning(given))
    return False if inspected == _meaning(rendered_metadata_default) else None


def _meaning(sql: str) -> str:
    """A string's or number's own text; other SQL in one spelling."""
    sql = sql.strip()
    while sql.startswith("(") and sql.endswith(")"):
        sql = sql[1:-1].strip()
    if string := STRING.fullmatch(sql):
        return string[1].replace("''", "'").replace("\\'", "'")
    if NUMBER.fullmatch(sql):
        return sql
    lowered = sql.lower()
    return "current_timestamp" if PRESENT.fullmatch(lowered) else BOOLEANS.get(lowered, lowered)
