"""Money moves between accounts while tasks are cancelled, connections are ended and the server is killed once.

Afterwards the sum is exact, each transfer that was acknowledged is there once, and none by half.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from tests.faults.damage import check_undamaged
from tests.faults.killable_servers import SERVERS, KillableServer, killable_server

pytestmark = pytest.mark.anyio
FULL = os.environ.get("FAULTS") == "full"
TRANSFERS = 100_000 if FULL else 1_500
TASKS = 200 if FULL else 50
ACCOUNTS = 100
START = 1_000
CANCELLED = 0.05
ENDED = 0.02
ATTEMPTS = 200


@pytest.fixture(params=["sqlite", *SERVERS])
def server(request: pytest.FixtureRequest) -> Iterator[KillableServer | None]:
    if request.param == "sqlite":
        yield None
        return
    with killable_server(request.param) as killable:
        yield killable


def tables(database: Database) -> tuple[Any, Any]:
    models = orm.ModelRegistry(database=database)

    class Account(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        balance = orm.Integer()

    class Transfer(orm.Model):
        registry = models

        name = orm.String(max_length=20, primary_key=True)
        source = orm.Integer()
        target = orm.Integer()
        amount = orm.Integer()

    return Account, Transfer


class Bank:
    """Transfers under faults, and what their callers were told."""

    def __init__(self, database: Database, server: KillableServer | None) -> None:
        self.database = database
        self.server = server
        self.account, self.transfer = tables(database)
        self.random = random.Random(7)
        self.acknowledged: set[str] = set()
        self.cancelled: set[str] = set()
        self.errors: Counter[str] = Counter()
        self.ended = 0
        self.recovery: float | None = None
        self._numbers = iter(range(TRANSFERS))
        self._restarted_at: float | None = None

    async def open(self) -> None:
        await self.account.registry.create_all()
        await self.account.objects.bulk_create([{"id": key, "balance": START} for key in range(1, ACCOUNTS + 1)])

    async def run(self) -> None:
        """All transfers, with their faults."""
        faults = [asyncio.create_task(self._end_connections())] if self.server is not None else []
        try:
            await asyncio.gather(*[self._work() for _ in range(TASKS)])
        finally:
            for task in faults:
                task.cancel()
            await asyncio.gather(*faults, return_exceptions=True)

    async def read(self) -> tuple[list[Any], dict[int, int]]:
        """All transfers and balances. A connection that was ended while it was idle may be met once more."""
        for _ in range(ATTEMPTS):
            try:
                transfers = await self.transfer.objects.values_list("name", "source", "target", "amount")
                return transfers, dict(await self.account.objects.values_list("id", "balance"))
            except orm.ConnectionLost:
                continue
        raise AssertionError(f"no connection holds for two reads in {ATTEMPTS}")

    async def _work(self) -> None:
        for number in self._numbers:
            name = f"transfer {number}"
            if number == TRANSFERS // 2 and self.server is not None:
                await asyncio.to_thread(self.server.server.kill)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(self.server.server.start)
                self._restarted_at = time.monotonic()
            task = asyncio.create_task(self._until_it_is_there(name))
            if self.random.random() < CANCELLED:
                await asyncio.sleep(self.random.random() * 0.03)
                task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                self.cancelled.add(name)
                continue
            self.acknowledged.add(name)
            if self._restarted_at is not None and self.recovery is None:
                self.recovery = time.monotonic() - self._restarted_at

    async def _until_it_is_there(self, name: str) -> None:
        """One transfer, repeated after what can be repeated. Its key tells whether a try without answer was kept."""
        source, target = self.random.sample(range(1, ACCOUNTS + 1), 2)
        amount = self.random.randrange(1, 50)
        for attempt in range(ATTEMPTS):
            try:
                async with self.database.transaction():
                    for key, change in ((source, -amount), (target, amount)):
                        await self.account.objects.filter(id=key).update(balance=self.account.balance + change)
                    await self.transfer.objects.create(name=name, source=source, target=target, amount=amount)
                return
            except orm.UniqueViolation:
                return
            except orm.OperationalError as error:
                self.errors[type(error).__name__] += 1
                await asyncio.sleep(min(0.01 * 2**attempt, 0.2) * self.random.random())
        raise AssertionError(f"{name} failed {ATTEMPTS} times: {self.errors}")

    async def _end_connections(self) -> None:
        """End a share of the connections while the transfers run."""
        assert self.server is not None
        while True:
            await asyncio.sleep(0.05)
            while self.ended < len(self.acknowledged) * ENDED:
                self.ended += 1
                try:
                    connections = await asyncio.to_thread(self.server.connections)
                    if connections:
                        await asyncio.to_thread(self.server.end_connection, self.random.choice(connections)[0])
                except Exception:  # noqa: BLE001  # the server is down
                    await asyncio.sleep(0.1)


async def test_transfers_are_exact_under_cancellations_ended_connections_and_a_restart(
    server: KillableServer | None, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/bank.db" if server is None else server.url
    tasks_before = len(asyncio.all_tasks())
    async with Database(url, max_size=10) as database:
        bank = Bank(database, server)
        await bank.open()
        started = time.monotonic()
        await bank.run()
        seconds = time.monotonic() - started
        print(
            f"{'sqlite' if server is None else server.kind}: {TRANSFERS} transfers in {seconds:.0f} s, "
            f"{len(bank.acknowledged)} acknowledged, {len(bank.cancelled)} cancelled, {bank.ended} connections ended, "
            f"errors {dict(bank.errors)}, recovery {bank.recovery}"
        )

        transfers, balances = await bank.read()
        names = [name for name, *_ in transfers]
        assert sum(balances.values()) == ACCOUNTS * START
        assert len(names) == len(set(names))
        assert bank.acknowledged <= set(names)
        expected = dict.fromkeys(balances, START)
        for _, source, target, amount in transfers:
            expected[source] -= amount
            expected[target] += amount
        assert balances == expected
        assert set(names) <= bank.acknowledged | bank.cancelled

        print(await check_undamaged(database, bank.transfer.table.name))
        await asyncio.sleep(0.2)
        assert len(asyncio.all_tasks()) == tasks_before
        pool = database._backend.pool
        if server is not None:
            connections = await asyncio.to_thread(server.connections)
            assert not [number for number, is_open in connections if is_open]
            # One that was ended while it was idle is replaced when it is lent.
            assert len(connections) == len([each for each, *_ in pool._idle if pool._connector.is_open(each)])
            assert bank.recovery is not None and bank.recovery < 1
