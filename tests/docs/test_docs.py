"""Every Python block of README.md and docs/ runs, as it stands there.

The blocks of a page run in order, in one namespace and one event loop, with `await` allowed at the top level and an
empty directory as the current one. A block that is to fail says so with `try` and `except`; no block may opt out.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import databases
import pytest

import orm

ROOT = Path(__file__).parents[2]
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if page.exists() and page.name != "tutorial.md"  # its blocks are files and commands: see test_tutorial.py
]

FENCE = re.compile(r"^(?P<indent>\s*)(?P<marks>`{3,}|~{3,})\s*(?P<info>.*?)\s*$")
SYNCHRONOUS = {"scripts-notebooks-celery.md"}
"""The pages whose blocks run where no event loop runs: in a thread."""
PYTHON = re.compile(r"\W*py", re.IGNORECASE)
DECORATION = re.compile(r'python(\s+(title|hl_lines|linenums)="[^"]*")*')
"""What a Python block may say of itself: how it looks, never that it does not run."""


class Block(NamedTuple):
    """A fenced block of a page. `line` is the number of its first line of code, from 1."""

    info: str
    line: int
    code: str


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown page, those in lists and admonitions too."""
    opening: re.Match[str] | None = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if opening is None:
            if fence:
                opening, lines = fence, []
        elif fence and not fence["info"] and fence["marks"].startswith(opening["marks"]):
            yield Block(opening["info"], number - len(lines), textwrap.dedent("\n".join(lines)) + "\n")
            opening = None
        else:
            lines.append(line)
    assert opening is None, "a fenced block has no end"


def databases_of(module: ModuleType) -> dict[int, databases.Database]:
    """The databases among the module's values, and those of its registries, by `id()`."""
    values = [value._database if isinstance(value, orm.ModelRegistry) else value for value in vars(module).values()]
    return {id(value): value for value in values if isinstance(value, databases.Database)}


async def run(page: str, text: str, module: ModuleType) -> int:
    """Run the page's Python blocks in the module's namespace, and disconnect what they connected.

    Returns:
        the number of blocks that ran.
    """
    count = 0
    seen: dict[int, databases.Database] = {}
    try:
        for block in blocks(text):
            if not PYTHON.match(block.info):
                continue
            assert DECORATION.fullmatch(block.info), f"{page}:{block.line}: every block runs; {block.info!r} is unknown"
            source = "\n" * (block.line - 1) + block.code  # so that a traceback names the page's own line
            code = compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            if Path(page).name in SYNCHRONOUS:
                result = await asyncio.to_thread(eval, code, module.__dict__)
            else:
                result = eval(code, module.__dict__)
            if inspect.iscoroutine(result):
                await result
            count += 1
            seen |= databases_of(module)
    finally:
        seen |= databases_of(module)
        for database in seen.values():
            if database.is_connected and Path(page).name in SYNCHRONOUS:
                await asyncio.to_thread(orm.run, database.disconnect())
            elif database.is_connected:
                await database.disconnect()
    return count


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
async def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = re.sub(r"\W", "_", page.stem)
    module = ModuleType(f"page_{name}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # classes of the page can be pickled and resolved
    await run(str(page), page.read_text(encoding="utf-8"), module)


def test_the_readme_has_code() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert any(PYTHON.match(block.info) for block in blocks(readme))


SAMPLE = """
```python
import asyncio
x = 1
```

- An item.

    ```python title="notes.py"
    await asyncio.sleep(0)
    y = x + 1
    ```

```sql
SELECT
```
"""


async def test_blocks_share_a_namespace_and_may_await() -> None:
    module = ModuleType("page_example")
    assert await run("example.md", SAMPLE, module) == 2
    assert module.y == 2


@pytest.mark.parametrize("info", ["python no-run", "py", "pycon", "{.python}", "python3"])
async def test_no_block_may_opt_out(info: str) -> None:
    with pytest.raises(AssertionError, match="every block runs"):
        await run("example.md", f"```{info}\nx = 1\n```\n", ModuleType("page_example"))


async def test_an_error_names_the_line_of_the_page() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        await run("example.md", "# Title\n\n```python\nx = 1\n1 / 0\n```\n", ModuleType("page_example"))
    assert caught.traceback[-1].lineno == 4  # counted from 0
