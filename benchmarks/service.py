"""The web service: FastAPI with one process on one subject. `python -m benchmarks.service SUBJECT TARGET PORT`."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from benchmarks.peers.base import POST, USER, Peer, Target, plain
from benchmarks.worker import make_peer


def application(peer: Peer) -> FastAPI:
    """One user; a page of 20 posts with their users; a change of a user's name."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await peer.connect()
        yield
        await peer.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/users/{key}")
    async def user(key: int) -> dict[str, Any]:
        return dict(zip(USER, plain(await peer.get(key), USER), strict=True))

    @app.get("/posts")
    async def posts() -> list[dict[str, Any]]:
        return [
            dict(zip(POST, plain(post, POST), strict=True)) | {"user": plain(peer.parent(post), ("id", "name"))}
            for post in await peer.page()
        ]

    @app.put("/users/{key}")
    async def rename(key: int, name: str) -> dict[str, int]:
        await peer.update_one(key, name)
        return {"id": key}

    return app


if __name__ == "__main__":
    target = Target(**json.loads(sys.argv[2]))
    uvicorn.run(application(make_peer(sys.argv[1], target)), port=int(sys.argv[3]), log_level="warning")
