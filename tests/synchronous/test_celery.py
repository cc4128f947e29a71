"""Tasks of a Celery worker whose parent has used the database before it forks, or which are threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import orm
from tests.synchronous.models import Account, connected

ROOT = Path(__file__).parents[2]
TASKS = """
import os, sys, time
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
import orm
from tests.synchronous.models import Account, models, use

folder, url = os.environ["CELERY_FOLDER"], os.environ["DATABASE_URL"]
folders = dict.fromkeys(("data_folder_in", "data_folder_out"), folder + "/queue")
app = Celery(
    "shop", broker="filesystem://", broker_connection_retry_on_startup=True,
    broker_transport_options={**folders, "control_folder": folder + "/control"},
)
database = use(url)
with orm.sync(models):
    print(Account.objects.count())  # in the parent


@app.task(name="pay")
@orm.sync(models)
def pay(amount):
    with database.transaction():
        Account.objects.create(balance=amount)
        Account.objects.update(balance=Account.balance + 1)
        Account.objects.update(balance=Account.balance - 1)


@app.task(name="take_too_long", soft_time_limit=1)
@orm.sync(models)
def take_too_long(slow):
    try:
        orm.run(database.fetch_all(slow))
    except SoftTimeLimitExceeded:
        Account.objects.create(balance=1000)


if __name__ == "__main__":
    for amount in range(8):
        pay.delay(amount)
    if sys.argv[1] == "prefork":
        take_too_long.delay(sys.argv[2])
"""
SLOW = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def database(sqlite_url: str) -> Iterator[orm.Database]:
    yield from connected(sqlite_url)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_tasks_of_a_worker(pool: str, database: orm.Database, sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "shop_tasks.py").write_text(TASKS)
    for folder in ("queue", "control"):
        (tmp_path / folder).mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONWARNINGS", "PYTHONDEVMODE")}
    environment = {
        **kept,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
        "CELERY_FOLDER": str(tmp_path),
        "DATABASE_URL": sqlite_url,
    }
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "shop_tasks", "worker", "--pool", pool, "--concurrency", "2"]
        + ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        subprocess.run(
            [sys.executable, "shop_tasks.py", pool, SLOW], cwd=tmp_path, env=environment, check=True, timeout=180
        )
        expected = sum(range(8)) + (1000 if pool == "prefork" else 0)
        ends = time.monotonic() + 180
        while (found := orm.run(Account.objects.aggregate(total=orm.Sum("balance")))["total"]) != expected:
            assert worker.poll() is None and time.monotonic() < ends, f"{found} of {expected}"
            time.sleep(0.1)
    finally:
        worker.send_signal(signal.SIGTERM)
        printed, _ = worker.communicate(timeout=180)
    assert "ERROR" not in printed and "Traceback" not in printed, printed
