"""A record shop: each kind of relation in both directions, with missing and shared rows."""

from __future__ import annotations

from typing import Any

import databases

import orm

models = orm.ModelRegistry()


class Label(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    code = orm.String(max_length=10, unique=True)
    name = orm.String(max_length=50)

    albums: orm.RelatedManager[Album]


class Person(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50)
    mentor: Any = orm.ForeignKey("Person", allow_null=True, on_delete=orm.SET_NULL, related_name="pupils")
    friends: Any = orm.ManyToMany("self")
    follows: Any = orm.ManyToMany("self", symmetrical=False, related_name="followers")

    pupils: orm.RelatedManager[Person]


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50)
    label: Any = orm.ForeignKey(Label, allow_null=True, on_delete=orm.SET_NULL, related_name="albums")
    imprint: Any = orm.ForeignKey(Label, allow_null=True, to_field="code", related_name="imprints")

    tracks: orm.RelatedManager[Track]


class Cover(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    album: Any = orm.OneToOne(Album, on_delete=orm.CASCADE, related_name="cover")
    painter: Any = orm.ForeignKey(Person, allow_null=True, on_delete=orm.CASCADE)
    colour = orm.String(max_length=20)


class Tag(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50)

    tracks: orm.ManyToManyManager[Track]


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    album: Any = orm.ForeignKey(Album, on_delete=orm.CASCADE, related_name="tracks")
    title = orm.String(max_length=50)
    position = orm.Integer()
    plays = orm.Integer(default=0)
    tags: Any = orm.ManyToMany(Tag, related_name="tracks")
    people: Any = orm.ManyToMany(Person, through="Credit", related_name="tracks")

    class Meta:
        ordering = ["position", "id"]


class Credit(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    track: Any = orm.ForeignKey(Track, on_delete=orm.CASCADE, related_name="credits")
    person: Any = orm.ForeignKey(Person, on_delete=orm.CASCADE, related_name="credits")
    role = orm.String(max_length=20)


LABELS = [(1, "obs", "Obsessed"), (2, "sub", "Sub Pop"), (3, "non", "Nonesuch")]
#: Mentors, in the third place.
PEOPLE = [(1, "Ada", None), (2, "Ben", 1), (3, "Cleo", 1), (4, "Dan", 2), (5, "Eve", None), (6, "Fay", None)]
FRIENDS = [(1, 2), (1, 3), (4, 5)]
FOLLOWS = [(1, 2), (2, 1), (3, 1), (4, 1)]
#: Key, name, label, imprint.
ALBUMS = [(1, "Malibu", 1, "sub"), (2, "Fantasies", 2, None), (3, "Blank", None, None), (4, "Oxnard", 1, "sub")]
#: Key, album, painter, colour.
COVERS = [(1, 1, 5, "red"), (2, 4, None, "blue")]
TAGS = [(1, "soul"), (2, "rock"), (3, "live"), (4, "unused")]
#: Key, album, title, position, plays, tags.
TRACKS = [
    (1, 1, "The Bird", 1, 50, [1, 3]),
    (2, 1, "Heart", 2, 70, [1]),
    (3, 1, "The Waters", 3, 70, []),
    (4, 1, "Dreamer", 4, 20, [1, 2, 3]),
    (5, 2, "Help", 1, 90, [2]),
    (6, 2, "Sick Muse", 2, 10, [2, 3]),
    (7, 4, "Saviers", 1, 30, [1]),
]
#: Track, person, role.
CREDITS = [(1, 1, "voice"), (1, 2, "drums"), (2, 1, "voice"), (4, 3, "bass"), (4, 1, "drums"), (5, 4, "voice")]


async def create(database: databases.Database) -> None:
    """Make the tables in this database."""
    models.database = database
    await models.create_all()


async def fill() -> None:
    """Insert the rows."""
    await Label.objects.bulk_create([{"id": i, "code": c, "name": n} for i, c, n in LABELS])
    for key, name, mentor in PEOPLE:
        await Person.objects.create(id=key, name=name, mentor=mentor)
    for one, other in FRIENDS:
        await (await Person.objects.get(id=one)).friends.add(other)
    for one, other in FOLLOWS:
        await (await Person.objects.get(id=one)).follows.add(other)
    await Album.objects.bulk_create([{"id": i, "name": n, "label": la, "imprint": im} for i, n, la, im in ALBUMS])
    await Cover.objects.bulk_create([{"id": i, "album": a, "painter": p, "colour": c} for i, a, p, c in COVERS])
    await Tag.objects.bulk_create([{"id": i, "name": n} for i, n in TAGS])
    for key, album, title, position, plays, tags in TRACKS:
        track = await Track.objects.create(id=key, album=album, title=title, position=position, plays=plays)
        await track.tags.add(*tags)
    await Credit.objects.bulk_create([{"track": t, "person": p, "role": r} for t, p, r in CREDITS])
