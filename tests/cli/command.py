"""An application in a folder of its own, on which the command runs in processes of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli import forked_process

ROOT = Path(__file__).parents[2]
# MariaDB warns that it ignores the name of alembic_version's key; the drivers pass that on.
IGNORED_WARNING = "Name 'alembic_version_pkc'"
PYTHON = [sys.executable, "-W", "error", "-W", f"default:{IGNORED_WARNING}"]
SECONDS = 180

HEAD = """
import os

import orm

models = orm.ModelRegistry(database=orm.Database(os.environ["DATABASE_URL"]))
"""


@dataclass
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, read as JSON."""
        return json.loads(self.out)


class Application:
    """A folder with `models.py`, and the command in it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.url = url
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": url, "PYTHONWARNINGS": ""}
        self.environment["PYTHONDONTWRITEBYTECODE"] = "1"  # models.py may change within its timestamp's resolution

    def write(self, models: str) -> None:
        """Write `models.py`: the registry, and these models."""
        (self.folder / "models.py").write_text(HEAD + models)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            [*PYTHON, "-m", "orm.cli", *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def orm(self, *arguments: str, code: int = 0) -> Result:
        """Run the command. It must exit with this code."""
        process = self._run("orm.cli", arguments)
        out, err = process.stdout, process.stderr
        assert process.returncode == code, f"{arguments} exited with {process.returncode}:\n{out}{err}"
        return Result(process.returncode, out, err)

    def alembic(self, *arguments: str) -> str:
        """Run the command of Alembic, in the same folder."""
        process = self._run("alembic", arguments)
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    def _run(self, module: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return forked_process.run(module, arguments, self.folder, self.environment, IGNORED_WARNING, SECONDS)

    def revision(self, name: str) -> Path:
        """The file of the revision of this name."""
        [path] = (self.folder / "migrations/versions").glob(f"*_{name}.py")
        return path

    def write_revisions(self, bodies: list[tuple[str, str]]) -> list[str]:
        """Write revisions by hand, one after another, of these upgrades and downgrades. Returns their identifiers."""
        versions = self.folder / "migrations/versions"
        known = {re.search(r"^revision: str = '(\w+)'", path.read_text(), re.M)[1] for path in versions.glob("*.py")}  # type: ignore[index]
        previous = None
        names = []
        for number, (up, down) in enumerate(bodies, len(known) + 1):
            name = f"r{number:03}"
            text = (
                f'"""revision {number}"""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\nrevision = {name!r}\n'
                f"down_revision = {previous!r}\n\n\ndef upgrade():\n{_indented(up)}\n\n\n"
                f"def downgrade():\n{_indented(down)}\n"
            )
            (versions / f"{name}_revision.py").write_text(text)
            previous = name
            names.append(name)
        return names


def _indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in body.splitlines())
