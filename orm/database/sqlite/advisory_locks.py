"""Advisory locks: of a file, for all processes that use it; of a database in memory, for its tasks."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from typing import Any

from orm.database.connections.advisory_locks import digest
from orm.exceptions import NotSupportedError

Release = Callable[[], None]


def try_lock_beside(path: str, name: str, shared: bool) -> Release | None:
    """Lock a file beside the database, which the operating system unlocks if the process dies. None if it is locked."""
    try:
        fcntl: Any = importlib.import_module("fcntl")
    except ImportError:
        raise NotSupportedError("advisory locks of a SQLite file need fcntl, which this system does not have") from None
    descriptor = os.open(f"{path}-lock-{digest(name).hex()[:16]}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return functools.partial(os.close, descriptor)


class MemoryLocks:
    """The locks of a database in memory."""

    def __init__(self) -> None:
        self._holders: dict[str, int] = {}
        """How many tasks share each lock; -1 for one that holds it alone."""

    def try_lock(self, name: str, shared: bool) -> Release | None:
        """Take a lock. Returns what releases it; None if it is held."""
        holders = self._holders.get(name, 0)
        if holders < 0 or (holders and not shared):
            return None
        self._holders[name] = holders + 1 if shared else -1
        return functools.partial(self._release, name)

    def _release(self, name: str) -> None:
        holders = self._holders.pop(name)
        if holders > 1:
            self._holders[name] = holders - 1
