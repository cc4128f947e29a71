"""SQLAlchemy's async ORM: a session for each operation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, String, delete, event, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship, selectinload

from benchmarks.peers.base import VALUES, Peer, utcnow

DISTRIBUTIONS = ["sqlalchemy", "aiosqlite", "asyncpg", "asyncmy"]
REQUIRES = ["sqlalchemy[asyncio]", "aiosqlite", "asyncpg", "asyncmy"]
SCHEMES = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(255), unique=True)
    age: Mapped[int]
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utcnow)
    posts: Mapped[list[Post]] = relationship(back_populates="user")


class Post(Base):
    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(String(200))
    content: Mapped[str]
    views: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utcnow)
    user: Mapped[User] = relationship(back_populates="posts")
    post_tags: Mapped[list[PostTag]] = relationship()


class PostTag(Base):
    __tablename__ = "post_tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id"))
    name: Mapped[str] = mapped_column(String(50))


class Event(Base):
    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]
    name: Mapped[str] = mapped_column(String(100))


class Subject(Peer):
    """SQLAlchemy, and SQLModel with models of its own."""

    user: Any = User
    post: Any = Post
    event: Any = Event

    async def connect(self) -> None:
        target = self.target
        size = {"pool_size": target.pool, "max_overflow": 0} if target.tuned else {}
        self.engine = create_async_engine(target.url(SCHEMES[target.kind]), **size)
        self.session = async_sessionmaker(self.engine, expire_on_commit=False)
        if target.kind == "sqlite":

            @event.listens_for(self.engine.sync_engine, "connect")
            def prepare(connection: Any, _: Any) -> None:
                connection.execute("PRAGMA foreign_keys = ON")
                if target.tuned:
                    connection.execute("PRAGMA synchronous = NORMAL")

    async def close(self) -> None:
        await self.engine.dispose()

    async def _all(self, statement: Any) -> Any:
        async with self.session() as session:
            return (await session.scalars(statement)).all()

    async def _run(self, statement: Any, *values: Any) -> None:
        async with self.session.begin() as session:
            await session.execute(statement, *values)

    async def insert_one(self, name: str, email: str, age: int) -> Any:
        user = self.user(name=name, email=email, age=age)
        async with self.session.begin() as session:
            session.add(user)
        return user

    async def insert_many(self, rows: list[dict[str, Any]]) -> Any:
        await self._run(insert(self.user), rows)

    async def update_one(self, key: int, name: str) -> Any:
        await self._run(update(self.user).where(self.user.id == key).values(name=name))

    async def update_many(self) -> Any:
        await self._run(update(self.user).where(self.user.age < 18).values(is_active=False))

    async def delete_one(self, key: int) -> Any:
        await self._run(delete(self.user).where(self.user.id == key))

    async def get(self, key: int) -> Any:
        async with self.session() as session:
            return await session.get_one(self.user, key)

    async def filter_many(self) -> Any:
        return await self._all(select(self.user).where(self.user.age >= 18))

    async def filter_one(self, name: str) -> Any:
        return await self._all(select(self.user).where(self.user.name == name))

    async def filter_complex(self) -> Any:
        grown = (self.user.age >= 18) & self.user.is_active.is_(True)
        return await self._all(select(self.user).where(or_(grown, self.user.name.startswith("A"))))

    async def filter_in(self, keys: list[int]) -> Any:
        return await self._all(select(self.user).where(self.user.id.in_(keys)))

    async def order_limit(self) -> Any:
        return await self._all(select(self.user).order_by(self.user.created_at.desc()).limit(10))

    async def count(self) -> int:
        async with self.session() as session:
            return await session.scalar(select(func.count()).select_from(self.user))

    async def aggregates(self) -> Any:
        statement = select(func.count(self.user.id), func.avg(self.user.age), func.max(self.user.age))
        async with self.session() as session:
            return (await session.execute(statement)).one()

    async def join(self) -> Any:
        return await self._all(select(self.post).options(joinedload(self.post.user, innerjoin=True)))

    async def page(self) -> Any:
        newest = select(self.post).order_by(self.post.created_at.desc()).limit(20)
        return await self._all(newest.options(joinedload(self.post.user, innerjoin=True)))

    async def prefetch(self) -> Any:
        return await self._all(select(self.user).options(selectinload(self.user.posts)))

    async def nested(self) -> Any:
        posts = selectinload(self.user.posts)
        return await self._all(select(self.user).options(posts.selectinload(self.post.post_tags)))

    async def values(self) -> Any:
        async with self.session() as session:
            result = await session.execute(select(*(getattr(self.post, name) for name in VALUES)))
            return result.mappings().all()

    async def unit_of_work(self, rows: list[dict[str, Any]]) -> Any:
        async with self.session() as session:
            for user in (await session.scalars(select(self.user))).all():
                user.name += "!"
            session.add_all([self.user(**row) for row in rows])
            await session.commit()

    async def stream(self) -> AsyncIterator[Any]:
        async with self.session() as session:
            statement = select(self.event).execution_options(yield_per=1000)
            async for row in await session.stream_scalars(statement):
                yield row

    async def five(self, name: str, email: str, age: int) -> Any:
        async with self.session.begin() as session:
            return await self._five(session, self.user(name=name, email=email, age=age))

    async def _five(self, session: AsyncSession, user: Any) -> Any:
        session.add(user)
        await session.flush()
        owner = await session.get_one(self.user, 1)
        await session.execute(update(self.user).where(self.user.id == 2).values(name=user.name))
        (await session.scalars(select(self.user).where(self.user.name == "User 5"))).all()
        await session.scalar(select(func.count()).select_from(self.user))
        return owner
