"""Runs every case on every database."""

from __future__ import annotations

import pytest

from tests.conformance.areas import ALL
from tests.conformance.cases import KINDS, Case
from tests.conformance.compare import normal, outcomes
from tests.conformance.conftest import Worlds
from tests.conformance.models_and_rows import ROWS

MANY = 400
ABOUT_RELATIONS = {
    "many-to-many queries",
    "many-to-many managers",
    "reverse managers",
    "related instances",
    "prefetches",
    "deletes over relations",
}
MANY_ABOUT_RELATIONS = 120


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.area}: {case.name}")
def test_case_answers_as_django(case: Case, kind: str, worlds: Worlds, request: pytest.FixtureRequest) -> None:
    reference, subject = worlds.get(kind)
    request.node.user_properties += [("database", kind), ("area", case.area)]
    theirs, ours = outcomes(
        reference, subject, case.theirs or case.query, case.query, undo=case.writes, ordered=case.ordered
    )
    outcomes_shown = f"\ntheirs: {theirs}\nours:   {ours}"
    why = case.difference(kind, subject.server)
    if why is not None:
        assert not theirs.same(ours), f"said to differ ({why}), and does not{outcomes_shown}"
    else:
        assert theirs.same(ours), f"the answers differ{outcomes_shown}"
        if not case.statements and theirs.error is None:
            sent, expected = len(ours.statements), len(theirs.statements)
            assert sent == expected or (case.fewer and sent < expected), (
                f"the numbers of statements differ{outcomes_shown}"
            )
    request.node.user_properties.append(("outcome", "equal" if why is None else "different"))


@pytest.mark.parametrize("kind", KINDS)
def test_cases_leave_rows_unchanged(kind: str, worlds: Worlds) -> None:
    for side in worlds.get(kind):
        for name, rows in ROWS.items():
            now, _ = side.run(lambda m, o, name=name: getattr(m, name).objects.order_by("id").values(), undo=False)
            assert normal([{key: row[key] for key in rows[0]} for row in now]) == normal(rows), f"{side}: {name}"


def test_number_of_cases_does_not_fall() -> None:
    assert len(ALL) >= MANY
    assert sum(case.area in ABOUT_RELATIONS for case in ALL) >= MANY_ABOUT_RELATIONS
