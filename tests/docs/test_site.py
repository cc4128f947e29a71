"""The site that Zensical builds: its links lead somewhere, its search and its reference have what people look for."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

import orm
from tests.docs.test_docs import ROOT

REPOSITORY = "https://example.org/orm/orm"
ASKED = ["pagination", "page numbers", "index", "soft delete", "retry", "install", "migration", "bulk", "repository"]
IN_TABLES = {"CASCADE", "NO_ACTION", "RESTRICT", "SET_DEFAULT", "SET_NULL", "ONE", "PEERS", "RAISE", "ValidationError"}
"""Constants, and a class of typesystem's, which the reference names in its text."""


class Site(NamedTuple):
    """The folder of a built site, and what `zensical` printed."""

    folder: Path
    printed: str


class Links(HTMLParser):
    """The anchors of a page, and where its elements lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.targets.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    done = subprocess.run(
        [Path(sys.executable).parent / "zensical", "build", "--strict"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "", "REPOSITORY_URL": REPOSITORY},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Site(folder / "site", done.stdout + done.stderr)


def pages_of(site: Site) -> dict[Path, Links]:
    return {
        path.resolve(): Links(path.read_text(encoding="utf-8"))
        for path in site.folder.rglob("*.html")
        if path.name != "404.html"  # its links begin at the site's root, wherever that will be
    }


def test_no_link_of_the_site_leads_nowhere(site: Site) -> None:
    pages = pages_of(site)
    lost = []
    for path, page in pages.items():
        for link in page.targets:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (
                url.fragment and target in pages and unquote(url.fragment) not in pages[target].anchors
            ):
                lost.append(f"{path.relative_to(site.folder.resolve())}: {link}")
    assert len(pages) > 60 and not lost


def test_pages_load_nothing_from_elsewhere(site: Site) -> None:
    loads = re.compile(
        r"<(?:script|img|iframe)[^>]+src=\"(https?:[^\"]+)|<link[^>]+rel=\"?stylesheet[^>]+href=\"(https?:[^\"]+)"
    )
    for path in site.folder.rglob("*.html"):
        assert not loads.findall(path.read_text(encoding="utf-8")), path


def test_pages_link_to_the_next_and_to_the_repository(site: Site) -> None:
    text = (site.folder / "queries" / "index.html").read_text(encoding="utf-8")
    assert text.count('class="md-footer__link ') == 2
    assert f'href="{REPOSITORY}"' in text


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"^ +- [^\n]*?: ([\w/-]+\.md)$", text, re.MULTILINE)
    there = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(there)


@pytest.mark.parametrize("asked", ASKED)
def test_the_search_finds(site: Site, asked: str) -> None:
    index: dict[str, Any] = json.loads((site.folder / "search.json").read_text(encoding="utf-8"))
    words = asked.split()
    hits = [
        item["location"]
        for item in index["items"]
        if all(
            re.search(
                rf"\b{word}", html.unescape(re.sub(r"<[^>]+>", "", f"{item['title']} {item['text']}")), re.IGNORECASE
            )
            for word in words
        )
    ]
    assert hits
    assert any(not hit.startswith("reference/") for hit in hits), "only the reference has it"


def test_titles_in_the_search_are_text(site: Site) -> None:
    index: dict[str, Any] = json.loads((site.folder / "search.json").read_text(encoding="utf-8"))
    assert not [item["title"] for item in index["items"] if "<small" in item["title"]]


def test_the_reference_has_every_public_name(site: Site) -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
    for name in sorted(set(orm.__all__)):
        assert re.search(rf"^::: orm\.{name}$|`orm\.{name}`", text, re.MULTILINE), (
            f"orm.{name} is on no page of the reference"
        )
    anchors = set().union(*(page.anchors for page in pages_of(site).values()))
    named = {name for name in orm.__all__ if re.search(rf"^::: orm\.{name}$", text, re.MULTILINE)}
    assert {f"orm.{name}" for name in named} <= anchors
    assert set(orm.__all__) - named - IN_TABLES == {
        name for name in orm.__all__ if isinstance(getattr(orm, name), orm.Signal)
    }
    assert {"orm.QuerySet.paginate", "orm.Session.commit", "orm.functions.Lower"} <= anchors
