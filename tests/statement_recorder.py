"""Counts the statements that reach the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orm.database.connections.database import Database
from orm.database.query_log.events import QueryEvent


class Statements(list[QueryEvent]):
    """The statements that were sent, in their order."""

    @property
    def texts(self) -> list[str]:
        """Their SQL."""
        return [event.sql for event in self]


@contextmanager
def recorded(database: Database) -> Iterator[Statements]:
    """The statements that are sent while the block runs."""
    statements = Statements()
    database.add_hook(statements.append)
    try:
        yield statements
    finally:
        database.remove_hook(statements.append)
