"""Invalid queries: which are refused, when, and with which message."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import Player, Tag, Team, models
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


def refuses(**lookups: Any) -> str:
    """The message with which filter() and exclude() refuse these lookups, before any query is sent."""
    with pytest.raises((orm.FieldError, orm.QueryError)) as caught:
        Player.objects.filter(**lookups)
    with pytest.raises(type(caught.value)):
        Player.objects.exclude(**lookups)
    with pytest.raises(type(caught.value)):
        Player.objects.filter(orm.Q(rank=1) | ~orm.Q(**lookups))
    return str(caught.value)


def test_unknown_name_raises_with_the_choices() -> None:
    message = refuses(nam="x")
    assert "nam" in message and "name" in message
    assert "league" in refuses(team__legue="x")
    assert "Player" in refuses(nope__name="x")
    for name in (
        "team__name__nope",
        "name__team",
        "rank__foo",
        "team__org__nope__name",
        "__name",
        "name__",
        "_",
        "team__",
    ):
        refuses(**{name: "x"})


def test_name_with_sql_raises() -> None:
    for name in ('name"', "name'; --", "name)", "name OR 1=1", "id` = 1 --", "nick__exact' OR '1'='1", "name\x00"):
        refuses(**{name: "x"})
        with pytest.raises(orm.FieldError):
            Player.objects.order_by(name)
        with pytest.raises(orm.FieldError):
            Player.objects.values(name)
        with pytest.raises(orm.FieldError):
            Player.objects.filter(rank=orm.F(name))


async def test_annotation_name_with_sql_raises(world: Database) -> None:
    for name in ('x"; DROP TABLE player; --', "x`", "a b", "x%s", "x:y", "x$1", "?", "'"):
        rows = await Player.objects.filter(id=1).values(**{name: Player.rank})
        assert rows == [{name: 1}]
    assert await Player.objects.count() == 14


def test_lookup_that_the_field_lacks_raises() -> None:
    for where in (
        {"active__gt": True} if False else {"active__contains": "t"},
        {"team__contains": "x"},
        {"team__icontains": "x"},
        {"joined__hour": 12},
        {"name__size": 3},
    ):
        message = refuses(**where)
        assert "lookup" in message
    assert "icontains" in refuses(name__like="x")


def test_value_of_wrong_type_raises() -> None:
    for where in (
        {"rank": "many"},
        {"rank": object()},
        {"rank__in": [1, "x"]},
        {"rank__gt": "x"},
        {"joined": "yesterday"},
        {"joined__range": ("a", "b")},
        {"active": "perhaps"},
        {"team": "red"},
        {"team__in": ["red"]},
        {"name__isnull": "yes"},
        {"name__isnull": 1},
        {"name__isnull": None},
        {"name__regex": 3},
    ):
        refuses(**where)


def test_error_message_hides_the_value() -> None:
    assert "secret" not in refuses(rank="secret")


def test_condition_of_wrong_type_raises() -> None:
    for bad in (True, False, None, "name", 3, {"name": "x"}, ("name", "x"), ["x"], Player, Player(name="x")):
        with pytest.raises(orm.QueryError):
            Player.objects.filter(bad)  # type: ignore[arg-type]
        with pytest.raises(orm.QueryError):
            Player.objects.exclude(bad)  # type: ignore[arg-type]
        with pytest.raises(orm.QueryError):
            Player.objects.filter(orm.Q(bad))  # type: ignore[arg-type]
        with pytest.raises(orm.QueryError):
            Player.objects.filter(orm.Q(name="x") & bad)  # type: ignore[operator]


async def test_get_without_or_with_several_rows_raises_model_and_orm_errors(world: Database) -> None:
    with pytest.raises(Player.DoesNotExist, match="Player"):
        await Player.objects.get(name="nobody")
    with pytest.raises(orm.NoMatch):
        await Player.objects.get(name="nobody")
    with pytest.raises(Player.MultipleObjectsReturned, match="Player"):
        await Player.objects.get(active=True)
    with pytest.raises(orm.MultipleMatches):
        await Player.objects.get(active=True)
    assert not issubclass(Player.DoesNotExist, Team.DoesNotExist)
    with pytest.raises(orm.NoMatch) as caught:
        await Player.objects.get(name="secret")
    assert "secret" not in str(caught.value)


async def test_invalid_query_sends_no_statement(tables: Database) -> None:
    with recorded(tables) as statements:
        for call in (
            lambda: Player.objects.get(nope=1),
            lambda: Player.objects.first(nope=1),
            lambda: Player.objects.filter(rank=1).update(nope=1),
            lambda: Player.objects.create(nope=1),
            lambda: Tag.objects.get_or_create(nope=1),
            lambda: Tag.objects.update_or_create(nope=1),
            lambda: Tag.objects.in_bulk([1], field_name="nope"),
            lambda: Tag.objects.in_bulk(["x"]),
        ):
            with pytest.raises((orm.FieldError, orm.QueryError)):
                await call()
    assert statements == []


async def test_unawaited_queryset_as_list_raises(tables: Database) -> None:
    query: Any = Player.objects.filter(rank=1)
    for use in (list, len, bool, iter):
        with pytest.raises((TypeError, orm.QueryError)):
            use(query)


async def test_objects_on_an_instance_raises(tables: Database) -> None:
    with pytest.raises(AttributeError):
        _ = Player(name="x").objects


def test_registry_without_database_raises() -> None:
    lost = orm.ModelRegistry()

    class Lost(orm.Model):
        registry = lost

    with pytest.raises(orm.QueryError, match="database"):
        _ = Lost.objects.database
    assert models is not lost
