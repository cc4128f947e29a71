"""SQLModel: Pydantic's models on SQLAlchemy, whose sessions and statements it shares."""

from datetime import datetime

from sqlalchemy import DateTime
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlmodel import Field, Relationship, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from benchmarks.peers import sqlalchemy
from benchmarks.peers.base import utcnow

DISTRIBUTIONS = ["sqlmodel", *sqlalchemy.DISTRIBUTIONS]
REQUIRES = ["sqlmodel", "sqlalchemy[asyncio]", "aiosqlite", "asyncpg", "asyncmy"]


class User(SQLModel, table=True):
    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=100)
    email: str = Field(max_length=255, unique=True)
    age: int
    is_active: bool = True
    created_at: datetime = Field(default_factory=utcnow, sa_type=DateTime(timezone=True))
    posts: list["Post"] = Relationship(back_populates="user")


class Post(SQLModel, table=True):
    __tablename__ = "posts"

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="users.id")
    title: str = Field(max_length=200)
    content: str
    views: int = 0
    created_at: datetime = Field(default_factory=utcnow, sa_type=DateTime(timezone=True))
    user: User = Relationship(back_populates="posts")
    post_tags: list["PostTag"] = Relationship()


class PostTag(SQLModel, table=True):
    __tablename__ = "post_tags"

    id: int | None = Field(default=None, primary_key=True)
    post_id: int = Field(foreign_key="posts.id")
    name: str = Field(max_length=50)


class Event(SQLModel, table=True):
    __tablename__ = "events"

    id: int | None = Field(default=None, primary_key=True)
    value: int
    name: str = Field(max_length=100)


class Subject(sqlalchemy.Subject):
    """SQLModel."""

    user = User
    post = Post
    event = Event

    async def connect(self) -> None:
        await super().connect()
        self.session = async_sessionmaker(self.engine, class_=AsyncSession, expire_on_commit=False)
