"""An application of one model that has a field of each type, with routes of FastAPI and of Litestar."""

from __future__ import annotations

import datetime
import enum
import uuid

import fastapi
from litestar import Litestar

import orm
from orm.contrib import fastapi as orm_fastapi
from orm.contrib import litestar as orm_litestar

models = orm.ModelRegistry(database=orm.Database("sqlite://"))


class Size(enum.Enum):
    """How large it is."""

    SMALL = "s"
    LARGE = "l"


class Item(orm.Model):
    """A value of each type."""

    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.Text(allow_blank=True, default="")
    name = orm.String(max_length=20, min_length=2, pattern="^[a-z]", allow_null=True)
    slug = orm.Slug(max_length=30, allow_null=True, unique=True)
    email = orm.Email(max_length=60, allow_null=True)
    url = orm.URL(max_length=80, allow_null=True)
    colour = orm.String(max_length=5, choices=["red", "blue"], default="red")
    size = orm.Enum(Size, default=Size.SMALL)
    small = orm.SmallInteger(default=1)
    count = orm.Integer(minimum=-5, allow_null=True)
    large = orm.BigInteger(default=1)
    ratio = orm.Float(allow_null=True)
    price = orm.Decimal(max_digits=6, decimal_places=2, default=1)
    whole = orm.Decimal(max_digits=5, decimal_places=0, minimum=0, allow_null=True)
    done = orm.Boolean(default=False)
    day = orm.Date(allow_null=True)
    at = orm.DateTime(timezone=True, default=datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc))
    local = orm.DateTime(allow_null=True)
    hour = orm.Time(allow_null=True)
    length = orm.Duration(allow_null=True)
    token = orm.UUID(default=uuid.UUID(int=7))
    address = orm.IPAddress(allow_null=True)
    blob = orm.Binary(allow_null=True)
    document = orm.JSON(default=dict)
    words = orm.Array(orm.String(max_length=8), default=list)
    numbers = orm.Array(orm.Integer(), allow_null=True)
    parent = orm.ForeignKey("self", allow_null=True, related_name="children")


FILTERS = [
    *("text__icontains", "name", "name__in", "email__startswith", "size__exact", "small__gte", "count__range", "large"),
    *("ratio__lt", "price__gte", "done", "day__gte", "day__year", "at__lt", "at__date", "local__gte", "hour__lt"),
    *("length__gte", "token", "address", "parent", "parent__name", "text__regex", "id__in", "count__isnull"),
]

app = fastapi.FastAPI(exception_handlers=orm_fastapi.exception_handlers)
app.include_router(orm_fastapi.crud_router(Item, filters=FILTERS))

litestar_app = Litestar(
    [orm_litestar.crud_router(Item, filters=FILTERS)], plugins=[orm_litestar.OrmPlugin(orm.Database("sqlite://"))]
)
