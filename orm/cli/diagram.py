"""`orm diagram`."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Annotated

import typer

from orm.cli.running import OutputFile, write_text
from orm.cli.settings import Settings
from orm.database.connections.database import Database
from orm.diagrams import FORMATS, entities_of_models, entities_of_tables
from orm.migrations.inspection.models import tables_of


class Format(str, Enum):
    """The formats of diagrams."""

    SVG = "svg"
    MERMAID = "mermaid"
    DOT = "dot"


def add_to(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command()(diagram)


def diagram(
    context: typer.Context,
    only: Annotated[
        list[str] | None, typer.Argument(help="Models or tables; all by default.", show_default=False)
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="svg, mermaid or dot.")] = Format.SVG,
    database: Annotated[str | None, typer.Option(help="Draw the tables of this database, not the models.")] = None,
    to: OutputFile = None,
) -> None:
    """Draw the models, or the tables of a database, and their relations.

    A line leads from a foreign key to what it references; it is dashed if the key may be null. Keys are underlined.

    \b
      orm diagram -o models.svg                         for a browser
      orm diagram --format mermaid >> README.md         drawn by GitHub
      orm diagram --format dot | dot -Tpdf > models.pdf
    """
    settings: Settings = context.obj
    if database is None:
        entities = entities_of_models(settings.registries())
    else:
        entities = entities_of_tables(asyncio.run(tables_of(Database(database))))
    known = {entity.name for entity in entities}
    if unknown := [name for name in only or () if name not in known]:
        raise typer.BadParameter(f"there is no {unknown[0]}; there are {', '.join(sorted(known))}.")
    write_text(FORMATS[format.value]([entity for entity in entities if not only or entity.name in only]), to)
