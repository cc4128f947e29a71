"""First programs with sessions, as SQLAlchemy's tutorial and its users write them; with and without await."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy

import orm

models = orm.ModelRegistry()


class User(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=30)
    fullname = orm.String(max_length=100, allow_null=True)

    class Meta:
        tablename = "user_account"


class Address(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    email_address = orm.String(max_length=100)
    user = orm.ForeignKey(User, related_name="addresses", on_delete=orm.CASCADE)


class Post(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=100)
    user = orm.ForeignKey(User, related_name="posts", on_delete=orm.CASCADE)


class Comment(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    body = orm.String(max_length=100)
    post = orm.ForeignKey(Post, related_name="comments", on_delete=orm.CASCADE)


async def test_tutorial_of_sqlalchemy(database: orm.Database) -> None:
    models.database = database
    await models.create_all()
    async with orm.Session(database) as session:
        spongebob = User(name="spongebob", fullname="Spongebob Squarepants")
        sandy = User(name="sandy", fullname="Sandy Cheeks")
        patrick = User(name="patrick", fullname="Patrick Star")
        session.add_all(
            [
                Address(email_address="spongebob@sea.example", user=spongebob),
                Address(email_address="sandy@sea.example", user=sandy),
                Address(email_address="sandy@squirrels.example", user=sandy),
                patrick,
            ]
        )
        await session.commit()
        assert [user.id for user in (spongebob, sandy, patrick)] != [None, None, None]

    async with orm.Session(database) as session:
        rows = await User.objects.filter(name__in=["spongebob", "sandy"]).order_by("id")
        assert {user.name for user in rows} == {"spongebob", "sandy"}
        address = await Address.objects.get(user__name="sandy", email_address="sandy@sea.example")
        patrick = await User.objects.get(name="patrick")
        session.add(Address(email_address="patrick@sea.example", user=patrick))
        address.email_address = "sandy_cheeks@sea.example"
        with orm.track_queries() as queries:
            await session.commit()
        assert sorted(query.sql.split()[0] for query in queries if "address" in query.sql) == ["INSERT", "UPDATE"]

    async with orm.Session(database) as session:
        sandy = await session.get_one(User, sandy.id, options=[orm.selectinload(User.addresses)])
        removed = next(each for each in sandy.addresses if each.email_address.startswith("sandy_c"))  # type: ignore[attr-defined]
        await session.delete(removed)
        await session.flush()
        await session.delete(await User.objects.get(name="patrick"))
        await session.commit()
    emails = await Address.objects.order_by("email_address").values_list("email_address", flat=True)
    assert emails == ["sandy@squirrels.example", "spongebob@sea.example"]


async def test_posts_and_comments(database: orm.Database) -> None:
    models.database = database
    await models.create_all()
    async with orm.Session(database) as session:
        post = Post(title="Hello", user=User(name="ann"))
        session.add_all([post, Comment(body="first", post=post), Comment(body="second", post=post)])
        await session.commit()
    async with orm.Session(database) as session:
        query = User.objects.options(orm.joinedload(User.posts).joinedload(Post.comments))
        user: Any = await query.get(name="ann")
        assert sorted(comment.body for comment in user.posts[0].comments) == ["first", "second"]
        user.posts[0].comments[0].body = "changed"
        user.name = "anna"
        await session.commit()
        assert await session.scalars(sqlalchemy.select(User.table.c.name)) == ["anna"]
    assert await Comment.objects.filter(body="changed").count() == 1


def test_posts_and_comments_without_await(database_url: str) -> None:
    database = orm.Database(database_url)
    models.database = database
    orm.run(models.create_all())
    everything: Any = models
    try:
        with orm.sync(everything):
            with orm.Session(database) as session:
                post = Post(title="Hello", user=User(name="ann"))
                session.add_all([post, Comment(body="first", post=post)])
                session.commit()
            with orm.Session(database) as session:
                users: Any = User.objects
                user = users.options(orm.joinedload(User.posts).joinedload(Post.comments)).get(name="ann")
                assert session.get(User, user.id) is user
                user.name = "anna"
                with session.begin_nested():
                    user.posts[0].title = "kept"
                savepoint = session.begin_nested()
                user.name = "lost"
                session.flush()
                savepoint.rollback()
                assert user.name == "anna"
                session.commit()
            with pytest.raises(KeyError), orm.Session(database) as session:
                session.add(User(name="gone"))
                session.flush()
                raise KeyError
            names: Any = User.objects.values_list("name", flat=True)
            assert list(names) == ["anna"]
            titles: Any = Post.objects.values_list("title", flat=True)
            assert list(titles) == ["kept"]
    finally:
        orm.run(database.disconnect())


def test_session_without_await_is_one_threads(database_url: str) -> None:
    database = orm.Database(database_url)
    models.database = database
    orm.run(models.create_all())
    errors: list[BaseException] = []

    def use(session: Any) -> None:
        try:
            session.add(User(name="x"))
        except orm.TransactionError as error:
            errors.append(error)

    try:
        with orm.sync(models), orm.Session(database) as session:
            thread = threading.Thread(target=use, args=(session,))
            thread.start()
            thread.join()
    finally:
        orm.run(database.disconnect())
    assert "belongs to another task" in str(errors[0])
