"""Declarations of fields, their columns, and the conversion of lookup values."""

import copy
import datetime
import decimal
import enum
import ipaddress
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
import sqlalchemy
import typesystem
from hypothesis import given
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable

from orm import fields
from orm.database.storage import decode_json
from orm.database.types import column_types
from orm.exceptions import DataError, FieldError, NotSupportedError, ValidationError
from orm.fields.base import ConversionError
from orm.fields.options import DJANGO_NAMES

UTC = datetime.timezone.utc


class Status(enum.Enum):
    DRAFT = "draft"
    DONE = "done"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Note:
    """A stand-in for a model."""


def bound(field: fields.Field[Any]) -> fields.Field[Any]:
    field.bind(Note, "field")
    return field


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (fields.Integer(), "5", 5),
        (fields.Integer(), 5.0, 5),
        (fields.Integer(), True, 1),
        (fields.Float(), "1.5", 1.5),
        (fields.Decimal(5, 2), "1.234567", decimal.Decimal("1.234567")),
        (fields.Decimal(5, 2), 0.1, decimal.Decimal("0.1")),
        (fields.Boolean(), "true", True),
        (fields.Boolean(), 0, False),
        (fields.String(max_length=2), "  longer  ", "  longer  "),
        (fields.String(max_length=2), 12, "12"),
        (fields.String(max_length=5, choices=Status), Status.DONE, "done"),
        (fields.Date(), "2024-02-29", datetime.date(2024, 2, 29)),
        (fields.Date(), datetime.datetime(2024, 2, 29, 12), datetime.date(2024, 2, 29)),
        (fields.DateTime(), "2024-02-29", datetime.datetime(2024, 2, 29)),
        (fields.DateTime(), datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29)),
        (fields.DateTime(), "2024-02-29 10:11:12.5", datetime.datetime(2024, 2, 29, 10, 11, 12, 500000)),
        (fields.DateTime(timezone=True), "2024-02-29", datetime.datetime(2024, 2, 29, tzinfo=UTC)),
        (fields.DateTime(timezone=True), "2024-02-29T01:00:00+01:00", datetime.datetime(2024, 2, 29, tzinfo=UTC)),
        (fields.Time(), "10:11", datetime.time(10, 11)),
        (fields.Duration(), "P1D", datetime.timedelta(1)),
        (fields.JSON(), {"a": (1, None)}, {"a": [1, None]}),
        (fields.Binary(), bytearray(b"\0"), b"\0"),
        (fields.UUID(), "0" * 31 + "1", uuid.UUID(int=1)),
        (fields.IPAddress(), "::1", ipaddress.ip_address("::1")),
        (fields.IPAddress(), ipaddress.ip_interface("1.2.3.4/8"), ipaddress.ip_address("1.2.3.4")),
        (fields.Enum(Status), "draft", Status.DRAFT),
        (fields.Enum(Status), "DRAFT", Status.DRAFT),
        (fields.Enum(Level), "2", Level.HIGH),
        (fields.Array(fields.Integer()), ("1", 2), [1, 2]),
        (fields.Integer(), None, None),
    ],
)
def test_to_python_converts_to_the_type_of_the_field(field: fields.Field[Any], value: Any, expected: Any) -> None:
    converted = bound(field).to_python(value)
    assert converted == expected and type(converted) is type(expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (fields.Integer(), "secret"),
        (fields.Integer(), 1.5),
        (fields.Integer(), []),
        (fields.Integer(), float("inf")),
        (fields.Float(), "secret"),
        (fields.Decimal(5, 2), "secret"),
        (fields.Decimal(5, 2), decimal.Decimal("NaN")),
        (fields.Boolean(), "secret"),
        (fields.Boolean(), 2),
        (fields.String(max_length=2), b"secret"),
        (fields.String(max_length=2), ["secret"]),
        (fields.Date(), "secret"),
        (fields.Date(), 5),
        (fields.DateTime(), datetime.datetime.now(UTC)),
        (fields.DateTime(timezone=True), datetime.datetime(2024, 1, 1)),
        (fields.Time(), "secret"),
        (fields.Duration(), "secret"),
        (fields.Duration(), 5),
        (fields.JSON(), {"a": {1}}),
        (fields.Binary(), "secret"),
        (fields.UUID(), "secret"),
        (fields.IPAddress(), "secret"),
        (fields.Enum(Status), "secret"),
        (fields.Enum(Status), Level.LOW),
        (fields.Array(fields.Integer()), "secret"),
    ],
)
def test_to_python_with_inconvertible_value_raises(field: fields.Field[Any], value: Any) -> None:
    with pytest.raises(FieldError) as caught:
        bound(field).to_python(value)
    message = str(caught.value)
    assert message.startswith("Note.field takes ") and type(value).__name__ in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("declare", "hint"),
    [
        (lambda: fields.String(), "max_length=100"),
        (lambda: fields.Decimal(max_digits=5), "decimal_places=2"),
        (lambda: bound(fields.Decimal()), "Note.field: orm.Decimal needs max_digits"),
        (lambda: fields.Decimal(max_digits=2, decimal_places=3), "decimal_places <= max_digits"),
        (lambda: fields.Integer(primary_key=True, allow_null=True), "primary key"),
        (lambda: fields.Integer(default="x"), "whole numbers"),
        (lambda: fields.Integer(choices=[]), "choices is empty"),
        (lambda: fields.Integer(choices=["x"]), "choices"),
        (lambda: fields.Integer(choices=[(1, "a", "b")]), "pair"),
        (lambda: fields.Integer(choices=int), "enum class"),
        (lambda: fields.Enum("Status"), "orm.Enum(Status)"),
        (lambda: fields.Enum(enum.Flag("Flags", "A B")), "IntFlag"),
        (lambda: fields.DateTime(auto_now=True, auto_now_add=True), "exclude each other"),
        (lambda: fields.Array(fields.Array(fields.Integer())), "orm.JSON()"),
        (lambda: fields.Array(int), "orm.Array(orm.Integer())"),
    ],
)
def test_field_with_contradictory_options_raises(declare: Any, hint: str) -> None:
    with pytest.raises(FieldError) as caught:
        declare()
    assert hint in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_get_default_copies_mutable_values() -> None:
    assert not fields.Integer().has_default()
    assert fields.Integer(allow_null=True).get_default() is None
    assert fields.String(max_length=3, allow_blank=True).get_default() == ""
    assert not fields.Integer(allow_null=True, server_default="3").has_default()
    assert fields.Integer(default=lambda: 5).get_default() == 5
    assert fields.Enum(Status, default="draft").get_default() is Status.DRAFT
    assert type(fields.Decimal(5, 2, default=0).get_default()) is decimal.Decimal
    shared = fields.JSON(default={"tags": []})
    shared.get_default()["tags"].append(1)
    shared.validator.get_default_value()["tags"].append(1)
    assert shared.get_default() == {"tags": []}


@pytest.mark.parametrize(
    "field",
    [
        fields.Email(allow_blank=True),
        fields.URL(allow_blank=True),
        fields.Slug(allow_blank=True),
        fields.String(max_length=9, min_length=2, pattern="^x", allow_blank=True),
    ],
)
def test_empty_text_that_is_allowed_has_no_format(field: fields.Field[Any]) -> None:
    assert field.validator.validate("") == field.validator.validate("  ") == ""
    with pytest.raises(typesystem.ValidationError):
        field.validator.validate("?")


def test_validator_exposes_its_options() -> None:
    field = fields.String(max_length=100, title="Name", description="Of the note", choices=["a"])
    assert field.max_length == field.validator.max_length == 100
    assert (field.validator.title, field.validator.description) == ("Name", "Of the note")
    assert field.validator.choices == [("a", "a")]
    assert fields.Integer(minimum=3).validator.minimum == 3
    assert fields.Integer(primary_key=True).validator.read_only


@pytest.mark.parametrize(("django_name", "name"), DJANGO_NAMES.items())
def test_option_with_name_of_django_raises_with_ours(django_name: str, name: str) -> None:
    with pytest.raises(FieldError, match=rf"^orm.String has no option '{django_name}': its name here is {name}\.$"):
        fields.String(max_length=3, **{django_name: None})
    fields.String(max_length=3, **{name: True if name in ("allow_null", "index") else "text"})


@pytest.mark.parametrize(
    ("field_class", "option", "hint"),
    [
        (fields.String, "max_lenght", "did you mean 'max_length'"),
        (fields.Integer, "minimun", r"has no option 'minimun'\.$"),
        (fields.DateTime, "auto_now_ad", "did you mean 'auto_now_add'"),
        (fields.UUID, "primary", "did you mean 'primary_key'"),
        (fields.JSON, "xyz", "has no option 'xyz'\\.$"),
    ],
)
def test_unknown_option_raises(field_class: Any, option: str, hint: str) -> None:
    options = {"max_length": 10} if field_class is fields.String else {}
    with pytest.raises(FieldError, match=f"^orm.{field_class.__name__} has no option '{option}'.*") as caught:
        field_class(**options, **{option: True})
    assert re.search(hint, str(caught.value))


def test_copy_of_field_is_unbound() -> None:
    field = bound(fields.Integer(default=3))
    other = copy.copy(field)
    assert (other.name, other.model, other.get_default()) == ("", None, 3)
    other.bind(Note, "other")
    assert (field.name, other.name) == ("field", "other")


def test_deep_copy_of_field_without_default_has_none() -> None:
    assert not copy.deepcopy(fields.Integer()).has_default()


def test_auto_now_sets_value_on_save() -> None:
    modified = fields.DateTime(auto_now=True, timezone=True)
    created = fields.DateTime(auto_now_add=True)
    assert modified.read_only and created.read_only
    assert modified.pre_save(creating=False).tzinfo is UTC
    assert created.pre_save(creating=True).tzinfo is None
    assert created.pre_save(creating=False) is fields.NO_DEFAULT
    assert fields.Date(auto_now=True).pre_save(creating=False) == datetime.date.today()
    assert fields.Integer().pre_save(creating=True) is fields.NO_DEFAULT


def test_make_column_has_the_options_of_the_field() -> None:
    field = fields.String(max_length=10, column="col", index=True, comment="what", server_default="x", allow_null=True)
    column = bound(field).make_column()
    assert (column.name, column.index, column.unique, column.nullable, column.comment) == (
        "col",
        True,
        None,
        True,
        "what",
    )
    key = bound(fields.BigInteger(primary_key=True)).make_column()
    assert key.primary_key and not key.nullable and key.autoincrement == "auto"
    assert bound(fields.BigInteger(primary_key=True, default=int)).make_column().autoincrement is False
    assert bound(fields.Enum(Level, primary_key=True)).make_column().autoincrement is False


COLUMNS = {
    "key": fields.BigInteger(primary_key=True),
    "small": fields.SmallInteger(),
    "integer": fields.Integer(),
    "big": fields.BigInteger(),
    "float": fields.Float(),
    "decimal": fields.Decimal(10, 2),
    "boolean": fields.Boolean(),
    "string": fields.String(max_length=20),
    "text": fields.Text(),
    "date": fields.Date(),
    "time": fields.Time(),
    "clock": fields.DateTime(),
    "instant": fields.DateTime(timezone=True),
    "duration": fields.Duration(),
    "json": fields.JSON(),
    "binary": fields.Binary(),
    "bytes": fields.Binary(max_length=16),
    "uuid": fields.UUID(),
    "ip": fields.IPAddress(),
    "enum": fields.Enum(Status),
    "level": fields.Enum(Level),
}
EXPECTED = {
    sqlite: "INTEGER SMALLINT INTEGER BIGINT FLOAT NUMERIC(10,2) BOOLEAN VARCHAR(20) TEXT DATE TIME DATETIME "
    "DATETIME BIGINT TEXT BLOB BLOB CHAR(32) VARCHAR(45) VARCHAR(32) INTEGER",
    postgresql: "BIGSERIAL SMALLINT INTEGER BIGINT DOUBLE_PRECISION NUMERIC(10,2) BOOLEAN VARCHAR(20) TEXT DATE "
    "TIME_WITHOUT_TIME_ZONE TIMESTAMP_WITHOUT_TIME_ZONE TIMESTAMP_WITH_TIME_ZONE INTERVAL JSONB BYTEA BYTEA UUID "
    "INET VARCHAR(32) INTEGER",
    mysql: "BIGINT SMALLINT INTEGER BIGINT DOUBLE NUMERIC(10,2) BOOL VARCHAR(20) LONGTEXT DATE TIME(6) DATETIME(6) "
    "DATETIME(6) BIGINT JSON LONGBLOB VARBINARY(16) CHAR(32) VARCHAR(45) VARCHAR(32) INTEGER",
}


def columns() -> Iterator[sqlalchemy.Column[Any]]:
    for name, field in COLUMNS.items():
        field = copy.copy(field)
        field.bind(Note, name)
        yield field.make_column()


@pytest.mark.parametrize("database", EXPECTED)
def test_column_types_are_compiled_for_each_database(database: Any) -> None:
    table = sqlalchemy.Table("note", sqlalchemy.MetaData(), *columns())
    lines = str(CreateTable(table).compile(dialect=database.dialect())).strip().splitlines()[1:-2]
    column_types_sql = [line.strip().rstrip(",").split(" ", 1)[1].split(" NOT NULL")[0] for line in lines]
    assert [ddl.replace(", ", ",").replace(" ", "_") for ddl in column_types_sql] == EXPECTED[database].split()


PARAMETERS = "BIGINT SMALLINT|INTEGER INTEGER BIGINT FLOAT NUMERIC BOOLEAN - - DATE TIME TIMESTAMP TIMESTAMP " + (
    "INTERVAL JSONB BYTEA BYTEA UUID INET - INTEGER"
)


def test_postgresql_casts_parameters() -> None:
    from_asyncpg = sqlalchemy.dialects.registry.load("postgresql.asyncpg")()
    table = sqlalchemy.Table("note", sqlalchemy.MetaData(), *columns())
    sql = str(table.insert().compile(dialect=from_asyncpg)).split("VALUES (")[1]
    for i, name in enumerate(PARAMETERS.split(), 1):
        # A text has no cast: the column may be a CITEXT, or have an enum of the server's.
        # The oldest releases of SQLAlchemy cast small integers to INTEGER.
        assert (f"${i}," in sql) if name == "-" else any(f"${i}::{each}" in sql for each in name.split("|"))


def test_column_types_have_repr_and_cache_key() -> None:
    for column in columns():
        read = eval(repr(column.type), {**vars(column_types), "Status": Status, "Level": Level})
        assert read._static_cache_key == column.type._static_cache_key
        assert read._static_cache_key[0] is type(column.type)
    assert repr(column_types.Array(column_types.String(3))) == "Array(item=String(length=3))"
    assert repr(column_types.Float()) == "Float()"


def test_array_is_json_on_other_databases_which_refuse_items_of_json_and_bytes() -> None:
    field = bound(fields.Array(fields.String(max_length=3), allow_null=True))
    table = sqlalchemy.Table("note", sqlalchemy.MetaData(), field.make_column())
    assert "VARCHAR(3)[]" in str(CreateTable(table).compile(dialect=postgresql.dialect()))
    assert "TEXT" in str(CreateTable(table).compile(dialect=sqlite.dialect()))
    assert "JSON" in str(CreateTable(table).compile(dialect=mysql.dialect()))
    for item, what in ((fields.JSON(), "JSON"), (fields.Binary(), "bytes")):
        table = sqlalchemy.Table("note", sqlalchemy.MetaData(), bound(fields.Array(item)).make_column())
        assert "[]" in str(CreateTable(table).compile(dialect=postgresql.dialect()))
        for database in (sqlite, mysql):
            with pytest.raises(NotSupportedError, match=rf"Arrays of {what} need PostgreSQL.*orm\.JSON\(\)"):
                CreateTable(table).compile(dialect=database.dialect())


ANYWHERE: list[Dialect] = [sqlite.dialect(), postgresql.dialect(), mysql.dialect()]
EARLY = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))


@pytest.mark.parametrize(
    ("column_type", "value", "dialects"),
    [
        (column_types.BigInteger(), 1 << 63, ANYWHERE),
        (column_types.Integer(), 1 << 31, ANYWHERE[1:]),
        (column_types.SmallInteger(), -(1 << 15) - 1, ANYWHERE[1:]),
        (column_types.Decimal(5, 2), decimal.Decimal("0.123"), ANYWHERE),
        (column_types.Decimal(5, 2), decimal.Decimal("1000"), ANYWHERE),
        (column_types.Decimal(20, 10), decimal.Decimal("1234567.1234567891"), ANYWHERE[:1]),
        (column_types.Text(), "\ud800", ANYWHERE),
        (column_types.String(5), "a\0", ANYWHERE[1:2]),
        (column_types.JSON(), float("nan"), ANYWHERE),
        (column_types.JSON(), ["\ud800"], ANYWHERE),
        (column_types.JSON(), {"a": "\\\0"}, ANYWHERE[1:2]),
        (column_types.JSON(), [1 << 64], ANYWHERE[2:]),
        (column_types.DateTime(), datetime.datetime.now(UTC), ANYWHERE),
        (column_types.DateTime(timezone=True), datetime.datetime(2024, 1, 1), ANYWHERE),
        (column_types.DateTime(timezone=True), EARLY, ANYWHERE),
        (column_types.Duration(), datetime.timedelta.max, [ANYWHERE[0], ANYWHERE[2]]),
        (column_types.Array(column_types.String(2)), ["long"], ANYWHERE[1:2]),
    ],
)
def test_bind_of_unstorable_value_raises(
    column_type: column_types.ORMType, value: Any, dialects: list[Dialect]
) -> None:
    for dialect in dialects:
        bind = column_type.bind_processor(dialect)
        assert bind is not None
        with pytest.raises(column_types.UnstorableValue):
            bind(value)


def test_bind_of_text_like_an_escape_is_not_nul() -> None:
    bind = column_types.JSON().bind_processor(postgresql.dialect())
    assert bind is not None and bind("\\u0000") == '"\\\\u0000"'


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists), st.text(" \n\t\r"))
def test_stored_json_is_decoded_as_by_json_loads(value: Any, space: str) -> None:
    text = json.dumps(value)
    for spelled in (text, space + text, text + space):
        assert repr(decode_json(spelled)) == repr(value)


@pytest.mark.parametrize("text", ["", " ", "1 2", "{} x", "[1,", "nul"])
def test_stored_text_that_is_not_json_raises(text: str) -> None:
    with pytest.raises(ValueError, match="line 1 column"):
        decode_json(text)


def test_stored_value_without_enum_member_raises() -> None:
    for enum_class, stored in ((Status, "GONE"), (Level, 7)):
        result = column_types.Enum(enum_class).result_processor(sqlite.dialect(), None)
        assert result is not None
        with pytest.raises(DataError, match=enum_class.__name__):
            result(stored)


def test_comparison_type_has_no_limits_of_the_column() -> None:
    for dialect in ANYWHERE:
        for limited, value in ((column_types.SmallInteger(), 1 << 40), (column_types.String(2), "long")):
            bind = limited.comparison_type.bind_processor(dialect)
            assert bind is not None and bind(value) == value
        bind = column_types.Decimal(5, 2).comparison_type.bind_processor(dialect)
        assert bind is not None and float(bind(decimal.Decimal("12345.678"))) == 12345.678


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("08:45:50+22:28", "Must not have a timezone."),
        ("08:45Z", "Must not have a timezone."),
        ("08:45 +0200", "Must not have a timezone."),
        ("08:45pm", "Must be a valid time format."),
        ("08:45:50 or later", "Must be a valid time format."),
    ],
)
def test_text_after_a_time_is_refused_not_dropped(text: str, message: str) -> None:
    field: fields.Time[datetime.time] = fields.Time()
    with pytest.raises(ValidationError) as refused:
        field.validator.validate(text)
    assert refused.value.messages()[0].text == message
    with pytest.raises(ConversionError):
        field.convert(text)
    assert field.validator.validate("08:45:50.5") == field.convert("08:45:50.5") == datetime.time(8, 45, 50, 500_000)
