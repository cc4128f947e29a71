"""What Oxyde's README does, with `orm`. docs/coming-from-ormdantic-oxyde.md has the spellings."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import orm
from orm.contrib.fastapi import lifespan

pytestmark = pytest.mark.anyio


def define_models(database: Any) -> tuple[orm.ModelRegistry, Any, Any]:
    models = orm.ModelRegistry(database=database)

    class User(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=100)
        email = orm.String(max_length=100, unique=True)
        age = orm.Integer(allow_null=True)
        is_active = orm.Boolean(default=True)

    class Profile(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        user = orm.ForeignKey(User)

    return models, User, Profile


async def test_rows_are_created_read_updated_and_deleted(database: Any) -> None:
    models, User, _ = define_models(database)
    await models.create_all()
    user = await User.objects.create(name="Alice", email="alice@example.com", age=30)
    assert await User.objects.filter(age__gte=18).all() == [user]
    user = await User.objects.get(id=1)
    user.age = 31
    await user.save()
    assert (await User.objects.get(id=1)).age == 31
    await user.delete()
    assert await User.objects.count() == 0
    await models.drop_all()


async def test_transaction_is_kept_or_rolled_back_as_a_whole(database: Any) -> None:
    models, User, Profile = define_models(database)
    await models.create_all()
    async with database.transaction():
        user = await User.objects.create(name="Alice", email="alice@example.com")
        await Profile.objects.create(user_id=user.id)
    with pytest.raises(orm.UniqueViolation):
        async with database.transaction():
            await Profile.objects.create(user_id=user.id)
            await User.objects.create(name="Other", email="alice@example.com")
    assert (await User.objects.count(), await Profile.objects.count()) == (1, 1)
    await models.drop_all()


async def test_fastapi_answers_models(database_url: str) -> None:
    database = orm.Database(database_url)
    models, User, _ = define_models(database)
    app = FastAPI(lifespan=lifespan(database, create_all=models))

    @app.get("/users", response_model=list[User])  # type: ignore[valid-type]
    async def list_users() -> Any:
        return await User.objects.filter(is_active=True).all()

    async with app.router.lifespan_context(app):
        await User.objects.create(name="Alice", email="alice@example.com")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a") as client:
            assert (await client.get("/users")).json() == [
                {"id": 1, "name": "Alice", "email": "alice@example.com", "age": None, "is_active": True}
            ]
        await models.drop_all()
