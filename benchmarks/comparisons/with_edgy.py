"""Edgy: what docs/comparisons.md says of it."""

import asyncio
import tempfile
from pathlib import Path

import edgy
import pydantic
import sqlalchemy.exc

models = edgy.Registry(database=f"sqlite:///{Path(tempfile.mkdtemp()) / 'edgy.sqlite'}")


class Artist(edgy.Model):
    id: int = edgy.IntegerField(primary_key=True, autoincrement=True)
    name: str = edgy.CharField(max_length=100, unique=True)

    class Meta:
        registry = models


class Album(edgy.Model):
    id: int = edgy.IntegerField(primary_key=True, autoincrement=True)
    name: str = edgy.CharField(max_length=5)
    artist: Artist = edgy.ForeignKey(Artist, related_name="albums")

    class Meta:
        registry = models


async def fails(error, awaitable):
    try:
        await awaitable
    except error:
        return True
    return False


async def main():
    async with models:
        await models.create_all()
        artist = await Artist.query.create(name="Ann")
        await Album.query.create(name="Blue", artist=artist)
        # An attribute of a relation that was not loaded is read by a query of its own, while the event loop waits.
        album = await Album.query.get(name="Blue")
        assert album.artist.name == "Ann"
        # create() validates with Pydantic; update() of a queryset does not, and the row can then not be read.
        assert await fails(pydantic.ValidationError, Album.query.create(name="too long", artist=artist))
        await Album.query.filter(id=1).update(name="too long")
        assert await fails(pydantic.ValidationError, Album.query.select_related("artist"))
        # Errors are SQLAlchemy's; an unknown name is a KeyError.
        assert await fails(sqlalchemy.exc.IntegrityError, Artist.query.create(name="Ann"))
        assert await fails(KeyError, Album.query.filter(nam="Blue"))
        assert issubclass(Album, pydantic.BaseModel)
        assert hasattr(edgy, "FileField") and hasattr(edgy, "ImageField")
        assert not any(hasattr(Album.query, name) for name in ("annotate", "aggregate"))
    print("edgy", edgy.__version__)


asyncio.run(main())
