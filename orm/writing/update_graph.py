"""`update_graph()`: nested dicts and instances update, insert and delete rows of several models, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import databases
import typesystem

from orm import execution
from orm.exceptions import QueryError
from orm.mapping.changes import SNAPSHOT, changed_fields
from orm.mapping.signals import post_bulk_update, pre_bulk_update
from orm.query.locking import Lock
from orm.query.plans.write import batched
from orm.query.projection import Instances
from orm.query.query import Query
from orm.query.resolving.expressions import is_expression
from orm.relations import ForwardRelation, ManyToManySide, ReverseRelation
from orm.relations.attaching import attach_many, attach_one, keys_of, local_fields, remote_fields
from orm.writing.bulk_update import bulk_update
from orm.writing.create_graph import create_graph
from orm.writing.dependent_inserts import InputPath, path_of
from orm.writing.hooked_deletes import delete_rows_with_hooks, models_to_load
from orm.writing.hooked_writes import hooked_write
from orm.writing.instances import set_values, split_update, values_set_on_save
from orm.writing.update_graph_input import Children, ExistingRow, GraphInput, dotted

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

Missing = Literal["delete", "detach", "keep"]
MISSING = ("delete", "detach", "keep")
KEYS_AT_ONCE = 1000
COMPOSITE_KEYS_AT_ONCE = 100


async def update_graph(
    query: Query,
    rows: Any,
    database: databases.Database,
    using: databases.Database | None,
    missing: Missing,
) -> Any:
    """Write the rows and everything nested in them; returns a list of their instances, or one for a single row."""
    if missing not in MISSING:
        raise QueryError(f"missing is one of {', '.join(map(repr, MISSING))}, not {missing!r}.")
    model = query.info.model
    is_single = isinstance(rows, Mapping) or hasattr(rows, "_meta")
    if not is_single and (isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable)):
        raise QueryError(f"update_graph() takes dicts and {model.__name__} instances, got {type(rows).__name__}.")
    graph = GraphUpdate(database, using, missing)
    roots = [
        graph.input.root(query.info, row, () if is_single else (position,))
        for position, row in enumerate([rows] if is_single else rows)
    ]
    async with database.transaction():
        await graph.write(query, roots)
    instances = [root.row for root in roots]
    return instances[0] if is_single else instances


class GraphUpdate:
    """The statements of one `update_graph()`: reads, deletions, updates and insertions, each for many rows."""

    def __init__(self, database: databases.Database, using: databases.Database | None, missing: Missing) -> None:
        self.database = database
        self.using = using
        self.missing = missing
        self.input = GraphInput()
        self.children: list[Children] = []

    async def write(self, query: Query, roots: Sequence[ExistingRow]) -> None:
        """Read the rows that are there, then delete, insert and update, in the current transaction."""
        level: list[ExistingRow] = list(roots)
        is_root = True
        parents: list[tuple[ExistingRow, ForwardRelation, Any, InputPath]] = []
        while level:
            await self._read(level, query if is_root else None)
            is_root = False
            known = len(self.input.nodes)
            children = [self.input.nested(node, parents) for node in level]
            grouped = [each for group in children for each in group]
            await self._read_children(grouped)
            self.children += grouped
            level = list(dict.fromkeys(self.input.nodes[known:]))
        for node in self.input.nodes:
            self._apply(node)
        if self.input.messages:
            raise typesystem.ValidationError(messages=self.input.messages)
        await self._delete_missing()
        for node, relation, value, path in parents:
            setattr(node.row, relation.name, await self._insert(relation.target._meta, [(None, value)], path, {}))
            node.changed.update((each.name, None) for each in local_fields(relation))
        await self._update()
        for each in self.children:
            await self._write_children(each)

    async def _read(self, nodes: Sequence[ExistingRow], query: Query | None) -> None:
        """Read and lock the rows of nodes that have no instance yet; with `query`, only those that it matches."""
        by_model: dict[ModelInfo, list[ExistingRow]] = {}
        for node in nodes:
            if node.instance is None:
                by_model.setdefault(node.info, []).append(node)
        for info, group in by_model.items():
            rows = await self._fetch(query or Query(info, Instances(info)), "pk__in", [node.key for node in group])
            by_key = {_text_key(row.pk): row for row in rows}
            for node in group:
                row = by_key.get(_text_key(node.key))
                if row is None:
                    raise _gone(node)
                node.instance = row

    async def _fetch(self, query: Query, lookup: str, keys: Sequence[Any]) -> list[Any]:
        size = COMPOSITE_KEYS_AT_ONCE if any(isinstance(key, tuple) for key in keys) else KEYS_AT_ONCE
        rows: list[Any] = []
        for batch in batched(list(dict.fromkeys(keys)), size):
            batch_query = query.filter((), {lookup: batch}).replace(ordering=(), lock=Lock())
            rows += await execution.fetch(batch_query, self.database)
        for row in rows if self.using is not None else ():
            row.__dict__["_database"] = self.using
        return rows

    async def _read_children(self, groups: Sequence[Children]) -> None:
        """Read and lock the present rows of the relations: those that the input lacks are to be deleted."""
        by_relation: dict[ReverseRelation, list[Children]] = {}
        for each in groups:
            if isinstance(each.relation, ReverseRelation):
                by_relation.setdefault(each.relation, []).append(each)
        for relation, group in by_relation.items():
            target = relation.target._meta
            declared = relation.relation
            owners = {_text_key(k): each for each in group for k in keys_of([each.owner.row], remote_fields(declared))}
            keys = [key for each in group for key in keys_of([each.owner.row], remote_fields(declared))]
            lookup = f"{declared.name}__in"
            rows = await self._fetch(Query(target, Instances(target)), lookup, keys)
            present: dict[int, dict[Any, Model]] = {id(each): {} for each in group}
            for row in rows:
                [key] = keys_of([row], local_fields(declared))
                present[id(owners[_text_key(key)])][_text_key(row.pk)] = row
            for each in group:
                self._match(each, present[id(each)])

    def _match(self, children: Children, present: dict[Any, Model]) -> None:
        """Give the nodes of a relation their rows. Raises `QueryError` for a key of a row of another owner."""
        by_key = {_text_key(node.key): node for node in children.existing}
        named = set()
        for position, key in children.keys:
            node, row = by_key.get(_text_key(key)), present.get(_text_key(key))
            named.add(_text_key(key))
            if node is not None and node.is_given:
                children.rows[position] = node.row
                if row is None:  # it is moved
                    setattr(node.row, children.relation.relation.name, children.owner.row)
            elif row is None:
                owner, name = children.owner.info.name, children.relation.target.__name__
                raise QueryError(
                    f"update_graph(): the {name} {key!r} at {dotted((*children.path, position))!r} is not one of this "
                    f"{owner}'s {children.relation.accessor}: a row is moved by giving its instance."
                )
            else:
                children.rows[position] = row
                if node is not None:
                    node.instance = row
        children.missing = [row for key, row in present.items() if key not in named] if children.is_complete else []

    def _apply(self, node: ExistingRow) -> None:
        """Set the values of the input on the instance of a row, and note which of them are new."""
        info, instance = node.info, node.row
        attributes = instance.__dict__
        if node.is_given:
            names = changed_fields(instance) if SNAPSHOT in attributes else _written_fields(instance)
            node.changed.update((name, None) for name in names if not info.fields[name].primary_key)
        else:
            values = {
                name: value.row if isinstance(value, ExistingRow) else value
                for name, value in node.values.items()
                if info.version is None or name != info.version.name
            }
            plain, expressions, related = split_update(info, values)
            try:
                validated = info.validator.update(plain)
            except typesystem.ValidationError as error:
                for message in error.messages():
                    self.input.add_message(message.text, (*node.path, *path_of(message)), message.code)
                return
            if info.version is not None and info.version.name in node.values:
                attributes[info.version.attname] = node.values[info.version.name]
            for name, value in validated.items():
                known = attributes.get(info.fields[name].attname)
                if type(known) is not type(value) or known != value:
                    node.changed[name] = None
            set_values(instance, validated)
            for name, value in related.items():
                setattr(instance, name, value)
            for name, value in expressions.items():
                attributes[info.fields[name].attname] = value
                node.changed[name] = None
        if node.changed:
            self._set_on_save(node)

    def _set_on_save(self, node: ExistingRow) -> None:
        fields = [each for each in node.info.fields.values() if not each.primary_key]
        set_on_save = values_set_on_save(fields, creating=False)
        set_values(node.row, set_on_save)
        node.changed.update((name, None) for name in set_on_save)

    async def _delete_missing(self) -> None:
        """Delete the rows that the input lacks, or detach them from their owners."""
        if self.missing == "keep":
            return
        # Those whose instance the input has under another owner are moved.
        moved = {(node.info.concrete, _text_key(node.key)) for node in self.input.nodes if node.is_given}
        for each in reversed(self.children):
            missing = [row for row in each.missing if (row._meta.concrete, _text_key(row.pk)) not in moved]
            if not missing or not isinstance(each.relation, ReverseRelation):
                continue
            target, declared = each.relation.target._meta, each.relation.relation
            if self.missing == "detach":
                if not declared.allow_null:
                    raise QueryError(
                        f"update_graph(missing='detach'): {declared.label} cannot be null, so that its rows cannot be "
                        f"detached at {dotted(each.path)!r}: delete them, or keep them."
                    )
                for row in missing:
                    setattr(row, declared.name, None)
                await self._bulk_update(target, missing, [part.name for part in local_fields(declared)])
                continue
            query = Query(target, Instances(target)).filter((), {"pk__in": [row.pk for row in missing]})
            if models_to_load(target):
                await delete_rows_with_hooks(query, self.database, None, query)
            else:
                await execution.delete(query, self.database)

    async def _update(self) -> None:
        """Update the rows that have changed, with a statement for each model and set of fields."""
        groups: dict[tuple[ModelInfo, tuple[str, ...]], list[ExistingRow]] = {}
        for node in self.input.nodes:
            if node.changed or (node.info.version is not None and node.info.version.name in node.values):
                names = tuple(sorted(node.changed)) if node.is_given or _has_expressions(node) else ()
                groups.setdefault((node.info, names), []).append(node)
        for (info, _), nodes in groups.items():
            fields = list(dict.fromkeys(name for node in nodes for name in node.changed))
            await self._bulk_update(info, [node.row for node in nodes], fields or [_any_field(info)])

    async def _bulk_update(self, info: ModelInfo, instances: Sequence[Model], names: Sequence[str]) -> None:
        query = Query(info, Instances(info))
        if info.hooks is None:
            matched = await bulk_update(query, instances, names, None, self.database)
        else:
            senders = {info: {"instances": instances, "fields": list(names)}}
            async with hooked_write(pre_bulk_update, post_bulk_update, senders, self.database, instances) as results:
                results["matched"] = matched = await bulk_update(query, instances, names, None, self.database)
        if matched < len({instance.pk for instance in instances}):
            raise info.model.DoesNotExist(f"update_graph(): a row of {info.name} is gone: nothing was written.")

    async def _insert(
        self, info: ModelInfo, items: Sequence[tuple[int | None, Any]], path: InputPath, common: dict[str, Any]
    ) -> Any:
        """Insert new rows with all that is nested in them; a single one if its position is None."""
        values = [value for _, value in items]
        is_single = items[0][0] is None
        try:
            return await create_graph(info.model, values[0] if is_single else values, self.database, self.using, common)
        except typesystem.ValidationError as error:
            messages = []
            for message in error.messages():
                index = path_of(message)
                position: Any = index if is_single else (items[int(index[0])][0], *index[1:])
                messages.append(typesystem.Message(text=message.text, code=message.code, index=[*path, *position]))
            raise typesystem.ValidationError(messages=messages) from None

    async def _write_children(self, children: Children) -> None:
        """Insert the new rows of a relation to many, write its pairs, and attach all of its rows."""
        relation, owner = children.relation, children.owner.row
        info: ModelInfo = relation.target._meta
        is_pairs = isinstance(relation, ManyToManySide)
        if children.new:
            common = {} if is_pairs else {relation.relation.name: owner}
            created = await self._insert(info, children.new, children.path, common)
            children.rows.update(zip((position for position, _ in children.new), created, strict=True))
        if is_pairs:
            await self._write_pairs(children)
        if not children.is_complete:
            return
        rows = [children.rows[position] for position in sorted(children.rows)]
        if relation.many:
            kept = children.missing if self.missing == "keep" else []
            attach_many(relation, owner, [*rows, *kept])
        else:
            attach_one(relation, None, [owner], [rows[0] if rows else None])

    async def _write_pairs(self, children: Children) -> None:
        """Make the pairs of a many-to-many relation those of the input."""
        relation, info = children.relation, children.relation.target._meta
        by_key = {_text_key(node.key): node.row for node in children.existing}
        unread = [key for _, key in children.keys if _text_key(key) not in by_key]
        if unread:
            for row in await self._fetch(Query(info, Instances(info)), "pk__in", unread):
                by_key[_text_key(row.pk)] = row
        for position, key in children.keys:
            if _text_key(key) not in by_key:
                raise _gone(ExistingRow(info, (*children.path, position), key))
            children.rows[position] = by_key[_text_key(key)]
        manager = getattr(children.owner.row, relation.accessor)
        rows = list(children.rows.values())
        if children.is_complete and self.missing != "keep":
            await manager.set(rows)
        elif rows:
            await manager.add(*rows)


def _written_fields(instance: Model) -> list[str]:
    """The fields of an instance that can be written, as far as they are loaded."""
    info = instance._meta
    return [
        name for name, attname in info.attnames if attname in instance.__dict__ and info.fields[name] != info.version
    ]


def _has_expressions(node: ExistingRow) -> bool:
    return any(is_expression(node.row.__dict__.get(node.info.fields[name].attname)) for name in node.changed)


def _any_field(info: ModelInfo) -> str:
    """A field to write to a row of which only the version is to be checked."""
    return next(f.name for f in info.fields.values() if not (f.primary_key or f.is_generated or f is info.version))


def _text_key(key: Any) -> Any:
    """A key to compare with others: of the input and of the database, whose types may differ."""
    return tuple(map(str, key)) if isinstance(key, tuple) else str(key)


def _gone(node: ExistingRow) -> Exception:
    return node.info.model.DoesNotExist(
        f"update_graph(): there is no {node.info.name} {node.key!r}, given at {dotted(node.path)!r}."
    )
