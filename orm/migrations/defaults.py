"""Server defaults in migrations, compared by their values and not by the SQL that a database reports."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy
from alembic.runtime.migration import MigrationContext

# A string, with a cast on PostgreSQL. Quotes in it are doubled or, on MySQL, escaped.
STRING = re.compile(r"'((?:''|\\'|[^'])*)'(?:::[\w .\[\]()\"]+)?", re.DOTALL)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
CURRENT_TIME = re.compile(r"(?:now|current_timestamp|localtimestamp|localtime)(?:\(\d?\))?")
BOOLEANS = {"true": "1", "false": "0"}


def compare_server_default(
    context: MigrationContext,
    inspected_column: sqlalchemy.Column[Any],
    metadata_column: sqlalchemy.Column[Any],
    inspected_default: str | None,
    metadata_default: object,
    rendered_metadata_default: str | None,
) -> bool | None:
    """Whether the server default of a column differs from that of the model's field.

    For `context.configure(compare_server_default=…)`. Values are compared without their quotes and casts, and the
    databases' names for the current time and for booleans are equal. Returns None, so that Alembic compares, if this
    does not decide.
    """
    if inspected_default is None or rendered_metadata_default is None:
        return None
    argument = getattr(metadata_default, "arg", None)
    inspected = _normalized(inspected_default)
    if isinstance(argument, str):
        # Alembic would insert the text into SQL unquoted.
        return inspected not in (argument, _normalized(argument))
    return False if inspected == _normalized(rendered_metadata_default) else None


def _normalized(sql: str) -> str:
    """The text of a string or number; other SQL in lower case, with one name for each constant."""
    sql = sql.strip()
    while sql.startswith("(") and sql.endswith(")"):
        sql = sql[1:-1].strip()
    if string := STRING.fullmatch(sql):
        return string[1].replace("''", "'").replace("\\'", "'")
    if NUMBER.fullmatch(sql):
        return sql
    lowered = sql.lower()
    return "current_timestamp" if CURRENT_TIME.fullmatch(lowered) else BOOLEANS.get(lowered, lowered)
