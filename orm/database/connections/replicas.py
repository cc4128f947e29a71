"""Replicas: where single reads run, and which replicas are current enough for them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import databases

from orm.database.connections.server_dialect import dialect_of
from orm.exceptions import (
    ConnectionLost,
    NotSupportedError,
    OperationalError,
    QueryError,
    QueryTimeout,
    ReadOnlyServer,
    SerializationFailure,
)

if TYPE_CHECKING:
    from orm.database.connections.database import Database

ResultT = TypeVar("ResultT")

CONSISTENCIES = ("session", "eventual", "primary")
# Whether a query only reads, by its text: no lock, no write in a CTE, no known function that writes or reads the state
# of the server. If another function writes, the query fails on the replica, and then runs on the primary.
READ = re.compile(r"[\s(]*(?:SELECT|WITH|VALUES)\b", re.IGNORECASE)
NOT_A_READ = re.compile(
    r"\bFOR\s+(?:NO\s+KEY\s+|KEY\s+)?(?:UPDATE|SHARE)\b|\bLOCK\s+IN\s+SHARE\b|\bINTO\b|\b(?:INSERT|UPDATE|DELETE|MERGE)\b"
    r"|\b(?:nextval|setval|lastval|currval|set_config|current_setting|pg_\w+|txid_\w+|inet_server_\w+)\s*\("
    r"|\b(?:get_lock|release_\w*locks?|is_\w+_lock|last_insert_id|found_rows|connection_id)\s*\(|@@?\w",
    re.IGNORECASE,
)
MAX_WAIT_SECONDS = 0.1
"""How long a read waits for a replica to show what was written before."""
BACKOFF_SECONDS = 0.25, 8.0
"""How long a replica that failed is not used: at first, and at most."""


@functools.lru_cache(maxsize=1024)
def is_read(sql: str) -> bool:
    """Whether a statement may run on a replica."""
    return READ.match(sql) is not None and NOT_A_READ.search(sql) is None


def routing_database(database: databases.Database) -> databases.Database:
    """The database to which instances read from this one belong: for a replica, the database that has the replica."""
    return getattr(database, "routed_by", None) or database


class Position:
    """What the reads of a context must see.

    `token` names a position in the primary's log, in its own notation; `is_foreign` means that it came from outside of
    the program, and may be invented. `writes` counts the writes, and `writes_in_token` those before the primary was
    asked for the token.
    """

    __slots__ = ("is_foreign", "only_primary", "token", "writes", "writes_in_token")

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.is_foreign = token is not None
        self.writes = self.writes_in_token = 0
        self.only_primary = False


class Pin:
    """The server of all statements of a block, kept in the block's context; None when the block has ended.

    A task that is started in the block and outlives it still has the pin in its context.
    """

    __slots__ = ("database",)

    def __init__(self, database: Database) -> None:
        self.database: Database | None = database


class Replica:
    """One replica: its database, and when it may be asked again after a failure."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.down_until = 0.0
        self._backoff = BACKOFF_SECONDS[0]
        self._reached: str | None = None

    def failed(self) -> None:
        """Do not use the replica for a while, longer each time."""
        self.down_until = time.monotonic() + self._backoff
        self._backoff = min(self._backoff * 2, BACKOFF_SECONDS[1])

    def answered(self) -> None:
        """Note that the replica works."""
        self._backoff = BACKOFF_SECONDS[0]

    async def wait_for(self, token: str, seconds: float) -> bool:
        """Whether it has replayed the log up to `token`, waiting for at most `seconds`; False for an invalid token."""
        if self._reached == token:
            return True
        dialect = await dialect_of(self.database)
        if dialect.position_query is None:
            raise NotSupportedError(f"{dialect.name} has no positions in a log: use consistency='eventual'")
        if dialect.position_pattern.fullmatch(token) is None:
            return False
        end, pause = time.monotonic() + seconds, 0.001
        while True:
            rows = await self._fetch(*dialect.position_reached(token, seconds))
            if rows[0][0]:
                self._reached = token
                return True
            if time.monotonic() >= end:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.02)

    async def lag(self) -> float:
        """By how many seconds its data are older than the primary's; infinity while it does not replicate."""
        dialect = await dialect_of(self.database)
        if dialect.lag_query is None:
            raise NotSupportedError(f"max_lag is not available: {dialect.name} does not tell how late a replica is")
        await self.database.connect()
        backend = self.database._backend
        lag = dialect.replica_lag(*await backend.run_autocommit(backend.driver.fetch_named, dialect.lag_query, ()))
        return math.inf if lag is None else lag

    async def _fetch(self, sql: str, args: Sequence[Any]) -> Sequence[Sequence[Any]]:
        await self.database.connect()
        backend = self.database._backend
        return await backend.fetch(sql, args)


class Replicas:
    """The replicas of one database, and the rules by which reads go to them."""

    def __init__(
        self,
        primary: Database,
        databases: Sequence[Database],
        *,
        consistency: str = "session",
        max_lag: float | None = None,
        fallback: bool = True,
    ) -> None:
        if consistency not in CONSISTENCIES:
            raise QueryError(f"consistency is one of {', '.join(CONSISTENCIES)}, not {consistency!r}")
        self._primary = primary
        self.members = [Replica(database) for database in databases]
        self.consistency = consistency
        self._max_lag = max_lag
        self._fallback = fallback
        self._next = 0
        # Outside of session_position() all tasks share a position: each read sees all writes of the process.
        self._shared = Position()
        self._position: ContextVar[Position] = ContextVar("orm.position", default=self._shared)
        self._pin: ContextVar[Pin | None] = ContextVar("orm.pinned_replica", default=None)

    @property
    def position(self) -> Position:
        """The position of the current context."""
        return self._position.get()

    @property
    def pinned(self) -> Database | None:
        """The server of all statements of a `database.replica()` block; None outside of one."""
        pin = self._pin.get()
        return None if pin is None else pin.database

    def wrote(self) -> None:
        """Note that the current context may have written to the primary."""
        for position in {self.position, self._shared}:
            position.writes += 1

    def take(self, sql: str, consistency: str | None = None) -> bool:
        """Whether a statement outside of transactions runs on a replica. `consistency` overrides the database's."""
        return (consistency or self.consistency) != "primary" and not self.position.only_primary and is_read(sql)

    async def route(
        self, sql: str, run: Callable[[Database], Awaitable[ResultT]], consistency: str | None = None
    ) -> ResultT:
        """Run a statement on the server of its block or transaction, on a replica or on the primary."""
        pinned = self.pinned
        if pinned is not None:
            return await run(pinned)
        if self._primary.has_connection():
            return await run(self._primary)
        if self.take(sql, consistency):
            return await self.read(run, consistency)
        try:
            return await run(self._primary)
        finally:
            if not is_read(sql):
                self.wrote()

    def route_stream(
        self, sql: str, items: Callable[[Database], AsyncGenerator[ResultT, None]], consistency: str | None = None
    ) -> AsyncGenerator[ResultT, None]:
        """As `route`, for what a generator yields. Its errors after the first item are raised."""
        pinned = self.pinned
        if pinned is not None or self._primary.has_connection() or not self.take(sql, consistency):
            return items(pinned or self._primary)
        return self._stream(items, consistency)

    async def read(self, run: Callable[[Database], Awaitable[ResultT]], consistency: str | None = None) -> ResultT:
        """Call `run` with a replica that has replayed what the context wrote; with the primary if there is none.

        With a `consistency` of ``eventual`` the replica may be behind. If the replica causes an error of `run`, it is
        called again with the next server.
        """
        failure: BaseException | None = None
        writes = False
        candidates, token = self._candidates(), None
        if candidates and (consistency or self.consistency) != "eventual":
            try:
                token = await self.position_token()
            except (ConnectionLost, OperationalError, OSError) as error:
                # The position of the context's last write is not known, so no replica is known to have it.
                failure, candidates = error, []
        for replica in candidates:
            try:
                if not await self._is_current(replica, token):
                    if not self.position.is_foreign:
                        replica.failed()
                    continue
                result = await run(replica.database)
            except (SerializationFailure, QueryTimeout, ReadOnlyServer) as error:
                failure = error  # the replay of the log conflicted with the query, or the query writes
                writes = writes or isinstance(error, ReadOnlyServer)
                continue
            except (ConnectionLost, OperationalError, OSError) as error:
                failure = error
                replica.failed()
                continue
            replica.answered()
            return result
        if not self._fallback:
            raise failure or OperationalError("no replica can be reached and is current, and fallback is off")
        try:
            return await run(self._primary)
        finally:
            if writes:
                self.wrote()

    async def _stream(
        self, items: Callable[[Database], AsyncGenerator[ResultT, None]], consistency: str | None
    ) -> AsyncGenerator[ResultT, None]:
        async def begin(database: Database) -> tuple[AsyncGenerator[ResultT, None], list[ResultT]]:
            generator = items(database)
            try:
                return generator, [await anext(generator)]
            except StopAsyncIteration:
                return generator, []

        generator, first = await self.read(begin, consistency)
        async with contextlib.aclosing(generator):
            for item in first:
                yield item
            async for item in generator:
                yield item

    async def position_token(self) -> str | None:
        """The token of the current context's position: the primary is asked if there was a write."""
        position = self.position
        writes = position.writes  # before asking: what is written meanwhile counts for the next reader
        if position.writes_in_token < writes:
            dialect = await dialect_of(self._primary)
            if dialect.position_query is None:
                raise NotSupportedError(f"{dialect.name} has no positions in a log: use consistency='eventual'")
            ((token,),) = await self._primary._backend.fetch(dialect.position_query, ())
            if position.writes_in_token < writes:  # another task may have asked later, and have its answer
                position.token, position.is_foreign, position.writes_in_token = str(token), False, writes
        return position.token

    @contextlib.asynccontextmanager
    async def session_position(self, token: str | None) -> AsyncIterator[Position]:
        """A new context, whose reads see what was written up to `token` and what the context writes."""
        position = Position(token or None)
        reset = self._position.set(position)
        try:
            yield position
        finally:
            self._position.reset(reset)

    @contextlib.contextmanager
    def only_primary(self) -> Iterator[None]:
        """All reads of the block run on the primary."""
        outer, position = self.position, Position(self.position.token)
        position.is_foreign, position.only_primary = outer.is_foreign, True
        position.writes, position.writes_in_token = outer.writes, outer.writes_in_token
        before = position.writes
        reset = self._position.set(position)
        try:
            yield
        finally:
            self._position.reset(reset)
            outer.writes += position.writes - before

    @contextlib.asynccontextmanager
    async def one_replica(self) -> AsyncIterator[Database]:
        """All statements of the block run on one replica; on the primary if none is current."""
        chosen = await self.read(_answering)
        pin = Pin(chosen)
        reset = self._pin.set(pin)
        try:
            yield chosen
        finally:
            self._pin.reset(reset)
            pin.database = None

    async def disconnect(self) -> None:
        """Close the connections of all replicas."""
        for replica in self.members:
            await replica.database.disconnect()

    def _candidates(self) -> list[Replica]:
        """The replicas that may be used now; each call begins with another one."""
        now, count = time.monotonic(), len(self.members)
        self._next += 1
        in_turn = (self.members[(self._next + number) % count] for number in range(count))
        return [replica for replica in in_turn if replica.down_until <= now]

    async def _is_current(self, replica: Replica, token: str | None) -> bool:
        if token is not None and not await replica.wait_for(token, MAX_WAIT_SECONDS):
            return False
        return self._max_lag is None or await replica.lag() <= self._max_lag


async def _answering(database: Database) -> Database:
    """The database, once its server has answered."""
    await database.connect()
    await database._backend.fetch("SELECT 1", ())
    return database
