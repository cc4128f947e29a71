"""Piccolo: what docs/comparisons.md says of it."""

import asyncio
import sqlite3
import tempfile
from importlib.metadata import version
from pathlib import Path

from piccolo.columns import ForeignKey, Varchar
from piccolo.engine.sqlite import SQLiteEngine
from piccolo.query import functions
from piccolo.query.methods.update import UpdateError
from piccolo.table import Table, create_db_tables

DB = SQLiteEngine(path=str(Path(tempfile.mkdtemp()) / "piccolo.sqlite"))


class Artist(Table, db=DB):
    name = Varchar(length=100, unique=True)


class Album(Table, db=DB):
    name = Varchar(length=5)
    artist = ForeignKey(Artist)


async def fails(error, awaitable):
    try:
        await awaitable
    except error:
        return True
    return False


async def main():
    await create_db_tables(Artist, Album)
    artist = Artist(name="Ann")
    await artist.save()
    await Album(name="Blue", artist=artist).save()
    # A relation that was not loaded is its key; there are no reverse relations.
    album = await Album.objects().first()
    assert album.artist == 1 and (await album.get_related(Album.artist)).name == "Ann"
    assert (await Album.objects(Album.artist).first()).artist.name == "Ann"
    assert not hasattr(Artist, "albums") and not hasattr(Artist, "album_set")
    # Values are not validated: a length is the database's, and SQLite has none.
    await Album(name="too long", artist=artist).save()
    await Artist(name=3).save()
    assert (await Artist.select(Artist.name).order_by(Artist.id))[1]["name"] == "3"
    # Errors are the driver's.
    assert await fails(sqlite3.IntegrityError, Artist(name="Ann").save())
    # Columns are attributes, across relations too; an update of all rows asks for force=True.
    rows = await Album.select(Album.name, Album.artist.name).where(Album.artist.name == "Ann")
    assert rows[0] == {"name": "Blue", "artist.name": "Ann"}
    try:
        await Album.update({Album.name: "x"})
    except UpdateError as error:
        assert "force=True" in str(error)
    else:
        raise AssertionError
    assert not any(hasattr(functions, name) for name in ("Window", "RowNumber", "Exists", "Subquery"))
    print("piccolo", version("piccolo"))


asyncio.run(main())
