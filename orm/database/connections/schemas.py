"""Schemas of one database: `schema()`, and databases that are one schema of another, on the same pool.

The tables of a schema are named in full (``"tenant_1".note``), by a dialect for each schema (`Dialect.in_schema`),
which is a part of every key of the plan cache. Connections, transactions and the log are those of the database.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

import databases

from orm.database.connections.database import Database
from orm.database.connections.database_state import DatabaseState, base_of
from orm.exceptions import QueryError

D = TypeVar("D", bound=databases.Database)

in_use = False
"""Whether `schema()` was ever called. As long as it was not, no query asks for the schema of its context."""
_current: ContextVar[str | None] = ContextVar("orm.schema", default=None)


class OneSchema:
    """A database whose tables are those of one schema. All else is the database's own."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("__class__", "__dict__"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "__dict__")["_base"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "__dict__")["_base"], name, value)

    def __repr__(self) -> str:
        state: DatabaseState = self.__dict__["_orm_state"]
        return f"<schema {state.schema!r} of {state.base!r}>"


class SchemaOfDatabase(OneSchema, Database):
    """One schema of an `orm.Database`."""


class SchemaOfPlainDatabase(OneSchema, databases.Database):
    """One schema of a plain `databases.Database`."""


def in_schema(database: D, name: str) -> D:
    """The database whose tables are those of a schema. Raises `QueryError` for what cannot be the name of one."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise QueryError(f"The name of a schema is a text that is not empty and has no NUL character, not {name!r}.")
    base = base_of(database)
    of_base: dict[str, Any] = base.__dict__.setdefault("_orm_schemas", {})
    if name not in of_base:
        kind: type[OneSchema] = SchemaOfDatabase if isinstance(base, Database) else SchemaOfPlainDatabase
        view = object.__new__(kind)
        view.__dict__.update(_base=base, _orm_state=DatabaseState(base, schema=name))
        of_base[name] = view
    one_schema: D = of_base[name]
    return one_schema


@contextlib.contextmanager
def schema(name: str | None) -> Iterator[None]:
    """In this block, and in the tasks that are started in it, tables are those of a schema (a database of MySQL).

        with orm.schema("tenant_1"):
            note = await Note.objects.get(id=1)
        await note.save()  # in tenant_1 as well

    It concerns queries and new rows that name no schema themselves. Instances stay in the schema that they come from.
    Models with a `schema` in their class Meta stay in that one. With None, tables are where they are without a block.

    A query belongs to the block in which it is awaited. Raises `QueryError` for what cannot be the name of a schema;
    queries on SQLite raise `NotSupportedError`.
    """
    global in_use
    if name is not None and (not isinstance(name, str) or not name or "\0" in name):
        raise QueryError(f"The name of a schema is a text that is not empty and has no NUL character, not {name!r}.")
    in_use = True
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)


def current_schema() -> str | None:
    """The schema that the context names."""
    return _current.get()


def of_context(database: D) -> D:
    """The database, or the schema of it that the context names."""
    name = _current.get()
    return database if name is None or is_schema(database) else in_schema(database, name)


def is_schema(database: databases.Database) -> bool:
    """Whether the database is one schema of another."""
    return isinstance(database, OneSchema)
