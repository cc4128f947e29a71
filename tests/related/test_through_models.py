"""Many-to-many relations over a custom through model."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from tests.related.models import Album, Credit, Part, Person, Track
from tests.related.test_many_to_many_managers import verbs
from tests.statement_recorder import recorded


async def rows() -> tuple[Any, ...]:
    people = await Person.objects.bulk_create([{"name": name} for name in ("Ann", "Bob")])
    return (*people, *await Album.objects.bulk_create([{"code": code} for code in "ab"]))


async def test_add_over_a_through_model_without_unique_constraint_adds_pairs_once(library: Database) -> None:
    ann, bob, a, b = await rows()
    await ann.albums.add(a, through_defaults={"role": "singer", "by": bob})
    with recorded(library) as sent:
        await ann.albums.add(a, b, "b", through_defaults={"role": lambda: "drummer"})
    assert verbs(sent) == ["SELECT", "INSERT"]
    credits = await Credit.objects.order_by("id").values_list("person_id", "album_id", "role", "by_id")
    assert credits == [(ann.pk, "a", "singer", bob.pk), (ann.pk, "b", "drummer", None)]
    assert await a.people == [ann] and await bob.albums == []
    # Keys are those that the through model holds.
    await b.people.add(bob.pk)
    await bob.albums.remove("b")
    await bob.albums.add("a")
    assert await bob.albums == [a]
    await a.people.set([ann])
    assert (await Credit.objects.get(album=a)).role == "singer"
    await a.people.set([ann], clear=True, through_defaults={"role": "new"})
    assert (await Credit.objects.get(album=a)).role == "new"


@pytest.mark.parametrize(
    "options", [{"condition": orm.Q(active=True)}, {"databases": ["cockroachdb"]}], ids=["some rows", "elsewhere"]
)
async def test_unique_constraint_that_does_not_always_hold_lets_no_pair_be_added_twice(
    database: Database, options: dict[str, Any]
) -> None:
    class Club(orm.Model):
        registry = orm.ModelRegistry(database=database)

        id = orm.Integer(primary_key=True)
        players: Any = orm.ManyToMany("Player", through="Membership")

    class Player(orm.Model):
        registry = Club.registry

        id = orm.Integer(primary_key=True)

    class Membership(orm.Model):
        registry = Club.registry

        id = orm.Integer(primary_key=True)
        club: Any = orm.ForeignKey(Club)
        player: Any = orm.ForeignKey(Player)
        active = orm.Boolean(default=False)

        class Meta:
            constraints = [orm.UniqueConstraint("club", "player", name="one_membership", **options)]

    await Club.registry.create_all()
    club, player = await Club.objects.create(), await Player.objects.create()
    await club.players.add(player)
    await club.players.add(player)
    assert await Membership.objects.count() == 1


async def test_pair_that_exists_twice_counts_twice(library: Database) -> None:
    ann, _, a, _ = await rows()
    await Credit.objects.bulk_create([{"person": ann, "album": a, "role": role} for role in ("x", "y")])
    assert await ann.albums == [a, a] and await ann.albums.count() == 2
    assert await ann.albums.distinct() == [a]
    await ann.albums.remove(a)
    assert await Credit.objects.count() == 0


async def test_through_fields_choose_the_foreign_keys(library: Database) -> None:
    ann, bob, a, _ = await rows()
    await Credit.objects.create(person=ann, album=a, by=bob)
    assert await a.people == [ann] and await bob.albums == []
    assert await Person.objects.filter(albums=a) == [ann]
    assert await Person.objects.filter(albums__in=["a"]) == [ann]
    assert await Person.objects.filter(credits__role="?", albums__code="a") == [ann]


async def test_add_over_a_through_model_with_a_required_column_takes_through_defaults(library: Database) -> None:
    ann, bob, *_ = await rows()
    x, y = await Track.objects.bulk_create([{"title": title} for title in "xy"])
    with pytest.raises(orm.ValidationError) as caught:
        await ann.plays.add(x)
    assert dict(caught.value) == {0: {"instrument": "This field is required."}}
    with pytest.raises(orm.FieldError, match="instrumnet"):
        await ann.plays.add(x, through_defaults={"instrumnet": "bass"})
    with recorded(library) as sent:
        await ann.plays.add(x, y, through_defaults={"instrument": "bass"})
        await ann.plays.add(x, through_defaults={"instrument": "drums"})
    assert verbs(sent) == ["INSERT", "INSERT"]
    assert await Part.objects.values_list("instrument", flat=True) == ["bass", "bass"]
    song = await bob.plays.create(title="z", through_defaults={"instrument": "flute"})
    oboe_song, created = await bob.plays.get_or_create(title="q", through_defaults={"instrument": "oboe"})
    assert created and {track.title for track in await bob.plays} == {"z", "q"}
    assert (await Part.objects.get(track=oboe_song)).instrument == "oboe"
    assert await bob.plays.get_or_create(title="z") == (song, False)
    await bob.plays.bulk_create([{"title": "r"}], through_defaults={"instrument": "harp"})
    await bob.plays.update_or_create(title="s", through_defaults={"instrument": "lute"})
    assert await bob.parts.order_by("id").values_list("instrument", flat=True) == ["flute", "oboe", "harp", "lute"]
    # Nothing is left of a row whose pair was refused.
    with pytest.raises(orm.ValidationError):
        await bob.plays.create(title="lost")
    assert not await Track.objects.filter(title="lost").exists()
    assert await x.players == [ann]


def through_of(**members: Any) -> Any:
    models = orm.ModelRegistry()

    class Writer(orm.Model):
        registry = models

    class Book(orm.Model):
        registry = models
        writers = orm.ManyToMany(Writer, through="Contract", **members.pop("relation", {}))

    fields = {name: orm.ForeignKey(to, related_name="+") for name, to in members.items()}
    type("Contract", (orm.Model,), {"registry": models, **fields})
    return Book


@pytest.mark.parametrize(
    "members",
    [
        {"book": "Book"},
        {"writer": "Writer"},
        {"book": "Book", "writer": "Writer", "agent": "Writer"},
        {"book": "Book", "writer": "Writer", "relation": {"through_fields": ("writer", "book")}},
        {"book": "Book", "writer": "Writer", "relation": {"through_fields": ("book", "nobody")}},
    ],
)
def test_through_model_that_does_not_fit_raises(members: Any) -> None:
    with pytest.raises(orm.FieldError, match=r"Book\.writers"):
        through_of(**members)


def test_through_model_is_resolved_by_name() -> None:
    book = through_of(book="Book", writer="Writer")
    assert book._meta.accessors["writers"].through.__name__ == "Contract"
    chosen = through_of(book="Book", writer="Writer", agent="Writer", relation={"through_fields": ("book", "agent")})
    assert chosen._meta.accessors["writers"].remote_key.name == "agent"


def test_through_model_that_is_never_declared_raises() -> None:
    models = orm.ModelRegistry()

    class Page(orm.Model):
        registry = models
        links = orm.ManyToMany("self", through="Lnik")

    for use in (lambda: models.metadata, lambda: Page.links, lambda: Page().links):
        with pytest.raises(orm.FieldError, match=r"Page\.links's through points to 'Lnik'"):
            use()
