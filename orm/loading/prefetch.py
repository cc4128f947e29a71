"""Prefetching: after a query's rows come those that belong to them, by one query for each branch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.database.dialects import dialect_of
from orm.garbage import paused
from orm.loading.linking import (
    attach_lists,
    attach_one,
    attach_owner,
    keys_of,
    near_fields,
    not_loaded,
    related_to,
)
from orm.loading.tree import Branch, Withheld
from orm.planning.belonging import belonging, is_whole, needs_keys
from orm.planning.projection import Instances, Projection, Relations
from orm.planning.query import Query
from orm.relations import FORWARD, ManyToManyEnd
from orm.relations.loaded import RAISING, Places, set_loaded

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


async def complete(query: Query, rows: Sequence[Any], using: databases.Database | None, *, whole: bool = False) -> None:
    """Give the rows of a query what it says comes along with them.

    `using` is the database it was told to use. `whole`: the rows are all that the query has.
    """
    if not rows or not isinstance(query.projection, Instances):
        return
    if using is not None:
        mark(rows, query.projection, using)
    if query.withheld:
        withhold(rows, query.withheld)
    if query.owner is not None:
        attach_owner(*query.owner, rows)
    if query.branches:
        whole = whole and _brings_all(query)
        await load_branches(query.branches, rows, using, bare=_is_bare(query), whole=whole)


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
                set_loaded(instance, accessor, [])
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
    branches: Iterable[Branch],
    instances: Sequence[Model],
    using: databases.Database | None,
    *,
    bare: bool = False,
    whole: bool = False,
) -> None:
    """Load what hangs on these instances, but for what they have already.

    `bare`: they are new, and nothing is noted of any of their relations. `whole`: they are new, and all there are.
    """
    for branch in branches:
        relation = branch.relation
        missing: Sequence[Model] = instances
        if not (whole and relation.many):
            with paused(len(instances)):
                missing = not_loaded(relation, branch.to_attr, instances)
        owned = whole and not needs_keys(relation, branch.query) and _is_of_one_database(branch, using)
        related = await _load(branch, missing, using, bare=bare, whole=owned) if missing else []
        bare = False
        if branch.branches:
            if len(missing) < len(instances):
                with paused(len(instances)):
                    related = related_to(relation, branch.to_attr, instances)
            if related:
                await load_branches(
                    branch.branches,
                    related,
                    branch.database or using,
                    bare=len(missing) == len(instances) and _is_bare(branch.query),
                    whole=owned and _brings_all(branch.query),
                )


def _is_bare(query: Query) -> bool:
    """Whether nothing is noted of any relation of a query's rows."""
    return not query.withheld and isinstance(query.projection, Instances) and not query.projection.related


def _brings_all(query: Query) -> bool:
    """Whether a query has all rows, of which none has anything of its relations yet."""
    return is_whole(query) and not query.withheld


def _is_of_one_database(branch: Branch, using: databases.Database | None) -> bool:
    """Whether the rows of a branch are where those are that it hangs on."""
    if using is not None:
        return branch.database is None or branch.database is using
    near: Any = near_fields(branch.relation)[0].model
    return (branch.database or branch.query.info.registry.database) is near._meta.registry.database


async def _load(
    branch: Branch, instances: Sequence[Model], using: databases.Database | None, *, bare: bool, whole: bool
) -> list[Model]:
    """Load one branch for instances that have nothing of it; what was found.

    `bare`: they have nothing of any other. `whole`: it is of no other instances.
    """
    relation = branch.relation
    with paused(len(instances)):
        keys = keys_of(instances, near_fields(relation))
        owned = relation.many and not isinstance(relation, ManyToManyEnd)
        owners: dict[Any, Model | None] = dict(zip(keys, instances, strict=True)) if owned else dict.fromkeys(keys)
        owners.pop(None, None)
        places = Places(owners)
    found = await _read(branch, places, branch.database or using, whole=whole) if owners else []
    with paused(len(instances) + len(found)):
        lists = places.lists()
        if relation.many:
            attach_lists(relation, branch.to_attr, instances, keys, lists, bare=bare)
        else:
            firsts = [of_key[0] if (of_key := lists.get(key)) else None for key in keys]
            attach_one(relation, branch.to_attr, instances, firsts)
    return found


async def _read(
    branch: Branch,
    places: Places,
    using: databases.Database | None,
    *,
    whole: bool,
) -> list[Model]:
    """Put the rows of a branch into the lists of the keys that they belong to, each with its way back; all of them."""
    query = prepared(branch.query.changed(branches=branch.branches))
    database = using or query.info.registry.database
    keys = [*places.instances]
    most = (await dialect_of(database)).max_list or len(keys)
    parts = [None] if whole else [keys[start : start + most] for start in range(0, len(keys), most)]
    found: list[Model] = []
    seen: dict[Any, Model] = {}
    into: dict[str, Any] = {"places": places}
    if isinstance(branch.relation, ManyToManyEnd):
        into["seen"] = seen
    for part in parts:
        found += await execution.fetch(belonging(branch.relation, query, part), database, into=into)
    if not isinstance(branch.relation, ManyToManyEnd):
        found = [row for rows, _ in places.values() for row in rows]
    await complete(query.changed(branches=()), found, using)
    return found
