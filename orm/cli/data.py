"""`orm dumpdata` and `orm loaddata`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from orm.cli import fixtures, output
from orm.cli.running import AsJSON, OutputFile, files, replaced, run


def add_to(app: typer.Typer) -> None:
    """Add the subcommands."""
    app.command()(dumpdata)
    app.command()(loaddata)


def dumpdata(
    context: typer.Context,
    models: Annotated[list[str] | None, typer.Argument(help="Models or tables; all without one.")] = None,
    file: OutputFile = None,
) -> None:
    """Write rows as lines of JSON, parents before those that refer to them.

    \b
      orm dumpdata > all.jsonl
      orm dumpdata Note Tag -o notes.jsonl
    """
    registries = context.obj.registries()

    async def write() -> int:
        count = 0
        with ExitStack() as stack:
            target = sys.stdout
            if file is not None:
                with files():
                    target = stack.enter_context(stack.enter_context(replaced(file)).open("w", encoding="utf-8"))
            async for line in fixtures.dump(registries, models or ()):
                target.write(f"{line}\n")
                count += 1
        return count

    count = run(context, write())
    if file is not None:
        output.message(f"wrote {count} row{'s' * (count != 1)} to {file}")


def loaddata(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file of dumpdata; - is the standard input.")],
    json: AsJSON = False,
) -> None:
    """Insert the rows of a file that dumpdata wrote, in one transaction, with the keys that they have there.

    A row that exists is an error, and then none is inserted.

    \b
      orm loaddata notes.jsonl
      orm --models shop.models:models loaddata - < all.jsonl
    """
    with files():
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    lines = text.splitlines()
    with output.progress("loading", len(lines) // fixtures.BATCH) as advance:
        count = run(context, fixtures.load(context.obj.registries(), lines, advance))
    if json:
        output.as_json({"rows": count})
    else:
        output.line(f"loaded {count} row{'s' * (count != 1)}")
