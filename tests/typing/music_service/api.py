"""The HTTP API: FastAPI, with Pydantic schemas written by hand."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

import orm

from .models import Album, Artist, Customer, Label, Order, OrderState, Track, database, models
from .repo import AlbumRepository, OrderRepository, Repository, upsert_artist


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class LabelOut(Out):
    id: int
    name: str
    country: str | None


class TrackIn(BaseModel):
    title: str = Field(min_length=1, max_length=100)
    position: int = Field(ge=1)
    seconds: int = 0


class TrackOut(TrackIn, Out):
    id: int
    explicit: bool


class AlbumIn(BaseModel):
    artist_id: int
    label_id: int | None = None
    name: str = Field(min_length=1, max_length=100)
    released: datetime.date | None = None
    price: decimal.Decimal = Field(max_digits=8, decimal_places=2)


class AlbumOut(Out):
    id: int
    name: str
    released: datetime.date | None
    price: decimal.Decimal
    artist_id: int
    label: LabelOut | None


class OrderOut(Out):
    id: int
    state: OrderState
    total: decimal.Decimal
    created_at: datetime.datetime


class PageOut(BaseModel):
    items: list[AlbumOut]
    next: str | None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    async with database:
        await models.create_all()
        yield


app = FastAPI(lifespan=lifespan)


def albums() -> AlbumRepository:
    return AlbumRepository()


def orders() -> OrderRepository:
    return OrderRepository()


Albums = Annotated[AlbumRepository, Depends(albums)]
Orders = Annotated[OrderRepository, Depends(orders)]


@app.get("/albums", response_model=PageOut)
async def list_albums(
    after: str | None = None, size: Annotated[int, Query(ge=1, le=100)] = 20, name: str = ""
) -> PageOut:
    found = Album.objects.select_related("label")
    if name:
        found = found.filter(Album.name.icontains(name))
    page = await found.page(after=after, size=size)
    return PageOut(items=[AlbumOut.model_validate(album) for album in page.items], next=page.next_cursor)


@app.post("/albums", response_model=AlbumOut, status_code=201)
async def create_album(given: AlbumIn) -> Album:
    artist = await Artist.objects.first(id=given.artist_id)
    if artist is None:
        raise HTTPException(422, "no such artist")
    label = await Label.objects.first(id=given.label_id) if given.label_id is not None else None
    return await Album.objects.create(
        artist=artist, label=label, name=given.name, released=given.released, price=given.price
    )


@app.get("/albums/{key}", response_model=AlbumOut)
async def read_album(key: int) -> Album:
    return await Album.objects.select_related("label").get(pk=key)


@app.post("/albums/{key}/tracks", response_model=TrackOut, status_code=201)
async def add_track(key: int, given: TrackIn, repo: Albums) -> Track:
    album = await repo.get(key)
    return await album.tracks.create(title=given.title, position=given.position, seconds=given.seconds)


@app.get("/albums/{key}/tracks", response_model=list[TrackOut])
async def list_tracks(key: int) -> list[Track]:
    return await Track.objects.filter(Track.album.id == key)


@app.get("/artists/{name}")
async def artist_id(name: str) -> int:
    artist = await upsert_artist(name)
    return artist.id


@app.post("/orders", response_model=OrderOut, status_code=201)
async def place_order(customer: int, lines: dict[int, int], repo: Orders) -> Order:
    return await repo.place(await Repository(Customer).get(customer), lines)


@app.post("/orders/{key}/pay", response_model=OrderOut)
async def pay_order(key: int, repo: Orders) -> Order:
    return await repo.pay(key)


@app.exception_handler(orm.NoMatch)
async def not_found(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=404)


@app.exception_handler(orm.ValidationError)
async def invalid(request: Request, error: orm.ValidationError) -> JSONResponse:
    return JSONResponse({"detail": dict(error)}, status_code=422)


@app.exception_handler(orm.IntegrityError)
async def conflict(request: Request, error: orm.IntegrityError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=409)
