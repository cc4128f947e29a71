"""Tables of Pydantic models, dataclasses and msgspec structs, on each database."""

import dataclasses
import datetime
import decimal
import enum
import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
from pydantic import BaseModel, Field

import orm
from orm.contrib.tables import joinedload, lazyload, noload, selectinload

pytestmark = pytest.mark.anyio


class Roast(enum.Enum):
    """How dark the beans are."""

    LIGHT = "light"
    DARK = "dark"


class Origin(BaseModel):
    """Where something is from; no table."""

    country: str


def define_tables(database: Any) -> Any:
    """Suppliers with flavors, and tags of flavors."""
    models = orm.ModelRegistry(database=database)

    @models.table(pk="id", unique=["name"], indexed=["name"])
    class Supplier(BaseModel):
        id: str = Field(max_length=10)
        name: str = Field(min_length=2, max_length=40)
        flavors: list["Flavor"] = []

    @models.table(indexed=[("name", "rating")], on_delete={"supplier": "cascade"})
    class Flavor(BaseModel):
        """A flavor of coffee."""

        id: int | None = None
        name: str = Field(max_length=63, alias="title")
        rating: int = Field(0, ge=0, le=5)
        supplier: Supplier | str | None = None
        roast: Roast = Roast.LIGHT
        price: Annotated[decimal.Decimal, Field(max_digits=6, decimal_places=2)] | None = None
        origin: Origin | None = None
        notes: list[str] = []
        size: Literal["small", "large"] = "small"
        code: uuid.UUID = Field(default_factory=uuid.uuid4)
        picked: datetime.date | None = None
        tags: list["Tag"] = []

    @models.table()
    class Tag(BaseModel):
        id: int | None = None
        word: str = Field(max_length=20)
        flavors: list[Flavor] = []

    @models.table()
    class Review(BaseModel):
        id: int | None = None
        flavor: Flavor
        stars: int

    names = {"Supplier": Supplier, "Flavor": Flavor, "Tag": Tag, "Review": Review}
    return SimpleNamespace(models=models, **names)


@pytest.fixture
async def shop(database: Any) -> AsyncIterator[Any]:
    tables = define_tables(database)
    await tables.models.create_all()
    suppliers, flavors = tables.models[tables.Supplier], tables.models[tables.Flavor]
    north = await suppliers.insert(tables.Supplier(id="n", name="North"))
    await suppliers.insert(tables.Supplier(id="s", name="South"))
    await flavors.insert(tables.Flavor(title="Vanilla", rating=5, supplier=north))
    await flavors.insert_many([tables.Flavor(title="Mocha", rating=3, supplier="n"), tables.Flavor(title="Plain")])
    yield tables
    await tables.models.drop_all()


async def test_row_comes_back_as_it_was_written(shop: Any) -> None:
    flavors = shop.models[shop.Flavor]
    flavor = shop.Flavor(
        title="Maple",
        supplier="s",
        roast=Roast.DARK,
        price="3.50",
        origin=Origin(country="PE"),
        notes=["nut", "ü"],
        size="large",
        picked=datetime.date(2024, 5, 1),
    )
    assert await flavors.insert(flavor) is flavor
    again = await flavors.find_one(flavor.id)
    assert type(again) is shop.Flavor
    assert again.model_dump() == flavor.model_dump(exclude={"tags"})
    assert isinstance(again.origin, Origin)
    assert await flavors.find_one(99) is None
    with pytest.raises(orm.MultipleMatches):
        await flavors.find_one({"rating": {"gte": 0}})


async def test_rows_are_validated_once_as_they_come_back(shop: Any) -> None:
    calls = []

    class Counted(BaseModel):
        id: int
        supplier: shop.Supplier  # type: ignore[name-defined]

        @pydantic.model_validator(mode="after")
        def _count(self) -> Any:
            calls.append((self.id, self.supplier.name))
            return self

    shop.models.table()(Counted)
    await shop.models.create_all()
    await shop.models[Counted].insert(Counted(id=1, supplier=shop.Supplier(id="n", name="North")))
    calls.clear()
    assert (await shop.models[Counted].find_one(1)).supplier.name == "North"
    assert calls == [(1, "North")]


async def test_find_many_filters_orders_and_limits(shop: Any) -> None:
    flavors = shop.models[shop.Flavor]

    async def names(where: Any = None, **options: Any) -> list[str]:
        return [flavor.name for flavor in await flavors.find_many(where, order_by=["name"], **options)]

    assert await names({"rating": {"gte": 3}}) == ["Mocha", "Vanilla"]
    assert await names({"rating": {"gte": 3, "lt": 5}}) == ["Mocha"]
    assert await names({"name": "Plain"}) == await names({"supplier": None}) == ["Plain"]
    assert await names({"supplier": "n", "rating": {"ne": 3}}) == ["Vanilla"]
    assert await names({"supplier.name": {"like": "Nor%"}}) == ["Mocha", "Vanilla"]
    assert await names({"name": {"ilike": "%LA%"}}) == ["Plain", "Vanilla"]
    assert await names({"or": [{"name": "Mocha"}, {"rating": {"in": [5, 6]}}]}) == ["Mocha", "Vanilla"]
    assert await names({"not": {"rating": {"between": [1, 3]}}}) == ["Plain", "Vanilla"]
    assert await names(orm.Q(rating=5) | orm.Q(rating=0)) == ["Plain", "Vanilla"]
    assert await names(limit=1, offset=1) == ["Plain"]
    result = await flavors.find_many(order_by=["-rating", "supplier.name"], limit=2)
    assert ([each.rating for each in result.data], result.limit, result.offset) == ([5, 3], 2, 0)
    assert await flavors.count({"rating": {"gte": 3}}) == 2
    assert await flavors.exists({"rating": 4}) is False
    with pytest.raises(orm.QueryError, match="has another wildcard"):
        await names({"name": {"like": "V_n%"}})
    with pytest.raises(orm.FieldError, match="'nane'"):
        await names({"nane": 1})


async def test_select_gives_columns_and_expressions(shop: Any) -> None:
    flavors = shop.models[shop.Flavor]
    rows = await flavors.select("name", "supplier.name", where={"rating": {"gt": 3}})
    assert rows == [{"name": "Vanilla", "supplier__name": "North"}]
    rows = await flavors.select("supplier", where={"supplier": {"is_null": False}}, best=orm.Max("rating"))
    assert rows == [{"supplier": "n", "best": 5}]


async def test_rows_are_updated_upserted_and_deleted(shop: Any) -> None:
    flavors = shop.models[shop.Flavor]
    mocha = await flavors.find_one({"name": "Mocha"})
    mocha.rating = 4
    await flavors.update(mocha)
    assert (await flavors.find_one(mocha.id)).rating == 4
    assert await flavors.update_where({"rating": {"gte": 4}}, {"size": "large"}) == 2
    with pytest.raises(orm.ValidationError, match="Must be less than or equal to 5"):
        await flavors.update_where(None, {"rating": 6}, all_rows=True)
    with pytest.raises(orm.NoMatch, match="No Flavor has this id"):
        await flavors.update(shop.Flavor(id=77, title="Ghost"))

    suppliers = shop.models[shop.Supplier]
    await suppliers.upsert(shop.Supplier(id="n", name="Northern"))
    await suppliers.upsert(shop.Supplier(id="w", name="West"))
    assert [each["name"] for each in await suppliers.select("name", order_by=["id"])] == ["Northern", "South", "West"]
    with pytest.raises(orm.UniqueViolation):
        await suppliers.insert(shop.Supplier(id="x", name="West"))

    assert await flavors.delete(mocha) is True
    assert await flavors.delete(mocha.id) is False
    assert await suppliers.delete("n") is True  # and its flavors
    assert [each.name for each in await flavors.find_many()] == ["Plain"]
    assert await flavors.delete_where({"rating": 0}) == 1


async def test_relations_are_loaded_as_the_query_says(shop: Any) -> None:
    flavors, suppliers = shop.models[shop.Flavor], shop.models[shop.Supplier]
    with orm.track_queries() as tracker:
        found = await flavors.find_many(order_by=["id"], load=[joinedload("supplier")])
    assert len(tracker) == 1
    assert [each.supplier and each.supplier.name for each in found] == ["North", "North", None]
    assert [each.supplier for each in await flavors.find_many(order_by=["id"])] == ["n", "n", None]

    with orm.track_queries() as tracker:
        north, south = await suppliers.find_many(order_by=["id"], load=[selectinload("flavors")])
    assert len(tracker) == 2
    assert ([each.name for each in north.flavors], south.flavors) == (["Vanilla", "Mocha"], [])
    assert north.flavors[0].supplier == "n"
    assert json.loads(north.model_dump_json())["flavors"][0]["supplier"] == "n"  # no cycle
    (again, _) = await suppliers.find_many(order_by=["id"], load=[orm.selectinload("flavors"), orm.joined()])
    assert again.flavors == north.flavors
    with pytest.raises(orm.QueryError, match="not raiseload"):
        await suppliers.find_many(load=[orm.raiseload("flavors")])
    (deep, _) = await suppliers.find_many(order_by=["id"], depth=2)
    assert deep.flavors[0].tags == []

    south = await suppliers.find_one("s", load=[lazyload("flavors")])
    with pytest.raises(orm.NotLoaded, match=r"Supplier.flavors was not loaded.*load=\[selectinload\('flavors'\)\]"):
        south.flavors  # noqa: B018
    assert south.model_dump() == {"id": "s", "name": "South"}  # never null
    assert await suppliers.load(south, "flavors") == south.flavors == []
    with pytest.raises(orm.FieldError, match="Supplier has no relation 'flavor'"):
        await suppliers.find_many(load=[selectinload("flavor")])


async def test_relation_whose_attribute_cannot_be_the_key_is_joined(shop: Any) -> None:
    reviews = shop.models[shop.Review]
    vanilla = await shop.models[shop.Flavor].find_one({"name": "Vanilla"})
    await reviews.insert(shop.Review(flavor=vanilla, stars=5))
    with orm.track_queries() as tracker:
        review = await reviews.find_one(1)
    assert len(tracker) == 1
    assert (review.flavor.name, review.flavor.supplier) == ("Vanilla", "n")
    review = await reviews.find_one(1, load=[noload("flavor")])
    with pytest.raises(orm.NotLoaded, match=r"Review\.flavor was not loaded"):
        review.flavor  # noqa: B018
    review.stars = 4
    await reviews.update(review)
    assert (await reviews.find_one({"flavor.name": "Vanilla"})).stars == 4
    with pytest.raises(orm.FieldError, match="is a Flavor without a key: insert it first"):
        await reviews.insert(shop.Review(flavor=shop.Flavor(title="New"), stars=1))


async def test_lists_on_both_sides_are_many_to_many(shop: Any) -> None:
    flavors, tags = shop.models[shop.Flavor], shop.models[shop.Tag]
    await tags.insert(shop.Tag(word="sweet"))
    row = await flavors.model.objects.get(name="Vanilla")
    await row.tags.add(await tags.model.objects.get())
    flavor = await flavors.find_one({"tags.word": "sweet"}, load=[selectinload("tags.flavors")])
    assert [tag.word for tag in flavor.tags] == ["sweet"]
    assert [each.name for each in flavor.tags[0].flavors] == ["Vanilla"]
    (built,) = await flavors.rows(flavors.model.objects.filter(rating=5).prefetch_related("tags"))
    assert built.tags[0].word == "sweet"


async def test_table_has_the_limits_of_the_class(shop: Any) -> None:
    table = shop.models[shop.Flavor].model.table
    assert table.name == "flavor"
    assert (table.c.name.type.length, table.c.name.nullable, table.c.price.nullable) == (63, False, True)
    assert (table.c.price.type.precision, table.c.price.type.scale) == (6, 2)
    assert [[column.name for column in index.columns] for index in table.indexes if len(index.columns) > 1] == [
        ["name", "rating"]
    ]
    (foreign_key,) = table.c.supplier.foreign_keys
    assert (foreign_key.column.table.name, foreign_key.ondelete) == ("supplier", "CASCADE")
    assert shop.models[shop.Supplier].model.table.c.name.unique


async def test_transaction_covers_the_methods_of_tables(shop: Any, database: Any) -> None:
    flavors = shop.models[shop.Flavor]
    with pytest.raises(RuntimeError):
        async with database.transaction():
            await flavors.insert(shop.Flavor(title="Lost"))
            raise RuntimeError
    assert not await flavors.exists({"name": "Lost"})


# Other kinds of classes


async def test_dataclass_is_a_table(database: Any) -> None:
    models = orm.ModelRegistry(database=database)

    @models.table()
    @dataclasses.dataclass(frozen=True)
    class Node:
        name: Annotated[str, Field(max_length=10)]
        parent: "Node | int | None" = None
        id: int | None = None
        children: list["Node"] = dataclasses.field(default_factory=list)

    await models.create_all()
    nodes = models[Node]
    root = await nodes.insert(Node("root"))
    assert root.id == 1
    await nodes.insert(Node("leaf", parent=root))
    leaf = await nodes.find_one({"name": "leaf"})
    assert (leaf.parent, repr(leaf.children)) == (1, "<not loaded>")
    with pytest.raises(orm.NotLoaded, match=r"Node\.children was not loaded"):
        list(leaf.children)
    root = await nodes.find_one(1, load=[selectinload("children")])
    assert [(each.name, each.parent) for each in root.children] == [("leaf", 1)]
    await nodes.update(dataclasses.replace(leaf, name="bud"))
    assert (await nodes.find_one(2)).name == "bud"
    with pytest.raises(orm.ValidationError):
        await nodes.insert(Node("x" * 11))
    await models.drop_all()


async def test_struct_is_a_table(database: Any) -> None:
    models = orm.ModelRegistry(database=database)

    @models.table(unique=["name"])
    class Team(msgspec.Struct, frozen=True):
        name: Annotated[str, msgspec.Meta(max_length=10, min_length=1)]
        id: int | None = None
        players: list["Player"] = []

    @models.table()
    class Player(msgspec.Struct):
        name: Annotated[str, msgspec.Meta(max_length=10)]
        team: Team
        id: int | None = None

    await models.create_all()
    team = await models[Team].insert(Team("Reds"))
    assert team.id == 1
    await models[Player].insert(Player("Ann", team))
    player = await models[Player].find_one(1)
    assert player.team.name == "Reds"
    assert player.team.players is msgspec.UNSET
    assert b"players" not in msgspec.json.encode(player)
    team = await models[Team].find_one(1, load=[selectinload("players")])
    assert [(each.name, each.team) for each in team.players] == [("Ann", msgspec.UNSET)]
    await models.drop_all()


# Mistakes


def test_classes_and_annotations_that_cannot_be_stored_are_refused() -> None:
    models = orm.ModelRegistry()

    class Plain:
        id: int

    class Loose(BaseModel):
        id: int
        price: decimal.Decimal

    class Keyless(BaseModel):
        name: str

    class Lonely(BaseModel):
        id: int
        friends: list["Friend"] = []

    class Friend(BaseModel):
        id: int

    with pytest.raises(orm.FieldError, match="and Plain is none"):
        models.table()(Plain)
    with pytest.raises(orm.FieldError, match=r"Loose\.price is a Decimal"):
        models.table()(Loose)
    with pytest.raises(orm.FieldError, match="Keyless has no attribute 'id'"):
        models.table()(Keyless)
    with pytest.raises(orm.FieldError, match="Loose is no table of this registry"):
        models[Loose]
    models.table()(Lonely)
    with pytest.raises(orm.FieldError, match=r"Lonely\.friends leads to Friend, which is no table"):
        models[Lonely]
    models.table()(Friend)
    with pytest.raises(orm.FieldError, match=r"Lonely\.friends is a list of Friend, which has neither"):
        models[Lonely]


def test_class_that_is_declared_before_its_target_is_completed() -> None:
    models = orm.ModelRegistry(database=orm.Database("sqlite://"))

    @models.table()
    class Book(BaseModel):
        id: int | None = None
        author: "Author"

    @models.table()
    class Author(BaseModel):
        id: int | None = None
        books: list[Book] = []

    assert Book(author=Author()).author.books == []
    assert models[Author].model._meta.accessors["books"].target is models[Book].model
    assert set(models.metadata.tables) == {"book", "author"}


def test_tables_of_dataclasses_need_neither_pydantic_nor_msgspec() -> None:
    code = """
import sys
sys.modules["pydantic"] = sys.modules["msgspec"] = None
import dataclasses, orm
models = orm.ModelRegistry()

@models.table()
@dataclasses.dataclass
class Note:
    id: int
    text: str

print(models[Note].model.table.columns.keys())
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("['id', 'text']\n", "")


async def test_dicts_are_inserted_with_the_defaults_of_the_class(shop: Any) -> None:
    flavors, suppliers = shop.models[shop.Flavor], shop.models[shop.Supplier]
    inserted = await flavors.insert({"title": "Rum", "supplier": "n"})
    assert (type(inserted), inserted.rating, inserted.roast) == (shop.Flavor, 0, Roast.LIGHT)
    assert (await flavors.find_one(inserted.id)).rating == 0
    first, second = await flavors.insert_many([{"title": "Fig"}, shop.Flavor(title="Pear", rating=1)])
    assert (first.name, first.rating, second.rating) == ("Fig", 0, 1)
    await suppliers.upsert({"id": "n", "name": "Northern"})
    assert (await suppliers.find_one("n")).name == "Northern"
    with pytest.raises(pydantic.ValidationError, match="title\n  Field required"):
        await flavors.insert({"rating": 1})
    for method in (flavors.insert, flavors.upsert, flavors.update):
        with pytest.raises(orm.FieldError, match="A row of Flavor is an instance of it, got Supplier"):
            await method(shop.Supplier(id="q", name="Quiet"))
    with pytest.raises(orm.FieldError, match="A row of Flavor is an instance of it, got dict"):
        await flavors.update({"id": inserted.id, "title": "Gin"})


async def test_all_rows_are_deleted_only_if_the_call_says_so(shop: Any) -> None:
    flavors = shop.models[shop.Flavor]
    number = await flavors.count()
    for where in ({}, None, orm.Q(), {"and": []}):
        with pytest.raises(orm.QueryError, match=r"would delete all rows of Flavor: .*all_rows=True"):
            await flavors.delete_where(where)
        with pytest.raises(orm.QueryError, match=r"would update all rows of Flavor: .*all_rows=True"):
            await flavors.update_where(where, {"rating": 1})
    assert await flavors.count() == number > await flavors.count({"rating": 1})
    assert await flavors.update_where({}, {"rating": 1}, all_rows=True) == number
    assert await flavors.delete_where({}, all_rows=True) == number > 0
    assert await flavors.count() == 0


async def test_order_and_limits_of_tables(shop: Any) -> None:
    flavors = shop.models[shop.Flavor]
    names = [each.name for each in await flavors.find_many(order_by=["name"])]
    assert [each.name for each in await flavors.find_many(order_by="name")] == names == sorted(names)
    assert [each["name"] for each in await flavors.select("name", order_by="-name")] == names[::-1]
    for options in ({"limit": "x"}, {"limit": -1}, {"limit": True}, {"offset": "1"}, {"offset": -1}):
        [name] = options
        with pytest.raises(orm.QueryError, match=rf"{name}= takes a number of rows, got "):
            await flavors.find_many(**options)
    with pytest.raises(orm.QueryError, match="limit= takes a number of rows, got str"):
        await flavors.select("name", limit="x")
    with pytest.raises(orm.MultipleMatches, match="more than one Flavor"):
        await flavors.find_one({"rating": {"gte": 0}})
