"""Comments in SQL that say which part of the application sent it, as sqlcommenter's format has them.

from orm.contrib.sqlcommenter import comment_statements, sql_tags

comment_statements(database)
with sql_tags(controller="notes", action="list"):
    notes = await Note.objects.all()  # SELECT … FROM note /*action='list',controller='notes'*/
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote

from orm.database.connections.database import Database
from orm.database.query_log.normalized_sql import is_transaction
from orm.exceptions import NotSupportedError, QueryError

__all__ = ["comment_statements", "sql_tags"]

CALLS = ("fetch", "fetch_objects", "fetch_named", "execute", "stream")

_tags: ContextVar[dict[str, str]] = ContextVar("orm.sql_tags", default={})  # noqa: B039  # it is never changed


@contextmanager
def sql_tags(**tags: str) -> Iterator[None]:
    """Tags of the statements of a block, and of the tasks that are started in it; those of a block around it stay.

    Tags of few different values, such as a route, let the server prepare a statement once. Each new comment is a new
    statement to it.
    """
    token = _tags.set({**_tags.get(), **tags})
    try:
        yield
    finally:
        _tags.reset(token)


def comment_statements(database: Database) -> None:
    """Add the tags of `sql_tags()` to the statements of a database, from now on.

    Names and values are percent-encoded. A statement with a comment of its own, and one that begins or ends a
    transaction, is sent as it is. Logs and trackers of the ORM show the SQL without the comment.

    Raises:
        NotSupportedError: The database has no server, whose log could show the comments: SQLite.
        QueryError: The database adds them already.
    """
    backend: Any = database._backend
    driver = backend.driver
    if backend.dialect.databases_need_no_server:
        raise NotSupportedError(f"{database.url.scheme} has no server whose log could show comments in SQL")
    if "fetch" in vars(driver):
        raise QueryError("this database comments its statements already")
    make_connection = backend.connection
    doubles_percent = backend.dialect.sqlalchemy.paramstyle in ("format", "pyformat")

    def commented(sql: str) -> str:
        tags = _tags.get()
        if not tags or "/*" in sql or "--" in sql or is_transaction(sql):
            return sql
        comment = comment_of(tags)
        return f"{sql} {comment.replace('%', '%%') if doubles_percent else comment}"

    def with_comment(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(raw: Any, sql: str, *more: Any, **options: Any) -> Any:
            return await method(raw, commented(sql), *more, **options)

        return call

    def connection() -> Any:
        result = make_connection()
        prepare = result._prepare

        def prepare_with_comment(query: Any) -> tuple[str, Sequence[Any]]:
            prepared: tuple[str, Sequence[Any]] = prepare(query)
            result._compiled = (commented(result._compiled[0]), *result._compiled[1:])
            return prepared

        result._prepare = prepare_with_comment
        return result

    for name in CALLS:
        setattr(driver, name, with_comment(getattr(driver, name)))
    backend.connection = connection


def comment_of(tags: dict[str, str]) -> str:
    """The comment: sorted, with names and values percent-encoded, so that no value can end it.

    >>> comment_of({"route": "/notes", "action": "list"})
    "/*action='list',route='%2Fnotes'*/"
    """
    encoded = sorted((quote(name, safe=""), quote(str(value), safe="")) for name, value in tags.items())
    pairs = ",".join(f"{name}='{value}'" for name, value in encoded)
    return f"/*{pairs}*/"
