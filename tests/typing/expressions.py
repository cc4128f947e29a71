"""What type checkers know of the expressions that the users of a service write. Checked by `make check`, never run."""

from __future__ import annotations

import datetime
import decimal
from typing import Any
from uuid import UUID

from typing_extensions import assert_type

import orm
from orm import ManyToManyManager, Q, QuerySet, RelatedManager
from orm.expressions.base import Combined, Comparison, Expression, Ordering
from orm.functions.aggregates import Count, Max
from orm.functions.comparison import Coalesce
from orm.functions.text import Lower
from tests.typing.music_service.models import (
    Album,
    AlbumQuerySet,
    Artist,
    Customer,
    Label,
    OpenOrders,
    Order,
    OrderLine,
    Plan,
    Profile,
    Tag,
    Track,
)
from tests.typing.music_service.repo import AlbumRepository, Repository


async def instances(track: Track, album: Album, artist: Artist, customer: Customer, label: Label) -> None:
    assert_type(track.title, str)
    assert_type(track.gain, "float | None")
    assert_type(track.id, int)
    assert_type(album.price, decimal.Decimal)
    assert_type(customer.plan, Plan)
    assert_type(customer.key, UUID)
    assert_type(artist.links, Any)
    assert_type(track.album, Album)
    assert_type(album.label, "Label | None")
    assert_type(track.remix_of, "Track | None")
    assert_type(track.album_id, int)
    assert_type(track.album.artist.name, str)
    assert_type(album.tracks, RelatedManager[Track])
    assert_type(track.tags, ManyToManyManager[Tag])
    assert_type(customer.favourites, ManyToManyManager[Track])
    assert_type(artist.profile, Profile)
    assert_type(track.pk, Any)
    assert_type(album.lines, RelatedManager[OrderLine])
    assert_type(track.age, datetime.timedelta)


def classes(album: Album) -> None:
    assert_type(Track.title, Expression[str])
    assert_type(Track.gain, "Expression[float | None]")
    assert_type(Track.album, type[Album])
    assert_type(Track.album.name, Expression[str])
    assert_type(Track.album.artist.name, Expression[str])
    assert_type(Album.tracks.title, Expression[str])
    assert_type(Track.tags.title, Expression[str])
    assert_type(Track.remix_of.title, Expression[str])
    assert_type(Album.label.name, Expression[str])
    assert_type(Track.album_id, Expression[int])
    assert_type(Artist.profile.bio, Expression[str])
    assert_type(Track.title == "x", Comparison)
    assert_type(Track.position + 1, Combined[int])
    assert_type((Track.position > 1) & ~(Track.title == "x"), Q)
    assert_type(Track.album == album, Comparison)
    assert_type(Album.label.is_null(), Comparison)
    assert_type((Track.album == album) | (Track.position > 1), Q)
    assert_type(Track.title.desc(), Ordering)
    assert_type(orm.Count("tracks"), Count)
    assert_type(orm.Max(Album.price), Max["decimal.Decimal | None"])
    assert_type(orm.functions.Lower(Track.title), Lower)
    assert_type(orm.functions.Coalesce(Track.gain, 0.0), Coalesce)


async def queries(album: Album, artist: Artist, track: Track) -> None:
    assert_type(Track.objects, QuerySet[Track, Track])
    assert_type(Album.objects, AlbumQuerySet)
    assert_type(Order.open, OpenOrders)
    assert_type(Track.objects.filter(position__gt=1), QuerySet[Track, Track])
    assert_type(Album.objects.filter(price__gt=1).released().order_by("name"), AlbumQuerySet)
    assert_type(await Album.objects.released().with_sizes().by(artist), list[Album])
    assert_type(Order.open.filter(id=1), OpenOrders)
    assert_type(artist.albums.filter(name="x"), RelatedManager[Album])
    assert_type(await Track.objects.get(id=1), Track)
    assert_type(await Track.objects.first(), "Track | None")
    assert_type(await Track.objects.last(), "Track | None")
    assert_type(await Track.objects.filter(id=1), list[Track])
    assert_type(await Track.objects.order_by("id")[:5], list[Track])
    assert_type(await Track.objects.order_by("id")[0], Track)
    assert_type(await Track.objects.in_bulk([1]), dict[Any, Track])
    assert_type(await Album.objects.aggregate(top=orm.Max(Album.price)), dict[str, Any])
    assert_type((await Album.objects.aggregate(top=orm.Max(Album.price)))["top"], Any)
    assert_type(await Track.objects.values("title", "position"), list[dict[str, Any]])
    assert_type(await Track.objects.values_list("title", "position"), list[tuple[Any, ...]])
    assert_type(await Track.objects.values_list("title", flat=True), list[Any])
    assert_type(await Track.objects.values_list(Track.title, flat=True), list[str])
    assert_type(await Track.objects.values_list(Track.title, Track.position), list[tuple[str, int]])
    assert_type(await Track.objects.values_list("title", named=True), list[Any])
    annotated = await Album.objects.annotate(n_tracks=orm.Count("tracks"))
    assert_type(annotated, list[Album])
    assert_type(annotated[0].n_tracks, int)
    assert_type(
        await Album.objects.annotate(n_tracks=orm.Count("tracks")).values("name", "n_tracks"), list[dict[str, Any]]
    )
    assert_type(await Album.objects.graph("tracks__tags"), list[Album])
    assert_type(await Tag.objects.get_or_create(slug="x"), tuple[Tag, bool])
    assert_type(await Track.objects.bulk_create([track]), list[Track])
    assert_type((await Track.objects.page()).items, list[Track])
    assert_type(await album.tracks.create(title="x", position=1), Track)
    assert_type(await track.save(), Track)
    assert_type(await Repository(Album).get(1), Album)
    assert_type(await AlbumRepository().newest(), "Album | None")
    assert_type(await Track.objects.union(Track.objects.all()), list[Track])
    assert_type(await Track.raw("SELECT * FROM track"), list[Track])
    found = await Album.objects.prefetch_related(orm.Prefetch("tracks", to_attr="long_tracks"))
    assert_type(found[0].long_tracks, list[Track])
    assert_type(await orm.load([track], "album"), None)
    assert_type(Track.title.icontains("x"), Comparison)
    async for row in Track.objects.filter(id=1):
        assert_type(row, Track)


async def conditions_and_writes(album: Album) -> None:
    Track(album=album, title="x", position=1)
    await Track.objects.create(album=album, title="x", position=1)
    await Track.objects.create(album_id=1, title="x", position=1)
    await Track.objects.create(album=1, title="x", position=1)
    await Track.objects.filter(Track.album == album, Track.position > 1)
    await Track.objects.filter((Track.album == album) & (Track.position > 1))
    await Track.objects.filter(Track.position > Track.seconds)
    await Order.objects.filter(Order.customer.plan == Plan.PRO)
    await Album.objects.order_by(Album.artist.name, Album.price.desc())
    await Track.objects.update(position=Track.position + 1)
    await Track.objects.filter(orm.Q(Track.album == album))
    await Album.objects.filter(~(Album.artist == 1))
    await Track.objects.limit(3, per=Track.album)
    await Album.objects.order_by(Album.label.desc(nulls_last=True))
    await Album.objects.filter(Album.label.in_([1, 2]))
    await Album.objects.filter(Album.price > decimal.Decimal(1) * 2)
    await Album.objects.filter(Album.price > 9)
    await Track.objects.filter(Track.gain > 1)
    await Track.objects.filter(Track.created_at > datetime.datetime.now(datetime.timezone.utc))
