"""The connections of an application: they are there from its start to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import databases

from orm.registry import ModelRegistry


def lifespan(*connected: databases.Database, create_all: ModelRegistry | None = None) -> Callable[[Any], Any]:
    """The lifespan of an application that uses these databases: they connect at its start and disconnect at its end.

    >>> app = Starlette(lifespan=lifespan(database))

    With ``create_all=models``, the tables of that registry that do not exist are created at the start. An application
    with migrations leaves that to them.
    """

    @asynccontextmanager
    async def run(app: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for database in connected:
                await stack.enter_async_context(database)
            if create_all is not None:
                await create_all.create_all()
            yield

    return run
