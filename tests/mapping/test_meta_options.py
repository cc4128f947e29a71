"""`class Meta` and abstract models, and what the database makes of them."""

from __future__ import annotations

import pytest
import sqlalchemy
from sqlalchemy.engine import Connection

import orm
from orm.database.connections.database import Database


def inspected(database: Database, table: str) -> tuple[list[str], list[str]]:
    """The names of the table's indexes and unique constraints in the database."""
    url = str(database.url).replace("postgresql://", "postgresql+psycopg2://").replace("mysql://", "mysql+pymysql://")
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)

    def names(connection: Connection) -> tuple[list[str], list[str]]:
        inspector = sqlalchemy.inspect(connection)
        indexes = [str(index["name"]) for index in inspector.get_indexes(table)]
        return indexes, [str(constraint["name"]) for constraint in inspector.get_unique_constraints(table)]

    with engine.connect() as connection:
        return names(connection)


async def test_meta_ordering_is_the_default_order(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Album(orm.Model):
        registry = models
        name = orm.String(max_length=20)

        class Meta:
            ordering = ["-name"]

    class Track(orm.Model):
        registry = models
        album = orm.ForeignKey(Album, allow_null=True)
        position = orm.Integer()

        class Meta:
            ordering = ["album", "-position"]

    await models.create_all()
    a, b = await Album.objects.bulk_create([{"name": "a"}, {"name": "b"}])
    await Track.objects.bulk_create([{"album": album, "position": n} for n in (1, 2) for album in (a, b)])
    assert await Album.objects.values_list("name", flat=True) == ["b", "a"]
    # Ordering by a relation is ordering by its model's ordering, as in Django.
    assert await Track.objects.values_list("album__name", "position") == [("b", 2), ("b", 1), ("a", 2), ("a", 1)]
    assert await Track.objects.order_by("position", "album__name").values_list("album__name", flat=True) == list("abab")
    assert (await Album.objects.first()).name == "b" and (await Album.objects.last()).name == "a"
    assert "ORDER BY" not in str(Album.objects.order_by().sql)


def test_meta_ordering_with_invalid_value_raises() -> None:
    with pytest.raises(orm.FieldError, match=r"must be a list, such as \['name'\]"):

        class Note(orm.Model):
            registry = orm.ModelRegistry()
            name = orm.Text()

            class Meta:
                ordering = "name"

    class Memo(orm.Model):
        registry = orm.ModelRegistry()
        name = orm.Text()

        class Meta:
            ordering = ["nmae"]

    with pytest.raises(orm.FieldError, match=r"Did you mean 'name'"):
        Memo.objects.filter(name="x")._query.order  # noqa: B018


def test_unknown_meta_option_raises() -> None:
    with pytest.raises(orm.FieldError, match=r"Note\.Meta\.db_table is not an option.*tablename"):

        class Note(orm.Model):
            registry = orm.ModelRegistry()

            class Meta:
                db_table = "notes"


async def test_constraints_and_indexes_are_created(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Track(orm.Model):
        registry = models
        album = orm.Integer(column="album_number")
        position = orm.Integer()
        code = orm.String(max_length=10, unique=True)
        label = orm.String(max_length=10, default="x")
        title = orm.String(max_length=10, index=True)

        class Meta:
            constraints = [
                orm.UniqueConstraint("album", "position", name="one_track_per_position"),
                orm.CheckConstraint("position > 0", name="position_is_positive"),
            ]
            indexes = [
                orm.Index("album", "-title", name="by_album"),
                orm.Index("label", "title", unique=True, name="label_title"),
                orm.Index("position"),
            ]

    await models.create_all()
    await models.create_all()  # What is there stays.
    first = await Track.objects.create(album=1, position=1, code="a", title="t")

    with pytest.raises(orm.UniqueViolation):
        await Track.objects.create(album=1, position=1, code="b", title="u")
    with pytest.raises(orm.UniqueViolation):
        await Track.objects.create(album=1, position=2, code="a", title="v")
    with pytest.raises(orm.UniqueViolation):
        await Track.objects.create(album=1, position=2, code="c", title="t")
    with pytest.raises(orm.CheckViolation):
        await Track.objects.create(album=1, position=0, code="d", title="w")
    with pytest.raises(orm.CheckViolation):
        await first.update(position=-1)
    with pytest.raises(orm.IntegrityError):
        await Track.objects.bulk_create(
            [{"album": 5, "position": n, "code": f"n{n}", "title": f"n{n}"} for n in (1, 2, 0)]
        )
    assert await Track.objects.values_list("album", "position", "code") == [(1, 1, "a")]

    if str(database.url).endswith(".db") or database.url.dialect != "sqlite":
        indexes, uniques = inspected(database, "track")
        assert {"by_album", "label_title"} <= {*indexes, *uniques}
        assert any("position" in name for name in indexes) and any("title" in name for name in indexes)
        assert "one_track_per_position" in {*indexes, *uniques}


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"constraints": [("album", "position")]}, r"orm\.UniqueConstraint"),
        ({"constraints": [orm.UniqueConstraint("nmae")]}, r"Did you mean 'name'"),
        ({"indexes": ["name"]}, r"orm\.Index"),
        ({"indexes": [orm.Index("-nmae")]}, r"Did you mean 'name'"),
    ],
)
def test_invalid_constraint_raises(options: dict[str, object], hint: str) -> None:
    with pytest.raises(orm.FieldError, match=hint):
        model = type(
            "Note",
            (orm.Model,),
            {"registry": orm.ModelRegistry(), "name": orm.Text(), "Meta": type("Meta", (), options)},
        )
        model.table  # noqa: B018


def test_constraint_without_fields_raises() -> None:
    for kind in (orm.UniqueConstraint, orm.Index):
        with pytest.raises(orm.FieldError, match="names of the fields"):
            kind()


async def test_meta_schema_is_the_schema_of_the_table(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        models = orm.ModelRegistry(database=database)

        class Album(orm.Model):
            registry = models
            name = orm.String(max_length=20)

            class Meta:
                schema = "music"
                indexes = [orm.Index("name")]

        class Track(orm.Model):
            registry = models
            album = orm.ForeignKey(Album, on_delete=orm.CASCADE)
            title = orm.String(max_length=20, unique=True)

            class Meta:
                schema = "music"

        class Sale(orm.Model):
            registry = models
            track = orm.ForeignKey("Track", on_delete=orm.CASCADE)

        await database.execute("CREATE SCHEMA music")
        await models.create_all()
        album = await Album.objects.create(name="Malibu")
        track = await Track.objects.create(album=album, title="The Bird")
        await Sale.objects.create(track=track)
        assert await Sale.objects.filter(track__album__name="Malibu").count() == 1
        assert (await Sale.objects.select_related("track__album").get()).track.album == album
        assert await database.fetch_val("SELECT count(*) FROM music.track") == 1
        assert await Album.objects.filter(name="Malibu").update(name="Changed") == 1
        assert await album.delete() == 1
        assert await Sale.objects.count() == 0
        await models.drop_all()
        assert await database.fetch_val("SELECT count(*) FROM pg_tables WHERE schemaname = 'music'") == 0


# Abstract models.


async def test_fields_of_abstract_models_are_inherited(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Identified(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)

        class Meta:
            abstract = True

    class Named(orm.Model):
        name = orm.String(max_length=20)
        tags = orm.JSON(default=[])

        class Meta:
            abstract = True
            ordering = ["name"]

        def shout(self) -> str:
            return self.name.upper()

    class Album(Identified, Named):
        year = orm.Integer(allow_null=True)

        class Meta(Named.Meta):
            pass

    class Artist(Named):
        registry = models
        name = orm.String(max_length=50)

        class Meta:
            tablename = "artists"

    class Untagged(Named):
        registry = models
        tags = None

    assert list(models.models) == ["Album", "Artist", "Untagged"]
    assert set(Album.fields) == {"id", "name", "tags", "year"}
    assert set(Artist.fields) == {"id", "name", "tags"} and Artist.fields["name"].max_length == 50
    assert set(Untagged.fields) == {"id", "name"}
    assert Album.fields["name"] is not Untagged.fields["name"] and Album.fields["name"].model is Album
    assert Named.fields["name"].model is Named
    assert Artist.table.name == "artists" and Album.table.name == "album"

    await models.create_all()
    await Album.objects.bulk_create([{"name": "b"}, {"name": "a"}])
    assert [album.shout() for album in await Album.objects.all()] == ["A", "B"]
    assert await Album.objects.filter(Album.name == "b").count() == 1
    await Artist.objects.create(name="x" * 50)
    with pytest.raises(orm.ValidationError):
        await Album.objects.create(name="x" * 50)
    with pytest.raises(Album.DoesNotExist):
        await Album.objects.get(name="c")
    assert Album.DoesNotExist is not Named.DoesNotExist


def test_meta_of_abstract_model_is_inherited() -> None:
    class Base(orm.Model):
        registry = orm.ModelRegistry()
        name = orm.Text()

        class Meta:
            abstract = True
            ordering = ["name"]
            schema = "shop"
            indexes = [orm.Index("name")]

    class Plain(Base):
        pass

    class Own(Base):
        class Meta:
            ordering = ["-name"]

    class Extended(Base):
        class Meta(Base.Meta):
            tablename = "more"

    assert (Plain._meta.options.ordering, Plain.table.schema, Plain.table.name) == (("name",), "shop", "plain")
    assert (Own._meta.options.ordering, Own.table.schema) == (("-name",), None)
    assert (Extended._meta.options.ordering, Extended.table.fullname) == (("name",), "shop.more")
    assert len(Plain.table.indexes) == len(Extended.table.indexes) == 1 and not Own.table.indexes


def test_query_of_abstract_model_raises() -> None:
    class Base(orm.Model):
        class Meta:
            abstract = True

    for attempt in (Base, lambda: Base.objects, lambda: Base.table):
        with pytest.raises(orm.FieldError, match="Base is abstract"):
            attempt()


def test_relation_of_abstract_model_is_inherited() -> None:
    models = orm.ModelRegistry()

    class Album(orm.Model):
        registry = models

    class OfAlbum(orm.Model):
        registry = models
        album = orm.ForeignKey(Album)
        parent = orm.ForeignKey("Track", allow_null=True)

        class Meta:
            abstract = True

    class Track(OfAlbum):
        pass

    class Cover(OfAlbum):
        pass

    for model in (Track, Cover):
        assert model.fields["album"].target is Album and model.fields["parent"].target is Track
        assert {key.column.table.name for key in model.table.foreign_keys} == {"album", "track"}


def test_meta_of_a_model_with_rows_leaves_indexes_and_constraints_to_its_table() -> None:
    models = orm.ModelRegistry()

    class Shape(orm.Model):
        registry = models
        name = orm.String(max_length=100)

        class Meta:
            discriminator = "kind"
            indexes = [orm.Index("name", name="shape_name")]
            constraints = [orm.UniqueConstraint("name", name="shape_name_once")]

    class Circle(Shape):
        class Meta(Shape.Meta):
            discriminator_value = "round"

    class Named(Shape):
        class Meta(Shape.Meta):
            proxy = True

    class Place(orm.Model):
        registry = models
        name = orm.String(max_length=100)

        class Meta:
            indexes = [orm.Index("name", name="place_name")]

    class Restaurant(Place):
        stars = orm.Integer()

        class Meta(Place.Meta):
            indexes = [orm.Index("stars", name="restaurant_stars")]

    assert [index.name for index in Shape.table.indexes] == ["shape_name"]
    assert [constraint.name for constraint in Shape.table.constraints if constraint.name] == ["shape_name_once"]
    assert [index.name for index in Restaurant.table.indexes] == ["restaurant_stars"]
    assert Named.table is Shape.table is Circle.table
