"""Single-table inheritance: models that share a table, told apart by a discriminator."""

from __future__ import annotations

import enum
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


class Drawings:
    """A registry with shapes, and models around them."""

    def __init__(self, database: Database) -> None:
        self.models = models = orm.ModelRegistry(database=database)

        class Artist(orm.Model):
            registry = models

            name = orm.String(max_length=20)

        class Shape(orm.Model):
            registry = models

            name = orm.String(max_length=20)
            artist: Any = orm.ForeignKey(Artist, related_name="shapes", on_delete=orm.CASCADE)

            class Meta:
                discriminator = "kind"
                ordering = ["name"]

        class Circle(Shape):
            radius = orm.Integer()
            tags: Any = orm.ManyToMany("Tag", related_name="circles")

        class Rectangle(Shape):
            width = orm.Integer()
            height = orm.Integer()
            owner: Any = orm.ForeignKey(Artist, related_name="rectangles", allow_null=True)

            class Meta:
                constraints = [orm.CheckConstraint(orm.Q(width__gt=0), name="some_width")]

        class Square(Rectangle):
            class Meta:
                discriminator_value = "sq"

        class Tag(orm.Model):
            registry = models

            name = orm.String(max_length=20)

        class Frame(orm.Model):
            registry = models

            shape: Any = orm.ForeignKey(Shape, related_name="frames", on_delete=orm.CASCADE, allow_null=True)
            circle: Any = orm.ForeignKey(Circle, related_name="round_frames", on_delete=orm.CASCADE, allow_null=True)

        self.Artist, self.Shape, self.Circle, self.Rectangle = Artist, Shape, Circle, Rectangle
        self.Square, self.Tag, self.Frame = Square, Tag, Frame

    async def fill(self) -> None:
        self.artist = await self.Artist.objects.create(name="Ann")
        self.circle = await self.Circle.objects.create(name="c", artist=self.artist, radius=3)
        self.rectangle = await self.Rectangle.objects.create(name="r", artist=self.artist, width=1, height=2)
        self.square = await self.Square.objects.create(
            name="s", artist=self.artist, width=2, height=2, owner=self.artist
        )
        self.shape = await self.Shape.objects.create(name="x", artist=self.artist)


@pytest.fixture
async def drawings(database: Database) -> Any:
    drawings = Drawings(database)
    await drawings.models.create_all()
    await drawings.fill()
    return drawings


def classes(instances: Any) -> list[str]:
    return [type(instance).__name__ for instance in instances]


async def test_models_share_a_table_in_which_their_columns_are_nullable(drawings: Any) -> None:
    assert set(drawings.models.metadata.tables) == {"artist", "shape", "circle_tags", "tag", "frame"}
    table = drawings.Shape.table
    assert drawings.Square.table is table
    assert {column.name: column.nullable for column in table.columns} == {
        "id": False,
        "name": False,
        "artist": False,
        "kind": False,
        "radius": True,
        "width": True,
        "height": True,
        "owner": True,
    }


async def test_base_gives_instances_of_the_right_class_in_one_query(drawings: Any, database: Database) -> None:
    with recorded(database) as statements:
        shapes = await drawings.Shape.objects.all()
    assert len(statements) == 1
    assert classes(shapes) == ["Circle", "Rectangle", "Square", "Shape"]
    assert shapes[0].radius == 3 and not hasattr(shapes[0], "width")
    assert (shapes[2].width, shapes[2].owner_id, shapes[2].kind) == (2, drawings.artist.pk, "sq")
    assert "radius" not in shapes[3].__dict__
    assert [shape async for shape in drawings.Shape.objects.all()] == shapes
    assert shapes[0] == drawings.circle and hash(shapes[0]) == hash(drawings.circle)


async def test_querysets_of_subclasses_filter_themselves(drawings: Any) -> None:
    assert classes(await drawings.Circle.objects.all()) == ["Circle"]
    assert classes(await drawings.Rectangle.objects.all()) == ["Rectangle", "Square"]
    assert await drawings.Square.objects.count() == 1
    assert await drawings.Rectangle.objects.filter(width=2).values_list("name", flat=True) == ["s"]
    assert await drawings.Rectangle.objects.aggregate(n=orm.Sum("height")) == {"n": 4}
    assert not await drawings.Circle.objects.filter(name="s").exists()
    with pytest.raises(drawings.Shape.DoesNotExist):
        await drawings.Circle.objects.get(pk=drawings.square.pk)


async def test_filter_takes_models_as_conditions(drawings: Any) -> None:
    Shape, Circle, Rectangle, Square = drawings.Shape, drawings.Circle, drawings.Rectangle, drawings.Square
    assert classes(await Shape.objects.filter(Circle)) == ["Circle"]
    assert classes(await Shape.objects.filter(Rectangle, name="s")) == ["Square"]
    assert classes(await Shape.objects.exclude(Rectangle)) == ["Circle", "Shape"]
    assert classes(await Shape.objects.filter(orm.Q(Circle) | orm.Q(Square))) == ["Circle", "Square"]
    assert classes(await Rectangle.objects.filter(~orm.Q(Square))) == ["Rectangle"]
    assert await Shape.objects.filter(Shape).count() == 4 and not await Circle.objects.filter(Rectangle).exists()
    with pytest.raises(orm.QueryError, match="is no condition of a query of Shape"):
        Shape.objects.filter(drawings.Artist)


async def test_unknown_field_names_the_subclass_that_has_it(drawings: Any) -> None:
    with pytest.raises(orm.FieldError, match=r"no field 'radius'.* start from Circle\.objects"):
        drawings.Shape.objects.filter(radius=3)


async def test_create_sets_the_discriminator(drawings: Any) -> None:
    circle = drawings.Circle(name="d", artist=drawings.artist, radius=1)
    assert circle.kind == "circle" and drawings.shape.kind == "shape"
    await circle.save()
    assert await drawings.Shape.objects.filter(kind="circle").count() == 2
    assert drawings.Circle(kind="circle").kind == "circle"
    with pytest.raises(orm.FieldError, match=r"Circle\.kind is 'circle'"):
        drawings.Circle(kind="sq")
    circle.kind = "sq"
    with pytest.raises(orm.ValidationError, match="Must be one of 'circle'"):
        await circle.save()
    with pytest.raises(orm.ValidationError, match="required"):
        await drawings.Circle.objects.create(name="e", artist=drawings.artist)


async def test_bulk_create_of_several_classes(drawings: Any) -> None:
    artist = drawings.artist
    made = await drawings.Shape.objects.bulk_create(
        [
            drawings.Circle(name="a1", artist=artist, radius=1),
            drawings.Square(name="a2", artist=artist, width=5, height=5),
            drawings.Circle(name="a3", artist=artist, radius=2),
        ]
    )
    assert classes(made) == ["Circle", "Square", "Circle"] and None not in [each.pk for each in made]
    loaded = await drawings.Shape.objects.filter(name__startswith="a")
    assert loaded == made and loaded[1].width == 5 and loaded[2].radius == 2
    with pytest.raises(orm.ValidationError) as caught:
        await drawings.Shape.objects.bulk_create(
            [drawings.Circle(name="ok", artist=artist, radius=1), drawings.Square(name="no", artist=artist, width=1)]
            + [drawings.Circle(name="no", artist=artist)]
        )
    assert [message.index for message in caught.value.messages()] == [[1, "height"], [2, "radius"]]
    assert not await drawings.Shape.objects.filter(name="ok").exists()


async def test_save_update_and_delete(drawings: Any) -> None:
    (square,) = await drawings.Shape.objects.filter(drawings.Square)
    square.width = 9
    await square.save()
    await square.update(height=8)
    assert await drawings.Square.objects.values_list("width", "height") == [(9, 8)]
    assert await drawings.Rectangle.objects.update(width=4) == 2
    assert await drawings.Shape.objects.update(name="n") == 4
    for shape in (shapes := await drawings.Shape.objects.order_by("id")):
        shape.name = shape.kind
    assert await drawings.Shape.objects.bulk_update(shapes, ["name"]) == 4
    assert await drawings.Shape.objects.order_by("id").values_list("name", flat=True) == [
        *("circle", "rectangle", "sq", "shape")
    ]
    assert await drawings.Circle.objects.delete() == 1
    assert await shapes[1].delete() == 1
    assert classes(await drawings.Shape.objects.order_by("id")) == ["Square", "Shape"]
    with pytest.raises(orm.CheckViolation) as caught:
        await drawings.Square.objects.create(name="z", artist=drawings.artist, width=-1, height=1)
    assert caught.value.constraint == "some_width"


async def test_row_that_changes_its_class(drawings: Any) -> None:
    assert await drawings.Shape.objects.filter(pk=drawings.shape.pk).update(kind="circle") == 1
    assert classes(await drawings.Shape.objects.order_by("id")) == ["Circle", "Rectangle", "Square", "Circle"]
    with pytest.raises(orm.ValidationError, match="Must be one of"):
        await drawings.Shape.objects.update(kind="hexagon")


async def test_relations_to_the_base_give_the_right_class(drawings: Any) -> None:
    Frame = drawings.Frame
    await Frame.objects.create(shape=drawings.square, circle=drawings.circle)
    await Frame.objects.create(shape=drawings.circle)
    for frames in (
        Frame.objects.select_related("shape__artist", "circle"),
        Frame.objects.prefetch_related("shape__artist", "circle"),
        Frame.objects.order_by("id").graph("shape__artist", "circle"),
    ):
        first, second = await (frames.order_by("id") if isinstance(frames, orm.QuerySet) else frames)
        assert classes([first.shape, first.circle, second.shape]) == ["Square", "Circle", "Circle"]
        assert first.shape.width == 2 and first.circle.radius == 3 and first.shape.artist.name == "Ann"
        assert second.circle is None
    frame = await Frame.objects.order_by("id").first()
    await frame.shape.load()
    assert classes([frame.shape]) == ["Square"] and frame.shape.height == 2
    frame = await Frame.objects.order_by("id").first()
    assert classes([await frame.shape, await frame.circle]) == ["Square", "Circle"]
    assert await Frame.objects.filter(circle__radius=3).count() == 1
    assert await Frame.objects.filter(shape__kind="sq", shape=drawings.square).count() == 1
    assert await Frame.objects.filter(shape__in=drawings.Square.objects.all()).count() == 1
    with pytest.raises(orm.FieldError, match="takes Circle instances, got Square"):
        Frame(circle=drawings.square)


async def test_relations_from_the_models_are_loaded(drawings: Any) -> None:
    frame = await drawings.Frame.objects.create(shape=drawings.circle)
    tag = await drawings.Tag.objects.create(name="t")
    await drawings.circle.tags.add(tag)
    for artists in (
        drawings.Artist.objects.prefetch_related("shapes__frames", "rectangles"),
        drawings.Artist.objects.graph("shapes__frames", "rectangles"),
    ):
        (artist,) = await artists
        assert classes(artist.shapes) == ["Circle", "Rectangle", "Square", "Shape"]
        assert [list(shape.frames) for shape in artist.shapes] == [[frame], [], [], []]
        assert classes(artist.rectangles) == ["Square"]
    assert classes(await drawings.artist.shapes.filter(drawings.Circle)) == ["Circle"]
    assert classes(await tag.circles.all()) == ["Circle"]
    (circle,) = await drawings.Circle.objects.prefetch_related("tags", "frames")
    assert list(circle.tags) == [tag] and list(circle.frames) == [frame]
    assert await drawings.Circle.objects.filter(frames=frame, tags__name="t").count() == 1
    shapes = await drawings.Shape.objects.all()
    await orm.load(shapes, "artist")
    assert [shape.artist.name for shape in shapes] == ["Ann"] * 4


async def test_graph_of_dicts_has_the_fields_of_each_class(drawings: Any) -> None:
    (artist,) = await drawings.Artist.objects.graph("shapes").as_dicts()
    first, _, square, last = artist["shapes"]
    assert first["radius"] == 3 and "width" not in first
    assert square["width"] == 2 and square["kind"] == "sq" and "radius" not in square
    assert set(last) == {"id", "name", "artist_id", "kind"}


async def test_only_and_defer_keep_the_discriminator(drawings: Any) -> None:
    only = await drawings.Shape.objects.only("name")
    assert classes(only) == ["Circle", "Rectangle", "Square", "Shape"] and set(only[0].__dict__) == {
        "id",
        "name",
        "kind",
    }
    deferred = await drawings.Shape.objects.defer("name", "kind")
    assert set(deferred[0].__dict__) == {"id", "artist_id", "kind", "radius"}
    await only[0].load()
    assert only[0].radius == 3


async def test_raw_gives_the_right_class(drawings: Any) -> None:
    raw = await drawings.Shape.raw("SELECT radius, kind, width, id, 7 AS extra FROM shape ORDER BY id")
    assert classes(raw) == ["Circle", "Rectangle", "Square", "Shape"]
    assert raw[0].radius == 3 and raw[2].width == 2 and raw[3].extra == 7 and "width" not in raw[0].__dict__


async def test_unknown_discriminator_raises(drawings: Any, database: Database) -> None:
    await database.execute(f"UPDATE shape SET kind = 'hexagon' WHERE id = {drawings.square.pk}")
    message = rf"row of Shape with the key {drawings.square.pk} has kind='hexagon'.* 'circle', 'rectangle', 'sq'"
    for shapes in (drawings.Shape.objects.all(), drawings.Shape.objects.graph("frames")):
        with pytest.raises(orm.DataError, match=message):
            await shapes
    with pytest.raises(orm.DataError, match=message):
        await drawings.Artist.objects.prefetch_related("shapes")
    assert classes(await drawings.Rectangle.objects.all()) == ["Rectangle"]


async def test_hooks_are_those_of_each_class(drawings: Any) -> None:
    seen: list[tuple[str, str]] = []

    def receive(sender: type, **details: Any) -> None:
        seen.append((details["signal"].name, sender.__name__))

    for signal in (orm.post_save, orm.pre_delete):
        signal.connect(receive, drawings.Circle)
        signal.connect(receive, drawings.Square)
    try:
        await drawings.square.save()
        await drawings.rectangle.save()
        await drawings.Shape.objects.delete()
    finally:
        for signal in (orm.post_save, orm.pre_delete):
            signal.disconnect(receive, drawings.Circle)
            signal.disconnect(receive, drawings.Square)
    assert seen == [("post_save", "Square"), ("pre_delete", "Circle"), ("pre_delete", "Square")]
    assert not await drawings.Shape.objects.exists()


async def test_proxy_of_a_model_that_shares_a_table(drawings: Any) -> None:
    class Round(drawings.Circle):  # type: ignore[misc, name-defined]
        class Meta:
            proxy = True

    class AnyShape(drawings.Shape):  # type: ignore[misc, name-defined]
        class Meta:
            proxy = True

    assert classes(await Round.objects.all()) == ["Round"]  # type: ignore[attr-defined]
    assert classes(await AnyShape.objects.order_by("id")) == [  # type: ignore[attr-defined]
        *("Circle", "Rectangle", "Square", "AnyShape")
    ]
    made = await Round.objects.create(name="q", artist=drawings.artist, radius=2)  # type: ignore[attr-defined]
    assert made.kind == "circle" and await drawings.Circle.objects.count() == 2


async def test_discriminator_of_another_type(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Kind(enum.Enum):
        NOTE = 1
        TASK = 2

    class Item(orm.Model):
        registry = models
        kind = orm.Enum(Kind)

        class Meta:
            discriminator = "kind"
            discriminator_value = Kind.NOTE

    class Task(Item):
        due = orm.Date(allow_null=True)

        class Meta:
            discriminator_value = Kind.TASK

    await models.create_all()
    await Item.objects.bulk_create([Task(), Item()])
    assert classes(await Item.objects.order_by("id")) == ["Task", "Item"]
    assert [item.kind for item in await Task.objects.all()] == [Kind.TASK]


async def test_model_with_unresolved_relation_joins_the_table_later(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Item(orm.Model):
        registry = models

        class Meta:
            discriminator = "kind"

    class Task(Item):
        owner: Any = orm.ForeignKey("Owner", related_name="tasks", allow_null=True)

    with pytest.raises(orm.FieldError, match=r"Task\.owner points to 'Owner'"):
        models.metadata  # noqa: B018

    class Owner(orm.Model):
        registry = models

    assert "owner" in Item.table.c
    await models.create_all()
    owner = await Owner.objects.create()
    await Task.objects.create(owner=owner)
    assert classes(await owner.tasks.all()) == ["Task"]  # type: ignore[attr-defined]


async def test_redeclared_model_replaces_its_columns(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Item(orm.Model):
        registry = models

        class Meta:
            discriminator = "kind"

    class Link(orm.Model):
        registry = models
        item: Any = orm.ForeignKey(Item)

    def declare(**fields: Any) -> Any:
        return type(Item)("Task", (Item,), {"__module__": __name__, **fields})

    declare(first=orm.Integer())
    assert list(Item.table.c.keys()) == ["id", "kind", "first"]
    task = declare(second=orm.Integer())
    assert list(Item.table.c.keys()) == ["id", "kind", "second"]
    await models.create_all()
    await Link.objects.create(item=await task.objects.create(second=2))
    (link,) = await Link.objects.select_related("item")
    assert link.item.second == 2 and classes([link.item]) == ["Task"]
    with pytest.raises(orm.FieldError, match="no_such"):
        declare(third=orm.Integer(), Meta=type("Meta", (), {"indexes": [orm.Index("no_such")]}))
    assert list(Item.table.c.keys()) == ["id", "kind"]


def test_invalid_declarations_raise() -> None:
    models = orm.ModelRegistry()

    class Shape(orm.Model):
        registry = models
        name = orm.Text()

        class Meta:
            discriminator = "kind"

    class Circle(Shape):
        size = orm.Integer()

    def declare(pattern: str, meta: dict[str, Any] | None = None, **fields: Any) -> None:
        with pytest.raises(orm.FieldError, match=pattern):
            type(Shape)("Bad", (Shape,), {"__module__": __name__, "Meta": type("Meta", (), meta or {}), **fields})
        assert "Bad" not in models.models and len(list(Shape._meta.descendants())) == 1

    declare(r"Bad\.name clashes with the field Shape\.name", name=orm.Text())
    declare(r"Bad\.size and Circle\.size have the same column 'size'.* column=", size=orm.Integer())
    declare("primary key is that of Shape", other=orm.Integer(primary_key=True))
    declare("have the same discriminator 'circle'", {"discriminator_value": "circle"})
    declare("the table is that of Shape", {"tablename": "other"})

    class Square(Shape):
        size = orm.Integer(column="square_size")

    assert list(Shape.table.c.keys()) == ["id", "name", "kind", "size", "square_size"]
    with pytest.raises(orm.FieldError, match="discriminator is the name of a field"):

        class Other(orm.Model):
            registry = models

            class Meta:
                discriminator = 1

    with pytest.raises(orm.FieldError, match=r"write discriminator_value"):

        class Numbered(orm.Model):
            registry = models
            kind = orm.Integer()

            class Meta:
                discriminator = "kind"
