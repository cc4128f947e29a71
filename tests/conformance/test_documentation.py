"""`docs/coming-from-django.md` lists what the cases show: the known traps, and every deliberate difference."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from tests.conformance.areas import ALL
from tests.conformance.differences import ANSWERS, FEWER, STATEMENTS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "coming-from-django.md").read_text(encoding="utf-8")
POINTS = range(1, 12)


def section(title: str) -> str:
    """The part of the page under a heading."""
    _, heading, rest = PAGE.partition(f"\n## {title}\n")
    assert heading, f"the page has no section {title!r}"
    return rest.partition("\n## ")[0]


def bullets(text: str) -> list[str]:
    """The points of its lists, each in one line."""
    bullets = re.findall(r"^- (.*(?:\n  .*)*)", text, re.MULTILINE)
    return [re.sub(r"\s+", " ", bullet) for bullet in bullets]


def test_trap_in_docs_names_the_areas_with_its_cases() -> None:
    told = {
        int(number): set(areas.split(", "))
        for number, areas in re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", section("The known traps"), re.MULTILINE)
    }
    shown: dict[int, set[str]] = defaultdict(set)
    for case in ALL:
        if case.point:
            shown[case.point].add(case.area)
    assert set(told) == set(POINTS)
    assert told == shown


def test_trap_has_several_cases() -> None:
    for point in POINTS:
        assert len([case for case in ALL if case.point == point]) >= 5, point


def test_reasons_of_cases_are_those_of_the_table() -> None:
    assert {reason for case in ALL for reason in case.differs.values()} == set(ANSWERS)
    assert {case.statements for case in ALL if case.statements} == set(STATEMENTS)
    assert {case.fewer for case in ALL if case.fewer} == set(FEWER)


def test_docs_list_exactly_the_differences_of_the_table() -> None:
    listed = bullets(section("Deliberate differences"))
    told = (ANSWERS | STATEMENTS | FEWER).values()
    untold = [words for words in told if not any(words in bullet for bullet in listed)]
    assert untold == []
    unshown = [bullet for bullet in listed if not any(words in bullet for words in told)]
    assert unshown == []
