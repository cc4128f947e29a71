"""`inspect_models()` on the schemas of well-known programs, and on nasty ones: queries run, migrations find nothing."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

import orm
from orm import migrations
from tests.migrations.schemas import chinook, nasty, pagila
from tests.migrations.test_inspection import directory, inspected

__all__ = ["directory"]


async def test_queries_of_chinook_run_on_its_models(database: orm.Database, directory: Path) -> None:
    for statement in chinook.statements(database.url.dialect):
        await database.execute(statement)
    source, shop = await inspected(database)
    assert "# not" not in source and "managed" not in source
    assert await migrations.make(shop.models, directory=directory, write=False) is None
    if database.url.dialect == "postgresql":
        n = SimpleNamespace(
            artist="artist",
            album="album",
            title="title",
            name="name",
            genre="genre",
            tracks="track_set",
            country="country",
            billing="billing_country",
            total="total",
            support="support_rep",
            reports="reports_to",
            last="last_name",
            line="invoice_line_set",
            quantity="quantity",
            unit="unit_price",
            track="track",
            invoice_date="invoice_date",
            lists="playlist_of_playlist_track",
            members="track_of_playlist_track",
        )
    else:
        n = SimpleNamespace(
            artist="ArtistId", album="AlbumId", title="Title", name="Name", genre="GenreId", tracks="track_set",
            country="Country", billing="BillingCountry", total="Total", support="SupportRepId", reports="ReportsTo",
            last="LastName", line="invoiceline_set", quantity="Quantity", unit="UnitPrice", track="TrackId",
            invoice_date="InvoiceDate", lists="playlist_of_playlisttrack", members="track_of_playlisttrack",
        )  # fmt: skip
    # The albums of an artist, and who has more than one.
    albums = shop.Album.objects.filter(**{f"{n.artist}__{n.name}": "AC/DC"}).order_by(n.title)
    assert await albums.values_list(n.title, flat=True) == [
        "For Those About To Rock We Salute You",
        "Let There Be Rock",
    ]
    many = shop.Artist.objects.annotate(albums=orm.Count("album_set")).filter(albums__gt=1)
    assert [getattr(artist, n.name) for artist in await many] == ["AC/DC"]
    # Customers outside of a country, invoices of customers in one, and the agents of sales.
    assert await shop.Customer.objects.exclude(**{n.country: "Brazil"}).count() == 1
    assert await shop.Invoice.objects.filter(**{f"{customer_of(n)}__{n.country}": "Brazil"}).count() == 2
    agents = shop.Employee.objects.filter(customer_set__invoice_set__isnull=False).distinct()
    assert [getattr(agent, n.last) for agent in await agents] == ["Peacock"]
    boss = await shop.Employee.objects.select_related(n.reports).get(**{n.last: "Peacock"})
    assert getattr(getattr(boss, n.reports), n.last) == "Edwards"
    # Sales by country, by year, and the best-selling tracks.
    sales = shop.Invoice.objects.values(n.billing).annotate(sum=orm.Sum(n.total)).order_by("-sum")
    assert [(row[n.billing], row["sum"]) for row in await sales] == [
        ("Brazil", Decimal("4.95")),
        ("Germany", Decimal("1.98")),
    ]
    assert await shop.Invoice.objects.filter(**{f"{n.invoice_date}__year": 2009}).count() == 2
    best = shop.Track.objects.annotate(sold=orm.Sum(f"{n.line}__{n.quantity}")).order_by("-sold")
    assert [getattr(track, n.name) for track in await best.limit(1)] == ["For Those About To Rock"]
    # What is on a playlist, and on which ones a track is.
    music = await shop.Playlist.objects.prefetch_related(n.members).get(**{n.name: "Music"})
    assert len(getattr(music, n.members)) == 2
    assert await shop.Track.objects.filter(**{f"{n.lists}__{n.name}": "Grunge"}).count() == 1
    assert await shop.Genre.objects.filter(**{f"{n.tracks}__isnull": True}).values_list(n.name, flat=True) == ["Jazz"]
    await shop.models.database.disconnect()


def customer_of(names: SimpleNamespace) -> str:
    """The field of an invoice's customer."""
    return "customer" if names.title == "title" else "CustomerId"


async def test_queries_of_pagila_run_on_its_models(postgresql_url: str, directory: Path) -> None:
    async with orm.Database(postgresql_url) as database:
        for statement in pagila.statements():
            await database.execute(statement)
        source, shop = await inspected(database)
        assert await migrations.make(shop.models, directory=directory, write=False) is None
        for said in (
            "PARTITION BY RANGE (payment_date), with the partitions payment_p2022_01, payment_p2022_02",
            "# not expressible: release_year: the domain year",
            "# not expressible: long: GENERATED ALWAYS AS ((length > 120))",
            "# not expressible: fulltext, TSVECTOR",
            "# not expressible: the index film_fulltext_idx",
            "# not expressible: create_date: DEFAULT CURRENT_DATE",
            "# The table has triggers: film_fulltext_trigger, last_updated.",
        ):
            assert said in source, said
        assert "class PaymentP2022" not in source and "class RentalByCategory" in source
        # The films of an actor, both ways; films by rating, feature and year.
        nick = await shop.Actor.objects.prefetch_related("film_of_film_actor").get(first_name="NICK")
        assert [film.title for film in nick.film_of_film_actor] == ["ACADEMY DINOSAUR", "ACE GOLDFINGER"]
        assert await shop.Film.objects.filter(actor_of_film_actor__last_name="GUINESS").count() == 1
        film = await shop.Film.objects.get(rating=shop.MpaaRating.PG)
        assert (film.release_year, film.long, film.rental_rate) == (2006, False, Decimal("4.99"))
        assert await shop.Film.objects.filter(special_features__contains=["Trailers"]).count() == 1
        long = await shop.Film.objects.create(
            title="ADAPTATION HOLES", language=1, release_year=2006, length=150, rental_duration=3
        )
        assert (await shop.Film.objects.get(pk=long.pk)).long is True
        # Rentals that are out, payments by month (in two partitions), sales by category, and the lists.
        out = await shop.Rental.objects.filter(return_date=None).select_related("customer", "inventory__film").get()
        assert (out.customer.last_name, out.inventory.film.title) == ("SMITH", "ACADEMY DINOSAUR")
        january = datetime(2022, 1, 1, tzinfo=timezone.utc), datetime(2022, 2, 1, tzinfo=timezone.utc)
        assert await shop.Payment.objects.aggregate(sum=orm.Sum("amount")) == {"sum": Decimal("7.98")}
        assert await shop.Payment.objects.filter(payment_date__range=january).count() == 1
        assert await shop.SalesByFilmCategory.objects.order_by("-total_sales").values_list("category", flat=True) == [
            "Action",
            "Documentary",
        ]
        assert await shop.RentalByCategory.objects.count() == 2
        names = shop.CustomerList.objects.filter(country="Canada").order_by("name").values_list("name", flat=True)
        assert await names == ["MARY SMITH", "PATRICIA JOHNSON"]
        assert (await shop.ActorInfo.objects.get(actor_id=1)).films == ["ACADEMY DINOSAUR"]
        mike = await shop.Staff.objects.select_related("store__manager_staff").get(username="Mike")
        assert mike.store.manager_staff.pk == mike.pk
        new = await shop.Customer.objects.create(store=1, first_name="BARBARA", last_name="JONES", address=1)
        assert (await shop.Customer.objects.get(pk=new.pk)).create_date >= date(2020, 1, 1)
        await shop.models.database.disconnect()


# What the models of the nasty schemas say, besides that queries run.
SAID = {
    ("types", "mysql"): ["c: CHECK (`c` > 0)", "id: UNSIGNED", "e: the enum type of the server", "y: YEAR"],
    ("types", "postgresql"): [
        "dm: the domain positive",
        "INHERITS (base)",
        "UNLOGGED",
        "Did not recognize type 'point' of column 'p'",
    ],
    ("types", "sqlite"): ["The table has the option STRICT.", "d: GENERATED ALWAYS AS"],
    ("constraints", "mysql"): [
        "onupdate CASCADE",
        "PARTITION BY HASH (`y`)",
        "The table has triggers: log.",
        "n: CHECK (`n` > 3)",
    ],
    ("constraints", "postgresql"): [
        "EXCLUDE USING gist",
        "the index covering",
        "Row level security",
        "The table has rules: nothing.",
    ],
    ("constraints", "sqlite"): ["VIRTUAL TABLE", "The table has triggers: log."],
}


@pytest.mark.parametrize("name", ["names", "types", "constraints"])
async def test_nasty_schema_has_models_that_run(database: orm.Database, directory: Path, name: str) -> None:
    dialect = database.url.dialect
    for statement in nasty.statements(name, dialect):
        await database.execute(statement)
    source, module = await inspected(database)
    assert await migrations.make(module.models, directory=directory, write=False) is None
    for said in SAID.get((name, dialect), ()):
        assert said in source, (said, source)
    rows = {model.__name__: await model.objects.all() for model in module.models.models.values()}
    assert all(row.pk is not None for of_model in rows.values() for row in of_model)
    if name == "names":
        [referring] = [model for model in module.models.models.values() if {"order", "order2"} <= {*model._meta.fields}]
        line = await referring.objects.select_related("order", "order2").get()
        assert (line.order.class_, line.order2.with_space) == ("x", 5)
        assert (await module.Whole.objects.select_related("part2").get()).part2.v == "v"
    if name == "types" and dialect == "mysql":
        assert rows["T"][0].j == {"a": 1} and rows["T"][0].e.value == "it's"
    await module.models.database.disconnect()
