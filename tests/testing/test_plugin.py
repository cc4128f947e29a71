"""`orm.testing.plugin`, in runs of pytest as its users have them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import orm

ROOT = Path(__file__).parents[2]
SERVICE = Path(__file__).parent / "service"
SETTINGS = """\
[pytest]
orm_registry = tests.testing.service.app:models
filterwarnings =
    error
    # from Starlette 1.0 on, its client wants another package, which older versions do not know
    ignore:Using `httpx`
"""
PLUGINS = {"anyio": ["-p", "no:asyncio"], "asyncio": ["-p", "no:anyio"]}


def run(
    folder: Path, url: str, *arguments: str, marker: str = "anyio", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest on a copy of the service's tests."""
    of_asyncio = "asyncio_default_fixture_loop_scope = function\n" if marker == "asyncio" else ""
    (folder / "pytest.ini").write_text(SETTINGS + of_asyncio)
    for name in ("checks", "snapshots"):
        (folder / f"test_{name}.py").write_text((SERVICE / f"{name}.py").read_text())
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "orm.testing.plugin", *PLUGINS[marker], *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "SERVICE_DATABASE_URL": url,
            "SERVICE_MARKER": marker,
            **environment,
        },
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("marker", list(PLUGINS))
def test_tests_leave_nothing_behind(database_url: str, tmp_path: Path, marker: str) -> None:
    result = run(tmp_path, database_url, "test_checks.py", marker=marker)
    assert " 13 passed" in f" {result.stdout.splitlines()[-1]}", result.stdout + result.stderr


@pytest.mark.anyio
async def test_workers_have_databases_of_their_own(postgresql_url: str, tmp_path: Path) -> None:
    result = run(tmp_path, postgresql_url, "test_checks.py", "-n2")
    assert " 13 passed" in f" {result.stdout.splitlines()[-1]}", result.stdout + result.stderr
    async with orm.Database(postgresql_url) as own:
        models = orm.ModelRegistry(database=own)

        class Note(orm.Model):
            registry = models
            id = orm.Integer(primary_key=True)

        with pytest.raises(orm.DatabaseError):  # the application's database has no table
            await Note.objects.count()


def test_snapshots_of_sql(sqlite_url: str, tmp_path: Path) -> None:
    missing = run(tmp_path, sqlite_url, "test_snapshots.py")
    assert "run pytest with --sql-update once" in missing.stdout
    assert run(tmp_path, sqlite_url, "test_snapshots.py", "--sql-update").returncode == 0
    [file] = tmp_path.glob("__sql__/*/*.sql")
    assert file.relative_to(tmp_path) == Path("__sql__/test_snapshots/test_search.sql")
    assert file.read_text() == "SELECT note.id, note.text, note.author FROM note WHERE note.text = ?\n"
    assert run(tmp_path, sqlite_url, "test_snapshots.py").returncode == 0
    changed = run(tmp_path, sqlite_url, "test_snapshots.py", SERVICE_LOOKUP="text__contains")
    assert changed.returncode == 1
    assert "the SQL differs" in changed.stdout
