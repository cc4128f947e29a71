"""The albums of `examples/fastapi_crud.py` with Ormar, as its documentation teaches: models are the types of bodies."""

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import ormar
import sqlalchemy
from fastapi import FastAPI, HTTPException
from ormar import DatabaseConnection

base = ormar.OrmarConfig(
    metadata=sqlalchemy.MetaData(), database=DatabaseConnection(f"sqlite+aiosqlite:///{Path(mkdtemp()) / 'crud.db'}")
)


class Album(ormar.Model):
    ormar_config = base.copy(tablename="album")

    id: int = ormar.Integer(primary_key=True)
    name: str = ormar.String(max_length=100, unique=True)
    released: datetime.date | None = ormar.Date(nullable=True)
    price: Decimal = ormar.Decimal(max_digits=8, decimal_places=2, minimum=0)


class Track(ormar.Model):
    ormar_config = base.copy(tablename="track", constraints=[ormar.UniqueColumns("album", "position")])

    id: int = ormar.Integer(primary_key=True)
    album: Album = ormar.ForeignKey(Album, nullable=False, ondelete="CASCADE", related_name="tracks")
    title: str = ormar.String(max_length=100)
    position: int = ormar.Integer(minimum=1)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await base.database.connect()
    async with base.database.engine.begin() as connection:
        await connection.run_sync(base.metadata.create_all)
    yield
    await base.database.disconnect()


app = FastAPI(lifespan=lifespan)
AlbumUpdate = Album.get_pydantic(exclude={"id", "tracks"})
for field in AlbumUpdate.model_fields.values():
    field.default = None
AlbumUpdate.model_rebuild(force=True)


async def one(rows: Any, id: int) -> Any:
    row = await rows.get_or_none(id=id)
    if row is None:
        raise HTTPException(status_code=404)
    return row


@app.post("/album", response_model=Album, status_code=201)
async def create_album(album: Album) -> Any:
    return await album.save()


@app.get("/album/{id}", response_model=Album)
async def read_album(id: int) -> Any:
    return await one(Album.objects.select_related("tracks"), id)


@app.patch("/album/{id}", response_model=Album)
async def update_album(id: int, album: AlbumUpdate) -> Any:  # type: ignore[valid-type]
    row = await one(Album.objects, id)
    return await row.update(**album.model_dump(exclude_unset=True))  # type: ignore[attr-defined]


@app.delete("/album/{id}", status_code=204)
async def delete_album(id: int) -> None:
    await (await one(Album.objects, id)).delete()


@app.post("/track", response_model=Track, status_code=201)
async def create_track(track: Track) -> Any:
    return await track.save()


@app.get("/track/{id}", response_model=Track)
async def read_track(id: int) -> Any:
    return await one(Track.objects.select_related("album"), id)


@app.get("/unloaded/{id}", response_model=Album)
async def read_unloaded(id: int) -> Any:
    """An album whose query does not load the tracks."""
    return await one(Album.objects, id)
