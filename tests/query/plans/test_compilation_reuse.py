"""The second run of a query does not enter SQLAlchemy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import databases
import pytest
import sqlalchemy
from sqlalchemy.sql.compiler import SQLCompiler

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import Player, Tag, Team

pytestmark = pytest.mark.anyio
SQLALCHEMY = str(Path(sqlalchemy.__file__).parent)


@contextmanager
def compilations(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that SQLAlchemy compiles while the block runs."""
    found: list[str] = []
    original = SQLCompiler.__init__

    def counted(self: SQLCompiler, dialect: Any, statement: Any, *args: Any, **kwargs: Any) -> None:
        found.append(type(statement).__name__)
        original(self, dialect, statement, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(SQLCompiler, "__init__", counted)
        yield found


@contextmanager
def sqlalchemy_calls() -> Iterator[set[str]]:
    """SQLAlchemy's Python functions that this thread enters while the block runs."""
    found: set[str] = set()

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(SQLALCHEMY):
            found.add(f"{frame.f_code.co_filename.removeprefix(SQLALCHEMY)}:{frame.f_code.co_qualname}")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(before)


Make = Callable[[int], Any]
READS: list[Make] = [
    lambda n: Player.objects.get(id=n),
    lambda n: Player.objects.filter(name__icontains=f"x{n}", team__org__name=f"x{n}").order_by("-home__name")[:n],
    lambda n: Player.objects.exclude(rank__in=range(n)).select_related("team__org").first(),
    lambda n: Player.objects.filter(orm.Q(rank=n) | orm.Q(score__gt=n)).count(),
    lambda n: Player.objects.filter(rank=n).exists(),
    lambda n: Player.objects.values("id", next=Player.rank + n),
    lambda n: Player.objects.filter(team__in=Team.objects.filter(name=f"x{n}")),
    lambda n: Player.objects.only("name").last(),
    lambda n: Player.objects.in_bulk([n, n + 1]),
]
WRITES: list[Make] = [
    lambda n: Tag.objects.create(name=f"tag {n}"),
    lambda n: Tag.objects.bulk_create([{"name": f"tag {n} {m}"} for m in range(n)]),
    lambda n: Tag.objects.filter(name=f"tag {n}").update(uses=n, note=f"x{n}"),
    lambda n: Player.objects.filter(team__name=f"x{n}").update(rank=Player.rank + n),
    lambda n: Tag.objects.filter(name=f"tag {n}").delete(),
    lambda n: Tag.objects.get_or_create(name="tag", defaults={"uses": n}),
]


@pytest.mark.parametrize("make", READS + WRITES, ids=range(len(READS + WRITES)))
async def test_second_run_compiles_nothing(
    any_world: databases.Database, monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    await make(1)
    await make(2)  # Some calls take another way the second time, such as to find what the first created.
    with compilations(monkeypatch) as compiled:
        for number in (3, 4, 5):
            await make(number)
    assert compiled == []


async def test_first_run_compiles_once(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    orm.plan_cache_clear()
    with compilations(monkeypatch) as compiled:
        await Player.objects.filter(rank=1)
    assert compiled == ["Select"]


async def test_second_run_of_streams_and_instance_methods_compiles_nothing(
    world: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(number: int) -> None:
        assert [player async for player in Player.objects.filter(rank=number)]
        player = await Player.objects.get(rank=number)
        player.name = f"name {number}"
        await player.save()
        await player.update(score=number)
        await player.load()
        await player.save(update_fields=["nick"])
        async with world.transaction():
            await player.delete()

    await run(1)
    with compilations(monkeypatch) as compiled:
        await run(2)
        await run(3)
    assert compiled == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="co_qualname is of Python 3.11")
async def test_cached_plan_runs_without_entering_sqlalchemy(world: Database) -> None:
    makes: list[Make] = [
        lambda n: Player.objects.get(id=n),
        lambda n: Player.objects.filter(name=f"x{n}", team__org__size__gt=n).order_by("-rank")[:n],
        lambda n: Player.objects.select_related("team").filter(rank__in=[n, n + 1]).count(),
        lambda n: Player.objects.filter(orm.Q(rank=n) | ~orm.Q(score=n)).exists(),
        lambda n: Player.objects.filter(rank=n).update(score=n),
        lambda n: Tag.objects.create(name=f"tag {n}", uses=n),
    ]
    for number, make in enumerate(makes):
        await make(1)
        with sqlalchemy_calls() as calls:
            await make(2)
        # A bind processor that SQLAlchemy supplies may run; nothing that builds or compiles may.
        assert calls <= {"/sql/type_api.py:TypeDecorator.bind_processor.<locals>.process"}, (number, calls)
