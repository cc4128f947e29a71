"""`get_or_create()` and `update_or_create()`: by one task, and by many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import Player, Tag, Team

pytestmark = pytest.mark.anyio
TASKS = 20


async def test_get_or_create_creates_once(any_tables: databases.Database) -> None:
    tag, created = await Tag.objects.get_or_create(name="a", defaults={"uses": 3})
    assert (created, tag.name, tag.uses) == (True, "a", 3)
    again, created = await Tag.objects.get_or_create(name="a", defaults={"uses": 9})
    assert (created, again.pk, again.uses) == (False, tag.pk, 3)
    assert (await Tag.objects.get_or_create({"uses": 1}, name="b"))[0].uses == 1
    assert (await Tag.objects.get_or_create(name__exact="c", uses__gt=100, defaults={"uses": 101}))[1] is True
    assert (await Tag.objects.get_or_create(name__iexact="C", defaults={"name": "c"}))[1] is False
    assert await Tag.objects.count() == 3


async def test_get_or_create_calls_callable_defaults_only_to_create(any_tables: databases.Database) -> None:
    calls: list[int] = []

    def count() -> int:
        calls.append(1)
        return len(calls)

    tag, _ = await Tag.objects.get_or_create(name="a", defaults={"uses": count})
    assert (tag.uses, len(calls)) == (1, 1)
    await Tag.objects.get_or_create(name="a", defaults={"uses": count})
    assert len(calls) == 1
    tag, created = await Tag.objects.update_or_create(name="a", defaults={"uses": count})
    assert (created, tag.uses, len(calls)) == (False, 2, 2)
    tag, created = await Tag.objects.update_or_create(name="b", defaults={"uses": 0}, create_defaults={"uses": count})
    assert (created, tag.uses) == (True, 3)


async def test_update_or_create_updates_or_creates(any_tables: databases.Database) -> None:
    tag, created = await Tag.objects.update_or_create(name="a", defaults={"uses": 3})
    assert (created, tag.uses) == (True, 3)
    tag, created = await Tag.objects.update_or_create(name="a", defaults={"uses": 4, "note": "x"})
    assert (created, tag.uses, tag.note) == (False, 4, "x")
    stored = await Tag.objects.get(name="a")
    assert (stored.pk, stored.uses, stored.note) == (tag.pk, 4, "x")
    tag, created = await Tag.objects.update_or_create(name="b", defaults={"uses": 1}, create_defaults={"note": "new"})
    assert (created, tag.uses, tag.note) == (True, 0, "new")
    tag, created = await Tag.objects.update_or_create({"name": "c"}, name="b")
    assert (created, tag.name) == (False, "c")
    tag, created = await Tag.objects.update_or_create(name="c")
    assert created is False
    tag, created = await Tag.objects.update_or_create(name="c", defaults={"uses": Tag.uses + 10})
    assert (await Tag.objects.get(name="c")).uses == 10
    assert await Tag.objects.count() == 2


async def test_get_or_create_takes_relations_as_lookups_and_defaults(any_world: databases.Database) -> None:
    red = await Team.objects.get(name="Red")
    player, created = await Player.objects.get_or_create(name="new", team=red, defaults={"home": red})
    assert created and player.team is red and player.home_id == 1
    assert await Player.objects.get_or_create(name="new", team=red) == (player, False)
    assert (await Player.objects.get_or_create(name="loose", team=None, defaults={"home_id": 2}))[1] is True
    assert (await Player.objects.get_or_create(name="loose", team=None))[1] is False


async def test_get_or_create_with_invalid_arguments_raises(any_world: databases.Database) -> None:
    with pytest.raises(orm.MultipleMatches):
        await Player.objects.get_or_create(active=True)
    with pytest.raises(orm.FieldError):
        await Tag.objects.get_or_create(nope=1)
    with pytest.raises(orm.FieldError):
        await Tag.objects.get_or_create(name="a", defaults={"nope": 1})
    with pytest.raises(orm.ValidationError):
        await Tag.objects.get_or_create(uses=5)
    with pytest.raises(orm.ForeignKeyViolation):
        await Player.objects.get_or_create(name="x", defaults={"home_id": 99})
    await Tag.objects.create(name="taken", uses=1)
    with pytest.raises(orm.UniqueViolation):
        await Tag.objects.get_or_create(uses=2, defaults={"name": "taken"})
    with pytest.raises(orm.UniqueViolation):
        await Tag.objects.update_or_create(uses=2, defaults={"name": "taken"})
    assert await Tag.objects.count() == 1


async def test_get_or_create_in_a_race_creates_one_row(any_tables: databases.Database) -> None:
    for round_number in range(3):
        name = f"round {round_number}"
        results = await asyncio.gather(
            *(Tag.objects.get_or_create(name=name, defaults={"uses": n}) for n in range(TASKS))
        )
        assert sum(created for _, created in results) == 1
        assert len({tag.pk for tag, _ in results}) == 1
        assert {tag.uses for tag, _ in results} == {(await Tag.objects.get(name=name)).uses}
    assert await Tag.objects.count() == 3


async def test_update_or_create_in_a_race_creates_one_row(any_tables: databases.Database) -> None:
    results = await asyncio.gather(
        *(Tag.objects.update_or_create(name="a", defaults={"uses": n}) for n in range(TASKS))
    )
    assert sum(created for _, created in results) == 1
    assert len({tag.pk for tag, _ in results}) == 1
    assert (await Tag.objects.get()).uses in range(TASKS)


async def test_get_or_create_in_a_race_inside_transactions_creates_one_row(any_tables: databases.Database) -> None:
    """Each task has read in its own transaction before, and must still find the row of the task that was first."""

    async def one(name: str, number: int) -> tuple[Any, bool]:
        async with any_tables.transaction():
            await Tag.objects.filter(name="none").exists()
            results = await Tag.objects.get_or_create(name=name, defaults={"uses": number})
            await Tag.objects.filter(name=name).exists()  # The transaction is whole.
            return results

    if any_tables.url.dialect == "sqlite" and not isinstance(any_tables, Database):
        pytest.skip("A plain database's SQLite transaction that has read cannot wait for another one's writes.")
    for name in ("a", "b", "c", "d"):  # Once the pool has its connections, the tasks come closer.
        results = await asyncio.gather(*(one(name, number) for number in range(TASKS)))
        assert sum(created for _, created in results) == 1
        assert len({tag.pk for tag, _ in results}) == 1
    assert await Tag.objects.count() == 4


async def test_get_or_create_that_fails_keeps_the_outer_transaction_usable(any_tables: databases.Database) -> None:
    async with any_tables.transaction():
        await Tag.objects.create(name="before")
        with pytest.raises(orm.UniqueViolation):
            await Tag.objects.get_or_create(uses=99, defaults={"name": "before"})
        await Tag.objects.create(name="after")
    assert await Tag.objects.order_by("id").values_list("name", flat=True) == ["before", "after"]


forms = orm.ModelRegistry()


@dataclass
class Address:
    street: Annotated[str, orm.String(max_length=20)]
    city: Annotated[str, orm.String(max_length=20)]


class Form(orm.Model):
    registry = forms

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=20, allow_null=True)
    body = orm.Text(allow_null=True)
    email = orm.Email(max_length=40, allow_null=True)
    link = orm.URL(max_length=40, allow_null=True)
    slug = orm.Slug(max_length=20, allow_null=True)
    kept = orm.String(max_length=20, trim_whitespace=False, allow_null=True)
    home = orm.Embedded(Address, allow_null=True)
    work = orm.Embedded(Address, prefix="w_", allow_null=True)


class Code(orm.Model):
    registry = forms

    code = orm.String(max_length=20, primary_key=True)


class Use(orm.Model):
    registry = forms

    id = orm.Integer(primary_key=True)
    of = orm.ForeignKey(Code, on_delete=orm.CASCADE)


@pytest.fixture
async def form_tables(database: Database) -> AsyncIterator[Database]:
    forms.database = database
    await forms.create_all()
    yield database


@pytest.mark.parametrize("exact", ["", "__exact"])
@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("name", " Ann\t", "Ann"),
        ("name", "  ", None),
        ("body", "Ann \n", "Ann"),
        ("email", " a@b.example ", "a@b.example"),
        ("link", " https://a.example ", "https://a.example"),
        ("slug", " a-b ", "a-b"),
        ("kept", " Ann ", " Ann "),
    ],
)
async def test_get_or_create_finds_the_text_that_it_has_written(
    form_tables: Database, name: str, value: str, stored: str | None, exact: str
) -> None:
    lookups = {f"{name}{exact}": value}
    row, created = await Form.objects.get_or_create(**lookups)
    assert created
    assert await Form.objects.values_list(name, flat=True) == [stored]
    assert await Form.objects.get_or_create(**lookups) == (row, False)
    assert await Form.objects.update_or_create({"body": "new"}, **lookups) == (row, False)
    assert await Form.objects.values_list("body", flat=True) == ["new"]


async def test_get_or_create_finds_keys_and_embedded_values_that_it_has_written(form_tables: Database) -> None:
    for created in (True, False):
        assert (await Code.objects.get_or_create(code="c "))[1] is created
    assert (await Code.objects.get_or_create(pk=" c"))[1] is False
    assert (await Code.objects.get_or_create(pk=" d"))[1] is True
    assert (await Code.objects.get_or_create(pk=" d"))[1] is False
    for created in (True, False):
        assert (await Use.objects.get_or_create(of=" c"))[1] is created
        assert (await Use.objects.get_or_create(of_id=" d"))[1] is created
        assert (await Form.objects.get_or_create(home=Address(" s", "c ")))[1] is created
        assert (await Form.objects.get_or_create(work={"street": " s", "city": "c "}))[1] is created
        assert (await Form.objects.get_or_create(home__street="x ", home__city=" y"))[1] is created


async def test_get_or_create_with_parts_of_an_embedded_value_writes_them(form_tables: Database) -> None:
    for lookups, defaults in [
        ({"home__city": "c", "home__street": "s"}, {}),
        ({"home__city__exact": "c", "home__street__exact": "s"}, {}),
        ({"home__city": "c"}, {"home__street": "s"}),
        ({"home_city": "c"}, {"home_street": "s"}),
        ({"home__city": "other"}, {"home": Address("s", "c")}),
        ({"work__city": "c", "home__city": "c"}, {"home__street": "s", "work__street": "s"}),
    ]:
        await Form.objects.all().delete()
        row, created = await Form.objects.get_or_create(defaults, **lookups)
        assert (created, row.home) == (True, Address("s", "c"))
        stored = await Form.objects.get()
        assert stored.home == Address("s", "c")
        assert stored.work == (Address("s", "c") if "work__city" in lookups else None)
        row, created = await Form.objects.update_or_create({"home__street": "new"}, home__city="c")
        assert (created, row.pk) == (False, stored.pk)
        assert (await Form.objects.get()).home == Address("new", "c")
    with pytest.raises(orm.ValidationError, match="home_street"):
        await Form.objects.get_or_create(home__city="alone")
    assert await Form.objects.count() == 1
