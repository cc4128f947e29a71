"""Models of a music service, as a team that runs strict type checks would write them."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Any, ClassVar

from typing_extensions import Self

import orm

database = orm.Database("sqlite:///svc.db")
models = orm.ModelRegistry(database=database)


class Plan(str, enum.Enum):
    FREE = "free"
    PRO = "pro"


class OrderState(enum.Enum):
    OPEN = "open"
    PAID = "paid"
    VOID = "void"


class Timestamped(orm.Model):
    """What every table has."""

    id = orm.BigInteger(primary_key=True)
    created_at = orm.DateTime(timezone=True, auto_now_add=True)
    updated_at = orm.DateTime(timezone=True, auto_now=True)

    class Meta:
        abstract = True

    @property
    def age(self) -> datetime.timedelta:
        return datetime.datetime.now(datetime.timezone.utc) - self.created_at


class Label(Timestamped):
    registry = models

    name = orm.String(max_length=100, unique=True)
    country = orm.String(max_length=2, allow_null=True)

    albums: orm.RelatedManager[Album]

    revenue: decimal.Decimal  # of an annotation


class Artist(Timestamped):
    registry = models

    name = orm.String(max_length=100, index=True)
    born = orm.Date(allow_null=True)
    links = orm.JSON(default=dict)

    albums: orm.RelatedManager[Album]
    profile: orm.OneToOne[Profile]

    class Meta(Timestamped.Meta):
        ordering = ["name"]


class Profile(Timestamped):
    registry = models

    artist = orm.OneToOne(Artist, on_delete=orm.CASCADE, related_name="profile")
    bio = orm.Text(default="", allow_blank=True)
    avatar = orm.URL(allow_null=True)


class Tag(orm.Model):
    registry = models

    slug = orm.String(max_length=50, primary_key=True)
    title = orm.String(max_length=50)

    tracks: orm.ManyToManyManager[Track]


class AlbumQuerySet(orm.QuerySet["Album", "Album"]):
    def released(self, by: datetime.date | None = None) -> Self:
        return self.filter(released__lte=by or datetime.date.today())

    def by(self, artist: Artist) -> Self:
        return self.filter(Album.artist == artist)

    def with_sizes(self) -> Self:
        return self.annotate(n_tracks=orm.Count("tracks"), length=orm.Sum("tracks__seconds"))


class Album(Timestamped):
    registry = models

    artist = orm.ForeignKey(Artist, on_delete=orm.CASCADE, related_name="albums")
    label = orm.ForeignKey(Label, allow_null=True, on_delete=orm.SET_NULL, related_name="albums")
    name = orm.String(max_length=100)
    released = orm.Date(allow_null=True)
    price = orm.Decimal(max_digits=8, decimal_places=2)
    meta = orm.JSON(allow_null=True)

    label_id: orm.Field[int | None]
    lines: orm.RelatedManager[OrderLine]
    tracks: orm.RelatedManager[Track]

    # Of annotations, and of Prefetch(to_attr=).
    n_tracks: int
    long_tracks: list[Track]

    objects = AlbumQuerySet.as_manager()

    class Meta(Timestamped.Meta):
        ordering = ["-released", "name"]
        constraints: ClassVar[list[Any]] = [orm.UniqueConstraint("artist", "name")]


class Track(Timestamped):
    registry = models

    album = orm.ForeignKey(Album, on_delete=orm.CASCADE, related_name="tracks")
    remix_of: orm.ForeignKey[Track | None] = orm.ForeignKey("Track", allow_null=True, related_name="remixes")
    title = orm.String(max_length=100)
    position = orm.Integer(minimum=1)
    seconds = orm.Integer(default=0)
    explicit = orm.Boolean(default=False)
    gain = orm.Float(allow_null=True)
    tags = orm.ManyToMany(Tag, related_name="tracks")

    album_id: orm.Field[int]
    remixes: orm.RelatedManager[Track]

    class Meta(Timestamped.Meta):
        ordering = ["position"]


class Customer(Timestamped):
    registry = models

    key = orm.UUID(default=uuid.uuid4)
    email = orm.Email(max_length=200, unique=True)
    plan = orm.Enum(Plan, default=Plan.FREE)
    balance = orm.Decimal(10, 2, default=decimal.Decimal("0"))
    favourites: orm.ManyToMany[Track] = orm.ManyToMany("Track", related_name="fans")

    orders: orm.RelatedManager[Order]


class OpenOrders(orm.Manager["Order"]):
    def get_queryset(self) -> orm.QuerySet[Order, Order]:
        return super().get_queryset().filter(state=OrderState.OPEN)


class Order(Timestamped):
    registry = models

    customer = orm.ForeignKey(Customer, on_delete=orm.RESTRICT, related_name="orders")
    state = orm.Enum(OrderState, default=OrderState.OPEN)
    note = orm.Text(allow_null=True)
    total = orm.Decimal(10, 2)

    lines: orm.RelatedManager[OrderLine]

    open = OpenOrders()


class OrderLine(orm.Model):
    registry = models

    order = orm.ForeignKey(Order, on_delete=orm.CASCADE, related_name="lines")
    album = orm.ForeignKey(Album, on_delete=orm.RESTRICT, related_name="lines")
    quantity = orm.Integer(minimum=1, default=1)
    price = orm.Decimal(8, 2)
