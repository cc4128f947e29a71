"""A tour in one file, which prints the SQL of each statement and its result. Run it with `make demo`.

Everything happens in an SQLite database in memory, which is gone at the end.
"""

from __future__ import annotations

import asyncio
import textwrap

import orm

database = orm.Database("sqlite://")
models = orm.ModelRegistry(database=database)


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100, unique=True)


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    album = orm.ForeignKey(Album, on_delete=orm.CASCADE, related_name="tracks")
    title = orm.String(max_length=100)
    position = orm.Integer(minimum=1)

    class Meta:
        ordering = ["position"]


def show_statement(event: orm.QueryEvent) -> None:
    """Print the SQL of one statement with its values, and how long it took."""
    sql = " ".join(event.sql.split())
    values = f"  {tuple(event.values)!r}" if event.values else ""
    line = f"{sql}{values}  -- {event.seconds * 1000:.2f} ms"
    print(textwrap.fill(line, width=110, initial_indent="  sql  ", subsequent_indent="         "))


def step(title: str, code: str) -> None:
    """Print a heading and the code that follows."""
    print(f"\n{title}\n  py   {code}")


def result(value: object) -> None:
    """Print a result."""
    print(f"   ->  {value!r}")


async def main() -> None:
    """Run the tour."""
    async with database:
        database.add_hook(show_statement)

        step("Create the tables", "await models.create_all()")
        await models.create_all()

        step("Create rows", 'malibu = await Album.objects.create(name="Malibu")')
        malibu = await Album.objects.create(name="Malibu")
        result(malibu)
        step("... many in one statement", "await Track.objects.bulk_create([{...}, {...}, {...}])")
        titles = ["The Bird", "Heart Don't Stand a Chance", "The Waters"]
        tracks = await Track.objects.bulk_create(
            [{"album": malibu, "title": title, "position": n} for n, title in enumerate(titles, start=1)]
        )
        result(tracks)

        step("Filter with lookups", 'await Track.objects.filter(title__icontains="the", position__lt=3)')
        result([track.title for track in await Track.objects.filter(title__icontains="the", position__lt=3)])
        step("... with typed expressions", 'await Track.objects.filter(Track.album.name == "Malibu").count()')
        result(await Track.objects.filter(Track.album.name == "Malibu").count())

        step("A relation that was not loaded", 'track = await Track.objects.get(title="The Bird")')
        track = await Track.objects.get(title="The Bird")
        result(track.album)
        step("Follow the relation", "await track.album.load()")
        await track.album.load()
        result(track.album.name)
        step("... or load both at once", 'await Track.objects.select_related("album").get(title="The Bird")')
        track = await Track.objects.select_related("album").get(title="The Bird")
        result((track.title, track.album.name))

        step("Update one row", 'await track.update(title="The Bird (Live)")')
        await track.update(title="The Bird (Live)")
        result(track.title)
        step("... many, computed by the database", "await Track.objects.update(position=Track.position + 1)")
        result(await Track.objects.update(position=Track.position + 1))
        result(await Track.objects.values_list("position", "title"))

        step("Nothing invalid is sent", 'await Track.objects.create(title="", position=0)')
        try:
            await Track.objects.create(title="", position=0)
        except orm.ValidationError as error:
            result(dict(error))
        step("The database's refusals have names", 'await Album.objects.create(name="Malibu")')
        try:
            await Album.objects.create(name="Malibu")
        except orm.UniqueViolation as error:
            result(error)

        step("Delete", "await malibu.delete()   # its tracks go with it: on_delete=CASCADE")
        result(await malibu.delete())
        step("... and nothing is left", "await Track.objects.exists()")
        result(await Track.objects.exists())


if __name__ == "__main__":
    asyncio.run(main())
