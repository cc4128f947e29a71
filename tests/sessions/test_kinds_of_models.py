"""Sessions with models that are written in other ways: hooks, own methods, several tables, composite keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

import orm
from orm.database.connections.ddl import create_all

models = orm.ModelRegistry()
log: list[Any] = []


class Hooked(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50)
    stamp = orm.DateTime(auto_now=True)

    def before_save(self, *, created: bool, update_fields: frozenset[str] | None) -> Any:
        log.append((created, sorted(update_fields or ())))
        return super().before_save(created=created, update_fields=update_fields)

    def after_delete(self) -> Any:
        log.append("deleted")
        return super().after_delete()


class Overriding(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50)
    parent = orm.ForeignKey("Overriding", allow_null=True, on_delete=orm.CASCADE)

    async def save(self, **options: Any) -> Any:
        log.append(self.name)
        return await super().save(**options)


class SoftlyDeleted(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    gone = orm.Boolean(default=False)

    async def delete(self) -> int:
        await self.update(gone=True)
        return 1


class Stamped(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50)
    stamp = orm.DateTime(auto_now=True, allow_null=True)

    class Meta:
        track_changes = True


class Order(orm.Model):
    registry = models
    tablename = "orders"

    region = orm.String(max_length=10, primary_key=True)
    number = orm.Integer(primary_key=True)
    total = orm.Integer(default=0)


class Line(orm.Model):
    registry = models
    tablename = "order_line"

    id = orm.Integer(primary_key=True)
    region = orm.String(max_length=10)
    number = orm.Integer()
    order: Any = orm.CompositeForeignKey(
        Order, from_fields=["region", "number"], on_delete=orm.CASCADE, related_name="lines"
    )


@dataclass
class Address:
    street: Annotated[str, orm.String(max_length=40)]
    city: Annotated[str, orm.String(max_length=40)]


class Customer(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    address = orm.Embedded(Address)

    class Meta:
        track_changes = True


class Animal(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50)


class Dog(Animal):
    breed = orm.String(max_length=50)


class Vehicle(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    kind = orm.String(max_length=10)
    name = orm.String(max_length=50)
    towed_by = orm.ForeignKey("Vehicle", allow_null=True)

    class Meta:
        discriminator = "kind"
        discriminator_value = "vehicle"


class Car(Vehicle):
    doors = orm.Integer(default=4)

    class Meta:
        discriminator_value = "car"


class Truck(Vehicle):
    class Meta:
        discriminator_value = "truck"


class Ticket(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    vehicle = orm.ForeignKey(Vehicle, allow_null=True, on_delete=orm.CASCADE)
    animal = orm.ForeignKey(Animal, allow_null=True, on_delete=orm.CASCADE)


class Garage(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    vehicle = orm.ForeignKey(Vehicle, on_delete=orm.RESTRICT)


@pytest.fixture
async def database_of_models(database: orm.Database) -> orm.Database:
    models.database = database
    await models.create_all()
    log.clear()
    return database


async def test_hooks_are_called_for_each_row(database_of_models: orm.Database) -> None:
    async with orm.Session(database_of_models) as session:
        row = Hooked(name="a")
        session.add(row)
        await session.flush()
        row.name = "b"
        await session.flush()
        assert not session.dirty
        await session.delete(row)
        await session.commit()
    assert log == [(True, []), (False, ["name", "stamp"]), "deleted"]
    assert await Hooked.objects.count() == 0


async def test_own_save_is_called_parents_first(database_of_models: orm.Database) -> None:
    async with orm.Session(database_of_models) as session:
        child = Overriding(name="child", parent=Overriding(name="parent"))
        session.add(child)
        await session.commit()
        child.name = "changed"
        await session.commit()
    assert log == ["parent", "child", "changed"]


async def test_own_delete_is_called(database_of_models: orm.Database) -> None:
    async with orm.Session(database_of_models) as session:
        row = SoftlyDeleted()
        session.add(row)
        await session.commit()
        await session.delete(row)
        await session.commit()
    assert (await SoftlyDeleted.objects.get()).gone


async def test_tracked_changes_and_stamps(database_of_models: orm.Database) -> None:
    async with orm.Session(database_of_models) as session:
        row = Stamped(name="x")
        session.add(row)
        await session.commit()
        before = row.stamp
        row.name = "y"
        assert row.changed_fields == ("name",)
        await session.flush()
        assert row.changed_fields == ()
        assert row.stamp > before
        await session.rollback()
        assert (row.name, row.stamp, row.changed_fields) == ("x", before, ())


async def test_composite_keys(database_of_models: orm.Database) -> None:
    async with orm.Session(database_of_models) as session:
        line = Line(order=Order(region="eu", number=1))
        session.add(line)
        await session.commit()
        assert (line.region, line.number) == ("eu", 1)
        third = Order(region="eu", number=3)
        line.order = third
        assert third in session.new
        await session.commit()
        assert line.number == 3
    async with orm.Session(database_of_models) as session:
        order = await session.get(Order, ("eu", 3))
        line = await Line.objects.get(number=3)
        assert line.order is order
        assert await line.order is order


async def test_rows_in_several_tables(database_of_models: orm.Database) -> None:
    async with orm.Session(database_of_models) as session:
        dog = Dog(name="rex", breed="x")
        session.add(dog)
        await session.commit()
        dog.name, dog.breed = "max", "y"
        await session.commit()
        read = await Animal.objects.get(name="max")
        assert read.id == dog.id
        await session.delete(dog)
        await session.commit()
    assert await Animal.objects.count() == 0


async def test_flush_that_is_cancelled_is_rolled_back(database_of_models: orm.Database) -> None:
    async def work(session: orm.Session) -> None:
        session.add_all([Stamped(name=f"c{i}") for i in range(5000)])
        await session.flush()
        await asyncio.sleep(10)

    async def run() -> None:
        async with orm.Session(database_of_models) as session:
            await work(session)

    task = asyncio.create_task(run())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await Stamped.objects.count() == 0


async def test_graphs_are_created_in_the_session(database_of_models: orm.Database) -> None:
    async with orm.Session(database_of_models) as session:
        order = await Order.objects.create_graph({"region": "us", "number": 9, "lines": [{}, {}]})
        assert order in session
        lines: Any = order.lines  # type: ignore[attr-defined]
        assert all(line in session for line in lines)
        first = lines[0]
        await session.rollback()
        assert session.state_of(first) == "transient"
    assert await Line.objects.count() == 0


async def test_upsert_is_seen_on_the_instances(database_of_models: orm.Database) -> None:
    await Order.objects.create(region="eu", number=1)
    async with orm.Session(database_of_models) as session:
        order = await session.get_one(Order, ("eu", 1))
        unique = [] if database_of_models.url.dialect == "mysql" else ["region", "number"]
        await Order.objects.upsert({"region": "eu", "number": 1, "total": 5}, unique_fields=unique)
        assert order.total == 5
        assert order not in session.dirty


async def test_rollback_of_an_upsert_gives_instances_what_they_had_before(database_of_models: orm.Database) -> None:
    await Order.objects.create(region="eu", number=1)
    loaded = await Order.objects.get(number=1)
    loaded.total = 5
    new = Order(region="eu", number=2, total=1)
    unique = [] if database_of_models.url.dialect == "mysql" else ["region", "number"]
    async with orm.Session(database_of_models) as session:
        for _ in range(2):  # after a rollback they can be written again
            assert await Order.objects.upsert([loaded, new], unique_fields=unique) == [loaded, new]
            assert [session.state_of(each) for each in (loaded, new)] == ["persistent", "persistent"]
            await session.rollback()
            assert [session.state_of(each) for each in (loaded, new)] == ["detached", "transient"]
            assert [(each.pk, each.total) for each in (loaded, new)] == [(("eu", 1), 5), (("eu", 2), 1)]
        savepoint = await session.begin_nested()
        await Order.objects.upsert(loaded, unique_fields=unique)
        await savepoint.rollback()
        assert session.state_of(loaded) == "detached"
    await loaded.save()
    assert await Order.objects.values_list("number", "total") == [(1, 5)]


async def test_rollback_of_a_graph_leaves_the_rows_that_it_refers_to_saved(database_of_models: orm.Database) -> None:
    order = await Order.objects.create(region="eu", number=1)
    async with orm.Session(database_of_models) as session:
        line = await Line.objects.create_graph({"order": order})
        await session.rollback()
        assert [session.state_of(each) for each in (line, order)] == ["transient", "persistent"]
        assert order.pk == ("eu", 1)


async def test_every_write_that_returns_instances_gives_those_of_the_session(database_of_models: orm.Database) -> None:
    await Order.objects.create(region="eu", number=1)
    mysql = database_of_models.url.dialect == "mysql"
    unique = [] if mysql else ["region", "number"]
    key = {"region": "eu", "number": 1}
    async with orm.Session(database_of_models) as session:
        order = await session.get_one(Order, ("eu", 1))
        assert await Order.objects.upsert({**key, "total": 5}, unique_fields=unique) is order
        rows = [{**key, "total": 6}, {"region": "eu", "number": 2, "total": 1}, {**key, "total": 7}]
        first, second, third = await Order.objects.upsert(rows, unique_fields=unique)
        assert first is third is order and order.total == 7
        assert second in session and await session.get(Order, ("eu", 2)) is second
        options: Any = {"update_conflicts": True, "update_fields": ["total"], "unique_fields": unique}
        assert (await Order.objects.bulk_create([Order(**key, total=8)], **options))[0] is order
        assert order.total == 8
        assert (await Order.objects.get_or_create(**key))[0] is order
        assert (await Order.objects.update_or_create(**key, defaults={"total": 9}))[0] is order
        assert (await Order.objects.filter(number=1).update(total=10, returning=True))[0] is order
        assert await Order.objects.update_graph({**key, "total": 11}) is order
        assert order.total == 11 and not session.dirty
        created = await Order.objects.upsert({"region": "eu", "number": 3, "total": 1}, unique_fields=unique)
        await session.rollback()
        assert created not in session and second not in session
        assert order in session and order.total == 0
    assert await Order.objects.count() == 1


async def test_relation_reads_no_instance_of_another_databases_session(database_of_models: orm.Database) -> None:
    other = orm.Database("sqlite://")
    async with other:
        await create_all(other, models.metadata)
        for place, name in ((database_of_models, "here"), (other, "there")):
            parent = await Overriding.objects.using(place).create(name=name)
            await Overriding.objects.using(place).create(name="child", parent=parent)
        async with orm.Session(database_of_models) as session:
            here = await session.get_one(Overriding, 1)
            child = await Overriding.objects.using(other).get(name="child")
            assert child.parent is not here
            await child.parent.load()
            assert child.parent.name == "there"
            assert (await Overriding.objects.get(name="child")).parent is here
            async with orm.Session(other) as inner:
                there = await inner.get_one(Overriding, 1)
                assert (await Overriding.objects.using(other).get(name="child")).parent is there
                assert (await Overriding.objects.get(name="child")).parent is here


async def test_embedded_value_that_was_changed_in_place_is_read_again(database_of_models: orm.Database) -> None:
    customer = await Customer.objects.create(address=Address("Via Po 1", "Turin"))
    async with orm.Session(database_of_models) as session:
        customer = await session.get_one(Customer, customer.pk)
        customer.address.city = "Rome"
        await session.refresh(customer)
        assert customer.address.city == "Turin" and not session.dirty and customer.changed_fields == ()
        customer.address.city = "Rome"
        session.expire(customer)
        with pytest.raises(orm.NotLoaded, match=r"has expired.*session\.refresh\(instance\)"):
            print(customer.address)
        assert (await session.get_one(Customer, customer.pk)).address.city == "Turin"
        assert customer.changed_fields == ()
        await session.commit()
    assert await Customer.objects.values_list("address_city", flat=True) == ["Turin"]


async def test_values_that_a_session_reads_are_no_changes(database_of_models: orm.Database) -> None:
    stamped = await Stamped.objects.create(name="a")
    async with orm.Session(database_of_models) as session:
        stamped = await Stamped.objects.only("id").get()
        assert await Stamped.objects.get() is stamped and stamped.changed_fields == ()
        stamped.name = "mine"
        assert stamped.changed_fields == ("name",)
        await session.flush()
        assert stamped.changed_fields == ()
        await Stamped.objects.update(name="other")
        await session.refresh(stamped)
        assert stamped.name == "other" and stamped.changed_fields == ()


async def test_new_rows_of_subclasses_are_inserted_before_those_that_refer_to_them(
    database_of_models: orm.Database,
) -> None:
    async with orm.Session(database_of_models) as session:
        session.add(Ticket(vehicle=Car(name="car", towed_by=Truck(name="truck"))))
        session.add(Ticket(animal=Dog(name="rex", breed="pug")))
        session.add(Truck(name="second", towed_by=Car(name="third")))
        await session.commit()
    assert sorted(await Vehicle.objects.values_list("name", "kind", "towed_by__name")) == [
        *(("car", "car", "truck"), ("second", "truck", "third"), ("third", "car", None), ("truck", "truck", None))
    ]
    tickets = await Ticket.objects.order_by("id").values_list("vehicle__name", "animal__name")
    assert tickets == [("car", None), (None, "rex")] and await Dog.objects.count() == 1


async def test_row_of_a_subclass_is_one_instance_and_its_deletion_reaches_what_refers_to_it(
    database_of_models: orm.Database,
) -> None:
    car, dog = await Car.objects.create(name="car"), await Dog.objects.create(name="rex", breed="pug")
    tickets = [await Ticket.objects.create(vehicle=car), await Ticket.objects.create(animal=dog)]
    async with orm.Session(database_of_models) as session:
        car = await session.get_one(Vehicle, car.pk)
        assert type(car) is Car and await session.get(Car, car.pk) is car
        assert await session.get(Truck, car.pk) is None
        tickets = await Ticket.objects.order_by("id")
        with orm.track_queries() as queries:
            assert tickets[0].vehicle is car and await session.get(Vehicle, car.pk) is car
        assert len(queries) == 0
        await session.delete(car)
        await session.delete(await session.get_one(Dog, dog.pk))
        await session.flush()
        assert [session.state_of(ticket) for ticket in tickets] == ["deleted", "deleted"]
        await session.rollback()
        assert [session.state_of(ticket) for ticket in tickets] == ["persistent", "persistent"]
        garage = Garage(vehicle=car)
        session.add(garage)
        await session.flush()
        await session.delete(car)
        await session.delete(garage)
        await session.commit()
    assert await Vehicle.objects.count() == await Garage.objects.count() == 0


async def test_updates_over_a_base_or_a_subclass_are_seen_on_the_instances(database_of_models: orm.Database) -> None:
    await Car.objects.create(name="car")
    await Dog.objects.create(name="rex", breed="pug")
    async with orm.Session(database_of_models) as session:
        car, dog = await Car.objects.get(), await Dog.objects.get()
        await Vehicle.objects.update(name="over the base")
        await Animal.objects.update(name="over the base")
        assert car.name == dog.name == "over the base"
        animal = await session.get_one(Animal, dog.pk)
        await Dog.objects.update(name="over the subclass")
        assert animal.name == dog.name == "over the subclass"
        await Vehicle.objects.filter(name="over the base").delete()
        assert session.state_of(car) == "deleted"
