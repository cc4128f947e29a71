"""The order in which new rows that point at each other are inserted: parents first, in the fewest statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orm.exceptions import QueryError
from orm.relations import ForwardRelation

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo


@dataclass(frozen=True)
class Dependency:
    """The new row `child` points with `relation` at the new row `parent`; both are positions.

    `known`: the key is known already, and one statement can take both rows, the parent first.
    """

    child: int
    relation: ForwardRelation
    parent: int
    known: bool


def arrange(infos: Sequence[ModelInfo], dependencies: Sequence[Dependency]) -> tuple[list[list[int]], list[Dependency]]:
    """Positions of rows in batches of one model, to insert one after the other; and what is to be set afterwards.

    `infos` are the rows' models. Rows that need each other are inserted with a null foreign key, which gets its value
    at the end. Raises `QueryError` for rows that need each other over foreign keys that may not be null.
    """
    active = [one for one in dependencies if not (one.known and one.child == one.parent)]
    late: list[Dependency] = []
    while circles := _circles(len(infos), active):
        postponed = {one for circle in circles for one in _postponed(circle)}
        late += [one for one in active if one in postponed]
        active = [one for one in active if one not in postponed]
    return _batches(infos, active), late


def _postponed(circle: Sequence[Dependency]) -> Sequence[Dependency]:
    """Of dependencies that make a circle, those of one foreign key that may be null, and of the fewest rows."""
    by_relation: dict[ForwardRelation, list[Dependency]] = {}
    for one in circle:
        if one.relation.allow_null:
            by_relation.setdefault(one.relation, []).append(one)
    if by_relation:
        return min(by_relation.values(), key=len)
    onward = {one.child: one for one in circle}
    path = [circle[0]]
    while path[-1].parent not in [one.child for one in path]:
        path.append(onward[path[-1].parent])
    start = [one.child for one in path].index(path[-1].parent)
    names = ", ".join(one.relation.label for one in path[start:])
    raise QueryError(
        f"These new rows need each other to be inserted first, over foreign keys that may not be null: {names}. "
        "Give one of them allow_null=True, or create the rows one by one."
    )


def _circles(count: int, dependencies: Sequence[Dependency]) -> list[list[Dependency]]:
    """The dependencies within each set of rows of which every one depends on every other."""
    leading: dict[int, list[int]] = defaultdict(list)
    for one in dependencies:
        leading[one.child].append(one.parent)
    component = _components(count, leading)
    within: dict[int, list[Dependency]] = defaultdict(list)
    for one in dependencies:
        if component[one.child] == component[one.parent]:
            within[component[one.child]].append(one)
    return list(within.values())


def _components(count: int, leading: dict[int, list[int]]) -> list[int]:
    """For each position the number of its strongly connected component (Tarjan's algorithm, without recursion)."""
    index = [-1] * count
    low = [0] * count
    component = [-1] * count
    open_: list[int] = []
    counter = 0
    for start in range(count):
        if index[start] >= 0:
            continue
        walk = [(start, iter(leading.get(start, ())))]
        index[start] = low[start] = counter
        counter += 1
        open_.append(start)
        while walk:
            node, onward = walk[-1]
            for other in onward:
                if index[other] < 0:
                    index[other] = low[other] = counter
                    counter += 1
                    open_.append(other)
                    walk.append((other, iter(leading.get(other, ()))))
                    break
                if component[other] < 0:
                    low[node] = min(low[node], index[other])
            else:
                walk.pop()
                if walk:
                    before = walk[-1][0]
                    low[before] = min(low[before], low[node])
                if low[node] == index[node]:
                    while True:
                        member = open_.pop()
                        component[member] = node
                        if member == node:
                            break
    return component


def _batches(infos: Sequence[ModelInfo], dependencies: Sequence[Dependency]) -> list[list[int]]:
    """Batches of one model each. A model is done in one go, unless its rows wait for each other."""
    pending = [0] * len(infos)
    children: dict[int, list[Dependency]] = defaultdict(list)
    needs: dict[ModelInfo, set[ModelInfo]] = defaultdict(set)
    for one in dependencies:
        pending[one.child] += 1
        children[one.parent].append(one)
        needs[infos[one.child]].add(infos[one.parent])
    reached = {info: _reached(info, needs) for info in dict.fromkeys(infos)}
    left: dict[ModelInfo, int] = defaultdict(int)
    ready: dict[ModelInfo, list[int]] = {info: [] for info in reached}
    for position, info in enumerate(infos):
        left[info] += 1
        if not pending[position]:
            ready[info].append(position)
    found: list[list[int]] = []
    while left:
        # Not before what it depends on is complete, where that does not depend on it, too.
        possible = [
            info
            for info in left
            if ready[info] and all(other not in left or info in reached[other] for other in reached[info])
        ]
        info = max(possible, key=lambda one: (len(ready[one]) == left[one], len(ready[one])))
        batch = sorted(ready[info])
        ready[info] = []
        for position in batch:  # It grows meanwhile: rows whose parent is in the same statement.
            for one in children[position]:
                if one.known:
                    pending[one.child] -= 1
                    if not pending[one.child]:
                        batch.append(one.child)
        for position in batch:
            for one in children[position]:
                if not one.known:
                    pending[one.child] -= 1
                    if not pending[one.child]:
                        ready[infos[one.child]].append(one.child)
        found.append(batch)
        left[info] -= len(batch)
        if not left[info]:
            del left[info]
    return found


def _reached(start: ModelInfo, needs: dict[ModelInfo, set[ModelInfo]]) -> set[ModelInfo]:
    found: set[ModelInfo] = set()
    todo = [start]
    while todo:
        for info in needs.get(todo.pop(), ()):
            if info not in found:
                found.add(info)
                todo.append(info)
    return found
