"""Options of `class Meta` for the table: its comment, the dialects' options, tables made elsewhere, and views."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy

import orm
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from orm.migrations import connect
from tests.mapping.test_constraints import migrate

pytestmark = pytest.mark.anyio

WAYS = ("create_all", "migration")


async def make(models: orm.ModelRegistry, way: str) -> None:
    if way == "create_all":
        await models.create_all()
        await models.create_all()  # What is there stays.
    else:
        await migrate(models.database, models.metadata)  # type: ignore[arg-type]


class Sales:
    def __init__(self, database: Database, *, sql: str | None = None, materialized: bool = False) -> None:
        self.models = models = orm.ModelRegistry(database=database)

        class Sale(orm.Model):
            registry = models
            id = orm.Integer(primary_key=True)
            shop = orm.String(max_length=20)
            amount = orm.Integer(column="amount_paid")

        class ShopTotal(orm.Model):
            registry = models
            shop = orm.String(max_length=20, primary_key=True, column="shop_name")
            total = orm.Integer()

            class Meta:
                tablename = "shop_totals"
                view = sql or Sale.objects.filter(shop__in=["a", "b:c", "d%'"], amount__gt=0).values("shop").annotate(
                    total=orm.Sum("amount")
                )

            if materialized:
                Meta.materialized = True  # type: ignore[attr-defined]
                Meta.indexes = [orm.Index("shop", unique=True, name="by_shop")]  # type: ignore[attr-defined]

        self.Sale, self.ShopTotal = Sale, ShopTotal


@pytest.mark.parametrize("way", WAYS)
async def test_a_view_of_a_queryset_is_read_like_a_table(database: Database, way: str) -> None:
    sales = Sales(database)
    await make(sales.models, way)
    rows = [("a", 1), ("a", 2), ("b:c", 3), ("d%'", 4), ("e", 5), ("a", -1)]
    await sales.Sale.objects.bulk_create([{"shop": shop, "amount": amount} for shop, amount in rows])
    assert await sales.ShopTotal.objects.order_by("shop").values_list("pk", "total") == [
        ("a", 3),
        ("b:c", 3),
        ("d%'", 4),
    ]
    assert (await sales.ShopTotal.objects.get(shop="a")).total == 3
    with pytest.raises(orm.QueryError, match="not a materialized view"):
        await sales.ShopTotal.objects.refresh()
    await sales.models.drop_all()
    await sales.models.create_all()
    assert await sales.ShopTotal.objects.count() == 0
    await sales.models.drop_all()


async def test_a_view_of_sql(database: Database) -> None:
    sql = "SELECT shop, CAST(sum(amount_paid) AS DECIMAL(10)) FROM sale WHERE shop NOT LIKE 'x%' GROUP BY shop"
    sales = Sales(database, sql=sql)
    await sales.models.create_all()
    await sales.Sale.objects.bulk_create([{"shop": "a", "amount": 1}, {"shop": "a", "amount": 2}])
    assert [total.total for total in await sales.ShopTotal.objects.all()] == [3]


@pytest.mark.parametrize("way", WAYS)
async def test_a_materialized_view_is_refreshed_or_refused(database: Database, way: str) -> None:
    sales = Sales(database, materialized=True)
    if (await dialect_of(database)).name != "postgresql":
        with pytest.raises(orm.NotSupportedError, match=r"has no materialized views\. Leave out materialized"):
            await make(sales.models, way)
        return
    await make(sales.models, way)
    await sales.Sale.objects.create(shop="a", amount=1)
    assert await sales.ShopTotal.objects.count() == 0
    await sales.ShopTotal.objects.refresh()
    await sales.Sale.objects.create(shop="a", amount=2)
    await sales.ShopTotal.objects.refresh(concurrently=True)
    assert (await sales.ShopTotal.objects.get()).total == 3
    await sales.models.drop_all()
    await sales.models.create_all()


@pytest.mark.parametrize("way", WAYS)
async def test_a_table_that_is_not_managed_is_neither_made_nor_dropped(database: Database, way: str) -> None:
    models = orm.ModelRegistry(database=database)

    class Legacy(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)
        text = orm.String(max_length=10, index=True)

        class Meta:
            managed = False
            indexes = [orm.Index("text", "id", name="not_there")]

    class Note(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)

    await make(models, way)
    with pytest.raises(orm.ProgrammingError):
        await Legacy.objects.count()
    await database.execute("CREATE TABLE legacy (id INTEGER PRIMARY KEY, text VARCHAR(10))")
    await make(models, way)
    await Legacy.objects.create(id=1, text="x")
    await models.drop_all()
    assert await Legacy.objects.count() == 1
    with pytest.raises(orm.ProgrammingError):
        await Note.objects.count()


@pytest.mark.parametrize("way", WAYS)
async def test_comment_and_table_options_reach_the_database(database: Database, way: str) -> None:
    models = orm.ModelRegistry(database=database)

    class Note(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)

        class Meta:
            comment = "it's the notes: 100%"
            table_options = {
                "mysql_row_format": "COMPRESSED",
                "mariadb_row_format": "COMPRESSED",
                "postgresql_partition_by": "RANGE (id)",
                "sqlite_with_rowid": False,
            }

    await make(models, way)

    def read(connection: sqlalchemy.Connection) -> Any:
        inspector = sqlalchemy.inspect(connection)
        if connection.dialect.name == "sqlite":
            return None, connection.scalar(sqlalchemy.text("SELECT sql FROM sqlite_master WHERE name = 'note'"))
        comment = inspector.get_table_comment("note")["text"]
        if connection.dialect.name == "postgresql":
            sql = "SELECT pg_get_partkeydef(oid) FROM pg_class WHERE relname = 'note'"
        else:
            sql = (
                "SELECT row_format FROM information_schema.tables WHERE table_name = 'note' AND table_schema = schema()"
            )
        return comment, connection.scalar(sqlalchemy.text(sql))

    async with connect(database.url) as connection:
        comment, option = await connection.run_sync(read)
    server = (await dialect_of(database)).name
    assert comment == (None if server == "sqlite" else Note._meta.options.comment)
    expected = {"sqlite": "WITHOUT ROWID", "postgresql": "RANGE (id)"}.get(server, "compressed")
    assert expected in str(option) or expected in str(option).lower()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table_options": {"engine": "x"}}, "'engine' begins with none of the databases"),
        ({"table_options": {"postgresql_nonsense": 1}}, "nonsense"),
        ({"materialized": True}, "give view= a queryset or SQL"),
        ({"view": "SELECT 1", "constraints": [orm.CheckConstraint("id > 0")]}, "is a view, which has no constraints"),
        ({"view": "SELECT 1", "indexes": [orm.Index("id")]}, "no indexes unless it is materialized"),
    ],
)
def test_invalid_options_of_the_table_raise(options: dict[str, Any], message: str) -> None:
    with pytest.raises(orm.FieldError, match=message):
        type("Note", (orm.Model,), {"registry": orm.ModelRegistry(), "Meta": type("Meta", (), options)})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [b"abc", b"\\x41:a%s'\x00\xff"], ids=["text", "any bytes"])
async def test_bytes_in_the_condition_of_a_view_or_a_constraint_are_compared_as_bytes(
    database: Database, way: str, value: bytes
) -> None:
    models = orm.ModelRegistry(database=database)

    class Blob(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)
        content = orm.Binary(max_length=20)

        class Meta:
            constraints = [orm.CheckConstraint(orm.Q(content=value), name="known")]

    class Known(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)

        class Meta:
            view = Blob.objects.filter(content=value).values("id")

    await make(models, way)
    blob = await Blob.objects.create(content=value)
    await blob.full_clean()
    assert await Known.objects.values_list("id", flat=True) == [blob.id]
    with pytest.raises(orm.CheckViolation):
        await Blob.objects.create(content=b"other")


async def test_a_view_whose_columns_are_not_the_fields_raises(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Sale(orm.Model):
        registry = models
        amount = orm.Integer()

    class Total(orm.Model):
        registry = models
        total = orm.Integer(primary_key=True)

        class Meta:
            view = Sale.objects.values("amount")

    with pytest.raises(orm.FieldError, match=r"Total\.Meta\.view selects amount; the fields of the model are total"):
        await models.create_all()
