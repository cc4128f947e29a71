"""What type checkers see of fields. It is checked by mypy and pyright, and never run."""

import datetime
import decimal
import enum
import ipaddress
import uuid
from dataclasses import dataclass
from typing import Any

from typing_extensions import assert_type

import orm
from orm import fields
from orm.expressions.base import Expression


class Status(enum.Enum):
    DRAFT = "draft"
    DONE = "done"


@dataclass
class Address:
    city: str


class Note:
    id = fields.BigInteger(primary_key=True)
    views = fields.Integer(default=0, minimum=0)
    rank = fields.SmallInteger(allow_null=True)
    text = fields.String(max_length=100, allow_blank=True)
    title = fields.String(max_length=100, allow_null=True, index=True)
    body = fields.Text(allow_null=False)
    email = fields.Email()
    url = fields.URL(max_length=300, allow_null=True)
    done = fields.Boolean(default=False)
    weight = fields.Float(allow_null=True)
    price = fields.Decimal(max_digits=10, decimal_places=2)
    fee = fields.Decimal(10, 2, allow_null=True)
    day = fields.Date(auto_now_add=True)
    at = fields.DateTime(timezone=True)
    seen = fields.DateTime(allow_null=True)
    time = fields.Time()
    took = fields.Duration(allow_null=True)
    data = fields.JSON(default=dict)
    raw = fields.Binary(max_length=20)
    key = fields.UUID(default=uuid.uuid4)
    ordered_key = fields.UUID(version=7)
    address = fields.IPAddress(allow_null=True)
    status = fields.Enum(Status, default=Status.DRAFT)
    old_status = fields.Enum(Status, allow_null=True)
    tags = fields.Array(fields.String(max_length=20), min_items=1)
    marks = fields.Array(fields.Integer(allow_null=True), allow_null=True)
    slug = fields.Slug(unique=True)
    stock = fields.PositiveInteger(allow_null=True)
    nick = fields.CIText(allow_null=True)
    days = fields.DateRange()
    prices = fields.DecimalRange(8, 2, allow_null=True)
    store = fields.HStore()
    term = fields.Interval(allow_null=True)
    billing = orm.Embedded(Address)
    shipping = orm.Embedded(Address, prefix="ship_", allow_null=True)


def on_the_class() -> None:
    assert_type(Note.id, Expression[int])
    assert_type(Note.views, Expression[int])
    assert_type(Note.rank, Expression[int | None])
    assert_type(Note.text, Expression[str])
    assert_type(Note.status, Expression[Status])
    assert_type(Note.data, Expression[Any])
    assert_type(Note.tags, Expression[list[str]])


def on_an_instance(note: Note) -> None:
    assert_type(note.id, int)
    assert_type(note.views, int)
    assert_type(note.rank, int | None)
    assert_type(note.text, str)
    assert_type(note.title, str | None)
    assert_type(note.body, str)
    assert_type(note.email, str)
    assert_type(note.url, str | None)
    assert_type(note.done, bool)
    assert_type(note.weight, float | None)
    assert_type(note.price, decimal.Decimal)
    assert_type(note.fee, decimal.Decimal | None)
    assert_type(note.day, datetime.date)
    assert_type(note.at, datetime.datetime)
    assert_type(note.seen, datetime.datetime | None)
    assert_type(note.time, datetime.time)
    assert_type(note.took, datetime.timedelta | None)
    assert_type(note.data, Any)
    assert_type(note.raw, bytes)
    assert_type(note.key, uuid.UUID)
    assert_type(note.ordered_key, uuid.UUID)
    assert_type(note.address, ipaddress.IPv4Address | ipaddress.IPv6Address | None)
    assert_type(note.status, Status)
    assert_type(note.old_status, Status | None)
    assert_type(note.tags, list[str])
    assert_type(note.marks, list[int | None] | None)
    assert_type(note.slug, str)
    assert_type(note.stock, int | None)
    assert_type(note.nick, str | None)
    assert_type(note.days, orm.Range[datetime.date])
    assert_type(note.prices, orm.Range[decimal.Decimal] | None)
    assert_type(note.store, dict[str, str | None])
    assert_type(note.term, orm.Period | None)
    assert_type(note.billing, Address)
    assert_type(note.billing.city, str)
    assert_type(note.shipping, Address | None)


def declared() -> None:
    assert_type(fields.Integer(), fields.Integer[int])
    assert_type(fields.Integer(allow_null=True), fields.Integer[int | None])
    integer: fields.Field[int] = fields.BigInteger()
    nullable: fields.Field[int | None] = fields.BigInteger(allow_null=True)
    del integer, nullable


def assigned(note: Note) -> None:
    note.views = 3
    note.rank = None
    note.views = None  # type: ignore[assignment] # ty: ignore[invalid-assignment] # pyright: ignore[reportAttributeAccessIssue]
    note.text = 3  # type: ignore[assignment] # ty: ignore[invalid-assignment] # pyright: ignore[reportAttributeAccessIssue]
    fields.Integer(max_lenght=3)  # type: ignore[call-overload] # pyright: ignore[reportCallIssue, reportUnknownMemberType]
