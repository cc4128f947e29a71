"""A process is killed in the midst of its writes, again and again: what was acknowledged is there, nothing by half."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.damage import check_undamaged
from tests.faults.writer_process import check_rows, row_model

pytestmark = pytest.mark.anyio
KILLS = 200 if os.environ.get("FAULTS") == "full" else 5
ROOT = Path(__file__).parents[2]


def killed_writers(url: str, options: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The acknowledged writes of processes that are killed at random moments: their kinds and names."""
    choose = random.Random(5)
    for number in range(KILLS):
        command = [sys.executable, "-m", "tests.faults.writer_process", url, str(number), json.dumps(options)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(choose.uniform(0.01, 0.3))
            process.kill()
            # The last line may be cut; without its end it is no acknowledgment.
            lines = [line for line in process.stdout if line.endswith("\n")]
        for line in lines:
            kind, _, name = line.rstrip("\n").partition("\t")
            assert kind != "error", name
            if kind != "pause":
                yield kind, name


@pytest.mark.parametrize("synchronous", ["normal", "full", None])
async def test_killed_process_loses_nothing_that_was_acknowledged(
    request: pytest.FixtureRequest, tmp_path: Path, synchronous: str | None
) -> None:
    if synchronous is not None:
        await check(f"sqlite:///{tmp_path}/rows.db", {"synchronous": synchronous})
        return
    for fixture in ("postgresql_url", "mysql_url"):
        await check(request.getfixturevalue(fixture), {})


async def check(url: str, options: dict[str, str]) -> None:
    row = row_model(url, **options)
    database = row.registry.database
    await row.registry.create_all()
    await database.disconnect()

    acknowledged = list(killed_writers(url, options))

    names = set(await row.objects.values_list("name", flat=True))
    print(f"{url.partition(':')[0]} {options}: {KILLS} kills, {len(acknowledged)} acknowledged, {len(names)} rows")
    check_rows(names, acknowledged)
    print(await check_undamaged(database, row.table.name))
    await row.registry.drop_all()
    await database.disconnect()
