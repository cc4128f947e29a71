"""paginate() and get_or_none()."""

from __future__ import annotations

import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import Player
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7])
async def test_numbered_pages_have_every_row_once_and_the_totals(world: Database, size: int) -> None:
    everything = await Player.objects.order_by("-name", "id")
    number, seen = 1, []
    while True:
        page = await Player.objects.order_by("-name", "id").paginate(number, size)
        assert (page.number, page.size, page.total) == (number, size, len(everything))
        assert page.pages == -(-len(everything) // size)
        assert page.has_previous is (number > 1)
        seen += page.items
        if not page.has_next:
            break
        number += 1
    assert seen == everything and number == page.pages
    beyond = await Player.objects.order_by("id").paginate(number + 1, size)
    assert len(beyond) == 0 and beyond.total == len(everything) and not beyond.has_next


async def test_numbered_pages_count_only_if_the_page_does_not_tell(world: Database) -> None:
    count = await Player.objects.count()
    with recorded(world) as statements:
        page = await Player.objects.paginate(size=count + 1)
    assert page.total == count and page.pages == 1 and len(statements) == 1
    with recorded(world) as statements:
        empty = await Player.objects.filter(name="nothing").paginate()
    assert (empty.total, empty.pages, [*empty]) == (0, 1, []) and len(statements) == 1
    for wrong in ({"page": 0}, {"page": -1}, {"size": 0}, {"page": "2"}, {"page": True}):
        with pytest.raises(orm.QueryError, match=rf"paginate\(\) takes a {next(iter(wrong))} of at least 1"):
            await Player.objects.paginate(**wrong)  # type: ignore[arg-type]


async def test_get_or_none_gives_the_row_or_none(world: Database) -> None:
    first = await Player.objects.order_by("id").first()
    assert first is not None
    assert await Player.objects.get_or_none(id=first.id) == first
    assert await Player.objects.get_or_none(orm.Q(id=-1)) is None
    with pytest.raises(Player.MultipleObjectsReturned):
        await Player.objects.filter(id__gte=first.id).get_or_none()
