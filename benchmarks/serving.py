"""Measures the service of each subject under load, in rounds."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.databases import Stage
from benchmarks.environments import ROOT
from benchmarks.running import Subject, environment
from benchmarks.worker import arguments

CONNECTIONS = 32


def measure_service(
    stage: Stage, subjects: list[Subject], pythons: dict[str, Path], log: Path, *, rounds: int, seconds: float
) -> dict[str, dict[str, Any]]:
    """Requests per second and latencies of each subject's service: the medians of the rounds."""
    samples: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number in range(rounds):
        shift = number % len(subjects)
        for subject in [*subjects[shift:], *subjects[:shift]]:
            try:
                answer = serve_once(subject, pythons[subject.name], log, seconds)
            except RuntimeError as error:
                subject.missing["service"] = str(error)
            else:
                samples[subject.name].append(answer)
            stage.restore(subject.target)
    return {
        name: {key: median(answer[key] for answer in answers) for key in answers[0]} | {"rounds": len(answers)}
        for name, answers in samples.items()
    }


def serve_once(subject: Subject, python: Path, log: Path, seconds: float) -> dict[str, Any]:
    """Start the service, put it under load, stop it. Raises RuntimeError for a service that fails."""
    port = free_port()
    with log.open("a") as errors:
        service = subprocess.Popen(
            [python, "-m", "benchmarks.service", *arguments(subject.name, subject.target), str(port)],
            stdout=errors,
            stderr=errors,
            cwd=ROOT,
            env=environment(subject.target.kind),
        )
    try:
        await_port(port, service)
        before = cpu_seconds(service.pid)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load", str(port), str(CONNECTIONS), str(seconds)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds + 60,
        )
        if done.returncode:
            raise RuntimeError(f"the load broke off: {done.stderr.strip().splitlines()[-1]}")
        answer: dict[str, Any] = json.loads(done.stdout)
        if answer.pop("failed"):
            raise RuntimeError("not every request was answered with 200")
        return answer | {"cpu": cpu_seconds(service.pid) - before}
    finally:
        service.terminate()
        try:
            service.wait(timeout=10)
        except subprocess.TimeoutExpired:
            service.kill()


def free_port() -> int:
    """A free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def await_port(port: int, service: subprocess.Popen[bytes]) -> None:
    """Wait until the service answers. Raises RuntimeError if it exits, or does not answer within 20 seconds."""
    until = time.monotonic() + 20
    while time.monotonic() < until and service.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the service did not start")


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process so far; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
