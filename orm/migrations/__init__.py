"""Functions for Alembic's `env.py`: a connection to the application's database, and migrations in plain SQLAlchemy.

Alembic is the migration engine. From the ORM it takes `models.metadata` and these functions:

    context.configure(
        connection=connection,
        target_metadata=models.metadata,
        render_item=render_item,
        compare_type=compare_type,
        compare_server_default=compare_server_default,
        process_revision_directives=process_revision_directives,
        render_as_batch=True,
    )

`examples/migrations/env.py` is a complete example. Install the extra with ``pip install 'orm[migrations]'``.
"""

from orm.migrations.defaults import compare_server_default
from orm.migrations.directives import process_revision_directives
from orm.migrations.engine import async_url, connect
from orm.migrations.types import compare_type, render_item

__all__ = [
    "async_url",
    "compare_server_default",
    "compare_type",
    "connect",
    "process_revision_directives",
    "render_item",
]
