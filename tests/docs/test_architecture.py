"""`ARCHITECTURE.md` and `CONTRIBUTING.md`: what they name exists, and their code runs and prints what they show."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import orm
from tests.docs.test_docs import FENCE, ROOT, blocks, run
from tests.docs.test_docs_sql import in_one_line

PAGES = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w.-]+(/[\w.-]+)*/?")
SUFFIXES = (".py", ".md", ".json", ".toml", ".cfg", ".yml")
DOTTED = re.compile(r"(?:orm|tests|tools|benchmarks)(\.\w+)+")
ATTRIBUTE = re.compile(r"([A-Z]\w+)\.(\w+)(?:\(\))?")
CLASS = re.compile(r"[A-Z][a-z]\w*")
TARGET = re.compile(r"\bmake ([a-z-]+)")
OUTSIDE = {"Note.objects"}
"""Names of the pages' own examples."""


def code_spans(page: Path) -> list[str]:
    """The inline code of a page, without its fenced blocks."""
    lines: list[str] = []
    fenced = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            lines.append(line)
    return CODE.findall("\n".join(lines))


def classes() -> dict[str, list[type]]:
    """The classes of `orm`, by name."""
    by_name: dict[str, list[type]] = {}
    for info in pkgutil.walk_packages(orm.__path__, "orm."):
        try:
            module = importlib.import_module(info.name)
        except ImportError:  # A driver that is not installed.
            continue
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__.startswith("orm"):
                by_name.setdefault(name, []).append(value)
    return by_name


def imported(name: str) -> object:
    """The module or attribute of a dotted name. Raises if there is none."""
    module, _, attribute = name.rpartition(".")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_of_the_page_exist(page: Path) -> None:
    paths = [
        span for span in code_spans(page) if PATH.fullmatch(span) and (span.endswith(SUFFIXES) or span.endswith("/"))
    ]
    assert len(paths) > 10
    names = {path.name for path in (ROOT / "orm").rglob("*.py")}
    missing = [path for path in paths if not (ROOT / path).exists() and path not in names]
    missing = [path for path in missing if not (ROOT / "orm" / "database" / path).is_dir()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_dotted_names_of_the_page_exist(page: Path) -> None:
    by_name = classes()
    for span in code_spans(page):
        if span.endswith(SUFFIXES):
            continue
        if DOTTED.fullmatch(span):
            imported(span)
        elif (match := ATTRIBUTE.fullmatch(span)) and span not in OUTSIDE:
            assert any(hasattr(cls, match[2]) for cls in by_name.get(match[1], [])), span
        elif CLASS.fullmatch(span):
            assert span in by_name, span


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_of_the_page_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = [block.code for block in blocks(page.read_text(encoding="utf-8")) if block.info == "shell"]
    for target in TARGET.findall("\n".join(code_spans(page) + shown)):
        assert f"\n{target}:" in makefile, target


def test_checks_of_the_page_are_run_by_make_check() -> None:
    page = PAGES[1].read_text(encoding="utf-8")
    checks = page[page.index("\n## The checks") : page.index("\n## Landing")]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = makefile[makefile.index("\ncheck:") : makefile.index("\nformat:")]
    named = [row.split("|")[1] for row in checks.splitlines() if row.startswith("| `")]
    assert len(named) >= 6
    for command in CODE.findall("".join(named)):
        assert f"$(BIN)/{command}" in commands, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_code_of_the_page_runs_and_prints_its_sql(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    module = ModuleType(f"page_{page.stem.lower()}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert await run(str(page), text, module) > 0
    printed = in_one_line(capsys.readouterr().out)
    for block in blocks(text):
        if block.info == "sql":
            assert in_one_line(block.code) in printed, (
                f"{page.name}:{block.line}: not what the page printed:\n{printed}"
            )


def test_the_layers_drawn_are_the_layers_of_the_contract() -> None:
    """The folders in the drawing have the order of the contract in pyproject.toml."""
    drawing = next(block for block in blocks(PAGES[0].read_text(encoding="utf-8")) if block.info == "text").code
    config = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contract = config[config.index('name = "Layers of orm"') :]
    contract = contract[: contract.index("\n]\n")]
    layers = [re.findall(r"\b(\w+)\b", line) for line in re.findall(r'^    "([^"(]+)",$', contract, re.MULTILINE)]
    positions = [drawing.index(f" {name} ") for layer in layers for name in layer]
    assert positions == sorted(positions)
