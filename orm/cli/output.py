"""What the command prints: results on stdout, messages on stderr; tables and bars on a terminal, else plain text."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table


def is_terminal() -> bool:
    """Whether a person reads what is printed."""
    return sys.stdout.isatty()


def can_ask() -> bool:
    """Whether there is somebody to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> str:
    """Ask a person, on the terminal."""
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().rstrip("\n")


def line(text: str) -> None:
    """Print a line of the result."""
    print(text)


def message(text: str) -> None:
    """Print a message that is not the result."""
    print(text, file=sys.stderr, flush=True)


def as_json(value: Any) -> None:
    """Print the result as JSON."""
    print(json.dumps(value, default=_plain, indent=2))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return str(value) if isinstance(value, Path) else repr(value)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows: a table on a terminal, else columns of plain text. A column that is empty is left out."""
    used = [index for index in range(len(heads)) if any(row[index] for row in rows)]
    if is_terminal():
        drawn = Table(*(heads[index] for index in used), box=None, pad_edge=False)
        for row in rows:
            drawn.add_row(*(row[index].replace("[", r"\[") for index in used))
        Console().print(drawn)
        return
    widths = [max(len(row[index]) for row in [heads, *rows]) for index in used]
    for row in [heads, *rows]:
        text = "  ".join(row[index].ljust(width) for index, width in zip(used, widths, strict=True))
        print(text.rstrip())


class Bars:
    """Bars of long work on a terminal; elsewhere nothing is shown."""

    def __init__(self, shown: Progress | None) -> None:
        self._shown = shown
        self._tasks: dict[str, TaskID] = {}

    def show(self, title: str, done: int, total: int) -> None:
        """Show how many of about how many parts are done. The bar lasts until all are."""
        if self._shown is None:
            return
        if title not in self._tasks:
            self._tasks[title] = self._shown.add_task(title)
        self._shown.update(self._tasks[title], completed=done, total=total)
        if done >= total:
            self._shown.remove_task(self._tasks.pop(title))


@contextmanager
def bars() -> Iterator[Bars]:
    """Bars of long work, while the block runs."""
    if not is_terminal():
        yield Bars(None)
        return
    with Progress(console=Console(stderr=True), transient=True) as shown:
        yield Bars(shown)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A function that is called after each part of long work: it moves a bar on a terminal, and does nothing else."""
    done = 0
    with bars() as shown:

        def advance() -> None:
            nonlocal done
            done += 1
            shown.show(title, done, total)

        yield advance
