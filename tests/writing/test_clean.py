"""`clean()`, and `full_clean()` of one and of many instances, which calls it."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()


class Event(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=20, unique=True)
    start = orm.Integer()
    end = orm.Integer(minimum=0)

    def clean(self) -> None:
        self.name = self.name.upper()
        messages = []
        if self.start > self.end:
            messages.append(orm.ValidationError(text="Ends before it starts.", key="end").messages()[0])
        if self.start == 13:
            messages.append(orm.ValidationError(text="Not at this hour.").messages()[0])
        if messages:
            raise orm.ValidationError(messages=messages)


class Ticket(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    event: Any = orm.ForeignKey(Event)
    seats = orm.Integer(default=1)

    async def clean(self) -> None:
        await super().clean()
        sold = await Ticket.objects.filter(event=self.event_id).count()
        if sold + self.seats > 2:
            raise orm.ValidationError(text="Sold out.", key="seats", code="sold_out")


@pytest.fixture
async def shop(database: Database) -> Database:
    models.database = database
    await models.create_all()
    return database


async def messages(validation: Any) -> list[tuple[list[Any], str]]:
    with pytest.raises(orm.ValidationError) as raised:
        await validation
    return [(message.index, message.text) for message in raised.value.messages()]


async def test_messages_of_fields_clean_and_constraints_are_raised_together(shop: Database) -> None:
    await Event.objects.create(name="FAIR", start=1, end=2)
    event = Event(name="fair", start=13, end=-1)
    assert await messages(event.full_clean()) == [
        (["end"], "Must be greater than or equal to 0."),
        (["end"], "Ends before it starts."),
        ([], "Not at this hour."),
        (["name"], "Event with this name already exists."),
    ]
    assert event.name == "FAIR"


async def test_async_clean_asks_the_database(shop: Database) -> None:
    event = await Event.objects.create(name="FAIR", start=1, end=2)
    await Ticket(event=event, seats=2).full_clean()
    await Ticket.objects.create(event=event)
    assert await messages(Ticket(event=event, seats=2).validate()) == [(["seats"], "Sold out.")]


async def test_save_does_not_call_clean(shop: Database) -> None:
    event = await Event.objects.create(name="fair", start=3, end=2)
    assert event.name == "fair"


async def test_instance_without_a_required_value_is_not_cleaned(shop: Database) -> None:
    assert await messages(Event(name="fair").full_clean()) == [
        (["start"], "This field is required."),
        (["end"], "This field is required."),
    ]


async def test_error_of_clean_that_is_no_validation_error_is_raised(shop: Database) -> None:
    class Broken(Event.__base__):  # type: ignore[misc,name-defined]
        registry = orm.ModelRegistry(shop)

        def clean(self) -> None:
            raise KeyError("broken")

    with pytest.raises(KeyError):
        await Broken().full_clean()


async def test_many_instances_are_validated_with_their_positions(shop: Database) -> None:
    event = await Event.objects.create(name="FAIR", start=1, end=2)
    rows = [
        Event(name="a", start=1, end=2),
        {"name": "b", "start": 3, "end": 2},
        {"name": "fair", "start": 1, "end": 2},
    ]
    assert await messages(Event.objects.full_clean(rows)) == [
        ([1, "end"], "Ends before it starts."),
        ([2, "name"], "Event with this name already exists."),
    ]
    valid = await Event.objects.full_clean(rows[:1])
    assert [each.name for each in await Event.objects.bulk_create(valid)] == ["A"]
    assert await Event.objects.count() == 2
    assert event.id is not None
