"""order_by(), Meta.ordering, reverse(), NULLs first and last, over relations."""

from __future__ import annotations

from typing import Any

import databases
import pytest
import sqlalchemy

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import PLAYERS, Org, Player, Team, value_at

pytestmark = pytest.mark.anyio


async def keys(query: Any) -> list[int]:
    found: list[int] = await query.values_list("id", flat=True)
    return found


def ordered(*terms: str, rows: list[dict[str, Any]] = PLAYERS) -> list[int]:
    """The keys of the rows, ordered by terms without NULLs."""
    found = list(rows)
    for term in reversed(terms):
        path = term.removeprefix("-")
        found.sort(key=lambda row: value_at(row, path), reverse=term.startswith("-"))
    return [row["id"] for row in found]


async def test_order_by_fields_in_both_directions_and_across_relations(any_world: databases.Database) -> None:
    for terms in (
        ("rank",),
        ("-rank",),
        ("home__id", "-rank"),
        ("-home__league__id", "rank"),
        ("home__league__id", "-home__id", "id"),
        ("active", "-pk"),
        ("-home_id", "+id"),
    ):
        plain = tuple(term.removeprefix("+").replace("pk", "id") for term in terms)
        assert await keys(Player.objects.order_by(*terms)) == ordered(*plain), terms


async def test_order_by_without_terms_removes_the_order(world: Database) -> None:
    assert "ORDER BY" in str(Org.objects.all().sql)
    assert "ORDER BY" not in str(Org.objects.order_by().sql)
    assert "ORDER BY" not in str(Player.objects.order_by("rank").order_by().sql)
    assert str(Player.objects.order_by("name").order_by("rank").sql) == str(Player.objects.order_by("rank").sql)


async def test_default_ordering_applies_without_order_by(any_world: databases.Database) -> None:
    names = await Org.objects.values_list("name", flat=True)
    assert sorted(names) == sorted(["Acme", "acme", "B1", "Ölwerk"])
    assert await Org.objects.order_by("-name").values_list("name", flat=True) == names
    assert await Org.objects.reverse().values_list("name", flat=True) == names[::-1]
    assert await Org.objects.order_by("id").values_list("id", flat=True) == [1, 2, 3, 4]


async def test_order_by_a_relation_uses_its_default_ordering_or_key(any_world: databases.Database) -> None:
    by_key = await keys(Player.objects.order_by("home", "id"))  # Team has no ordering
    assert by_key == ordered("home", "id")
    by_name = await keys(Team.objects.order_by("league", "id"))  # Org's is -name
    assert by_name == await keys(Team.objects.order_by("-league__name", "id"))
    turned = await keys(Team.objects.order_by("-league", "id"))
    assert turned == await keys(Team.objects.order_by("league__name", "id"))
    by_id = await keys(Team.objects.order_by("league_id", "id"))
    assert by_id == [1, 4, 2, 3]
    assert await keys(Team.objects.order_by("league__id", "id")) == by_id
    assert await keys(Team.objects.order_by("league__pk", "id")) == by_id
    deep = await keys(Player.objects.order_by("home__league", "id"))
    assert deep == await keys(Player.objects.order_by("-home__league__name", "id"))


async def test_order_by_across_a_null_relation_keeps_its_rows(any_world: databases.Database) -> None:
    found = await keys(Player.objects.order_by("team__org__name", "id"))
    assert sorted(found) == [row["id"] for row in PLAYERS]
    assert len(await Player.objects.filter(rank__gt=0).order_by("-team__name")) == len(PLAYERS)


async def test_nulls_first_and_last_order_alike_on_each_database(any_world: databases.Database) -> None:
    there = [row for row in PLAYERS if row["score"] is not None]
    up = ordered("score", "id", rows=there)
    down = ordered("-score", "id", rows=there)
    missing = [2, 7]
    for expression in (Player.score, orm.F("score")):
        assert await keys(Player.objects.order_by(expression.asc(nulls_first=True), "id")) == missing + up
        assert await keys(Player.objects.order_by(expression.asc(nulls_last=True), "id")) == up + missing
        assert await keys(Player.objects.order_by(expression.desc(nulls_first=True), "id")) == missing + down
        assert await keys(Player.objects.order_by(expression.desc(nulls_last=True), "id")) == down + missing
    turned = Player.objects.order_by(Player.score.asc(nulls_last=True), "id").reverse()
    assert await keys(turned) == (up + missing)[::-1]
    across = Player.team.org.size.asc(nulls_last=True)
    found = await keys(Player.objects.order_by(across, "id"))
    without = [row["id"] for row in PLAYERS if value_at(row, "team__org__size") is None]
    assert found[-len(without) :] == without


async def test_nulls_first_and_last_together_raise(tables: Database) -> None:
    with pytest.raises(orm.QueryError):
        Player.score.asc(nulls_first=True, nulls_last=True)


async def test_order_by_takes_expressions(any_world: databases.Database) -> None:
    assert await keys(Player.objects.order_by((Player.rank * -1).asc())) == ordered("-rank")
    assert await keys(Player.objects.order_by(-Player.rank)) == ordered("-rank")
    assert await keys(Player.objects.order_by(Player.rank)) == ordered("rank")
    assert await keys(Player.objects.order_by(orm.F("home__id") + 0, Player.rank.desc())) == ordered("home", "-rank")
    assert await keys(Player.objects.order_by((Player.rank % 3).desc(), "id")) == [
        row["id"] for row in sorted(PLAYERS, key=lambda row: (-(row["rank"] % 3), row["id"]))
    ]


async def test_order_by_takes_sqlalchemy_clauses(any_world: databases.Database) -> None:
    assert await keys(Player.objects.order_by(Player.columns.rank.desc())) == ordered("-rank")
    lengths = Player.objects.order_by(sqlalchemy.func.length(Player.columns.name), Player.columns.id)
    assert sorted(await keys(lengths)) == [row["id"] for row in PLAYERS]
    with pytest.raises(orm.QueryError):
        lengths.reverse()


async def test_first_and_last_use_the_order_or_the_primary_key(any_world: databases.Database) -> None:
    async def first(query: Any) -> int | None:
        found = await query.first()
        return None if found is None else int(found.pk)

    async def last(query: Any) -> int | None:
        found = await query.last()
        return None if found is None else int(found.pk)

    players = Player.objects
    assert (await first(players.all()), await last(players.all())) == (1, 14)
    assert (await first(players.order_by("-rank")), await last(players.order_by("-rank"))) == (14, 1)
    assert (await first(players.reverse()), await last(players.reverse())) == (1, 14)  # Unordered: nothing to reverse.
    assert (await first(players.filter(rank__gt=3)), await last(players.filter(rank__lt=3))) == (4, 2)
    assert (await first(players.filter(rank=99)), await last(players.filter(rank=99))) == (None, None)
    assert await first(players.order_by("rank")[3:6]) == 4
    assert await first(players.order_by("home__league__id", "-rank")) == 14
    assert await last(players.order_by("home__league__id", "-rank")) == 6
    assert (await players.first(team__name="Red")).pk == 1
    assert (await players.last(team__name="Red", active=False)).pk == 14
    assert await players.order_by("-id").values_list("id", flat=True).first() == 14
    assert await players.values("id").last() == {"id": 14}
    with pytest.raises(orm.QueryError):
        await players.order_by("id")[:3].last()


async def test_reverse_reverses_every_term(any_world: databases.Database) -> None:
    query = Player.objects.order_by("home__id", "-rank")
    assert await keys(query.reverse()) == ordered("home", "-rank")[::-1]
    assert await keys(query.reverse().reverse()) == ordered("home", "-rank")


async def test_distinct_rows_can_be_ordered_by_an_unselected_column(any_world: databases.Database) -> None:
    found = await Player.objects.order_by("home__id").values_list("home__name", flat=True).distinct()
    assert found == ["Red", "Blue", "red 100%", "Grün"]
    assert await Player.objects.order_by("home_id").values("home_id").distinct() == [
        {"home_id": n} for n in (1, 2, 3, 4)
    ]
    assert await Player.objects.distinct().order_by("-rank").count() == len(PLAYERS)
    assert [p.pk for p in await Player.objects.distinct().order_by("home__league__id", "id")] == ordered(
        "home__league__id", "id"
    )


async def test_order_by_invalid_names_raises(tables: Database) -> None:
    for bad in ("nope", "-nope", "team__nope", "name__icontains", "name__size", "", "-"):
        with pytest.raises(orm.FieldError):
            Player.objects.order_by(bad)
    for worse in (3, None, ["name"], True):
        with pytest.raises(orm.QueryError):
            Player.objects.order_by(worse)  # type: ignore[arg-type]
    with pytest.raises(orm.FieldError):
        Player.objects.order_by(Org.name)


async def test_default_orderings_in_a_circle_raise(sqlite_url: str) -> None:
    models = orm.ModelRegistry(Database(sqlite_url))

    class Hen(orm.Model):
        registry = models

        egg: Any = orm.ForeignKey("Egg", allow_null=True, related_name="+")

        class Meta:
            ordering = ["egg"]

    class Egg(orm.Model):
        registry = models

        hen: Any = orm.ForeignKey(Hen, allow_null=True, related_name="+")

        class Meta:
            ordering = ["hen"]

    with pytest.raises(orm.FieldError, match="circles"):
        str(Hen.objects.all().sql)


expression_models = orm.ModelRegistry()


class Country(orm.Model):
    registry = expression_models

    name = orm.String(max_length=20)
    size = orm.Integer(allow_null=True)

    class Meta:
        ordering = [orm.F("size").desc(nulls_last=True), orm.functions.Lower("name"), orm.F("id") + 0]


class City(orm.Model):
    registry = expression_models

    country = orm.ForeignKey(Country, allow_null=True, related_name="cities")

    class Meta:
        ordering = ["country"]


class Street(orm.Model):
    registry = expression_models

    city = orm.ForeignKey(City, related_name="streets")

    class Meta:
        ordering = ["-city"]


async def test_expressions_of_a_related_ordering_are_followed(database: Database) -> None:
    """Over one relation and over two, in both directions, forwards and backwards."""
    expression_models.database = database
    await expression_models.create_all()
    for name, size in (("b", 1), ("A", 1), ("c", None), ("d", 5)):
        country = await Country.objects.create(name=name, size=size)
        city = await City.objects.create(country=country)
        await Street.objects.create(city=city)
    expected = ["d", "A", "b", "c"]
    for queryset, name in (
        (Country.objects.all(), "name"),
        (City.objects.all(), "country__name"),
        (City.objects.order_by("streets__city"), "country__name"),
        (City.objects.order_by("-streets"), "country__name"),
        (Street.objects.order_by("city"), "city__country__name"),
        (Street.objects.order_by("city__country"), "city__country__name"),
        (Street.objects.reverse(), "city__country__name"),
        (Country.objects.order_by("cities"), "name"),
    ):
        assert await queryset.values_list(name, flat=True) == expected, str(queryset.sql)
    assert await Street.objects.values_list("city__country__name", flat=True) == expected[::-1]
    assert await City.objects.order_by("-country").values_list("country__name", flat=True) == expected[::-1]
