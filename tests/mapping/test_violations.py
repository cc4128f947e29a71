"""An `IntegrityError` names the constraint, the model and the fields, however the row was written."""

from __future__ import annotations

import pickle
from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from orm.database.mysql.errors import violation as mysql_violation
from orm.database.sqlite.errors import violation as sqlite_violation
from orm.exceptions import Violation
from orm.functions import Lower

pytestmark = pytest.mark.anyio


class Shop:
    """Models on one database."""

    def __init__(self, database: databases.Database) -> None:
        self.models = models = orm.ModelRegistry(database=database)

        class Person(orm.Model):
            registry = models
            id = orm.Integer(primary_key=True)
            name = orm.String(max_length=60, unique=True, column="full_name", title="full name")

        class City(orm.Model):
            registry = models
            id = orm.Integer(primary_key=True)

        class Order(orm.Model):
            registry = models
            id = orm.Integer(primary_key=True)
            buyer = orm.ForeignKey(Person, on_delete=orm.RESTRICT)
            seller = orm.ForeignKey(Person, on_delete=orm.CASCADE, allow_null=True, related_name="sales")
            city = orm.ForeignKey(City, on_delete=orm.SET_NULL, allow_null=True)
            number = orm.Integer(allow_null=True)
            total = orm.Integer(server_default="1")

            class Meta:
                tablename = "orders"
                constraints = [
                    orm.UniqueConstraint("buyer", "number", message="There is such an order."),
                    orm.CheckConstraint(orm.Q(total__gt=0), message="Nothing is free.", name="total_is_positive"),
                ]

        self.Person, self.City, self.Order = Person, City, Order


@pytest.fixture
async def shop(any_database: databases.Database) -> Shop:
    shop = Shop(any_database)
    await shop.models.create_all()
    await shop.Person.objects.bulk_create([{"name": "Ann"}, {"name": "Bob's for key 'x.y'"}])
    await shop.City.objects.create()
    await shop.Order.objects.create(buyer=1, number=1, city=1)
    return shop


def facts(error: orm.IntegrityError) -> tuple[str | None, str | None, tuple[str, ...]]:
    return error.constraint, error.model and error.model.__name__, error.fields


async def test_error_of_a_unique_field_has_its_title(shop: Shop) -> None:
    with pytest.raises(orm.UniqueViolation) as caught:
        await shop.Person.objects.create(name="Bob's for key 'x.y'")
    error = caught.value
    assert facts(error) == ("person_full_name_key", "Person", ("name",))
    [message] = error.as_validation_error().messages()
    assert (message.text, message.code, message.index) == (
        "Person with this full name already exists.",
        "unique",
        ["name"],
    )


async def test_error_of_a_primary_key(shop: Shop) -> None:
    with pytest.raises(orm.UniqueViolation) as caught:
        await shop.Person.objects.create(id=1, name="Cid")
    assert facts(caught.value) == ("person_pkey", "Person", ("id",))


@pytest.mark.parametrize("how", ["create", "save", "update", "queryset", "bulk_create", "bulk_update", "expression"])
async def test_error_of_each_write_names_the_constraint(shop: Shop, how: str) -> None:
    Order = shop.Order
    other = await Order.objects.create(buyer=1, number=2)

    async def write() -> Any:
        if how == "create":
            await Order.objects.create(buyer=1, number=1)
        elif how == "save":
            other.number = 1
            await other.save()
        elif how == "update":
            await other.update(number=1)
        elif how == "queryset":
            await Order.objects.filter(id=2).update(number=orm.F("number") - 1)
        elif how == "bulk_create":
            await Order.objects.bulk_create([{"buyer": 2, "number": 1}, {"buyer": 1, "number": 1}])
        elif how == "bulk_update":
            other.number = 1
            await Order.objects.bulk_update([other], fields=["number"])
        else:
            await Order(id=3, buyer=1, number=orm.Value(1)).save()

    with pytest.raises(orm.UniqueViolation) as caught:
        await write()
    assert facts(caught.value) == ("orders_buyer_number_key", "Order", ("buyer", "number"))
    text = "There is such an order."
    assert dict(caught.value.as_validation_error()) == {"buyer": text, "number": text}


@pytest.mark.parametrize("how", ["create", "update", "bulk_create"])
async def test_error_of_a_check_names_it(shop: Shop, how: str) -> None:
    with pytest.raises(orm.CheckViolation) as caught:
        if how == "create":
            await shop.Order.objects.create(buyer=1, total=0)
        elif how == "update":
            await shop.Order.objects.update(total=-1)
        else:
            await shop.Order.objects.bulk_create([{"buyer": 1, "total": 0}, {"buyer": 1, "total": 1}])
    assert facts(caught.value) == ("total_is_positive", "Order", ("total",))
    assert dict(caught.value.as_validation_error()) == {"total": "Nothing is free."}


@pytest.mark.parametrize("field", ["buyer", "seller", "city"])
@pytest.mark.parametrize("how", ["create", "save", "update"])
async def test_error_of_a_missing_row_names_the_foreign_key(shop: Shop, how: str, field: str) -> None:
    order = await shop.Order.objects.get(id=1)
    with pytest.raises(orm.ForeignKeyViolation) as caught:
        if how == "create":
            # With a NULL beside it in an index, MySQL 9.7 does not check it, unless it has InnoDB's own foreign keys.
            await shop.Order.objects.create(**{"buyer": 1, "number": 9, field: 99})
        elif how == "save":
            setattr(order, field, 99)
            await order.save()
        else:
            await order.update(**{field: 99})
    assert facts(caught.value) == (f"orders_{field}_fkey", "Order", (field,))
    assert dict(caught.value.as_validation_error()) == {field: "The row that this refers to does not exist."}


async def test_error_of_a_missing_row_in_a_transaction_leaves_it_as_it_is(shop: Shop) -> None:
    database = shop.models.database
    with pytest.raises(orm.ForeignKeyViolation) as caught:
        async with database.transaction():
            await shop.Order.objects.create(buyer=1, city=99)
    assert facts(caught.value) == ("orders_city_fkey", "Order", ("city",))


@pytest.mark.parametrize("how", ["delete", "queryset"])
async def test_error_of_a_row_that_is_referenced_names_the_model_that_refers(shop: Shop, how: str) -> None:
    with pytest.raises(orm.ForeignKeyViolation) as caught:
        if how == "delete":
            await (await shop.Person.objects.get(id=1)).delete()
        else:
            await shop.Person.objects.filter(id=1).delete()
    error = caught.value
    assert facts(error) == ("orders_buyer_fkey", "Order", ("buyer",))
    assert dict(error.as_validation_error()) == {"": "Order still refers to it."}


async def test_error_of_null_names_the_field(shop: Shop) -> None:
    with pytest.raises(orm.NotNullViolation) as caught:
        await shop.Order.objects.update(buyer=orm.F("seller"))
    assert facts(caught.value) == (None, "Order", ("buyer",))
    assert dict(caught.value.as_validation_error()) == {"buyer": "May not be null."}


async def test_error_of_plain_sql_is_known_by_the_table(database: Database) -> None:
    models = orm.ModelRegistry(database=database)
    table = f"only_here_{database.url.dialect}"

    class OnlyHere(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)
        code = orm.String(max_length=20)

        class Meta:
            tablename = table  # of no other registry: one of an earlier test may not have been collected yet
            constraints = [orm.UniqueConstraint(Lower("code"), name=f"{table}_code")]

    await models.create_all()
    for sql in (f"INSERT INTO {table} (id, code) VALUES (1, 'a')",) * 2:
        try:
            await database.execute(sql)
        except orm.UniqueViolation as caught:
            # MariaDB says PRIMARY, and not of which table.
            assert facts(caught) in [(f"{table}_pkey", "OnlyHere", ("id",)), (None, None, ())]
    with pytest.raises(orm.UniqueViolation) as violated:
        await database.execute(f"INSERT INTO {table} (id, code) VALUES (2, 'A')")
    assert facts(violated.value) == (f"{table}_code", "OnlyHere", ("code",))


async def test_error_of_a_deferred_constraint_is_known_at_the_commit(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        models = orm.ModelRegistry(database=database)

        class Deferred(orm.Model):
            registry = models
            position = orm.Integer()

            class Meta:
                tablename = "deferred_of_no_other_test"
                constraints = [orm.UniqueConstraint("position", deferrable="deferred", message="Twice.")]

        await models.create_all()
        first, second = await Deferred.objects.bulk_create([{"position": 1}, {"position": 2}])
        async with database.transaction():  # The two change places.
            await first.update(position=2)
            await second.update(position=1)
        with pytest.raises(orm.UniqueViolation) as caught:
            async with database.transaction():
                await first.update(position=1)
        assert facts(caught.value) == ("deferred_of_no_other_test_position_key", "Deferred", ("position",))
        assert dict(caught.value.as_validation_error()) == {"position": "Twice."}


async def test_error_of_a_table_without_a_model_has_a_message_all_the_same(database: Database) -> None:
    await database.execute("CREATE TABLE nobodys (id INTEGER PRIMARY KEY)")
    await database.execute("INSERT INTO nobodys VALUES (1)")
    with pytest.raises(orm.UniqueViolation) as caught:
        await database.execute("INSERT INTO nobodys VALUES (1)")
    assert caught.value.model is None
    assert dict(caught.value.as_validation_error()) == {"": "The database refuses this."}
    copied = pickle.loads(pickle.dumps(caught.value))
    assert copied.violation == caught.value.violation


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("UNIQUE constraint failed: note.a, note.b", Violation(None, "note", ("a", "b"))),
        ("UNIQUE constraint failed: index 'by_text'", Violation("by_text")),
        ("CHECK constraint failed: some, thing", Violation("some, thing")),
        ("NOT NULL constraint failed: note.a", Violation(None, "note", ("a",))),
        ("FOREIGN KEY constraint failed", Violation()),
    ],
)
def test_sqlite_messages_are_read(message: str, expected: Violation) -> None:
    assert sqlite_violation(Exception(message)) == expected


@pytest.mark.parametrize(
    ("number", "message", "expected"),
    [
        (1062, "Duplicate entry 'a' for key 'note.by_text'", Violation("by_text", "note")),
        (1062, "Duplicate entry 'a' for key 'by_text'", Violation("by_text")),
        (1062, "Duplicate entry 'it's for key 'x.y'' for key 'PRIMARY'", Violation("PRIMARY")),
        (
            1452,
            "Cannot add or update a child row: a foreign key constraint fails (`d`.`note`, CONSTRAINT `n_fkey` FOREIGN "
            "KEY (`a`) REFERENCES `album` (`id`))",
            Violation("n_fkey", "note"),
        ),
        (
            1451,
            "Cannot delete or update a parent row: a foreign key constraint fails (`d`.`note`, CONSTRAINT `n_fkey` "
            "FOREIGN KEY (`a`) REFERENCES `album` (`id`))",
            Violation("n_fkey", "note", (), True),
        ),
        (1048, "Column 'a' cannot be null", Violation(None, None, ("a",))),
        (1364, "Field 'a' doesn't have a default value", Violation(None, None, ("a",))),
        (3819, "Check constraint 'c' is violated.", Violation("c")),
        (4025, "CONSTRAINT `c` failed for `d`.`note`", Violation("c", "note")),
        (1062, "Something else", Violation()),
    ],
)
def test_mysql_messages_are_read(number: int, message: str, expected: Violation) -> None:
    assert mysql_violation(Exception(number, message)) == expected
