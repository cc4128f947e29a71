"""For Alembic's `env.py`: migrations that read as plain SQLAlchemy, and an engine for the application's database.

Alembic stays the migration engine. What it needs of the ORM is `models.metadata` and the three functions here:

    def run(connection):
        context.configure(
            connection=connection,
            target_metadata=models.metadata,
            render_item=render_item,
            compare_type=compare_type,
            compare_server_default=True,
            render_as_batch=True,
        )
        with context.begin_transaction():
            context.run_migrations()

    engine = create_async_engine(async_url("postgresql://postgres@localhost/shop"))

Needs the extra: ``pip install 'orm[migrations]'``.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any, Literal

import sqlalchemy
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.types import TypeEngine

from orm.database.types import Stored
from orm.exceptions import NotSupportedError

__all__ = ["async_url", "compare_type", "render_item"]

# The asyncio drivers of SQLAlchemy's engines, by the first part of a URL's scheme.
DRIVERS = {
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy" if find_spec("asyncmy") else "mysql+aiomysql",
    "mariadb": "mysql+asyncmy" if find_spec("asyncmy") else "mysql+aiomysql",
    "sqlite": "sqlite+aiosqlite",
}


def async_url(url: str | object) -> URL:
    """The URL for `sqlalchemy.ext.asyncio.create_async_engine` of a database that `orm.Database` knows by `url`.

    A driver that the URL names is kept. Takes text or a `databases.DatabaseURL` (`database.url`).
    Raises `orm.NotSupportedError` for another kind of database.

    >>> async_url("postgresql://postgres@localhost/shop").drivername
    'postgresql+asyncpg'
    """
    parsed = sqlalchemy.make_url(str(url))
    kind, _, driver = parsed.drivername.partition("+")
    if kind not in DRIVERS:
        raise NotSupportedError(f"{parsed.drivername}:// is not a database the ORM knows: use {', '.join(DRIVERS)}")
    known = DRIVERS[kind]
    return parsed.set(drivername=f"{known.partition('+')[0]}+{driver}" if driver else known)


def render_item(type_: str, item: object, context: AutogenContext) -> str | Literal[False]:
    """A column type as migrations show it: the plain SQLAlchemy type it is stored as on the database at hand.

    For `context.configure(render_item=…)`. `sa.String(length=100)` for an `orm.String`, on PostgreSQL
    `postgresql.JSONB(…)` for an `orm.JSON`. Migrations do not import the ORM, so they stay what they are when it
    changes. Whatever is not the ORM's is left to Alembic.
    """
    if type_ != "type" or not isinstance(item, TypeEngine) or not _is_ours(item):
        return False
    assert context.dialect is not None
    plain = plain_type(item, context.dialect)
    rendered = context.migration_context.impl.render_type(plain, context)
    if rendered:
        return rendered
    base = _sqlalchemy_class(plain)
    # The class of a storage type may be a private one, which adds nothing that DDL shows.
    source = repr(plain).replace(type(plain).__name__, base.__name__, 1)
    dialect = re.match(r"sqlalchemy\.dialects\.(\w+)", base.__module__)
    if dialect is None:
        return f"{context.opts['sqlalchemy_module_prefix'] or ''}{source}"
    context.imports.add(f"from sqlalchemy.dialects import {dialect[1]}")
    return f"{dialect[1]}.{source}"


def compare_type(
    context: MigrationContext,
    inspected_column: sqlalchemy.Column[Any],
    metadata_column: sqlalchemy.Column[Any],
    inspected_type: TypeEngine[Any],
    metadata_type: TypeEngine[Any],
) -> bool | None:
    """Whether a column of the database has another type than the model's field: what Alembic asks.

    For `context.configure(compare_type=…)`. Returns None, which leaves the answer to Alembic, for types that are not
    the ORM's.
    """
    if not _is_ours(metadata_type):
        return None
    plain = plain_type(metadata_type, context.dialect)
    return context.impl.compare_type(inspected_column, sqlalchemy.Column(metadata_column.name, plain))


def plain_type(column_type: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """The SQLAlchemy type that a column type of the ORM is stored as on the dialect's database."""
    return column_type.storage(dialect).sql_type if isinstance(column_type, Stored) else column_type


def _is_ours(column_type: TypeEngine[Any]) -> bool:
    return type(column_type).__module__.startswith("orm.")


def _sqlalchemy_class(column_type: TypeEngine[Any]) -> type:
    return next(cls for cls in type(column_type).__mro__ if cls.__module__.startswith("sqlalchemy."))
