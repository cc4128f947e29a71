"""Prefetching: one query for each branch loads the related rows of instances that have been read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.database.connections.replicas import routing_database
from orm.database.connections.server_dialect import dialect_of
from orm.loading.parents import PrefetchParents
from orm.query.pages import first_page
from orm.query.prefetch_tree import Branch, SuppressedRelation
from orm.query.projection import Instances, Projection
from orm.query.query import Query
from orm.query.related_rows import must_filter_by_owner, rows_of_owners, selects_whole_table
from orm.relations import FORWARD, ManyToManySide, Relation
from orm.relations.attaching import (
    attach_lists,
    attach_one,
    attach_owner,
    attached_rows,
    keys_of,
    local_fields,
    not_loaded,
)
from orm.relations.fetch_modes import FETCHING, FetchMode, Peers
from orm.relations.instance_state import RAISING, RowsByOwner, set_loaded
from orm.utils.gc_control import gc_paused
from orm.utils.slices import in_slices, slices

if TYPE_CHECKING:
    from orm.models import Model

# Related rows are attached to this many instances at a time.
ROWS = 1_000


async def complete_instances(
    query: Query,
    instances: Sequence[Any],
    using: databases.Database | None,
    *,
    all_rows: bool = False,
    parents: PrefetchParents | None = None,
) -> None:
    """Give a query's instances all that comes with them: the database, suppressed relations, the owner, related rows.

    `using` is the database that the query was told to use. `all_rows`: the instances are all rows of the query.
    `parents`: the same instances, prepared while they were read.
    """
    if not instances or not isinstance(query.projection, Instances):
        return
    if using is not None:
        remember_database(instances, query.projection, using)
    if query.suppressed:
        suppress_relations(instances, query.suppressed)
    if query.fetch_mode is not None:
        set_fetch_mode(instances, query.projection, query.fetch_mode)
    if query.owner is not None:
        attach_owner(*query.owner, instances)
    if query.branches:
        all_rows = all_rows and _loads_whole_table(query)
        await load_branches(query.branches, instances, using, query.fetch_mode, all_rows=all_rows, parents=parents)


def remember_database(instances: Iterable[Any], projection: Projection, using: databases.Database) -> None:
    """Let instances, and those joined to them, remember a database that is not their registry's."""
    if isinstance(projection, Instances):
        using = routing_database(using)
        for chain in ((), *projection.related):
            for instance in _joined(instances, chain):
                instance.__dict__["_database"] = using


def suppress_relations(instances: Iterable[Any], suppressed: Iterable[SuppressedRelation]) -> None:
    """Mark relations of the instances, so that they read as empty or raise."""
    for item in suppressed:
        relation = item.relation
        for instance in _joined(instances, item.chain):
            attributes = instance.__dict__
            if item.raises:
                attributes[RAISING] = attributes.get(RAISING, frozenset()) | {relation.accessor}
            elif relation.many or isinstance(relation, FORWARD):
                set_loaded(instance, relation.accessor, [])
            else:
                attributes[relation.accessor] = None


def set_fetch_mode(instances: Iterable[Any], projection: Projection, mode: FetchMode) -> None:
    """Set the fetch mode of instances, and of those joined to them."""
    if isinstance(projection, Instances) and mode is not FetchMode.ONE:
        for chain in ((), *projection.related):
            group = [*_joined(instances, chain)]
            fetching = Peers(group) if mode is FetchMode.PEERS else mode
            for instance in group:
                instance.__dict__[FETCHING] = fetching


def _joined(instances: Iterable[Any], chain: Sequence[Any]) -> Iterator[Any]:
    """The instances at the end of a chain of joined relations."""
    for instance in instances:
        joined = instance
        for relation in chain:
            joined = joined and joined.__dict__.get(relation.accessor)
        if joined is not None:
            yield joined


async def load_branches(
    branches: Iterable[Branch],
    instances: Sequence[Model],
    using: databases.Database | None,
    fetch_mode: FetchMode | None = None,
    *,
    all_rows: bool = False,
    parents: PrefetchParents | None = None,
) -> None:
    """Load the related rows of these instances, except those that are loaded already.

    `fetch_mode` is that of the related rows, unless a branch has its own. `all_rows`: the instances are new, and are
    all rows of the model. `parents`: they are new, and were prepared while they were read.
    """
    for branch in branches:
        relation = branch.relation
        if fetch_mode is not None and branch.query.fetch_mode is None:
            branch = replace(branch, query=branch.query.replace(fetch_mode=fetch_mode))
        prepared = parents if parents is not None and parents.are_prepared_for(branch) else None
        missing: Sequence[Model] = instances
        if prepared is None and not (all_rows and relation.many):
            missing = await in_slices(partial(not_loaded, relation, branch.to_attr), instances, ROWS)
        none_loaded = len(missing) == len(instances)
        owns_all = all_rows and not must_filter_by_owner(relation, branch.query) and _is_of_one_database(branch, using)
        # The related rows can be prepared for the next level if that has no other instances.
        children = (
            PrefetchParents.of(branch.query.replace(branches=branch.branches))
            if none_loaded and relation.many
            else None
        )
        related: list[Model] = []
        if missing:
            related = await _load(branch, missing, using, owns_all=owns_all, parents=prepared, children=children)
        if branch.branches:
            if not none_loaded:
                attached = await in_slices(partial(attached_rows, relation, branch.to_attr), instances, ROWS)
                related = list(dict(zip(map(id, attached), attached, strict=True)).values())
            if related:
                await load_branches(
                    branch.branches,
                    related,
                    branch.database or using,
                    branch.query.fetch_mode,
                    all_rows=owns_all and _loads_whole_table(branch.query),
                    parents=children,
                )


def _loads_whole_table(query: Query) -> bool:
    """Whether a query loads all rows of its model, and no relation of them is marked before their branches load."""
    return selects_whole_table(query) and not query.suppressed


def _is_of_one_database(branch: Branch, using: databases.Database | None) -> bool:
    """Whether the rows of a branch are in the database of their owners."""
    if using is not None:
        return branch.database is None or branch.database is using
    local: Any = local_fields(branch.relation)[0].model
    return (branch.database or branch.query.info.registry.database) is local._meta.registry.database


async def _load(
    branch: Branch,
    instances: Sequence[Model],
    using: databases.Database | None,
    *,
    owns_all: bool,
    parents: PrefetchParents | None,
    children: PrefetchParents | None,
) -> list[Model]:
    """Load one branch for instances that have nothing of it, and return the related rows.

    `owns_all`: the instances own all rows of the branch. `parents`: they were prepared while they were read. `children`
    prepares the related rows.
    """
    relation = branch.relation
    keys = await _keys_of(instances, relation) if parents is None else parents.keys
    with gc_paused(len(instances)):
        by_key: dict[Any, Model] = dict(zip(keys, instances, strict=True))
        by_key.pop(None, None)
        is_reverse = relation.many and not isinstance(relation, ManyToManySide)
        rows_by_owner = RowsByOwner(by_key, with_owners=is_reverse)
    related: list[Model] = []
    if by_key:
        related = await _read(branch, rows_by_owner, branch.database or using, owns_all=owns_all, children=children)
    with gc_paused(len(instances) + len(related)):
        lists = rows_by_owner.lists()
        if parents is not None and len(by_key) == len(instances):
            # They have empty results already. Touching each again would take longer than creating it took, so only
            # those that have rows are.
            for key, rows in lists.items():
                set_loaded(by_key[key], relation.accessor, rows)
            return related
    async for part in slices(range(len(instances)), ROWS):
        owners, their_keys = instances[part[0] : part[-1] + 1], keys[part[0] : part[-1] + 1]
        with gc_paused(len(owners)):
            if relation.many:
                attach_lists(relation, branch.to_attr, owners, their_keys, lists)
                if branch.page is not None:
                    _make_pages(branch, branch.page, owners)
            else:
                first_rows = [of_key[0] if (of_key := lists.get(key)) else None for key in their_keys]
                attach_one(relation, branch.to_attr, owners, first_rows)
    return related


def _make_pages(branch: Branch, size: int, owners: Sequence[Model]) -> None:
    """Replace the lists of rows by the first pages of them."""
    for owner in owners:
        attributes = owner.__dict__
        attributes[str(branch.to_attr)] = first_page(branch.query, attributes[str(branch.to_attr)], size)


async def _keys_of(instances: Sequence[Model], relation: Relation) -> list[Any]:
    fields = local_fields(relation)
    return await in_slices(lambda part: keys_of(part, fields), instances, ROWS)


async def _read(
    branch: Branch,
    rows_by_owner: RowsByOwner,
    using: databases.Database | None,
    *,
    owns_all: bool,
    children: PrefetchParents | None,
) -> list[Model]:
    """Read the rows of a branch into the lists of their owners, attach the owners to them, and return the rows."""
    query = branch.query.replace(branches=branch.branches).with_branch_keys
    database = using or query.info.registry.database
    keys = [*rows_by_owner.instances]
    max_keys = (await dialect_of(database)).max_keys_per_query or len(keys)
    batches = [None] if owns_all else [keys[start : start + max_keys] for start in range(0, len(keys), max_keys)]
    reader_arguments: dict[str, Any] = {"rows_by_owner": rows_by_owner}
    if isinstance(branch.relation, ManyToManySide):
        reader_arguments["instances_by_key"] = {}
    related: list[Model] = []
    for batch in batches:
        related += await execution.fetch(
            rows_of_owners(branch.relation, query, batch),
            database,
            reader_arguments=reader_arguments,
            on_batch=None if children is None else children.add,
        )
    # Readers return the instances only where they are shared, or where further branches need them.
    if not (related or branch.branches):
        related = [row for rows, _ in rows_by_owner.values() for row in rows]
    await complete_instances(query.replace(branches=()), related, using)
    return related
