"""Dependencies: the database, and a transaction around a handler."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeVar

import fastapi

from orm.database.connections.database import Database
from orm.database.connections.transactions import Transaction
from orm.sessions.session import Session

T = TypeVar("T")

#: A model in the body: ``async def create(note: FromBody[Note])``. FastAPI takes a parameter of a class that is none of
#: Pydantic's for one of the query, unless it says where it is from.
FromBody = Annotated[T, fastapi.Body()]

#: From FastAPI 0.118 on, a dependency ends after the answer was sent unless it says otherwise; a transaction must be
#: committed before. (0.106 to 0.117 end it before, and have no such option.)
BEFORE_THE_ANSWER: dict[str, Any] = (
    {"scope": "function"} if "scope" in inspect.signature(fastapi.Depends).parameters else {}
)


def provide(database: Database) -> Any:
    """A dependency on a database, which tests can override: ``db: Annotated[orm.Database, provide(database)]``."""

    async def provided() -> Database:
        return database

    return fastapi.Depends(provided)


def in_transaction(database: Database, **options: Any) -> Any:
    """A dependency on a transaction: the handler runs in it, and it is committed before the answer is sent.

        @app.post("/transfers", dependencies=[in_transaction(database)])
        async def transfer(given: Transfer) -> None: ...

    An error that leaves the handler, an HTTPException among them, rolls it back. The value of the dependency is the
    transaction: ``transaction: Annotated[Any, in_transaction(database)]``. `options` are those of
    `Database.transaction()`.
    """

    async def transaction() -> AsyncIterator[Transaction]:
        async with database.transaction(**options) as started:
            yield started

    return fastapi.Depends(transaction, **BEFORE_THE_ANSWER)


def in_session(database: Database, **options: Any) -> Any:
    """A dependency on a session, which is committed before the answer is sent.

        @app.patch("/notes/{id}")
        async def update_note(id: int, text: str, session: Annotated[orm.Session, in_session(database)]) -> None:
            note = await session.get(Note, id)
            note.text = text

    An error that leaves the handler rolls it back. `options` are those of `Session`.
    """

    async def session() -> AsyncIterator[Session]:
        async with Session(database, **options) as started:
            yield started
            await started.commit()

    return fastapi.Depends(session, **BEFORE_THE_ANSWER)
