"""`uuid7()`: UUIDs that begin with the time (RFC 9562), so that new keys come after older ones in an index."""

from __future__ import annotations

import os
import threading
import time
import uuid

# After the milliseconds come a counter of 12 bits, and 62 random bits.
COUNTER_BITS = 12
RANDOM_BITS = 62


class _Clock:
    """The time of the last UUID, with a counter within a millisecond. It never runs backwards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        """Milliseconds and counter, greater than any number before. A full counter goes on into the next one."""
        start = (time.time_ns() // 1_000_000) << COUNTER_BITS | int.from_bytes(os.urandom(2), "big") >> 5
        with self._lock:
            self._last = max(start, self._last + 1)
            return self._last


_clock = _Clock()


def uuid7() -> uuid.UUID:
    """A new UUID of version 7. The UUIDs of one process sort in the order in which they were made."""
    moment = _clock.next()
    milliseconds, counter = moment >> COUNTER_BITS, moment & (1 << COUNTER_BITS) - 1
    random = int.from_bytes(os.urandom(8), "big") >> 64 - RANDOM_BITS
    number = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | random
    return uuid.UUID(int=number)
