"""The command `orm`: its subcommands, the options that all of them take, and its exit codes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from orm.cli import data, diagram, inspection, migrations, output, settings, setup, shell
from orm.cli.running import FAILED, REFUSED, UNANSWERED, USAGE
from orm.cli.settings import SettingsError
from orm.exceptions import Error, GradeNotAllowed, UnansweredQuestion
from orm.migrations.questions import OptionError

HELP = """
Migrations, data and a shell for the models of an application.

\b
From an empty folder:
  orm init                     writes models.py, migrations/ and the settings
  orm makemigrations           writes a revision of what the database lacks
  orm migrate                  runs it
  orm showmigrations           says what the database has run

Where the models are is a setting, in this order: the option --models, ORM_MODELS in the environment, `models` under
[tool.orm] in pyproject.toml or under [orm] in setup.cfg. So are migrations (the folder), lock_timeout and retries.

\b
Exit codes:
  0  done
  1  a check found something
  2  wrong options or settings
  3  a question needs an answer, and there is no terminal
  4  a migration failed; the message says what has stayed
  5  an operation has a grade that was not allowed; nothing has run
"""

app = typer.Typer(
    name="orm",
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    context: typer.Context,
    models: Annotated[str | None, typer.Option(help="Where the registry is, such as app.models:models.")] = None,
    directory: Annotated[
        str | None, typer.Option("--migrations", help="The folder of migrations, relative to the settings' file.")
    ] = None,
) -> None:
    """Read the settings."""
    context.obj = settings.load({"models": models, "migrations": directory}, settings.environment(), Path.cwd())


for module in (setup, migrations, inspection, diagram, data, shell):
    module.add_to(app)


def main() -> None:
    """Run the command, and exit with its code."""
    try:
        app()
    except UnansweredQuestion as error:
        output.message(f"orm: {error}")
        for option in error.options:
            output.message(f"  {option}")
        sys.exit(UNANSWERED)
    except GradeNotAllowed as error:
        output.message(f"orm: {error}")
        sys.exit(REFUSED)
    except (SettingsError, OptionError) as error:
        output.message(f"orm: {error}")
        sys.exit(USAGE)
    except Error as error:
        # The drivers of MySQL put a number before the text.
        numbered = len(error.args) == 2 and isinstance(error.args[0], int) and isinstance(error.args[1], str)
        output.message(f"orm: {error.args[1] if numbered else error}")
        sys.exit(FAILED)
