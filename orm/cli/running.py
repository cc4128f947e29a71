"""What subcommands share: types of options, the migrations of the settings, files, the event loop, exit codes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from orm.cli import output
from orm.cli.settings import Settings, SettingsError
from orm.database.connections.database import Database
from orm.migrations import Migrations

T = TypeVar("T")

FOUND, USAGE, UNANSWERED, FAILED, REFUSED = 1, 2, 3, 4, 5
"""The exit codes; 0 is success."""

AsJSON = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
OutputFile = Annotated[Path | None, typer.Option("--output", "-o", help="The file to write; else standard output.")]


def migrations_of(context: typer.Context, **options: Any) -> Migrations:
    """The migrations of the settings."""
    settings: Settings = context.obj
    return Migrations(
        settings.registries(),
        settings.directory,
        lock_timeout=settings.lock_timeout,
        retries=settings.retries,
        say=output.message,
        **options,
    )


@contextmanager
def files() -> Iterator[None]:
    """Raise `SettingsError`, which exits with 2, for files and folders of the block that are not there."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise SettingsError(f"{error.filename}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"the file is not text in UTF-8: {error}") from error


def write_text(text: str, to: Path | None) -> None:
    """Write a subcommand's result to a file, or print it."""
    if to is None:
        output.line(text)
        return
    with files():
        to.write_text(text, encoding="utf-8")
    output.line(f"wrote {to}")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place if the block succeeds, and else is deleted.

    What is no file, such as /dev/stdout, is written itself.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        yield path
        return
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield new
        if target.exists():
            new.chmod(target.stat().st_mode)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def run(context: typer.Context, work: Coroutine[Any, Any, T]) -> T:
    """Run the work of a subcommand in an event loop, and close the application's connections after it."""

    async def main() -> T:
        try:
            return await work
        finally:
            for registry in context.obj.registries():
                if isinstance(registry.database, Database) and registry.database.is_connected:
                    await registry.database.disconnect()

    return asyncio.run(main())
