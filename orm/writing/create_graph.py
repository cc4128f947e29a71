"""`create_graph()`: nested dicts and instances become rows of several models, in one transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import databases
import typesystem

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
from orm.writing.dependent_inserts import (
    PendingRow,
    Place,
    Repoint,
    insert_entries,
    leads_to,
    place_of,
    unsaved_parents,
)

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model


async def create_graph(
    model: type[Model],
    rows: Any,
    database: databases.Database,
    using: databases.Database | None,
    given: Mapping[str, Any],
) -> Any:
    """Insert the rows and everything nested in them; returns their instances (one, if one was given).

    `given` are values of every one of `rows`, whatever they say.
    """
    graph = NestedInput(model, rows, given)
    messages = graph.messages
    noted = {place_of(message) for message in messages}
    for entry in graph.entries:
        messages += [message for message in entry.validate() if place_of(message) not in noted]
    if messages:
        raise typesystem.ValidationError(messages=messages)
    await insert_entries(graph.entries, graph.moves, database)
    for entry in graph.entries:
        entry.finish(using)
    graph.attach()
    instances = [entry.instance for entry in graph.roots]
    return instances[0] if graph.is_one else instances


class NestedInput:
    """The rows that nested values ask for, and what each relation that they name leads to.

    Raises `FieldError` for an unknown name, `QueryError` for a row that would have to be in two places. Values of the
    wrong kind are noted in `messages`.
    """

    def __init__(self, model: type[Model], rows: Any, given: Mapping[str, Any]) -> None:
        self.entries: list[PendingRow] = []
        self.moves: list[Repoint] = []
        self.messages: list[typesystem.Message] = []
        self._given = given
        # By the identity of what was given, which is kept: another object could have its id later.
        self._known: dict[Hashable, tuple[PendingRow, Any]] = {}
        self._todo: deque[tuple[PendingRow, Mapping[str, Any]]] = deque()
        self._many: dict[tuple[PendingRow, Relation], list[Any]] = {}
        self._one: dict[tuple[PendingRow, Relation], Any] = {}
        self._pairs: dict[Hashable, tuple[ManyToManySide, Any, Any, Place]] = {}
        self._moved: dict[Hashable, PendingRow] = {}
        self.is_one = isinstance(rows, Mapping) or hasattr(rows, "_meta")
        self.roots = [self._root(model, row, place) for row, place in _placed(model, rows, self.is_one)]
        while self._todo:
            entry, nested = self._todo.popleft()
            for name, value in nested.items():
                self._nested(entry, name, value, (*entry.place, name))
        self._complete()

    # Reading what was given.

    def _root(self, model: type[Model], row: Any, place: Place) -> PendingRow:
        if not isinstance(row, (Mapping, model)):
            raise QueryError(f"create_graph() takes dicts and {model.__name__} instances, got {type(row).__name__}.")
        if isinstance(row, model) and row._persisted:
            raise QueryError(f"create_graph() makes new rows, and {row!r} is saved: it can be nested in one.")
        return self._new(model, row, place, self._given)

    def _new(self, model: type[Model], value: Any, place: Place, given: Mapping[str, Any]) -> PendingRow:
        """The entry of a dict or an unsaved instance."""
        known = self._known.get((model, id(value)))
        if known is not None:
            return known[0]
        nested: Mapping[str, Any]
        if isinstance(value, Mapping):
            plain, nested = self._split(model, {**value, **given}, place)
            instance = model(**plain)
        else:
            instance = value
            for name, related in given.items():
                setattr(instance, name, related)
            nested = {relation.name: related for relation, related in unsaved_parents(instance)}
            nested.update(_unsaved_reverse(instance))
        entry = PendingRow(instance, place)
        self._known[model, id(value)] = entry, value
        self.entries.append(entry)
        self._todo.append((entry, nested))
        return entry

    def _split(
        self, model: type[Model], values: Mapping[str, Any], place: Place
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values of the row itself, and those of its relations to other new rows or to many."""
        info = model._meta
        plain: dict[str, Any] = {}
        nested: dict[str, Any] = {}
        forward: dict[str, Any] = {relation.name: relation for relation in info.forward}
        for name, value in values.items():
            generic = info.composed.get(name)
            if isinstance(generic, GenericForeignKey):
                if isinstance(value, Mapping):
                    choices = ", ".join(repr(key.name) for key in generic.keys)
                    at = ".".join(map(str, (*place, name)))
                    raise QueryError(f"create_graph(): {at!r} could be a row of several models. Say which: {choices}.")
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
                at = ".".join(map(str, (*place, name)))
                raise info.unknown(str(name), f"a value of create_graph() at {at!r}", info.accessors)
        return plain, nested

    def _nested(self, entry: PendingRow, name: str, value: Any, place: Place) -> None:
        """Take what a relation of the entry is to lead to."""
        info = entry.instance._meta
        relation: Any = info.accessors.get(name) or info.relations[name]
        if isinstance(relation, (ForeignKey, CompositeForeignKey)):
            found = self._row(relation.target, value, place, remote_fields(relation))
            if isinstance(found, PendingRow):
                self._set_parent(entry, relation, found, place)
        elif relation.many:
            if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
                self._add_message("Must be a list.", place)
                return
            fields = _keys(relation)
            rows = [self._row(relation.target, item, (*place, i), fields) for i, item in enumerate(value)]
            kept: list[Any] = []
            self._many[entry, relation] = kept
            for i, row in enumerate(rows):
                if row is not None and not any(row is other for other in kept):
                    kept.append(row)
                    self._connect(entry, relation, row, (*place, i))
        else:
            row = None if value is None else self._row(relation.target, value, place, _keys(relation))
            self._one[entry, relation] = row
            if row is not None:
                self._connect(entry, relation, row, place)

    def _row(self, model: type[Model], value: Any, place: Place, key: tuple[Field[Any], ...]) -> Any:
        """The entry or the instance that a nested value stands for; None if it stands for nothing, which is noted."""
        if isinstance(value, Mapping):
            return self._new(model, value, place, {})
        if isinstance(value, model):
            if not value._persisted:
                return self._new(model, value, place, {})
            if any(value.__dict__.get(field.attname) is None for field in key):
                self._add_message(f"This {model.__name__} was loaded without the key that is needed here.", place)
                return None
            return value
        if value is None or _is_instance(value) or isinstance(value, (list, set)):
            self._add_message(f"Must be a dict, an instance of {model.__name__} or its key.", place)
            return None
        parts = value if len(key) > 1 and isinstance(value, tuple) else (value,)
        if len(parts) != len(key):
            self._add_message(f"Must be a key of {len(key)} values.", place)
            return None
        found = model.__new__(model)
        for field, part in zip(key, parts, strict=True):
            try:
                found.__dict__[field.attname] = field.validator.validate(part)
            except typesystem.ValidationError as error:
                for message in error.messages():
                    self._add_message(message.text, place, message.code)
                return None
        return found

    def _add_message(self, text: str, place: Place, code: str = "type") -> None:
        self.messages.append(typesystem.Message(text=text, code=code, index=list(place)))

    # What follows from it.

    def _connect(self, entry: PendingRow, relation: Any, row: Any, place: Place) -> None:
        """Have a relation of the entry, other than a foreign key, lead to the row."""
        if isinstance(relation, ManyToManySide):
            self._add_pair(entry, relation, row, place)
        elif isinstance(row, PendingRow):
            self._set_parent(row, relation.relation, entry, place)
        else:
            known = self._moved.setdefault((relation, row.pk), entry)
            if known is not entry:
                raise self._conflict_error(relation.relation, place)
            self.moves.append(Repoint(row, relation.relation, entry, place))

    def _set_parent(self, child: PendingRow, relation: ForwardRelation, parent: PendingRow, place: Place) -> None:
        """Have a foreign key of a new row point at a new row."""
        known = child.parents.setdefault(relation, parent)
        own = child.instance.__dict__
        key = [own.get(local.attname) for local in local_fields(relation) if not local.has_default()]
        given = bool(key) and None not in key and not leads_to(relation, child.instance, parent.instance)
        if known is not parent or given:
            raise self._conflict_error(relation, place)

    def _conflict_error(self, relation: ForwardRelation, place: Place) -> QueryError:
        return QueryError(
            f"create_graph(): the row at {'.'.join(map(str, place))!r} is given two different values for "
            f"{relation.label}, of which a row has one."
        )

    def _add_pair(self, entry: PendingRow, end: ManyToManySide, row: Any, place: Place) -> None:
        """Note a new row of the through model; the same pair may be given from both sides."""
        for local, remote in ((entry, row), (row, entry)) if end.symmetrical else ((entry, row),):
            sides = {
                end.local_key.name: self._identity(local, end.local_key),
                end.remote_key.name: self._identity(remote, end.remote_key),
            }
            self._pairs.setdefault((end.through, frozenset(sides.items())), (end, local, remote, place))

    def _identity(self, row: Any, key: ForwardRelation) -> Hashable:
        if isinstance(row, PendingRow):
            return row
        return tuple(row.__dict__[field.attname] for field in remote_fields(key))

    def _complete(self) -> None:
        """Make the pairs' rows; and have what a relation leads to from the other side among what it is said to."""
        for entry in tuple(self.entries):
            for relation, parent in entry.parents.items():
                self._append_related(parent, relation.reverse, entry)
        for end, local, remote, place in self._pairs.values():
            pair = PendingRow(end.through(), place)
            for key, row in ((end.local_key, local), (end.remote_key, remote)):
                if isinstance(row, PendingRow):
                    pair.parents[key] = row
                else:
                    for field, there in zip(local_fields(key), remote_fields(key), strict=True):
                        pair.instance.__dict__[field.attname] = row.__dict__[there.attname]
            self.entries.append(pair)
            whole = end.relation
            ends = (whole.forward,) if whole.symmetrical else (whole.forward, whole.backward)
            for side in ends:
                here, there = (local, remote) if side.local_key is end.local_key else (remote, local)
                if isinstance(here, PendingRow):
                    self._append_related(here, side, there)

    def _append_related(self, entry: PendingRow, relation: Relation, row: Any) -> None:
        rows = self._many.get((entry, relation))
        if rows is not None and not any(row is other for other in rows):
            rows.append(row)

    def attach(self) -> None:
        """Give the instances what their relations lead to, as a prefetch would."""
        for (entry, relation), rows in self._many.items():
            attach_many(relation, entry.instance, [_instance(row) for row in rows])
        for (entry, relation), row in self._one.items():
            attach_one(relation, None, [entry.instance], [None if row is None else _instance(row)])
        for move in self.moves:
            setattr(move.instance, move.relation.name, move.parent.instance)


def _placed(model: type[Model], rows: Any, is_one: bool) -> list[tuple[Any, Place]]:
    if is_one:
        return [(rows, ())]
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable):
        raise QueryError(f"create_graph() takes dicts and {model.__name__} instances, got {type(rows).__name__}.")
    return [(row, (i,)) for i, row in enumerate(rows)]


def _is_instance(value: Any) -> bool:
    return hasattr(value, "_meta") and not isinstance(value, type)


def _instance(row: Any) -> Model:
    found: Model = row.instance if isinstance(row, PendingRow) else row
    return found


def _keys(relation: Any) -> tuple[Field[Any], ...]:
    """What tells a row at the far end: what the through model points at, or its primary key."""
    info: ModelInfo = relation.target._meta
    if isinstance(relation, ManyToManySide):
        return info.fields_of_columns(relation.remote_key.remote_columns)
    return info.pk_fields


def _unsaved_reverse(instance: Model) -> dict[str, Model]:
    """The unsaved instances that were assigned to the way back over a one-to-one relation."""
    found = {}
    for accessor, relation in instance._meta.accessors.items():
        if isinstance(relation, ReverseRelation) and not relation.many:
            related = instance.__dict__.get(accessor)
            if related is not None and not related._persisted:
                found[accessor] = related
    return found
