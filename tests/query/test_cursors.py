"""Cursors hold values of every type that pages can be ordered by, exactly."""

from __future__ import annotations

import datetime
import enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import orm
from orm.query.cursors import Cursor, decode_cursor, encode_cursor
from orm.query.keyset import Keyset

models = orm.ModelRegistry()


class Weekday(enum.Enum):
    MONDAY = datetime.date(2024, 1, 1)
    TUESDAY = datetime.date(2024, 1, 2)


class Size(enum.Enum):
    SMALL = (1, 2)
    LARGE = (3, 4)


class Level(enum.IntFlag):
    LOW = 1
    HIGH = 2


class Letter(enum.Enum):
    A = "B"
    B = "A"


class Sample(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.Text(allow_blank=True)
    integer = orm.BigInteger()
    float = orm.Float()
    decimal = orm.Decimal(max_digits=30, decimal_places=10)
    boolean = orm.Boolean()
    date = orm.Date()
    time = orm.Time()
    datetime = orm.DateTime()
    instant = orm.DateTime(timezone=True)
    duration = orm.Duration()
    uuid = orm.UUID()
    ip = orm.IPAddress()
    binary = orm.Binary()
    weekday = orm.Enum(Weekday)
    size = orm.Enum(Size)
    level = orm.Enum(Level)
    letter = orm.Enum(Letter)
    parent = orm.ForeignKey("Sample", allow_null=True)
    data = orm.JSON()


LMT = datetime.timezone(datetime.timedelta(minutes=53, seconds=28))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "date": st.dates(),
    "time": st.times(),
    "datetime": st.datetimes(),
    "instant": st.datetimes(timezones=st.sampled_from([datetime.timezone.utc, LMT])),
    "duration": st.timedeltas(),
    "uuid": st.uuids(),
    "ip": st.ip_addresses(),
    "binary": st.binary(),
    "weekday": st.sampled_from(Weekday),
    "level": st.sampled_from([*Level, Level.LOW | Level.HIGH]),
    "letter": st.sampled_from(Letter),
    "parent": st.none() | st.integers(-(2**63), 2**63 - 1),
}


@pytest.mark.parametrize("name", VALUES)
@given(data=st.data())
def test_cursor_round_trips_values(name: str, data: st.DataObject) -> None:
    value, key, inclusive = data.draw(VALUES[name]), data.draw(VALUES["integer"]), data.draw(st.booleans())
    order = Keyset.of(Sample.objects.order_by(name)._query, nulls_high=False).order
    text = encode_cursor("Sample", order, Cursor((value, key), inclusive))
    assert text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    decoded = decode_cursor("Sample", order, text)
    assert decoded == Cursor((value, key), inclusive)
    assert type(decoded.position[0]) is type(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", Size.SMALL),
        ("date", "no date"),
        ("uuid", 5),
        ("text", b"x"),
    ],
)
def test_cursor_of_value_without_json_scalar_raises(name: str, value: Any) -> None:
    order = Keyset.of(Sample.objects.order_by(name)._query, nulls_high=False).order
    with pytest.raises(orm.QueryError, match=rf"values of type {type(value).__name__}\."):
        encode_cursor("Sample", order, Cursor((value, 1)))


@pytest.mark.parametrize("name", ["data", "data__key", "-data__a__0"])
def test_page_ordered_by_json_raises(name: str) -> None:
    with pytest.raises(orm.QueryError, match="Pages cannot be ordered by a JSON"):
        Keyset.of(Sample.objects.order_by(name)._query, nulls_high=False)
