"""Django's tests pass, but for those that `differences.py` declares: on SQLite all areas, on the servers some."""

from __future__ import annotations

import pytest

from tests import temporary_databases
from tests.django_suite.__main__ import database_of, run_in_process
from tests.django_suite.areas import AREAS, SERVER_AREAS
from tests.django_suite.declared import DATABASES, DIFFERENT
from tests.django_suite.differences import DECLARED
from tests.django_suite.outcomes import judge
from tests.docs.test_docs import ROOT


def check(area: str, database: str, url: str) -> None:
    result = judge(area, database, run_in_process(area, url))
    assert not result.faults, "\n".join(result.faults)


@pytest.mark.parametrize("area", AREAS)
def test_area_on_sqlite(area: str, sqlite_url: str) -> None:
    check(area, "sqlite", sqlite_url)


@pytest.mark.parametrize("area", SERVER_AREAS)
def test_area_on_postgresql(area: str, postgresql_url: str) -> None:
    check(area, "postgresql", postgresql_url)


@pytest.mark.parametrize("area", SERVER_AREAS)
def test_area_on_mysql_or_mariadb(area: str, mysql_url: str) -> None:
    check(area, database_of(temporary_databases.version(mysql_url)), mysql_url)


def test_server_areas_are_areas() -> None:
    assert set(SERVER_AREAS) < set(AREAS)
    assert len(set(AREAS)) == len(AREAS)


def test_every_difference_is_in_the_documentation() -> None:
    page = " ".join((ROOT / "docs" / "coming-from-django.md").read_text(encoding="utf-8").split())
    table = " ".join((ROOT / "docs" / "django-table.md").read_text(encoding="utf-8").split())
    for declared in DECLARED:
        if declared.kind == DIFFERENT:
            assert declared.documented, declared.reason
            assert declared.documented in page or declared.documented in table, declared.documented


def test_declarations_name_areas_and_databases() -> None:
    reasons = [declared.reason for declared in DECLARED]
    assert len(set(reasons)) == len(reasons)
    for declared in DECLARED:
        assert set(declared.databases) <= set(DATABASES)
        assert declared.tests or declared.features, declared.reason
        for pattern in declared.tests:
            assert pattern.partition(".")[0] in AREAS, pattern
