"""Sessions beside SQLAlchemy's: the same behaviours on the same rows, with the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

import orm
from tests.sessions.behaviours import CASES
from tests.sessions.behaviours.cases import Case
from tests.sessions.two_sides import ours, theirs


async def run_theirs(case: Case, path: Path) -> Any:
    options: dict[str, Any] = {"expire_on_commit": False, **dict(case.options)}
    async with theirs(path) as side, AsyncSession(side.engine, **options) as session:
        return await case.run(session, side)


async def run_ours(case: Case, database: orm.Database) -> Any:
    side = await ours(database)
    async with orm.Session(database, **dict(case.options)) as session:
        return await case.run(session, side)


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_behaviour_of_a_session_is_that_of_sqlalchemy(case: Case, database: orm.Database, tmp_path: Path) -> None:
    expected = await run_theirs(case, tmp_path / "reference.db")
    actual = await run_ours(case, database)
    if case.differs:
        assert actual != expected, f"no longer different: {actual!r}"
    else:
        assert actual == expected


def test_number_of_behaviours_is_at_least_120() -> None:
    assert len([case for case in CASES if not case.differs]) >= 120
