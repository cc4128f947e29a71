"""`create_graph()`: nested dicts and instances become rows of several models, in one transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import databases
import typesystem

from orm.database.connections.units_of_work import idle_unit, open_units
from orm.exceptions import QueryError
from orm.relations import (
    CompositeForeignKey,
    ForeignKey,
    ForwardRelation,
    GenericForeignKey,
    ManyToManySide,
    Relation,
    ReverseRelation,
)
from orm.relations.attaching import attach_many, attach_one, local_fields, remote_fields
from orm.utils.slices import in_slices, slices
from orm.writing.dependent_inserts import (
    InputPath,
    PendingRow,
    Repoint,
    finish_rows,
    insert_rows,
    is_key_of,
    path_of,
    unsaved_parents,
)
from orm.writing.hooked_writes import hooked_bulk_create

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model


async def create_graph(
    model: type[Model],
    rows: Any,
    database: databases.Database,
    using: databases.Database | None,
    common_values: Mapping[str, Any],
) -> Any:
    """Insert the rows and everything nested in them; returns a list of their instances, or one for a single row.

    `common_values` override the values of each of `rows`.
    """
    graph = NestedInput(common_values)
    await graph.read(model, rows)
    messages = graph.messages
    paths = {path_of(message) for message in messages}
    async with hooked_bulk_create([pending.instance for pending in graph.rows], database):
        async for part in slices(graph.rows):
            for pending in part:
                messages += [message for message in pending.validate() if path_of(message) not in paths]
        if messages:
            raise typesystem.ValidationError(messages=messages)
        unit = idle_unit(database) if open_units else None
        created = [pending.instance for pending in graph.rows] if unit is not None else ()
        before = [(instance, instance.__dict__.copy()) for instance in created]
        await insert_rows(graph.rows, graph.repoints, database)
        await finish_rows(graph.rows, using)
        await graph.attach()
    instances = [pending.instance for pending in graph.roots]
    if unit is not None:
        unit.note_created(instances, before)
    return instances[0] if graph.is_single else instances


class NestedInput:
    """The rows to insert and to repoint for nested values, and what each relation that they name leads to.

    A related row is a `PendingRow` if it is new, an instance if it exists. Raises `FieldError` for an unknown name, and
    `QueryError` for a row with two values for a foreign key. Values of the wrong type are reported in `messages`.
    """

    def __init__(self, common_values: Mapping[str, Any]) -> None:
        self.rows: list[PendingRow] = []
        self.repoints: list[Repoint] = []
        self.messages: list[typesystem.Message] = []
        self._common_values = common_values
        # By the identity of the input value, which is kept alive here so that its id is not used again.
        self._rows_by_value: dict[Hashable, tuple[PendingRow, Any]] = {}
        self._to_read: deque[tuple[PendingRow, Mapping[str, Any]]] = deque()
        self._related_lists: dict[tuple[PendingRow, Relation], dict[int, Any]] = {}
        """The rows of relations to many, by their identity."""
        self._related_rows: dict[tuple[PendingRow, Relation], Any] = {}
        self._pairs: dict[Hashable, tuple[ManyToManySide, Any, Any, InputPath]] = {}
        self._new_parents: dict[Hashable, PendingRow] = {}
        self.is_single = False
        self.roots: list[PendingRow] = []

    async def read(self, model: type[Model], rows: Any) -> None:
        """Read the rows and all that is nested in them."""
        self.is_single = isinstance(rows, Mapping) or hasattr(rows, "_meta")
        async for part in slices(_with_paths(model, rows, self.is_single)):
            self.roots += [self._root(model, row, path) for row, path in part]
        while self._to_read:
            level = list(self._to_read)
            self._to_read.clear()
            async for nested_rows in slices(level):
                for pending, nested in nested_rows:
                    for name, value in nested.items():
                        await self._read_relation(pending, name, value, (*pending.path, name))
        await self._complete()

    # Reading the input.

    def _root(self, model: type[Model], row: Any, path: InputPath) -> PendingRow:
        if not isinstance(row, (Mapping, model)):
            raise QueryError(f"create_graph() takes dicts and {model.__name__} instances, got {type(row).__name__}.")
        if isinstance(row, model) and row._persisted:
            raise QueryError(f"create_graph() makes new rows, and {row!r} is saved: it can be nested in one.")
        return self._new_row(model, row, path, self._common_values)

    def _new_row(self, model: type[Model], value: Any, path: InputPath, common_values: Mapping[str, Any]) -> PendingRow:
        """The new row of a dict or an unsaved instance: one for each, however often it occurs."""
        known = self._rows_by_value.get((model, id(value)))
        if known is not None:
            return known[0]
        nested: Mapping[str, Any]
        if isinstance(value, Mapping):
            plain, nested = self._split(model, {**value, **common_values}, path)
            instance = model(**plain)
        else:
            instance = value
            for name, related in common_values.items():
                setattr(instance, name, related)
            nested = {relation.name: related for relation, related in unsaved_parents(instance)}
            nested.update(_unsaved_one_to_one(instance))
        pending = PendingRow(instance, path)
        self._rows_by_value[model, id(value)] = pending, value
        self.rows.append(pending)
        self._to_read.append((pending, nested))
        return pending

    def _split(
        self, model: type[Model], values: Mapping[str, Any], path: InputPath
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values of the row itself, and those of its relations to new rows or to many rows."""
        info = model._meta
        plain: dict[str, Any] = {}
        nested: dict[str, Any] = {}
        forward: dict[str, Any] = {relation.name: relation for relation in info.forward}
        for name, value in values.items():
            generic = info.composed.get(name)
            if isinstance(generic, GenericForeignKey):
                if isinstance(value, Mapping):
                    choices = ", ".join(repr(key.name) for key in generic.keys)
                    raise QueryError(
                        f"create_graph(): {_dotted((*path, name))!r} could be a row of several models. "
                        f"Say which: {choices}."
                    )
                if _is_instance(value):
                    name = generic.key_for(value).name
            if name in forward and (isinstance(value, Mapping) or _is_instance(value)):
                if isinstance(value, forward[name].target) and value._persisted:
                    plain[name] = value
                else:
                    nested[name] = value
            elif name in info.settable or name == "pk":
                plain[name] = value
            elif name in info.accessors or name in info.relations:
                nested[name] = value
            else:
                what = f"a value of create_graph() at {_dotted((*path, name))!r}"
                raise info.unknown(str(name), what, info.accessors)
        return plain, nested

    async def _read_relation(self, pending: PendingRow, name: str, value: Any, path: InputPath) -> None:
        """Read the value of a relation of a new row."""
        info = pending.instance._meta
        relation: Any = info.accessors.get(name) or info.relations[name]
        if isinstance(relation, (ForeignKey, CompositeForeignKey)):
            row = self._related_row(relation.target, value, path, remote_fields(relation))
            if isinstance(row, PendingRow):
                self._set_parent(pending, relation, row, path)
        elif relation.many:
            if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
                self._add_message("Must be a list.", path)
                return
            key = _key_fields(relation)
            items = list(value)
            rows = await in_slices(
                lambda part: [self._related_row(relation.target, items[i], (*path, i), key) for i in part],
                range(len(items)),
            )
            distinct: dict[int, Any] = {}
            self._related_lists[pending, relation] = distinct
            async for part in slices(range(len(rows))):
                for i in part:
                    row = rows[i]
                    if row is not None and id(row) not in distinct:
                        distinct[id(row)] = row
                        self._connect(pending, relation, row, (*path, i))
        else:
            row = None if value is None else self._related_row(relation.target, value, path, _key_fields(relation))
            self._related_rows[pending, relation] = row
            if row is not None:
                self._connect(pending, relation, row, path)

    def _related_row(self, model: type[Model], value: Any, path: InputPath, key: tuple[Field[Any], ...]) -> Any:
        """The new row, or the instance of an existing one, for a nested value; None if the value is not valid."""
        if isinstance(value, Mapping):
            return self._new_row(model, value, path, {})
        if isinstance(value, model):
            if not value._persisted:
                return self._new_row(model, value, path, {})
            if any(value.__dict__.get(field.attname) is None for field in key):
                self._add_message(f"This {model.__name__} was loaded without the key that is needed here.", path)
                return None
            return value
        if value is None or _is_instance(value) or isinstance(value, (list, set)):
            self._add_message(f"Must be a dict, an instance of {model.__name__} or its key.", path)
            return None
        parts = value if len(key) > 1 and isinstance(value, tuple) else (value,)
        if len(parts) != len(key):
            self._add_message(f"Must be a key of {len(key)} values.", path)
            return None
        instance = model.__new__(model)
        for field, part in zip(key, parts, strict=True):
            try:
                instance.__dict__[field.attname] = field.validator.validate(part)
            except typesystem.ValidationError as error:
                for message in error.messages():
                    self._add_message(message.text, path, message.code)
                return None
        return instance

    def _add_message(self, text: str, path: InputPath, code: str = "type") -> None:
        self.messages.append(typesystem.Message(text=text, code=code, index=list(path)))

    # Connecting the rows.

    def _connect(self, pending: PendingRow, relation: Any, row: Any, path: InputPath) -> None:
        """Connect a new row with a row that its relation, other than a foreign key, leads to."""
        if isinstance(relation, ManyToManySide):
            self._add_pair(pending, relation, row, path)
        elif isinstance(row, PendingRow):
            self._set_parent(row, relation.relation, pending, path)
        else:
            parent = self._new_parents.setdefault((relation, row.pk), pending)
            if parent is not pending:
                raise self._conflict_error(relation.relation, path)
            self.repoints.append(Repoint(row, relation.relation, pending, path))

    def _set_parent(self, child: PendingRow, relation: ForwardRelation, parent: PendingRow, path: InputPath) -> None:
        """Make a foreign key of a new row reference a new row. Raises `QueryError` if it has another value."""
        known_parent = child.parents.setdefault(relation, parent)
        attributes = child.instance.__dict__
        key = [attributes.get(field.attname) for field in local_fields(relation) if not field.has_default()]
        has_other_key = bool(key) and None not in key and not is_key_of(relation, child.instance, parent.instance)
        if known_parent is not parent or has_other_key:
            raise self._conflict_error(relation, path)

    def _conflict_error(self, relation: ForwardRelation, path: InputPath) -> QueryError:
        return QueryError(
            f"create_graph(): the row at {_dotted(path)!r} is given two different values for "
            f"{relation.label}, of which a row has one."
        )

    def _add_pair(self, pending: PendingRow, side: ManyToManySide, row: Any, path: InputPath) -> None:
        """Add a new row of the through model, once if the pair is in the input from both sides."""
        for local, remote in ((pending, row), (row, pending)) if side.symmetrical else ((pending, row),):
            identity = {
                side.local_key.name: self._identity(local, side.local_key),
                side.remote_key.name: self._identity(remote, side.remote_key),
            }
            self._pairs.setdefault((side.through, frozenset(identity.items())), (side, local, remote, path))

    def _identity(self, row: Any, key: ForwardRelation) -> Hashable:
        if isinstance(row, PendingRow):
            return row
        return tuple(row.__dict__[field.attname] for field in remote_fields(key))

    async def _complete(self) -> None:
        """Create the rows of the pairs, and add to each related list the rows connected from the other side."""
        async for part in slices(tuple(self.rows)):
            for pending in part:
                for relation, parent in pending.parents.items():
                    self._append_related(parent, relation.reverse, pending)
        async for pairs in slices(tuple(self._pairs.values())):
            for side, local, remote, path in pairs:
                self._complete_pair(side, local, remote, path)

    def _complete_pair(self, side: ManyToManySide, local: Any, remote: Any, path: InputPath) -> None:
        pair = PendingRow(side.through(), path)
        for key, row in ((side.local_key, local), (side.remote_key, remote)):
            if isinstance(row, PendingRow):
                pair.parents[key] = row
            else:
                for field, target_field in zip(local_fields(key), remote_fields(key), strict=True):
                    pair.instance.__dict__[field.attname] = row.__dict__[target_field.attname]
        self.rows.append(pair)
        declared = side.relation
        for each in (declared.forward,) if declared.symmetrical else (declared.forward, declared.backward):
            row, related = (local, remote) if each.local_key is side.local_key else (remote, local)
            if isinstance(row, PendingRow):
                self._append_related(row, each, related)

    def _append_related(self, pending: PendingRow, relation: Relation, row: Any) -> None:
        rows = self._related_lists.get((pending, relation))
        if rows is not None:
            rows.setdefault(id(row), row)

    async def attach(self) -> None:
        """Attach the related rows to the instances, as a prefetch would."""
        async for lists in slices(tuple(self._related_lists.items())):
            for (pending, relation), related in lists:
                attach_many(relation, pending.instance, [_instance(row) for row in related.values()])
        async for ones in slices(tuple(self._related_rows.items())):
            for (pending, relation), row in ones:
                attach_one(relation, None, [pending.instance], [None if row is None else _instance(row)])
        for repoint in self.repoints:
            repoint.finish()


def _with_paths(model: type[Model], rows: Any, is_single: bool) -> list[tuple[Any, InputPath]]:
    if is_single:
        return [(rows, ())]
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable):
        raise QueryError(f"create_graph() takes dicts and {model.__name__} instances, got {type(rows).__name__}.")
    return [(row, (i,)) for i, row in enumerate(rows)]


def _dotted(path: InputPath) -> str:
    return ".".join(map(str, path))


def _is_instance(value: Any) -> bool:
    return hasattr(value, "_meta") and not isinstance(value, type)


def _instance(row: Any) -> Model:
    instance: Model = row.instance if isinstance(row, PendingRow) else row
    return instance


def _key_fields(relation: Any) -> tuple[Field[Any], ...]:
    """The fields that identify a related row: those that the through model references, or the primary key."""
    info: ModelInfo = relation.target._meta
    if isinstance(relation, ManyToManySide):
        return info.fields_of_columns(relation.remote_key.remote_columns)
    return info.pk_fields


def _unsaved_one_to_one(instance: Model) -> dict[str, Model]:
    """The unsaved instances that were assigned to reverse one-to-one relations, by attribute."""
    unsaved = {}
    for accessor, relation in instance._meta.accessors.items():
        if isinstance(relation, ReverseRelation) and not relation.many:
            related = instance.__dict__.get(accessor)
            if related is not None and not related._persisted:
                unsaved[accessor] = related
    return unsaved
