"""Both ORMs on each database, filled once per run, and the table of areas at its end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import temporary_databases
from tests.conformance.django_side import Reference
from tests.conformance.orm_side import Subject
from tests.conftest import RUN, WANTED

Pair = tuple[Reference, Subject]


class Worlds:
    """Django and `orm` on the same database: a pair for each database, created when first used."""

    def __init__(self, config: pytest.Config, directory: Path) -> None:
        self._run = config.stash[RUN]
        self._directory = directory
        self._made: dict[str, Pair] = {}

    def get(self, kind: str) -> Pair:
        """Django and `orm` on this database, with the same rows in both."""
        if kind not in self._made:
            url = self._url(kind)
            pair = Reference(kind, url), Subject(url)
            for side in pair:
                side.fill()
            self._made[kind] = pair
        return self._made[kind]

    def _url(self, kind: str) -> str:
        if kind not in WANTED:
            pytest.skip(f"{kind} not tested: left out by TEST_DATABASES")
        if kind == "sqlite":
            return f"sqlite:///{self._directory}/conformance.db"
        # A database beside the one that other tests empty; the run drops it with its own.
        empty = self._run.empty_database(kind)
        name = f"{self._run.run_id}_{self._run.worker}_conformance"
        with temporary_databases.connect(empty) as admin:
            admin.create(name)
            if kind == "mysql":
                # Django's texts are then compared as ours are: by their characters.
                admin.fetch(f"ALTER DATABASE {name} COLLATE utf8mb4_bin")
        return temporary_databases.with_database(empty, name)

    def close(self) -> None:
        """Disconnect from all databases."""
        while self._made:
            for side in self._made.popitem()[1]:
                side.close()


@pytest.fixture(scope="session")
def worlds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """The pairs of ORMs of the run."""
    worlds = Worlds(request.config, tmp_path_factory.mktemp("conformance"))
    yield worlds
    worlds.close()


# The table

_counted: dict[str, Counter[str]] = defaultdict(Counter)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the outcomes of the cases, including those of xdist's workers."""
    properties = dict(report.user_properties)
    area = properties.get("area")
    if area is None or report.when != "call" or report.skipped:
        return
    counts = _counted[str(area)]
    counts["asked"] += int(str(properties.get("asked", 1)))
    counts[str(properties.get("outcome")) if report.passed else "failed"] += int(str(properties.get("asked", 1)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table: area, cases, equal, different on purpose."""
    if not _counted:
        return
    terminalreporter.section("conformance with Django, on all databases")
    row = "{:<32} {:>8} {:>8} {:>22} {:>8}".format
    terminalreporter.write_line(row("area", "cases", "equal", "different on purpose", "failed"))
    total: Counter[str] = Counter()
    for area, counts in [*sorted(_counted.items()), ("total", total)]:
        columns = (counts["asked"], counts["equal"], counts["different"], counts["failed"])
        terminalreporter.write_line(row(area, *columns))
        total.update(counts)
