"""Every lookup, over every kind of path, compared with Python on the same rows."""

from __future__ import annotations

import datetime
import decimal
import enum
import re
import uuid
from collections.abc import Callable
from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import PLAYERS, Org, Player, Team, value_at
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio

TEXT_PATHS = ("name", "nick", "team__name", "home__name", "team__org__name", "team__league__name", "home__org__name")
NUMBER_PATHS = ("score", "rank", "team__org__size", "home__org__size", "home__league__size", "id", "team", "team_id")
# What LIKE, GLOB, REGEXP and string literals give a meaning to, and what does not.
TEXTS = ("a", "A", "ann", "100%", "%", "_", "a_b", "!", "\\", "*", "?", "[", "]", "[set]", "'", '"', "-", "", " ")
TEXTS += ("Zed", "Zed ", "\n", "🎉", "Red", "red", "Acme", "ß", "ä", "Ä")

TextTest = Callable[[str, str], bool]
TEXT_LOOKUPS: dict[str, TextTest] = {
    "exact": lambda value, text: value == text,
    "contains": lambda value, text: text in value,
    "startswith": lambda value, text: value.startswith(text),
    "endswith": lambda value, text: value.endswith(text),
}
# Simple folding, one character to one: "ß" stays itself, as in PostgreSQL's and MySQL's own.
FOLDED_LOOKUPS: dict[str, TextTest] = {
    "iexact": lambda value, text: value.lower() == text.lower(),
    "icontains": lambda value, text: text.lower() in value.lower(),
    "istartswith": lambda value, text: value.lower().startswith(text.lower()),
    "iendswith": lambda value, text: value.lower().endswith(text.lower()),
}
ORDER_LOOKUPS: dict[str, Callable[[Any, Any], bool]] = {
    "exact": lambda value, other: bool(value == other),
    "gt": lambda value, other: bool(value > other),
    "gte": lambda value, other: bool(value >= other),
    "lt": lambda value, other: bool(value < other),
    "lte": lambda value, other: bool(value <= other),
}


def matching(path: str, test: Callable[..., bool], *others: Any) -> list[int]:
    """The keys of the players whose value at `path` passes the test, with the others given; NULL never does."""
    values = [(row["id"], value_at(row, path)) for row in PLAYERS]
    return [key for key, value in values if value is not None and test(value, *others)]


async def keys(query: Any) -> list[int]:
    """The keys of a query's rows, in order."""
    result: list[int] = await query.order_by("id").values_list("id", flat=True)
    return result


def everyone_but(some: list[int]) -> list[int]:
    return [row["id"] for row in PLAYERS if row["id"] not in some]


@pytest.mark.parametrize("lookup", TEXT_LOOKUPS)
async def test_text_lookup_is_case_sensitive_and_literal(any_world: databases.Database, lookup: str) -> None:
    test = TEXT_LOOKUPS[lookup]
    for path in TEXT_PATHS:
        for text in TEXTS:
            expected = matching(path, test, text)
            where = {f"{path}__{lookup}": text}
            assert await keys(Player.objects.filter(**where)) == expected, where
            if path in ("name", "team__org__name"):
                assert await keys(Player.objects.exclude(**where)) == everyone_but(expected), where


@pytest.mark.parametrize("lookup", FOLDED_LOOKUPS)
async def test_case_insensitive_text_lookup_is_literal(world: Database, lookup: str) -> None:
    test = FOLDED_LOOKUPS[lookup]
    for path in ("name", "nick", "team__org__name", "home__name"):
        for text in TEXTS:
            if text == "ß":
                continue  # One letter to some databases, "ss" to Python's casefold.
            expected = matching(path, test, text)
            where = {f"{path}__{lookup}": text}
            assert await keys(Player.objects.filter(**where)) == expected, where
            assert await keys(Player.objects.exclude(**where)) == everyone_but(expected), where


@pytest.mark.parametrize("lookup", ORDER_LOOKUPS)
async def test_number_comparison_matches_python(any_world: databases.Database, lookup: str) -> None:
    test = ORDER_LOOKUPS[lookup]
    for path in NUMBER_PATHS:
        for number in (-5, 0, 1, 5, 10, 2_000_000_000, 2**40, -(2**40), 2**63 - 1, -(2**63)):
            expected = matching(path, test, number)
            where = {f"{path}__{lookup}": number}
            assert await keys(Player.objects.filter(**where)) == expected, where
            assert await keys(Player.objects.exclude(**where)) == everyone_but(expected), where


@pytest.mark.parametrize("lookup", ORDER_LOOKUPS)
async def test_comparison_with_number_beyond_the_column_is_numeric(world: Database, lookup: str) -> None:
    test = ORDER_LOOKUPS[lookup]
    for number in (2**63, -(2**63) - 1, 10**40, -(10**40)):
        expected = matching("score", test, number)
        assert await keys(Player.objects.filter(**{f"score__{lookup}": number})) == expected, number
        assert await keys(Player.objects.exclude(**{f"score__{lookup}": number})) == everyone_but(expected), number


async def test_date_comparison_finds_rows(world: Database) -> None:
    for lookup, test in ORDER_LOOKUPS.items():
        for date in (datetime.date(2024, 2, 29), datetime.date(1999, 12, 31), datetime.date(2030, 1, 1)):
            expected = matching("joined", test, date)
            assert await keys(Player.objects.filter(**{f"joined__{lookup}": date})) == expected
            assert await keys(Player.objects.filter(**{f"joined__{lookup}": date.isoformat()})) == expected
            assert await keys(Player.objects.exclude(**{f"joined__{lookup}": date})) == everyone_but(expected)


async def test_text_comparison_partitions_the_rows(world: Database) -> None:
    for path in ("name", "team__org__name"):
        below = await keys(Player.objects.filter(**{f"{path}__lt": "Red"}))
        above = await keys(Player.objects.filter(**{f"{path}__gte": "Red"}))
        assert sorted(below + above) == matching(path, lambda value: True)


async def test_boolean_lookup_finds_rows(any_world: databases.Database) -> None:
    for truth in (True, False):
        expected = [row["id"] for row in PLAYERS if row["active"] is truth]
        assert await keys(Player.objects.filter(active=truth)) == expected
        assert await keys(Player.objects.exclude(active=truth)) == everyone_but(expected)
        assert await keys(Player.objects.filter(active__in=[truth])) == expected


async def test_exact_none_is_isnull(any_world: databases.Database) -> None:
    for path in (*TEXT_PATHS, *NUMBER_PATHS, "joined", "team__org", "team__org_id", "team__league", "team__pk"):
        missing = everyone_but(matching(path, lambda value: True))
        for where in ({path: None}, {f"{path}__exact": None}, {f"{path}__isnull": True}):
            assert await keys(Player.objects.filter(**where)) == missing, where
            assert await keys(Player.objects.exclude(**where)) == everyone_but(missing), where
        assert await keys(Player.objects.filter(**{f"{path}__isnull": False})) == everyone_but(missing), path
        assert await keys(Player.objects.exclude(**{f"{path}__isnull": False})) == missing, path
    assert await keys(Player.objects.filter(nick__iexact=None)) == [2]


@pytest.mark.parametrize(
    "lookup",
    ["gt", "gte", "lt", "lte", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "regex"],
)
async def test_lookup_with_none_that_never_matches_raises(tables: Database, lookup: str) -> None:
    with pytest.raises(orm.QueryError, match="None"):
        Player.objects.filter(**{f"name__{lookup}": None})
    with pytest.raises(orm.QueryError, match="None"):
        Player.objects.exclude(**{f"team__org__name__{lookup}": None})


async def test_range_includes_its_bounds(any_world: databases.Database) -> None:
    for path in ("score", "team__org__size", "home__org__size"):
        for low, high in ((0, 10), (5, 5), (10, 0), (-(2**70), 7), (7, 2**70), (2**65, 2**66)):
            expected = matching(path, lambda value, least, most: least <= value <= most, low, high)
            assert await keys(Player.objects.filter(**{f"{path}__range": (low, high)})) == expected, (path, low, high)
            assert await keys(Player.objects.exclude(**{f"{path}__range": [low, high]})) == everyone_but(expected)
    spring = (datetime.date(2024, 2, 1), datetime.date(2024, 3, 1))
    assert await keys(Player.objects.filter(joined__range=spring)) == [3, 9, 12, 14]


@pytest.mark.parametrize("value", [5, (1,), (1, 2, 3), "ab", None, (None, 3), (1, None)])
async def test_range_without_two_values_raises(tables: Database, value: Any) -> None:
    with pytest.raises(orm.QueryError):
        Player.objects.filter(score__range=value)


# __in


@pytest.mark.parametrize(
    "make",
    [list, tuple, set, frozenset, iter, lambda v: (x for x in v), dict.fromkeys],
    ids=["list", "tuple", "set", "frozenset", "iterator", "generator", "dict"],
)
async def test_in_reads_any_iterable_once(any_world: databases.Database, make: Callable[[Any], Any]) -> None:
    query = Player.objects.filter(score__in=make([10, 5, 99]))
    assert await keys(query) == [1, 3, 4, 8, 14]
    assert await keys(query) == [1, 3, 4, 8, 14]


async def test_in_across_relations_and_in_exclude(any_world: databases.Database) -> None:
    for path, values in (("team__org__name", ["Acme", "B1"]), ("home__league__name", ["acme"]), ("team", [1, 2])):
        expected = matching(path, lambda value, some: value in some, values)
        assert await keys(Player.objects.filter(**{f"{path}__in": values})) == expected
        assert await keys(Player.objects.exclude(**{f"{path}__in": values})) == everyone_but(expected)


async def test_in_with_empty_list_sends_no_query(world: Database) -> None:
    with recorded(world) as statements:
        nothing = Player.objects.filter(name__in=[])
        assert await nothing == []
        assert await nothing.count() == 0
        assert await nothing.exists() is False
        assert await nothing.first() is None
        assert await nothing.update(rank=1) == 0
        assert await nothing.delete() == 0
        assert [row async for row in nothing] == []
        assert await Player.objects.filter(name__in=[], rank=1) == []
        assert await Player.objects.filter(rank=1).filter(team__org__name__in=()) == []
        assert await Player.objects.filter(score__in=[None]) == []
        assert await Player.objects.filter(rank__in=[2**80]) == []
        assert await Player.objects.in_bulk([]) == {}
        assert await Player.objects.none() == []
        assert await Player.objects.none().count() == 0
        assert await Player.objects.filter(team__in=Team.objects.none()) == []
    assert statements == []
    everyone = [row["id"] for row in PLAYERS]
    assert await keys(Player.objects.exclude(name__in=[])) == everyone
    assert await keys(Player.objects.filter(orm.Q(name__in=[]) | orm.Q(rank=1))) == [1]
    assert await keys(Player.objects.filter(~orm.Q(name__in=[]))) == everyone


async def test_in_with_none_matches_no_null(any_world: databases.Database) -> None:
    assert await keys(Player.objects.filter(score__in=[None, 10])) == [1, 8, 14]
    assert await keys(Player.objects.filter(team__in=[None, 3])) == [4, 9]
    # What is not one of them stays: NULL too.
    assert await keys(Player.objects.exclude(score__in=[None, 10])) == everyone_but([1, 8, 14])
    assert await keys(Player.objects.exclude(score__in=[None])) == [row["id"] for row in PLAYERS]


async def test_in_with_fifty_thousand_values(any_world: databases.Database) -> None:
    assert await keys(Player.objects.filter(rank__in=range(3, 50_003))) == list(range(3, 15))
    texts = [f"value {number}" for number in range(50_000)] + ["Bob"]
    assert await keys(Player.objects.filter(name__in=texts)) == [3]
    assert await keys(Player.objects.exclude(rank__in=range(3, 50_003))) == [1, 2]


async def test_in_with_numbers_beyond_the_column(world: Database) -> None:
    assert await keys(Player.objects.filter(score__in=[10, 2**40, 2**90, -(2**90)])) == [1, 8, 14]
    assert await keys(Player.objects.filter(id__in=["1", 2.0, 3])) == [1, 2, 3]


async def test_in_with_queryset_is_one_statement(any_world: databases.Database) -> None:
    orgs = Org.objects.filter(size=10)
    assert await keys(Player.objects.filter(team__org__in=orgs)) == [1, 2, 11, 14]
    assert await keys(Player.objects.exclude(team__org__in=orgs)) == everyone_but([1, 2, 11, 14])
    teams = Team.objects.filter(org__in=orgs)
    assert await keys(Player.objects.filter(team__in=teams, score__in=[10, 3])) == [1, 11, 14]
    names = Team.objects.filter(league__name="Acme").values_list("name", flat=True)
    assert await keys(Player.objects.filter(home__name__in=names)) == [1, 3, 7, 10, 11, 12, 14]
    assert await keys(Player.objects.filter(home__name__in=Team.objects.values("name"))) == [r["id"] for r in PLAYERS]
    limited = Team.objects.order_by("-id")[:2]
    assert await keys(Player.objects.filter(home__in=limited)) == [6, 7, 8, 9, 10, 14]
    assert await keys(Player.objects.filter(home__in=Team.objects.order_by("id").limit(2).offset(1))) == [
        2,
        4,
        5,
        6,
        8,
        9,
        13,
    ]


async def test_in_with_queryset_of_same_model(any_world: databases.Database) -> None:
    older = Player.objects.filter(rank__lt=4)
    assert await keys(Player.objects.filter(pk__in=older, score__isnull=False)) == [1, 3]
    assert await Player.objects.filter(pk__in=older.filter(score=10)).update(rank=100) == 1
    assert await Player.objects.filter(pk__in=older).delete() == 2


async def test_exclude_in_queryset_with_nulls_is_not_in_of_sql(any_world: databases.Database) -> None:
    """``NOT IN (…, NULL)`` is never true, as in Django: see test_querysets_against_django.py."""
    scores = Player.objects.filter(rank__in=[1, 2]).values_list("score", flat=True)  # 10 and NULL
    assert await keys(Player.objects.filter(score__in=scores)) == [1, 8, 14]
    assert await keys(Player.objects.exclude(score__in=scores)) == [2, 7]
    assert await keys(Player.objects.exclude(score__in=scores.filter(score__isnull=False))) == everyone_but([1, 8, 14])


@pytest.mark.parametrize("value", ["abc", b"abc", 5, None])
async def test_in_with_value_that_is_not_a_list_raises(tables: Database, value: Any) -> None:
    with pytest.raises(orm.QueryError):
        Player.objects.filter(name__in=value)


async def test_in_with_queryset_of_another_model_raises(tables: Database) -> None:
    with pytest.raises(orm.QueryError, match="Team"):
        Player.objects.filter(team__in=Org.objects.all())
    with pytest.raises(orm.QueryError, match="columns"):
        Player.objects.filter(team__in=Team.objects.values_list("id", "name"))


# Regular expressions


def found_by(value: str, pattern: str, flags: int = 0) -> bool:
    return re.search(pattern, value, flags) is not None


async def test_regex_is_case_sensitive_and_iregex_is_not(any_world: databases.Database) -> None:
    for path in ("name", "nick", "team__org__name"):
        for pattern in ("^A", "n+", "[0-9]{3}", "^$", "^(ann|Bob)$", "r.d"):
            expected = matching(path, found_by, pattern)
            assert await keys(Player.objects.filter(**{f"{path}__regex": pattern})) == expected, pattern
            assert await keys(Player.objects.exclude(**{f"{path}__regex": pattern})) == everyone_but(expected), pattern
            expected = matching(path, found_by, pattern, re.IGNORECASE)
            assert await keys(Player.objects.filter(**{f"{path}__iregex": pattern})) == expected, pattern


async def test_regex_with_escaped_metacharacters_is_literal(world: Database) -> None:
    for text in ("100%", "[set]", "star*", "back\\slash", "it's"):
        expected = matching("name", TEXT_LOOKUPS["contains"], text)
        assert await keys(Player.objects.filter(name__regex=re.escape(text))) == expected, text


async def test_regex_with_invalid_pattern_raises(world: Database) -> None:
    for pattern in ("(", "*a", "[a", "a{2,1}", "(?", "\\"):
        with pytest.raises(orm.DataError):
            await Player.objects.filter(name__regex=pattern)


# Relations and keys


async def test_relation_lookup_takes_instances_and_keys(any_world: databases.Database) -> None:
    red = await Team.objects.get(name="Red")
    acme = await Org.objects.get(name="Acme")
    for where in ({"team": red}, {"team": 1}, {"team_id": 1}, {"team__pk": 1}, {"team__id": 1}, {"team__exact": red}):
        assert await keys(Player.objects.filter(**where)) == [1, 2, 11, 14], where
        assert await keys(Player.objects.exclude(**where)) == everyone_but([1, 2, 11, 14]), where
    assert await keys(Player.objects.filter(team__org=acme)) == [1, 2, 11, 14]
    assert await keys(Player.objects.filter(team__in=[red, 3])) == [1, 2, 4, 9, 11, 14]
    assert await keys(Player.objects.filter(home__league=acme)) == [1, 3, 7, 10, 11, 12, 14]
    assert await keys(Player.objects.filter(team=Team(pk=1))) == [1, 2, 11, 14]


async def test_relation_lookup_by_key_has_no_join(world: Database) -> None:
    for where in ({"team": 1}, {"team__id": 1}, {"team__pk__in": [1]}, {"team__isnull": True}, {"team_id__gt": 1}):
        assert "JOIN" not in str(Player.objects.filter(**where).sql), where
    assert str(Player.objects.filter(team__org__id=1, team__org__isnull=False).sql).count("JOIN") == 1


async def test_relation_lookup_with_wrong_instance_raises(world: Database) -> None:
    with pytest.raises(orm.QueryError, match="Team"):
        Player.objects.filter(team=await Org.objects.get(name="Acme"))
    with pytest.raises(orm.QueryError, match="save"):
        Player.objects.filter(team=Team(name="new"))
    with pytest.raises(orm.QueryError):
        Player.objects.filter(team__in=[Org(id=1)])


# Kinds of field


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


async def test_lookups_of_every_other_field_type(any_database: databases.Database) -> None:
    things = orm.ModelRegistry(any_database)

    class Thing(orm.Model):
        registry = things

        id = orm.Integer(primary_key=True)
        price = orm.Decimal(max_digits=10, decimal_places=2, allow_null=True)
        weight = orm.Float(allow_null=True)
        made = orm.DateTime(timezone=True, allow_null=True)
        at = orm.Time(allow_null=True)
        lasts = orm.Duration(allow_null=True)
        key = orm.UUID(allow_null=True)
        colour = orm.Enum(Colour, allow_null=True)
        data = orm.JSON(allow_null=True)
        blob = orm.Binary(max_length=20, allow_null=True)
        big = orm.BigInteger(allow_null=True)

    await things.create_all()
    utc = datetime.timezone.utc
    east = datetime.timezone(datetime.timedelta(hours=2))
    one = uuid.UUID(int=1)
    await Thing.objects.bulk_create(
        [
            {
                "price": "1.50",
                "weight": 1.5,
                "made": datetime.datetime(2024, 1, 1, 12, 0, 0, 5, tzinfo=utc),
                "at": datetime.time(12, 30),
                "lasts": datetime.timedelta(days=1),
                "key": one,
                "colour": Colour.RED,
                "data": {"a": [1, None]},
                "blob": b"\0\xff",
                "big": 2**62,
            },
            {
                "price": "10.00",
                "weight": -0.25,
                "made": datetime.datetime(2024, 6, 1, tzinfo=utc),
                "at": datetime.time(9),
                "lasts": datetime.timedelta(seconds=-5),
                "key": uuid.UUID(int=2),
                "colour": Colour.GREEN,
                "data": [1, 2],
                "blob": b"abc",
                "big": -(2**62),
            },
            {},
        ]
    )
    both, first, second = [1, 2], [1], [2]
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({"price": decimal.Decimal("1.5")}, first),
        ({"price": "10"}, second),
        ({"price__gt": 2}, second),
        ({"price__lt": decimal.Decimal("9.99")}, first),
        ({"price__in": [decimal.Decimal("1.50"), 10]}, both),
        ({"price__range": (1, 2)}, first),
        ({"price__contains": "1.5"}, first),
        ({"weight": 1.5}, first),
        ({"weight__lt": 0}, second),
        ({"weight__in": [1.5, -0.25]}, both),
        ({"made": datetime.datetime(2024, 1, 1, 14, 0, 0, 5, tzinfo=east)}, first),
        ({"made__gt": datetime.datetime(2024, 1, 1, 14, 0, 0, 5, tzinfo=east)}, second),
        ({"made__gte": "2024-01-01T12:00:00.000005Z"}, both),
        ({"made__in": [datetime.datetime(2024, 6, 1, 2, tzinfo=east)]}, second),
        ({"made__range": ("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z")}, first),
        ({"at": datetime.time(12, 30)}, first),
        ({"at__lt": "10:00"}, second),
        ({"at__in": [datetime.time(9)]}, second),
        ({"lasts": datetime.timedelta(days=1)}, first),
        ({"lasts__lt": datetime.timedelta(0)}, second),
        ({"lasts__in": [datetime.timedelta(days=1), datetime.timedelta(seconds=-5)]}, both),
        ({"key": one}, first),
        ({"key": str(one)}, first),
        ({"key__in": [one.hex, uuid.UUID(int=2)]}, both),
        ({"colour": Colour.RED}, first),
        ({"colour": "green"}, second),
        ({"colour__in": [Colour.RED, "green"]}, both),
        ({"data": {"a": [1, None]}}, first),
        ({"data": [1, 2]}, second),
        ({"data": [2, 1]}, []),
        ({"blob": b"\0\xff"}, first),
        ({"blob__in": [b"abc", b"\0"]}, second),
        ({"big": 2**62}, first),
        ({"big__lt": 0}, second),
        ({"big__in": [2**62, -(2**62)]}, both),
        ({"big__contains": "4611686018427387904"}, both),
    ]
    for where, expected in cases:
        assert await keys(Thing.objects.filter(**where)) == expected, where
        assert await keys(Thing.objects.exclude(**where)) == [key for key in (1, 2, 3) if key not in expected], where
    for name in Thing.fields:
        assert await keys(Thing.objects.filter(**{f"{name}__isnull": True})) == ([] if name == "id" else [3])


async def test_text_lookups_of_numbers_and_dates_match_their_text(any_world: databases.Database) -> None:
    assert await keys(Player.objects.filter(rank__startswith="1")) == [1, 10, 11, 12, 13, 14]
    assert await keys(Player.objects.filter(rank__regex="^1.$")) == [10, 11, 12, 13, 14]
    assert await keys(Player.objects.filter(joined__startswith="2024-02")) == [3, 9]
    assert await keys(Player.objects.filter(rank__contains=1)) == [1, 10, 11, 12, 13, 14]


async def test_search_matches_every_text_field(any_world: databases.Database) -> None:
    assert await keys(Player.objects.search("ANN")) == [1, 2]
    assert await keys(Player.objects.search("a_b")) == [4]
    assert await keys(Player.objects.search("%")) == [4, 11]
    assert await keys(Player.objects.filter(rank__gt=1).search("ann")) == [2]
    assert await Player.objects.search("").count() == len(PLAYERS)
