"""Registered lookups: the one of `docs/your-own-lookup.md` over every path, registering again, and mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.functions import Length, Lower
from orm.lookups import base as lookup_module
from orm.lookups import transforms as transform_module

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def registries_restored() -> Iterator[None]:
    transforms = dict(transform_module.transforms)
    lookups = {name: list(same_name) for name, same_name in lookup_module.lookups.items()}
    yield
    transform_module.transforms.clear()
    transform_module.transforms.update(transforms)
    lookup_module.lookups.clear()
    lookup_module.lookups.update(lookups)


def register_not_equal() -> None:
    @orm.lookups.register
    class NotEqual(orm.lookups.Lookup):
        name = "ne"
        matches_null = True

        def render(self, column: Any, operand: Any, field: Any) -> Any:
            return column.is_distinct_from(operand)


def declare(database: Any) -> Any:
    models = orm.ModelRegistry(database=database)

    class Person(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=9)
        nick = orm.String(max_length=9, allow_null=True)
        boss = orm.ForeignKey("Person", allow_null=True, on_delete=orm.CASCADE, related_name="staff")

    return Person


PEOPLE = (("a", None, None), ("b", "b", 1), ("c", "x", 2), ("d", None, 2))


async def filled(database: Database) -> Any:
    person = declare(database)
    await person.registry.create_all()
    for name, nick, boss in PEOPLE:
        await person.objects.create(name=name, nick=nick, boss_id=boss)
    return person


def values_at(row: int, path: str) -> list[Any]:
    """The values that a path leads to from a person; a row that is missing is one None."""
    rows: list[int | None] = [row]
    *relations, name = path.split("__")
    for relation in relations:
        if relation == "boss":
            rows = [None if r is None else PEOPLE[r - 1][2] for r in rows]
        else:
            staff = [[i for i, p in enumerate(PEOPLE, 1) if p[2] == r] if r is not None else [] for r in rows]
            rows = [found for group in staff for found in group or [None]]
    return [None if r is None else PEOPLE[r - 1][("name", "nick").index(name)] for r in rows]


@pytest.mark.parametrize(
    "path", ["nick", "boss__nick", "boss__name", "staff__nick", "staff__name", "boss__staff__nick"]
)
@pytest.mark.parametrize("other", ["b", "x", None, "F name", "F nick"])
async def test_lookup_that_matches_null_is_true_of_null_under_not_too(
    database: Database, path: str, other: Any
) -> None:
    register_not_equal()
    person = await filled(database)
    value = orm.F(other[2:]) if other and other.startswith("F ") else other
    for negated in (False, True):
        expected = []
        for row, (name, nick, _) in enumerate(PEOPLE, 1):
            operand = {"F name": name, "F nick": nick}.get(other, other)
            if any(found != operand for found in values_at(row, path)) is not negated:
                expected.append(row)
        rows = person.objects.exclude(**{f"{path}__ne": value}) if negated else None
        rows = person.objects.filter(**{f"{path}__ne": value}).distinct() if rows is None else rows
        assert await rows.order_by("id").values_list("id", flat=True) == expected


async def test_lookup_registered_again_replaces_one_that_was_used(database: Database) -> None:
    person = await filled(database)

    @orm.lookups.register
    class Like(orm.lookups.Lookup):
        name = "same_as"

        def render(self, column: Any, operand: Any, field: Any) -> Any:
            return column == operand

    @orm.transforms.register("changed", "text")
    class Changed(Lower):
        pass

    for _ in range(3):
        assert await person.objects.filter(name__same_as="a").count() == 1
        assert (await person.objects.get(name__same_as="a")).name == "a"
        assert await person.objects.filter(name__changed="a").count() == 1

    @orm.lookups.register
    class Unlike(orm.lookups.Lookup):
        name = "same_as"

        def render(self, column: Any, operand: Any, field: Any) -> Any:
            return column != operand

    orm.transforms.register("changed", "text")(Length)
    assert await person.objects.filter(name__same_as="a").count() == 3
    with pytest.raises(orm.MultipleMatches):
        await person.objects.get(name__same_as="a")
    assert await person.objects.filter(name__changed=1).count() == 4


@pytest.mark.parametrize("returned", [None, True, False, 1, "name = 1"])
async def test_lookup_that_returns_no_sql_is_refused_by_name(sqlite_url: str, returned: Any) -> None:
    @orm.lookups.register
    class Forgot(orm.lookups.Lookup):
        name = "forgot"

        def render(self, column: Any, operand: Any, field: Any) -> Any:
            return returned

    @orm.lookups.register
    class ForgotToBuild(orm.lookups.Lookup):
        name = "forgot_to_build"

        def build(self, column: Any, field: Any, variant: Any, bind: Any) -> Any:
            bind(field.comparison_type())
            return returned

    async with orm.Database(sqlite_url) as database:
        person = await filled(database)
        conditions: list[dict[str, Any]] = [{"name__forgot": "z"}, {"name__forgot": orm.F("nick")}]
        for condition in conditions:
            for rows in (person.objects.filter(**condition), person.objects.exclude(**condition)):
                with pytest.raises(orm.QueryError, match=r"'forgot'.*Forgot\.render\(\) returned"):
                    await rows.delete()
        with pytest.raises(orm.QueryError, match=r"'forgot_to_build'.*ForgotToBuild\.build\(\) returned"):
            await person.objects.filter(name__forgot_to_build="z")
        assert await person.objects.count() == len(PEOPLE)


@pytest.mark.parametrize(
    "members",
    [
        *({"name": name} for name in ("a__b", "", "_x", "x_", "a b", "x;y", None, 3)),
        {},
        *(
            {"name": "zz", "families": families}
            for families in ("text", frozenset({"txt"}), frozenset(), {"text", 3}, 3)
        ),
        {"name": "zz", "requires": "is_orderd"},
    ],
)
def test_lookup_with_senseless_members_is_refused_at_registration(members: dict[str, Any]) -> None:
    before = set(lookup_module.lookups)
    with pytest.raises(orm.FieldError):
        orm.lookups.register(type("Senseless", (orm.lookups.Lookup,), members))
    assert set(lookup_module.lookups) == before


def test_registration_of_what_is_no_class_of_its_kind_is_refused() -> None:
    for other in (int, orm.lookups.Exact(), "ne", None):
        with pytest.raises(orm.FieldError):
            orm.lookups.register(other)  # type: ignore[arg-type]
    for other in (int, Length("name"), Length.build, None):
        with pytest.raises(orm.FieldError, match="'zz'"):
            orm.transforms.register("zz", "text")(other)  # type: ignore[type-var]
    with pytest.raises(orm.FieldError, match="'txt'"):
        orm.transforms.register("zz", "txt")
    assert not any(name == "zz" for _, name in transform_module.transforms)
