"""The tutorial runs: its files are written and its commands run, in their order, on SQLite and on PostgreSQL.

In place of a virtual environment there is that of the tests, so `python -m venv` and `pip` do nothing. `uvicorn` starts
and ends the service, and `curl` asks it inside of its own process: the tests need no server and no port.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "tutorial.md"
FILE = re.compile(r'python title="(?P<path>[\w/]+\.py)(?P<added>, at the end)?"')

PROGRAMS = {
    "orm": "from orm.cli import main\n\nmain()\n",
    "pip": "",
    "uvicorn": """
import asyncio, importlib, sys

sys.path.insert(0, ".")
module, _, name = sys.argv[1].partition(":")
app = getattr(importlib.import_module(module), name)


async def main():
    async with app.router.lifespan_context(app):
        pass


asyncio.run(main())
""",
    "curl": """
import argparse, asyncio, sys

import httpx

sys.path.insert(0, ".")
from feed.app import app

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("-s", action="store_true")
parser.add_argument("-X", dest="method")
parser.add_argument("--json")
given = parser.parse_args()


async def main():
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        answer = await client.request(
            given.method or ("POST" if given.json else "GET"),
            given.url,
            content=given.json,
            headers={"Content-Type": "application/json"},
        )
    assert answer.status_code < 500
    print(answer.text)


asyncio.run(main())
""",
}


def matches(expected: str, printed: str) -> bool:
    """Whether the last lines printed are those expected. `…` stands for any text, and a revision for any other."""
    pattern = re.escape(re.sub(r"\b[0-9a-f]{12}\b", "…", expected.strip())).replace("…", ".*")
    return re.search(rf"(^|\n){pattern}\s*\Z", printed) is not None


def test_what_is_expected_is_all_of_the_last_lines() -> None:
    assert matches("applied d0f4a2c1b39e  initial", "wrote a file\napplied bec94546a27c  initial\n")
    assert matches('{"id":2,"created":"…"}', '{"id":2,"created":"2026-01-01"}\n')
    assert not matches("2 passed in …", "1 failed, 2 passed in 1s\n")
    assert not matches("[]", "[]\n[1]\n")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with what the commands of the page start."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "python").write_text(
        '#!/bin/sh\n[ "$2" = venv ] && mkdir -p .venv/bin && : > .venv/bin/activate && exit\n'
        f'exec {sys.executable} "$@"\n'
    )
    for name, code in PROGRAMS.items():
        (folder / f"{name}.txt").write_text(code)
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} "{folder}/{name}.txt" "$@"\n')
    for file in folder.iterdir():
        file.chmod(0o755)
    return folder


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_tutorial(kind: str, request: pytest.FixtureRequest, tmp_path: Path, programs: Path) -> None:
    environment = {
        **os.environ,
        "PYTEST_ADDOPTS": "-p no:asyncio",  # it warns of its defaults, and the tutorial does not install it
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if kind == "postgresql":
        environment["DATABASE_URL"] = request.getfixturevalue("postgresql_url")
    else:
        environment.pop("DATABASE_URL", None)
    here, printed, ran = tmp_path, "", {"file": 0, "shell": 0, "text": 0}
    for block in blocks(PAGE.read_text()):
        if file := FILE.fullmatch(block.info):
            path = here / file["path"]
            path.parent.mkdir(exist_ok=True)
            before = f"{path.read_text()}\n\n" if file["added"] else ""
            path.write_text(before + block.code)
            ran["file"] += 1
        elif block.info == "shell":
            done = subprocess.run(
                ["sh", "-ec", f"{block.code}\npwd > '{tmp_path}/here'"],
                cwd=here,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=240,
            )
            assert done.returncode == 0, f"{PAGE.name}:{block.line}:\n{done.stdout}{done.stderr}"
            here, printed = Path((tmp_path / "here").read_text().strip()), done.stdout
            ran["shell"] += 1
        else:
            assert block.info == "text", f"{PAGE.name}:{block.line}: {block.info!r} is unknown"
            assert matches(block.code, printed), f"{PAGE.name}:{block.line}:\n{printed}"
            ran["text"] += 1
    assert here.name == "service" and min(ran.values()) >= 5, ran
