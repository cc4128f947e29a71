"""Every case, on every kind of database."""

from __future__ import annotations

import pytest

from tests.conformance.areas import ALL
from tests.conformance.cases import KINDS, Case
from tests.conformance.compare import outcomes
from tests.conformance.conftest import Worlds

MANY = 400


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.area}: {case.name}")
def test_case(case: Case, kind: str, worlds: Worlds, request: pytest.FixtureRequest) -> None:
    reference, subject = worlds.get(kind)
    request.node.user_properties += [("database", kind), ("area", case.area)]
    theirs, ours = outcomes(
        reference, subject, case.theirs or case.query, case.query, undo=case.writes, ordered=case.ordered
    )
    told = f"\ntheirs: {theirs}\nours:   {ours}"
    why = case.differs.get(kind)
    if why is not None:
        assert not theirs.same(ours), f"said to differ ({why}), and does not{told}"
    else:
        assert theirs.same(ours), f"the answers differ{told}"
        if not case.statements and theirs.error is None:
            assert len(ours.statements) == len(theirs.statements), f"the numbers of statements differ{told}"
    request.node.user_properties.append(("outcome", "equal" if why is None else "different"))


def test_there_are_many() -> None:
    assert len(ALL) >= MANY
