"""Random adds, changes, deletions, flushes, queries, savepoints and rollbacks, against a model of what they do."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import orm
from tests.sessions.sample_models import Employee, models

names = st.sampled_from(["a", "b", "c", "d", "e"])
choices = st.integers(min_value=0, max_value=20)


class Expected:
    """The rows as the session sees them: by an object that stands for the row, its name and its manager."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[str, int | None]] = {}

    def delete(self, row: int) -> None:
        """Delete a row; the references to it are NULL then."""
        del self.rows[row]
        for other, (name, manager) in list(self.rows.items()):
            if manager == row:
                self.rows[other] = name, None


class SessionMachine(RuleBasedStateMachine):
    """One session, and the rows that it should see; `levels` has what each rollback should restore."""

    url: str
    runner: asyncio.Runner | Any

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0
        self.instances: dict[int, Employee] = {}
        self.expected = Expected()
        self.levels: list[tuple[Expected, Any]] = [(Expected(), None)]
        self.run(self.open())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run in the task that the session belongs to."""
        return type(self).runner(coroutine)

    async def open(self) -> None:
        await Employee.objects.all().delete()
        self.session = orm.Session(models.database)  # type: ignore[arg-type]
        await self.session.__aenter__()

    def teardown(self) -> None:
        self.run(self.session.__aexit__())

    def existing(self, choice: int) -> int | None:
        rows = sorted(self.expected.rows)
        return rows[choice % len(rows)] if rows else None

    @rule(name=names, choice=choices, with_manager=st.booleans())
    def add(self, name: str, choice: int, with_manager: bool) -> None:
        manager = self.existing(choice) if with_manager else None
        self.numbers += 1
        employee = Employee(name=name, manager=None if manager is None else self.instances[manager])
        self.instances[self.numbers] = employee
        self.expected.rows[self.numbers] = name, manager
        self.run(self.call(self.session.add, employee))

    async def call(self, function: Any, *args: Any) -> Any:
        return function(*args)

    @precondition(lambda self: self.expected.rows)
    @rule(choice=choices, name=names)
    def rename(self, choice: int, name: str) -> None:
        row = self.existing(choice)
        assert row is not None
        self.instances[row].name = name
        self.expected.rows[row] = name, self.expected.rows[row][1]

    @precondition(lambda self: self.expected.rows)
    @rule(choice=choices, other=choices, to_none=st.booleans())
    def move(self, choice: int, other: int, to_none: bool) -> None:
        row, manager = self.existing(choice), None if to_none else self.existing(other)
        assert row is not None
        self.instances[row].manager = None if manager is None else self.instances[manager]  # type: ignore[assignment]
        self.expected.rows[row] = self.expected.rows[row][0], manager

    @precondition(lambda self: self.expected.rows)
    @rule(choice=choices)
    def delete(self, choice: int) -> None:
        row = self.existing(choice)
        assert row is not None
        instance = self.instances[row]

        async def delete() -> None:
            await self.session.flush()
            await self.session.delete(instance)
            await self.session.flush()

        self.run(delete())
        self.expected.delete(row)

    @rule()
    def flush(self) -> None:
        self.run(self.session.flush())

    @rule()
    def commit(self) -> None:
        self.run(self.session.commit())
        self.levels = [(copy.deepcopy(self.expected), None)]

    @rule()
    def rollback(self) -> None:
        self.run(self.session.rollback())
        self.expected = copy.deepcopy(self.levels[0][0])
        self.levels = self.levels[:1]

    @precondition(lambda self: len(self.levels) < 4)
    @rule()
    def begin_nested(self) -> None:
        async def begin() -> Any:
            return await self.session.begin_nested()

        self.levels.append((copy.deepcopy(self.expected), self.run(begin())))

    @precondition(lambda self: len(self.levels) > 1)
    @rule(keep=st.booleans())
    def end_nested(self, keep: bool) -> None:
        before, savepoint = self.levels.pop()
        self.run(savepoint.commit() if keep else savepoint.rollback())
        if not keep:
            self.expected = before

    @rule(name=names)
    def query(self, name: str) -> None:
        async def query() -> list[Employee]:
            return await Employee.objects.filter(name=name)

        rows = {id(each) for each in self.run(query())}
        assert rows == {id(self.instances[n]) for n, (other, _) in self.expected.rows.items() if other == name}

    @rule(choice=choices)
    def expire(self, choice: int) -> None:
        row = self.existing(choice)
        if row is not None:

            async def expire() -> None:
                await self.session.flush()
                self.session.expire(self.instances[row])
                await self.session.refresh(self.instances[row])

            self.run(expire())

    @invariant()
    def instances_have_the_expected_values(self) -> None:
        self.run(self.check())

    async def check(self) -> None:
        for row, (name, manager) in self.expected.rows.items():
            instance = self.instances[row]
            assert instance.name == name
            assert instance.manager is (None if manager is None else self.instances[manager])
            assert instance in self.session


class TaskRunner:
    """Runs coroutines one after the other in one task, which the session belongs to."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.work: asyncio.Queue[Any] = asyncio.Queue()
        self.task = self.loop.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            coroutine, done = await self.work.get()
            if coroutine is None:
                return
            try:
                done.set_result(await coroutine)
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
                done.set_exception(error)

    def __call__(self, coroutine: Any) -> Any:
        done = self.loop.create_future()
        self.work.put_nowait((coroutine, done))
        return self.loop.run_until_complete(done)

    def close(self) -> None:
        """End the task."""
        self.work.put_nowait((None, None))
        self.loop.run_until_complete(self.task)
        self.loop.close()


@pytest.mark.parametrize("steps", [25])
def test_session_does_what_the_model_of_it_says(database_url: str, steps: int) -> None:
    runner = TaskRunner()
    database = orm.Database(database_url)
    models.database = database

    class Machine(SessionMachine):
        url = database_url

    Machine.runner = runner
    runner(database.connect())
    runner(models.create_all())
    try:
        examples = 60 if database_url.startswith("sqlite") else 25
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Machine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
        )
    finally:
        runner(database.disconnect())
        runner.close()
