"""A session is on a database: in a block of `orm.schema()` it is refused, and writes nothing to another schema."""

from __future__ import annotations

import pytest

import orm
from orm.database.connections import schemas
from tests.sessions.sample_models import Author


@pytest.fixture(autouse=True)
def no_schema_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests count the calls of a program that has used no schema."""
    monkeypatch.setattr(schemas, "in_use", False)


async def test_session_in_a_block_of_a_schema_is_refused(rows: orm.Database) -> None:
    with orm.schema("tenant_1"):
        with pytest.raises(orm.NotSupportedError, match=r"this is a block of orm\.schema\('tenant_1'\)"):
            async with orm.Session(rows):
                pass
        with orm.schema(None):
            async with orm.Session(rows) as session:
                assert await session.get(Author, 1) is not None
    async with orm.Session(rows) as session:
        assert await session.get(Author, 1) is not None


async def test_block_of_a_schema_in_a_session_refuses_what_the_session_would_write_elsewhere(
    rows: orm.Database,
) -> None:
    async with orm.Session(rows) as session:
        author = await session.get_one(Author, 1)
        author.name = "changed"
        with orm.schema("tenant_1"):
            with pytest.raises(orm.NotSupportedError, match=r"orm\.schema"):
                session.add(Author(name="new"))
            with pytest.raises(orm.NotSupportedError, match=r"orm\.schema"):
                await session.get(Author, 2)
            with pytest.raises(orm.NotSupportedError, match=r"orm\.schema"):
                await session.flush()
            with pytest.raises(orm.NotSupportedError, match=r"orm\.schema"):
                await session.delete(author)
            with pytest.raises(orm.NotSupportedError, match=r"orm\.schema"):
                await session.commit()
        assert list(session.dirty) == [author] and not session.new
        await session.commit()
    assert (await Author.objects.get(id=1)).name == "changed"


async def test_instance_of_another_schema_is_refused(rows: orm.Database) -> None:
    if rows.url.dialect == "sqlite":  # which has no schemas: no row can come from one
        with pytest.raises(orm.NotSupportedError):
            await Author.objects.using_schema("tenant_1").count()
        return
    await Author.registry.create_schema("orm_session_tenant")
    try:
        tenant = Author.objects.using_schema("orm_session_tenant")
        author = await tenant.create(name="of the tenant")
        async with orm.Session(rows) as session:
            for instance in (author, await tenant.get(name="of the tenant")):
                with pytest.raises(orm.NotSupportedError, match="is a row of another schema"):
                    session.add(instance)
            await session.commit()
    finally:
        await Author.registry.drop_schema("orm_session_tenant")
