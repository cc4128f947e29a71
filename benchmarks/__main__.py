"""`python -m benchmarks` runs the benchmarks and writes the results. `make bench` calls it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks import environments, report
from benchmarks.databases import STAGES
from benchmarks.operations import OPERATIONS
from benchmarks.peers.base import Target
from benchmarks.running import Subject, check, measure, start
from benchmarks.serving import measure_service
from tests.private_servers import ServerUnavailable
from tests.servers import Servers

DOCS = Path(__file__).parent.parent / "docs" / "performance"


def options() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds of less data, two minutes in all")
    parser.add_argument("--defaults", action="store_true", help="every subject with its own pool and pragmas")
    parser.add_argument("--databases", default="sqlite,postgresql,mysql", help="which, by commas (all)")
    parser.add_argument("--subjects", default="", help="which, by commas (all; quick: without edgy and ormar)")
    parser.add_argument("--operations", default="", help="which, by commas (all); `service` is one of them")
    parser.add_argument("--rounds", type=int, default=0, help="how many (10; quick: 2)")
    parser.add_argument("--environments", type=Path, default=Path(".venv/bench"), help="where the subjects' are kept")
    parser.add_argument(
        "--results", type=Path, help="where results are written (docs/performance; quick: beside the log)"
    )
    return parser.parse_args()


def main() -> None:
    """Measure each database in turn; write JSON, tables and charts."""
    arguments = options()
    wanted = [name for name in arguments.operations.split(",") if name]
    subjects = [name for name in arguments.subjects.split(",") if name]
    if not subjects:
        subjects = [name for name in environments.SUBJECTS if not (arguments.quick and name in QUICK_LEAVES_OUT)]
    if "raw" not in subjects:
        subjects.insert(0, "raw")  # the others are compared with it
    results: Path = arguments.results or (arguments.environments if arguments.quick else DOCS)
    results.mkdir(parents=True, exist_ok=True)
    arguments.environments.mkdir(parents=True, exist_ok=True)
    log = arguments.environments / "run.log"
    log.write_text("")

    pythons: dict[str, Path] = {}
    not_installed: dict[str, str] = {}
    for name in subjects:
        try:
            pythons[name] = environments.python_of(name, arguments.environments.absolute())
        except environments.NotInstalled as error:
            not_installed[name] = str(error)
            print(f"    {name} is left out: {error}")

    summary: dict[str, Any] = {
        "machine": machine(),
        "quick": arguments.quick,
        "defaults": arguments.defaults,
        "not_installed": not_installed,
        "databases": {},
    }
    kinds = arguments.databases.split(",")
    name = "-".join(["results", *(["defaults"] if arguments.defaults else []), *(["quick"] if arguments.quick else [])])
    written: list[Path] = []
    began = time.monotonic()
    servers = Servers(lambda text: print(f"    {text}"))
    try:
        for i, kind in enumerate(kinds):
            # Quick: the remaining time of two minutes is shared by the remaining databases.
            seconds = (110 - (time.monotonic() - began)) / (len(kinds) - i) if arguments.quick else 1e9
            try:
                summary["databases"][kind] = run(
                    kind, pythons, wanted, arguments, servers, log, seconds, service=i == 0
                )
            except ServerUnavailable as error:
                print(f"    {kind} is left out: {error}")
                continue
            # Saved after each database, so that a later failure loses nothing.
            (results / f"{name}.json").write_text(json.dumps(summary, indent=1) + "\n")
            written = report.write(summary, results, name)
    finally:
        servers.close()
    if not summary["databases"]:
        raise SystemExit("No database could be measured.")
    print((results / f"{name}.md").read_text())
    print(f"==> Written: {', '.join(map(str, written))}. What the subjects printed: {log}")


def run(
    kind: str,
    pythons: dict[str, Path],
    wanted: list[str],
    arguments: argparse.Namespace,
    servers: Servers,
    log: Path,
    seconds: float,
    service: bool,
) -> dict[str, Any]:
    """Measure every subject on one database, within `seconds` if possible. Raises `ServerUnavailable`."""
    began = time.monotonic()
    operations = [
        operation
        for operation in OPERATIONS
        if (operation.name in wanted if wanted else not (arguments.quick and operation.full_only))
    ]
    with_service = "service" in wanted if wanted else service or not arguments.quick
    events = 1_000_000 if any(operation.name == "stream" for operation in operations) else 0
    print(f"==> {kind}: filling the databases", flush=True)
    stage = STAGES[kind](servers, tuned=not arguments.defaults, posts=4 if arguments.quick else 20, events=events)
    targets: list[Target] = []
    running: list[Subject] = []
    missing: dict[str, Any] = {}
    try:
        for name, python in pythons.items():
            target = stage.make(name)
            targets.append(target)
            subject = start(name, python, target, log)
            subject.tell("connect")
            running.append(subject)
        for subject in list(running):
            answer = subject.hear()
            if "versions" in answer:
                subject.versions = answer["versions"]
            else:
                missing[subject.name] = answer.get("missing") or answer.get("failed")
                running.remove(subject)
                subject.stop()
        print(f"==> {kind}: comparing results", flush=True)
        service_seconds = 0.5 if arguments.quick else 8.0
        serving = running[:QUICK_SERVICES] if arguments.quick else running
        # A subject's service takes about three seconds to start and stop.
        until = began + seconds - ((service_seconds + 3) * len(serving) if with_service else 0)
        checked = []
        for operation in operations:
            if time.monotonic() < began + (until - began) * 0.6:
                check(stage, running, operation)
                checked.append(operation)
        print(f"==> {kind}: measuring", flush=True)
        rounds = arguments.rounds or (2 if arguments.quick else 10)
        results = measure(stage, running, checked, rounds=rounds, until=until, share=0.05 if arguments.quick else 5.0)
        served: dict[str, Any] = {}
        versions = {subject.name: subject.versions for subject in running}
        for subject in running:
            subject.stop()
        if with_service:
            print(f"==> {kind}: the web service", flush=True)
            served = measure_service(
                stage, serving, pythons, log, rounds=1 if arguments.quick else 2, seconds=service_seconds
            )
        missing |= {subject.name: subject.missing for subject in running if subject.missing}
    finally:
        for subject in running:
            subject.stop()
        for target in targets:
            stage.drop(target)
        stage.close()
    return {
        "server": stage.version,
        "versions": versions,
        "operations": results,
        "service": served,
        "missing": missing,
        "no_time_for": [
            operation.name for operation in operations if not any(operation.name in done for done in results.values())
        ],
        "seconds": round(time.monotonic() - began, 1),
    }


def machine() -> dict[str, Any]:
    """The machine, and the time of the run."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "memory": memory,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "commit": commit,
        "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


# Services are slow to start: the number of subjects whose service a quick run measures, on the first database.
QUICK_SERVICES = 3
# The slowest take as long as all the others together.
QUICK_LEAVES_OUT = ("edgy", "ormar")

if __name__ == "__main__":
    main()
