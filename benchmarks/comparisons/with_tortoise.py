"""Tortoise: what docs/comparisons.md says of it."""

import tortoise
from tortoise import Tortoise, expressions, fields, run_async
from tortoise.exceptions import FieldError, IntegrityError, NoValuesFetched, ValidationError
from tortoise.models import Model
from tortoise.queryset import QuerySet


class Artist(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=100, unique=True)
    albums: fields.ReverseRelation["Album"]


class Album(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=5)
    artist = fields.ForeignKeyField("models.Artist", related_name="albums")


def raises(error, function):
    try:
        function()
    except error:
        return True
    return False


async def fails(error, awaitable):
    try:
        await awaitable
    except error:
        return True
    return False


async def main():
    await Tortoise.init(db_url="sqlite://:memory:", modules={"models": ["__main__"]})
    await Tortoise.generate_schemas()
    artist = await Artist.create(name="Ann")
    await Album.create(name="Blue", artist=artist)
    album = await Album.get(name="Blue")
    # A foreign key that was not loaded is a queryset; a list that was not loaded is an error.
    assert isinstance(album.artist, QuerySet) and (await album.artist).name == "Ann"
    assert raises(NoValuesFetched, lambda: list(artist.albums))
    # Values are validated, also by update() of a queryset.
    assert await fails(ValidationError, Album.create(name="too long", artist=artist))
    assert await fails(ValidationError, Album.filter(id=1).update(name="too long"))
    assert await fails(IntegrityError, Artist.create(name="Ann"))
    assert await fails(FieldError, Album.filter(nam="Blue"))
    # Django's names; subqueries, but no windows, EXISTS or CTEs.
    assert hasattr(expressions, "Subquery") and hasattr(QuerySet, "union")
    assert not any(hasattr(expressions, name) for name in ("Window", "Exists", "OuterRef", "CTE"))
    await Tortoise.close_connections()
    print("tortoise", tortoise.__version__)


run_async(main())
