"""Cases that read and write, run without `await`: the answers, errors and numbers of statements are those of awaiting.

Of the cases, each run takes some: SYNC_CASES=all takes all of them on SQLite.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

import orm
from orm.database.query_log.events import QueryEvent
from orm.synchronous.graph import SyncGraph, SyncRawQuerySet
from orm.synchronous.querysets import SyncQuerySet
from tests.conformance.areas import ALL
from tests.conformance.cases import KINDS, Case
from tests.conformance.compare import OURS, Outcome, _outcome, normal
from tests.conformance.conftest import Worlds
from tests.conformance.orm_side import Subject, m, models, o

STEPS = {"sqlite": 1 if os.environ.get("SYNC_CASES") == "all" else 6, "postgresql": 40, "mysql": 40}
"""Every how many-th case is run."""
CASES = [case for case in ALL if case.area != "after a commit"]  # these await everything themselves


class Synchronous(Subject):
    """`orm` without `await`, on the database of a `Subject`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = orm.Database(url)

    def close(self) -> None:
        orm.run(self.database.disconnect())

    def run(self, case: Callable[..., Any], *, undo: bool) -> tuple[Any, list[str]]:
        statements: list[str] = []

        def heard(event: QueryEvent) -> None:
            statements.append(event.sql)

        self.use()
        self.database.add_hook(heard)
        try:
            with orm.sync(models):
                if not undo:
                    return self._result(case), statements
                with self.database.transaction(force_rollback=True):
                    return self._result(case), statements
        finally:
            self.database.remove_hook(heard)

    def _result(self, case: Callable[..., Any]) -> Any:
        result = case(m, o)
        if not isinstance(result, Generator):
            return loaded(result)
        sent: Any = None
        thrown: Exception | None = None
        while True:
            try:
                item = result.throw(thrown) if thrown is not None else result.send(sent)
            except StopIteration as stop:
                return loaded(stop.value)
            thrown = None
            try:
                sent = loaded(item)
            except OURS as error:
                thrown = error


def loaded(item: Any) -> Any:
    """What awaiting the asynchronous form would give. Cases that await something themselves do so."""
    if isinstance(item, (SyncQuerySet, SyncGraph, SyncRawQuerySet)):
        return list(item)
    return orm.run(item) if inspect.isawaitable(item) and not isinstance(item, orm.Model) else item


@pytest.fixture(scope="module")
def sides(worlds: Worlds) -> Iterator[dict[str, Synchronous]]:
    made: dict[str, Synchronous] = {}
    yield made
    for side in made.values():
        side.close()


def all_without_reading(self: SyncQuerySet[Any, Any], /, **lookups: Any) -> SyncQuerySet[Any, Any]:
    found: SyncQuerySet[Any, Any] = self._chain(self._queryset.all, **lookups)
    return found


@pytest.mark.parametrize(
    ("case", "kind"),
    [(case, kind) for kind in KINDS for case in CASES[:: STEPS[kind]]],
    ids=lambda value: value if isinstance(value, str) else f"{value.area}: {value.name}",
)
def test_case_answers_as_when_awaited(
    case: Case, kind: str, worlds: Worlds, sides: dict[str, Synchronous], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The cases chain after Django's all(); the synchronous one reads the rows.
    monkeypatch.setattr(SyncQuerySet, "all", all_without_reading)
    _, subject = worlds.get(kind)
    if kind not in sides:
        sides[kind] = Synchronous(subject.url)
    expected: Outcome = _outcome(subject, case.query, case.writes, case.ordered)
    found: Outcome = _outcome(sides[kind], case.query, case.writes, case.ordered)
    assert found.same(expected), f"\nawaited: {expected}\nwithout: {found}"
    if expected.error is None:
        assert normal(found.statements) == normal(expected.statements)
