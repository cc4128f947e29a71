"""`database.transaction()` inside a session: a savepoint that flushes, and whose rollback restores the instances."""

from __future__ import annotations

import pytest

import orm
from tests.sessions.sample_models import Author, Tag


class Stop(Exception):
    pass


async def test_rollback_of_a_block_restores_what_was_not_flushed(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        author = await session.get_one(Author, 1)
        before = author.name
        with pytest.raises(Stop):
            async with rows.transaction():
                author.name = "in the block"
                session.add(Author(name="new"))
                await session.delete(await session.get_one(Author, 2))
                raise Stop
        assert author.name == before
        assert not session.dirty and not session.new and not session.deleted
        await session.commit()
    assert (await Author.objects.get(id=1)).name == before
    assert await Author.objects.count() == 3


async def test_change_before_a_block_that_is_rolled_back_stays(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        author = await session.get_one(Author, 1)
        new = Author(name="new")
        author.name = "before the block"
        session.add(new)
        with pytest.raises(Stop), session.no_autoflush:
            async with rows.transaction():
                author.name = new.name = "in the block"
                raise Stop
        assert author.name == "before the block" and new.name == "new"
        await session.commit()
    assert sorted(await Author.objects.filter(id__in=[1, new.id]).values_list("name", flat=True)) == [
        "before the block",
        "new",
    ]


async def test_change_after_a_block_that_is_rolled_back_is_written(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        author = await session.get_one(Author, 1)
        with pytest.raises(Stop):
            async with rows.transaction():
                author.name = "in the block"
                await session.flush()
                raise Stop
        author.name = "after the block"
        await session.commit()
    assert (await Author.objects.get(id=1)).name == "after the block"


async def test_end_of_a_block_flushes_and_raises_its_errors(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        author = await session.get_one(Author, 1)
        taken = (await Tag.objects.order_by("id"))[0].name
        with pytest.raises(orm.UniqueViolation):
            async with rows.transaction():
                author.name = "in the block"
                session.add(Tag(name=taken))
        assert author.name != "in the block" and not session.new
        with pytest.raises(orm.ValidationError):
            async with rows.transaction():
                author.name = "x" * 200
        assert not session.dirty
        async with rows.transaction():
            author.name = "kept"
        assert not session.dirty
        await session.commit()
    assert (await Author.objects.get(id=1)).name == "kept"


async def test_blocks_in_blocks_and_transactions_by_hand(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        author = await session.get_one(Author, 1)
        async with rows.transaction():
            author.name = "outer"
            with pytest.raises(Stop):
                async with rows.transaction():
                    author.name = "inner"
                    raise Stop
            assert author.name == "outer"
            async with session.begin_nested():
                author.name = "nested"
        transaction = await rows.transaction()
        author.name = "by hand"
        await transaction.rollback()
        assert author.name == "nested"
        transaction = await rows.transaction()
        author.name = "by hand again"
        await transaction.commit()
        async with rows.transaction():
            author.name = "set_rollback"
            rows.set_rollback(True)
        assert author.name == "by hand again"
        await session.commit()
    assert (await Author.objects.get(id=1)).name == "by hand again"
