"""`orm init`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer

from orm.cli import output, settings
from orm.cli.running import AsJSON
from orm.migrations import folder

MODELS = '''"""The models of the application."""

import os

import orm

models = orm.ModelRegistry(database=orm.Database(os.environ.get("DATABASE_URL", "{url}")))


class Note(orm.Model):
    registry = models

    id = orm.BigInteger(primary_key=True)
    title = orm.String(max_length=100)
    created = orm.DateTime(timezone=True, auto_now_add=True)
'''


def add_to(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command()(init)


def init(
    context: typer.Context,
    models: Annotated[
        str | None, typer.Argument(help="Where the registry is, or shall be: app.models:models.", show_default=False)
    ] = None,
    database: Annotated[
        str, typer.Option(help="The URL in a new models.py, unless DATABASE_URL is set.")
    ] = "sqlite:///db.sqlite",
    json: AsJSON = False,
) -> None:
    """Set up migrations: writes migrations/, alembic.ini and the settings, and models.py if there is none.

    The env.py is the same for every database, asynchronous, and works with plain `alembic` as well. Nothing that
    exists is overwritten.

    \b
      orm init                                       models.py, with an example
      orm init shop.models:models                    an application that has models
      orm init --database postgresql://localhost/shop
    """
    known: settings.Settings = context.obj
    path = models or known.models[0]
    path = path if ":" in path else f"{path}:models"
    root = known.root
    written = folder.init(path, root / known.migrations)
    sys.path[:0] = [str(root.absolute())]
    module = root / f"{path.partition(':')[0].replace('.', '/')}.py"
    if not module.exists() and not _exists(path.partition(":")[0]):
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(MODELS.format(url=database).replace("models =", f"{path.partition(':')[2]} =", 1))
        written.insert(0, module)
    if not [*settings.sections(root)]:
        values = {"models": path, "migrations": known.migrations}
        written.append(settings.write(root, values))
    if json:
        output.as_json({"written": [str(each) for each in written], "models": path})
        return
    for each in written:
        output.line(f"wrote {_relative(each)}")
    output.line(f"Next: `orm makemigrations` compares {path} with the database, and `orm migrate` changes it.")


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
