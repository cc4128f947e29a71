"""For Alembic's `env.py`: migrations that read as plain SQLAlchemy, and the URL of an engine that runs them.

Alembic stays the migration engine. What it needs of the ORM is `models.metadata` and what is here:

    context.configure(
        connection=connection,
        target_metadata=models.metadata,
        render_item=render_item,
        compare_type=compare_type,
        compare_server_default=compare_server_default,
        render_as_batch=True,
    )

`examples/migrations/env.py` is a whole one. Needs the extra: ``pip install 'orm[migrations]'``.
"""

from orm.migrations.defaults import compare_server_default
from orm.migrations.types import compare_type, render_item
from orm.migrations.urls import async_url

__all__ = ["async_url", "compare_server_default", "compare_type", "render_item"]
