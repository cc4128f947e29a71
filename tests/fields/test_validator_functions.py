"""The option `validators=`: which values its functions get, and where their messages are."""

from __future__ import annotations

import decimal
from typing import Any

import pytest
import typesystem

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio
seen: list[Any] = []


def even(value: int) -> None:
    seen.append(value)
    if value % 2:
        raise orm.ValidationError(text="Must be even.", code="even")


def small(value: Any) -> None:
    if value > 10:
        raise ValueError("Must be small.")


def short(value: str) -> None:
    if len(value) > 3:
        raise ValueError("Must be short.")


class Shop:
    def __init__(self, database: Database | None = None) -> None:
        self.models = models = orm.ModelRegistry(database=database)

        class Kind(orm.Model):
            registry = models
            id = orm.Integer(primary_key=True, validators=[small])

        class Item(orm.Model):
            registry = models
            id = orm.Integer(primary_key=True)
            count = orm.Integer(validators=[even, small], allow_null=True)
            size = orm.Integer(choices=[1, 2], default=2, validators=[even])
            price = orm.Decimal(max_digits=5, decimal_places=2, default=1, validators=[small])
            name = orm.String(max_length=10, allow_blank=True, default="", validators=[short])
            kind: Any = orm.ForeignKey(Kind, allow_null=True, validators=[even])

        self.Kind, self.Item = Kind, Item


@pytest.fixture
async def shop(database: Database) -> Shop:
    shop = Shop(database)
    await shop.models.create_all()
    return shop


async def test_all_messages_are_raised_at_their_fields_by_every_write(shop: Shop) -> None:
    wrong = {"count": 11, "size": 1, "price": "20", "name": "abcd", "kind": 1}
    expected = {
        ("count",): ["Must be even.", "Must be small."],
        ("size",): ["Must be even."],
        ("price",): ["Must be small."],
        ("name",): ["Must be short."],
        ("kind",): ["Must be even."],
    }

    def of(error: Any, width: int = 0) -> dict[tuple[Any, ...], list[str]]:
        texts: dict[tuple[Any, ...], list[str]] = {}
        for message in error.messages():
            texts.setdefault(tuple(message.index[width:]), []).append(message.text)
        return texts

    item = await shop.Item.objects.create()
    for write in (
        lambda: shop.Item.objects.create(**wrong),
        lambda: shop.Item(**wrong).save(),
        lambda: item.update(**wrong),
        lambda: shop.Item.objects.update(**wrong),
        lambda: shop.Item.objects.create_graph(wrong),
        lambda: shop.Item.objects.upsert(wrong, unique_fields=["id"]),
    ):
        with pytest.raises(orm.ValidationError) as raised:
            await write()
        start = 1 if raised.value.messages()[0].index[0] == 0 else 0
        assert of(raised.value, start) == expected
    with pytest.raises(orm.ValidationError) as raised:
        await shop.Item.objects.bulk_create([{"count": 2}, wrong, {"count": 3}])
    messages = raised.value.messages()
    assert [message.index for message in messages if message.code == "even"][-1] == [2, "count"]
    assert {tuple(message.index) for message in messages} == {(1, *path) for path in expected} | {(2, "count")}
    item.count = 3
    with pytest.raises(orm.ValidationError):
        await shop.Item.objects.bulk_update([item], ["count"])
    assert await shop.Item.objects.count() == 1


async def test_valid_values_are_stored(shop: Shop) -> None:
    kind = await shop.Kind.objects.create(id=4)
    item = await shop.Item.objects.create(count="4", price=decimal.Decimal("9.50"), kind=kind)
    await shop.Item.objects.bulk_create([{"count": 2, "kind": 4}])
    assert (item.count, item.price, item.kind_id) == (4, decimal.Decimal("9.50"), 4)
    assert await shop.Item.objects.order_by("id").values_list("count", flat=True) == [4, 2]


def test_functions_get_converted_values_that_are_not_empty() -> None:
    shop = Shop()
    seen.clear()
    shop.Item.schema.validate({"count": "4"})
    shop.Item.schema.validate({"count": None})
    assert seen == [4]


def test_schema_has_their_messages_and_the_classes_of_its_validators() -> None:
    schema = Shop().Item.schema
    _, error = schema.validate_or_error({"count": 3, "name": "abcd"})
    assert dict(error) == {"count": "Must be even.", "name": "Must be short."}
    assert isinstance(schema.fields["count"], typesystem.Integer)
    assert type(schema.fields["count"]).__name__ == type(Shop().Item.schema.fields["id"]).__name__
    assert schema.fields["name"].max_length == 10


def test_items_of_an_array_have_their_own() -> None:
    class Sheet(orm.Model):
        registry = orm.ModelRegistry()

        numbers: Any = orm.Array(orm.Integer(validators=[even]))

    with pytest.raises(orm.ValidationError) as raised:
        Sheet._meta.validator.create({"numbers": [2, 3]})
    assert [(message.text, message.index) for message in raised.value.messages()] == [("Must be even.", ["numbers", 1])]


def test_key_is_checked_by_the_functions_of_the_related_field() -> None:
    shop = Shop()
    with pytest.raises(orm.ValidationError, match="small"):
        shop.Item.schema.validate({"kind": 12})
    with pytest.raises(orm.ValidationError, match="small"):
        shop.Item._meta.validator.create({"kind": 12})


def test_inherited_and_copied_fields_keep_them() -> None:
    class Base(orm.Model):
        count = orm.Integer(validators=[even])

        class Meta:
            abstract = True

    class Child(Base):
        registry = orm.ModelRegistry()

    with pytest.raises(orm.ValidationError, match="even"):
        Child.schema.validate({"count": 1})


@pytest.mark.parametrize(
    ("functions", "message"), [([3], "got int"), (["even"], "got str")], ids=["a number", "a name"]
)
def test_what_is_no_function_raises(functions: Any, message: str) -> None:
    with pytest.raises(orm.FieldError, match=message):
        orm.Integer(validators=functions)


def test_async_function_raises() -> None:
    async def check(value: Any) -> None: ...

    with pytest.raises(orm.FieldError, match=r"check\(\) is async"):
        orm.Integer(validators=[check])
