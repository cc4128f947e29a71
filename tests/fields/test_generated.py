"""`Generated` fields, and server defaults that are expressions: their values are read back after each write."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import pytest
import sqlalchemy

import orm
from orm.database.connections.database import Database
from orm.functions import Coalesce, Lower, Now, Pi, Upper

pytestmark = pytest.mark.anyio
UTC = datetime.timezone.utc


def model_of(database: Database | None, **fields: Any) -> Any:
    namespace = {"registry": orm.ModelRegistry(database=database), "id": orm.Integer(primary_key=True), **fields}
    return type("Line", (orm.Model,), namespace)


@pytest.fixture
async def lines(database: Database) -> Any:
    model = model_of(
        database,
        name=orm.String(max_length=20),
        price=orm.Decimal(max_digits=8, decimal_places=2),
        count=orm.Integer(default=1),
        note=orm.String(max_length=20, allow_null=True),
        total=orm.Generated(orm.F("price") * orm.F("count"), orm.Decimal(max_digits=12, decimal_places=2)),
        label=orm.Generated(Coalesce(Upper("note"), Lower("name")), orm.String(max_length=50)),
        many=orm.Generated(orm.Q(count__gt=2), orm.Boolean()),
    )
    await model._meta.registry.create_all()
    return model


def values(line: Any) -> tuple[Any, ...]:
    return line.total, line.label, line.many


async def test_values_are_read_back_after_every_write_of_instances(lines: Any) -> None:
    line = await lines.objects.create(name="Lamp", price="2.50", count=2)
    assert values(line) == (decimal.Decimal("5.00"), "lamp", False)
    assert type(line.many) is bool
    line.count = 4
    await line.save()
    assert values(line) == (decimal.Decimal("10.00"), "lamp", True)
    line.note = "new"
    await line.save(update_fields=["note"])
    assert values(line) == (decimal.Decimal("10.00"), "NEW", True)
    await line.update(price=1)
    assert values(line) == (decimal.Decimal("4.00"), "NEW", True)
    made = await lines.objects.bulk_create([{"name": n, "price": p} for n, p in (("A", 1), ("B", 2))])
    assert [values(each) for each in made] == [(1, "a", False), (2, "b", False)]
    for each in made:
        each.count = 3
    await lines.objects.bulk_update([*made, line], ["count"])
    assert [values(each) for each in (*made, line)] == [(3, "a", True), (6, "b", True), (4, "NEW", True)]
    line.count = lines.count + 1
    await line.save()
    assert line.total == 5
    created, is_new = await lines.objects.update_or_create({"count": 5}, name="A")
    assert (created.total, is_new) == (5, False)
    loaded = await lines.objects.get(id=line.id)
    assert values(loaded) == values(line)


async def test_fields_are_queried_like_others(lines: Any) -> None:
    await lines.objects.bulk_create([{"name": n, "price": p, "count": p} for n, p in (("A", 1), ("B", 2), ("C", 3))])
    assert await lines.objects.filter(total__gt=1).order_by("-total").values_list("label", "total") == [
        ("c", 9),
        ("b", 4),
    ]
    assert await lines.objects.filter(many=True).count() == 1
    assert await lines.objects.aggregate(total=orm.Sum("total")) == {"total": 14}
    assert await lines.objects.only("name").order_by("id").first() is not None


async def test_field_cannot_be_written(lines: Any) -> None:
    line = await lines.objects.create(name="Lamp", price=1)
    for write in (
        lambda: lines.objects.update(total=1),
        lambda: line.update(total=1),
        lambda: line.save(update_fields=["total"]),
        lambda: lines.objects.bulk_update([line], ["total"]),
    ):
        with pytest.raises(orm.QueryError, match="calculated by the database"):
            await write()
    line.total = 99
    await line.save()
    assert line.total == 1


async def test_update_that_matches_no_row_leaves_the_instance(lines: Any) -> None:
    line = await lines.objects.create(name="Lamp", price=1)
    await lines.objects.all().delete()
    with pytest.raises(orm.NoMatch):
        await line.update(count=2)
    assert line.total == 1


async def test_column_that_is_not_stored_is_calculated_or_refused(database: Database) -> None:
    model = model_of(database, n=orm.Integer(), double=orm.Generated(orm.F("n") * 2, orm.Integer(), stored=False))
    if str(database.url).startswith("postgresql"):
        with pytest.raises(orm.NotSupportedError, match="stored=True"):
            await model._meta.registry.create_all()
        return
    await model._meta.registry.create_all()
    row = await model.objects.create(n=2)
    await row.update(n=3)
    assert row.double == 6


async def test_field_of_an_abstract_model_is_generated_in_each_of_its_models(database: Database) -> None:
    models = orm.ModelRegistry(database)

    class Base(orm.Model):
        n = orm.Integer()
        double: Any = orm.Generated(orm.F("n") * 2, orm.Integer())

        class Meta:
            abstract = True

    class One(Base):
        registry = models

    class Two(Base):
        registry = models

    await models.create_all()
    assert [(await model.objects.create(n=2)).double for model in (One, Two)] == [4, 4]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: orm.Generated("n * 2", orm.Integer()), "takes an expression"),  # type: ignore[arg-type]
        (lambda: orm.Generated(orm.F("n"), orm.Integer), "takes the field"),  # type: ignore[arg-type]
        (lambda: orm.Generated(orm.F("n"), orm.Integer(default=1)), "cannot be a primary key or have a default"),
        (lambda: orm.Generated(orm.F("n"), orm.Integer(primary_key=True)), "cannot be a primary key or have a default"),
    ],
)
def test_declaration_that_contradicts_itself_raises(make: Any, message: str) -> None:
    with pytest.raises(orm.FieldError, match=message):
        make()


def test_expression_of_another_row_or_an_unknown_field_raises() -> None:
    models = orm.ModelRegistry()

    class Album(orm.Model):
        registry = models
        name = orm.String(max_length=10)

    for expression, message in ((orm.F("album__name"), "reads other rows"), (orm.F("nme"), "no field 'nme'")):
        with pytest.raises(orm.FieldError, match=message):
            type(
                "Track",
                (orm.Model,),
                {
                    "registry": models,
                    "album": orm.ForeignKey(Album),
                    "label": orm.Generated(expression, orm.String(max_length=10)),
                },
            )


#: Fields with an expression as their server default, and the value of it.
DEFAULTS: dict[str, tuple[Any, Any]] = {
    "integer": (lambda: orm.Integer(server_default=orm.Value(7)), 7),
    "sum": (lambda: orm.Integer(server_default=orm.Value(3) + 4), 7),
    "text": (lambda: orm.String(max_length=20, server_default=orm.Value("it's %s (x)")), "it's %s (x)"),
    "function": (lambda: orm.String(max_length=20, server_default=Upper(orm.Value("it's"))), "IT'S"),
    "boolean": (lambda: orm.Boolean(server_default=orm.Value(True)), True),
    "decimal": (
        lambda: orm.Decimal(max_digits=5, decimal_places=2, server_default=orm.Value(decimal.Decimal("1.5"))),
        decimal.Decimal("1.50"),
    ),
    "float": (lambda: orm.Float(server_default=Pi()), 3.141592653589793),
    "date": (lambda: orm.Date(server_default=orm.Value(datetime.date(2024, 5, 1))), datetime.date(2024, 5, 1)),
    "datetime": (
        lambda: orm.DateTime(server_default=orm.Value(datetime.datetime(2024, 5, 1, 12))),
        datetime.datetime(2024, 5, 1, 12),
    ),
    "aware datetime": (
        lambda: orm.DateTime(timezone=True, server_default=orm.Value(datetime.datetime(2024, 5, 1, 12, tzinfo=UTC))),
        datetime.datetime(2024, 5, 1, 12, tzinfo=UTC),
    ),
    "uuid": (lambda: orm.UUID(server_default=orm.Value(uuid.UUID(int=5))), uuid.UUID(int=5)),
    "json": (lambda: orm.JSON(server_default=orm.Value({"a": [1]})), {"a": [1]}),
    "case": (
        lambda: orm.Integer(server_default=orm.Case(orm.When(orm.Q(orm.Value(1) == 1), then=1), default=2)),
        1,
    ),
}


@pytest.mark.parametrize("kind", DEFAULTS)
async def test_server_default_is_the_value_of_the_expression(database: Database, kind: str) -> None:
    make, expected = DEFAULTS[kind]
    model = model_of(database, value=make(), n=orm.Integer(default=0))
    await model._meta.registry.create_all()
    made = [await model.objects.create(), *await model.objects.bulk_create([{"n": 1}, {"n": 2}])]
    stored = await model.objects.order_by("id")
    for row in (*made, *stored):
        assert row.value == expected and type(row.value) is type(expected)
    if kind != "json":
        assert await model.objects.filter(value=expected).count() == 3
    assert (await model.objects.create(value=expected)).value == expected


@pytest.mark.parametrize("timezone", [False, True], ids=["naive", "aware"])
async def test_current_time_as_server_default_is_found_by_the_value_that_was_read(
    database: Database, timezone: bool
) -> None:
    model = model_of(database, value=orm.DateTime(timezone=timezone, server_default=Now()))
    await model._meta.registry.create_all()
    row = await model.objects.create()
    value = row.value if timezone else row.value.replace(tzinfo=UTC)
    assert abs(datetime.datetime.now(UTC) - value) < datetime.timedelta(minutes=5)
    assert await model.objects.filter(value=row.value).count() == 1
    assert (await model.objects.get()).value == row.value


def test_server_default_that_reads_a_column_raises() -> None:
    with pytest.raises(orm.FieldError, match=r"a new row has none yet: see orm\.Generated"):
        model_of(None, n=orm.Integer(), value=orm.Integer(server_default=orm.F("n") + 1))


def test_columns_are_rendered_for_each_database() -> None:
    model = model_of(None, n=orm.Integer(), double=orm.Generated(orm.F("n") * 2, orm.Integer()))
    for dialect in ("sqlite", "postgresql", "mysql"):
        engine: Any = sqlalchemy.create_mock_engine(f"{dialect}://", lambda *arguments: None)
        sql = str(sqlalchemy.schema.CreateTable(model.table).compile(dialect=engine.dialect))
        assert "GENERATED ALWAYS AS" in sql
        assert "STORED" in sql
