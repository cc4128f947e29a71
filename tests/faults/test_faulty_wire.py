"""Every kind of operation through a wire that delays, cuts, stalls and corrupts what is sent.

Its error is one of the ORM's, or the timeout of the caller. Afterwards the pool is whole and works at once, the server
has no connection too many, and what was acknowledged is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

import orm
from orm.database.connections import pool
from tests import temporary_databases
from tests.database.connections.bank import OPERATIONS, POOL_SIZE, Bank, Server, models
from tests.faults.faulty_wire import Fault, Wire, faulty_wire
from tests.tls_servers import mariadb_with_tls, postgresql_with_tls

pytestmark = pytest.mark.anyio
FULL = os.environ.get("FAULTS") == "full"
SAMPLES = 2
MAX_PIECES = 200
TIMEOUT_SECONDS = 0.2
DELAYED_SECONDS = 10.0
CLEAN_SECONDS = 0.2
HANG_SECONDS = 10.0
WAYS = {
    "delayed": (Fault.DELAY, False),
    "cut before the server gets it": (Fault.CUT, True),
    "cut while the server gets it": (Fault.CUT_WITHIN, True),
    "cut before its answer": (Fault.CUT, False),
    "cut in its answer": (Fault.CUT_WITHIN, False),
    "stalled on the way": (Fault.STALL, True),
    "stalled on the way back": (Fault.STALL, False),
}


@contextlib.asynccontextmanager
async def wired_bank(url: str, options: str = "?connect_timeout=5") -> AsyncIterator[tuple[Wire, Bank]]:
    """A bank whose database is at the other end of a wire."""
    server = Server(url)
    try:
        async with contextlib.AsyncExitStack() as stack:
            wire, wired_url = await stack.enter_async_context(faulty_wire(url))
            database = await stack.enter_async_context(orm.Database(f"{wired_url}{options}", max_size=POOL_SIZE))
            models.database = database
            await models.drop_all()
            await models.create_all()
            bank = Bank(database, server)
            await bank.fill()
            yield wire, bank
    finally:
        server.close()


@pytest.fixture(autouse=True)
def short_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CLEAN_SECONDS", CLEAN_SECONDS)


@pytest.fixture(params=["postgresql_url", "mysql_url"])
async def wired(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Wire, Bank]]:
    async with wired_bank(request.getfixturevalue(request.param)) as wire_and_bank:
        yield wire_and_bank


@pytest.fixture(scope="module")
def postgresql_tls() -> Iterator[str]:
    with postgresql_with_tls() as server:
        yield server.url("postgresql", "127.0.0.1", user="postgres", database="postgres")


@pytest.fixture(scope="module")
def mysql_tls() -> Iterator[str]:
    with mariadb_with_tls() as server:
        url = server.url("mysql", "127.0.0.1", user="root", database="")
        with temporary_databases.connect(url) as admin:
            admin.create("wire")
        yield temporary_databases.with_database(url, "wire")


@pytest.fixture(
    params=[
        ("postgresql_tls", "?sslmode=require&connect_timeout=5"),
        ("mysql_tls", "?ssl_mode=required&connect_timeout=5"),
    ]
)
async def encrypted(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Wire, Bank]]:
    fixture, options = request.param
    async with wired_bank(request.getfixturevalue(fixture), options) as wire_and_bank:
        yield wire_and_bank


async def outcome_of(operation: Callable[[Bank], Awaitable[None]], bank: Bank, timeout: float) -> str:
    """What the caller of an operation gets, who waits for so many seconds."""
    task = asyncio.ensure_future(asyncio.wait_for(operation(bank), timeout))
    await asyncio.wait([task], timeout=timeout + HANG_SECONDS)
    if not task.done():
        return "it hangs"
    error = task.exception()
    if error is None:
        return "completed"
    if isinstance(error, (orm.Error, asyncio.TimeoutError, TimeoutError)):
        return type(error).__name__
    return repr(error)


def is_allowed(outcome: str, fault: Fault) -> bool:
    """Whether the caller may get this outcome."""
    if fault is Fault.DELAY:
        return outcome == "completed"
    return outcome in ("completed", "TimeoutError") or issubclass(getattr(orm, outcome, object), orm.Error)


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.__name__ for operation in OPERATIONS])
async def test_operation_on_a_faulty_wire_fails_in_an_orderly_way(
    wired: tuple[Wire, Bank], operation: Callable[[Bank], Awaitable[None]]
) -> None:
    wire, bank = wired
    complaints = []
    for way, (fault, to_server) in WAYS.items():
        complaints += await complaints_of(wire, bank, operation, way, fault, to_server)
    assert complaints == []
    assert await bank.lost() == set()
    assert await bank.halves() == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.__name__ for operation in OPERATIONS])
async def test_corrupted_answer_on_an_encrypted_connection_is_refused(
    encrypted: tuple[Wire, Bank], operation: Callable[[Bank], Awaitable[None]]
) -> None:
    # Without TLS nothing tells that bytes are not those that were sent: asyncpg can loop, and asyncmy crash.
    wire, bank = encrypted
    assert await complaints_of(wire, bank, operation, "corrupted answer", Fault.CORRUPT, to_server=False) == []
    assert await bank.lost() == set()
    assert await bank.halves() == []


async def complaints_of(
    wire: Wire, bank: Bank, operation: Callable[[Bank], Awaitable[None]], way: str, fault: Fault, to_server: bool
) -> list[str]:
    """Run the operation with a fault in its first piece, then in its second, and so on. What is wrong afterwards."""
    choose = random.Random(operation.__name__)
    outcomes: Counter[str] = Counter()
    complaints = []
    await operation(bank)
    for number in range(1, (MAX_PIECES if FULL else SAMPLES) + 1):
        wire.fail(fault, number, to_server=to_server, byte=choose.randrange(10_000))
        outcome = await outcome_of(operation, bank, DELAYED_SECONDS if fault is Fault.DELAY else TIMEOUT_SECONDS)
        wire.work()
        if wire.failed:
            outcomes[outcome] += 1
        if not is_allowed(outcome, fault):
            complaints.append(f"{way}, piece {number}: {outcome}")
        complaint = await bank.settled()
        if complaint is not None:
            complaints.append(f"{way}, piece {number}: {complaint}")
            break
        try:
            await asyncio.wait_for(bank.write(), HANG_SECONDS)
        except (orm.Error, asyncio.TimeoutError) as error:
            complaints.append(f"{way}, piece {number}: the next statement gets {error!r}")
        if not wire.failed or fault is Fault.DELAY:
            break
    print(f"{bank.database.url.dialect}, {operation.__name__}, {way}: {dict(outcomes)}")
    return complaints
