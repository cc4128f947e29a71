"""The load: connections that send one request after another. `python -m benchmarks.load PORT CONNECTIONS SECONDS`.

Of twenty requests sixteen get a user, three a page of posts, and one changes a name. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from statistics import quantiles
from typing import Any

USERS = 1000


def request(i: int) -> bytes:
    """The i-th request."""
    key = i * 7919 % USERS + 1
    kind = i % 20
    line = f"PUT /users/{key}?name=N{i}" if kind == 19 else "GET /posts" if kind > 15 else f"GET /users/{key}"
    return f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()


async def connection(port: int, number: int, until: float, seconds: list[float]) -> int:
    """Send requests until the time is over; returns the number of responses other than 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    failed, i = 0, number * 100_000
    while time.perf_counter() < until:
        started = time.perf_counter()
        writer.write(request(i))
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))
        seconds.append(time.perf_counter() - started)
        failed += not head.startswith(b"HTTP/1.1 200")
        i += 1
    writer.close()
    return failed


async def load(port: int, connections: int, seconds: float) -> dict[str, Any]:
    """The requests per second, and the seconds per request."""
    await asyncio.gather(*(connection(port, i, time.perf_counter() + 0.3, []) for i in range(connections)))
    times: list[float] = []
    started = time.perf_counter()
    until = started + seconds
    failed = sum(await asyncio.gather(*(connection(port, i, until, times) for i in range(connections))))
    cuts = quantiles(times, n=100)
    passed = time.perf_counter() - started
    return {"per_second": len(times) / passed, "p50": cuts[49], "p99": cuts[98], "failed": failed}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))))
