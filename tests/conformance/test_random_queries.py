"""Random querysets in both; any difference in rows is a failure.

`--conformance-examples` says how many, over all databases; `--conformance-seed` which. The same seed gives the same.
"""

from __future__ import annotations

import hypothesis
import pytest
from django.core.exceptions import FullResultSet
from hypothesis import HealthCheck, given, reject, settings

from tests.conformance.compare import outcomes
from tests.conformance.conftest import Worlds
from tests.conformance.django_workarounds import Coincidence, repaired
from tests.conformance.random_expressions import queryset_of, querysets
from tests.conformance.random_queries import Spec, Tree, query_of, specs, tree_of, trees

PREFETCHED = 0.2  # so many more, of what is prefetched
SHARES = {"sqlite": 0.7, "postgresql": 0.15, "mysql": 0.15}


@pytest.mark.parametrize("kind", SHARES)
def test_random_querysets_answer_as_django(kind: str, worlds: Worlds, request: pytest.FixtureRequest) -> None:
    reference, subject = worlds.get(kind)
    total = int(request.config.getoption("conformance_examples"))
    asked = 0

    @hypothesis.seed(int(request.config.getoption("conformance_seed")))
    @settings(
        max_examples=max(1, round(total * SHARES[kind])),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(specs(kind))
    def compared(spec: Spec) -> None:
        nonlocal asked
        query = query_of(spec)
        try:
            theirs, ours = outcomes(reference, subject, query, query, undo=False, ordered=spec.end == "slice")
        except Coincidence:
            reject()
        if theirs.error == "database":
            reject()  # MySQL cannot do all that Django sends it.
        asked += 1
        assert theirs.same(ours), f"{spec}\ntheirs: {theirs}\nours:   {ours}"

    request.node.user_properties += [("database", kind), ("area", f"generated, {kind}")]
    try:
        with repaired():
            compared()
    finally:
        request.node.user_properties += [("asked", asked), ("outcome", "equal")]


@pytest.mark.parametrize("kind", SHARES)
def test_random_prefetches_load_as_django(kind: str, worlds: Worlds, request: pytest.FixtureRequest) -> None:
    reference, subject = worlds.get(kind)
    total = int(request.config.getoption("conformance_examples")) * PREFETCHED
    asked = 0

    @hypothesis.seed(int(request.config.getoption("conformance_seed")))
    @settings(
        max_examples=max(1, round(total * SHARES[kind])),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(trees())
    def compared(spec: Tree) -> None:
        nonlocal asked
        query = tree_of(spec)
        theirs, ours = outcomes(reference, subject, query, query, undo=False, ordered=True)
        asked += 1
        assert theirs.same(ours), f"{spec}\ntheirs: {theirs}\nours:   {ours}"
        assert len(ours.statements) == len(theirs.statements), f"{spec}\ntheirs: {theirs}\nours:   {ours}"

    request.node.user_properties += [("database", kind), ("area", f"generated prefetches, {kind}")]
    try:
        compared()
    finally:
        request.node.user_properties += [("asked", asked), ("outcome", "equal")]


@pytest.mark.parametrize("kind", SHARES)
def test_random_expressions_answer_as_django(kind: str, worlds: Worlds, request: pytest.FixtureRequest) -> None:
    reference, subject = worlds.get(kind)
    total = int(request.config.getoption("conformance_examples"))
    asked = 0

    @hypothesis.seed(int(request.config.getoption("conformance_seed")))
    @settings(
        max_examples=max(1, round(total * SHARES[kind])),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(querysets(kind))
    def compared(text: str) -> None:
        nonlocal asked
        query = queryset_of(text)
        try:
            theirs, ours = outcomes(reference, subject, query, query, undo=False, ordered=False)
        except (Coincidence, FullResultSet):
            reject()  # The second is an oversight in Django's conditions on windows.
        if theirs.error is not None and ours.error is None:
            reject()  # What Django cannot do is no reference.
        asked += 1
        assert theirs.same(ours), f"{text}\ntheirs: {theirs}\nours:   {ours}"

    request.node.user_properties += [("database", kind), ("area", f"generated expressions, {kind}")]
    try:
        with repaired():
            compared()
    finally:
        request.node.user_properties += [("asked", asked), ("outcome", "equal")]
