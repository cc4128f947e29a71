"""SQL as the text of a statement, as revisions have it."""

from __future__ import annotations

import re

import sqlalchemy
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex

from orm.database.sql.ddl import NEW_TABLE

#: What SQLAlchemy would read as a parameter in the text of a statement.
PARAMETER = re.compile(r"(?<![:\\\w]):(?=\w)")


def create_sql(item: sqlalchemy.Index, dialect: Dialect, *, is_new: bool = False) -> str:
    """CREATE INDEX, as `create_all()` makes it, as the text of a SQLAlchemy statement."""
    options = {NEW_TABLE: True} if is_new else {}
    return as_text(str(CreateIndex(item).compile(dialect=dialect, compile_kwargs=options)), dialect)


def as_text(sql: str, dialect: Dialect | None = None) -> str:
    """SQL as the text of a statement: with escaped colons; compiled for a dialect, without doubled percent signs."""
    if dialect is not None and getattr(dialect.identifier_preparer, "_double_percents", False):
        sql = sql.replace("%%", "%")
    return PARAMETER.sub(r"\\:", sql).strip()
