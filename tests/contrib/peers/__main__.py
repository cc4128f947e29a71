"""Send the same requests to one of the services, and print what it answers: `python -m tests.contrib.peers orm`.

It needs nothing but FastAPI and the service's own library, so that it runs in the environment of a peer.
"""

import asyncio
import importlib
import json
import logging
import sys
from importlib.metadata import version
from typing import Any

ALBUM = {"name": "Wild", "price": "9.50", "released": "1966-09-01"}
TRACK = {"title": "Intro", "position": 1}

#: The name of each request, its method, path and body. `album` is called as the service calls its foreign key.
REQUESTS: list[tuple[str, str, str, Any]] = [
    ("an album", "POST", "/album", ALBUM),
    ("a track", "POST", "/track", {**TRACK, "album": 1}),
    ("an album with its tracks", "GET", "/album/1", None),
    ("a track with its album", "GET", "/track/1", None),
    ("tracks that were not loaded", "GET", "/unloaded/1", None),
    ("a name of 101 characters", "POST", "/album", {**ALBUM, "name": "x" * 101}),
    ("no name", "POST", "/album", {"price": 1}),
    ("an empty name", "POST", "/album", {**ALBUM, "name": ""}),
    ("a negative price", "POST", "/album", {**ALBUM, "name": "A", "price": -1}),
    ("a price with three decimals", "POST", "/album", {**ALBUM, "name": "B", "price": "1.125"}),
    ("a date that is none", "POST", "/album", {**ALBUM, "name": "C", "released": "soon"}),
    ("a name that exists", "POST", "/album", ALBUM),
    ("half of a surrogate pair", "POST", "/album", {**ALBUM, "name": "\ud800"}),
    ("a position that is taken", "POST", "/track", {**TRACK, "album": 1}),
    ("position 0", "POST", "/track", {**TRACK, "position": 0, "album": 1}),
    ("a position of 65 bits", "POST", "/track", {**TRACK, "position": 2**64, "album": 1}),
    ("a track of no album", "POST", "/track", {**TRACK, "album": 99}),
    ("null for a name, in PATCH", "PATCH", "/album/1", {"name": None}),
    ("a negative price, in PATCH", "PATCH", "/album/1", {"price": -1}),
    ("a row that is not there", "GET", "/album/99", None),
    ("a key of 65 bits", "GET", f"/album/{2**64}", None),
    ("deletion of an album with tracks", "DELETE", "/album/1", None),
    ("a track of the deleted album", "GET", "/track/1", None),
]


async def answer_of(app: Any, method: str, path: str, body: Any) -> tuple[int, Any]:
    """The status and the JSON of an answer. An error that leaves the application is a 500."""
    sent: list[dict[str, Any]] = []
    content = b"" if body is None else json.dumps(body).encode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"host", b"peer")],
        "server": ("peer", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001 # whatever the service lets out
        return 500, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    answered = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(answered) if answered else None


async def answers_of(app: Any, foreign_key: str) -> dict[str, Any]:
    """The status and the JSON of each request."""
    answers = {}
    async with app.router.lifespan_context(app):
        for name, method, path, body in REQUESTS:
            document = body and {foreign_key if key == "album" else key: value for key, value in body.items()}
            answers[name] = await answer_of(app, method, path, document)
    return answers


def main(peer: str) -> None:
    """Print the versions, and the answers by the name of the request."""
    logging.disable(logging.CRITICAL)
    service = importlib.import_module(f"tests.contrib.peers.{peer}_crud")
    answers = asyncio.run(answers_of(service.app, "album" if peer == "ormar" else "album_id"))
    packages = ["fastapi", "pydantic", "sqlalchemy", *([peer] if peer != "orm" else [])]
    print(json.dumps({"versions": {name: version(name) for name in packages}, "answers": answers}))


if __name__ == "__main__":
    main(sys.argv[1])
