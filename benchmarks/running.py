"""The run on one database: the workers, the checks, then rounds of every operation with every subject."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.databases import Stage
from benchmarks.environments import ROOT
from benchmarks.operations import Operation
from benchmarks.peers.base import Target
from benchmarks.worker import arguments


@dataclass
class Subject:
    """A subject's process. `missing` has the reasons for operations that it cannot do."""

    name: str
    target: Target
    process: subprocess.Popen[str]
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def tell(self, do: str, **command: Any) -> None:
        """Send a command; `hear()` waits for the answer."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # hear() will find that it has ended
            self.process.stdin.write(json.dumps({"do": do, **command}) + "\n")
            self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """The answer to the last command."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return {"failed": "the process has ended"}
        message: dict[str, Any] = json.loads(line)
        return message

    def ask(self, do: str, **command: Any) -> dict[str, Any]:
        """Send a command, and wait for the answer."""
        self.tell(do, **command)
        return self.hear()

    def stop(self) -> None:
        """End the process."""
        if self.process.poll() is None:
            self.ask("close")
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def environment(kind: str) -> dict[str, str]:
    """The description of the target for a subject's process."""
    return {**os.environ, "BENCHMARK_DATABASE": kind, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}


def start(name: str, python: Path, target: Target, log: Path) -> Subject:
    """Start a subject's process; its output goes to `log`."""
    with log.open("a") as errors:
        process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", *arguments(name, target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env=environment(target.kind),
        )
    return Subject(name, target, process)


ONCE = 10.0


@dataclass
class Sample:
    """The measurements of one operation with one subject, in seconds and bytes."""

    rounds: list[list[float]] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: int = 0
    grown: int = 0

    def add(self, answer: dict[str, Any]) -> None:
        """Add a round's answer."""
        self.rounds.append([ns / 1e9 for ns in answer["ns"]])
        self.cpu.append(answer["cpu"])
        self.peak = max(self.peak, answer["peak"])
        self.grown = max(self.grown, answer["grown"])

    @property
    def longest(self) -> float:
        """The seconds of the longest run; 0 before the first."""
        return max((max(samples) for samples in self.rounds), default=0.0)

    def summary(self) -> dict[str, Any]:
        """The median with its quartiles, CPU seconds, and memory."""
        times = [seconds for samples in self.rounds for seconds in samples]
        low, _, high = quantiles(times, n=4) if len(times) > 1 else (times[0], 0, times[0])
        return {
            "median": median(times),
            "quartiles": [low, high],
            "rounds": len(self.rounds),
            "runs": len(times),
            "cpu": median(self.cpu),
            "peak_memory": self.peak,
            "memory_grown": self.grown,
        }


def check(stage: Stage, subjects: list[Subject], operation: Operation) -> None:
    """Run the operation once with each subject; record what differs from the first one (the driver) as missing."""
    wanted: tuple[Any, Any] | None = None
    # Nothing is timed, so the subjects can run concurrently.
    for subject in subjects:
        subject.tell("check", operation=operation.name, start=0)
    for subject in subjects:
        answer = subject.hear()
        reason = answer.get("missing") or answer.get("failed")
        if reason is None:
            outcome = (answer["digest"], stage.state(subject.target) if operation.writes else None)
            if wanted is None:
                wanted, sample = outcome, answer["sample"]
            elif outcome != wanted:
                reason = "another result than the driver's"
                if outcome[0] != wanted[0]:
                    reason += f": {answer['sample'][:90]} for {sample[:90]}"
                elif outcome[1] != wanted[1]:
                    pairs = zip(outcome[1] or [], wanted[1] or [], strict=False)
                    differing = next((pair for pair in pairs if pair[0] != pair[1]), ("rows", "others"))
                    reason += f": {differing[0]} for {differing[1]}"
        if reason:
            subject.missing[operation.name] = reason
        if operation.writes:
            stage.restore(subject.target)


def measure(
    stage: Stage, subjects: list[Subject], operations: list[Operation], *, rounds: int, until: float, share: float
) -> dict[str, dict[str, Any]]:
    """Measure in rounds, until there are `rounds` of them or the time is `until` (time.monotonic).

    In a round, each operation is run by every subject in turn before the next is; who begins changes from round to
    round. `share` is how many seconds a subject may take for one operation of a round. What took a subject longer than
    `ONCE` seconds is not asked of it again.
    """
    samples: dict[str, dict[str, Sample]] = defaultdict(lambda: defaultdict(Sample))
    for number in range(rounds):
        for operation in operations:
            if time.monotonic() > until:
                break
            shift = number % len(subjects)
            for subject in [*subjects[shift:], *subjects[:shift]]:
                known = samples[subject.name][operation.name]
                if operation.name in subject.missing or known.longest > ONCE:
                    continue
                answer = subject.ask(
                    "time", operation=operation.name, start=1 + number * 1000, times=operation.times, seconds=share
                )
                if "ns" in answer:
                    known.add(answer)
                else:
                    subject.missing[operation.name] = answer.get("missing") or answer.get("failed") or "no answer"
                if operation.writes:
                    stage.restore(subject.target)
    return {
        name: {operation: sample.summary() for operation, sample in measurements.items() if sample.rounds}
        for name, measurements in samples.items()
    }
