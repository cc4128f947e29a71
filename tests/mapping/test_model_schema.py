"""`Model.schema`: JSON Schema of every field, and forms whose unchanged input gives the values that they showed."""

from __future__ import annotations

import datetime
import decimal
import enum
import html
import ipaddress
import json
import re
import uuid
from typing import Any

import pytest
import typesystem
from starlette.datastructures import FormData

import orm

UTC = datetime.timezone.utc
FORMS = typesystem.Jinja2Forms(package="typesystem")


class Level(enum.IntEnum):
    low = 1
    high = 2


class Mood(enum.Enum):
    good = "g"


class Parent(orm.Model):
    registry = orm.ModelRegistry()

    id = orm.Integer(primary_key=True)


#: A field, and values of it.
FIELDS: dict[str, tuple[Any, list[Any]]] = {
    "string": (orm.String(max_length=20), ['a "b" <c>']),
    "blank": (orm.String(max_length=20, allow_blank=True), [""]),
    "text": (orm.Text(), ["x\ny"]),
    "integer": (orm.Integer(), [0, -3]),
    "boolean": (orm.Boolean(), [True, False]),
    "boolean with a default": (orm.Boolean(default=True), [True, False]),
    "date": (orm.Date(), [datetime.date(2025, 1, 2)]),
    "time": (orm.Time(), [datetime.time(1, 2, 3)]),
    "datetime": (orm.DateTime(), [datetime.datetime(2025, 1, 2, 3, 4)]),
    "aware datetime": (
        orm.DateTime(timezone=True),
        [
            datetime.datetime(2025, 1, 2, 3, 4, tzinfo=UTC),
            datetime.datetime(2025, 1, 2, 3, 4, 5, 6, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        ],
    ),
    "decimal": (orm.Decimal(max_digits=5, decimal_places=2), [decimal.Decimal("1.50"), decimal.Decimal(0)]),
    "float": (orm.Float(), [1.5]),
    "duration": (orm.Duration(), [datetime.timedelta(minutes=5), -datetime.timedelta(days=1, microseconds=1)]),
    "integer enum": (orm.Enum(Level), [Level.high]),
    "enum": (orm.Enum(Mood), [Mood.good]),
    "choices": (orm.String(max_length=1, choices=[("a", "A"), ("b", "B")]), ["b"]),
    "address": (orm.IPAddress(), [ipaddress.ip_address("::1")]),
    "uuid": (orm.UUID(), [uuid.UUID(int=7)]),
    "email": (orm.Email(), ["a@example.org"]),
    "url": (orm.URL(), ["https://example.org/"]),
    "json": (orm.JSON(), [{"a": [1, None, "é"]}, {}, [], ["<"], "text", '"quoted"', "", 1, 0, 1.5, True, False]),
    "binary": (orm.Binary(), [b"\x00\xff", b""]),
    "foreign key": (orm.ForeignKey(Parent), [3]),
}
CASES = [(kind, value) for kind, (_, values) in FIELDS.items() for value in values]


def model_of(**fields: Any) -> Any:
    return type("Row", (orm.Model,), {"registry": Parent.registry, "id": orm.Integer(primary_key=True), **fields})


def submitted(page: str) -> dict[str, str]:
    """What a browser sends of a form that nobody has changed."""
    sent: dict[str, str] = {}
    for tag, attributes, body in re.findall(
        r"<(input|textarea|select)\b([^>]*)>(?:(.*?)</(?:textarea|select)>)?", page, re.S
    ):
        name, value = (re.search(rf'\b{key}="([^"]*)"', attributes) for key in ("name", "value"))
        assert name is not None
        text = html.unescape(value[1] if value else "")
        if tag == "textarea":
            text = html.unescape(body)
        elif tag == "select":
            chosen = re.search(r'value="([^"]*)" selected', body)
            text = html.unescape(chosen[1]) if chosen else ""
        elif 'type="checkbox"' in attributes and "checked" not in attributes:
            continue
        elif 'type="datetime-local"' in attributes and not re.fullmatch(r"[\d-]{10}T[\d:]{5,8}(\.\d{1,3})?", text):
            text = ""  # The browser shows nothing for what it cannot read.
        sent[name[1]] = text
    return sent


@pytest.mark.parametrize("as_form_data", [False, True])
@pytest.mark.parametrize(("kind", "value"), CASES)
def test_an_unchanged_form_gives_the_values_that_it_shows(kind: str, value: Any, as_form_data: bool) -> None:
    model = model_of(value=FIELDS[kind][0])
    sent: Any = submitted(str(FORMS.create_form(model.schema, values=model(id=1, value=value))))
    form = FORMS.create_form(model.schema)
    form.validate(FormData(list(sent.items())) if as_form_data else sent)
    assert form.is_valid, (sent, form.errors)
    validated = form.validated_data["value"]
    assert validated == value and type(validated) is type(value)
    if as_form_data:
        assert model.schema.validate(FormData(list(sent.items()))) == form.validated_data


@pytest.mark.parametrize(
    "field",
    [
        orm.Integer,
        orm.Date,
        orm.Time,
        orm.DateTime,
        orm.Float,
        orm.Duration,
        orm.IPAddress,
        orm.UUID,
        orm.JSON,
        orm.Binary,
    ],
)
def test_an_optional_value_that_is_null_stays_null(field: Any) -> None:
    model = model_of(value=field(allow_null=True))
    sent = submitted(str(FORMS.create_form(model.schema, values=model(id=1, value=None))))
    form = FORMS.create_form(model.schema)
    form.validate(sent)
    assert form.is_valid and form.validated_data["value"] is None


@pytest.mark.parametrize("kind", FIELDS)
def test_json_schema_describes_every_field(kind: str) -> None:
    model = model_of(value=FIELDS[kind][0])
    described = typesystem.to_json_schema(model.schema)
    assert json.dumps(described) and "value" in described["properties"]
    if kind == "foreign key":
        assert described["properties"]["value"] == {"anyOf": [{"type": "integer"}]}


def test_defaults_are_left_to_an_empty_input_and_to_a_missing_one() -> None:
    model = model_of(
        name=orm.String(max_length=9, default="x"),
        source=orm.String(max_length=9, server_default="web"),
        done=orm.Boolean(default=True),
        note=orm.String(max_length=9, allow_blank=True, default="n"),
    )
    assert model.schema.validate({}) == {"name": "x", "done": True, "note": "n"}
    form = FORMS.create_form(model.schema)
    form.validate({"name": "", "source": "", "note": ""})
    assert form.is_valid and form.validated_data == {"name": "x", "done": False, "note": ""}
    _, error = model.schema.validate_or_error({"name": "", "done": True})
    assert dict(error) == {"name": "Must not be blank."}  # Not a form: its values are not all texts.


@pytest.mark.parametrize(("kind", "text"), [("json", "{'a': 1}"), ("json", "{"), ("json", ""), ("binary", "b'x'")])
def test_texts_that_are_no_values_are_refused(kind: str, text: str) -> None:
    form = FORMS.create_form(model_of(value=FIELDS[kind][0]).schema)
    form.validate({"value": text})
    assert not form.is_valid and list(form.errors) == ["value"]


@pytest.mark.parametrize("field", [orm.Text, lambda **options: orm.String(max_length=5, **options)])
def test_an_empty_default_needs_allow_blank(field: Any) -> None:
    with pytest.raises(orm.FieldError, match=r'default="" .* allow_blank=True'):
        field(default="")
    assert field(default="", allow_blank=True).default == ""
