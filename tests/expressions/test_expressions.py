"""Typed fields, `F`, `Value` and arithmetic: in filters, orderings, values, and in SQLAlchemy statements."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import databases
import pytest
import sqlalchemy

import orm
from orm.database.connections.database import Database
from orm.expressions.base import Comparison
from tests.sample_models.players import PLAYERS, Org, Player, Team, value_at

pytestmark = pytest.mark.anyio


async def keys(query: Any) -> list[int]:
    rows: list[int] = await query.order_by("id").values_list("id", flat=True)
    return rows


def matching(*paths: str, test: Any) -> list[int]:
    candidates = [(row["id"], [value_at(row, path) for path in paths]) for row in PLAYERS]
    return [key for key, values in candidates if None not in values and test(*values)]


@pytest.mark.parametrize(
    ("typed", "keyword"),
    [
        (Player.name == "Ann", {"name": "Ann"}),
        (Player.name.iexact("ANN"), {"name__iexact": "ANN"}),
        (Player.name.contains("n"), {"name__contains": "n"}),
        (Player.name.icontains("N"), {"name__icontains": "N"}),
        (Player.name.startswith("A"), {"name__startswith": "A"}),
        (Player.name.istartswith("a"), {"name__istartswith": "a"}),
        (Player.name.endswith("n"), {"name__endswith": "n"}),
        (Player.name.iendswith("N"), {"name__iendswith": "N"}),
        (Player.name.regex("^A"), {"name__regex": "^A"}),
        (Player.name.iregex("^a"), {"name__iregex": "^a"}),
        (Player.score > 5, {"score__gt": 5}),
        (Player.score >= 5, {"score__gte": 5}),
        (Player.score < 5, {"score__lt": 5}),
        (Player.score <= 5, {"score__lte": 5}),
        (Player.score.in_([5, 10]), {"score__in": [5, 10]}),
        (Player.score.range(1, 5), {"score__range": (1, 5)}),
        (Player.score.is_null(), {"score__isnull": True}),
        (Player.score.is_null(False), {"score__isnull": False}),
        (Player.score == None, {"score": None}),  # noqa: E711
        (Player.team.org.name == "Acme", {"team__org__name": "Acme"}),
        (Player.team == 1, {"team": 1}),
        (Player.team.pk == 1, {"team__pk": 1}),
        (Player.team_id == 1, {"team_id": 1}),
        (Player.team.org_id == 1, {"team__org_id": 1}),
        (Player.home.league.name.icontains("ACME"), {"home__league__name__icontains": "ACME"}),
        (Player.joined > datetime.date(2024, 1, 1), {"joined__gt": datetime.date(2024, 1, 1)}),
    ],
    ids=str,
)
async def test_typed_comparisons_match_the_rows_of_keyword_lookups(
    world: Database, typed: Comparison, keyword: dict[str, Any]
) -> None:
    by_keyword = Player.objects.filter(**keyword)
    assert str(Player.objects.filter(typed).sql) == str(by_keyword.sql)
    assert await keys(Player.objects.filter(typed)) == await keys(by_keyword)
    assert await keys(Player.objects.exclude(typed)) == await keys(Player.objects.exclude(**keyword))
    assert await keys(Player.objects.filter(~typed)) == await keys(Player.objects.exclude(**keyword))


async def test_filter_with_arithmetic_matches_rows(any_world: databases.Database) -> None:
    players = Player.objects
    assert await keys(players.filter(Player.rank + 1 == 3)) == [2]
    assert await keys(players.filter(rank__gt=Player.score)) == matching("rank", "score", test=lambda r, s: r > s)
    assert await keys(players.filter(rank__gt=orm.F("score") + 1)) == matching(
        "rank", "score", test=lambda r, s: r > s + 1
    )
    assert await keys(players.filter(Player.rank * 2 - 1 > Player.score)) == matching(
        "rank", "score", test=lambda r, s: r * 2 - 1 > s
    )
    assert await keys(players.filter(10 - Player.rank < Player.home_id)) == matching(
        "rank", "home", test=lambda r, h: 10 - r < h
    )
    assert await keys(players.filter((Player.rank + Player.home_id) * 2 == 8)) == matching(
        "rank", "home", test=lambda r, h: (r + h) * 2 == 8
    )
    assert await keys(players.filter(Player.rank - (Player.home_id - 1) == 4)) == matching(
        "rank", "home", test=lambda r, h: r - (h - 1) == 4
    )
    assert await keys(players.filter(Player.rank % 2 == 0)) == matching("rank", test=lambda r: r % 2 == 0)
    assert await keys(players.filter(-Player.rank > -3)) == [1, 2]
    assert await keys(players.filter(rank=orm.Value(3))) == [3]


async def test_filter_and_exclude_with_arithmetic_across_relations_match_rows(any_world: databases.Database) -> None:
    matching_keys = matching("rank", "team__org__size", test=lambda r, s: r + 1 > s)
    assert await keys(Player.objects.filter(Player.rank + 1 > Player.team.org.size)) == matching_keys
    assert await keys(Player.objects.filter(rank__gt=orm.F("team__org__size") - 1)) == matching_keys
    # What is computed from NULL is neither true nor false; a field that is NULL is excluded by nothing.
    others = matching("rank", "team__org__size", test=lambda r, s: r + 1 <= s)
    without_rank = [row["id"] for row in PLAYERS if row["rank"] is None]
    assert await keys(Player.objects.exclude(rank__gt=orm.F("team__org__size") - 1)) == sorted([*others, *without_rank])
    assert await keys(Player.objects.exclude(Player.rank + 1 > Player.team.org.size)) == others
    same = matching("team__league__name", "home__league__name", test=lambda a, b: a == b)
    assert await keys(Player.objects.filter(team__league__name=orm.F("home__league__name"))) == same


async def test_expressions_return_the_types_of_their_fields(any_database: databases.Database) -> None:
    models = orm.ModelRegistry(any_database)

    class Item(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        price = orm.Decimal(max_digits=8, decimal_places=2)
        weight = orm.Float()
        count = orm.Integer()
        lasts = orm.Duration()
        day = orm.Date()

    await models.create_all()
    one = await Item.objects.create(
        price="1.50", weight=2.5, count=7, lasts=datetime.timedelta(days=1), day=datetime.date(2024, 2, 28)
    )
    row = (
        await Item.objects.values(
            price=Item.price + 1,
            total=Item.price * Item.count,
            weight=Item.weight / 2,
            product=Item.count * 3,
        )
    )[0]
    assert row["price"] == decimal.Decimal("2.50") and type(row["price"]) is decimal.Decimal
    assert row["total"] == decimal.Decimal("10.50")
    assert row["weight"] == 1.25
    assert row["product"] == 21 and type(row["product"]) is int
    assert await Item.objects.filter(price__lt=Item.price + decimal.Decimal("0.01")).count() == 1
    assert await Item.objects.filter(weight=Item.weight * 1.0).count() == 1
    await Item.objects.update(price=Item.price * 2, weight=Item.weight + 0.5, count=Item.count - 10)
    again = await Item.objects.get(pk=one.pk)
    assert (again.price, again.weight, again.count) == (decimal.Decimal("3.00"), 3.0, -3)


async def test_expressions_in_sqlalchemy_statements_compile(world: Database) -> None:
    statement = (
        sqlalchemy.select(
            Player.name, (Player.rank + 1).label("next") if hasattr(Player.rank, "label") else Player.rank + 1
        )
        .where(Player.rank > 12)
        .order_by(Player.rank.desc())
    )
    rows = await world.fetch_all(statement)
    assert [tuple(row._mapping.values()) for row in rows] == [("two\nlines", 15), ("Zed", 14)]
    statement = sqlalchemy.select(Player.id).where(Player.name.icontains("ANN") & (Player.rank < 2))
    assert [row[0] for row in await world.fetch_all(statement)] == [1]
    joined = sqlalchemy.select(Team.name).join(Org.table, Team.columns.org == Org.columns.id).where(Org.name == "acme")
    assert [row[0] for row in await world.fetch_all(joined)] == ["red 100%"]
    changed = sqlalchemy.update(Player.table).where(Player.id == 1).values(rank=Player.rank + 10)
    await world.execute(changed)
    assert (await Player.objects.get(id=1)).rank == 11


async def test_conditions_and_expressions_as_booleans_raise(tables: Database) -> None:
    for thing in (orm.Q(name="x"), Player.rank > 3, Player.name == "x", Player.rank, orm.F("rank"), Player.rank + 1):
        with pytest.raises(orm.QueryError):
            bool(thing)
    with pytest.raises(orm.QueryError, match="&"):
        _ = (Player.rank > 3) and (Player.rank < 5)
    with pytest.raises(orm.QueryError):
        _ = 3 < Player.rank < 5  # type: ignore[operator]
    with pytest.raises(TypeError):
        list(Player.name)  # type: ignore[call-overload]
    with pytest.raises(orm.QueryError):
        _ = Player.rank in [1, 2]


async def test_expression_of_another_model_raises(tables: Database) -> None:
    for make in (
        lambda: Player.objects.filter(Team.name == "x"),
        lambda: Player.objects.filter(name=Team.name),
        lambda: Player.objects.exclude(rank__gt=Org.size),
        lambda: Player.objects.order_by(Team.name),
        lambda: Player.objects.values(x=Team.name),
        lambda: Player.objects.filter(orm.Q(rank=1) | (Org.name == "x")),
    ):
        with pytest.raises(orm.FieldError):
            make()


async def test_lookup_without_expressions_given_one_raises(tables: Database) -> None:
    for where in ({"score__range": orm.F("rank")}, {"name__regex": Player.nick}):
        with pytest.raises(orm.QueryError):
            Player.objects.filter(**where)


async def test_expressions_of_abstract_model_work_on_its_subclasses(any_database: databases.Database) -> None:
    models = orm.ModelRegistry(any_database)

    class Named(orm.Model):
        name = orm.String(max_length=20)

        class Meta:
            abstract = True

    class Cat(Named):
        registry = models

    class Dog(Named):
        registry = models

    await models.create_all()
    await Cat.objects.create(name="Tom")
    await Dog.objects.create(name="Rex")
    assert (await Cat.objects.get(Cat.name == "Tom")).name == "Tom"
    assert (await Dog.objects.get(Named.name == "Rex")).name == "Rex"
    with pytest.raises(orm.FieldError):
        Cat.objects.filter(Dog.name == "Rex")


def test_expressions_have_a_readable_repr() -> None:
    assert repr(Player.team.org.name) == "Player.team.org.name"
    assert "rank" in repr(Player.rank + 1) and "1" in repr(Player.rank + 1)
    assert "icontains" in repr(Player.name.icontains("x"))
    assert "team__name" in repr(orm.Q(team__name="Red"))
    assert hash(Player.rank) is not None
    with pytest.raises(orm.FieldError, match="nope"):
        _ = Player.team.nope
    with pytest.raises(AttributeError):
        _ = Player.nope  # type: ignore[attr-defined]
    with pytest.raises(orm.QueryError):
        orm.F(3)  # type: ignore[arg-type]
