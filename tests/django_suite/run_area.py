"""Runs one area of Django's tests on one database, in this process.

python -m tests.django_suite.run_area queries                                   # on SQLite; prints the failures
python -m tests.django_suite.run_area queries --url mysql://root@127.0.0.1/test # in a database that may be emptied
python -m tests.django_suite.run_area queries -k Ticket --output outcomes.json
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import importlib
import json
import sys
import tempfile
import traceback
import unittest
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import django
import pymysql
from django.conf import settings
from sqlalchemy.util.concurrency import greenlet_spawn

import orm
from tests.django_suite.archive import fetch_tests
from tests.django_suite.shim.database import Run, django_settings, read_features
from tests.django_suite.shim.placeholders import DjangoInternal, MissingFeature

PLACEHOLDERS = (DjangoInternal, MissingFeature)
Status = Literal["passed", "failed", "skipped", "expected failure"]


@dataclass
class Outcome:
    """What became of one test method."""

    test: str
    status: Status
    error: str = ""
    """The class of the error."""
    message: str = ""
    where: str = ""
    """The line of the test, and that of `orm`."""


def main() -> None:
    """Parse the arguments, run the area, and print or write its outcomes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("area")
    parser.add_argument("--url", help="the database (default: a file of SQLite)")
    parser.add_argument("-k", default="", help="run only the tests that have this in their names")
    parser.add_argument("--output", type=Path, help="a file for the outcomes, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/suite.sqlite"
        outcomes, notes = run_area(options.area, url, options.k)
    if options.output:
        document = {"outcomes": [dataclasses.asdict(outcome) for outcome in outcomes], "notes": notes}
        options.output.write_text(json.dumps(document, indent=1), encoding="utf-8")
        return
    for outcome in outcomes:
        if outcome.status == "failed":
            print(f"{outcome.test}\n    {outcome.error}: {outcome.message[:600]}\n    {outcome.where}")
    for status in ("passed", "failed", "skipped", "expected failure"):
        print(f"{status}: {sum(outcome.status == status for outcome in outcomes)}")


def run_area(area: str, url: str, pattern: str = "") -> tuple[list[Outcome], list[str]]:
    """Run the tests of an area on a database, whose tables are dropped at the end; returns outcomes and remarks."""
    tests = fetch_tests()
    pymysql.version_info = (2, 2, 1, "final", 0)
    pymysql.install_as_MySQLdb()
    settings.configure(
        DATABASES={"default": django_settings(url)},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=[],
        SECRET_KEY="secret",
        TIME_ZONE="America/Chicago",
        USE_I18N=False,
        USE_TZ=False,
    )
    django.setup()
    read_features(importlib.import_module("django.db").connection)
    sys.path.insert(0, str(tests))
    # The shim is imported when Django is set up; nothing of Django's tests is, before it is in place.
    shim = importlib.import_module("tests.django_suite.shim.modules")
    shim.install()

    async def in_loop() -> tuple[list[Outcome], list[str]]:
        result: tuple[list[Outcome], list[str]] = await greenlet_spawn(_run, tests, area, url, pattern)
        return result

    return asyncio.run(in_loop())


def _run(tests: Path, area: str, url: str, pattern: str) -> tuple[list[Outcome], list[str]]:
    models, fields, testing, bridge, querysets = (
        importlib.import_module(f"tests.django_suite.shim.{name}")
        for name in ("models", "fields", "testing", "bridge", "querysets")
    )
    Run.database = database = orm.Database(url)
    database.add_hook(lambda event: Run.statements.append(querysets.django_sql(event.sql)))
    bridge.run(database.connect())
    if area == "postgres_tests" and Run.vendor == "postgresql":
        for extension in ("btree_gist", "hstore"):
            bridge.run(database.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}"))
    models.registry.database = database
    outcomes: list[Outcome] = []
    modules = list(_import_tests(tests, area, outcomes))
    _forget_unfinished(models.registry, fields.substitutions)
    bridge.run(models.registry.drop_all())
    bridge.run(models.registry.create_all())
    Run.tables = list(models.registry.metadata.tables.values())
    result = Outcomes(tests)
    loader = unittest.TestLoader()
    for module in modules:
        for cls in list(vars(module).values()):
            if isinstance(cls, type) and issubclass(cls, unittest.TestCase) and cls.__module__ == module.__name__:
                names = [name for name in loader.getTestCaseNames(cls) if pattern in f"{cls.__name__}.{name}"]
                result.run_class(cls, [name for name in names if not result.is_skipped(cls, name)])
    bridge.run(models.registry.drop_all())
    bridge.run(database.disconnect())
    notes = [*fields.substitutions, *(f"{test}: {text}" for test, text in testing.notes)]
    return outcomes + result.outcomes, notes


def _import_tests(tests: Path, area: str, outcomes: list[Outcome]) -> Iterator[ModuleType]:
    """The test modules of the area. One that cannot be imported is a failure of its own."""
    for path in sorted((tests / area).rglob("test*.py")):
        name = ".".join(path.relative_to(tests).with_suffix("").parts)
        try:
            yield importlib.import_module(name)
        except (ImportError, AttributeError, TypeError, ValueError, LookupError, orm.Error, *PLACEHOLDERS) as error:
            outcome = _failure(tests, name, error)
            outcome.error = "ImportError"  # never one of the placeholders', which would excuse a whole module
            outcomes.append(outcome)


def _forget_unfinished(registry: Any, substitutions: list[str]) -> None:
    """Remove the models that refer to models that could not be declared."""
    while True:
        try:
            assert registry.metadata is not None
        except orm.FieldError as error:
            name = str(error).partition(".")[0]
            substitutions.append(f"{name}: left out, {error}")
            registry._forget(registry.models[name])
        else:
            return


def _failure(tests: Path, test: str, error: BaseException) -> Outcome:
    frames = traceback.extract_tb(error.__traceback__)
    in_tests = [frame for frame in frames if frame.filename.startswith(str(tests))]
    in_orm = [frame for frame in frames if f"{Path(orm.__file__).parent}/" in frame.filename]
    lines = [f"{Path(each[-1].filename).name}:{each[-1].lineno} {each[-1].line}" for each in (in_tests, in_orm) if each]
    return Outcome(test, "failed", type(error).__name__, str(error), " | ".join(lines))


class Outcomes(unittest.TestResult):
    """Collects an `Outcome` per test method; the first failure of a method, or of a part of it, is kept."""

    def __init__(self, tests: Path) -> None:
        super().__init__()
        self.tests = tests
        self.by_test: dict[str, Outcome] = {}
        self.running: list[str] = []

    @property
    def outcomes(self) -> list[Outcome]:
        """In the order in which the tests ran."""
        return list(self.by_test.values())

    def run_class(self, cls: Any, names: list[str]) -> None:
        """Run these methods of a class."""
        self.running = [f"{cls.__module__}.{cls.__qualname__}.{name}" for name in names]
        suite = unittest.TestSuite([cls(name) for name in names])
        suite.run(self)

    def is_skipped(self, cls: Any, method: str) -> bool:
        """Whether Django itself does not run the test on this database; it is noted, then."""
        name = f"{cls.__module__}.{cls.__qualname__}.{method}"
        reasons = [reason for reason, tests in Run.features["django_test_skips"].items() if name in tests]
        if not reasons and name not in Run.features["django_test_expected_failures"]:
            return False
        self.by_test[name] = Outcome(name, "skipped", message=reasons[0] if reasons else "fails in Django, too")
        return True

    def _note(self, test: Any, status: Status, error: BaseException | None = None, message: str = "") -> None:
        # A failure in setUpClass has no test of its own: it is that of every method.
        names = [test.id()] if isinstance(test, unittest.TestCase) else self.running
        for name in names:
            if name not in self.by_test or self.by_test[name].status == "passed":
                outcome = Outcome(name, status, message=message) if error is None else _failure(self.tests, name, error)
                outcome.status = status
                self.by_test[name] = outcome

    def addSuccess(self, test: Any) -> None:
        self._note(test, "passed")

    def addError(self, test: Any, err: Any) -> None:
        self._note(test, "failed", err[1])

    addFailure = addError

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._note(test, "failed", err[1])

    def addSkip(self, test: Any, reason: str) -> None:
        self._note(test, "skipped", message=reason)

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self._note(test, "expected failure", err[1])

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._note(test, "passed")


if __name__ == "__main__":
    main()
