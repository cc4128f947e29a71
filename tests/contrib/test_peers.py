"""The same requests to our CRUD application and to its likes with SQLModel and Ormar, as docs/fastapi.md tells it."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PEERS = ("orm", "sqlmodel", "ormar")
#: Ormar wants an older Pydantic than ours, so it has an environment of its own.
ORMAR = ("ormar==0.26.0", "aiosqlite>=0.19", "fastapi>=0.115.6")
ENVIRONMENT = ROOT / "build" / "peers" / ORMAR[0]


def answers_of(peer: str, python: Path | str = sys.executable) -> dict[str, Any]:
    """The versions of a peer's packages, and its answers by the name of the request."""
    done = subprocess.run(
        [python, "-m", "tests.contrib.peers", peer],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def python_with_ormar() -> Path:
    """The Python of Ormar's environment, which is made the first time. Skips the test if it cannot be installed."""
    python = ENVIRONMENT / "bin" / "python"
    installed = ENVIRONMENT / "installed"
    if not installed.exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *ORMAR]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(pip, env=environment, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"pip installs no {ORMAR[0]}: {done.stderr.strip().splitlines()[-1]}")
        installed.touch()
    return python


def documented(peer: str) -> dict[str, int]:
    """The statuses of a peer in the table of `docs/fastapi.md`, by the name of the request."""
    section = (ROOT / "docs/fastapi.md").read_text().partition("## Beside SQLModel and Ormar")[2]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {row[0]: int(row[1 + PEERS.index(peer)][:3]) for row in rows if row[1][:3].isdecimal()}


def check(peer: str, described: dict[str, Any]) -> dict[str, Any]:
    """Compare the answers with the table, and return their JSON."""
    statuses = {name: answer[0] for name, answer in described["answers"].items()}
    table = documented(peer)
    assert len(table) > 15
    assert {name: statuses[name] for name in table} == table
    return {name: answer[1] for name, answer in described["answers"].items()}


def test_lines_of_the_three_are_those_of_the_page() -> None:
    files = ["examples/fastapi_crud.py", "tests/contrib/peers/sqlmodel_crud.py", "tests/contrib/peers/ormar_crud.py"]
    services = [(ROOT / file).read_text().partition('@app.get("/unloaded')[0].splitlines() for file in files]
    lines = [len([line for line in service if line.strip()]) for service in services]
    row = "| lines that are not blank | {}, with twelve routes | {}, with six | {}, with six |".format(*lines)
    assert row in (ROOT / "docs/fastapi.md").read_text()


def test_our_answers_to_the_requests() -> None:
    described = answers_of("orm")
    contents = check("orm", described)
    assert contents["an album with its tracks"]["tracks"] == [{"id": 1, "title": "Intro", "position": 1}]
    assert contents["a track with its album"]["album"] == {"id": 1, "name": "Wild"}
    assert contents["tracks that were not loaded"].startswith("NotLoaded: Album.tracks")
    assert {name for name, answer in described["answers"].items() if answer[0] >= 500} == {
        "tracks that were not loaded"
    }
    for name, (status, content) in described["answers"].items():
        if status in (409, 422):
            assert content["detail"][0]["loc"][0] == "body", name


def test_answers_of_sqlmodel() -> None:
    described = answers_of("sqlmodel")
    contents = check("sqlmodel", described)
    assert described["versions"]["sqlmodel"] == "0.0.50"
    assert len(contents["tracks that were not loaded"]["tracks"]) == 1  # a query that nobody wrote


def test_answers_of_ormar() -> None:
    described = answers_of("ormar", python_with_ormar())
    contents = check("ormar", described)
    assert described["versions"]["ormar"] == "0.26.0"
    assert contents["tracks that were not loaded"]["tracks"] is None
