"""Tasks that write and read without end while servers fail: what their callers were told, and what is there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from types import TracebackType
from typing import Any

import orm
from orm.database.connections.database import Database

WRITERS = 8
READERS = 4
PAUSE_SECONDS = 0.005
GIVE_UP_SECONDS = 60.0
RETRIES = 20
RECOVERY_SECONDS = 10.0
"""Within this time everything works again, on a busy machine; docs/reliability.md has the figures of a quiet one."""


def tables(database: Database) -> tuple[Any, Any]:
    """A table of notes, and one with the number of each task's notes."""

    class Note(orm.Model):
        registry = orm.ModelRegistry(database=database)

        name = orm.String(max_length=50, primary_key=True)
        task = orm.Integer()

    class Total(orm.Model):
        registry = Note.registry

        id = orm.Integer(primary_key=True)
        notes = orm.Integer(default=0)

    return Note, Total


class Load:
    """Writers, each of which adds a note and counts it in one transaction, and readers.

    A writer reads each note that was acknowledged, in the context that wrote it.

    Example:
        async with Load(database) as load:
            server.kill()
            seconds = await load.writes_again()
        await load.check(database)
    """

    def __init__(self, database: Database, *, name: str = "note", retries: int = 0, same_rows: bool = False) -> None:
        self.database = database
        self.note, self.total = tables(database)
        self.acknowledged: set[str] = set()
        self.unknown: set[str] = set()
        """The writes of which the ORM said that it does not know whether they were kept."""
        self.errors: Counter[str] = Counter()
        self.reads = 0
        self.stale_reads = 0
        self.runs = 0
        """How often the function of a transaction was run."""
        self._name = name
        self._retries = retries
        self._same_rows = same_rows
        self._numbers = itertools.count()
        self._last_write = self._last_read = 0.0
        self.longest_without_read = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def create_tables(self) -> None:
        """Create the tables, and a row for each writer. Those of a load before are dropped."""
        await self.note.registry.drop_all()
        await self.note.registry.create_all()
        await self.total.objects.bulk_create([{"id": number} for number in range(1, WRITERS + 1)])

    async def __aenter__(self) -> Load:
        self._last_read = time.monotonic()
        self._tasks = [asyncio.create_task(self._write(number)) for number in range(1, WRITERS + 1)]
        self._tasks += [asyncio.create_task(self._read()) for _ in range(READERS)]
        await self.writes_again()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        failed = [task for task in self._tasks if task.done()]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for task in failed:
            task.result()

    async def writes_again(self, since: float | None = None) -> float:
        """The seconds, from now or `since`, until a write that began later was acknowledged."""
        start = time.monotonic()
        while self._last_write <= start:
            for task in self._tasks:
                if task.done():
                    task.result()
            assert time.monotonic() < start + GIVE_UP_SECONDS, f"no write works any more: {dict(self.errors)}"
            await asyncio.sleep(0.005)
        return time.monotonic() - (start if since is None else since)

    async def check(self, database: Database | None = None) -> None:
        """Assert that all that was acknowledged is there, none of it by half, and nothing that was not sent."""
        note, total = tables(database) if database is not None else (self.note, self.total)
        with note.registry.database.primary():
            notes = await note.objects.values_list("name", "task")
            totals = dict(await total.objects.values_list("id", "notes"))
        names = {name for name, _ in notes}
        lost, invented = self.acknowledged - names, names - self.acknowledged - self.unknown
        assert not lost, f"{len(lost)} acknowledged writes are lost: {sorted(lost)[:10]}; {self.report()}"
        assert not invented, f"{len(invented)} notes that no write added: {sorted(invented)[:10]}; {self.report()}"
        counted = Counter(1 if self._same_rows else task for _, task in notes)
        assert {number: count for number, count in totals.items() if count} == counted
        assert self.stale_reads == 0
        assert self.acknowledged

    def add(self, other: Load) -> None:
        """Add what another load has done in the same tables, for `check` and `report`."""
        self.acknowledged |= other.acknowledged
        self.unknown |= other.unknown
        self.errors += other.errors
        self.runs += other.runs
        self.reads += other.reads
        self.stale_reads += other.stale_reads

    def report(self) -> str:
        """How many writes and reads there were, and the errors by kind."""
        return (
            f"{len(self.acknowledged)} writes acknowledged in {self.runs} runs, {self.reads} reads, "
            f"errors {dict(self.errors)}, longest time without a read {self.longest_without_read:.2f} s"
        )

    async def _write(self, number: int) -> None:
        async def add_note() -> None:
            self.runs += 1
            await self.note.objects.create(name=name, task=number)
            await self.total.objects.filter(id=1 if self._same_rows else number).update(notes=self.total.notes + 1)

        while True:
            name = f"{self._name} {next(self._numbers)}"
            began = time.monotonic()
            try:
                async with self.database.session_position(None):
                    await self.database.transaction(retries=self._retries)(add_note)()
                    self.acknowledged.add(name)
                    self._last_write = max(self._last_write, began)
                    self.stale_reads += not await self.note.objects.filter(name=name).exists()
            except orm.OperationalError as error:
                self._count(error)
                if isinstance(error, orm.CommitUnknown):
                    self.unknown.add(name)
            except orm.TransactionError as error:  # of a statement after the one that ended the transaction
                self._count(error)
            except asyncio.CancelledError:
                self.unknown.add(name)
                raise
            await asyncio.sleep(PAUSE_SECONDS)

    async def _read(self) -> None:
        while True:
            try:
                await self.note.objects.filter(task=1).count()
            except orm.OperationalError as error:
                self._count(error, "read: ")
            else:
                now = time.monotonic()
                self.reads += 1
                self.longest_without_read = max(self.longest_without_read, now - self._last_read)
                self._last_read = now
            await asyncio.sleep(PAUSE_SECONDS)

    def _count(self, error: orm.Error, kind: str = "") -> None:
        self.errors[f"{kind}{type(error).__name__}"] += 1


async def run_on_all(urls: list[str], seconds: float) -> str:
    """Write the same row on all servers of a cluster, repeating what conflicts. Returns what happened."""
    async with contextlib.AsyncExitStack() as stack:
        loads = []
        for number, url in enumerate(urls):
            database = await stack.enter_async_context(Database(url))
            loads.append(Load(database, name=f"note {number}", retries=RETRIES, same_rows=True))
        await loads[0].create_tables()
        await asyncio.sleep(1)  # the tables reach the other servers
        async with contextlib.AsyncExitStack() as running:
            for load in loads:
                await running.enter_async_context(load)
            await asyncio.sleep(seconds)
        for load in loads[1:]:
            loads[0].add(load)
        await asyncio.sleep(1)
        for load in loads:
            await loads[0].check(load.database)
        return loads[0].report()
