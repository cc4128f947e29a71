"""Folders with revisions that a test writes, and the models that they are for."""

from __future__ import annotations

from pathlib import Path

import orm
from orm import migrations

HEAD = (
    '"""{name}"""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\nrevision = {name!r}\ndown_revision = {down!r}\n'
)


def set_up(directory: Path) -> Path:
    """Set up a folder whose `env.py` has no models: the functions are given them."""
    migrations.init("nowhere:models", directory)
    (directory / "env.py").write_text("from orm.migrations import run\n\nrun()\n")
    return directory


def write(directory: Path, name: str, down: str | None, up: list[str], undo: list[str] | None = None) -> Path:
    """Write a revision of these lines of Python."""
    bodies = "".join(
        f"\n\ndef {function}():\n" + "".join(f"    {line}\n" for line in lines or ["pass"])
        for function, lines in (("upgrade", up), ("downgrade", undo))
    )
    path = directory / "versions" / f"{name}.py"
    path.write_text(HEAD.format(name=name, down=down) + bodies)
    return path


def no_models(url: str) -> orm.ModelRegistry:
    """A registry without models."""
    return orm.ModelRegistry(database=orm.Database(url))
