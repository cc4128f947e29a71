"""The cost of fixed work in calls and bytes, which do not depend on the machine. It must not rise unnoticed.

The counts are in costs.json. After an intended change, write them anew:
``WRITE_COSTS=1 pytest tests/test_costs.py``.
"""

from __future__ import annotations

import json
import os
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import orm

COSTS = Path(__file__).parent / "costs.json"
SOURCE = str(Path(orm.__file__).parent)
# Python versions differ slightly in what counts as a call, and event loops in how often a coroutine is resumed.
TOLERANCE = 1.15
MANY = 500

models = orm.ModelRegistry()


class Author(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)


class Book(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    author = orm.ForeignKey(Author, on_delete=orm.CASCADE, related_name="books")
    title = orm.String(max_length=100)
    pages = orm.Integer()
    published = orm.DateTime(allow_null=True)
    price = orm.Decimal(max_digits=8, decimal_places=2)
    in_print = orm.Boolean(default=True)


def books(count: int) -> list[Book]:
    return [Book(author=1, title=f"Book {i}", pages=i, price="9.50") for i in range(count)]


@pytest.fixture
async def library(sqlite_url: str) -> AsyncIterator[None]:
    async with orm.Database(sqlite_url) as database:
        models.database = database
        await models.create_all()
        await Author.objects.create(name="Woolf")
        await Book.objects.bulk_create(books(MANY))
        yield


class Calls:
    """Counts the calls in and from orm's code while it is entered, on the event loop's thread."""

    def __enter__(self) -> Calls:
        self.count = 0
        sys.setprofile(self._see)
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.setprofile(None)

    def _see(self, frame: FrameType, event: str, _: Any) -> None:
        # Generated code has no file.
        name = frame.f_code.co_filename
        if event in ("call", "c_call") and (name.startswith((SOURCE, "<"))):
            self.count += 1


async def calls(work: Callable[[], Awaitable[Any]]) -> int:
    """The calls of one run, after runs that fill all caches.

    It is the cheapest of three: where the processor is busy, a statement of SQLite may run out of time on this thread.
    """
    for _ in range(3):
        await work()
    counts = []
    for _ in range(3):
        with Calls() as counted:
            await work()
        counts.append(counted.count)
    return min(counts)


async def narrow() -> None:
    Book.objects.filter(author__name="Woolf", pages__lt=10).order_by("-pages").limit(5)


async def transaction() -> None:
    async with models.database.transaction():
        await Book.objects.filter(id=1).update(pages=7)
        await Book.objects.get(id=1)


WORK: dict[str, Callable[[], Awaitable[Any]]] = {
    "chain of filter, order_by, limit": narrow,
    "get": lambda: Book.objects.get(id=1),
    "filter of one row": lambda: Book.objects.filter(title="Book 7"),
    "filter of 500 rows": lambda: Book.objects.filter(pages__gte=0)[:MANY],
    "500 rows with their parent": lambda: Book.objects.select_related("author")[:MANY],
    "values of 500 rows": lambda: Book.objects.values("id", "title")[:MANY],
    "IN of 100 keys": lambda: Book.objects.filter(id__in=list(range(1, 101))),
    "count": lambda: Book.objects.count(),
    "create": lambda: Author.objects.create(name="Mann"),
    "bulk_create of 500": lambda: Book.objects.bulk_create(books(MANY)),
    "update of one row": lambda: Book.objects.filter(id=1).update(pages=5),
    "transaction of two statements": transaction,
}


def check(name: str, count: int) -> None:
    """Compare a count with the recorded one, or record it."""
    known = json.loads(COSTS.read_text()) if COSTS.exists() else {}
    if os.environ.get("WRITE_COSTS"):
        COSTS.write_text(json.dumps(known | {name: count}, indent=1) + "\n")
        return
    assert name in known, f"costs.json has no count for {name!r}: run with WRITE_COSTS=1"
    assert count <= known[name] * TOLERANCE, f"{name} costs {count}; it was {known[name]}"


@pytest.mark.parametrize("name", WORK)
async def test_calls_of_fixed_work_do_not_rise(library: None, name: str) -> None:
    check(f"calls: {name}", await calls(WORK[name]))


async def test_memory_of_an_instance_does_not_rise(library: None) -> None:
    query = Book.objects.filter(pages__gte=0)[:MANY]
    for _ in range(2):  # from then on it runs as it will each time
        await query
    tracemalloc.start()
    try:
        instances = await query
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    # An event loop in debug mode reads source files now and then.
    ours = snapshot.filter_traces([tracemalloc.Filter(True, f"{SOURCE}/*"), tracemalloc.Filter(True, "<generated*")])
    size = sum(trace.size for trace in ours.traces)
    assert len(instances) == MANY
    check("bytes: one instance of seven fields", size // MANY)
