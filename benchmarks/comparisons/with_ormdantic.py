"""Ormdantic: what docs/comparisons.md says of it."""

import asyncio
import tempfile
from importlib.metadata import version
from pathlib import Path
from uuid import UUID, uuid4

import sqlalchemy.exc
from ormdantic import Ormdantic
from pydantic import BaseModel, Field, ValidationError

db = Ormdantic(f"sqlite+aiosqlite:///{Path(tempfile.mkdtemp()) / 'ormdantic.sqlite'}")


@db.table(pk="id", unique=["name"])
class Artist(BaseModel):
    id: UUID = Field(default_factory=uuid4)
    name: str = Field(max_length=100)


@db.table(pk="id", indexed=["name"])
class Album(BaseModel):
    id: UUID = Field(default_factory=uuid4)
    name: str = Field(max_length=5)
    artist: Artist | UUID


async def main():
    await db.init()
    artist = await db[Artist].insert(Artist(name="Ann"))
    album = await db[Album].insert(Album(name="Blue", artist=artist))
    # A relation that was not loaded is its key; depth= loads it. Rows are instances of the Pydantic class.
    assert (await db[Album].find_one(album.id)).artist == artist.id
    assert (await db[Album].find_one(album.id, depth=1)).artist.name == "Ann"
    try:
        Album(name="too long", artist=artist)
    except ValidationError:
        pass
    else:
        raise AssertionError
    # Errors are SQLAlchemy's; an unknown name matches nothing, on SQLite.
    try:
        await db[Artist].insert(Artist(name="Ann"))
    except sqlalchemy.exc.IntegrityError:
        pass
    else:
        raise AssertionError
    assert (await db[Album].find_many({"nam": "Blue"})).data == []
    # Queries are by equality, of one table.
    assert not any(hasattr(db[Album], name) for name in ("filter", "annotate", "aggregate", "update_where"))
    print("ormdantic", version("ormdantic"))


asyncio.run(main())
