"""Trees of Q objects, compared with the same tree evaluated in Python: a condition is never true for NULL."""

from __future__ import annotations

import re
from functools import reduce
from operator import and_, or_, xor
from typing import Any, NamedTuple

import databases
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orm
from orm.database.connections.database import Database
from tests.sample_models import players as world_module
from tests.sample_models.players import PLAYERS, Player, Team, value_at

pytestmark = pytest.mark.anyio

Row = dict[str, Any]


class Leaf(NamedTuple):
    """One lookup."""

    path: str
    lookup: str
    value: Any

    def holds(self, row: Row) -> bool:
        found = value_at(row, self.path)
        if self.lookup == "isnull":
            return (found is None) is self.value
        if self.lookup == "exact" and self.value is None:
            return found is None
        if found is None:
            return False
        value = self.value
        if self.lookup == "range":
            return bool(value[0] <= found <= value[1])
        if self.lookup == "in":
            return found in [item for item in value if item is not None]
        tests = {
            "exact": lambda: found == value,
            "gt": lambda: found > value,
            "gte": lambda: found >= value,
            "lt": lambda: found < value,
            "lte": lambda: found <= value,
            "contains": lambda: value in found,
            "startswith": lambda: found.startswith(value),
            "icontains": lambda: value.lower() in found.lower(),
            "regex": lambda: re.search(value, found) is not None,
        }
        return bool(tests[self.lookup]())

    def q(self) -> orm.Q:
        return orm.Q(**{f"{self.path}__{self.lookup}": self.value})


class FieldLeaf(NamedTuple):
    """A comparison of two columns."""

    path: str
    lookup: str
    other: str

    def holds(self, row: Row) -> bool:
        left, right = value_at(row, self.path), value_at(row, self.other)
        if left is None or right is None:
            return False
        return bool(left < right) if self.lookup == "lt" else bool(left == right)

    def q(self) -> orm.Q:
        return orm.Q(**{f"{self.path}__{self.lookup}": orm.F(self.other)})


class Tree(NamedTuple):
    """Conditions combined, negated or not."""

    operation: str
    children: tuple[Any, ...]
    negated: bool

    def holds(self, row: Row) -> bool:
        truths = [child.holds(row) for child in self.children]
        joined = {"&": all, "|": any, "^": lambda found: sum(found) % 2 == 1}[self.operation](truths)
        return bool(joined) ^ self.negated

    def q(self) -> orm.Q:
        parts: list[orm.Q] = [child.q() for child in self.children]
        joined = reduce({"&": and_, "|": or_, "^": xor}[self.operation], parts)
        return ~joined if self.negated else joined


NUMBERS = ("score", "rank", "team__org__size", "home__org__size", "home__league__size", "team__league__size")
TEXTS = ("name", "nick", "team__name", "home__name", "team__org__name", "home__league__name", "home__org__name")
RELATIONS = ("team", "team__org", "home__org", "team_id", "home")
numbers = st.sampled_from([None, -5, 0, 1, 3, 5, 7, 10, 30, 2**70])
texts = st.sampled_from(["", "a", "A", "1", "Acme", "acme", "Red", "Zed", "%", "_"])
a_number = numbers.filter(lambda value: value is not None)
leaves = st.one_of(
    st.builds(Leaf, st.sampled_from(NUMBERS), st.just("exact"), numbers),
    st.builds(Leaf, st.sampled_from(NUMBERS), st.sampled_from(["gt", "gte", "lt", "lte"]), a_number),
    st.builds(Leaf, st.sampled_from(NUMBERS), st.just("in"), st.lists(numbers, max_size=3)),
    st.builds(Leaf, st.sampled_from(NUMBERS), st.just("range"), st.tuples(a_number, a_number)),
    st.builds(Leaf, st.sampled_from(TEXTS), st.sampled_from(["exact", "contains", "startswith", "icontains"]), texts),
    st.builds(Leaf, st.sampled_from(TEXTS), st.just("in"), st.lists(texts, max_size=3)),
    st.builds(Leaf, st.sampled_from(TEXTS), st.just("regex"), st.sampled_from(["^A", "e", "[0-9]"])),
    st.builds(Leaf, st.sampled_from(NUMBERS + TEXTS + RELATIONS), st.just("isnull"), st.booleans()),
    st.builds(Leaf, st.sampled_from(RELATIONS), st.just("exact"), st.sampled_from([None, 1, 2, 3])),
    st.builds(FieldLeaf, st.sampled_from(NUMBERS), st.sampled_from(["lt", "exact"]), st.sampled_from(NUMBERS)),
)
trees = st.recursive(
    leaves,
    lambda inner: st.builds(
        Tree, st.sampled_from("&|^"), st.lists(inner, min_size=1, max_size=3).map(tuple), st.booleans()
    ),
    max_leaves=8,
)


async def keys(query: Any) -> list[int]:
    found: list[int] = await query.order_by("id").values_list("id", flat=True)
    return found


async def check(tree: Any, second: Any) -> None:
    """filter() and exclude(), alone and chained, select the rows that Python selects."""
    expected = [row["id"] for row in PLAYERS if tree.holds(row)]
    assert await keys(Player.objects.filter(tree.q())) == expected
    others = [row["id"] for row in PLAYERS if not tree.holds(row)]
    assert await keys(Player.objects.exclude(tree.q())) == others
    both = [row["id"] for row in PLAYERS if not tree.holds(row) and second.holds(row)]
    chained = Player.objects.exclude(tree.q()).filter(second.q())
    assert await keys(chained) == both
    assert await chained.count() == len(both)
    assert await chained.exists() is bool(both)
    together = [row["id"] for row in PLAYERS if not (tree.holds(row) and second.holds(row))]
    assert await keys(Player.objects.exclude(tree.q(), second.q())) == together


@pytest.fixture
async def sqlite_world(sqlite_url: str) -> Any:
    """The sample rows on SQLite only, where queries are quick."""
    async with Database(sqlite_url) as database:
        await world_module.create(database)
        await world_module.fill()
        yield database


@given(tree=trees, second=leaves)
@settings(max_examples=300)
async def test_any_q_tree_selects_the_rows_that_python_selects(sqlite_world: Database, tree: Any, second: Any) -> None:
    await check(tree, second)


@given(tree=trees, second=leaves)
@settings(max_examples=60)
async def test_any_q_tree_selects_the_rows_that_python_selects_on_each_database(
    world: Database, tree: Any, second: Any
) -> None:
    await check(tree, second)


@given(tree=trees)
@settings(max_examples=40)
async def test_any_q_tree_updates_and_deletes_the_rows_that_it_selects(world: Database, tree: Any) -> None:
    expected = [row["id"] for row in PLAYERS if tree.holds(row)]
    others = [row["id"] for row in PLAYERS if not tree.holds(row)]
    async with world.transaction(force_rollback=True):
        assert await Player.objects.filter(tree.q()).update(rank=777) == len(expected)
        assert await keys(Player.objects.filter(rank=777)) == expected
    async with world.transaction(force_rollback=True):
        assert await Player.objects.filter(tree.q()).delete() == len(expected)
        assert await keys(Player.objects.all()) == others


# The same in plain words.


async def test_exclude_keeps_rows_with_a_null_value_or_relation(any_world: databases.Database) -> None:
    assert await keys(Player.objects.exclude(score=10)) == [2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13]
    assert await keys(Player.objects.exclude(team__org__name="Acme")) == [3, 4, 5, 6, 7, 8, 9, 10, 12, 13]
    assert await keys(Player.objects.filter(~orm.Q(team__org__name="Acme"))) == [3, 4, 5, 6, 7, 8, 9, 10, 12, 13]
    assert await keys(Player.objects.exclude(team__name="Red", score=10)) == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert await keys(Player.objects.filter(Player.score != 10)) == await keys(Player.objects.exclude(score=10))


async def test_or_across_a_nullable_relation_keeps_rows_without_one(any_world: databases.Database) -> None:
    query = Player.objects.filter(orm.Q(team__org__name="Acme") | orm.Q(rank=5))
    assert await keys(query) == [1, 2, 5, 11, 14]
    query = Player.objects.filter(orm.Q(team__org__name__isnull=True) & (orm.Q(rank=5) | orm.Q(team__name="Blue")))
    assert await keys(query) == [3, 5, 10, 13]


async def test_and_of_conditions_on_a_relation_is_an_inner_join(world: Database) -> None:
    assert "LEFT" not in str(Player.objects.filter(team__org__name="Acme").sql)
    assert "LEFT" in str(Player.objects.filter(orm.Q(team__name="Red") | orm.Q(rank=5)).sql)
    assert "LEFT" in str(Player.objects.exclude(team__name="Red").sql)


async def test_isnull_across_relations_keeps_rows_without_one(any_world: databases.Database) -> None:
    assert await keys(Player.objects.filter(team__name__isnull=True)) == [5, 6, 12]
    assert await keys(Player.objects.filter(team__org__name__isnull=True)) == [3, 5, 6, 10, 12, 13]
    assert await keys(Player.objects.filter(team__org__isnull=True, team__isnull=False)) == [3, 10, 13]


async def test_empty_q_is_no_condition(world: Database) -> None:
    everyone = [row["id"] for row in PLAYERS]
    for empty in (orm.Q(), orm.Q() & orm.Q(), orm.Q() | orm.Q(), ~orm.Q()):
        assert await keys(Player.objects.filter(empty)) == everyone
        assert await keys(Player.objects.exclude(empty)) == everyone
    assert await keys(Player.objects.filter(orm.Q() | orm.Q(rank=1))) == [1]
    assert await keys(Player.objects.filter(orm.Q(rank=1) & orm.Q())) == [1]
    assert await keys(Player.objects.exclude()) == everyone
    assert await keys(Player.objects.filter()) == everyone


async def test_q_combines_lookups_comparisons_and_clauses(any_world: databases.Database) -> None:
    tree = (Player.rank > 3) & orm.Q(team__name="Red") | ~(Player.columns.name != "Bob")
    assert await keys(Player.objects.filter(tree)) == [3, 11, 14]
    assert await keys(Player.objects.filter(orm.Q(Player.columns.rank < 3, Player.team.name == "Red"))) == [1, 2]
    assert await keys(Player.objects.exclude(orm.Q(Player.columns.rank > 3) | orm.Q(rank=1))) == [2, 3]


async def test_q_can_be_reused(world: Database) -> None:
    red = orm.Q(team__name="Red")
    first = await keys(Player.objects.filter(red))
    assert await keys(Player.objects.exclude(~red)) == first
    assert await keys(Player.objects.filter(red & orm.Q(rank__gt=0))) == first
    assert await keys(Player.objects.filter(team__in=Team.objects.filter(orm.Q(name="Red")))) == first
    assert await keys(Player.objects.filter(red)) == first
