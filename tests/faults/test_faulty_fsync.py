"""SQLite on a disk whose fsync is slow, or fails: nothing acknowledged is lost, and the event loop goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import orm
from tests.faults.damage import check_undamaged
from tests.faults.writer_process import TASKS, check_rows, row_model
from tests.private_servers import ProgramsMissing

pytestmark = pytest.mark.anyio
SOURCE = Path(__file__).with_name("faulty_fsync.c")
ROOT = Path(__file__).parents[2]
SECONDS = 20.0 if os.environ.get("FAULTS") == "full" else 2.0
GIVE_UP_SECONDS = 60.0
TRIES = 3
OPTIONS = {"synchronous": "full"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library that replaces fsync()."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        raise ProgramsMissing("a C compiler, for an fsync() that fails, is not installed, or this is not Linux")
    path = tmp_path_factory.mktemp("fsync") / "faulty_fsync.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path, SOURCE, "-ldl"], check=True)
    return path


def lines_of_writer(url: str, library: Path, *, first: str, **settings: str) -> list[tuple[str, str]]:
    """What a process that writes on such a disk says, until some time after its first line of a kind.

    Each line is its kind, and what follows it.
    """
    command = [sys.executable, "-m", "tests.faults.writer_process", url, "0", json.dumps(OPTIONS)]
    environment = {**os.environ, "LD_PRELOAD": str(library), **settings}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        end = threading.Timer(GIVE_UP_SECONDS, process.kill)
        end.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith(f"{first}\t"):
                break
        end.cancel()
        time.sleep(SECONDS)
        process.kill()
        lines += [line for line in process.stdout if line.endswith("\n")]
    return [(kind, text) for kind, _, text in (line.rstrip("\n").partition("\t") for line in lines)]


async def check(url: str, acknowledged: list[tuple[str, str]]) -> None:
    row = row_model(url)
    check_rows(set(await row.objects.values_list("name", flat=True)), acknowledged)
    await check_undamaged(row.registry.database, row.table.name)
    await row.registry.database.disconnect()


async def new_table(url: str) -> None:
    row = row_model(url, **OPTIONS)
    await row.registry.create_all()
    await row.registry.database.disconnect()


async def test_slow_fsync_does_not_hold_the_event_loop(tmp_path: Path, library: Path) -> None:
    for number in range(TRIES):  # on a busy machine the event loop waits for the processor as well
        url = f"sqlite:///{tmp_path}/rows_{number}.db"
        await new_table(url)
        lines = lines_of_writer(url, library, first="single", FSYNC_MILLISECONDS="100")
        acknowledged = [(kind, name) for kind, name in lines if kind not in ("error", "pause")]
        pauses = [float(seconds) for kind, seconds in lines if kind == "pause"]
        print(
            f"fsync of 100 ms: {len(acknowledged)} acknowledged, the event loop paused for "
            f"{max(pauses, default=0):.3f} s"
        )
        assert not [text for kind, text in lines if kind == "error"]
        await check(url, acknowledged)
        if sum(pause > 0.09 for pause in pauses) <= len(acknowledged) // 10:
            return
    raise AssertionError("the event loop waits for the disk")


async def test_failing_fsync_refuses_commits_and_loses_nothing(tmp_path: Path, library: Path) -> None:
    url = f"sqlite:///{tmp_path}/rows.db"
    await new_table(url)
    lines = lines_of_writer(url, library, first="error", FSYNC_FAILS_FROM="40")
    errors = [number for number, (kind, _) in enumerate(lines) if kind == "error"]
    acknowledged = [(kind, name) for kind, name in lines if kind not in ("error", "pause")]
    classes = {name for kind, name in lines if kind == "error"}
    print(f"fsync fails: {len(acknowledged)} acknowledged, then {len(errors)} errors: {sorted(classes)}")
    assert all(issubclass(getattr(orm, name), orm.DatabaseError) for name in classes)
    assert errors
    later = [kind for kind, _ in lines[errors[0] :] if kind not in ("error", "pause")]
    assert len(later) <= TASKS  # those that were committed before, and told after the error
    await check(url, acknowledged)
