"""The folder of an application's migrations: its revisions, and the files that `init` writes."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from orm.exceptions import Error, MigrationError
from orm.migrations.broken_files import BROKEN, what

ENV = '''"""What `orm` and `alembic` run: the migrations of `{name}`, on its database."""

from {module} import {name}
from orm.migrations import run

run({name})
'''
INI = """# For the commands of `alembic`, which work beside those of `orm`.

[alembic]
script_location = %(here)s/{directory}
prepend_sys_path = %(here)s
path_separator = os
"""
REVISION = '''"""${message}

Revision: ${up_revision}
Follows: ${down_revision | comma,n}
Created: ${create_date}
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision: str = ${repr(up_revision)}
down_revision: str | Sequence[str] | None = ${repr(down_revision)}
branch_labels: str | Sequence[str] | None = ${repr(branch_labels)}
depends_on: str | Sequence[str] | None = ${repr(depends_on)}
% if context.get("replaces"):
replaces: Sequence[str] = ${repr(context.get("replaces"))}
% endif


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''


def init(models: str, directory: str | os.PathLike[str] = "migrations") -> list[Path]:
    """Write the folder of migrations, and `alembic.ini` beside it. Returns the files that were written.

    `models` is where the registry is, as ``module:name``. Files that exist are left as they are.

    Raises:
        MigrationError: the folder has an `env.py` already, or `models` does not name a registry.
    """
    module, _, name = models.partition(":")
    if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise MigrationError(f"{models!r} does not name a registry, as 'app.models:models' does")
    folder = Path(directory)
    if (folder / "env.py").exists():
        raise MigrationError(f"{folder / 'env.py'} exists: these migrations have been set up before")
    files = {
        folder / "env.py": ENV.format(module=module, name=name),
        folder / "script.py.mako": REVISION,
        folder / "versions" / ".gitkeep": "",
        folder.parent / "alembic.ini": INI.format(directory=folder.name),
    }
    written = []
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


class Folder:
    """The revisions of a folder.

    Raises:
        MigrationError: it has not been set up, or its revisions contradict each other.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.path = Path(directory).absolute()
        if not (self.path / "env.py").exists():
            raise MigrationError(f"{directory} has no env.py: `orm init` sets up the folder of migrations")
        ini = self.path.parent / "alembic.ini"
        self.config = Config(str(ini)) if ini.exists() else Config()
        self.config.cmd_opts = argparse.Namespace(quiet=True)  # Alembic would print what it does
        self.config.set_main_option("script_location", str(self.path).replace("%", "%%"))
        self.config.set_main_option("path_separator", "os")
        self.reload()

    def reload(self) -> None:
        """Read the revisions again. Raises `MigrationError` for a file that cannot be read."""
        self.script = ScriptDirectory.from_config(self.config)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*is not present")  # the error below says more
                self.script.get_heads()
        except KeyError as error:
            raise MigrationError(self._missing() or f"a revision cannot be read: {what(error, self.path)}") from error
        except CommandError as error:
            raise MigrationError(str(error)) from error
        except BROKEN as error:
            if isinstance(error, Error):
                raise
            raise MigrationError(f"a revision cannot be read: {what(error, self.path)}") from error

    def _missing(self) -> str | None:
        scripts = [*self.script._load_revisions()]
        known = {script.revision for script in scripts}
        for script in scripts:
            for follows in script._versioned_down_revisions:
                if follows not in known:
                    path = os.path.relpath(str(script.path))
                    return f"the revision {script.revision} follows {follows}, which no file has ({path})"
        return None

    def revisions(self) -> list[Script]:
        """All revisions, each after those that it follows."""
        return [*reversed([*self.script.walk_revisions()])]

    def heads(self) -> list[str]:
        """The revisions that no other one follows."""
        return list(self.script.get_heads())

    def find(self, revision: str) -> Script:
        """The revision of this identifier, of its beginning, or "head". Raises `MigrationError` if there is none."""
        try:
            script = self.script.get_revision(revision)
        except CommandError as error:
            raise MigrationError(str(error)) from error
        if script is None:
            raise MigrationError(f"no revision is called {revision!r}")
        return script

    def applied(self, heads: tuple[str, ...]) -> set[str]:
        """The revisions that a database with these heads has run. Unknown heads are left out."""
        known = {revision.revision for revision in self.revisions()}
        return {each.revision for each in self._below([head for head in heads if head in known])}

    def _below(self, heads: list[str]) -> Iterator[Any]:
        for head in heads:
            yield from self.script.iterate_revisions(head, "base", implicit_base=True)
