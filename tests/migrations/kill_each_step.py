"""Kills a migration with SIGKILL before and after each of its statements, and lets a new process go on.

A process of its own, which forks one for each run, so that the imports are made once. Prints a line of JSON for each
kill: what `show()` said afterwards, and what the database had.

    python -m tests.migrations.kill_each_step URL DIRECTORY FIRST
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import orm
from orm import migrations
from orm.database.connections.database import Database
from orm.migrations.progress import Progress


def in_child(work: Callable[[], Coroutine[Any, Any, Any]]) -> tuple[int, str]:
    """Run the work in a forked process. Returns the signal that killed it, or 0, and what it printed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        code = 1
        try:
            os.write(write, json.dumps(asyncio.run(work())).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return (os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0), text


def models_of(url: str) -> orm.ModelRegistry:
    """A registry without models, on the database."""
    return orm.ModelRegistry(database=orm.Database(url))


async def migrate_and_die(url: str, directory: str, at: int, after: bool) -> None:
    """Migrate, and kill this process at a statement."""
    count = 0

    def before(sql: str) -> None:
        nonlocal count
        count += 1
        if count == at and not after:
            os.kill(os.getpid(), signal.SIGKILL)

    watched = Progress._after_statement

    def after_statement(progress: Progress, *arguments: Any) -> None:
        if after and count == at and progress.entry is not None and not progress._is_own:
            os.kill(os.getpid(), signal.SIGKILL)
        watched(progress, *arguments)

    Progress._after_statement = after_statement  # type: ignore[method-assign]
    await migrations.upgrade(models_of(url), directory=directory, on_statement=before)


async def state(url: str, directory: str) -> dict[str, Any]:
    """What the revisions say, and what the database has: the tables, and the number of rows of each."""
    states = await migrations.show(models_of(url), directory=directory)
    effects: dict[str, Any] = {}
    async with Database(url) as database:
        for name in ("a", "b", "c", "d"):
            try:
                effects[name] = await database.fetch_val(f"SELECT count(*) FROM {name}")
            except orm.ProgrammingError:
                effects[name] = None
    return {"states": {each.revision: each.state for each in states}, "effects": effects}


async def finish(url: str, directory: str, repairs: bool) -> list[Any]:
    """Go on: by `upgrade()`, or by `repair()` and then `upgrade()`. Returns the rows of the last table."""
    models = models_of(url)
    if repairs:
        await migrations.repair(models, directory=directory)
    await migrations.upgrade(models, directory=directory)
    async with Database(url) as database:
        rows = [list(row.values()) for row in map(dict, await database.fetch_all("SELECT * FROM a ORDER BY id"))]
        counts = [await database.fetch_val(f"SELECT count(*) FROM {name}") for name in "bcd"]
    return [rows, counts]


async def undo(url: str, directory: str) -> None:
    """Undo all revisions."""
    await migrations.downgrade(models_of(url), "base", directory=directory)


def main(url: str, directory: str, first: str) -> None:
    """Kill at each statement in turn, beginning with the first, until a run comes to its end."""
    for at in range(int(first), 100):
        for after in (False, True):
            killed_by, _ = in_child(lambda: migrate_and_die(url, directory, at, after))  # noqa: B023
            _, text = in_child(lambda: state(url, directory))
            _, rows = in_child(lambda: finish(url, directory, repairs=after))  # noqa: B023
            line = {"at": at, "after": after, "signal": killed_by, **json.loads(text), "end": json.loads(rows)}
            print(json.dumps(line), flush=True)
            in_child(lambda: undo(url, directory))
        if not killed_by:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
