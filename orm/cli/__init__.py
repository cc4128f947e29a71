"""The command `orm`: migrations, data and a shell for an application's models. The extra `cli` has what it needs."""

from __future__ import annotations

import importlib
import sys

from orm.utils.extras import missing_extra


def main() -> None:
    """Run the command; without the extra `cli`, say how to install it."""
    try:
        app = importlib.import_module("orm.cli.app")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("typer", "click", "rich", "tomli", "alembic"):
            raise
        print(missing_extra("The command `orm`", error.name), file=sys.stderr)
        sys.exit(2)
    app.main()
