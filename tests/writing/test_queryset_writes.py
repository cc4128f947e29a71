"""`update()`, `delete()`, `create()`, `bulk_create()`, `in_bulk()`: rows written, results, number of statements."""

from __future__ import annotations

from typing import Any

import databases
import pytest
import sqlalchemy

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import PLAYERS, Org, Player, Tag, Team
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


async def keys(query: Any) -> list[int]:
    keys: list[int] = await query.order_by("id").values_list("id", flat=True)
    return keys


# update()


async def test_update_sets_values_and_counts_the_rows_matched(any_world: databases.Database) -> None:
    assert await Player.objects.filter(rank__lte=3).update(name="same", score=None) == 3
    assert await keys(Player.objects.filter(name="same", score__isnull=True)) == [1, 2, 3]
    # Matched, not changed: the same values once more.
    assert await Player.objects.filter(rank__lte=3).update(name="same", score=None) == 3
    assert await Player.objects.filter(rank=99).update(name="x") == 0
    assert await Player.objects.update(active=True) == len(PLAYERS)
    assert await Player.objects.filter(active=True).count() == len(PLAYERS)


async def test_update_with_expressions_uses_the_fields_of_each_row(any_world: databases.Database) -> None:
    assert await Player.objects.exclude(id=9).update(rank=Player.rank + 1) == 13
    assert await Player.objects.exclude(id=9).update(score=orm.F("score") * 2 - orm.F("id")) == 13
    for player, row in zip(await Player.objects.order_by("id"), PLAYERS, strict=True):
        if row["id"] != 9:
            assert player.rank == row["rank"] + 1
            assert player.score == (None if row["score"] is None else row["score"] * 2 - row["id"])
    await Player.objects.filter(id=1).update(name=Player.nick, score=-Player.rank)
    first = await Player.objects.get(id=1)
    assert (first.name, first.score) == ("annie", -2)
    await Player.objects.filter(id=1).update(rank=Player.columns.rank + 5)
    await Player.objects.filter(id=1).update(name=sqlalchemy.func.upper(Player.columns.name), score=5)
    first = await Player.objects.get(id=1)
    assert (first.name, first.score, first.rank) == ("ANNIE", 5, 7)


async def test_update_over_relations_touches_exactly_the_matching_rows(any_world: databases.Database) -> None:
    assert await Player.objects.filter(team__org__name="Acme").update(rank=100) == 4
    assert await keys(Player.objects.filter(rank=100)) == [1, 2, 11, 14]
    assert await Player.objects.exclude(team__org__name="Acme").update(rank=200) == 10
    assert await keys(Player.objects.filter(rank=200)) == [3, 4, 5, 6, 7, 8, 9, 10, 12, 13]
    assert await Player.objects.filter(orm.Q(team=None) | orm.Q(home__name="Red")).update(rank=Player.rank + 1) == 6
    assert await keys(Player.objects.filter(rank__in=[101, 201])) == [1, 3, 5, 6, 11, 12]
    assert (
        await Player.objects.select_related("team").order_by("team__name").filter(team__name="Red").update(rank=1) == 4
    )
    assert await Team.objects.filter(id__in=Team.objects.filter(name="Red")).update(name="Rot") == 1


async def test_update_of_a_relation_takes_instances_keys_and_none(any_world: databases.Database) -> None:
    blue = await Team.objects.get(name="Blue")
    assert await Player.objects.filter(id=1).update(team=blue) == 1
    assert await Player.objects.filter(id=2).update(team=2) == 1
    assert await Player.objects.filter(id=11).update(team_id=2) == 1
    assert await keys(Player.objects.filter(team=blue)) == [1, 2, 3, 10, 11, 13]
    assert await Player.objects.filter(team=blue).update(team=None) == 6
    assert await Player.objects.filter(team=blue).exists() is False
    assert await Player.objects.filter(id=1).update(home=orm.F("home_id") + 1) == 1
    assert (await Player.objects.get(id=1)).home_id == 2


async def test_update_with_invalid_values_raises_before_anything_is_sent(world: Database) -> None:
    with recorded(world) as statements, pytest.raises(orm.ValidationError) as caught:
        await Player.objects.update(name="x" * 51, rank="many", home=None)
    assert statements == []
    assert set(dict(caught.value)) == {"name", "rank", "home"}
    for values in ({"nope": 1}, {"team__name": "x"}, {"rank": Team.id}, {"rank": orm.F("nope")}):
        with pytest.raises(orm.FieldError):
            await Player.objects.update(**values)
    with pytest.raises((orm.FieldError, orm.QueryError), match="related"):
        await Player.objects.update(rank=orm.F("team__org__size"))
    with pytest.raises(orm.QueryError):
        await Player.objects.update()
    with pytest.raises(orm.QueryError):
        await Player.objects.update(team=Team(name="new"))
    with pytest.raises((orm.ValidationError, orm.QueryError)):
        await Player.objects.update(team=Org(id=1))


async def test_update_that_violates_a_constraint_changes_nothing(any_world: databases.Database) -> None:
    await Tag.objects.bulk_create([{"name": "a"}, {"name": "b"}])
    with pytest.raises(orm.UniqueViolation):
        await Tag.objects.update(name="c")
    with pytest.raises(orm.ForeignKeyViolation):
        await Player.objects.update(team=99)
    assert await Tag.objects.order_by("id").values_list("name", flat=True) == ["a", "b"]
    assert await Player.objects.filter(team=99).exists() is False


# delete()


async def test_delete_counts_the_rows_matched(any_world: databases.Database) -> None:
    assert await Player.objects.filter(rank__gt=12).delete() == 2
    assert await Player.objects.filter(rank__gt=12).delete() == 0
    assert await keys(Player.objects.all()) == list(range(1, 13))
    assert await Player.objects.delete() == 12
    assert await Player.objects.count() == 0


async def test_delete_over_relations_touches_exactly_the_matching_rows(any_world: databases.Database) -> None:
    assert await Player.objects.filter(team__org__name="Acme").delete() == 4
    assert await Player.objects.exclude(team__org__size=30).filter(home__league__name="acme").delete() == 3
    assert await keys(Player.objects.all()) == [3, 6, 7, 8, 9, 10, 12]
    assert await Player.objects.filter(home__in=Team.objects.filter(league__name="Ölwerk")).delete() == 3
    assert await Player.objects.order_by("team__name").select_related("home").filter(team=None).delete() == 1
    assert await keys(Player.objects.all()) == [3, 7, 10]


async def test_delete_cascades_in_the_database(any_world: databases.Database) -> None:
    assert await Org.objects.filter(name="acme").delete() == 1  # Team 2's league; team 3's org becomes null.
    assert await keys(Team.objects.all()) == [1, 3, 4]
    assert (await Team.objects.get(id=3)).org is None
    assert await keys(Player.objects.all()) == [1, 6, 7, 8, 9, 11, 12, 14]


async def test_delete_takes_distinct_rows(world: Database) -> None:
    count = await Player.objects.count()
    assert await Player.objects.distinct().delete() == count > 0


# bulk_create()


async def test_bulk_create_of_dicts_and_instances_sets_keys_in_order(any_tables: databases.Database) -> None:
    loose = Tag(name="two", uses=2)
    tags = await Tag.objects.bulk_create([{"name": "one"}, loose, {"name": "three", "note": "x", "uses": 3}])
    assert tags[1] is loose
    assert [tag.pk for tag in tags] == sorted(tag.pk for tag in tags)
    assert len({tag.pk for tag in tags}) == 3
    for tag in tags:
        again = await Tag.objects.get(pk=tag.pk)
        assert (again.name, again.uses, again.note) == (tag.name, tag.uses, tag.note)
    tags[0].name = "uno"
    await tags[0].save()
    assert await Tag.objects.count() == 3
    assert await Tag.objects.bulk_create([]) == []
    assert await Tag.objects.bulk_create(iter([Tag(name="four")])) == [await Tag.objects.get(name="four")]


async def test_bulk_create_of_rows_with_different_columns(any_tables: databases.Database) -> None:
    rows: list[Any] = [{"name": "a"}, {"id": 500, "name": "b"}, {"name": "c"}, {"id": 600, "name": "d", "note": "n"}]
    tags = await Tag.objects.bulk_create(rows)
    assert [tag.name for tag in tags] == ["a", "b", "c", "d"]
    assert (tags[1].pk, tags[3].pk) == (500, 600)
    for tag in tags:
        assert (await Tag.objects.get(pk=tag.pk)).name == tag.name
    later = await Tag.objects.create(name="e")
    assert later.pk not in {tag.pk for tag in tags}


@pytest.mark.parametrize("batch_size", [None, 1, 3, 7, 1000])
async def test_bulk_create_in_batches(any_tables: databases.Database, batch_size: int | None) -> None:
    tags = await Tag.objects.bulk_create([{"name": f"tag {n}", "uses": n} for n in range(10)], batch_size=batch_size)
    stored = dict(await Tag.objects.values_list("id", "uses"))
    assert [stored[tag.pk] for tag in tags] == list(range(10))


async def test_bulk_create_needs_few_statements(tables: Database) -> None:
    with recorded(tables) as statements:
        await Tag.objects.bulk_create([{"name": f"tag {n}"} for n in range(1000)])
    inserts = [text for text in statements.texts if text.startswith("INSERT")]
    assert len(inserts) <= 2
    with recorded(tables) as statements:
        await Tag.objects.bulk_create([{"name": f"more {n}"} for n in range(10)], batch_size=5)
    assert len([text for text in statements.texts if text.startswith("INSERT")]) == 2


async def test_bulk_create_of_twenty_thousand_rows(any_tables: databases.Database) -> None:
    tags = await Tag.objects.bulk_create({"name": f"tag {n}", "uses": n} for n in range(20_000))
    assert await Tag.objects.count() == 20_000
    stored = dict(await Tag.objects.filter(uses__in=range(0, 20_000, 997)).values_list("id", "uses"))
    assert {tag.pk: tag.uses for tag in tags[::997]} == stored


async def test_bulk_create_validates_every_row_before_any_is_sent(tables: Database) -> None:
    with recorded(tables) as statements:
        with pytest.raises(orm.ValidationError):
            await Tag.objects.bulk_create([{"name": "good"}, {"name": "x" * 51}], batch_size=1)
        with pytest.raises(orm.ValidationError):
            await Tag.objects.bulk_create([{"name": "good"}, {"uses": 3}])
        with pytest.raises(orm.FieldError):
            await Tag.objects.bulk_create([{"name": "good"}, {"nope": 3}])
        with pytest.raises(orm.QueryError):
            await Tag.objects.bulk_create([Tag(name="good"), Team(name="x")])  # type: ignore[list-item]
        with pytest.raises(orm.QueryError):
            await Tag.objects.bulk_create(["x"])  # type: ignore[list-item]
        for size in (0, -1):
            with pytest.raises(orm.QueryError):
                await Tag.objects.bulk_create([{"name": "good"}], batch_size=size)
    assert statements == []


async def test_bulk_create_is_one_transaction(any_tables: databases.Database) -> None:
    await Tag.objects.create(name="tag 7")
    with pytest.raises(orm.UniqueViolation):
        await Tag.objects.bulk_create([{"name": f"tag {n}"} for n in range(10)], batch_size=2)
    assert await Tag.objects.values_list("name", flat=True) == ["tag 7"]
    async with any_tables.transaction():
        await Tag.objects.create(name="outer")
        with pytest.raises(orm.UniqueViolation):
            await Tag.objects.bulk_create([{"name": f"tag {n}"} for n in range(10)], batch_size=2)
        await Tag.objects.create(name="after")
    assert sorted(await Tag.objects.values_list("name", flat=True)) == ["after", "outer", "tag 7"]


async def test_bulk_create_that_failed_can_be_repeated_with_the_same_instances(any_tables: databases.Database) -> None:
    await Tag.objects.create(name="taken")
    tags = [Tag(name="free"), Tag(name="taken")]
    with pytest.raises(orm.UniqueViolation):
        await Tag.objects.bulk_create(tags, batch_size=1)
    tags[1].name = "free too"
    created = await Tag.objects.bulk_create(tags)
    assert sorted(await Tag.objects.values_list("name", flat=True)) == ["free", "free too", "taken"]
    assert len({tag.pk for tag in created}) == 2


# create(), in_bulk() and the number of statements


async def test_each_write_is_one_statement(world: Database) -> None:
    player = await Player.objects.get(id=1)
    calls: list[Any] = [
        lambda: Player.objects.get(id=1),
        lambda: Player.objects.first(),
        lambda: Player.objects.last(),
        lambda: Player.objects.count(),
        lambda: Player.objects.exists(),
        lambda: Player.objects.in_bulk([1, 2]),
        lambda: Player.objects.filter(rank=1).update(score=1),
        lambda: Player.objects.filter(rank=14).delete(),
        lambda: Player.objects.select_related("team__org").filter(home__league__name="Acme"),
        lambda: Tag.objects.create(name="one"),
        lambda: Tag.objects.bulk_create([{"name": "two"}, {"name": "three"}]),
        lambda: Tag.objects.get_or_create(name="one"),
        lambda: player.save(),
        lambda: player.update(rank=5),
        lambda: player.load(),
        lambda: player.delete(),
    ]
    for number, call in enumerate(calls):
        with recorded(world) as statements:
            await call()
        assert len(statements) == 1, (number, statements.texts)


async def test_in_bulk_returns_instances_by_key(any_world: databases.Database) -> None:
    players = await Player.objects.in_bulk([3, 1, 99])
    assert {key: player.name for key, player in players.items()} == {1: "Ann", 3: "Bob"}
    assert len(await Player.objects.in_bulk()) == len(PLAYERS)
    assert set(await Player.objects.filter(rank__gt=2).in_bulk([1, 2, 3])) == {3}
    await Tag.objects.bulk_create([{"name": "a"}, {"name": "b"}])
    assert {name: tag.name for name, tag in (await Tag.objects.in_bulk(["b", "z"], field_name="name")).items()} == {
        "b": "b"
    }
    with pytest.raises(orm.QueryError, match="unique"):
        await Player.objects.in_bulk(["Ann"], field_name="name")
    with pytest.raises(orm.FieldError):
        await Player.objects.in_bulk(["Ann"], field_name="nope")


async def test_create_sets_values_that_the_database_generates(any_tables: databases.Database) -> None:
    tag = await Tag.objects.create(name="x")
    assert tag.pk is not None
    assert (tag.uses, tag.note) == (0, None)
    assert await Tag.objects.get(pk=tag.pk) == tag
    keyed = await Tag.objects.create(id=77, name="y")
    assert keyed.pk == 77
    with pytest.raises(orm.UniqueViolation):
        await Tag.objects.create(id=77, name="z")
    with pytest.raises(orm.UniqueViolation):
        await Tag.objects.create(name="x")
    with pytest.raises(orm.FieldError):
        await Tag.objects.create(nope=1)


async def test_create_and_bulk_create_of_rows_with_only_defaults(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Ticket(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)

    await models.create_all()
    first = await Ticket.objects.create()
    second = await Ticket().save()
    assert first.pk is not None
    assert first.pk != second.pk
    tickets = await Ticket.objects.bulk_create([{}, {}])
    assert await Ticket.objects.order_by("id") == [first, second, *tickets]
