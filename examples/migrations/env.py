"""What `alembic` runs: compares `models.metadata` with the database, and brings the database up to date.

An application of your own needs its own `models` in the import below, and nothing else.
"""

from __future__ import annotations

import asyncio

import sqlalchemy
from alembic import context

from examples.notes.models import models
from orm.migrations import (
    async_url,
    compare_server_default,
    compare_type,
    connect,
    process_revision_directives,
    render_item,
)


def run(connection: sqlalchemy.Connection | None = None) -> None:
    """Run the migrations on the connection; without one (`alembic upgrade --sql`), print their SQL."""
    context.configure(
        connection=connection,
        url=async_url(models.database.url),
        literal_binds=connection is None,
        target_metadata=models.metadata,
        render_item=render_item,
        compare_type=compare_type,
        compare_server_default=compare_server_default,
        process_revision_directives=process_revision_directives,
        render_as_batch=True,  # SQLite changes a column by copying the table
    )
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    """Run the migrations on the application's database."""
    async with connect(models.database.url) as connection:
        await connection.run_sync(run)


if context.is_offline_mode():
    run()
else:
    asyncio.run(main())
