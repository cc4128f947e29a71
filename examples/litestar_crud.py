"""Albums and tracks over HTTP, with six routes each: `uvicorn examples.litestar_crud:app`, then see /schema."""

from litestar import Litestar

import orm
from orm.contrib.litestar import OrmPlugin, crud_router
from orm.contrib.pydantic import read_model

database = orm.Database("sqlite:///albums.db")
models = orm.ModelRegistry(database=database)


class Album(orm.Model):
    registry = models

    name = orm.String(max_length=100, unique=True)
    released = orm.Date(allow_null=True)
    price = orm.Decimal(max_digits=8, decimal_places=2, minimum=0)


class Track(orm.Model):
    registry = models

    album = orm.ForeignKey(Album, on_delete=orm.CASCADE, related_name="tracks")
    title = orm.String(max_length=100, description="As on the sleeve.")
    position = orm.Integer(minimum=1)

    class Meta:
        constraints = [orm.UniqueConstraint("album", "position")]


AlbumRead = read_model(Album, nested={"tracks": {"exclude": ["album"]}})
TrackRead = read_model(Track, exclude=["album"], nested={"album": {"include": ["id", "name"]}})

albums = crud_router(Album, read=AlbumRead, filters=["name__icontains", "released__year", "price__lte"])
tracks = crud_router(Track, read=TrackRead, filters=["album", "title__icontains"])

app = Litestar([albums, tracks], plugins=[OrmPlugin(database, create_all=models)])
