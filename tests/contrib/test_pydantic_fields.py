"""Every type of field, as a type of Pydantic's: what is answered can be sent back, and has a JSON Schema."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import ipaddress
import json
import uuid
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

import orm
from orm import fields
from orm.contrib.pydantic import create_model, read_model
from orm.contrib.pydantic.json_schemas import LOCAL, TIME

UTC = datetime.timezone.utc


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(BaseModel):
    x: int
    day: datetime.date | None = None


@dataclasses.dataclass
class Size:
    width: int


class Span(msgspec.Struct):
    start: int
    inner: Span | None = None


TEXT = {"type": "string", "minLength": 1}
#: By a name, the class and options of a field, a value, its JSON, and the JSON Schema of what is accepted.
CASES: dict[str, tuple[Any, dict[str, Any], Any, Any, dict[str, Any] | None]] = {
    "String": (orm.String, {"max_length": 9}, "é🥛", "é🥛", {**TEXT, "maxLength": 9}),
    "Text": (orm.Text, {}, "any\nlength", "any\nlength", TEXT),
    "Email": (orm.Email, {}, "a@b.co", "a@b.co", {**TEXT, "maxLength": 254, "format": "email"}),
    "URL": (orm.URL, {}, "https://a.b/", "https://a.b/", {**TEXT, "maxLength": 200, "format": "uri"}),
    "Slug": (orm.Slug, {}, "a-b", "a-b", {**TEXT, "maxLength": 50, "pattern": r"^[-\w]+$"}),
    "CIText": (orm.CIText, {"max_length": 9}, "Ab", "Ab", {**TEXT, "maxLength": 9}),
    "Integer": (orm.Integer, {"maximum": 9}, 5, 5, {"type": "integer", "minimum": -(2**31), "maximum": 9}),
    "SmallInteger": (orm.SmallInteger, {"exclusive_minimum": 0}, 5, 5, None),
    "BigInteger": (orm.BigInteger, {}, 2**40, 2**40, None),
    "PositiveInteger": (orm.PositiveInteger, {}, 3, 3, {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}),
    "PositiveSmallInteger": (orm.PositiveSmallInteger, {}, 3, 3, None),
    "PositiveBigInteger": (orm.PositiveBigInteger, {}, 3, 3, None),
    "Float": (orm.Float, {"multiple_of": 0.5}, 1.5, 1.5, {"type": "number", "multipleOf": 0.5}),
    "Decimal": (orm.Decimal, {"max_digits": 5, "decimal_places": 2}, decimal.Decimal("1.5"), "1.50", None),
    "Boolean": (orm.Boolean, {}, True, True, {"type": "boolean"}),
    "Date": (orm.Date, {}, datetime.date(2020, 1, 2), "2020-01-02", {"type": "string", "format": "date"}),
    "DateTime": (orm.DateTime, {}, datetime.datetime(2020, 1, 2, 3, 4, 5, 6), "2020-01-02T03:04:05.000006", LOCAL),
    "aware": (
        *(orm.DateTime, {"timezone": True}, datetime.datetime(2020, 1, 2, tzinfo=UTC), "2020-01-02T00:00:00+00:00"),
        {"type": "string", "format": "date-time"},
    ),
    "Time": (
        *(orm.Time, {}, datetime.time(3, 4, 5, 6), "03:04:05.000006"),
        {"type": "string", "format": "time-local", "pattern": f"^{TIME}$"},
    ),
    "Duration": (orm.Duration, {}, datetime.timedelta(days=-1, microseconds=3), "-P0DT23H59M59.999997S", None),
    "Binary": (orm.Binary, {}, b"\xff\0", "/wA=", {"type": "string", "contentEncoding": "base64"}),
    "UUID": (orm.UUID, {}, uuid.UUID(int=7), str(uuid.UUID(int=7)), {"type": "string", "format": "uuid"}),
    "IPAddress": (orm.IPAddress, {}, ipaddress.ip_address("::1"), "::1", None),
    "Enum": (orm.Enum, {"enum": Colour}, Colour.RED, "red", {"enum": ["red", "blue"]}),
    "integer enum": (orm.Enum, {"enum": Level}, Level.HIGH, 2, {"enum": [1, 2]}),
    "Array": (
        *(orm.Array, {"field": orm.Date(), "max_items": 3}, [datetime.date(2020, 1, 2)], ["2020-01-02"]),
        {"type": "array", "items": {"type": "string", "format": "date"}, "maxItems": 3},
    ),
    "JSON": (orm.JSON, {}, {"a": [1, None]}, {"a": [1, None]}, {}),
    "JSON of Pydantic": (orm.JSON, {"type": Point}, Point(x=1), {"x": 1, "day": None}, None),
    "JSON of a list": (orm.JSON, {"type": list[Point]}, [Point(x=1)], [{"x": 1, "day": None}], None),
    "JSON of a dataclass": (orm.JSON, {"type": Size}, Size(1), {"width": 1}, None),
    "JSON of msgspec": (
        *(orm.JSON, {"type": Span}, Span(1), {"start": 1, "inner": None}),
        {
            "title": "Span",
            "type": "object",
            "properties": {"start": {"type": "integer"}, "inner": {"anyOf": [{}, {"type": "null"}], "default": None}},
            "required": ["start"],
        },
    ),
    "Interval": (
        *(orm.Interval, {}, orm.Period(months=2, days=1), "P2M1D"),
        {"type": "string", "format": "duration"},
    ),
    "HStore": (orm.HStore, {}, {"a": "b", "c": None}, {"a": "b", "c": None}, None),
    "IntegerRange": (orm.IntegerRange, {}, orm.Range(1, 5), {"lower": 1, "upper": 5, "bounds": "[)"}, None),
    "BigIntegerRange": (orm.BigIntegerRange, {}, orm.Range(1, 5), {"lower": 1, "upper": 5, "bounds": "[)"}, None),
    "DecimalRange": (
        *(orm.DecimalRange, {}, orm.Range(decimal.Decimal("1.5"), None, "()")),
        *({"lower": "1.5", "upper": None, "bounds": "()"}, None),
    ),
    "DateRange": (
        *(orm.DateRange, {}, orm.Range(datetime.date(2020, 1, 2), None)),
        *({"lower": "2020-01-02", "upper": None, "bounds": "[)"}, None),
    ),
    "DateTimeRange": (
        *(orm.DateTimeRange, {}, orm.Range(datetime.datetime(2020, 1, 2), None)),
        *({"lower": "2020-01-02T00:00:00", "upper": None, "bounds": "[)"}, None),
    ),
    "choices": (orm.String, {"max_length": 1, "choices": [("a", "A")]}, "a", "a", None),
}


def model_of(name: str, **options: Any) -> Any:
    kind, own, *_ = CASES[name]
    namespace = {"registry": orm.ModelRegistry(), "__module__": __name__, "value": kind(**own, **options)}
    return type(orm.Model)("Row", (orm.Model,), {"id": orm.Integer(primary_key=True), **namespace})


def test_every_field_has_a_case() -> None:
    exported = {name for name in fields.__all__ if isinstance(getattr(fields, name), type)}
    assert exported - set(CASES) == {"Field", "Version"}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("allow_null", [False, True], ids=["required", "nullable"])
def test_what_is_answered_is_accepted_again(name: str, allow_null: bool) -> None:
    model = model_of(name, allow_null=allow_null)
    value, document = CASES[name][2:4]
    for adapter in (TypeAdapter(model), TypeAdapter(create_model(model))):
        row = adapter.validate_python({"value": value})
        text = adapter.dump_json(row)
        assert json.loads(text) == {"value": document}
        again = adapter.validate_json(text).value
        assert (again, type(again)) == (value, type(value))
        if allow_null:
            assert adapter.validate_python({"value": None}).value is None
        else:
            with pytest.raises(ValidationError):
                adapter.validate_python({"value": None})
    read = read_model(model)
    answered = read.model_validate(model(id=1, value=value))
    assert json.loads(answered.model_dump_json()) == {"id": 1, "value": document}
    assert read.model_validate_json(answered.model_dump_json()) == answered
    assert read.model_json_schema(mode="serialization")["required"] == ["id", "value"]


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name][4] is not None])
def test_json_schema_has_the_limits(name: str) -> None:
    schema = create_model(model_of(name)).model_json_schema()["properties"]["value"]
    assert schema == {"title": "Value", **(CASES[name][4] or {})}
