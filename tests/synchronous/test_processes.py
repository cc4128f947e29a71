"""Programs of their own: forks, Ctrl-C, process pools, the end of a process. Every warning is an error in them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import orm
from tests.synchronous.models import Account, connected
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
START = """
import os, signal, sys, threading, time
import orm
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
from tests.synchronous.models import Account, models, use
"""


@pytest.fixture
def database(database_url: str) -> Iterator[orm.Database]:
    yield from connected(database_url)


def program(code: str, url: str) -> subprocess.Popen[str]:
    """Start a program; `url` is that of its database."""
    return subprocess.Popen(
        # Python 3.12 warns of a fork beside threads, which each driver for SQLite has.
        [sys.executable, "-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c"]
        + [START + textwrap.dedent(code), url],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(code: str, url: str) -> str:
    """What a program prints, which must not fail nor print an error."""
    process = program(code, url)
    printed, errors = process.communicate(timeout=180)
    assert process.returncode == 0 and not errors, errors
    return printed


def test_the_end_of_a_program_closes_its_connections(database: orm.Database, database_url: str) -> None:
    code = """
    use(sys.argv[1])
    with orm.sync(models):
        print(Account.objects.create(balance=3).balance)
    """
    assert output(code, database_url) == "3\n"
    assert orm.run(Account.objects.count()) == 1


def test_a_child_of_a_fork_has_connections_and_a_loop_of_its_own(database: orm.Database, database_url: str) -> None:
    code = """
    database = use(sys.argv[1])
    with orm.sync(models):
        Account.objects.create(balance=1)
        for number in range(2):
            child = os.fork()
            if not child:
                with database.transaction():
                    Account.objects.create(balance=10)
                threads = [threading.Thread(target=Account.objects.create, kwargs={"balance": 100}) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                sys.exit(Account.objects.filter(balance=1).count() != 1)
            assert os.waitpid(child, 0)[1] == 0
            Account.objects.create(balance=1000)
        print(Account.objects.aggregate(total=orm.Sum("balance"))["total"])
    """
    assert output(code, database_url) == f"{1 + 2 * (10 + 400 + 1000)}\n"


def test_a_child_leaves_the_transaction_of_its_parent_alone(database: orm.Database, database_url: str) -> None:
    code = """
    database = use(sys.argv[1])
    with orm.sync(models):
        with database.transaction():
            Account.objects.create(balance=1)
            child = os.fork()
            if child:
                assert os.waitpid(child, 0)[1] == 0
                Account.objects.create(balance=2)
        if not child:
            os._exit(0)
        print(Account.objects.count())
    """
    assert output(code, database_url) == "2\n"


def test_process_pools(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(
        "import orm, sys\nfrom tests.synchronous.models import Account, models, use\n\n"
        f"use({sqlite_url!r})\n\n\n"
        "@orm.sync(models)\n"
        "def work(number):\n"
        "    return Account.objects.create(balance=number).balance\n"
    )
    code = f"""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    sys.path.insert(0, {str(tmp_path)!r})
    from jobs import work
    orm.run(models.create_all())
    for method in ("fork", "spawn"):
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
            print(sum(pool.map(work, range(6))))
    """
    assert output(code, sqlite_url) == "15\n15\n"


SLOW = {
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(200)",
    "mysql": "SELECT SLEEP(200)",
}
INTERRUPTED = """
    database = use(sys.argv[1])
    with orm.sync(models):
        Account.objects.create(balance=1)
        try:
            with database.transaction():
                Account.objects.create(balance=2)
                print("begins", flush=True)
                orm.run(database.fetch_all({slow!r}))
        except KeyboardInterrupt:
            print("interrupted")
        with database.transaction():
            Account.objects.create(balance=4)
        print(Account.objects.aggregate(total=orm.Sum("balance"))["total"])
"""


@pytest.mark.parametrize("others", [False, True], ids=["alone", "beside another thread"])
def test_ctrl_c_ends_the_statement(database: orm.Database, database_url: str, others: bool) -> None:
    slow = SLOW[database_url.partition(":")[0]]
    code = textwrap.dedent(INTERRUPTED).format(slow=slow)
    if others:  # then the loop's own thread runs the statement
        code = (
            "import asyncio\nthreading.Thread(target=orm.run, args=[asyncio.sleep(3)]).start()\ntime.sleep(0.1)\n"
            + code
        )
    process = program(code, database_url)
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    time.sleep(0.5)  # until the statement runs
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=100)  # less than the statement takes
    assert (printed, errors, process.returncode) == ("interrupted\n5\n", "", 0)
    if not database_url.startswith("sqlite"):
        wait_until(lambda: not still_running(database, database_url))  # less than the statement takes


def still_running(database: orm.Database, url: str) -> int:
    """How many of the slow statements the server runs."""
    if url.startswith("postgresql"):
        running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(200)' AND state = 'active'"
    else:
        running = "SELECT count(*) FROM information_schema.processlist WHERE info = 'SELECT SLEEP(200)'"
    count: int = orm.run(database.fetch_val(running))
    return count


def test_what_a_signal_handler_raises_ends_the_statement(sqlite_url: str) -> None:
    """As the soft time limit of a Celery task does."""
    code = f"""
    import signal
    class TooLong(Exception):
        pass
    def ring(number, frame):
        raise TooLong
    database = use(sys.argv[1])
    signal.signal(signal.SIGALRM, ring)
    orm.run(models.create_all())
    with orm.sync(models):
        Account.objects.create(balance=1)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            orm.run(database.fetch_all({SLOW["sqlite"]!r}))
        except TooLong:
            print(Account.objects.count())
    """
    assert output(code, sqlite_url) == "1\n"
