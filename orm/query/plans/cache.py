"""The plan cache: each cache key is planned once for each dialect."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

P = TypeVar("P")


class PlanCacheInfo(NamedTuple):
    """The state of the plan cache: how many lookups found a plan or made one, how many plans it has and can have."""

    hits: int
    misses: int
    size: int
    max_size: int


class PlanCache:
    """Plans by cache key. If it is full, the least recently used plan is removed. Safe to use from several threads."""

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self._plans: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = 0
        self._misses = 0

    def get(self, key: Hashable, make: Callable[[], P]) -> P:
        """The plan for this key, which `make` makes if there is none."""
        plan = self._plans.get(key)
        if plan is not None:
            self._hits += 1
            try:  # noqa: SIM105 - `suppress` takes longer than all the rest
                self._plans.move_to_end(key)
            except KeyError:  # Another thread has just removed it; it still can be used.
                pass
            return plan  # type: ignore[no-any-return]
        plan = make()
        with self._lock:
            self._misses += 1
            self._plans[key] = plan
            while len(self._plans) > self.max_size:
                self._plans.popitem(last=False)
        return plan

    def clear(self) -> None:
        """Remove all plans and reset the counters."""
        with self._lock:
            self._plans.clear()
            self._hits = self._misses = 0

    def info(self) -> PlanCacheInfo:
        """Hits, misses and size."""
        return PlanCacheInfo(self._hits, self._misses, len(self._plans), self.max_size)


plans = PlanCache(max_size=1_000)


def plan_cache_info() -> PlanCacheInfo:
    """The state of the plan cache: hits, misses, size and maximum size.

    If the misses keep growing, the program makes queries of ever new shapes.
    """
    return plans.info()


def plan_cache_clear() -> None:
    """Remove all plans, for tests and measurements."""
    plans.clear()
