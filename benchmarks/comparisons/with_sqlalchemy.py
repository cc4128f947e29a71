"""SQLAlchemy's ORM with asyncio: what docs/comparisons.md says of it."""

import asyncio

import sqlalchemy
from sqlalchemy import ForeignKey, String, select, update
from sqlalchemy.exc import IntegrityError, MissingGreenlet, StatementError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload


class Base(DeclarativeBase):
    pass


class Artist(Base):
    __tablename__ = "artist"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    albums: Mapped[list["Album"]] = relationship(back_populates="artist")


class Album(Base):
    __tablename__ = "album"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(5))
    artist_id: Mapped[int] = mapped_column(ForeignKey("artist.id"))
    artist: Mapped[Artist] = relationship(back_populates="albums")


async def main():
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        session.add(Artist(name="Ann", albums=[Album(name="Blue")]))
        await session.commit()
    async with AsyncSession(engine) as session:
        # Reading a relation that was not loaded is an error of greenlets.
        album = await session.scalar(select(Album))
        try:
            album.artist.name  # noqa: B018
        except (MissingGreenlet, StatementError) as error:
            assert "greenlet_spawn has not been called" in str(error)
        else:
            raise AssertionError
        artist = await session.scalar(select(Artist).options(selectinload(Artist.albums)))
        assert [each.name for each in artist.albums] == ["Blue"]
    async with AsyncSession(engine) as session:
        # Values are not validated.
        session.add(Album(name="too long", artist_id=1))
        await session.execute(update(Album).where(Album.id == 1).values(name="too long"))
        await session.commit()
        session.add(Artist(name="Ann"))
        try:
            await session.commit()
        except IntegrityError as error:
            assert "UNIQUE constraint failed" in str(error.orig)  # the constraint is in the driver's text only
        else:
            raise AssertionError
    await engine.dispose()
    print("sqlalchemy", sqlalchemy.__version__)


asyncio.run(main())
