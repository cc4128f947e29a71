"""Prefetching: after a query's rows come those that belong to them, by one query for each branch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.database.connections.server_dialect import dialect_of
from orm.loading.parents import PrefetchParents
from orm.query.prefetch_tree import Branch, SuppressedRelation
from orm.query.projection import Instances, Projection
from orm.query.query import Query
from orm.query.related_rows import must_filter_by_owner, rows_of_owners, selects_whole_table
from orm.relations import FORWARD, ManyToManySide
from orm.relations.attaching import (
    attach_lists,
    attach_one,
    attach_owner,
    attached_rows,
    keys_of,
    local_fields,
    not_loaded,
)
from orm.relations.instance_state import RAISING, RowsByOwner, set_loaded
from orm.utils.gc_control import gc_paused

if TYPE_CHECKING:
    from orm.models import Model


async def complete_instances(
    query: Query,
    rows: Sequence[Any],
    using: databases.Database | None,
    *,
    whole: bool = False,
    parents: PrefetchParents | None = None,
) -> None:
    """Give the rows of a query what it says comes along with them.

    `using` is the database it was told to use. `whole`: the rows are all that the query has. `parents`: they are ready.
    """
    if not rows or not isinstance(query.projection, Instances):
        return
    if using is not None:
        remember_database(rows, query.projection, using)
    if query.suppressed:
        suppress_relations(rows, query.suppressed)
    if query.owner is not None:
        attach_owner(*query.owner, rows)
    if query.branches:
        whole = whole and _brings_all(query)
        await load_branches(query.branches, rows, using, whole=whole, parents=parents)


def remember_database(rows: Iterable[Any], projection: Projection, using: databases.Database) -> None:
    """Let instances, and those joined to them, remember a database that is not their registry's."""
    if isinstance(projection, Instances):
        for chain in ((), *projection.related):
            for instance in _joined(rows, chain):
                instance.__dict__["_database"] = using


def suppress_relations(rows: Iterable[Any], suppressed: Iterable[SuppressedRelation]) -> None:
    """Make relations of the instances read as empty, or raise."""
    for item in suppressed:
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
    whole: bool = False,
    parents: PrefetchParents | None = None,
) -> None:
    """Load what hangs on these instances, but for what they have already.

    `whole`: they are new, and all there are. `parents`: they are new, and made ready.
    """
    for branch in branches:
        relation = branch.relation
        ready = parents if parents is not None and parents.are_prepared_for(branch) else None
        missing: Sequence[Model] = instances
        if ready is None and not (whole and relation.many):
            with gc_paused(len(instances)):
                missing = not_loaded(relation, branch.to_attr, instances)
        all_new = len(missing) == len(instances)
        owned = whole and not must_filter_by_owner(relation, branch.query) and _is_of_one_database(branch, using)
        # What is found becomes parents, if there is nothing else among the instances of the next level.
        children = (
            PrefetchParents.of(branch.query.replace(branches=branch.branches)) if all_new and relation.many else None
        )
        related: list[Model] = []
        if missing:
            related = await _load(branch, missing, using, whole=owned, parents=ready, children=children)
        if branch.branches:
            if not all_new:
                with gc_paused(len(instances)):
                    related = attached_rows(relation, branch.to_attr, instances)
            if related:
                await load_branches(
                    branch.branches,
                    related,
                    branch.database or using,
                    whole=owned and _brings_all(branch.query),
                    parents=children,
                )


def _brings_all(query: Query) -> bool:
    """Whether a query has all rows, of which none has anything of its relations yet."""
    return selects_whole_table(query) and not query.suppressed


def _is_of_one_database(branch: Branch, using: databases.Database | None) -> bool:
    """Whether the rows of a branch are where those are that it hangs on."""
    if using is not None:
        return branch.database is None or branch.database is using
    local: Any = local_fields(branch.relation)[0].model
    return (branch.database or branch.query.info.registry.database) is local._meta.registry.database


async def _load(
    branch: Branch,
    instances: Sequence[Model],
    using: databases.Database | None,
    *,
    whole: bool,
    parents: PrefetchParents | None,
    children: PrefetchParents | None,
) -> list[Model]:
    """Load one branch for instances that have nothing of it; what was found.

    `whole`: it is of no other instances. `parents`: they are ready. `children` makes ready what is found.
    """
    relation = branch.relation
    with gc_paused(len(instances)):
        keys = keys_of(instances, local_fields(relation)) if parents is None else parents.keys
        by_key: dict[Any, Model] = dict(zip(keys, instances, strict=True))
        by_key.pop(None, None)
        places = RowsByOwner(by_key, with_owners=relation.many and not isinstance(relation, ManyToManySide))
    found: list[Model] = []
    if by_key:
        found = await _read(branch, places, branch.database or using, whole=whole, children=children)
    with gc_paused(len(instances) + len(found)):
        lists = places.lists()
        if parents is not None and len(by_key) == len(instances):
            for key, rows in lists.items():
                set_loaded(by_key[key], relation.accessor, rows)
        elif relation.many:
            attach_lists(relation, branch.to_attr, instances, keys, lists)
        else:
            firsts = [of_key[0] if (of_key := lists.get(key)) else None for key in keys]
            attach_one(relation, branch.to_attr, instances, firsts)
    return found


async def _read(
    branch: Branch,
    places: RowsByOwner,
    using: databases.Database | None,
    *,
    whole: bool,
    children: PrefetchParents | None,
) -> list[Model]:
    """Put the rows of a branch into the lists of the keys that they belong to, each with its way back; all of them."""
    query = branch.query.replace(branches=branch.branches).with_branch_keys
    database = using or query.info.registry.database
    keys = [*places.instances]
    most = (await dialect_of(database)).max_list or len(keys)
    parts = [None] if whole else [keys[start : start + most] for start in range(0, len(keys), most)]
    found: list[Model] = []
    seen: dict[Any, Model] = {}
    into: dict[str, Any] = {"rows_by_owner": places}
    if isinstance(branch.relation, ManyToManySide):
        into["instances_by_key"] = seen
    for part in parts:
        asked = rows_of_owners(branch.relation, query, part)
        found += await execution.fetch(
            asked, database, reader_arguments=into, on_batch=None if children is None else children.add
        )
    if not (found or branch.branches):  # readers return only what more will hang on, and what rows share
        found = [row for rows, _ in places.values() for row in rows]
    await complete_instances(query.replace(branches=()), found, using)
    return found
