"""Multi-table inheritance: a row of a model begins in the tables of the models that it inherits from."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


class Town:
    """A registry with places, restaurants, which are places, and models around them."""

    def __init__(self, database: Database) -> None:
        self.models = models = orm.ModelRegistry(database=database)

        class Owner(orm.Model):
            registry = models

            name = orm.String(max_length=20)

        class Place(orm.Model):
            registry = models

            name = orm.String(max_length=20, unique=True)
            seats = orm.Integer(default=10)
            owner: Any = orm.ForeignKey(Owner, related_name="places", on_delete=orm.CASCADE, allow_null=True)
            tags: Any = orm.ManyToMany("Tag", related_name="places")

            class Meta:
                ordering = ["name"]
                get_latest_by = "seats"

        class Tag(orm.Model):
            registry = models

            name = orm.String(max_length=20)

        class Restaurant(Place):
            pizza = orm.Boolean(default=False)
            stars = orm.Integer(default=1)

            def shout(self) -> str:
                return self.name.upper()

        class Trattoria(Restaurant):
            chef: Any = orm.ForeignKey(Owner, related_name="kitchens", allow_null=True)

        class Bar(Place):
            beers = orm.Integer(default=3)

        class Review(orm.Model):
            registry = models

            place: Any = orm.ForeignKey(Place, related_name="reviews", on_delete=orm.CASCADE)
            restaurant: Any = orm.ForeignKey(Restaurant, related_name="meals", on_delete=orm.SET_NULL, allow_null=True)

        self.Owner, self.Place, self.Tag, self.Restaurant = Owner, Place, Tag, Restaurant
        self.Trattoria, self.Bar, self.Review = Trattoria, Bar, Review

    async def fill(self) -> None:
        self.owner = await self.Owner.objects.create(name="Ann")
        self.restaurant = await self.Restaurant.objects.create(name="r", owner=self.owner, pizza=True, seats=30)
        self.trattoria = await self.Trattoria.objects.create(name="t", stars=3, chef=self.owner)
        self.bar = await self.Bar.objects.create(name="b", owner=self.owner)
        self.place = await self.Place.objects.create(name="p")


@pytest.fixture
async def town(database: Database) -> Any:
    town = Town(database)
    await town.models.create_all()
    await town.fill()
    return town


def names(places: Any) -> list[str]:
    return [place.name for place in places]


async def test_each_model_has_a_table_that_is_linked_by_its_primary_key(town: Any) -> None:
    table = town.Trattoria.table
    assert list(table.c.keys()) == ["restaurant_ptr_id", "chef"]
    assert [column.name for column in table.primary_key] == ["restaurant_ptr_id"]
    (reference,) = table.c.restaurant_ptr_id.foreign_keys
    assert reference.target_fullname == "restaurant.place_ptr_id" and reference.ondelete == "CASCADE"
    assert list(town.Restaurant.fields) == ["id", "name", "seats", "owner", "place_ptr", "pizza", "stars"]
    assert issubclass(town.Trattoria.DoesNotExist, town.Place.DoesNotExist)


async def test_instances_have_the_fields_of_all_tables_in_one_statement(town: Any, database: Database) -> None:
    with recorded(database) as statements:
        trattoria = await town.Trattoria.objects.get()
    assert len(statements) == 1
    assert trattoria.__dict__ == {
        "id": 2,
        "name": "t",
        "seats": 10,
        "owner_id": None,
        "place_ptr_id": 2,
        "pizza": False,
        "stars": 3,
        "restaurant_ptr_id": 2,
        "chef_id": town.owner.pk,
    }
    assert trattoria.shout() == "T" and trattoria.pk == 2
    assert sorted(names(await town.Restaurant.objects.all())) == ["r", "t"]
    assert sorted(names(await town.Place.objects.all())) == ["b", "p", "r", "t"]


async def test_inherited_fields_are_queried(town: Any) -> None:
    Restaurant, Trattoria = town.Restaurant, town.Trattoria
    assert names(await Restaurant.objects.filter(name="r", pizza=True, owner__name="Ann")) == ["r"]
    assert names(await Restaurant.objects.exclude(name="r")) == ["t"]
    assert names(await Restaurant.objects.order_by("-seats", "-pk")) == ["r", "t"]
    assert names(await Restaurant.objects.filter(Restaurant.seats > 20, town.Place.name == "r")) == ["r"]
    rows = await Restaurant.objects.order_by("pk").values_list("name", "id", "place_ptr", "stars")
    assert rows == [("r", 1, 1, 1), ("t", 2, 2, 3)]
    assert await Trattoria.objects.filter(chef__name="Ann", restaurant_ptr__name="t", place_ptr__seats=10).count() == 1
    assert await Restaurant.objects.aggregate(n=orm.Sum("seats"), m=orm.Max("stars")) == {"n": 40, "m": 3}
    assert (await Restaurant.objects.latest()).name == "r"
    assert names(await Restaurant.objects.filter(pk__in=Trattoria.objects.all())) == ["t"]
    assert await Restaurant.objects.only("name").order_by("name").values_list("name", flat=True) == ["r", "t"]
    (only,) = await Restaurant.objects.filter(name="r").only("stars")
    assert set(only.__dict__) == {"place_ptr_id", "stars"}
    await only.load()
    assert only.name == "r"
    assert names(await Restaurant.objects.filter(seats__lt=orm.F("stars") * 5)) == ["t"]


async def test_inherited_relations_are_queried_and_loaded(town: Any) -> None:
    review = await town.Review.objects.create(place=town.trattoria, restaurant=town.restaurant)
    tag = await town.Tag.objects.create(name="x")
    await town.trattoria.tags.add(tag)
    assert names(await town.Restaurant.objects.filter(reviews=review, tags__name="x")) == ["t"]
    assert names(await town.Restaurant.objects.exclude(reviews=review)) == ["r"]
    assert names(await town.Restaurant.objects.filter(meals__place__name="t")) == ["r"]
    assert await town.trattoria.reviews.all() == [review] and await town.restaurant.meals.all() == [review]
    assert names(await tag.places.all()) == ["t"]
    for restaurants in (
        town.Trattoria.objects.prefetch_related("owner", "reviews", "tags", "chef"),
        town.Trattoria.objects.graph("owner", "reviews", "tags", "chef"),
    ):
        (trattoria,) = await restaurants
        assert list(trattoria.reviews) == [review] and list(trattoria.tags) == [tag]
        assert trattoria.owner is None and trattoria.chef.name == "Ann"
    (first, _) = await town.Restaurant.objects.select_related("owner").order_by("name")
    assert first.owner.name == "Ann"
    counted = await town.Restaurant.objects.annotate(n=orm.Count("reviews")).order_by("name")
    assert [(each.name, each.n) for each in counted] == [("r", 0), ("t", 1)]


async def test_relations_to_the_child(town: Any) -> None:
    await town.Review.objects.create(place=town.bar, restaurant=town.restaurant)
    for reviews in (
        town.Review.objects.select_related("restaurant__owner", "place"),
        town.Review.objects.prefetch_related("restaurant__owner", "place"),
        town.Review.objects.graph("restaurant__owner", "place"),
    ):
        (review,) = await reviews
        assert type(review.restaurant) is town.Restaurant and type(review.place) is town.Place
        assert (review.restaurant.name, review.restaurant.pizza, review.restaurant.owner.name) == ("r", True, "Ann")
    assert await town.Review.objects.filter(restaurant__name="r", restaurant__id=1).count() == 1
    assert await town.Review.objects.filter(restaurant=town.restaurant, place=town.bar).count() == 1
    assert await town.Review.objects.filter(place__in=town.Bar.objects.all()).count() == 1
    assert await town.Review.objects.filter(restaurant__in=town.Place.objects.filter(name="r")).count() == 1
    assert await town.Review.objects.filter(restaurant=await town.Place.objects.get(name="r")).count() == 1


async def test_links_lead_to_both_sides(town: Any, database: Database) -> None:
    trattoria = await town.Trattoria.objects.get()
    with recorded(database) as statements:
        assert type(trattoria.restaurant_ptr) is town.Restaurant and type(trattoria.place_ptr) is town.Place
        assert trattoria.restaurant_ptr.stars == 3 and trattoria.place_ptr.name == "t"
    assert not statements
    assert trattoria.place_ptr == await town.Place.objects.get(name="t") != trattoria
    for places in (
        town.Place.objects.select_related("restaurant__trattoria", "bar"),
        town.Place.objects.prefetch_related("restaurant__trattoria", "bar"),
        town.Place.objects.graph("restaurant__trattoria", "bar"),
    ):
        bar, place, restaurant, trattoria = await places
        assert bar.bar.beers == 3 and bar.bar.name == "b"
        assert restaurant.restaurant.pizza and restaurant.restaurant.seats == 30
        assert trattoria.restaurant.trattoria.chef_id == town.owner.pk and trattoria.restaurant.trattoria.name == "t"
        with pytest.raises(town.Restaurant.DoesNotExist):
            place.restaurant  # noqa: B018
    assert "place_1" not in str(town.Place.objects.select_related("restaurant").sql)
    assert sorted(names(await town.Place.objects.filter(restaurant__isnull=True))) == ["b", "p"]
    assert names(await town.Place.objects.filter(restaurant__stars=3)) == ["t"]


async def test_create_inserts_a_row_in_each_table_or_none(town: Any, database: Database) -> None:
    with pytest.raises(orm.UniqueViolation):
        await town.Trattoria.objects.create(name="t")
    assert await town.Place.objects.count() == 4 and await town.Restaurant.objects.count() == 2
    with pytest.raises(orm.ValidationError) as caught:
        await town.Restaurant.objects.create(stars="many")
    assert {message.index[0] for message in caught.value.messages()} == {"name", "stars"}
    with recorded(database) as statements:
        made = town.Trattoria(name="new", pizza=True)
        await made.save()
    assert sum("INSERT" in text for text in statements.texts) == 3
    assert made.pk == made.id == made.place_ptr_id == made.restaurant_ptr_id
    assert (await town.Trattoria.objects.get(pk=made.pk)).pizza
    found, created = await town.Restaurant.objects.get_or_create(name="gc", defaults={"stars": 2})
    assert created and (found.stars, found.seats) == (2, 10)
    updated, created = await town.Restaurant.objects.update_or_create(name="gc", defaults={"stars": 4, "seats": 1})
    assert not created and await town.Restaurant.objects.filter(pk=updated.pk).values_list("stars", "seats") == [(4, 1)]


async def test_child_of_an_existing_row(town: Any) -> None:
    restaurant = town.Restaurant(place_ptr=town.place, name="became", stars=5)
    await restaurant.save()
    assert restaurant.id == restaurant.pk == town.place.pk
    assert await town.Place.objects.count() == 4
    assert (await town.Restaurant.objects.get(pk=town.place.pk)).name == "became"


async def test_save_and_update_write_the_tables_that_have_the_fields(town: Any, database: Database) -> None:
    trattoria = await town.Trattoria.objects.get()
    trattoria.name, trattoria.stars, trattoria.chef = "n", 2, None
    await trattoria.save()
    assert await town.Trattoria.objects.values_list("name", "stars", "chef") == [("n", 2, None)]
    with recorded(database) as statements:
        trattoria.stars = 4
        await trattoria.save(update_fields=["stars"])
    assert [text.split()[1] for text in statements.texts if text.startswith("UPDATE")] == ["restaurant"]
    await trattoria.update(name="m", stars=5)
    assert await town.Restaurant.objects.filter(pk=trattoria.pk).values_list("name", "stars") == [("m", 5)]
    changed = await town.Restaurant.objects.filter(name="m", stars=5).update(
        name="k", stars=orm.F("stars") + 1, seats=3
    )
    assert changed == 1
    assert await town.Restaurant.objects.order_by("pk").values_list("name", "stars", "seats") == [
        *(("r", 1, 30), ("k", 6, 3))
    ]
    assert await town.Restaurant.objects.update(seats=orm.F("seats") + 1) == 2
    assert sorted(await town.Place.objects.values_list("seats", flat=True)) == [4, 10, 10, 31]
    assert await town.Restaurant.objects.filter(owner__name="Ann").update(stars=0) == 1
    with pytest.raises(orm.FieldError, match="reads a related row"):
        await town.Restaurant.objects.update(stars=orm.F("seats"))
    gone = await town.Restaurant.objects.get(name="r")
    await town.Restaurant.objects.filter(name="r").delete()
    with pytest.raises(town.Restaurant.DoesNotExist):
        await gone.save(update_fields=["name"])


async def test_bulk_writes(town: Any) -> None:
    restaurants = await town.Restaurant.objects.order_by("pk")
    for restaurant in restaurants:
        restaurant.name, restaurant.stars = f"bulk {restaurant.pk}", 7
    assert await town.Restaurant.objects.bulk_update(restaurants, ["name", "stars"]) == 2
    assert await town.Restaurant.objects.order_by("name").values_list("name", "stars") == [("bulk 1", 7), ("bulk 2", 7)]
    for restaurant in restaurants:
        restaurant.name, restaurant.stars = "second", restaurant.pk
    first = town.Restaurant.objects.filter(name="bulk 1", stars=7)
    assert await first.bulk_update(restaurants, ["name", "stars"]) == 1
    assert await first.bulk_update(restaurants, ["name"]) == 0
    assert await town.Restaurant.objects.order_by("pk").values_list("name", "stars") == [("second", 1), ("bulk 2", 7)]
    with pytest.raises(orm.NotSupportedError, match=r"Use Restaurant\.objects\.create\(\)"):
        await town.Restaurant.objects.bulk_create([town.Restaurant(name="x")])
    rows = await town.Restaurant.objects.update(returning=["name", "stars", "seats"], stars=1, seats=2)
    assert sorted(tuple(row.values()) for row in rows) == [("bulk 2", 1, 2), ("second", 1, 2)]
    deleted = await town.Trattoria.objects.delete(returning=["name"])
    assert deleted == [{"name": "bulk 2"}] and await town.Place.objects.count() == 3


async def test_delete_removes_the_rows_of_all_tables(town: Any) -> None:
    await town.Review.objects.create(place=town.trattoria, restaurant=town.restaurant)
    plan = await town.Trattoria.objects.collect_delete()
    assert {model.__name__: count for model, count in plan.deleted.items()} == {
        "Place": 1,
        "Restaurant": 1,
        "Trattoria": 1,
        "Review": 1,
    }
    assert await town.trattoria.delete() == 1
    assert town.trattoria.pk is None and town.trattoria.id is None
    assert sorted(names(await town.Place.objects.all())) == ["b", "p", "r"]
    assert not await town.Review.objects.exists() and not await town.Trattoria.objects.exists()
    assert await town.Restaurant.objects.filter(name="r").delete() == 1
    assert sorted(names(await town.Place.objects.all())) == ["b", "p"]
    assert await town.Place.objects.filter(bar__beers=3).delete() == 1
    assert not await town.Bar.objects.exists()


@pytest.mark.parametrize("kind", ["update", "delete", "returning", "bulk_update", "grouped", "hooked", "hooked single"])
async def test_rows_that_others_change_meanwhile_are_not_written(town: Any, database: Database, kind: str) -> None:
    model = town.Place if kind == "hooked single" else town.Restaurant
    rows = model.objects.filter(name="r", seats=30)
    restaurant = await town.Restaurant.objects.get(name="r")
    restaurant.name, restaurant.stars = "written", 5
    grouped = rows.annotate(n=orm.Count("reviews")).filter(n=0)
    writes = {
        "update": lambda: rows.update(name="written", **({} if model is town.Place else {"stars": 5})),
        "delete": rows.delete,
        "returning": lambda: rows.update(name="written", returning=["name"]),
        "bulk_update": lambda: rows.bulk_update([restaurant], ["name", "stars"]),
        "grouped": lambda: grouped.update(name="written"),
        "hooked": rows.delete,
        "hooked single": rows.delete,
    }

    def receive(**details: Any) -> None:
        pass

    if kind.startswith("hooked"):
        orm.pre_delete.connect(receive, sender=town.Place)
    try:
        async with database.transaction():
            await town.Place.objects.filter(name="r").update(seats=31)
            with database.detached():
                write = asyncio.create_task(writes[kind]())
            await asyncio.sleep(0.1)  # the other transaction has read, or waits
        assert await write in (0, [])
    finally:
        orm.pre_delete.disconnect(receive, sender=town.Place)
    assert await town.Restaurant.objects.filter(name="r").values_list("seats", "stars") == [(31, 1)]


async def test_deletion_can_keep_the_rows_of_the_parents(town: Any, database: Database) -> None:
    seen: list[tuple[str, str]] = []

    def receive(sender: type, instance: Any, **details: Any) -> None:
        seen.append((details["signal"].name, sender.__name__))

    trattoria = await town.Trattoria.objects.get()
    assert await trattoria.delete(keep_parents=True) == 1
    assert trattoria.pk is None and not trattoria._persisted
    assert sorted(names(await town.Restaurant.objects.all())) == ["r", "t"]
    assert not await town.Trattoria.objects.exists()
    restaurant = await town.Restaurant.objects.get(name="t")
    orm.pre_delete.connect(receive)
    orm.post_delete.connect(receive)
    try:
        assert await restaurant.delete(keep_parents=True) == 1
    finally:
        orm.pre_delete.disconnect(receive)
        orm.post_delete.disconnect(receive)
    assert seen == [("pre_delete", "Restaurant"), ("post_delete", "Restaurant")] and restaurant.pk is None
    assert sorted(names(await town.Place.objects.all())) == ["b", "p", "r", "t"]
    async with orm.Session(database) as session:
        place = await town.Place.objects.get(name="r")
        restaurant = await town.Restaurant.objects.get(name="r")
        await restaurant.delete(keep_parents=True)
        assert restaurant not in session and place in session
        await session.commit()
    assert await town.Place.objects.count() == 4 and await town.Restaurant.objects.count() == 0
    assert await (await town.Place.objects.get(name="r")).delete(keep_parents=True) == 1  # it has no parents
    assert await town.Place.objects.count() == 3


async def test_hooks_of_deletions_are_sent_for_each_table(town: Any) -> None:
    seen: list[tuple[str, str]] = []

    def receive(sender: type, instance: Any, **details: Any) -> None:
        seen.append((details["signal"].name, sender.__name__))

    for signal in (orm.post_save, orm.pre_delete):
        signal.connect(receive)
    try:
        trattoria = await town.Trattoria.objects.get()
        await trattoria.save()
        await trattoria.delete()
        assert trattoria.pk is None
        await town.Restaurant.objects.delete()
    finally:
        for signal in (orm.post_save, orm.pre_delete):
            signal.disconnect(receive)
    assert seen[0] == ("post_save", "Trattoria") and sorted(sender for _, sender in seen[1:]) == [
        *("Place", "Place", "Restaurant", "Restaurant", "Trattoria")
    ]
    assert sorted(names(await town.Place.objects.all())) == ["b", "p"]


async def test_full_clean_checks_the_constraints_of_all_tables(town: Any) -> None:
    with pytest.raises(orm.ValidationError) as caught:
        await town.Restaurant(name="t").full_clean()
    assert [message.index for message in caught.value.messages()] == [["name"]]
    await (await town.Restaurant.objects.get(name="t")).full_clean()


async def test_setting_the_key_or_the_link_sets_the_keys_of_all_rows(town: Any) -> None:
    copied = await town.Trattoria.objects.get()
    copied.pk = None
    assert copied.id is None and copied.place_ptr_id is None
    copied.name = "copy"
    await copied.save()
    assert sorted(names(await town.Trattoria.objects.all())) == ["copy", "t"]
    copied.restaurant_ptr = town.restaurant
    assert copied.id == copied.pk == town.restaurant.pk


async def test_several_parents_and_explicit_links(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Base(orm.Model):
        registry = models

        class Meta:
            abstract = True

    class Book(Base):
        book_id = orm.Integer(primary_key=True)
        title = orm.String(max_length=20)

    class Film(Base):
        film_id = orm.Integer(primary_key=True)
        minutes = orm.Integer()

    class Adaptation(Book, Film):
        source: Any = orm.OneToOne(Book, parent_link=True, on_delete=orm.CASCADE, related_name="adaptation")
        year = orm.Integer()

    await models.create_all()
    assert list(Adaptation.table.c.keys()) == ["film_ptr_id", "source", "year"]
    await Film.objects.create(minutes=1)
    made = await Adaptation.objects.create(title="a", minutes=90, year=1999)
    assert (made.book_id, made.film_id) == (1, 2)
    (loaded,) = await Adaptation.objects.filter(title="a", minutes=90)
    assert (loaded.title, loaded.minutes, loaded.year) == ("a", 90, 1999)
    assert await Adaptation.objects.update(title="b", minutes=91, year=2000) == 1
    assert await Adaptation.objects.values_list("title", "minutes", "year") == [("b", 91, 2000)]
    assert await Adaptation.objects.delete() == 1
    assert not await Book.objects.exists() and await Film.objects.count() == 1


async def test_proxy_and_abstract_models_between_the_tables(town: Any) -> None:
    class Venue(town.Place):  # type: ignore[misc, name-defined]
        class Meta:
            proxy = True

        def label(self) -> str:
            return f"<{self.name}>"

    class Licensed(Venue):
        licence = orm.String(max_length=5, default="L")

        class Meta:
            abstract = True

    class Club(Licensed):
        members = orm.Integer(default=0)

    class SmallClub(Club):
        class Meta:
            proxy = True

    assert list(Club.table.c.keys()) == ["place_ptr_id", "licence", "members"]
    await town.models.create_all()
    made = await SmallClub.objects.create(name="c", members=2)
    (loaded,) = await SmallClub.objects.filter(name="c")
    assert type(loaded) is SmallClub and loaded.label() == "<c>" and loaded.members == 2 and loaded == made
    assert await SmallClub.objects.update(name="d", members=3) == 1
    assert await Club.objects.values_list("name", "members", "licence") == [("d", 3, "L")]
    assert await loaded.delete() == 1 and not await Club.objects.exists()


def test_invalid_declarations_raise() -> None:
    models = orm.ModelRegistry()

    class Place(orm.Model):
        registry = models
        name = orm.Text()

    class Shop(orm.Model):
        registry = models
        wares = orm.Text()

    class Versioned(orm.Model):
        registry = models
        key = orm.Integer(primary_key=True)
        version = orm.Version()

    def declare(pattern: str, *bases: Any, meta: dict[str, Any] | None = None, **fields: Any) -> None:
        with pytest.raises(orm.FieldError, match=pattern):
            type(Place)("Bad", bases, {"__module__": __name__, "Meta": type("Meta", (), meta or {}), **fields})
        assert "Bad" not in models.models and Place._meta.children == []

    declare(r"Bad\.name clashes with the field Place\.name", Place, name=orm.Text())
    declare("inherits the field 'id' from several models", Place, Shop)
    declare("orm.Version", Versioned)
    declare("is in the table of Place", Place, meta={"indexes": [orm.Index("name")]})
    declare("cannot name a discriminator", Place, meta={"discriminator": "kind"})
    declare("from which it does not inherit", Place, other=orm.OneToOne(Shop, parent_link=True))
