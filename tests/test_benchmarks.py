"""The parts of the benchmarks: orm and the driver give the same answers, and results can be reported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import environments, report
from benchmarks.databases import SQLiteStage
from benchmarks.operations import BY_NAME, OPERATIONS
from benchmarks.worker import Worker
from tests.servers import Servers

SMALL = [operation.name for operation in OPERATIONS if not operation.full_only]


@pytest.fixture(scope="module")
def stage() -> Iterator[SQLiteStage]:
    stage = SQLiteStage(Servers(lambda _: None), tuned=True, posts=1, events=0)
    yield stage
    stage.close()


async def answer(stage: SQLiteStage, name: str, operation: str) -> tuple[str, Any]:
    target = stage.make(name)
    worker = Worker(name, target)
    try:
        await worker.connect()
        try:
            return (await worker.check(operation, 1))["digest"], stage.state(target)
        finally:
            await worker.close()
    finally:
        stage.drop(target)


@pytest.mark.parametrize("operation", SMALL)
async def test_operation_of_orm_answers_as_the_driver(stage: SQLiteStage, operation: str) -> None:
    assert await answer(stage, "orm", operation) == await answer(stage, "raw", operation)


@pytest.mark.parametrize("operation", [name for name in SMALL if BY_NAME[name].writes])
async def test_stage_after_writing_operation_is_restored(stage: SQLiteStage, operation: str) -> None:
    before = stage.state(stage.template)
    target = stage.make("restored")
    worker = Worker("raw", target)
    await worker.connect()
    try:
        await worker.check(operation, 1)
        stage.restore(target)
        assert stage.state(target) == before
    finally:
        await worker.close()
        stage.drop(target)


async def test_worker_returns_times_and_memory(stage: SQLiteStage) -> None:
    target = stage.make("timed")
    worker = Worker("raw", target)
    await worker.connect()
    try:
        times = await worker.time("get", start=1, times=3, seconds=60)
    finally:
        await worker.close()
        stage.drop(target)
    assert len(times["ns"]) == 3 and min(times["ns"]) > 0 and times["peak"] > 0


def test_every_peer_is_listed_with_its_requirements() -> None:
    files = {path.stem for path in environments.PEERS.glob("*.py")} - {"__init__", "base"}
    assert files == set(environments.SUBJECTS)
    assert all(environments.requirements(name) for name in files)


def test_report_writes_ratios_and_charts(tmp_path: Path) -> None:
    def sample(seconds: float) -> dict[str, Any]:
        return {"median": seconds, "quartiles": [seconds, seconds], "cpu": seconds, "memory_grown": 0}

    result = {
        "server": "SQLite 3",
        "versions": {"orm": {"orm": "1.0"}},
        "operations": {
            "raw": {"get": sample(0.001), "count": sample(0.002)},
            "orm": {"get": sample(0.002), "count": sample(0.001)},
            "oxyde": {"get": sample(0.004)},
        },
        "service": {"orm": {"per_second": 1000.0, "p50": 0.001, "p99": 0.002}},
        "missing": {"oxyde": {"count": "not written"}},
        "no_time_for": [],
    }
    machine = {
        "processor": "A", "processors": 1, "memory": 2**30, "system": "S", "python": "3", "commit": "c", "time": "t",
        "load_before": 0.0,
    }  # fmt: skip
    run = {
        "machine": machine,
        "quick": False,
        "defaults": False,
        "not_installed": {},
        "databases": {"sqlite": result},
    }
    text, chart = report.write(run, tmp_path, "results")
    assert "| get by key | 2.00 | 0.50 | 0.50 (oxyde) |" in text.read_text()
    assert "| *geometric mean* | 1.00 | 0.50 | 0.50 |" in text.read_text()
    assert "- oxyde, count: not written" in text.read_text()
    assert ElementTree.parse(chart).getroot().tag.endswith("svg")


def test_the_legend_of_a_chart_is_within_it() -> None:
    for chart in (Path(__file__).parents[1] / "docs" / "performance").glob("*.svg"):
        root = ElementTree.parse(chart).getroot()
        width = float(root.attrib["viewBox"].split()[2])
        legend = [element for element in root if element.tag.endswith("text") and element.get("y") == "44"]
        ends = [float(element.attrib["x"]) + 8 * len(element.text or "") for element in legend]
        assert len(legend) > 5 and max(ends) < width, chart.name
