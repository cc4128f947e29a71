"""The field of `docs/your-own-field.md` in every use of a field, on every database: one class is all that it takes."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, NamedTuple

import databases
import pytest
import typesystem

import orm
from orm.database.connections.database import Database
from orm.expressions.base import Expression
from orm.functions import Cast, Coalesce, JSONObject, Length
from orm.lookups.base import lookups
from orm.query.cursors import decode_cursor
from tests.docs.test_docs import PYTHON, ROOT, blocks
from tests.migrations.test_migrations import Project, operations

pytestmark = pytest.mark.anyio
PAGE = ROOT / "docs/your-own-field.md"


def classes_of_the_page() -> str:
    """The imports of the page's code, and its classes: the value, the field and the lookup, without the model."""
    text = PAGE.read_text(encoding="utf-8")
    code = "\n".join(block.code for block in blocks(text) if PYTHON.match(block.info))
    nodes = ast.parse(code).body
    wanted = [
        node
        for node in nodes
        if isinstance(node, (ast.Import, ast.ImportFrom)) or (isinstance(node, ast.ClassDef) and node.name != "Theme")
    ]
    return "\n\n".join(ast.unparse(node) for node in wanted)


SOURCE = classes_of_the_page()
page: dict[str, Any] = {"__name__": "page_your_own_field"}
exec(compile(SOURCE, str(PAGE), "exec", dont_inherit=True), page)
Colour, ColourField, RedderThan = page["Colour"], page["ColourField"], page["RedderThan"]

BLACK, NAVY, RED, WHITE = Colour(0, 0, 0), Colour(0, 0, 128), Colour(255, 0, 0), Colour(255, 255, 255)


class World(NamedTuple):
    """The models of one test."""

    palette: Any
    theme: Any


def declare(database: databases.Database) -> World:
    models = orm.ModelRegistry(database=database)

    class Palette(orm.Model):
        registry = models

        main = ColourField(primary_key=True)
        name = orm.String(max_length=20)

    class Theme(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        palette = orm.ForeignKey(Palette, related_name="themes")
        name = orm.String(max_length=20)
        text = ColourField(default=BLACK)
        background = ColourField(allow_null=True, index=True)
        border = ColourField(choices=[BLACK, (NAVY, "Navy")], default=BLACK)

    return World(Palette, Theme)


async def filled(database: databases.Database) -> World:
    world = declare(database)
    await world.palette.registry.create_all()
    palette = await world.palette.objects.create(main="#FF0000", name="warm")
    rows = [("a", BLACK, WHITE), ("b", NAVY, None), ("c", "#ff0000", "#000080"), ("d", WHITE, BLACK)]
    await world.theme.objects.bulk_create(
        [{"palette": palette, "name": name, "text": text, "background": back} for name, text, back in rows]
    )
    return world


@pytest.fixture
async def world(database: Database) -> World:
    return await filled(database)


@pytest.fixture
async def any_world(any_database: databases.Database) -> World:
    return await filled(any_database)


def test_custom_field_is_one_class() -> None:
    names = [node.name for node in ast.parse(SOURCE).body if isinstance(node, ast.ClassDef)]
    assert names == ["Colour", "ColourField", "RedderThan"]


async def test_custom_field_values_read_back(any_world: World) -> None:
    themes = await any_world.theme.objects.order_by("id")
    assert [theme.text for theme in themes] == [BLACK, NAVY, RED, WHITE]
    assert [theme.background for theme in themes] == [WHITE, None, NAVY, BLACK]
    assert all(type(theme.text) is Colour for theme in themes)
    theme = await any_world.theme.objects.create(palette=RED, name="e", text="#0000FF")
    assert (theme.text, theme.border, theme.palette_id) == (Colour(0, 0, 255), BLACK, RED)
    theme.text = "#00ff00"
    await theme.save()
    await theme.load()
    assert theme.text == Colour(0, 255, 0)
    assert await any_world.theme.objects.filter(pk=theme.pk).update(background=orm.F("text"), border="#000080") == 1
    rows = any_world.theme.objects.filter(pk=theme.pk).values_list("background", "border")
    assert await rows == [(Colour(0, 255, 0), NAVY)]
    raw = any_world.theme.objects.database
    assert (await raw.fetch_one("SELECT text FROM theme WHERE name = 'a'"))[0] == "#000000"


@pytest.mark.parametrize(
    ("lookup", "value", "expected"),
    [
        *[("exact", value, ["c"]) for value in (NAVY, "#000080")],
        *[("in", [NAVY, "#FFFFFF", None], ["a", "c"]), ("in", [], []), ("isnull", True, ["b"])],
        *[("gt", BLACK, ["a", "c"]), ("gte", BLACK, ["a", "c", "d"]), ("lt", WHITE, ["c", "d"])],
        *[("lte", "#000080", ["c", "d"]), ("range", (BLACK, NAVY), ["c", "d"])],
        *[("iexact", "#FFFFFF", ["a"]), ("iexact", WHITE, ["a"]), ("contains", "0080", ["c"])],
        *[("icontains", "FF", ["a"]), ("startswith", "#00", ["c", "d"]), ("istartswith", "#FF", ["a"])],
        *[("endswith", "80", ["c"]), ("iendswith", "FF", ["a"]), ("regex", "^#0+$", ["d"]), ("iregex", "F{6}", ["a"])],
        *[("contains", WHITE, ["a"]), ("redder_than", "#800000", ["a"]), ("redder_than", BLACK, ["a"])],
        *[("exact", orm.F("text"), []), ("gt", orm.F("text"), ["a"]), ("redder_than", orm.F("text"), ["a"])],
        *[("startswith", orm.F("text"), []), ("iexact", orm.F("border"), ["d"])],
    ],
    ids=lambda value: repr(value) if isinstance(value, Expression) else None,
)
async def test_lookup_of_custom_field_finds_rows(world: World, lookup: str, value: Any, expected: list[str]) -> None:
    themes = world.theme.objects.filter(**{f"background__{lookup}": value}).order_by("name")
    assert await themes.values_list("name", flat=True) == expected
    if lookup != "isnull":
        others = world.theme.objects.exclude(**{f"background__{lookup}": value}).order_by("name")
        assert not set(expected).intersection(await others.values_list("name", flat=True))


def test_custom_field_has_every_lookup_of_its_family(database_url: str) -> None:
    """What text has, the field has too, and one more."""
    text, colour = orm.String(max_length=7), ColourField()
    applying = {
        field: {name for name, same_name in lookups.items() if any(lookup.applies_to(field) for lookup in same_name)}
        for field in (text, colour)
    }
    assert applying[colour] == applying[text] | {"redder_than"}
    theme = declare(Database(database_url)).theme
    for wrong in ({"text__redder_than": "red"}, {"text": "red"}, {"text__in": ["red"]}, {"text": 5}, {"text": b"1"}):
        with pytest.raises(orm.FieldError, match="takes colours and text such as '#1e90ff'"):
            theme.objects.filter(**wrong)
    with pytest.raises(orm.FieldError, match="redder_than"):
        theme.objects.filter(name__redder_than="#800000")


async def test_custom_field_works_as_key_and_over_relations(world: World) -> None:
    palette = await world.palette.objects.get(pk="#FF0000")
    assert (palette.pk, palette.main) == (RED, RED)
    assert await world.theme.objects.filter(palette="#ff0000").count() == 4
    assert await world.theme.objects.filter(palette__main__in=[RED], palette__themes__text=NAVY).count() == 4
    joined = await world.theme.objects.select_related("palette").get(name="a")
    assert (joined.palette.main, joined.palette.name) == (RED, "warm")
    [prefetched] = await world.palette.objects.prefetch_related("themes")
    assert sorted(theme.name for theme in await prefetched.themes.all()) == ["a", "b", "c", "d"]
    assert await world.palette.objects.in_bulk([RED]) == {RED: palette}


async def test_custom_field_orders_rows_and_pages(any_world: World) -> None:
    ordered = any_world.theme.objects.order_by("-text")
    assert await ordered.values_list("name", flat=True) == ["d", "c", "b", "a"]
    for order in (["text"], ["-background"], ["background", "-text"], ["palette", "text"], ["palette__main", "text"]):
        query = any_world.theme.objects.order_by(*order)
        expected, seen, cursor = await query.values_list("id", flat=True), [], None
        for _ in range(4):
            rows = await query.page(after=cursor, size=1)
            seen += [theme.id for theme in rows]
            cursor = rows.next_cursor
        assert (seen, rows.has_next) == (expected, False)
    first = await any_world.theme.objects.order_by("text").page(size=2)
    assert first.next_cursor is not None
    order = any_world.theme.objects.order_by("text", "id")._query.order
    assert decode_cursor("Theme", order, first.next_cursor).position == (NAVY, 2)


async def test_custom_field_in_values_and_graphs_is_its_own_type(any_world: World) -> None:
    theme = any_world.theme.objects.filter(name="a")
    assert await theme.values("text", "background") == [{"text": BLACK, "background": WHITE}]
    assert await theme.values_list("palette", "palette__main") == [(RED, RED)]
    [palette] = await any_world.palette.objects.graph({"themes": {"order_by": "-text"}})
    assert (palette.main, [theme.text for theme in await palette.themes.all()]) == (RED, [WHITE, RED, NAVY, BLACK])
    [data] = await any_world.palette.objects.graph({"themes": {"order_by": "id", "limit": 1}}).as_dicts()
    themes = [{"id": 1, "palette_id": "#ff0000", "name": "a", "text": "#000000", "background": "#ffffff"}]
    themes[0]["border"] = "#000000"
    assert data == {"main": "#ff0000", "name": "warm", "themes": themes}
    assert json.loads(json.dumps(data)) == data


async def test_bulk_writes_convert_custom_field(any_world: World) -> None:
    themes = await any_world.theme.objects.order_by("id")
    for theme, text in zip(themes, (WHITE, "#0000ff", RED, None), strict=True):
        theme.background = text
    assert await any_world.theme.objects.bulk_update(themes, ["background", "text"]) == 4
    backgrounds = any_world.theme.objects.order_by("id").values_list("background", flat=True)
    assert await backgrounds == [WHITE, Colour(0, 0, 255), RED, None]
    theme, created = await any_world.theme.objects.get_or_create(text="#0000FF", defaults={"palette": RED, "name": "e"})
    assert (created, theme.text) == (True, Colour(0, 0, 255))


async def test_expressions_of_custom_field_return_its_values(world: World) -> None:
    themes = world.theme.objects
    extremes = await themes.aggregate(low=orm.Min("text"), high=orm.Max("background"), n=orm.Count("text"))
    assert extremes == {"low": BLACK, "high": WHITE, "n": 4}
    either = themes.annotate(
        either=Coalesce("background", orm.Value(WHITE), "text"),
        cased=orm.Case(orm.When(name="a", then="background"), default=RED),
    )
    assert await either.order_by("id").values_list("either", flat=True) == [WHITE, WHITE, NAVY, BLACK]
    assert await either.order_by("id").values_list("cased", flat=True) == [WHITE, RED, RED, RED]
    assert await either.filter(either=WHITE).order_by("id").values_list("name", flat=True) == ["a", "b"]
    assert await themes.annotate(length=Length("text"), cut=orm.F("text")[1:3]).values_list("length", "cut") == [
        (7, cut) for cut in ("00", "00", "ff", "ff")
    ]
    cast = themes.filter(name="c").annotate(
        text_=Cast("text", orm.Text()), colour=Cast(orm.Value("#0000ff"), ColourField())
    )
    assert await cast.values_list("text_", "colour") == [("#ff0000", Colour(0, 0, 255))]
    documents = themes.filter(name="a").annotate(document=JSONObject(text="text"))
    assert await documents.values_list("document", flat=True) == [{"text": "#000000"}]
    with pytest.raises(orm.FieldError):
        themes.annotate(sum=orm.F("text") + 1)


async def test_custom_field_with_invalid_value_raises(world: World) -> None:
    schema = world.theme._meta.schema
    values = {"palette": "#FF0000", "name": "a", "text": "#FFFFFF", "background": ""}
    validated = schema.validate(values)
    assert (validated["text"], validated["background"], validated["palette"]) == (WHITE, None, RED)
    assert schema.fields["text"].serialize(WHITE) == "#ffffff"
    for field, value, message in (
        ("text", "red", "Must be a valid colour."),
        ("text", None, "May not be null."),
        ("palette", "red", "Must be a valid colour."),
        ("border", "#ffffff", "Not a valid choice."),
    ):
        with pytest.raises(typesystem.ValidationError) as caught:
            schema.validate({**values, field: value})
        assert dict(caught.value) == {field: message}
        with pytest.raises(orm.ValidationError, match=message):
            await world.theme.objects.create(**{"palette": RED, "name": "a", field: value})


async def test_array_of_custom_field_reads_back(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        models = orm.ModelRegistry(database=database)

        class Scheme(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            colours = orm.Array(ColourField())

        await models.create_all()
        await Scheme.objects.bulk_create([{"colours": [BLACK, "#ffffff"]}, {"colours": []}])
        scheme = await Scheme.objects.create(colours=["#FF0000"])
        assert scheme.colours == [RED]
        lists = Scheme.objects.order_by("id").values_list("colours", flat=True)
        assert await lists == [[BLACK, WHITE], [], [RED]]
        assert await Scheme.objects.filter(colours=["#000000", WHITE]).count() == 1
        assert await Scheme.objects.filter(colours__gt=[RED]).count() == 0
        scheme.colours = [NAVY, RED]
        assert await Scheme.objects.bulk_update([scheme], ["colours"]) == 1
        assert await Scheme.objects.filter(id=3).graph({}).as_dicts() == [{"id": 3, "colours": ["#000080", "#ff0000"]}]
        assert await Scheme.objects.aggregate(ids=orm.ArrayAgg("id", order_by="id")) == {"ids": [1, 2, 3]}
        with pytest.raises(orm.ValidationError, match="Must be a valid colour"):
            await Scheme.objects.create(colours=["red"])


APP = f"""
import os

{SOURCE}

models = orm.ModelRegistry(database=orm.Database(os.environ["DATABASE_URL"]))


class Theme(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = ColourField(server_default="#000000")
    background = ColourField(allow_null=True, index=True)
    # MORE
"""


async def test_migration_of_custom_field_is_complete(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = "" if "postgresql" not in database_url else "    colours = orm.Array(ColourField(), default=list)\n"
    project = Project(tmp_path, database_url)
    project.write(APP.replace("    # MORE\n", arrays))
    source = project.revision("first")
    assert "orm" not in source.replace("alembic", "") and "Colour" not in source
    assert sorted(operations(source, "upgrade")) == ["create_index", "create_table"]
    assert "sa.Column('text', sa.String(length=7), server_default='#000000', nullable=False)" in source
    project.alembic("upgrade", "head")
    assert "No new upgrade operations detected." in project.alembic("check")
    app = project.load(monkeypatch)
    async with app.models.database as database:
        theme = await app.Theme.objects.create()
        assert (await app.Theme.objects.get(pk=theme.pk)).text == app.Colour(0, 0, 0)
        project.alembic("downgrade", "base")
        await database.execute("DROP TABLE alembic_version")


class Cents(int):
    """A number of cents, to be told apart from other integers."""


class CentsField(orm.Field[Cents], stored_as=orm.BigInteger()):
    def convert(self, value: Any) -> Cents:
        return Cents(value)

    def to_database(self, value: Cents) -> int:
        return int(value)


class Key(bytes):
    """A key of some bytes."""


class KeyField(orm.Field[Key], stored_as=orm.Binary(max_length=16)):
    def convert(self, value: Any) -> Key:
        return Key(value)

    def to_database(self, value: Key) -> bytes:
        return bytes(value)


class Tags(frozenset[str]):
    """A set of words."""


class TagsField(orm.Field[Tags], stored_as=orm.JSON()):
    def convert(self, value: Any) -> Tags:
        return Tags(value)

    def to_database(self, value: Tags) -> list[str]:
        return sorted(value)


async def test_fields_stored_as_integer_binary_and_json_read_back(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Account(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        balance = CentsField()
        key = KeyField(allow_null=True)
        tags = TagsField(default=Tags())

    await models.create_all()
    accounts = [(5, b"\x00a", ["x", "y"]), (-7, None, ["y"]), (40, b"b", [])]
    await Account.objects.bulk_create([{"balance": n, "key": key, "tags": tags} for n, key, tags in accounts])
    accounts_read = await Account.objects.order_by("balance")
    assert [(type(row.balance), row.balance) for row in accounts_read] == [(Cents, -7), (Cents, 5), (Cents, 40)]
    assert [row.key for row in accounts_read] == [None, Key(b"\x00a"), Key(b"b")]
    assert [row.tags for row in accounts_read] == [Tags("y"), Tags("xy"), Tags()]
    assert await Account.objects.filter(balance__gt=4, key__in=[Key(b"b"), b"c"]).count() == 1
    assert await Account.objects.filter(balance=orm.F("id") * 1 + orm.F("balance") - orm.F("id")).count() == 3
    totals = await Account.objects.aggregate(sum=orm.Sum("balance"), least=orm.Min("balance"))
    assert (totals["sum"], totals["least"], type(totals["least"])) == (38, -7, Cents)
    assert await Account.objects.filter(tags={"x", "y"}).count() == 1
    assert await Account.objects.filter(tags__contains={"y"}).count() == 2
    assert await Account.objects.filter(tags__in=[{"y"}, set()]).count() == 2
    assert await Account.objects.filter(tags__0="x").count() == 1
    [data] = await Account.objects.filter(balance=5).graph({}).as_dicts()
    assert data == {"id": 1, "balance": 5, "key": "AGE=", "tags": ["x", "y"]}
    pages = Account.objects.order_by("balance", "key")
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(3):
        rows = await pages.page(after=cursor, size=1)
        seen += [row.balance for row in rows]
        cursor = rows.next_cursor
    assert seen == [-7, 5, 40]
    with pytest.raises(orm.QueryError):
        await Account.objects.order_by("tags").page()
