"""Runs Django's tests on each database, prints the tables, and writes `docs/django-suite.md` if all four were there.

    python -m tests.django_suite [AREA…]

SQLite always; the servers of `TEST_POSTGRESQL_URL`, `TEST_MYSQL_URL` and `TEST_MARIADB_URL`, in databases of their own.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests import temporary_databases
from tests.django_suite.archive import ROOT, fetch_tests
from tests.django_suite.areas import AREAS
from tests.django_suite.declared import DATABASES
from tests.django_suite.outcomes import Judged, judge
from tests.django_suite.report import PAGE, table, write_page

VARIABLES = ("TEST_POSTGRESQL_URL", "TEST_MYSQL_URL", "TEST_MARIADB_URL")
SECONDS = 600


def run_in_process(area: str, url: str) -> list[dict[str, Any]]:
    """The outcomes of an area on the database at `url`, from a process of its own.

    Raises:
        RuntimeError: the process failed or took too long; with the end of what it printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "outcomes.json"
        command = [sys.executable, "-W", "ignore", "-m", "tests.django_suite.run_area", area, "--url", url]
        # DJANGO_ALLOW_ASYNC_UNSAFE: the conformance tests set it, and Django's own test of it must not see it.
        left_out = ("PYTHONWARNINGS", "PYTHONDEVMODE", "DJANGO_ALLOW_ASYNC_UNSAFE")
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        try:
            done = subprocess.run(
                [*command, "--output", str(output)],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{area} took more than {SECONDS} seconds on this database.") from error
        if done.returncode:
            raise RuntimeError(f"{area} did not run to its end: {done.stdout.strip()[-3000:]}")
        outcomes: list[dict[str, Any]] = json.loads(output.read_text(encoding="utf-8"))["outcomes"]
        return outcomes


def database_of(version: str) -> str:
    """The name in `DATABASES` of a server that calls itself so."""
    return version.split()[0].lower()


def main() -> int:
    """Run the areas; returns the exit status."""
    areas = sys.argv[1:] or list(AREAS)
    fetch_tests()
    results: dict[str, dict[str, Judged]] = {}
    versions = {"sqlite": f"SQLite {sqlite3.sqlite_version}"}
    with tempfile.TemporaryDirectory() as folder:
        results["sqlite"] = _run_areas(
            "sqlite", areas, (f"sqlite:///{folder}/{number}.sqlite" for number in range(len(areas)))
        )
    for variable in VARIABLES:
        server = os.environ.get(variable)
        if server:
            version = temporary_databases.version(server)
            versions[database_of(version)] = version
            results[database_of(version)] = _on_server(server, database_of(version), areas)
    for database, judged in results.items():
        print(f"\n{versions[database]}\n\n{table(judged)}")
    faults = [fault for judged in results.values() for result in judged.values() for fault in result.faults]
    for fault in faults:
        print(f"\n{fault}")
    missing = [database for database in DATABASES if database not in results]
    if missing:
        print(f"\nNOT TESTED: {', '.join(missing)}. {PAGE.name} is left as it is.")
    elif areas == list(AREAS):
        write_page({database: results[database] for database in DATABASES}, versions)
    print(f"\n{len(faults)} failures that are not declared, or declarations that are out of date.")
    return 1 if faults else 0


def _run_areas(database: str, areas: list[str], urls: Iterator[str]) -> dict[str, Judged]:
    def run_area(area: str, url: str) -> Judged:
        return judge(area, database, run_in_process(area, url))

    with ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as executor:
        return dict(zip(areas, executor.map(run_area, areas, urls), strict=True))


def _on_server(server: str, database: str, areas: list[str]) -> dict[str, Judged]:
    prefix = f"django_suite_{os.getpid()}_"
    urls = [temporary_databases.with_database(server, f"{prefix}{number}") for number in range(len(areas))]
    with temporary_databases.connect(server) as admin:
        for number in range(len(areas)):
            admin.create(f"{prefix}{number}")
    try:
        return _run_areas(database, areas, iter(urls))
    finally:
        temporary_databases.drop(server, prefix)


if __name__ == "__main__":
    sys.exit(main())
