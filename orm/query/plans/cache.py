"""The plan cache: each query shape is planned once per kind of database."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

P = TypeVar("P")


class PlanCacheInfo(NamedTuple):
    """How the plan cache is doing: lookups that found a plan, that made one, and plans kept of at most so many."""

    hits: int
    misses: int
    size: int
    max_size: int


class PlanCache:
    """Plans by shape, the least recently used forgotten first. Safe under tasks and threads."""

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self._plans: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = 0
        self._misses = 0

    def get(self, key: Hashable, make: Callable[[], P]) -> P:
        """The plan of this shape, made if it is not there."""
        plan = self._plans.get(key)
        if plan is not None:
            self._hits += 1
            try:  # noqa: SIM105 - `suppress` takes longer than all the rest
                self._plans.move_to_end(key)
            except KeyError:  # Another thread forgot it a moment ago; it is as good as ever.
                pass
            return plan  # type: ignore[no-any-return]
        made = make()
        with self._lock:
            self._misses += 1
            self._plans[key] = made
            while len(self._plans) > self.max_size:
                self._plans.popitem(last=False)
        return made

    def clear(self) -> None:
        """Forget every plan and start counting anew."""
        with self._lock:
            self._plans.clear()
            self._hits = self._misses = 0

    def info(self) -> PlanCacheInfo:
        """Hits, misses and size."""
        return PlanCacheInfo(self._hits, self._misses, len(self._plans), self.max_size)


plans = PlanCache(max_size=1_000)


def plan_cache_info() -> PlanCacheInfo:
    """How the plan cache is doing: hits, misses, size and the most it keeps.

    A service in which misses keep growing makes a new query shape at every call.
    """
    return plans.info()


def plan_cache_clear() -> None:
    """Forget every plan: for tests and measurements."""
    plans.clear()
