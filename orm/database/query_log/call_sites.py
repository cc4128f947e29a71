"""Where in the user's program a statement is awaited."""

import asyncio
import linecache
import os
import sys
import weakref
from contextvars import ContextVar
from types import FrameType
from typing import Any, NamedTuple

# The packages between the user's `await` and the server.
INTERNAL_PACKAGES = frozenset(
    {
        "aiomysql",
        "aiosqlite",
        "anyio",
        "asyncio",
        "asyncmy",
        "asyncpg",
        "contextlib",
        "databases",
        "orm",
        "pymysql",
        "sqlalchemy",
    }
)
# The functions of event loops that run a task.
EVENT_LOOP_FUNCTIONS = frozenset(
    {
        ("asyncio.events", "_run"),
        ("asyncio.base_events", "_run_once"),
        ("asyncio.runners", "run"),
        ("anyio._backends._asyncio", "run"),
    }
)
MAX_LINEAGE = 8

# The tasks of this context that have sent statements, the current one last: each was started by the one before.
_lineage: ContextVar[tuple["weakref.ref[asyncio.Task[Any]]", ...]] = ContextVar("orm.lineage", default=())


class Source(NamedTuple):
    """A line of the user's program. `function` is the name of the function around it."""

    file: str
    line: int
    function: str

    @property
    def text(self) -> str:
        """The text of the line, or "" if it cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        file = self.file
        directory = os.getcwd() + os.sep
        location = f"{file.removeprefix(directory)}:{self.line} in {self.function}"
        return f"{location}: {self.text}" if self.text else location


def record_task() -> tuple["weakref.ref[asyncio.Task[Any]]", ...]:
    """Record the current task for the tasks that it will start. Returns its ancestors and, last, the task itself."""
    lineage = _lineage.get()
    task = _current_task()
    if task is not None and (not lineage or lineage[-1]() is not task):
        lineage = (*lineage[1 - MAX_LINEAGE :], weakref.ref(task))
        _lineage.set(lineage)
    return lineage


def parent_of(task: asyncio.Task[Any]) -> "asyncio.Task[Any] | None":
    """The task that started `task`, which is the current one; None if it is unknown or done."""
    lineage = record_task()
    parent = lineage[-2]() if len(lineage) > 1 else None
    return None if parent is None or parent.done() else parent


def find_call_site() -> Source | None:
    """The innermost line of the user's program that awaits the caller; None if there is none.

    Nothing awaits a coroutine of the ORM that was made a task (by `asyncio.gather`, say): then it is the line at which
    the task that started it waits.
    """
    lineage = record_task()
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        package = module.partition(".")[0]
        if (module, frame.f_code.co_name) in EVENT_LOOP_FUNCTIONS or package == "uvloop":
            break
        if package not in INTERNAL_PACKAGES:
            return _source(frame)
        frame = frame.f_back
    for reference in reversed(lineage[:-1]):
        task = reference()
        source = None if task is None else _suspended_at(task)
        if source is not None:
            return source
    return None


def _current_task() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop is running
        return None


def _suspended_at(task: asyncio.Task[Any]) -> Source | None:
    """The innermost line of the user's program at which a task is suspended."""
    innermost: FrameType | None = None
    waiting: Any = task.get_coro()
    while waiting is not None:
        frame: FrameType | None = None
        for kind in ("cr", "gi", "ag"):
            frame = frame or getattr(waiting, f"{kind}_frame", None)
        if frame is not None and (frame.f_globals.get("__name__") or "").partition(".")[0] not in INTERNAL_PACKAGES:
            innermost = frame
        waiting = (
            getattr(waiting, "cr_await", None)
            or getattr(waiting, "gi_yieldfrom", None)
            or getattr(waiting, "ag_await", None)
        )
    return None if innermost is None else _source(innermost)


def _source(frame: FrameType) -> Source:
    code = frame.f_code
    return Source(code.co_filename, frame.f_lineno, getattr(code, "co_qualname", code.co_name))
