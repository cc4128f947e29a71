"""`collect_delete()`: what a DELETE would do to every table, asked without doing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.database.connections.server_dialect import dialect_of
from orm.database.connections.session import Session
from orm.database.dialect import Dialect
from orm.expressions.base import Q
from orm.query.plans.write import chunks, matching
from orm.query.projection import Columns, Instances
from orm.query.query import Query
from orm.query.resolving.resolve import resolve_conditions
from orm.query.resolving.scope import Scope
from orm.relations import CASCADE, NO_ACTION, SET_DEFAULT, SET_NULL, ForwardRelation
from orm.relations.attaching import local_fields, remote_fields
from orm.writing.cascades import ForeignKeyEffect, first_refusal

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

Key = tuple[Any, ...]


@dataclass(frozen=True)
class DeletePlan:
    """What a DELETE would do, as the database's foreign keys have it; `str()` of it is for reading.

    `deleted` are the numbers of rows by model. The others are by relation, such as ``"Track.album"``: `set_null` and
    `set_default` are the numbers of rows that would stay, and point at nothing or at the default; `refused` those of
    rows that stand in the way. If there are any, the database refuses it all.
    """

    deleted: Mapping[type[Model], int] = field(default_factory=dict)
    set_null: Mapping[str, int] = field(default_factory=dict)
    set_default: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many rows would be deleted, of all models."""
        return sum(self.deleted.values())

    def __str__(self) -> str:
        lines = [f"delete {count} {model.__name__}" for model, count in self.deleted.items()]
        lines += [f"set {name} to null in {count}" for name, count in self.set_null.items()]
        lines += [f"set {name} to its default in {count}" for name, count in self.set_default.items()]
        lines += [f"refused: {name} of {count} stands in the way" for name, count in self.refused.items()]
        return "\n".join(lines) or "nothing"


async def collect_delete(query: Query, database: databases.Database) -> DeletePlan:
    """What deleting the rows that the query matches would do."""
    return await DeletePreview(query, await dialect_of(database), database).plan()


@dataclass(eq=False)
class DeletedRows:
    """The rows of one model that would be deleted, by primary key."""

    info: ModelInfo
    fields: tuple[Field[Any], ...]
    rows: dict[Key, Key] = field(default_factory=dict)

    def values(self, row: Key, fields: Sequence[Field[Any]]) -> Key:
        """The values of these fields in a row."""
        return tuple(row[self.fields.index(one)] for one in fields)


class DeletePreview:
    """Follows the foreign keys that cascade, level by level.

    Of rows that something points at, the keys are read; the others are only counted.
    """

    def __init__(self, query: Query, dialect: Dialect, database: databases.Database) -> None:
        self.query = query
        self.dialect = dialect
        self.rules = dialect.deletes
        self.database = database
        self.pointing = _reach(query.info)
        """The relations that point at each model of which rows may be deleted."""
        self.defaults: dict[ForwardRelation, list[Key] | None] = {}
        """The rows that SET DEFAULT leads to; None: it is SET NULL."""
        self.tables = {
            info: DeletedRows(info, self._read_fields(info)) for info in self.pointing if not self._counted(info)
        }

    def _checks(self, relation: ForwardRelation) -> bool:
        """Whether a relation refuses: RESTRICT and NO ACTION, and what the database takes for it."""
        if relation.on_delete == SET_DEFAULT:
            return not self.rules.sets_default
        return relation.on_delete not in (CASCADE, SET_NULL)

    def _counted(self, info: ModelInfo) -> bool:
        """Whether the rows of a model need only be counted: nothing points at them, and they keep nothing that goes."""
        if info is self.query.info or self.pointing[info]:
            return False
        keeps = (relation for relation in info.forward if relation.on_delete not in (CASCADE, SET_NULL))
        return not any(relation.target._meta in self.pointing for relation in keeps)

    def _read_fields(self, info: ModelInfo) -> tuple[Field[Any], ...]:
        fields = list(info.pk_fields)
        for relation in self.pointing[info]:
            fields += remote_fields(relation)
        for relation in info.forward:
            fields += local_fields(relation) if relation.target._meta in self.pointing else ()
        return tuple(dict.fromkeys(fields))

    async def plan(self) -> DeletePlan:
        """Ask, and put it together."""
        await self._read()
        deleted = {info.model: len(table.rows) for info, table in self.tables.items() if table.rows}
        for info in self.pointing:
            if info not in self.tables:
                count = await self._count_deleted(info)
                if count:
                    deleted[info.model] = count
        found: dict[str, dict[str, int]] = {"set_null": {}, "set_default": {}, "refused": {}}
        doubtful = False
        for info, table in self.tables.items():
            for relation in self.pointing[info]:
                if relation.on_delete == CASCADE or not table.rows:
                    continue
                staying, going = await self._referring(relation)
                where = "refused" if self._checks(relation) else "set_null"
                if relation.on_delete == SET_DEFAULT and self.rules.sets_default and staying + going:
                    self.defaults[relation] = rows = await self._default_rows(relation)
                    stays = rows is None or any(key not in table.rows for key in rows)
                    where = "set_default" if stays else "refused"
                # A row that goes keeps nothing, in the end; whether it does before depends on the order.
                patient = relation.on_delete == SET_NULL or (
                    self.rules.checks_at_end and relation.on_delete == NO_ACTION
                )
                doubtful = doubtful or (going > 0 and not patient)
                if staying:
                    found[where][relation.label] = staying
        if not found["refused"] and (doubtful or self._deep):
            found["refused"] = await self._in_order()
        return DeletePlan(deleted, **found)

    # Reading.

    async def _read(self) -> None:
        info = self.query.info
        query = matching(self.query)
        names = query.names()
        columns = Columns.of(names, "tuples", [one.attname for one in self.tables[info].fields], {})
        query = query.with_scope(names, projection=columns)
        self.first: list[Key] = []
        self._deep = False
        level = {info: self._added(info, await execution.fetch(query, self.database))}
        self.first = sorted(level[info])
        levels = 0
        while any(level.values()):
            found: dict[ModelInfo, list[Key]] = {}
            for info, keys in level.items():
                table = self.tables[info]
                for relation in self.pointing[info]:
                    child = relation.model._meta
                    if relation.on_delete == CASCADE and child in self.tables and keys:
                        held = [table.values(table.rows[key], remote_fields(relation)) for key in keys]
                        found.setdefault(child, []).extend(self._added(child, await self._rows(relation, held)))
            level = found
            levels += 1
        self._deep = self.rules.max_cascade_depth is not None and levels > self.rules.max_cascade_depth

    def _added(self, info: ModelInfo, rows: Iterable[Key]) -> list[Key]:
        """Take the rows that are new; returns their keys."""
        table = self.tables[info]
        width = len(info.pk_fields)
        new = []
        for row in rows:
            key = row[:width]
            if key not in table.rows:
                table.rows[key] = row
                new.append(key)
        return new

    async def _rows(self, relation: ForwardRelation, held: Sequence[Key]) -> list[Key]:
        """The rows that point with the relation at one of the held keys."""
        info = relation.model._meta
        names = Scope(info)
        columns = Columns.of(names, "tuples", [one.attname for one in self.tables[info].fields], {})
        found: list[Key] = []
        for condition in self._pointing_at(relation, held):
            where = resolve_conditions(Scope(info), (condition,), ())
            found += await execution.fetch(Query(info, columns, where=where, ordering=()), self.database)
        return found

    def _pointing_at(self, relation: ForwardRelation, held: Sequence[Key]) -> Iterator[Q]:
        """The condition, in parts that a statement takes."""
        keys = list(dict.fromkeys(key for key in held if None not in key))
        local = local_fields(relation)
        size = self.dialect.max_list or len(keys)
        if len(local) > 1:
            size = 100
        for part in chunks(keys, size) if keys else ():
            if len(local) == 1:
                yield Q(**{f"{local[0].attname}__in": [key for (key,) in part]})
            else:
                one = [Q(**{each.attname: value for each, value in zip(local, key, strict=True)}) for key in part]
                yield reduce(Q.__or__, one)

    def _held(self, relation: ForwardRelation) -> list[Key]:
        """The keys, as the relation holds them, of all the rows that go at its far end."""
        table = self.tables[relation.target._meta]
        return [table.values(row, remote_fields(relation)) for row in table.rows.values()]

    # Counting.

    async def _count(self, relation: ForwardRelation, *others: Q) -> int:
        """How many rows point with the relation at one that goes, and are not told by the other conditions."""
        info = relation.model._meta
        count = 0
        for condition in self._pointing_at(relation, self._held(relation)):
            where = resolve_conditions(Scope(info), (condition, *others), ())
            count += await execution.count(Query(info, Instances(info), where=where), self.database)
        return count

    def _cascading(self, info: ModelInfo) -> list[ForwardRelation]:
        """The relations of a model over which its rows go."""
        return [one for one in info.forward if one.on_delete == CASCADE and one.target._meta in self.tables]

    async def _count_deleted(self, info: ModelInfo) -> int:
        count = 0
        before: list[Q] = []
        for relation in self._cascading(info):
            count += await self._count(relation, *before)
            before += [~one for one in self._pointing_at(relation, self._held(relation))]
        return count

    async def _referring(self, relation: ForwardRelation) -> tuple[int, int]:
        """How many rows point with the relation at one that goes: of those that stay, and of those that go, too."""
        info = relation.model._meta
        table = self.tables.get(info)
        if table is not None:
            held = set(self._held(relation))
            going = sum(table.values(row, local_fields(relation)) in held for row in table.rows.values())
            return await self._count(relation) - going, going
        others: list[Q] = []
        for other in self._cascading(info) if info in self.pointing else ():
            others += [~one for one in self._pointing_at(other, self._held(other))]
        return await self._count(relation, *others), 0

    async def _default_rows(self, relation: ForwardRelation) -> list[Key] | None:
        """The row that the relation's default leads to, as a list; empty if there is none, None if it leads nowhere."""
        local, remote = local_fields(relation), remote_fields(relation)
        if any(one.server_default is None for one in local):
            return None if all(one.allow_null for one in local if one.server_default is None) else []
        info = relation.target._meta
        conditions = []
        for here, there in zip(local, remote, strict=True):
            default: Any = here.server_default
            if isinstance(default, str):
                conditions.append(Q(**{there.attname: default}))
            else:
                conditions.append(Q(info.require_table().c[there.column_name] == default))
        names = Scope(info)
        columns = Columns.of(names, "tuples", [one.attname for one in info.pk_fields], {})
        where = resolve_conditions(Scope(info), conditions, ())
        found: list[Key] = await execution.fetch(Query(info, columns, where=where, ordering=()), self.database)
        return found

    # The order.

    async def _in_order(self) -> dict[str, int]:
        """What the database would stop at, though all of it is about to go."""
        async with Session(self.database) as session:
            names = [tuple(row) for row in await session.fetch(self.rules.order)]
        ranks = {name: rank for rank, name in reversed(list(enumerate(names)))}
        pulls: dict[Any, list[ForeignKeyEffect]] = {
            (info, key): [] for info, table in self.tables.items() for key in table.rows
        }
        relations = [relation for info in self.tables for relation in self.pointing[info]]
        relations.sort(key=lambda one: ranks.get((one.model._meta.tablename, one.local_columns[0]), len(ranks)))
        for relation in relations:
            child = self.tables.get(relation.model._meta)
            if child is None:
                continue
            parent = self.tables[relation.target._meta]
            pull = self._pull(relation)
            ends: dict[Key, Any] = {}
            for key, row in parent.rows.items():
                ends[parent.values(row, remote_fields(relation))] = (parent.info, key)
                pulls[parent.info, key].append(pull)
            for key in sorted(child.rows):
                end = ends.get(child.values(child.rows[key], local_fields(relation)))
                if end is not None:
                    pull.pointing.setdefault(end, []).append((child.info, key))
        refusal, lowest = first_refusal(self.rules, [(self.query.info, key) for key in self.first], pulls)
        if refusal is not None:
            return {refusal.relation.label: refusal.rows}
        if lowest and self.rules.deepest_of_all:
            return await self._below(lowest)
        return {}

    def _pull(self, relation: ForwardRelation) -> ForeignKeyEffect:
        """How the relation pulls rows along, as yet without them."""
        checks_at_end = self.rules.checks_at_end and relation.on_delete == NO_ACTION
        pull = ForeignKeyEffect(relation, checks=self._checks(relation) and not checks_at_end)
        rows = self.defaults.get(relation)
        if rows is not None:
            info = relation.target._meta
            going = [key for key in rows if key in self.tables[info].rows]
            pull.default = (info, going[0]) if going else None
            pull.lost = not rows
            # A NULL where none may be is refused on the spot.
            pull.checks = not all(one.allow_null or one.server_default is not None for one in local_fields(relation))
        return pull

    async def _below(self, lowest: Sequence[Any]) -> dict[str, int]:
        """The rows below the deepest level that the database would have to reach."""
        found = {}
        for info, table in self.tables.items():
            keys = [key for at, key in lowest if at is info]
            for relation in self.pointing[info] if keys else ():
                if relation.on_delete == SET_NULL or relation.model._meta not in self.tables:
                    held = [table.values(table.rows[key], remote_fields(relation)) for key in keys]
                    count = 0
                    for condition in self._pointing_at(relation, held):
                        child = relation.model._meta
                        where = resolve_conditions(Scope(child), (condition,), ())
                        count += await execution.count(Query(child, Instances(child), where=where), self.database)
                    if count:
                        found[relation.label] = count
        return found


def _reach(start: ModelInfo) -> dict[ModelInfo, list[ForwardRelation]]:
    """The models of which rows may be deleted along, with the relations that point at each."""
    found: dict[ModelInfo, list[ForwardRelation]] = {}
    todo = [start]
    while todo:
        info = todo.pop()
        if info in found:
            continue
        found[info] = relations = _pointing_at(info)
        todo += [relation.model._meta for relation in relations if relation.on_delete == CASCADE]
    return found


def _pointing_at(info: ModelInfo) -> list[ForwardRelation]:
    """The relations that point at a model, those of hidden ways back too."""
    models = {id(model): model for model in info.registry.models.values()}
    for relation in info.relations.values():
        target = relation.target  # It may be of another registry.
        models[id(target)] = target
    return [
        relation
        for model in models.values()
        for relation in model._meta.forward
        if relation.is_resolved() and relation.target is info.model
    ]
