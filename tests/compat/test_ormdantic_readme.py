"""What Ormdantic's README and first guide do, with `orm`. docs/coming-from-ormdantic-oxyde.md has the spellings."""

from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

import orm
from orm.contrib.tables import joinedload, selectinload

pytestmark = pytest.mark.anyio


async def test_first_example_of_the_readme(database: Any) -> None:
    db = orm.ModelRegistry(database=database)

    @db.table(pk="id", indexed=["name"])
    class Flavor(BaseModel):
        id: str
        name: str = Field(min_length=2, max_length=63)
        rating: int = 0

    await db.create_all()
    for flavor in (Flavor(id="vanilla", name="Vanilla", rating=5), Flavor(id="mint", name="Mint", rating=2)):
        await db[Flavor].insert(flavor)
    result = await db[Flavor].find_many({"rating": {"gte": 4}}, order_by=["name"])
    assert [flavor.name for flavor in result.data] == ["Vanilla"]
    with pytest.raises(ValidationError):
        Flavor(id="x", name="x")
    await db.drop_all()


async def test_first_guide(database: Any) -> None:
    db = orm.ModelRegistry(database=database)

    @db.table(pk="id", indexed=["name"])
    class Supplier(BaseModel):
        id: str
        name: str = Field(min_length=2)
        flavors: list["Flavor"] = Field(default_factory=list)

    @db.table(pk="id", indexed=["name"], on_delete={"supplier": "cascade"})
    class Flavor(BaseModel):
        id: str
        name: str
        rating: int = 0
        supplier: Supplier | str | None = None

    await db.create_all()
    supplier = await db[Supplier].insert(Supplier(id="s1", name="North Roasters"))
    await db[Flavor].insert(Flavor(id="f1", name="Vanilla", supplier=supplier))

    flavors = await db[Flavor].find_many({"name": {"like": "Van%"}}, order_by=["name"], load=[selectinload("supplier")])
    assert [(flavor.name, flavor.supplier and flavor.supplier.name) for flavor in flavors.data] == [
        ("Vanilla", "North Roasters")
    ]
    flavors = await db[Flavor].find_many(load=[joinedload("supplier")])
    assert flavors.data[0].supplier.id == "s1"

    async with database.transaction():
        await db[Supplier].insert(Supplier(id="s2", name="South Roasters"))
        await db[Flavor].insert(Flavor(id="f2", name="Mocha", supplier="s2", rating=-3))

    assert (await db[Flavor].find_one("f2")).supplier == "s2"
    assert await db[Flavor].count({"rating": {"gte": 0}}) == 1
    assert await db[Flavor].update_where({"rating": {"lt": 0}}, {"rating": 0}) == 1
    assert await db[Flavor].select("name", "rating", where=orm.Q(rating__gte=0), order_by=["name"]) == [
        {"name": "Mocha", "rating": 0},
        {"name": "Vanilla", "rating": 0},
    ]
    supplier = await db[Supplier].find_one("s1")
    assert [flavor.id for flavor in await db[Supplier].load(supplier, "flavors")] == ["f1"]
    suppliers = await db[Supplier].find_many(depth=1)
    assert all(supplier.flavors for supplier in suppliers)
    await db.drop_all()
