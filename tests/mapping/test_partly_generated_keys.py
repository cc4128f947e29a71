"""Composite keys of which the database numbers one part, as tables need them that a cluster divides by tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.schema import CreateTable

import orm
from orm.database.connections.database import Database
from orm.database.dialect_registry import dialects
from orm.exceptions import FieldError

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()


class Tenant(orm.Model):
    registry = models

    id = orm.BigInteger(primary_key=True)
    name = orm.String(max_length=50)


class Store(orm.Model):
    registry = models

    tenant = orm.ForeignKey(Tenant, primary_key=True, on_delete=orm.CASCADE, related_name="stores")
    id = orm.BigInteger(primary_key=True, autoincrement=True)
    name = orm.String(max_length=50)


class Sale(orm.Model):
    registry = models

    tenant = orm.ForeignKey(Tenant, primary_key=True, on_delete=orm.CASCADE, related_name="sales")
    id = orm.BigInteger(primary_key=True, autoincrement=True)
    store_key = orm.BigInteger()
    store = orm.CompositeForeignKey(
        Store, from_fields=["tenant", "store_key"], on_delete=orm.CASCADE, related_name="sales"
    )
    amount = orm.Integer(default=0)
    status = orm.String(max_length=10, server_default="new")


@pytest.fixture
async def tenants(database: Database) -> AsyncIterator[tuple[Tenant, Tenant]]:
    models.database = database
    await models.create_all()
    first, second = await Tenant.objects.bulk_create([Tenant(name="first"), Tenant(name="second")])
    yield first, second
    await models.drop_all()


async def test_create_and_save_read_the_generated_part_back(tenants: tuple[Tenant, Tenant]) -> None:
    first, second = tenants
    store = await Store.objects.create(tenant=first, name="a")
    assert store.pk == (first.id, store.id)
    assert (await Store.objects.get(pk=store.pk)).name == "a"
    other = Store(tenant=second, name="b")
    assert other.pk is None
    await other.save()
    assert other.id is not None and other.id != store.id
    other.name = "c"
    await other.save()
    assert (await Store.objects.get(tenant=second, id=other.id)).name == "c"
    assert await Store.objects.count() == 2
    await other.delete()
    assert await Store.objects.values_list("id", flat=True) == [store.id]


async def test_rows_with_a_key_of_their_own_keep_it(tenants: tuple[Tenant, Tenant]) -> None:
    first, _ = tenants
    store = await Store.objects.create(tenant=first, id=700, name="a")
    assert store.pk == (first.id, 700)
    await Store(tenant=first, id=700, name="again").save()
    assert (await Store.objects.get(pk=(first.id, 700))).name == "again"
    with pytest.raises(orm.UniqueViolation):
        await Store.objects.create(tenant=first, id=700, name="b")


@pytest.mark.parametrize("count", [1, 3, 700])
async def test_bulk_create_gives_each_row_its_generated_part(tenants: tuple[Tenant, Tenant], count: int) -> None:
    stores = [Store(tenant=tenants[number % 2], name=f"store {number}") for number in range(count)]
    assert await Store.objects.bulk_create(stores) is not None
    names = {(row.tenant_id, row.id): row.name for row in await Store.objects.all()}
    assert names == {store.pk: store.name for store in stores}
    assert len(names) == count


async def test_relations_to_such_a_key_work_in_both_directions(tenants: tuple[Tenant, Tenant]) -> None:
    first, second = tenants
    store = await Store.objects.create(tenant=first, name="a")
    await Store.objects.create(tenant=second, name="b")
    sale = await Sale.objects.create(store=store, amount=3)
    assert (sale.tenant_id, sale.store_key) == store.pk
    added = await store.sales.create(amount=4)
    assert added.pk == (first.id, added.id)
    await Sale.objects.bulk_create([Sale(store=store, amount=number) for number in range(5, 8)])
    assert await store.sales.order_by("id").values_list("amount", flat=True) == [3, 4, 5, 6, 7]
    assert await Sale.objects.filter(store__name="a").count() == 5
    (loaded,) = await Store.objects.filter(sales__amount=4).prefetch_related("sales")
    assert len(loaded.sales) == 5
    (graph,) = await Tenant.objects.filter(name="first").graph("stores__sales")
    assert [row.amount for store in graph.stores for row in store.sales] == [3, 4, 5, 6, 7]
    with pytest.raises(orm.ForeignKeyViolation):
        await Sale.objects.create(tenant=second, store_key=store.id)
    await store.delete()
    assert await Sale.objects.count() == 0


async def test_graph_of_new_rows_gets_its_generated_parts(tenants: tuple[Tenant, Tenant]) -> None:
    await Store.objects.create_graph(
        [{"tenant": tenant, "name": tenant.name, "sales": [{"amount": 1}, {"amount": 2}]} for tenant in tenants]
    )
    for tenant in tenants:
        (store,) = await tenant.stores.all()
        assert store.name == tenant.name
        assert await store.sales.order_by("amount").values_list("amount", flat=True) == [1, 2]


async def test_conflicts_of_rows_with_their_keys_are_ignored_or_updated(tenants: tuple[Tenant, Tenant]) -> None:
    first, _ = tenants
    store = await Store.objects.create(tenant=first, name="a")
    rows = [Store(tenant=first, id=store.id, name="b"), Store(tenant=first, id=store.id + 1, name="c")]
    await Store.objects.bulk_create(rows, ignore_conflicts=True)
    assert await Store.objects.order_by("id").values_list("name", flat=True) == ["a", "c"]
    await Store.objects.upsert(rows, unique_fields=["tenant", "id"] if unique_fields_are_taken() else ())
    assert await Store.objects.order_by("id").values_list("name", flat=True) == ["b", "c"]


def unique_fields_are_taken() -> bool:
    return models.database.url.dialect != "mysql"


async def test_bulk_update_and_returning_find_such_rows(tenants: tuple[Tenant, Tenant]) -> None:
    stores = await Store.objects.bulk_create([Store(tenant=tenants[number % 2], name="x") for number in range(4)])
    for store in stores:
        store.name = str(store.id)
    await Store.objects.bulk_update(stores, ["name"])
    assert {store.name == str(store.id) for store in await Store.objects.all()} == {True}


@pytest.mark.parametrize(
    ("name", "key", "foreign_key"),
    [
        ("postgresql", "PRIMARY KEY (tenant, id)", "FOREIGN KEY(store_key, tenant) REFERENCES store (id, tenant)"),
        ("mysql", "PRIMARY KEY (id, tenant)", "FOREIGN KEY(store_key, tenant) REFERENCES store (id, tenant)"),
        ("mariadb", "PRIMARY KEY (id, tenant)", "FOREIGN KEY(store_key, tenant) REFERENCES store (id, tenant)"),
        ("sqlite", "PRIMARY KEY (id), UNIQUE (tenant, id)", "FOREIGN KEY(store_key, tenant)"),
    ],
)
def test_tables_have_the_key_that_each_database_can_number(name: str, key: str, foreign_key: str) -> None:
    sql = " ".join(str(CreateTable(Sale.table).compile(dialect=dialects[name].sqlalchemy)).split())
    assert key in sql and foreign_key in sql


def test_at_most_one_part_without_a_default_can_be_generated() -> None:
    with pytest.raises(FieldError, match="one part of a key, not first and second"):

        class Two(orm.Model):
            registry = orm.ModelRegistry()

            first = orm.Integer(primary_key=True, autoincrement=True)
            second = orm.Integer(primary_key=True, autoincrement=True)

    with pytest.raises(FieldError, match=r"NoKey\.number: autoincrement=True is for a part of the primary key"):

        class NoKey(orm.Model):
            registry = orm.ModelRegistry()

            number = orm.Integer(autoincrement=True)


def test_composite_foreign_key_that_is_narrower_than_the_key_is_refused() -> None:
    models_of_width = orm.ModelRegistry()

    class Parent(orm.Model):
        registry = models_of_width

        a = orm.Integer(primary_key=True)
        b = orm.BigInteger(primary_key=True)

    with pytest.raises(FieldError, match=r"b has 32 bits, and Parent\.b has 64: declare b as orm\.BigInteger\(\)"):

        class Child(orm.Model):
            registry = models_of_width

            a = orm.Integer()
            b = orm.Integer()
            parent = orm.CompositeForeignKey(Parent, from_fields=["a", "b"])
