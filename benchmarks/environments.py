"""An environment for each subject, so that each has the newest versions on PyPI."""

from __future__ import annotations

import ast
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"
SERVICE = ["fastapi", "uvicorn[standard]"]
SUBJECTS = ("raw", "orm", "oxyde", "tortoise", "piccolo", "sqlalchemy", "sqlmodel", "django", "edgy", "ormar")


class NotInstalled(Exception):
    """A subject's requirements could not be installed; the message is pip's last line."""


def requirements(subject: str) -> list[str]:
    """`REQUIRES` of the subject's file, read without importing it: its imports may not be installed yet."""
    for statement in ast.parse((PEERS / f"{subject}.py").read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "REQUIRES":
            value: list[str] = ast.literal_eval(statement.value)
            return value
    raise ValueError(f"peers/{subject}.py has no REQUIRES")


def python_of(subject: str, directory: Path) -> Path:
    """The Python of the subject's environment, which is created or updated if necessary.

    Raises `NotInstalled`.
    """
    home = directory / subject
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    wanted = "\n".join([*requirements(subject), *SERVICE])
    stamp = home / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"==> Installing {subject}", flush=True)
    venv.create(home, with_pip=True, clear=True)
    command: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *wanted.split("\n"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.strip()]
        raise NotInstalled(next((line for line in reversed(errors) if "rror" in line), "pip failed").strip())
    stamp.write_text(wanted)
    return python
