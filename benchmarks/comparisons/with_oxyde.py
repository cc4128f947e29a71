"""Oxyde: what docs/comparisons.md says of it."""

import asyncio
import tempfile
from pathlib import Path

import oxyde
import pydantic
from oxyde import Field, Model, db, execute_raw


class Artist(Model):
    id: int | None = Field(default=None, db_pk=True)
    name: str = Field(db_unique=True, max_length=100)
    albums: list["Album"] = Field(db_reverse_fk="artist")

    class Meta:
        is_table = True


class Album(Model):
    id: int | None = Field(default=None, db_pk=True)
    name: str = Field(max_length=5)
    artist: Artist | None = Field(default=None, db_on_delete="CASCADE")

    class Meta:
        is_table = True


async def fails(error, awaitable):
    try:
        await awaitable
    except error:
        return True
    return False


async def main():
    await db.init(default=f"sqlite:///{Path(tempfile.mkdtemp()) / 'oxyde.sqlite'}")
    await execute_raw("CREATE TABLE artist (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    await execute_raw("CREATE TABLE album (id INTEGER PRIMARY KEY, name TEXT, artist_id INTEGER)")
    artist = await Artist.objects.create(name="Ann")
    await Album.objects.create(name="Blue", artist_id=artist.id)
    # What was not loaded is null, or an empty list.
    album = await Album.objects.get(name="Blue")
    assert album.artist is None and album.artist_id == 1
    assert (await Artist.objects.get(id=1)).albums == []
    # Rows are Pydantic instances; joins and prefetches load relations; filters go across them.
    assert isinstance(album, pydantic.BaseModel)
    assert (await Album.objects.join("artist").all())[0].artist.name == "Ann"
    assert len((await Artist.objects.prefetch("albums").all())[0].albums) == 1
    assert len(await Album.objects.filter(artist__name__icontains="an").all()) == 1
    # create() validates; update() of a queryset does not, and the row can then not be read.
    assert await fails(pydantic.ValidationError, Album.objects.create(name="too long"))
    await Album.objects.filter(id=1).update(name="too long")
    assert await fails(pydantic.ValidationError, Album.objects.all())
    # Errors are Oxyde's own.
    assert await fails(oxyde.UniqueViolationError, Artist.objects.create(name="Ann"))
    try:
        await Album.objects.filter(nam="Blue").all()
    except oxyde.FieldError as error:
        assert "no field 'nam'" in str(error)
    assert not any(hasattr(oxyde, name) for name in ("Window", "Subquery", "Exists", "CTE"))
    await db.close()
    print("oxyde", oxyde.__version__)


asyncio.run(main())
