"""Django's ORM in async code: what docs/comparisons.md says of it."""

import asyncio

import django
from django.conf import settings
from django.core.exceptions import FieldError, SynchronousOnlyOperation

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:peer?mode=memory&cache=shared"}},
    INSTALLED_APPS=[],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.db import IntegrityError, connection, models, transaction  # noqa: E402


class Artist(models.Model):
    name = models.CharField(max_length=100, unique=True)

    class Meta:
        app_label = "music"


class Album(models.Model):
    name = models.CharField(max_length=5)
    artist = models.ForeignKey(Artist, models.CASCADE, related_name="albums")

    class Meta:
        app_label = "music"


with connection.schema_editor() as editor:
    editor.create_model(Artist)
    editor.create_model(Album)


async def main():
    artist = await Artist.objects.acreate(name="Ann")
    await Album.objects.acreate(name="Blue", artist=artist)
    album = await Album.objects.aget(name="Blue")
    # Reading a relation that was not loaded sends a query, which async code may not.
    try:
        album.artist.name  # noqa: B018
    except SynchronousOnlyOperation:
        pass
    else:
        raise AssertionError
    # save(), create() and update() do not validate; full_clean() does, if it is called.
    await Album.objects.acreate(name="too long", artist=artist)
    await Album.objects.filter(name="Blue").aupdate(name="too long")
    assert await Album.objects.filter(name="too long").acount() == 2
    try:
        Album.objects.filter(nam="Blue")
    except FieldError as error:
        assert "nam" in str(error)
    # There is no transaction in async code.
    assert not hasattr(transaction.Atomic, "__aenter__")
    try:
        await Artist.objects.acreate(name="Ann")
    except IntegrityError:
        pass
    else:
        raise AssertionError
    print("django", django.__version__)


asyncio.run(main())
