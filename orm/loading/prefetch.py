"""Prefetching: after a query's rows come those that belong to them, by one query for each branch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.database.dialects import dialect_of
from orm.garbage import paused
from orm.loading.linking import (
    attach_many,
    attach_one,
    attach_owner,
    far_fields,
    group,
    is_owned,
    keys_of,
    near_fields,
    not_loaded,
    related_to,
)
from orm.loading.tree import Branch, Withheld
from orm.planning.belonging import belonging
from orm.planning.projection import Instances, Projection, Relations
from orm.planning.query import Query
from orm.relations import FORWARD, ManyToManyEnd
from orm.relations.loaded import PREFETCHED, RAISING

if TYPE_CHECKING:
    from orm.models import Model


def prepared(query: Query) -> Query:
    """The query with the columns that its branches are attached by, whatever ``only()`` and ``defer()`` say."""
    projection = query.projection
    if not query.branches or not isinstance(projection, Instances):
        return query
    return query.changed(projection=_needing(projection, (), query.branches))


def _needing(projection: Instances, chain: Relations, branches: Iterable[Branch]) -> Instances:
    for branch in branches:
        projection = projection.needing(chain, near_fields(branch.relation))
        further = (*chain, branch.relation)
        if further in projection.related:
            projection = _needing(projection, further, branch.branches)  # type: ignore[arg-type]
    return projection


async def complete(query: Query, rows: Sequence[Any], using: databases.Database | None) -> None:
    """Give the rows of a query what it says comes along with them. `using` is the database it was told to use."""
    if not rows or not isinstance(query.projection, Instances):
        return
    if using is not None:
        mark(rows, query.projection, using)
    if query.withheld:
        withhold(rows, query.withheld)
    if query.owner is not None:
        attach_owner(*query.owner, rows)
    if query.branches:
        await load_branches(query.branches, rows, using)


def mark(rows: Iterable[Any], projection: Projection, using: databases.Database) -> None:
    """Let instances, and those joined to them, remember a database that is not their registry's."""
    if isinstance(projection, Instances):
        for chain in ((), *projection.related):
            for instance in _joined(rows, chain):
                instance.__dict__["_database"] = using


def withhold(rows: Iterable[Any], withheld: Iterable[Withheld]) -> None:
    """Make relations of the instances read as empty, or raise."""
    for item in withheld:
        accessor = item.relation.accessor
        for instance in _joined(rows, item.chain):
            own = instance.__dict__
            if item.raises:
                own[RAISING] = own.get(RAISING, frozenset()) | {accessor}
            elif item.relation.many or isinstance(item.relation, FORWARD):
                own.setdefault(PREFETCHED, {})[accessor] = []
            else:
                own[accessor] = None


def _joined(rows: Iterable[Any], chain: Sequence[Any]) -> Iterator[Any]:
    """The instances at the end of joined relations."""
    for row in rows:
        reached = row
        for relation in chain:
            reached = reached and reached.__dict__.get(relation.accessor)
        if reached is not None:
            yield reached


async def load_branches(
    branches: Iterable[Branch], instances: Sequence[Model], using: databases.Database | None
) -> None:
    """Load what hangs on these instances, but for what they have already."""
    for branch in branches:
        relation = branch.relation
        with paused(len(instances)):
            missing = not_loaded(relation, branch.to_attr, instances)
        if missing:
            await _load(branch, missing, using)
        if branch.branches:
            with paused(len(instances)):
                related = related_to(relation, branch.to_attr, instances)
            if related:
                await load_branches(branch.branches, related, branch.database or using)


async def _load(branch: Branch, instances: Sequence[Model], using: databases.Database | None) -> None:
    """Load one branch for instances that have nothing of it."""
    relation = branch.relation
    keys = keys_of(instances, near_fields(relation))
    wanted = [key for key in dict.fromkeys(keys) if key is not None]
    using = branch.database or using
    groups = await _groups(branch, wanted, using) if wanted else {}
    with paused(len(instances) + len(groups)):
        if relation.many:
            shared = len(wanted) < len(keys)  # Then some may have the same rows, and each has a list of its own.
            lists = [[*groups.get(key, ())] if shared else groups.get(key, []) for key in keys]
            projection = branch.query.projection
            assert isinstance(projection, Instances)
            owned = is_owned(relation, projection.related)
            attach_many(relation, branch.to_attr, instances, lists, owned=owned)
        else:
            rows = [found[0] if (found := groups.get(key)) else None for key in keys]
            attach_one(relation, branch.to_attr, instances, rows)


async def _groups(branch: Branch, keys: list[Any], using: databases.Database | None) -> dict[Any, list[Any]]:
    """The rows of a branch by the key of the instance that they belong to."""
    relation = branch.relation
    query = prepared(branch.query.changed(branches=branch.branches))
    database = using or query.info.registry.database
    most = (await dialect_of(database)).max_list
    links: list[Any] = []
    rows: list[Any] = []
    for start in range(0, len(keys), most or len(keys)):
        part = keys[start : start + most] if most else keys
        found = await execution.fetch(belonging(relation, query, part), database)
        with paused(len(found)):
            if isinstance(relation, ManyToManyEnd):
                links += [link for link, _ in found]
                found = [row for _, row in found]
            else:
                links += keys_of(found, far_fields(relation))
        rows += found
    await complete(query.changed(branches=()), rows, using)
    with paused(len(rows)):
        return group(links, rows)
