"""What `alembic` runs: compares `models.metadata` with the database, and brings the database up to date.

An application of your own needs its own `models` in the import below, and nothing else.
"""

from __future__ import annotations

import asyncio

import sqlalchemy
from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine

from examples.notes.models import models
from orm.migrations import async_url, compare_server_default, compare_type, render_item

url = async_url(models.database.url)


def run(connection: sqlalchemy.Connection | None = None) -> None:
    """Run the migrations on the connection; without one (`alembic upgrade --sql`), print their SQL."""
    context.configure(
        connection=connection,
        url=url,
        literal_binds=connection is None,
        target_metadata=models.metadata,
        render_item=render_item,
        compare_type=compare_type,
        compare_server_default=compare_server_default,
        render_as_batch=True,  # SQLite changes a column by copying the table
    )
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    """Run the migrations on the application's database."""
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    run()
else:
    asyncio.run(main())
