"""Random trees of tasks, savepoints, failures and cancellations, against models.

A step is a tuple: what it does, and for most the steps inside.

| step                       | what happens                                                            |
| -------------------------- | ----------------------------------------------------------------------- |
| `("write",)`               | inserts a row that is named after the step's place in the tree          |
| `("read",)`                | reads all rows in a stream, and counts them                             |
| `("fail",)`                | raises an error, which ends the savepoint, the task or the transaction  |
| `("park",)`                | waits until it is cancelled, as soon as it waits                        |
| `("savepoint", steps)`     | a savepoint; its error is caught                                        |
| `("unguarded", steps)`     | a savepoint; its error is not caught                                    |
| `("tasks", start, bodies)` | starts a task for each body, and waits for all of them                  |
| `("later", steps)`         | starts a task that waits for the end of the transaction first           |
| `("detached", steps)`      | starts a task outside of the transaction                                |
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from orm.database.connections.database import Database
from orm.exceptions import ConnectionLost, TransactionError
from tests.database.notes_table import add_note, create_notes, execute, fetch, texts

Steps = list[tuple[Any, ...]]

LEAVES = st.sampled_from([("write",), ("write",), ("write",), ("read",), ("fail",), ("park",)])
STARTS = ("gather", "one by one", "nested")


def trees(inner: st.SearchStrategy[tuple[Any, ...]]) -> st.SearchStrategy[tuple[Any, ...]]:
    bodies = st.lists(inner, max_size=4)
    return st.one_of(
        st.tuples(st.sampled_from(["savepoint", "unguarded", "later", "detached"]), bodies),
        st.tuples(st.just("tasks"), st.sampled_from(STARTS), st.lists(bodies, min_size=1, max_size=4)),
        st.tuples(st.just("tasks"), st.sampled_from(STARTS), st.lists(bodies, min_size=2, max_size=4)),
    )


PROGRAMS = st.lists(st.recursive(LEAVES, trees, max_leaves=25), min_size=1, max_size=5)


class Stop(Exception):
    """The error of the step "fail"."""


# What the program would do if its tasks ran one after another.


class Model:
    """Attributes: `outside`: the rows that are written outside of the transaction."""

    def __init__(self) -> None:
        self.outside: list[str] = []

    def run(self, steps: Steps, place: str) -> tuple[list[str], str]:
        """The rows that steps leave in the block around them, and how they end: "", "fail" or "park"."""
        rows: list[str] = []
        for number, step in enumerate(steps):
            name = f"{place}.{number}"
            if step[0] == "write":
                rows.append(name)
            elif step[0] in ("fail", "park"):
                return rows, step[0]
            elif step[0] in ("savepoint", "unguarded"):
                inner, end = self.run(step[1], name)
                if not end:
                    rows += inner
                elif end == "park" or step[0] == "unguarded":
                    return rows, end
            elif step[0] == "tasks":
                for position, body in enumerate(step[2]):
                    rows += self.run(body, f"{name}:{position}")[0]
            elif step[0] in ("later", "detached"):
                self.outside += self.run(step[1], name)[0]
        return rows, ""


# What it does.


class Program:
    """Runs steps on a database. `parked` is set when a task waits to be cancelled."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.over = asyncio.Event()
        self.started: list[asyncio.Task[None]] = []
        self.committed: list[str] = []

    async def run(self, steps: Steps, place: str, parked: asyncio.Event) -> None:
        for number, step in enumerate(steps):
            name = f"{place}.{number}"
            await asyncio.sleep(0)  # the other tasks get ahead, where a statement does not wait
            if step[0] == "write":
                await add_note(self.database, name)
                await self.database.on_commit(lambda name=name: self.committed.append(name))  # type: ignore[misc]
            elif step[0] == "read":
                rows = [row async for row in self.database.iterate("SELECT text FROM notes")]
                assert len(rows) >= 0 and await fetch(self.database, "SELECT COUNT(*) FROM notes")
            elif step[0] == "fail":
                raise Stop
            elif step[0] == "park":
                parked.set()
                await asyncio.Event().wait()
            elif step[0] in ("savepoint", "unguarded"):
                with contextlib.suppress(*([Stop] if step[0] == "savepoint" else [])):
                    await self.savepoint(step, name, parked)
            elif step[0] == "tasks":
                await self.start(step[1], [(body, f"{name}:{i}") for i, body in enumerate(step[2])])
            elif step[0] == "later":
                self.started.append(asyncio.create_task(self.later(step[1], name)))
            elif step[0] == "detached":
                with self.database.detached():
                    self.started.append(asyncio.create_task(self.task(step[1], name)))

    async def savepoint(self, step: tuple[Any, ...], name: str, parked: asyncio.Event) -> None:
        async with self.database.transaction():
            await self.run(step[1], name, parked)

    async def start(self, how: str, bodies: list[tuple[Steps, str]]) -> None:
        if how == "gather":
            await asyncio.gather(*(self.task(*body) for body in bodies))
        elif how == "nested":
            first, rest = bodies[0], bodies[1:]
            await asyncio.gather(self.task(*first), *([asyncio.create_task(self.start(how, rest))] if rest else []))
        else:
            for body in bodies:
                await asyncio.wait_for(self.task(*body), 60)

    async def later(self, steps: Steps, name: str) -> None:
        await self.over.wait()
        await self.task(steps, name)

    async def task(self, steps: Steps, name: str) -> None:
        """Run steps in a task, which is cancelled when it parks."""
        parked = asyncio.Event()
        task = asyncio.create_task(self.run(steps, name, parked))
        waiting = asyncio.create_task(parked.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if parked.is_set():
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            assert isinstance(task.exception(), (Stop, type(None))), task.exception()


def has_park(steps: Steps) -> bool:
    """Whether the block's own task parks, which nobody would cancel."""
    return any(step[0] == "park" or (step[0] in ("savepoint", "unguarded") and has_park(step[1])) for step in steps)


async def emptied(database: Database) -> None:
    """The table `notes`, without rows."""
    with contextlib.suppress(Exception):
        await create_notes(database)
    await execute(database, "DELETE FROM notes")


@settings(max_examples=60)
@given(steps=PROGRAMS.filter(lambda steps: not has_park(steps)))
async def test_tasks_in_turns_leave_what_they_would_one_after_another(database: Database, steps: Steps) -> None:
    await emptied(database)
    program, model = Program(database), Model()
    try:
        async with database.transaction():
            await program.run(steps, "0", asyncio.Event())
    except Stop:
        pass
    program.over.set()
    while program.started:
        await program.started.pop()
    rows, end = model.run(steps, "0")
    expected = sorted(model.outside + ([] if end else rows))
    assert sorted(await texts(database)) == expected
    assert sorted(program.committed) == expected
    assert database.open_transactions == 0


# With cancellations at any moment, what is left is what the program was told.


def is_expected(error: BaseException | None) -> bool:
    """Whether a program of which parts are cancelled may end in an error. A savepoint is never lost by itself."""
    if isinstance(error, TransactionError):
        return "no such savepoint" not in str(error) and "does not exist" not in str(error)
    return error is None or isinstance(error, (Stop, asyncio.CancelledError, ConnectionLost))


class Block:
    """What a program was told of the rows of a transaction or a savepoint.

    Attributes:
        sure: the rows whose statements and savepoints succeeded.
        maybe: sets of rows, each of which is there or not: their statement, or the end of their savepoint, failed.
    """

    def __init__(self) -> None:
        self.sure: set[str] = set()
        self.maybe: list[set[str]] = []

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.maybe.append({name})
            raise
        self.sure.add(name)


class CancelledProgram:
    """Runs steps on a database; the tasks are cancelled after the given delays, in seconds."""

    def __init__(self, database: Database, delays: list[float | None]) -> None:
        self.database = database
        self.delays = iter(delays)

    async def run(self, steps: Steps, place: str, block: Block) -> None:
        for number, step in enumerate(steps):
            name = f"{place}.{number}"
            await asyncio.sleep(0)
            if step[0] == "write":
                with block.writing(name):
                    await add_note(self.database, name)
            elif step[0] == "read":
                async for _ in self.database.iterate("SELECT text FROM notes"):
                    pass
            elif step[0] == "fail":
                raise Stop
            elif step[0] in ("savepoint", "unguarded"):
                with contextlib.suppress(*([Stop] if step[0] == "savepoint" else [])):
                    await self.transaction(step[1], name, block)
            elif step[0] == "tasks":
                tasks = [asyncio.create_task(self.run(body, f"{name}:{i}", block)) for i, body in enumerate(step[2])]
                for task in tasks:
                    if (delay := next(self.delays, None)) is not None:
                        asyncio.get_running_loop().call_later(delay, task.cancel)
                # When this task is cancelled, gather() cancels the others and waits for them.
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    assert is_expected(result), result

    async def transaction(self, steps: Steps, name: str, block: Block) -> None:
        inner = Block()
        is_ending = False
        try:
            async with self.database.transaction():
                await self.run(steps, name, inner)
                is_ending = True
        except BaseException:
            if is_ending:
                block.maybe += [inner.sure, *inner.maybe]
            raise
        block.sure |= inner.sure
        block.maybe += inner.maybe


@settings(max_examples=60)
@given(
    steps=PROGRAMS,
    delays=st.lists(st.one_of(st.none(), st.sampled_from([0, 0.0002, 0.001, 0.003, 0.01])), max_size=12),
    whole=st.one_of(st.none(), st.sampled_from([0.001, 0.005, 0.02])),
)
async def test_cancelled_tasks_leave_what_the_program_was_told(
    database: Database, steps: Steps, delays: list[float | None], whole: float | None
) -> None:
    await emptied(database)
    program, block = CancelledProgram(database, delays), Block()
    task = asyncio.create_task(program.transaction(steps, "0", block))
    if whole is not None:
        asyncio.get_running_loop().call_later(whole, task.cancel)
    await asyncio.wait([task])
    if not task.cancelled():
        assert is_expected(task.exception()), task.exception()
    rows = set(await texts(database))
    assert block.sure <= rows
    assert rows - block.sure <= set().union(*block.maybe)
    for together in block.maybe:
        assert rows >= together or not rows & together
    assert database.open_transactions == 0
    # No connection is lost, or in a transaction.
    await asyncio.gather(*(add_note(database, f"after {i}") for i in range(12)))
    assert len(await texts(database)) == len(rows) + 12
