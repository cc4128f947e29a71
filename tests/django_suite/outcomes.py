"""What the outcomes of a run mean: passed, declared, not judged, or a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.django_suite.declared import DIFFERENT, FAULT, INTERNAL, MISSING, Declared
from tests.django_suite.differences import DECLARED

PASSED, NOT_JUDGED = "passed", "not judged"


@dataclass
class Judged:
    """The outcomes of an area on a database."""

    area: str
    counts: Counter[str] = field(default_factory=Counter)
    """The number of methods by `PASSED`, `DIFFERENT`, `MISSING`, `FAULT` and `NOT_JUDGED`."""
    reasons: dict[str, list[str]] = field(default_factory=dict)
    """The tests that are declared, by reason."""
    faults: list[str] = field(default_factory=list)
    """Failures that nothing declares, and declarations that are out of date: with these the run fails."""

    @property
    def judged(self) -> int:
        """The number of methods that say something about `orm`."""
        return sum(count for kind, count in self.counts.items() if kind != NOT_JUDGED)


def judge(area: str, database: str, outcomes: Iterable[dict[str, Any]]) -> Judged:
    """Compare the outcomes of an area with what is declared for the database."""
    result = Judged(area)
    declarations = [each for each in DECLARED if database in each.databases]
    used: set[tuple[str, str]] = set()
    for outcome in outcomes:
        test, status = outcome["test"], outcome["status"]
        declared, pattern = _declaration(declarations, test)
        if status == "passed":
            result.counts[PASSED] += 1
            # What is not judged may depend on how the server was built.
            if declared is not None and pattern == test and declared.kind != INTERNAL:
                what = (
                    "a known fault, and mended: remove it from open_faults.py" if declared.kind == FAULT else "declared"
                )
                result.faults.append(f"{test} passes on {database}, and is {what} ({declared.reason})")
            continue
        if status != "failed":
            result.counts[NOT_JUDGED] += 1
            continue
        kind, reason = "", ""
        if declared is not None:
            kind, reason = declared.kind, declared.reason
            used.add((declared.reason, pattern))
        elif outcome["error"] == "MissingFeature":
            kind, reason = _feature(declarations, outcome["message"])
        elif outcome["error"] == "DjangoInternal":
            kind, reason = INTERNAL, "Django's internals"
        if not kind:
            what = f"{outcome['error']}: {outcome['message']}"
            result.faults.append(f"{test} fails on {database}, undeclared\n    {what[:1000]}\n    {outcome['where']}")
        else:
            result.reasons.setdefault(reason, []).append(test)
        result.counts[NOT_JUDGED if kind == INTERNAL else kind or FAULT] += 1
    for declared in declarations:
        for pattern in declared.tests:
            if pattern.split(".")[0] == area and (declared.reason, pattern) not in used and "*" in pattern:
                result.faults.append(f"{pattern}: nothing of it fails on {database}; it is declared: {declared.reason}")
    return result


def _declaration(declarations: list[Declared], test: str) -> tuple[Declared | None, str]:
    """The declaration of a test, and its pattern: one that names the test itself comes first."""
    matches = [(each, pattern) for each in declarations for pattern in each.tests if fnmatchcase(test, pattern)]
    return max(matches, key=lambda match: (match[1] == test, len(match[1])), default=(None, ""))


def _feature(declarations: list[Declared], message: str) -> tuple[str, str]:
    """The kind and the reason of a missing feature."""
    for declared in declarations:
        if message.startswith(declared.features):
            return declared.kind, declared.reason
    return "", ""


__all__ = ["DIFFERENT", "FAULT", "MISSING", "NOT_JUDGED", "PASSED", "Judged", "judge"]
