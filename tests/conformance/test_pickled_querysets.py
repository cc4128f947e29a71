"""The querysets of all cases are pickled, and ask the same when they are unpickled."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

import orm
from orm.queryset.queryset import QuerySet
from tests.conformance import orm_side
from tests.conformance.areas import ALL
from tests.conformance.cases import Case
from tests.conformance.compare import OURS


@pytest.fixture
def importable_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the models attributes of their module, as those of applications are."""
    for name, model in vars(orm_side.m).items():
        monkeypatch.setattr(orm_side, name, model, raising=False)


def queryset_of(case: Case) -> QuerySet[Any, Any] | None:
    """The case's queryset; None if it has none that can be made without a database."""
    try:
        result = case.query(orm_side.m, orm_side.o)
        if inspect.isgenerator(result):
            result = next(result, None)
    except (*OURS, AttributeError, TypeError, IndexError):
        return None
    if inspect.iscoroutine(result):
        result.close()
    return result if isinstance(result, QuerySet) else None


@pytest.mark.parametrize("area", sorted({case.area for case in ALL}))
@pytest.mark.usefixtures("importable_models")
def test_queryset_of_each_case_asks_the_same_after_it_was_pickled(area: str) -> None:
    orm.plan_cache_clear()
    for case in ALL:
        queryset = queryset_of(case) if case.area == area else None
        if queryset is None:
            continue
        again = pickle.loads(pickle.dumps(queryset))
        assert again._query.key == queryset._query.key, case.name
        assert again._query.values == queryset._query.values, case.name
        assert type(again) is type(queryset)
