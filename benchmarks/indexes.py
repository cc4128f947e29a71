"""What the indexes of foreign keys are for: the same statements with them (the default) and without (`index=False`).

    python -m benchmarks.indexes sqlite:////tmp/indexes.db postgresql://postgres@localhost/bench

Each URL names an empty database, whose tables are dropped afterwards. Milliseconds, the best of three where possible.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orm

TAGS = 2_000
TICKETS = 20_000
PAIRS = 200_000
UNUSED = 500
CASCADED = 20


class Tracker:
    """Tickets with comments and tags, with or without the indexes."""

    def __init__(self, database: orm.Database, *, index: bool) -> None:
        self.models = models = orm.ModelRegistry(database=database)

        class Tag(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            name = orm.String(max_length=20)

        class Ticket(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            tags = orm.ManyToMany(Tag, related_name="tickets", index=index)

        class Comment(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            ticket = orm.ForeignKey(Ticket, on_delete=orm.CASCADE, index=index)

        self.Tag, self.Ticket, self.Comment = Tag, Ticket, Comment

    async def fill(self) -> None:
        """Insert the rows."""
        await self.models.create_all()
        await self.Tag.objects.bulk_create([{"name": f"tag {n}"} for n in range(TAGS)])
        await self.Ticket.objects.bulk_create([{} for _ in range(TICKETS)])
        await self.Comment.objects.bulk_create([{"ticket": n % TICKETS + 1} for n in range(PAIRS)])
        through = self.Ticket._meta.many_to_many["tags"].through_model
        used = TAGS - UNUSED
        pairs = [{"ticket": n % TICKETS + 1, "tag": n * 7 % used + 1} for n in range(PAIRS)]
        await through.objects.bulk_create([dict(pair) for pair in {tuple(pair.items()): None for pair in pairs}])


async def timed(action: Callable[[], Awaitable[Any]]) -> float:
    """The milliseconds of one call."""
    start = time.perf_counter()
    await action()
    return (time.perf_counter() - start) * 1_000


async def measure(url: str, *, index: bool) -> dict[str, float]:
    """The times of each statement on one database."""
    async with orm.Database(url) as database:
        tracker = Tracker(database, index=index)
        await tracker.models.drop_all()
        await tracker.fill()
        try:
            tag = await tracker.Tag.objects.get(id=7)
            first = TICKETS - 3 * CASCADED
            return {
                "count the pairs of a tag": min([await timed(tag.tickets.count) for _ in range(3)]),
                f"delete {CASCADED} tickets, cascading": min(
                    [
                        await timed(
                            tracker.Ticket.objects.filter(
                                id__gt=first + n * CASCADED, id__lte=first + (n + 1) * CASCADED
                            ).delete
                        )
                        for n in range(3)
                    ]
                ),
                f"delete {UNUSED} unused tags": await timed(
                    tracker.Tag.objects.filter(id__gt=TAGS - UNUSED).delete,
                ),
            }
        finally:
            await tracker.models.drop_all()


async def main(urls: list[str]) -> None:
    """Print a table for each database."""
    for url in urls:
        with_indexes, without = [await measure(url, index=index) for index in (True, False)]
        print(url.partition(":")[0])
        for what, after in with_indexes.items():
            print(f"| {what} | {without[what]:.1f} | {after:.1f} |")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
