"""The table of a run, and the page `docs/django-suite.md`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.django_suite.archive import ROOT, VERSION
from tests.django_suite.declared import DATABASES, DIFFERENT, FAULT, MISSING
from tests.django_suite.differences import DECLARED
from tests.django_suite.outcomes import PASSED, Judged

PAGE = ROOT / "docs" / "django-suite.md"
KINDS = (PASSED, DIFFERENT, MISSING, FAULT)
INTRODUCTION = f"""# Django's own tests

Django's tests of its ORM run on `orm`, unchanged but for a few lines: `make django-suite` fetches those of Django
{VERSION} from its source distribution, puts `orm` in place of `django.db` by a shim, runs them on each database, and
writes this page. The suite runs in CI: all of it on SQLite, a part on the servers. A test that fails and is not listed
here fails the build, and so does one that is listed and passes.

**Passed**: the test judges rows, values, or that a call is refused. Whether the error has Django's class and message,
and the number of statements, are not judged here but in the [conformance
suite](coming-from-django.md#deliberate-differences). **Different**: on purpose, as documented. **Missing**: a feature
that `orm` does not have, or that the shim does not translate from Django's API. Tests of Django's internals (its
compiler, its caches, the text of its SQL, its registry of apps, forms and views) say nothing about `orm`, and are not
counted.
"""


def table(results: Mapping[str, Judged]) -> str:
    """The areas of a database, with their numbers, as plain text."""
    rows = [("area", "judged", *KINDS)]
    total: Counter[str] = Counter()
    for area, result in results.items():
        rows.append((area, str(result.judged), *(str(result.counts[kind]) for kind in KINDS)))
        total.update(result.counts)
    rows.append(("all", str(sum(total[kind] for kind in KINDS)), *(str(total[kind]) for kind in KINDS)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def write_page(results: Mapping[str, Mapping[str, Judged]], versions: Mapping[str, str], page: Path = PAGE) -> None:
    """Write the page from the results of every database."""
    page.write_text(_page(results, versions), encoding="utf-8")


def _page(results: Mapping[str, Mapping[str, Judged]], versions: Mapping[str, str]) -> str:
    lines = [
        INTRODUCTION,
        "| database | judged | passed | different | missing | faults |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for database, areas in results.items():
        total: Counter[str] = Counter()
        for result in areas.values():
            total.update(result.counts)
        lines.append(_row(versions[database], total))
    lines += ["", "## By area, on SQLite", "", "| area | judged | passed | different | missing | faults |"]
    lines.append("| --- | --: | --: | --: | --: | --: |")
    lines += [_row(f"`{area}`", result.counts) for area, result in results["sqlite"].items()]
    reasons = _reasons(results)
    for kind, title in ((DIFFERENT, "Different on purpose"), (MISSING, "Missing"), (FAULT, "Known faults")):
        if not any(declared.kind == kind for declared in DECLARED):
            continue
        lines += ["", f"## {title}", ""]
        for declared in DECLARED:
            if declared.kind == kind:
                lines += _listed(declared.reason, reasons.get(declared.reason, []))
    return "\n".join(lines).rstrip() + "\n"


def _row(name: str, counts: Counter[str]) -> str:
    numbers = [sum(counts[kind] for kind in KINDS), *(counts[kind] for kind in KINDS)]
    return f"| {name} | {' | '.join(map(str, numbers))} |"


def _reasons(results: Mapping[str, Mapping[str, Judged]]) -> dict[str, list[str]]:
    """The tests of every reason, on any database."""
    reasons: dict[str, dict[str, None]] = {}
    for database in DATABASES:
        for result in results.get(database, {}).values():
            for reason, tests in result.reasons.items():
                reasons.setdefault(reason, {}).update(dict.fromkeys(tests))
    return {reason: list(tests) for reason, tests in reasons.items()}


def _listed(reason: str, tests: Iterable[str]) -> list[str]:
    """A reason and its tests, without the module, as an item of a list."""
    names = [".".join([test.partition(".")[0], *test.rsplit(".", 2)[1:]]) for test in tests]
    return [f"- {reason}", "", f"    {len(names)}: {', '.join(f'`{name}`' for name in names)}", ""] if names else []
