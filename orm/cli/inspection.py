"""`orm inspectdb`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from orm.cli.running import OutputFile, write_text
from orm.cli.settings import Settings
from orm.database.connections.database import Database
from orm.migrations.inspection import inspect_models


def add_to(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command()(inspectdb)


def inspectdb(
    context: typer.Context,
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables; all, if none is named.", show_default=False)
    ] = None,
    database: Annotated[str | None, typer.Option(help="The URL of the database; else that of the models.")] = None,
    schema: Annotated[str | None, typer.Option(help="The schema of the tables.")] = None,
    to: OutputFile = None,
) -> None:
    """Write models for the tables of a database that has them already.

    Keys, relations in both directions, many-to-many tables, indexes, constraints, defaults, comments and views are
    found. What a model cannot express is a comment, "# not expressible: ...", and its model is unmanaged, so that
    migrations leave its table alone. A migration finds nothing to change afterwards.

    \b
      orm inspectdb --database postgresql://localhost/shop -o models.py
      orm inspectdb customer invoice
    """
    known: Settings = context.obj
    opened = Database(database) if database is not None else known.registries()[0].database
    source = asyncio.run(inspect_models(opened, schema=schema, tables=tables or ()))
    if to is not None and to.exists():
        raise typer.BadParameter(f"{to} exists, and is not overwritten.")
    write_text(source, to)
