"""The albums of `examples/fastapi_crud.py` with SQLModel, as its documentation teaches: a class for each purpose."""

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from sqlmodel import Field, Relationship, Session, SQLModel, UniqueConstraint, create_engine
from sqlmodel.pool import StaticPool

engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)


class AlbumBase(SQLModel):
    name: str = Field(max_length=100, unique=True)
    released: datetime.date | None = None
    price: Decimal = Field(max_digits=8, decimal_places=2, ge=0)


class Album(AlbumBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    tracks: list["Track"] = Relationship(back_populates="album", cascade_delete=True)


class AlbumCreate(AlbumBase):
    pass


class AlbumUpdate(SQLModel):
    name: str | None = Field(default=None, max_length=100)
    released: datetime.date | None = None
    price: Decimal | None = Field(default=None, max_digits=8, decimal_places=2, ge=0)


class TrackBase(SQLModel):
    title: str = Field(max_length=100)
    position: int = Field(ge=1)
    album_id: int = Field(foreign_key="album.id", ondelete="CASCADE")


class Track(TrackBase, table=True):
    __table_args__ = (UniqueConstraint("album_id", "position"),)
    id: int | None = Field(default=None, primary_key=True)
    album: Album = Relationship(back_populates="tracks")


class TrackCreate(TrackBase):
    pass


class TrackPublic(TrackBase):
    id: int


class AlbumPublic(AlbumBase):
    id: int
    tracks: list[TrackPublic] = []


class TrackPublicWithAlbum(TrackPublic):
    album: AlbumBase


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
app = FastAPI()
SQLModel.metadata.create_all(engine)


def one(session: Session, model: Any, id: int) -> Any:
    row = session.get(model, id)
    if row is None:
        raise HTTPException(status_code=404)
    return row


@app.post("/album", response_model=AlbumPublic, status_code=201)
def create_album(album: AlbumCreate, session: SessionDep) -> Any:
    row = Album.model_validate(album)
    session.add(row)
    session.commit()
    session.refresh(row)
    return row


@app.get("/album/{id}", response_model=AlbumPublic)
def read_album(id: int, session: SessionDep) -> Any:
    return one(session, Album, id)


@app.patch("/album/{id}", response_model=AlbumPublic)
def update_album(id: int, album: AlbumUpdate, session: SessionDep) -> Any:
    row = one(session, Album, id)
    row.sqlmodel_update(album.model_dump(exclude_unset=True))
    session.add(row)
    session.commit()
    session.refresh(row)
    return row


@app.delete("/album/{id}", status_code=204)
def delete_album(id: int, session: SessionDep) -> None:
    session.delete(one(session, Album, id))
    session.commit()


@app.post("/track", response_model=TrackPublicWithAlbum, status_code=201)
def create_track(track: TrackCreate, session: SessionDep) -> Any:
    row = Track.model_validate(track)
    session.add(row)
    session.commit()
    session.refresh(row)
    return row


@app.get("/track/{id}", response_model=TrackPublicWithAlbum)
def read_track(id: int, session: SessionDep) -> Any:
    return one(session, Track, id)


@app.get("/unloaded/{id}", response_model=AlbumPublic)
def read_unloaded(id: int, session: SessionDep) -> Any:
    """An album whose query does not load the tracks."""
    return one(session, Album, id)
