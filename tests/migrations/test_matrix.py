"""Each change of the models, on a database with old rows.

It is seen, applied, and leaves the tables that `create_all()` makes, with the rows; the second autogenerate finds
nothing, and the downgrade restores what was there. What cannot be right without a person is refused, with nothing
changed.
"""

from __future__ import annotations

import pytest
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from orm.migrations import connect
from tests.migrations.matrix.changes import CHANGES
from tests.migrations.matrix.run import clean, kind_of, run


async def run_changes(connection: AsyncConnection, tens: str) -> dict[str, list[str]]:
    """Run the changes whose number begins with a digit. Returns what is not right, by change."""
    if connection.dialect.name == "sqlite":
        raw = (await connection.get_raw_connection()).driver_connection
        raw.isolation_level = None
        event.listen(connection.sync_connection, "begin", _begin)
    wrong = {}
    for change in CHANGES:
        if change.name.startswith(tens) and kind_of(connection.sync_connection) in change.only:
            await connection.run_sync(clean)
            wrong[change.name] = await connection.run_sync(run, change)
    assert wrong
    return {name: found for name, found in wrong.items() if found}


def _begin(connection: sqlalchemy.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@pytest.mark.filterwarnings("ignore:Cannot correctly sort tables")  # the matrix calls Alembic, not our environment
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")  # SQLAlchemy's; they are compared by their text
@pytest.mark.parametrize("tens", "0123456789")
async def test_changes_are_right(database_url: str, tens: str) -> None:
    async with connect(database_url) as connection:
        assert await run_changes(connection, tens) == {}
