"""Cache keys and values of queries: the keys are equal if and only if the shapes are."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

import orm
from tests.sample_models.players import Org, Player, Team

P = Player.objects
C = Player.columns


def key(query: Any) -> Any:
    return query._query.key


# Each of these is a shape of its own.
SHAPES: list[Any] = [
    P.all(),
    P.filter(rank=1),
    P.filter(score=1),
    P.filter(rank__gt=1),
    P.filter(rank__gte=1),
    P.filter(rank__in=[1]),
    P.filter(rank__isnull=True),
    P.filter(rank__isnull=False),
    P.exclude(rank=1),
    P.filter(rank=1, score=1),
    P.filter(orm.Q(rank=1) | orm.Q(score=1)),
    P.filter(orm.Q(rank=1) ^ orm.Q(score=1)),
    P.filter(~(orm.Q(rank=1) | orm.Q(score=1))),
    P.filter(name="x"),
    P.filter(name__contains="x"),
    P.filter(name__icontains="x"),
    P.filter(name__icontains="ä"),
    P.filter(nick="x"),
    P.filter(team__name="x"),
    P.filter(home__name="x"),
    P.filter(team__org__name="x"),
    P.filter(team__league__name="x"),
    P.filter(team=1),
    P.filter(team__in=Team.objects.all()),
    P.filter(team__in=Team.objects.filter(name="x")),
    P.filter(team__in=Team.objects.filter(name="x")[:3]),
    P.filter(rank=orm.F("score")),
    P.filter(rank=orm.F("id")),
    P.filter(rank=orm.F("score") + 1),
    P.filter(rank=orm.F("score") - 1),
    P.filter(rank=orm.F("score") + 1.5),
    P.filter(C.rank == 1),
    P.filter(C.rank != 1),
    P.filter(C.score == 1),
    P.filter(C.rank.in_([1])),
    P.filter(sqlalchemy.text("rank = 1")),
    P.order_by("rank"),
    P.order_by("-rank"),
    P.order_by("rank", "id"),
    P.order_by(Player.rank.asc(nulls_first=True)),
    P.order_by(Player.rank.asc(nulls_last=True)),
    P.order_by("team__name"),
    P.limit(1),
    P.offset(1),
    P.limit(1).offset(1),
    P.distinct(),
    P.select_related("team"),
    P.select_related("team__org"),
    P.select_related("home"),
    P.only("name"),
    P.only("rank"),
    P.defer("name"),
    P.values("id"),
    P.values("name"),
    P.values("id", "name"),
    P.values("name", "id"),
    P.values(x=Player.rank),
    P.values(y=Player.rank),
    P.values_list("id"),
    P.values_list("id", flat=True),
    P.values_list("id", named=True),
    Org.objects.all(),
    Org.objects.order_by(),
    Team.objects.all(),
    Team.objects.filter(id=1),
]


def test_key_of_different_shapes_differs() -> None:
    for (i, left), (j, right) in itertools.combinations(enumerate(SHAPES), 2):
        assert key(left) != key(right), (i, j, str(left), str(right))
    assert len({hash(key(query)) for query in SHAPES}) >= len(SHAPES) - 2


@given(first=st.tuples(st.integers(), st.text()), second=st.tuples(st.integers(), st.text()))
def test_key_of_different_values_is_the_same(first: tuple[int, str], second: tuple[int, str]) -> None:
    small = -(2**63), 2**63 - 1
    pairs = []
    for number, text in (first, second):
        bounded = max(small[0], min(small[1], number))
        query = P.filter(
            orm.Q(rank=bounded) | orm.Q(name=text),
            rank__lt=orm.F("score") + bounded,
            name__contains=text,
            id__in=[bounded] * (abs(number) % 5 + 1),
        ).filter(C.name == text)
        pairs.append((key(query), query._query.values))
    assert pairs[0][0] == pairs[1][0]
    assert hash(pairs[0][0]) == hash(pairs[1][0])
    assert pairs[0][1].count(first[1]) >= 2


def test_values_are_in_the_order_of_the_placeholders() -> None:
    query = (
        P.filter(rank=11, name="twelve")
        .exclude(score__in=[13, 14])
        .filter(C.rank > 15, orm.Q(rank__range=(16, 17)))
        .order_by(Player.rank + 18)
        .values("id", next=Player.rank + 10)[20:30]
    )
    assert query._query.values == (10, 11, "twelve", (13, 14), 15, 16, 17, 18, 10, 20)


def test_key_of_an_equal_query_is_the_same() -> None:
    def make() -> Any:
        return (
            P.filter(team__org__name__icontains="x").exclude(rank__in=[1]).select_related("team").order_by("-rank")[:3]
        )

    assert key(make()) == key(make())
    assert make()._query.values == make()._query.values


def test_key_has_the_terms_of_an_empty_in_beside_an_aggregate() -> None:
    groups = P.values("rank").annotate(n=orm.Count("id"))
    either = [
        *(groups.filter(orm.Q(n=1) | orm.Q(name__in=names)) for names in ([], ["a"])),
        groups.filter(orm.Q(n=1) | orm.Q(score__in=[])),
        groups.filter(~orm.Q(n__in=[]), ~orm.Q(name__in=[])),
        groups.exclude(n__in=[], name__in=[]),
    ]
    assert len({key(query) for query in either}) == len(either)
    assert key(groups.filter(orm.Q(n=1) | orm.Q(name__in=[]))) == key(groups.filter(orm.Q(n=7) | orm.Q(name__in=())))
    # Of rows it says nothing at all.
    assert key(P.filter(~orm.Q(name__in=[]))) == key(P.all())
    assert key(P.filter(orm.Q(rank=1) | orm.Q(name__in=[]))) == key(P.filter(rank=1))


def test_clause_without_a_cache_key_is_planned_each_time() -> None:
    class Odd(sqlalchemy.sql.functions.FunctionElement[bool]):
        inherit_cache = False
        type = sqlalchemy.Boolean()

    clause = Odd(C.rank)
    assert key(P.filter(clause)) != key(P.filter(clause))


@pytest.mark.parametrize("value", [1, 1.0, True, "1"])
def test_value_is_converted_to_its_field_s_type_before_it_is_bound(value: Any) -> None:
    assert P.filter(rank=value)._query.values == (1,)
    assert type(P.filter(rank=value)._query.values[0]) is int


def test_replace_recomputes_derived_values() -> None:
    query = P.filter(rank=1).order_by("id")._query
    before = query.key, query.values, query.order, query.conditions
    other = P.filter(score=2).order_by("-id")[:3]._query
    changed = query.replace(where=other.where, ordering=other.ordering, stop=3)
    assert (changed.key, changed.values) == (other.key, other.values)
    assert (changed.order, changed.conditions) == (other.ordering, (other.where, *before[3][1:]))
    assert (query.key, query.values, query.order, query.conditions) == before
