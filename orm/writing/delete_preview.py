"""`collect_delete()`: what a DELETE would do to every table, without changing anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import databases
from sqlalchemy import ClauseElement

from orm import execution
from orm.database.connections.checkout import Checkout
from orm.database.connections.server_dialect import dialect_of
from orm.database.dialect import Dialect
from orm.exceptions import IntegrityError
from orm.expressions.base import Q, render_clause
from orm.query.columns import Columns
from orm.query.plans.write import batched, target_rows_query
from orm.query.projection import Instances
from orm.query.query import Query
from orm.query.resolving.resolver import Resolver
from orm.relations import CASCADE, NO_ACTION, RESTRICT, SET_DEFAULT, SET_NULL, ForwardRelation
from orm.relations.attaching import local_fields, remote_fields

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

Key = tuple[Any, ...]
Effect = Literal["set_null", "set_default", "refused"]


@dataclass(frozen=True)
class DeletePlan:
    """What a DELETE would do, following the database's foreign keys; `str()` of it is a readable summary.

    `deleted` maps models to numbers of rows. The others map relations, such as ``"Track.album"``, to numbers of rows:
    `set_null` and `set_default` count rows that stay, with the foreign key set to NULL or to its default; `refused`
    counts rows that block the deletion. If there are any, the database refuses the whole DELETE. `orphans` counts rows
    that the server may leave as they are, though the row that they reference is deleted: MySQL does so with
    ``innodb_native_foreign_keys=OFF``, in a cascade that goes through two tables.
    """

    deleted: Mapping[type[Model], int] = field(default_factory=dict)
    set_null: Mapping[str, int] = field(default_factory=dict)
    set_default: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    orphans: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """The number of rows of all models that would be deleted."""
        return sum(self.deleted.values())

    def __str__(self) -> str:
        lines = [f"delete {count} {model.__name__}" for model, count in self.deleted.items()]
        lines += [f"set {name} to null in {count}" for name, count in self.set_null.items()]
        lines += [f"set {name} to its default in {count}" for name, count in self.set_default.items()]
        lines += [f"refused: blocked by {name} in {count}" for name, count in self.refused.items()]
        lines += [
            f"left by the server: {name} may reference nothing in {count}" for name, count in self.orphans.items()
        ]
        return "\n".join(lines) or "nothing"


async def collect_delete(query: Query, database: databases.Database) -> DeletePlan:
    """The plan of deleting the rows that the query matches."""
    if query.info.ancestors:  # The rows of the first table are deleted, and with them those that continue them.
        root = next(info for info in query.info.ancestors if not info.ancestors)
        keys = await execution.keys_in_tables(query, [root], database)
        query = Query(root, Instances(root)).filter((), {"pk__in": [key for _, key in keys]})
    return await DeletePreview(query, await dialect_of(database), database).plan()


@dataclass(eq=False)
class DeletedRows:
    """The rows of one model that would be deleted: by primary key, the values of `fields`."""

    info: ModelInfo
    fields: tuple[Field[Any], ...]
    rows: dict[Key, Key] = field(default_factory=dict)

    def add(self, rows: Iterable[Key]) -> list[Key]:
        """Add rows; returns the primary keys of those that were not among them before."""
        width = len(self.info.pk_fields)
        new_keys = []
        for row in rows:
            key = row[:width]
            if key not in self.rows:
                self.rows[key] = row
                new_keys.append(key)
        return new_keys

    def values(self, fields: Sequence[Field[Any]], keys: Iterable[Key] | None = None) -> list[Key]:
        """The values of these fields in the rows with these primary keys (by default, in all rows), except for NULL."""
        positions = [self.fields.index(each) for each in fields]
        rows = self.rows.values() if keys is None else [self.rows[key] for key in keys]
        values = (tuple(row[position] for position in positions) for row in rows)
        return [each for each in values if None not in each]


class DeletePreview:
    """Follows the foreign keys that cascade, level by level, and puts a `DeletePlan` together.

    The keys of rows that others reference are read; all other rows are only counted.

    A row with RESTRICT, NO ACTION or SET DEFAULT that references a deleted row may itself be deleted in the same
    cascade. Whether the database then refuses depends on the order in which it works, so the DELETE is executed, and
    rolled back.
    """

    def __init__(self, query: Query, dialect: Dialect, database: databases.Database) -> None:
        self.query = query
        self.dialect = dialect
        self.database = database
        self.root = query.info.concrete
        self.referencing = reachable_models(self.root)
        """The models of which rows may be deleted, each with the relations that reference it."""
        self.tables = {
            info: DeletedRows(info, self._fields_to_read(info))
            for info in self.referencing
            if not self._only_counted(info)
        }
        self.too_deep: dict[str, int] = {}
        """The numbers of rows below the deepest level that the database's cascades reach, by relation."""
        self.orphans: dict[str, int] = {}

    def _restricts(self, relation: ForwardRelation) -> bool:
        """Whether a row that uses the relation blocks the deletion of the row that it references."""
        if relation.on_delete == SET_DEFAULT:
            return not self.dialect.supports_set_default
        return relation.on_delete in (RESTRICT, NO_ACTION)

    def _only_counted(self, info: ModelInfo) -> bool:
        """Whether a model's rows need not be read: they are not referenced, and never block a deletion."""
        if info is self.root or self.referencing[info]:
            return False
        blocking = (relation for relation in info.forward if relation.on_delete not in (CASCADE, SET_NULL))
        return not any(relation.target._meta.concrete in self.referencing for relation in blocking)

    def _fields_to_read(self, info: ModelInfo) -> tuple[Field[Any], ...]:
        """The primary key, and the fields of all foreign keys between this model and the others."""
        fields = list(info.pk_fields)
        for relation in self.referencing[info]:
            fields += remote_fields(relation)
        for relation in info.forward:
            fields += local_fields(relation) if relation.target._meta.concrete in self.referencing else ()
        return tuple(dict.fromkeys(fields))

    async def plan(self) -> DeletePlan:
        """Read and count the rows, and try the DELETE where only the database can tell whether it refuses."""
        await self._read_cascade()
        deleted = {info.model: len(table.rows) for info, table in self.tables.items() if table.rows}
        for info in self.referencing:
            if info not in self.tables:
                count = await self._count_deleted(info)
                if count:
                    deleted[info.model] = count
        effects: dict[Effect, dict[str, int]] = {"set_null": {}, "set_default": {}, "refused": {}}
        undecided: dict[str, int] = {}
        for info, table in self.tables.items():
            for relation in self.referencing[info] if table.rows else ():
                if relation.on_delete == CASCADE:
                    continue
                staying, also_deleted = await self._count_referencing(relation)
                if staying:
                    effects[await self._effect(relation)][relation.label] = staying
                if also_deleted and relation.on_delete != SET_NULL:
                    undecided[relation.label] = also_deleted
        effects["refused"] = effects["refused"] or self.too_deep
        if not effects["refused"] and undecided and await self._is_refused():
            effects["refused"] = undecided
        return DeletePlan(deleted, **effects, orphans=self.orphans)

    async def _effect(self, relation: ForwardRelation) -> Effect:
        """What a deletion means for the rows that stay and reference a deleted row."""
        if self._restricts(relation):
            return "refused"
        if relation.on_delete == SET_NULL:
            return "set_null"
        return "set_default" if await self._default_remains(relation) else "refused"

    async def _is_refused(self) -> bool:
        """Whether the database refuses the DELETE. It is executed in a transaction, or a savepoint, and rolled back."""
        try:
            async with Checkout(self.database) as checkout, checkout.transaction(force_rollback=True):
                await execution.delete(self.query, self.database)
        except IntegrityError:
            return True
        return False

    # Reading.

    async def _read_cascade(self) -> None:
        """Read the rows to delete, those that cascade from them, and so on."""
        info = self.root
        query = target_rows_query(self.query)
        resolver = query.resolver()
        query = query.with_joins(resolver.joins, projection=self._columns(info, resolver))
        level = {info: self.tables[info].add(await execution.fetch(query, self.database))}
        depth = 1
        while any(level.values()):
            at_limit = depth == self.dialect.max_cascade_depth
            may_leave = self.dialect.leaves_orphans and depth > 1
            next_level: dict[ModelInfo, list[Key]] = {}
            for info, keys in level.items():
                for relation in self.referencing[info] if keys else ():
                    references = self._references(relation, self.tables[info].values(remote_fields(relation), keys))
                    child = self.tables.get(relation.model._meta)
                    count = 0
                    if relation.on_delete == CASCADE and child is not None:
                        new_keys = child.add(await self._fetch(relation, references))
                        next_level.setdefault(child.info, []).extend(new_keys)
                        count = len(new_keys)
                    elif relation.on_delete in (CASCADE, SET_NULL) and (at_limit or may_leave):
                        count = await self._count(relation, references)
                    if count and may_leave:
                        self.orphans[relation.label] = self.orphans.get(relation.label, 0) + count
                    if count and at_limit:
                        self.too_deep[relation.label] = count
            level = next_level
            depth += 1

    def _columns(self, info: ModelInfo, resolver: Resolver) -> Columns:
        return Columns.of(resolver, "tuples", [each.attname for each in self.tables[info].fields], {})

    async def _fetch(self, relation: ForwardRelation, references: Iterable[Q]) -> list[Key]:
        """The rows of a relation's model that meet one of `references`."""
        info = relation.model._meta
        columns = self._columns(info, Resolver(info))
        rows: list[Key] = []
        for condition in references:
            where = Resolver(info).filter((condition,))
            rows += await execution.fetch(Query(info, columns, where=where, ordering=()), self.database)
        return rows

    def _references(self, relation: ForwardRelation, keys: Sequence[Key]) -> Iterator[Q]:
        """The condition of referencing one of these keys, in parts that fit into a statement."""
        return conditions_of(local_fields(relation), keys, self.dialect)

    def _references_deleted(self, relation: ForwardRelation) -> Iterator[Q]:
        """The condition of referencing a deleted row, in parts that fit into a statement."""
        return self._references(relation, self._deleted_keys(relation))

    def _deleted_keys(self, relation: ForwardRelation) -> list[Key]:
        """The values of the fields that the relation references, for all deleted rows of its target."""
        return self.tables[relation.target._meta.concrete].values(remote_fields(relation))

    # Counting.

    async def _count(self, relation: ForwardRelation, references: Iterable[Q], *others: Q) -> int:
        """Count the rows of a relation's model that meet one of `references`, and all of `others`."""
        info = relation.model._meta
        count = 0
        for condition in references:
            where = Resolver(info).filter((condition, *others))
            count += await execution.count(Query(info, Instances(info), where=where), self.database)
        return count

    def _cascading(self, info: ModelInfo) -> list[ForwardRelation]:
        """The relations over which a model's rows are deleted."""
        return [
            each for each in info.forward if each.on_delete == CASCADE and each.target._meta.concrete in self.tables
        ]

    async def _count_deleted(self, info: ModelInfo) -> int:
        """Count the deleted rows of a model whose rows are not read."""
        count = 0
        not_counted_yet: list[Q] = []
        for relation in self._cascading(info):
            references = list(self._references_deleted(relation))
            count += await self._count(relation, references, *not_counted_yet)
            not_counted_yet += [~condition for condition in references]
        return count

    async def _count_referencing(self, relation: ForwardRelation) -> tuple[int, int]:
        """Count the rows that reference a deleted row: those that stay, and those that are deleted as well."""
        info = relation.model._meta
        references = self._references_deleted(relation)
        if info in self.tables:
            keys = set(self._deleted_keys(relation))
            also_deleted = sum(key in keys for key in self.tables[info].values(local_fields(relation)))
            return await self._count(relation, references) - also_deleted, also_deleted
        staying: list[Q] = []
        for cascading in self._cascading(info) if info in self.referencing else ():
            staying += [~condition for condition in self._references_deleted(cascading)]
        return await self._count(relation, references, *staying), 0

    async def _default_remains(self, relation: ForwardRelation) -> bool:
        """Whether SET DEFAULT leaves a valid reference: NULL, or the key of a row that is not deleted."""
        local, remote = local_fields(relation), remote_fields(relation)
        without_default = [each for each in local if each.server_default is None]
        if without_default:
            return all(each.allow_null for each in without_default)
        info = relation.target._meta
        conditions = []
        for local_field, remote_field in zip(local, remote, strict=True):
            default: Any = local_field.server_default
            if isinstance(default, str):
                conditions.append(Q(**{remote_field.attname: default}))
            else:
                clause = default if isinstance(default, ClauseElement) else render_clause(default, info)
                conditions.append(Q(info.require_table().c[remote_field.column_name] == clause))
        columns = Columns.of(Resolver(info), "tuples", [each.attname for each in info.pk_fields], {})
        where = Resolver(info).filter(conditions)
        keys = await execution.fetch(Query(info, columns, where=where, ordering=()), self.database)
        return any(key not in self.tables[info.concrete].rows for key in keys)


def conditions_of(fields: Sequence[Field[Any]], keys: Iterable[Key], dialect: Dialect) -> Iterator[Q]:
    """The condition that these fields have one of the keys, in parts that fit into a statement."""
    keys = list(dict.fromkeys(keys))
    names = [each.attname for each in fields]
    size = 100 if len(names) > 1 else dialect.max_keys_per_query or len(keys)
    for batch in batched(keys, size) if keys else ():
        if len(names) == 1:
            yield Q(**{f"{names[0]}__in": [key for (key,) in batch]})
        else:
            yield reduce(Q.__or__, (Q(**dict(zip(names, key, strict=True))) for key in batch))


def reachable_models(start: ModelInfo) -> dict[ModelInfo, list[ForwardRelation]]:
    """The models of which a cascade may delete rows, each with the relations that reference it."""
    referencing: dict[ModelInfo, list[ForwardRelation]] = {}
    pending = [start]
    while pending:
        info = pending.pop()
        if info not in referencing:
            relations = referencing[info] = _referencing_relations(info)
            pending += [relation.model._meta for relation in relations if relation.on_delete == CASCADE]
    return referencing


def _referencing_relations(info: ModelInfo) -> list[ForwardRelation]:
    """The relations that reference a model, including those with a hidden reverse relation."""
    models = {id(model): model for model in info.registry.models.values()}
    for relation in info.relations.values():
        target = relation.target  # It may be of another registry.
        models[id(target)] = target
    return [
        relation
        for model in models.values()
        for relation in model._meta.local_forward
        if relation.is_resolved() and relation.target._meta.concrete is info.concrete
    ]
