"""No page and no error names a package of PyPI's that is another one: `orm` 0.3.1."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
INSTALLS_BY_NAME = re.compile(r"pip install[^`\n]*(?<![/.\w-])orm(?![\w/-])")


def test_nothing_says_to_install_orm_by_its_name() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("orm/**/*.py")]
    told = [
        f"{page.relative_to(ROOT)}: {match[0]}"
        for page in pages
        for match in INSTALLS_BY_NAME.finditer(page.read_text())
    ]
    assert len(pages) > 100 and not told
    assert INSTALLS_BY_NAME.search("pip install 'orm[sqlite]'") and INSTALLS_BY_NAME.search("pip install orm")
    assert not INSTALLS_BY_NAME.search("pip install '/path/to/orm[sqlite]'")
    readme = (ROOT / "README.md").read_text()
    assert "not on PyPI" in readme and "pip install '.[sqlite]'" in readme
