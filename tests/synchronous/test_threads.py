"""Many threads: each has its own transactions. SYNC_CALLS=1000 lets each make as many transfers."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import orm
from orm.database.connections.turns import current_transaction
from orm.utils import blocking
from tests.synchronous.models import Account, models

THREADS = 50
CALLS = int(os.environ.get("SYNC_CALLS", "20"))
ACCOUNTS = 20


def in_threads(count: int, function: Callable[[int], None]) -> None:
    """Call a function in so many threads at the same time. Raises its first error."""
    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(function, number) for number in range(count)]:
            future.result()


class Undone(Exception):
    """Rolls a transfer back."""


def test_transfers_of_many_threads_lose_nothing(database: orm.Database) -> None:
    kept = threading.Lock()
    moved = [0] * (ACCOUNTS + 1)

    def transfer(number: int) -> None:
        chance = random.Random(number)
        for call in range(CALLS):
            giver, taker = sorted(chance.sample(range(1, ACCOUNTS + 1), 2))  # so that none wait for each other
            amount = chance.randint(1, 9)
            try:
                with database.transaction():
                    Account.objects.filter(id=giver).update(balance=Account.balance - amount)
                    account = Account.objects.select_for_update().get(id=taker)
                    account.balance += amount
                    account.save(update_fields=["balance"])
                    if call % 10 == 9:
                        raise Undone
            except Undone:
                continue
            with kept:
                moved[giver] -= amount
                moved[taker] += amount

    with orm.sync(models):
        Account.objects.bulk_create([{"id": number, "balance": 1000} for number in range(1, ACCOUNTS + 1)])
        in_threads(THREADS, transfer)
        found = dict(Account.objects.values_list("id", "balance").all())
    assert found == {number: 1000 + moved[number] for number in range(1, ACCOUNTS + 1)}
    status = database.pool_status()
    assert status.in_use == status.waiting == 0
    assert database.open_transactions == 0
    loop = blocking._loop
    assert loop is not None and loop.calls == 0


def test_a_thread_is_not_in_the_transaction_of_another(database: orm.Database) -> None:
    seen: list[object] = []

    async def transaction() -> object:
        return current_transaction(database)

    with orm.sync(models):
        with database.transaction() as outer:
            assert orm.run(transaction()) is outer
            thread = threading.Thread(target=lambda: seen.append(orm.run(transaction())))
            thread.start()
            thread.join()
        assert seen == [None]


def test_a_call_that_waits_lets_others_go_on(database: orm.Database) -> None:
    """The first caller runs the loop, and waits for what the second one does."""
    waits, goes_on = threading.Event(), threading.Event()
    answers: list[int] = []

    async def wait() -> int:
        waits.set()
        while not goes_on.is_set():  # noqa: ASYNC110  # of another thread
            await asyncio.sleep(0.005)
        return 1

    thread = threading.Thread(target=lambda: answers.append(orm.run(wait())))
    thread.start()
    assert waits.wait(60)
    with orm.sync(models):
        for _ in range(3):
            assert Account.objects.count() == 0
    goes_on.set()
    thread.join(60)
    assert answers == [1]


def test_errors_come_with_the_callers_lines() -> None:
    async def fail() -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here") as caught:
        orm.run(fail())
    assert next(entry.name for entry in caught.traceback) == "test_errors_come_with_the_callers_lines"
    assert caught.traceback[-1].name == "fail"


def test_the_loop_is_made_anew_after_it_was_closed() -> None:
    async def name() -> str:
        return "loop"

    before = blocking._running_loop()
    blocking.close()
    assert before.is_closed() and blocking._loop is None
    assert orm.run(name()) == "loop" and blocking._loop is not before


def test_calls_of_many_threads_that_end_at_any_moment() -> None:
    """Threads switch often, so that a call ends between any two steps of its caller."""

    async def at_once(number: int) -> int:
        return number

    async def later(number: int) -> int:
        await asyncio.sleep(number % 2 / 10_000)
        return number

    def work(_: int) -> None:
        for number in range(500):
            assert orm.run((later if number % 3 else at_once)(number)) == number

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        blocking.close()  # the threads also make the loop
        in_threads(12, work)
    finally:
        sys.setswitchinterval(interval)
    assert blocking._loop is not None and blocking._loop.calls == 0


def test_steps_of_a_call_are_those_of_one_thread() -> None:
    threads: set[int] = set()

    async def work() -> None:
        for _ in range(200):
            threads.add(threading.get_ident())
            await asyncio.to_thread(int)  # its end is told to the loop from another thread

    time.sleep(2 * blocking.PARK_SECONDS)  # the loop's own thread waits for sockets again
    orm.run(work())
    assert threads == {threading.get_ident()}
