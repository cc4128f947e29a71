"""The albums of `examples/fastapi_crud.py`, and a route that answers what its query does not load."""

from fastapi import FastAPI

import orm
from examples import fastapi_crud
from examples.fastapi_crud import Album, AlbumRead, models
from orm.contrib.fastapi import lifespan

models.database = orm.Database("sqlite://")
app = FastAPI(lifespan=lifespan(models.database, create_all=models))
app.include_router(fastapi_crud.app.router)


@app.get("/unloaded/{id}")
async def read_unloaded(id: int) -> AlbumRead:  # type: ignore[valid-type]
    """An album whose query does not load the tracks."""
    return await Album.objects.get(id=id)  # type: ignore[return-value]
