"""The fixtures of all tests: an empty database on each server, connected or as a URL.

| fixture                       | gives                                                                               |
| ----------------------------- | ----------------------------------------------------------------------------------- |
| `database_url`                | the URL of an empty database; the test runs once on each of `KINDS`                 |
| `database`                    | a connected `orm.Database` there                                                    |
| `any_database`                | the same, and once more as a plain `databases.Database`                             |
| `sqlite_url`, `postgresql_url`, `mysql_url` | the URL of an empty database of that one kind                         |

`pytest -k sqlite` runs the part for one kind, `-k plain` the plain databases. `TEST_DATABASES=sqlite,mysql` leaves the
others out. What was not tested is named at the end of the run. Where `CI` is set, a missing database is a failure,
unless `TEST_PART` says that the run is a part of the suite on one more server; servers of single tests may be missing.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import databases
import pytest
from hypothesis import HealthCheck, settings

from orm.database.connections.database import Database
from orm.lookups import base as lookups
from orm.lookups import transforms
from tests import temporary_databases
from tests.private_servers import ProgramsMissing, ServerUnavailable
from tests.servers import Servers

KINDS = ("sqlite", "postgresql", "mysql")
DatabaseType = TypeVar("DatabaseType", bound=databases.Database)
# Debug mode records the stack of each task and callback; ten frames of it took a tenth of the suite's time.
asyncio.constants.DEBUG_STACK_DEPTH = 1
WANTED = tuple(filter(None, os.environ.get("TEST_DATABASES", "").split(","))) or KINDS

# The time of a query depends on the server; the examples of one property share the database of its test.
# The same examples in every run; HYPOTHESIS_RANDOM=1 searches for new ones.
settings.register_profile(
    "orm",
    deadline=None,
    derandomize=not os.environ.get("HYPOTHESIS_RANDOM"),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("orm")


# The run: the main process finds the servers once, and passes their URLs to the workers of xdist.


class Run:
    """One process's part of the test run.

    Attributes:
        worker: "main", or the xdist worker's name.
    """

    def __init__(self, config: pytest.Config) -> None:
        worker_input = getattr(config, "workerinput", {}).get("databases")
        self.worker: str = worker_input["worker"] if worker_input else "main"
        self.run_id: str = worker_input["run_id"] if worker_input else ""
        self._urls: dict[str, str] = worker_input["urls"] if worker_input else {}
        self._missing: dict[str, str] = worker_input["missing"] if worker_input else {}
        self._admins: dict[str, temporary_databases.Admin] = {}
        self.servers: Servers | None = None
        if worker_input is None:

            def say(text: str) -> None:
                reporter = config.pluginmanager.get_plugin("terminalreporter")
                if reporter is not None:
                    reporter.ensure_newline()
                    reporter.write_line(text)

            self.servers = Servers(say)
            self.run_id = self.servers.run_id

    def look(self, kind: str) -> None:
        """Find or start the server of this kind, if this process is the one to do it."""
        if self.servers is None or kind in self._urls or kind in self._missing:
            return
        if kind not in WANTED:
            self._missing[kind] = "left out by TEST_DATABASES"
            return
        try:
            self._urls[kind] = self.servers.get(kind).url
        except ServerUnavailable as error:
            self._missing[kind] = str(error)

    def for_worker(self, name: str) -> dict[str, object]:
        """The data for an xdist worker."""
        for kind in KINDS[1:]:
            self.look(kind)
        return {"worker": name, "run_id": self.run_id, "urls": self._urls, "missing": self._missing}

    def empty_database(self, kind: str) -> str:
        """The URL of this process's empty database on the server. Skips the test if the server is not available."""
        self.look(kind)
        if kind in self._missing:
            pytest.skip(f"{kind} not tested: {self._missing[kind]}")
        name = f"{self.run_id}_{self.worker}"
        url = temporary_databases.with_database(self._urls[kind], name)
        if kind in self._admins:
            self._admins[kind].empty()
        else:
            with temporary_databases.connect(self._urls[kind]) as admin:
                admin.create(name)
            self._admins[kind] = temporary_databases.connect(url)
        return url

    def not_tested(self) -> dict[str, str]:
        """The databases that this run could not test, with the reasons."""
        left_out = {kind: "left out by TEST_DATABASES" for kind in KINDS if kind not in WANTED}
        return {**left_out, **self._missing}

    def failing(self) -> dict[str, str]:
        """Those of `not_tested` that make the run fail: all where `CI` is set, of a `TEST_PART` those it names."""
        if not os.environ.get("CI"):
            return {}
        missing = self.not_tested()
        return {kind: missing[kind] for kind in missing if kind in WANTED or not os.environ.get("TEST_PART")}

    def close(self) -> None:
        """Close this process's connections; the one that found the servers drops the databases and stops its own."""
        while self._admins:
            self._admins.popitem()[1].close()
        if self.servers is not None:
            self.servers.close()


RUN = pytest.StashKey[Run]()
NOT_TESTED = "not tested"
_tested: Counter[str] = Counter()
_programs_missing: defaultdict[str, list[str]] = defaultdict(list)
"""The tests whose servers could not be started, by the reason."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--conformance-examples", type=int, default=2_500, help="how many random querysets (2500)")
    group.addoption("--conformance-seed", type=int, default=1, help="which random querysets (1)")


def pytest_configure(config: pytest.Config) -> None:
    if unknown := set(WANTED) - set(KINDS):
        raise pytest.UsageError(f"TEST_DATABASES: {', '.join(sorted(unknown))} is none of {', '.join(KINDS)}")
    config.stash[RUN] = run = Run(config)
    config.add_cleanup(run.close)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """xdist: pass the servers to a worker before it starts."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    node.workerinput["databases"] = config.stash[RUN].for_worker(node.gateway.id)  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test for whose server there are no programs, and have the end of the run name it."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(ProgramsMissing):
        file, line, _ = item.location
        report.outcome, report.longrepr = "skipped", (file, line or 0, f"Skipped: {call.excinfo.value}")
        report.user_properties.append((NOT_TESTED, str(call.excinfo.value)))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, value in report.user_properties:
        if name == "database" and report.when == "call":
            _tested[str(value)] += 1
        elif name == NOT_TESTED:
            _programs_missing[str(value)].append(report.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    run = session.config.stash[RUN]
    if run.worker == "main" and run.failing():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    yield  # after everything else, so that it is among the last lines
    run = config.stash[RUN]
    names = {"sqlite": f"SQLite {sqlite3.sqlite_version}"}
    if run.servers is not None:
        names |= {kind: server.version for kind, server in run.servers.available.items()}
    for kind in KINDS:
        if _tested[kind]:
            terminalreporter.write_line(f"{names.get(kind, kind)}: {_tested[kind]} tests run")
    for kind, reason in run.not_tested().items():
        failure = " (CI is set: a failure)" if kind in run.failing() else ""
        terminalreporter.write_line(f"NOT TESTED{failure}: {kind}: {reason}", red=True, bold=True)
    for reason, tests in _programs_missing.items():
        terminalreporter.write_line(
            f"NOT TESTED: {len(tests)} tests, such as {tests[0]}: {reason}", red=True, bold=True
        )


# Fixtures


@pytest.fixture(autouse=True)
def registrations_restored() -> Iterator[None]:
    """Removes the lookups and transforms that a test, or a page of the documentation, registers."""
    by_name = {name: list(same_name) for name, same_name in lookups.lookups.items()}
    by_family = dict(transforms.transforms)
    count = transforms.registrations.count
    yield
    if transforms.registrations.count != count:
        lookups.lookups.clear()
        lookups.lookups.update(by_name)
        transforms.transforms.clear()
        transforms.transforms.update(by_family)
        transforms.registrations.count += 1  # the caches of resolved names are cleared


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Only asyncio, because `databases` requires it.

    Its debug mode, which records the stack of each task and future, takes a third of the suite's time: the tests of
    `tests/database` have it, where threads meet event loops.
    """
    return ("asyncio", {"debug": False})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give synchronous tests marked `anyio` the backend that their asynchronous autouse fixtures run on.

    pytest 9 refuses such tests else; suites written for `orm` 0.x are full of them.
    """
    for item in items:
        names: list[str] | None = getattr(item, "fixturenames", None)
        if names is not None and item.get_closest_marker("anyio") and "anyio_backend" not in names:
            names.insert(0, "anyio_backend")


def _url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    request.node.user_properties.append(("database", kind))
    if kind == "sqlite":
        if kind not in WANTED:
            pytest.skip("sqlite not tested: left out by TEST_DATABASES")
        return f"sqlite:///{tmp_path}/test.db"
    return request.config.stash[RUN].empty_database(kind)


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on each server in turn."""
    return _url(request.param, request, tmp_path)


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty SQLite file."""
    return _url("sqlite", request, tmp_path)


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty PostgreSQL database."""
    return _url("postgresql", request, tmp_path)


@pytest.fixture
def mysql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty MySQL or MariaDB database."""
    return _url("mysql", request, tmp_path)


@asynccontextmanager
async def _connected(database: DatabaseType) -> AsyncIterator[DatabaseType]:
    """Connect the database for one test; afterwards no task of it may be left."""
    before = asyncio.all_tasks()
    async with database:
        yield database
    new = asyncio.all_tasks() - before
    left = [
        task for task in new if not getattr(task.get_coro(), "__qualname__", "").startswith("TestRunner.")
    ]  # anyio's
    assert not left, f"tasks left running: {left}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A connected, empty `orm.Database`, on each server."""
    async with _connected(Database(database_url)) as connected:
        yield connected


@pytest.fixture(params=["orm", "plain"])
async def any_database(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[databases.Database]:
    """Like `database`, and also as a plain `databases.Database`: the ORM must work on both."""
    kind = Database if request.param == "orm" else databases.Database
    async with _connected(kind(database_url)) as connected:
        yield connected
