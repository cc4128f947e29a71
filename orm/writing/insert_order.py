"""The order in which new rows that reference each other are inserted: parents first, in few statements."""

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
    """The new row `child` references the new row `parent` with `relation`. Both are positions in a list of rows.

    `key_known`: the parent's key is known before it is inserted, so one statement can insert both, the parent first.
    """

    child: int
    relation: ForwardRelation
    parent: int
    key_known: bool


def arrange(infos: Sequence[ModelInfo], dependencies: Sequence[Dependency]) -> tuple[list[list[int]], list[Dependency]]:
    """Arrange rows in batches to insert one after the other, each of one model: lists of positions in `infos`.

    `infos` are the models of the rows. In a cycle of references, a nullable foreign key is inserted as NULL; the second
    value returned are the dependencies whose foreign key must be set at the end. Raises `QueryError` for a cycle of
    foreign keys that may not be null.
    """
    active = [each for each in dependencies if not (each.key_known and each.child == each.parent)]
    deferred: list[Dependency] = []
    while cycles := _cycles(len(infos), active):
        broken = {each for cycle in cycles for each in _broken_dependencies(cycle)}
        deferred += [each for each in active if each in broken]
        active = [each for each in active if each not in broken]
    return _batches(infos, active), deferred


def _broken_dependencies(cycle: Sequence[Dependency]) -> Sequence[Dependency]:
    """The dependencies to defer to break a cycle: those of one nullable foreign key, that of the fewest rows."""
    by_relation: dict[ForwardRelation, list[Dependency]] = {}
    for dependency in cycle:
        if dependency.relation.allow_null:
            by_relation.setdefault(dependency.relation, []).append(dependency)
    if by_relation:
        return min(by_relation.values(), key=len)
    by_child = {dependency.child: dependency for dependency in cycle}
    path = [cycle[0]]
    while path[-1].parent not in [each.child for each in path]:
        path.append(by_child[path[-1].parent])
    start = [each.child for each in path].index(path[-1].parent)
    names = ", ".join(each.relation.label for each in path[start:])
    raise QueryError(
        f"These new rows need each other to be inserted first, over foreign keys that may not be null: {names}. "
        "Give one of them allow_null=True, or create the rows one by one."
    )


def _cycles(count: int, dependencies: Sequence[Dependency]) -> list[list[Dependency]]:
    """The dependencies within each strongly connected set of rows: those that all depend on each other."""
    parents: dict[int, list[int]] = defaultdict(list)
    for dependency in dependencies:
        parents[dependency.child].append(dependency.parent)
    component = _components(count, parents)
    cycles: dict[int, list[Dependency]] = defaultdict(list)
    for dependency in dependencies:
        if component[dependency.child] == component[dependency.parent]:
            cycles[component[dependency.child]].append(dependency)
    return list(cycles.values())


def _components(count: int, edges: dict[int, list[int]]) -> list[int]:
    """For each node, the number of its strongly connected component (Tarjan's algorithm, without recursion)."""
    index = [-1] * count
    low_link = [0] * count
    component = [-1] * count
    stack: list[int] = []
    counter = 0
    for start in range(count):
        if index[start] >= 0:
            continue
        walk = [(start, iter(edges.get(start, ())))]
        index[start] = low_link[start] = counter
        counter += 1
        stack.append(start)
        while walk:
            node, successors = walk[-1]
            for successor in successors:
                if index[successor] < 0:
                    index[successor] = low_link[successor] = counter
                    counter += 1
                    stack.append(successor)
                    walk.append((successor, iter(edges.get(successor, ()))))
                    break
                if component[successor] < 0:
                    low_link[node] = min(low_link[node], index[successor])
            else:
                walk.pop()
                if walk:
                    predecessor = walk[-1][0]
                    low_link[predecessor] = min(low_link[predecessor], low_link[node])
                if low_link[node] == index[node]:
                    while True:
                        member = stack.pop()
                        component[member] = node
                        if member == node:
                            break
    return component


def _batches(infos: Sequence[ModelInfo], dependencies: Sequence[Dependency]) -> list[list[int]]:
    """Batches of one model each: one per model, unless its rows depend on each other."""
    pending = [0] * len(infos)
    children: dict[int, list[Dependency]] = defaultdict(list)
    parent_models: dict[ModelInfo, set[ModelInfo]] = defaultdict(set)
    for dependency in dependencies:
        pending[dependency.child] += 1
        children[dependency.parent].append(dependency)
        parent_models[infos[dependency.child]].add(infos[dependency.parent])
    ancestors = {info: _ancestors(info, parent_models) for info in dict.fromkeys(infos)}
    remaining: dict[ModelInfo, int] = defaultdict(int)
    ready: dict[ModelInfo, list[int]] = {info: [] for info in ancestors}
    for position, info in enumerate(infos):
        remaining[info] += 1
        if not pending[position]:
            ready[info].append(position)
    batches: list[list[int]] = []
    while remaining:
        # A model waits until the models that it depends on are complete, unless these depend on it as well.
        candidates = [
            info
            for info in remaining
            if ready[info] and all(other not in remaining or info in ancestors[other] for other in ancestors[info])
        ]
        info = max(candidates, key=lambda info: (len(ready[info]) == remaining[info], len(ready[info])))
        batch = sorted(ready[info])
        ready[info] = []
        for position in batch:  # The batch grows in this loop, by rows whose parents are in the same statement.
            for dependency in children[position]:
                if dependency.key_known:
                    pending[dependency.child] -= 1
                    if not pending[dependency.child]:
                        batch.append(dependency.child)
        for position in batch:
            for dependency in children[position]:
                if not dependency.key_known:
                    pending[dependency.child] -= 1
                    if not pending[dependency.child]:
                        ready[infos[dependency.child]].append(dependency.child)
        batches.append(batch)
        remaining[info] -= len(batch)
        if not remaining[info]:
            del remaining[info]
    return batches


def _ancestors(start: ModelInfo, parent_models: dict[ModelInfo, set[ModelInfo]]) -> set[ModelInfo]:
    """The models that a model depends on, directly or indirectly."""
    ancestors: set[ModelInfo] = set()
    pending = [start]
    while pending:
        for info in parent_models.get(pending.pop(), ()):
            if info not in ancestors:
                ancestors.add(info)
                pending.append(info)
    return ancestors
