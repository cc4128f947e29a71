"""How many files a reader has to follow: those of orm/ that one query, and one save, run code of when all is cached.

Generated code counts as one file more. A limit that is exceeded asks whether a layer does its work in too many places;
`ENTERED_FILES=1 pytest tests/test_entered_files.py -s` prints the files in the order in which they are entered.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import orm

pytestmark = pytest.mark.anyio
SOURCE = Path(orm.__file__).parent
models = orm.ModelRegistry()


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    album = orm.ForeignKey(Album, on_delete=orm.CASCADE, related_name="tracks")
    title = orm.String(max_length=100)
    position = orm.Integer(minimum=1)


@pytest.fixture
async def tracks(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    # What runs must not depend on how busy the machine is: a statement that waits for the processor stays a quick one.
    for limit in ("QUICK_SECONDS", "MAX_SECONDS", "MAX_SECONDS_IN_A_ROW"):
        monkeypatch.setattr(f"orm.database.sqlite.quick_statements.{limit}", 60.0)
    async with orm.Database(sqlite_url) as database:
        models.database = database
        await models.create_all()
        album = await Album.objects.create(name="Malibu")
        await Track.objects.bulk_create([Track(album=album, title=f"Track {i}", position=i) for i in range(1, 21)])
        yield


async def entered_files(work: Callable[[], Awaitable[Any]]) -> list[str]:
    """The files that one run enters, after runs that fill every cache and show SQLite's statements to be quick."""
    for _ in range(5):
        await work()
    gc.collect()  # the callbacks of weak references are not the work's
    gc.disable()
    files: dict[str, None] = {}

    def see(frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event != "call":
            return
        if name.startswith("<generated"):
            files["generated code"] = None
        elif SOURCE in Path(name).parents:
            files[str(Path(name).relative_to(SOURCE))] = None

    sys.setprofile(see)
    try:
        await work()
    finally:
        sys.setprofile(None)
        gc.enable()
    if os.environ.get("ENTERED_FILES"):
        print(*files, f"{len(files)} files", sep="\n")
    return list(files)


async def test_warm_query_enters_few_files(tracks: None) -> None:
    async def query() -> None:
        rows = await Track.objects.filter(album__name__icontains="mal").order_by("-position").limit(10)
        assert [track.position for track in rows] == list(range(20, 10, -1))

    files = await entered_files(query)
    assert len(files) <= 28, files


async def test_warm_save_enters_few_files(tracks: None) -> None:
    track = await Track.objects.get(position=1)

    async def save() -> None:
        track.title += "!"
        await track.save()

    files = await entered_files(save)
    assert len(files) <= 25, files
