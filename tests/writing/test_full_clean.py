"""`full_clean()` gives the messages of fields and constraints that a write would give. See also tests/mapping."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.functions import Lower

pytestmark = pytest.mark.anyio


class Shop:
    def __init__(self, database: Database) -> None:
        self.models = models = orm.ModelRegistry(database=database)

        class Person(orm.Model):
            registry = models
            id = orm.Integer(primary_key=True)
            name = orm.String(max_length=10, unique=True)
            age = orm.Integer(allow_null=True)

            class Meta:
                constraints = [orm.CheckConstraint(orm.Q(age__gte=18), message="Too young.", name="grown_up")]

        class Account(orm.Model):
            registry = models
            room = orm.Integer(primary_key=True)
            number = orm.Integer(primary_key=True)
            owner = orm.OneToOne(Person)
            mail = orm.Email(allow_null=True)
            opened = orm.DateTime(allow_null=True)
            price = orm.Decimal(max_digits=6, decimal_places=2, allow_null=True)
            flags = orm.JSON(default=dict)

            class Meta:
                constraints = [
                    orm.UniqueConstraint(Lower("mail"), "owner", name="mail_of_owner"),
                    orm.UniqueConstraint("opened", "price", condition=orm.Q(price__gt=1), name="opened_price"),
                ]

        self.Person, self.Account = Person, Account


@pytest.fixture
async def shop(database: Database) -> Shop:
    shop = Shop(database)
    await shop.models.create_all()
    await shop.Person.objects.create(name="Ann", age=20)
    return shop


async def messages(instance: Any, **options: Any) -> dict[Any, Any]:
    try:
        await instance.full_clean(**options)
    except orm.ValidationError as error:
        return dict(error)
    return {}


async def test_all_messages_come_at_once(shop: Shop) -> None:
    person = shop.Person(name="Ann", age=3)
    taken = "Person with this name already exists."
    assert await messages(person) == {"name": taken, "age": "Too young."}
    assert await messages(shop.Person(name="Ann", age="x")) == {"name": taken, "age": "Must be a number."}
    assert await messages(shop.Person(age="30")) == {"name": "This field is required."}
    assert await messages(person, exclude=["age"]) == {"name": taken}
    assert await messages(person, validate_constraints=False) == {}
    with pytest.raises(orm.ValidationError):
        await person.validate()


async def test_constraints_are_asked_about_in_one_statement_of_one_plan(shop: Shop) -> None:
    orm.plan_cache_clear()
    for name in ("Bob", "Cid", "Dan"):
        with orm.track_queries() as queries:
            await shop.Person(name=name, age=20).full_clean()
        assert queries.count == 1
    assert orm.plan_cache_info().misses == 1
    with orm.track_queries() as queries:
        await shop.Person(name="Bob").full_clean(validate_constraints=False)
    assert queries.count == 0


async def test_the_row_itself_does_not_count(shop: Shop) -> None:
    person = await shop.Person.objects.get(name="Ann")
    assert await messages(person) == {}
    other = await shop.Person.objects.create(name="Bob", age=30)
    other.name = "Ann"
    assert list(await messages(other)) == ["name"]
    other.name = " Bob "
    assert await messages(other) == {}
    assert other.name == "Bob"


async def test_the_key_of_a_new_row_is_unique_too(shop: Shop) -> None:
    assert await messages(shop.Person(id=1, name="Bob")) == {"id": "Person with this id already exists."}
    ann = await shop.Person.objects.get(id=1)
    bob = await shop.Person.objects.create(name="Bob")
    await shop.Account.objects.create(room=1, number=1, owner=ann)
    text = "Account with this room and number already exists."
    assert await messages(shop.Account(room=1, number=1, owner=bob)) == {"room": text, "number": text}
    assert await messages(shop.Account(room=1, number=2, owner=ann)) == {
        "owner": "Account with this owner already exists."
    }
    assert await messages(await shop.Account.objects.get(owner=ann)) == {}


async def test_the_rows_that_foreign_keys_refer_to_are_looked_for(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Room(orm.Model):
        registry = models
        house = orm.Integer(primary_key=True)
        number = orm.Integer(primary_key=True)

    class Person(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=10)
        boss = orm.ForeignKey("Person", allow_null=True)
        house = orm.Integer(allow_null=True)
        number = orm.Integer(allow_null=True)
        room = orm.CompositeForeignKey(Room, from_fields=["house", "number"], allow_null=True)

    class Guest(Person):
        registry = models
        host = orm.ForeignKey(Person, related_name="guests")

    await models.create_all()
    text = "The row that this refers to does not exist."
    room = await Room.objects.create(house=1, number=1)
    ann = await Person.objects.create(name="Ann", room=room)
    assert await messages(ann) == {}
    assert await messages(Person(name="Bob", boss=ann)) == {}
    assert await messages(Person(name="Bob", boss=99, room=Room(house=1, number=2))) == dict.fromkeys(
        ("boss", "house", "number"), text
    )
    assert await messages(Person(name="Bob", boss=99), exclude=["boss"]) == {}
    assert await messages(Person(name="Bob", boss=99), validate_constraints=False) == {}
    ann.boss = 99
    assert await messages(ann) == {"boss": text}
    assert await messages(Person(id=7, name="Own boss", boss=7)) == {}
    assert await messages(Guest(name="Eve", host=ann)) == {}
    assert await messages(Guest(name="Eve", host=99, boss=98)) == {"host": text, "boss": text}
    eve = await Guest.objects.create(name="Eve", host=ann)
    assert await messages(eve) == {}
    eve.boss, eve.host = eve.pk, eve.pk
    assert await messages(eve) == {}


async def test_fields_that_are_not_loaded_or_are_expressions_are_not_checked(shop: Shop) -> None:
    await shop.Person.objects.create(name="Bob")
    sparse = await shop.Person.objects.only("age").get(name="Bob")
    assert await messages(sparse) == {}
    sparse.age = 3
    assert await messages(sparse) == {"age": "Too young."}
    sparse.age = shop.Person.age + 1
    assert await messages(sparse) == {}


async def test_values_are_compared_as_they_are_stored(shop: Shop) -> None:
    Account = shop.Account
    bob = await shop.Person.objects.create(name="Bob")
    at = "2024-05-01T10:00:00"
    await Account.objects.create(room=1, number=1, owner=1, mail="a@B.org", opened=at, price="2.5", flags={"a": [1]})
    same = Account(room=2, number=1, owner=bob, mail="A@b.org", opened=at, price="2.50", flags={"a": [1]})
    text = "Account with this opened and price already exists."
    assert await messages(same) == {"opened": text, "price": text}
    same.price = "1"
    assert await messages(same) == {}
    same.owner = 1
    assert set(await messages(same)) == {"owner", "mail"}


async def test_a_constraint_of_another_database_is_not_checked(shop: Shop, database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Note(orm.Model):
        registry = models
        text = orm.String(max_length=10)

        class Meta:
            constraints = [orm.CheckConstraint(orm.Q(text="x"), name="x_there", databases=["postgresql"])]

    await models.create_all()
    expected = {"text": "The constraint x_there is violated."} if database.url.dialect == "postgresql" else {}
    assert await messages(Note(text="y")) == expected


async def test_generated_columns_and_defaults_of_the_database_are_checked_too(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Product(orm.Model):
        registry = models
        name = orm.String(max_length=10)
        price = orm.Integer()
        rebate = orm.Generated(orm.F("price") / 10, orm.Integer())
        kind = orm.String(max_length=10, server_default="book")

        class Meta:
            constraints = [
                orm.CheckConstraint(orm.Q(rebate__lte=100), message="Too much.", name="rebate_is_small"),
                orm.UniqueConstraint("rebate", "name", name="rebate_of_name", message="Taken."),
                orm.UniqueConstraint("kind", "price", name="price_of_kind", message="Same price."),
            ]

    await models.create_all()
    product = await Product.objects.create(name="a", price=500)
    assert await messages(product) == {}
    assert await messages(Product(name="a", price=490)) == {}
    assert await messages(Product(name="a", price=500, kind="disc")) == {"rebate": "Taken.", "name": "Taken."}
    assert await messages(Product(name="b", price=500)) == {"kind": "Same price.", "price": "Same price."}
    product.price = 2000
    assert await messages(product) == {"rebate": "Too much."}
    assert await messages(product, exclude=["price"]) == {}
    assert await messages(product, exclude=["rebate"]) == {}


async def test_values_that_a_column_cannot_store_are_refused(shop: Shop) -> None:
    refused = await messages(shop.Person(name="Bob", age=2**64))
    assert list(refused) == ["age"] and "bits" in refused["age"]
    assert list(await messages(shop.Person(id=-(2**70), name="Ann", age=3))) == ["id", "name", "age"]


async def test_properties_in_bulk_and_numbered_keys_with_limits(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Person(orm.Model):
        registry = models
        id = orm.PositiveInteger(primary_key=True)
        name = orm.String(max_length=10)

        class Meta:
            constraints = [orm.UniqueConstraint(orm.F("name"), name="name_of_person")]

        @property
        def shout(self) -> str:
            return self.name.upper()

        @shout.setter
        def shout(self, value: str) -> None:
            self.name = value.lower()

        @property
        def length(self) -> int:
            return len(self.name)

    await models.create_all()
    ann = await Person.objects.create(shout="ANN")
    assert (ann.id, ann.name) == (1, "ann")
    bob, _ = await Person.objects.get_or_create(name="x", defaults={"shout": "BOB"})
    assert bob.name == "bob"
    assert await Person.objects.in_bulk(["ann", "cid"], field_name="name") == {"ann": ann}
    assert list(await messages(Person(name="ann"))) == ["name"]
    for name in ("length", "full_clean", "objects"):
        with pytest.raises(orm.FieldError, match=name):
            Person(**{name: 1})
