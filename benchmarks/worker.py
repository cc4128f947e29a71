"""The process of one subject: it reads commands as lines of JSON and answers in the same way."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import hashlib
import importlib
import json
import os
import resource
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, TextIO

from benchmarks.operations import BY_NAME, Operation
from benchmarks.peers.base import Missing, Peer, Target

# The time limit of an operation that is compared, in seconds.
PATIENCE = 120


def make_peer(name: str, target: Target) -> Peer:
    """The subject of `peers/<name>.py`."""
    module = importlib.import_module(f"benchmarks.peers.{name}")
    peer: Peer = module.Subject(target)
    return peer


class Worker:
    """Checks and times the operations of one subject."""

    def __init__(self, name: str, target: Target) -> None:
        self.name = name
        self.peer = make_peer(name, target)

    async def connect(self) -> dict[str, Any]:
        """Connect; returns the versions of the packages."""
        if self.peer.target.kind not in self.peer.databases:
            raise Missing(f"it does not know {self.peer.target.kind}")
        await self.peer.connect()
        names = importlib.import_module(f"benchmarks.peers.{self.name}").DISTRIBUTIONS
        return {"versions": {name: version(name) for name in names}}

    async def check(self, operation: str, start: int) -> dict[str, Any]:
        """Run the operation once; returns a digest of its result."""
        measured = BY_NAME[operation]
        prepared = await measured.prepare(self.peer, f"{operation}-{start}", start)
        result = await asyncio.wait_for(measured.run(self.peer, prepared), PATIENCE)
        plain = await measured.plain(self.peer, result)
        text = json.dumps(plain)
        return {"digest": hashlib.sha256(text.encode()).hexdigest(), "sample": text[:300]}

    async def time(self, operation: str, start: int, times: int, seconds: float) -> dict[str, Any]:
        """Run it `times` times, or for `seconds`; returns nanoseconds of each run, CPU seconds and peak memory."""
        measured: Operation = BY_NAME[operation]
        samples: list[int] = []
        cpu = 0.0
        before = reset_peak()
        until = time.monotonic() + seconds
        for i in range(start, start + times):
            prepared = await measured.prepare(self.peer, f"{operation}-{i}", i)
            cpu_started, started = time.process_time(), time.perf_counter_ns()
            result = await measured.run(self.peer, prepared)
            samples.append(time.perf_counter_ns() - started)
            cpu += time.process_time() - cpu_started
            # Freed when the clock is stopped: some subjects free memory at once, others leave it to the collector.
            del result
            if time.monotonic() > until:
                break
        peak = peak_memory()
        return {"ns": samples, "cpu": cpu / len(samples), "peak": peak, "grown": max(0, peak - before)}

    async def close(self) -> dict[str, Any]:
        """Disconnect."""
        await self.peer.close()
        return {}


def reset_peak() -> int:
    """Return free memory and reset the peak (on Linux); returns the memory in use, in bytes."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)
        with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    return peak_memory()


def peak_memory() -> int:
    """The highest resident memory since `reset_peak()`, in bytes; on other systems since the start of the process."""
    if sys.platform == "linux":
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def answer(worker: Worker, command: dict[str, Any]) -> dict[str, Any]:
    """Run a command. A failure is an answer as well, whatever a peer raises."""
    try:
        return await getattr(worker, command.pop("do"))(**command)  # type: ignore[no-any-return]
    except (Missing, AttributeError) as error:
        return {"missing": f"{type(error).__name__}: {error}" if str(error) else "not written"}
    except asyncio.TimeoutError:
        return {"failed": f"not done after {PATIENCE} seconds"}
    except Exception as error:  # noqa: BLE001 - a peer's failure must not end the run
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {str(error)[:200]}"}


async def serve(name: str, target: Target, answers: TextIO) -> None:
    """Answer commands until the last is "close" or the input ends."""
    loop = asyncio.get_running_loop()
    worker = Worker(name, target)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        last = command["do"] == "close"
        print(json.dumps(await answer(worker, command)), file=answers, flush=True)
        if last:
            break


def arguments(name: str, target: Target) -> list[str]:
    """The arguments of this module."""
    return [name, json.dumps(asdict(target))]


if __name__ == "__main__":
    # The output of peers must not get between the answers.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asyncio.run(serve(sys.argv[1], Target(**json.loads(sys.argv[2])), channel))
