"""Server defaults in migrations, compared by their values and not by the SQL that a database reports."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy
from alembic.runtime.migration import MigrationContext

from orm.database.sql.sequences import sequences_in_default
from orm.migrations.servers.registry import server_of

# A string, with a cast on PostgreSQL. Quotes in it are doubled or, on MySQL, escaped.
STRING = re.compile(r"'((?:''|\\'|[^'])*)'(?:::[\w .\[\]()\"]+)?", re.DOTALL)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
CURRENT_TIME = re.compile(r"(?:now|current_timestamp|localtimestamp|localtime)(?:\(\d?\))?")
#: The name of a sequence without its schema, as PostgreSQL and as MariaDB write it.
NEXT_VALUE = re.compile(
    r"""nextval\((?:'(?:(?:\w+|"(?:[^"]|"")+")\.)?"?((?:[^."']|""|'')+)"?'::regclass|(?:`(?:[^`]|``)+`\.)?`((?:[^`]|``)+)`)\)"""
)
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
    databases' names for the current time and for booleans are equal. Of a default with sequences, their names are
    compared. Generated columns always count as equal: write the migration that changes one by hand. Returns None, so
    that Alembic compares, if this does not decide.
    """
    if isinstance(metadata_default, sqlalchemy.Computed):
        return False  # the databases write the expression in their own ways, and cannot change it in place
    sequences = [str(sequence.name) for sequence in sequences_in_default(metadata_default)]
    if sequences:  # Alembic would ask the server, and so take a number
        if inspected_default is None and context.connection is not None:
            inspected_default = server_of(context.dialect).default_text(context.connection, metadata_column)
        return sequences != sequence_names(inspected_default or "")
    if inspected_default is None or rendered_metadata_default is None:
        return None
    argument = getattr(metadata_default, "arg", None)
    inspected = _normalized(inspected_default)
    if isinstance(argument, str):
        # Alembic would insert the text into SQL unquoted.
        return inspected not in (argument, _normalized(argument))
    rendered = rendered_metadata_default
    if getattr(context.dialect.identifier_preparer, "_double_percents", False):
        rendered = rendered.replace("%%", "%")
    return False if inspected == _normalized(rendered) else None


def sequence_names(sql: str) -> list[str]:
    """The names of the sequences whose next values a default has, as the database reports it."""
    names = []
    for of_postgresql, of_mariadb in NEXT_VALUE.findall(sql):
        names.append(of_mariadb.replace("``", "`") or of_postgresql.replace("''", "'").replace('""', '"'))
    return names


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
