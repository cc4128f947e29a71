"""`orm shell`."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from types import CodeType
from typing import Annotated, Any

import typer

import orm
from orm.cli import output
from orm.cli.running import run
from orm.cli.settings import SettingsError
from orm.database.connections.database import Database
from orm.database.query_log.events import QueryEvent


def add_to(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command()(shell)


def shell(
    context: typer.Context,
    code: Annotated[str | None, typer.Option("--command", "-c", help="Code to run, instead of a prompt.")] = None,
    sql: Annotated[bool, typer.Option("--sql/--no-sql", help="Show each statement, with its time.")] = True,
) -> None:
    """A Python prompt (IPython) with `await`, the models imported, and the SQL shown.

    `orm`, `models`, the expressions F and Q, and every model by its name are there. Without a terminal, the code is
    read from the standard input.

    \b
      orm shell
      orm shell -c "print(await Note.objects.count())"
      orm shell --no-sql < script.py
    """
    names = names_of(context.obj.registries())
    if sql:
        for registry in context.obj.registries():
            if isinstance(registry.database, Database):
                registry.database.add_hook(show)
    if code is None and sys.stdin.isatty():
        start_ipython(names)
        return
    run(context, execute(sys.stdin.read() if code is None else code, names))


def names_of(registries: Any) -> dict[str, Any]:
    """The names of the prompt."""
    names: dict[str, Any] = {"orm": orm, "F": orm.F, "Q": orm.Q, "models": registries[0]}
    for registry in registries:
        names.update(registry.models)
    return names


def show(event: QueryEvent) -> None:
    """Print a statement, its values and its time."""
    values = f"  {list(event.values)!r}" if event.values else ""
    output.message(f"{event.sql}{values}  -- {event.seconds * 1000:.1f} ms")


async def execute(code: str, names: dict[str, Any]) -> None:
    """Run code that may have `await` at its top level."""
    compiled: CodeType = compile(code, "<orm shell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, names)
    if inspect.isawaitable(result):
        await result


def start_ipython(names: dict[str, Any]) -> None:
    """Start IPython, whose prompt takes `await`."""
    try:
        ipython = importlib.import_module("IPython")
    except ModuleNotFoundError as error:
        raise SettingsError("the prompt needs IPython: pip install ipython; or pass code with -c") from error
    models = ", ".join(name for name in names if name not in ("orm", "F", "Q", "models"))
    output.message(f"orm {orm.__version__}: models, {models}. `await` works; the SQL is shown.")
    ipython.start_ipython(argv=["--no-banner", "--no-confirm-exit"], user_ns=names)
