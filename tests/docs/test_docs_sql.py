"""The SQL that README.md and docs/ show is what their Python blocks print."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.test_docs import PAGES, ROOT, blocks, run


def in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("( ", "(").replace(" )", ")").strip()


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
async def test_sql_blocks_were_printed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page.read_text(encoding="utf-8")
    shown = [block for block in blocks(text) if block.info == "sql"]
    if not shown:
        return
    monkeypatch.chdir(tmp_path)
    module = ModuleType(f"page_{re.sub(r'[^a-z]', '_', page.stem.lower())}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    await run(str(page), text, module)
    printed = in_one_line(capsys.readouterr().out)
    for block in shown:
        assert in_one_line(block.code) in printed, f"{page.name}:{block.line}: not what the page printed:\n{printed}"
