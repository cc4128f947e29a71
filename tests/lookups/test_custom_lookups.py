"""Registered lookups: the one of `docs/your-own-lookup.md` over every path, registering again, and mistakes."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy

import orm
from orm.database.connections.database import Database
from orm.functions import Coalesce, Lag, Length, Lower
from orm.lookups import base as lookup_module
from orm.lookups import transforms as transform_module

pytestmark = pytest.mark.anyio


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


async def test_transform_with_further_arguments_passes_them_wherever_a_name_is_used(database: Database) -> None:
    @orm.transforms.register("without", "text")
    class Without(orm.Func[str]):
        """The text with "b" replaced by "y"."""

        function = "REPLACE"

        def __init__(self, expression: Any) -> None:
            super().__init__(expression, orm.Value("b"), orm.Value("y", output_field=orm.Text()))

    @orm.transforms.register("or_none", "text")
    class OrNone(Coalesce):
        def __init__(self, expression: Any) -> None:
            super().__init__(expression, None, orm.Value("none"))

    person = await filled(database)
    people = person.objects.order_by("id")
    assert await people.filter(name__without="y").values_list("id", flat=True) == [2]
    assert await people.exclude(nick__without="y").values_list("id", flat=True) == [1, 3, 4]
    assert (await person.objects.get(name__without="c", boss__name__without="y")).id == 3
    assert (await person.objects.get(name__without="d", boss__name__without="y")).id == 4
    assert await people.filter(name__without__or_none__in=["y", "a"]).values_list("id", flat=True) == [1, 2]
    assert await people.values_list("nick__or_none__without", flat=True) == ["none", "y", "x", "none"]
    assert await people.filter(name__without=orm.F("nick__without")).values_list("id", flat=True) == [2]
    groups = person.objects.values("nick__or_none").annotate(n=orm.Count("id")).filter(n__gt=0, nick__or_none__gt="a")
    expected = [{"nick__or_none": "b", "n": 1}, {"nick__or_none": "none", "n": 2}, {"nick__or_none": "x", "n": 1}]
    assert await groups.order_by("nick__or_none") == expected
    assert await person.objects.aggregate(last=orm.Max("nick__or_none")) == {"last": "x"}
    page = await person.objects.order_by("nick__or_none", "id").page(size=1)
    page = await person.objects.order_by("nick__or_none", "id").page(after=page.next_cursor)
    assert [item.id for item in page.items] == [1, 4, 3]
    assert await person.objects.filter(name__without="y").update(nick=orm.F("nick__without")) == 1
    assert (await person.objects.get(id=2)).nick == "y"


def test_transform_that_needs_more_than_a_value_is_refused(sqlite_url: str) -> None:
    @orm.transforms.register("wrapped", "text")
    class Wrapped(Lower):
        def __init__(self, expression: Any) -> None:
            super().__init__(Length(expression))

    @orm.transforms.register("beside", "text")
    class Beside(Coalesce):
        def __init__(self, expression: Any) -> None:
            super().__init__(expression, "name")

    person = declare(orm.Database(sqlite_url))
    with pytest.raises(orm.FieldError, match=r"'wrapped', Wrapped, must pass the argument"):
        person.objects.filter(name__wrapped="a")
    with pytest.raises(orm.FieldError, match=r"Beside\(F\('name'\), F\('name'\)\).*plain values, not F\('name'\)"):
        person.objects.order_by("name__beside")
    for function in (orm.Max, Lag):
        with pytest.raises(orm.FieldError, match=r"'top': \w+ is of several rows"):
            orm.transforms.register("top", "text")(function)


async def test_lookup_that_binds_another_number_of_values_is_refused(sqlite_url: str) -> None:
    @orm.lookups.register
    class Either(orm.lookups.Lookup):
        name = "either"
        takes_expression = False

        def prepare(self, field: Any, value: Any) -> Any:
            return orm.lookups.Prepared(tuple(value))

        def build(self, column: Any, field: Any, variant: Any, bind: Any) -> Any:
            return column.in_([bind(field.comparison_type()), bind(field.comparison_type())])

    async with orm.Database(sqlite_url) as database:
        person = await filled(database)
        for _ in range(3):
            assert await person.objects.filter(name__either="ab", boss=1).count() == 1
            assert (await person.objects.get(name__either="ab", boss=1)).id == 2
            # The plan for two values must not be used: the third would be the boss.
            for values in ("a", "abc", "abcd", ""):
                with pytest.raises(orm.QueryError, match=rf"'either' prepared {len(values)} values and bound 2"):
                    await person.objects.filter(name__either=values, boss=1).delete()
                with pytest.raises(orm.QueryError, match=rf"'either' prepared {len(values)} values and bound 2"):
                    await person.objects.get(name__either=values, boss=1)
        assert await person.objects.count() == len(PEOPLE)


@pytest.mark.parametrize("prepared", [None, 1, "a", ("a",), ["a"]])
def test_lookup_that_prepares_anything_else_is_refused_by_name(sqlite_url: str, prepared: Any) -> None:
    @orm.lookups.register
    class Bare(orm.lookups.Lookup):
        name = "bare"

        def prepare(self, field: Any, value: Any) -> Any:
            return prepared

    person = declare(orm.Database(sqlite_url))
    with pytest.raises(orm.QueryError, match=r"'bare': Bare\.prepare\(\) returned .* orm\.lookups\.Prepared"):
        person.objects.filter(name__bare="a")


async def test_constant_that_its_column_cannot_convert_is_refused(sqlite_url: str) -> None:
    class Pair(orm.Field[tuple[str, str]], stored_as=orm.String(max_length=9)):
        def convert(self, value: Any) -> Any:
            return tuple(value.split("-")) if isinstance(value, str) else value

        def to_database(self, value: Any) -> str:
            return f"{value[0]}-{value[1]}"

    @orm.lookups.register
    class IsBlank(orm.lookups.Lookup):
        name = "is_blank"
        takes_expression = False

        def prepare(self, field: Any, value: Any) -> Any:
            return orm.lookups.Prepared((), variant=bool(value))

        def build(self, column: Any, field: Any, variant: Any, bind: Any) -> Any:
            return column == ("" if variant else sqlalchemy.literal("", sqlalchemy.String()))

    async with orm.Database(sqlite_url) as database:
        models = orm.ModelRegistry(database=database)

        class Match(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            teams = Pair()

        await models.create_all()
        assert await Match.objects.filter(teams__is_blank=False).count() == 0
        with pytest.raises(orm.QueryError, match=r"A constant in a query of Match .* raised IndexError"):
            await Match.objects.filter(teams__is_blank=True)
        with pytest.raises(orm.QueryError, match=r"A value of type tuple in a query of Match .* raised IndexError"):
            await Match.objects.filter(teams=("a",))
