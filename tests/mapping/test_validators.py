"""The generated validator returns the values and messages of typesystem."""

import copy
import datetime
import decimal
import enum
import ipaddress
import math
import pickle
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import typesystem
from hypothesis import given
from hypothesis import strategies as st
from typesystem import Message

import orm
from orm import fields
from orm.mapping.validators import Validator, compile_validator


class Status(enum.Enum):
    DRAFT = "draft"
    DONE = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Colour(str, enum.Enum):
    RED = "red"
    BLUE = "blue"


UTC = datetime.timezone.utc
FIELDS: list[Callable[..., fields.Field[Any]]] = [
    fields.Integer,
    lambda **o: fields.Integer(minimum=-3, exclusive_maximum=7, **o),
    lambda **o: fields.BigInteger(exclusive_minimum=0, maximum=10, multiple_of=2, **o),
    lambda **o: fields.SmallInteger(choices=[(1, "one"), (2, "two")], **o),
    fields.Float,
    lambda **o: fields.Float(minimum=0.5, maximum=2, coerce_types=False, **o),
    lambda **o: fields.Float(precision="0.1", **o),
    lambda **o: fields.Decimal(max_digits=4, decimal_places=2, **o),
    lambda **o: fields.Decimal(3, 0, maximum=100, **o),
    lambda **o: fields.Decimal(3, 3, exclusive_minimum=decimal.Decimal("0.1"), **o),
    fields.Boolean,
    lambda **o: fields.Boolean(coerce_types=False, **o),
    lambda **o: fields.String(max_length=3, **o),
    lambda **o: fields.String(max_length=5, min_length=2, trim_whitespace=False, **o),
    lambda **o: fields.String(max_length=5, allow_blank=True, **o),
    lambda **o: fields.String(max_length=5, pattern="^[a-f]+$", **o),
    lambda **o: fields.String(max_length=5, choices=["a", "b"], **o),
    lambda **o: fields.String(max_length=5, choices=[("Group", [("", "none"), ("a", "A")])], **o),
    lambda **o: fields.String(max_length=5, choices=Colour, **o),
    fields.Text,
    lambda **o: fields.Text(allow_blank=True, **o),
    fields.Email,
    fields.URL,
    fields.Date,
    fields.DateTime,
    lambda **o: fields.DateTime(timezone=True, **o),
    fields.Time,
    fields.Duration,
    fields.JSON,
    fields.Binary,
    lambda **o: fields.Binary(max_length=2, **o),
    fields.UUID,
    fields.IPAddress,
    lambda **o: fields.Enum(Status, **o),
    lambda **o: fields.Enum(Level, **o),
    lambda **o: fields.Enum(Status, choices=[Status.DRAFT], **o),
    lambda **o: fields.Array(fields.Integer(minimum=0), max_items=2, **o),
]
OPTIONS: list[dict[str, Any]] = [{}, {"allow_null": True}]

texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "",
            " ",
            " a ",
            "a\0b",
            "a",
            "red",
            "RED",
            "draft",
            "DRAFT",
            "LOW",
            "1",
            "-2.50",
            "NaN",
            "inf",
            "true",
            "None",
            "me@example.org",
            "https://example.org/",
            "2024-02-29",
            "2023-02-29",
            "2024-02-29T10:11:12Z",
            "2024-02-29 10:11:12.5",
            "10:11:12.000001",
            "P1DT2H",
            "1 day, 0:00:01",
            "01890a5d-ac96-774b-bcce-b302099a8057",
            "::1",
            "1.2.3.4",
            "fe80::1%eth0",
        ]
    ),
)
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-5, 12),
    st.floats(),
    st.sampled_from([0.5, 1.0, 2.0, -0.0, math.inf, math.nan, 1e300]),
    st.decimals(),
    st.decimals(-200, 200, places=2),
    texts,
    st.binary(max_size=3),
    st.builds(bytearray, st.binary(max_size=3)),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.times(timezones=st.sampled_from([None, UTC])),
    st.timedeltas(),
    st.uuids(),
    st.ip_addresses(),
    st.sampled_from([*Status, *Level, *Colour, ipaddress.ip_interface("1.2.3.4/8"), object(), Status]),
)
values = st.one_of(
    plain, st.recursive(plain, lambda p: st.one_of(st.lists(p, max_size=3), st.dictionaries(texts, p, max_size=2)))
)


def bound(**declared: fields.Field[Any]) -> dict[str, fields.Field[Any]]:
    for name, field in declared.items():
        field.bind(type("Note", (), {}), name)
    return declared


def outcome(validate: Callable[[dict[str, Any]], Any], given_values: dict[str, Any]) -> tuple[Any, ...]:
    """The values with their types, or the messages in their order."""
    try:
        validated = validate(given_values)
    except typesystem.ValidationError as error:
        return ("error", error.messages())
    return ("valid", [(key, type(value), repr(value)) for key, value in validated.items()])


EACH = [
    (field, compile_validator(field), typesystem.Schema(fields={"v": field["v"].validator}))
    for make in FIELDS
    for options in OPTIONS
    for field in [bound(v=make(**options))]
]


@given(value=values)
def test_validator_of_each_field_agrees_with_typesystem(value: Any) -> None:
    for field, validator, schema in EACH:
        expected = outcome(schema.validate, {"v": value})
        assert outcome(validator.create, {"v": value}) == expected, field
        assert outcome(validator.update, {"v": value}) == expected, field


MANY = bound(
    **{f"f{i}": make(**options) for i, (make, options) in enumerate((m, o) for m in FIELDS for o in OPTIONS)},
    with_default=fields.Integer(default=3),
    with_callable=fields.JSON(default=lambda: {"a": [1]}),
    with_mutable=fields.JSON(default={"a": [1]}),
)
MANY_VALIDATOR = compile_validator(MANY)
MANY_SCHEMA = typesystem.Schema(fields={name: field.validator for name, field in MANY.items()})


@given(st.dictionaries(st.sampled_from([*MANY, "unknown"]), values))
def test_validator_of_many_fields_agrees_with_typesystem(given_values: dict[str, Any]) -> None:
    assert outcome(MANY_VALIDATOR.create, given_values) == outcome(MANY_SCHEMA.validate, given_values)
    part = {name: MANY[name].validator for name in MANY if name in given_values}
    schema = typesystem.Schema(fields=part)
    assert outcome(MANY_VALIDATOR.update, given_values) == outcome(schema.validate, given_values)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (fields.Integer(), 5),
        (fields.Float(), 1.5),
        (fields.Decimal(6, 2), decimal.Decimal("1234.56")),
        (fields.Boolean(), False),
        (fields.String(max_length=5), "text"),
        (fields.Text(allow_blank=True), ""),
        (fields.Date(), datetime.date(2024, 2, 29)),
        (fields.DateTime(), datetime.datetime(2024, 2, 29, 12)),
        (fields.DateTime(timezone=True), datetime.datetime(2024, 2, 29, 12, tzinfo=UTC)),
        (fields.Time(), datetime.time(12)),
        (fields.Duration(), datetime.timedelta(1)),
        (fields.Binary(), b"\0"),
        (fields.UUID(), uuid.uuid4()),
        (fields.IPAddress(), ipaddress.ip_address("1.2.3.4")),
        (fields.Enum(Status), Status.DRAFT),
        (fields.String(max_length=5, choices=["a"]), "a"),
        (fields.Integer(allow_null=True), None),
    ],
)
def test_fast_check_spares_typesystem(field: fields.Field[Any], value: Any) -> None:
    field.validator.validate = None
    validator = compile_validator(bound(v=field))
    assert validator.create({"v": value}) == {"v": value}


def note_validator(**more: fields.Field[Any]) -> Validator:
    declared = {"id": fields.Integer(primary_key=True), "text": fields.String(max_length=3), **more}
    return compile_validator(bound(**declared))


def messages(validate: Callable[[dict[str, Any]], Any], **given_values: Any) -> list[tuple[Any, ...]]:
    with pytest.raises(typesystem.ValidationError) as caught:
        validate(given_values)
    return [(*message.index, message.code, message.text) for message in caught.value.messages()]


def test_validation_error_has_every_message() -> None:
    validator = note_validator(done=fields.Boolean(), at=fields.Date())
    assert messages(validator.create, id="x", text="long", done=None) == [
        ("at", "required", "This field is required."),
        ("id", "type", "Must be a number."),
        ("text", "max_length", "Must have no more than 3 characters."),
        ("done", "null", "May not be null."),
    ]


def test_given_primary_key_is_used() -> None:
    validator = note_validator()
    assert validator.create({"id": "7", "text": "a"}) == {"id": 7, "text": "a"}
    assert validator.create({"id": None, "text": "a"}) == {"text": "a"}
    assert validator.create({"text": "a"}) == {"text": "a"}


def test_missing_primary_key_gets_its_default() -> None:
    validator = compile_validator(bound(id=fields.UUID(primary_key=True, default=uuid.uuid4)))
    assert isinstance(validator.create({})["id"], uuid.UUID)
    assert isinstance(validator.create({"id": None})["id"], uuid.UUID)


def test_missing_primary_key_without_default_raises() -> None:
    validator = compile_validator(bound(code=fields.String(primary_key=True, max_length=5)))
    assert messages(validator.create) == [("code", "required", "This field is required.")]


def test_missing_value_with_server_default_is_left_out() -> None:
    validator = note_validator(rank=fields.Integer(server_default="3", allow_null=True))
    assert validator.create({"text": "a"}) == {"text": "a"}


def test_update_adds_no_values() -> None:
    validator = note_validator(rank=fields.Integer(default=3))
    assert validator.update({"text": " a "}) == {"text": "a"}


def test_mutable_default_is_new_for_each_row() -> None:
    validator = note_validator(data=fields.JSON(default={"tags": []}))
    first = validator.create({"text": "a"})["data"]
    first["tags"].append(1)
    assert validator.create({"text": "a"})["data"] == {"tags": []}


def test_value_that_is_not_a_choice_raises() -> None:
    validator = note_validator(size=fields.Integer(choices=[(1, "small"), (2, "large")]))
    assert validator.create({"text": "a", "size": "2"})["size"] == 2
    assert messages(validator.update, size=3) == [("size", "choice", "Not a valid choice.")]
    assert messages(validator.update, size="") == [("size", "required", "This field is required.")]


def test_choices_from_enum_store_its_values() -> None:
    validator = note_validator(colour=fields.String(max_length=9, choices=Colour))
    colour = validator.update({"colour": Colour.RED})["colour"]
    assert (type(colour), colour) == (str, "red")


@pytest.mark.parametrize("value", [Level.HIGH, 2, "2", "HIGH"])
def test_enum_accepts_member_value_and_name(value: Any) -> None:
    assert fields.Enum(Level).validator.validate(value) is Level.HIGH


def test_datetime_with_wrong_timezone_raises_with_reason() -> None:
    validator = note_validator(at=fields.DateTime(timezone=True), seen=fields.DateTime())
    [naive, aware] = messages(validator.update, at=datetime.datetime(2024, 1, 1), seen=datetime.datetime.now(UTC))
    assert naive[:2] == ("at", "naive") and "datetime.now(timezone.utc)" in naive[2]
    assert aware[:2] == ("seen", "aware") and "timezone=True" in aware[2]


def test_date_from_datetime() -> None:
    assert note_validator(day=fields.Date()).update({"day": datetime.datetime(2024, 2, 29, 23)}) == {
        "day": datetime.date(2024, 2, 29)
    }


def test_decimal_with_too_many_digits_raises() -> None:
    validator = note_validator(price=fields.Decimal(max_digits=4, decimal_places=2))
    assert validator.update({"price": 0.1}) == {"price": decimal.Decimal("0.1")}
    assert validator.update({"price": "12.340"}) == {"price": decimal.Decimal("12.340")}
    assert messages(validator.update, price="1.234")[0][1] == "decimal_places"
    assert messages(validator.update, price=100)[0][1] == "max_digits"


def test_json_error_has_the_path() -> None:
    errors = messages(note_validator(data=fields.JSON()).update, data={"a": [1, {2}], "b": {1: 2}, "c": math.nan})
    assert errors == [
        ("data", "a", 1, "type", "Must be a JSON value."),
        ("data", "b", "invalid_key", "All object keys must be strings."),
        ("data", "c", "finite", "Must be finite."),
    ]


@pytest.mark.parametrize("choices", [["a", 1], [["a"], {"b": 1}]])
def test_json_with_choices(choices: list[Any]) -> None:
    validator = note_validator(data=fields.JSON(choices=[(choice, "label") for choice in choices]))
    for choice in choices:
        assert validator.update({"data": choice}) == {"data": choice}
    assert messages(validator.update, data="other")[0][1] == "choice"


@given(st.timedeltas())
def test_duration_text_round_trips(duration: datetime.timedelta) -> None:
    validator = fields.Duration().validator
    assert validator.validate(validator.serialize(duration)) == duration
    assert validator.validate(str(duration)) == duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1.5S", 1.5),
        ("-P1D", -86400),
        ("P1W", 604800),
        ("30", 30),
        ("15:30", 930),
        ("-1:00:00", -3600),
        ("3 4:00:00,5", 273600.5),
    ],
)
def test_parse_duration_reads_each_format(text: str, seconds: float) -> None:
    assert fields.Duration().validator.validate(text) == datetime.timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "1:2:3:4", "a", "P9999999999D"])
def test_parse_duration_with_other_text_raises(text: str) -> None:
    assert messages(note_validator(took=fields.Duration()).update, took=text)[0][1] == "format"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_copied_validation_error_has_the_same_messages(again: Callable[[Any], Any]) -> None:
    with pytest.raises(orm.ValidationError) as raised:
        raise orm.ValidationError(
            messages=[
                Message(text="Must not be blank.", code="blank", index=[137, "name"]),
                Message(text="Must be a number.", code="type", index=[4000, "n"]),
            ]
        )
    copied = again(raised.value)
    assert type(copied) is orm.ValidationError and copied == raised.value
    assert copied.messages() == raised.value.messages() and dict(copied) == dict(raised.value)
