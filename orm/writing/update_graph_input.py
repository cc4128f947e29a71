"""The input of `update_graph()`: which rows exist, which of their values it has, and what is nested in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typesystem

from orm.exceptions import QueryError
from orm.relations import FORWARD, ForwardRelation, Relation
from orm.writing.dependent_inserts import InputPath

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model


@dataclass(eq=False)
class ExistingRow:
    """An existing row that the input names: the values of the input, and the instance once it is read."""

    info: ModelInfo
    path: InputPath
    key: Any
    values: dict[str, Any] = field(default_factory=dict)
    nested: list[tuple[Relation, Any, InputPath]] = field(default_factory=list)
    instance: Model | None = None
    is_given: bool = False
    """Whether the instance is the caller's."""
    changed: dict[str, None] = field(default_factory=dict)
    """The fields to write."""

    @property
    def row(self) -> Model:
        """The instance, once it is read."""
        assert self.instance is not None
        return self.instance


@dataclass
class Children:
    """A relation to many of a row, as the input has it: complete, or only `loaded` rows of the caller's instance."""

    owner: ExistingRow
    relation: Any
    path: InputPath
    existing: list[ExistingRow] = field(default_factory=list)
    new: list[tuple[int, Any]] = field(default_factory=list)
    keys: list[tuple[int, Any]] = field(default_factory=list)
    is_complete: bool = True
    missing: Sequence[Model] = ()
    """The present rows that the input lacks."""
    rows: dict[int, Model] = field(default_factory=dict)
    """The rows, by their position in the input."""


class GraphInput:
    """The existing rows of the input, each once, and the messages about values that it cannot have."""

    def __init__(self) -> None:
        self.nodes: list[ExistingRow] = []
        self.messages: list[typesystem.Message] = []
        # With the value: once it is gone, its id may be that of another one.
        self._seen: dict[int, tuple[Any, ExistingRow]] = {}

    def root(self, info: ModelInfo, value: Any, path: InputPath) -> ExistingRow:
        """The row of a root. Raises `QueryError` for one that has no key, or is not saved."""
        if not isinstance(value, (Mapping, info.model)):
            raise QueryError(f"update_graph() takes dicts and {info.name} instances, got {type(value).__name__}.")
        node = self._existing(info, value, path)
        if node is None:
            raise QueryError(
                f"update_graph(): the {info.name} at {dotted(path)!r} has no primary key, by which its row is known: "
                "create_graph() makes new rows."
            )
        return node

    def _existing(self, info: ModelInfo, value: Any, path: InputPath) -> ExistingRow | None:
        """The node of a dict with a primary key, or of a saved instance; None for a new row."""
        if id(value) in self._seen:
            return self._seen[id(value)][1]
        if isinstance(value, Mapping):
            key = _key_of(info, value)
            if key is None:
                return None
            node = ExistingRow(info, path, key)
            self._split(node, value)
        else:
            if not value._persisted:
                return None
            node = ExistingRow(value._meta, path, value.pk, instance=value, is_given=True)
            node.nested = list(_loaded_relations(value, path))
        self._seen[id(value)] = value, node
        self.nodes.append(node)
        return node

    def _split(self, node: ExistingRow, values: Mapping[str, Any]) -> None:
        """The values of the row itself, and those of its relations."""
        info = node.info
        keys = {name for each in info.pk_fields for name in (each.name, each.attname)} | {"pk"}
        forward: dict[str, Any] = {relation.name: relation for relation in info.forward}
        for name, value in values.items():
            if name in keys:
                continue
            is_new = hasattr(value, "_meta") and not isinstance(value, type) and not value._persisted
            if name in forward and (isinstance(value, Mapping) or is_new):
                node.nested.append((forward[name], value, (*node.path, name)))
            elif name in info.settable:
                node.values[name] = value
            elif name in info.accessors or name in info.relations:
                relation = info.accessors.get(name) or info.relations[name]
                node.nested.append((relation, value, (*node.path, name)))
            else:
                what = f"a value of update_graph() at {dotted((*node.path, name))!r}"
                raise info.unknown(str(name), what, info.accessors)

    def nested(
        self, node: ExistingRow, parents: list[tuple[ExistingRow, ForwardRelation, Any, InputPath]]
    ) -> list[Children]:
        """Read what is nested in a row: the rows that it references, and its relations to many."""
        children = []
        for relation, value, path in node.nested:
            if isinstance(relation, FORWARD):
                target = self._existing(relation.target._meta, value, path)
                if target is None:
                    parents.append((node, relation, value, path))
                elif not node.is_given:
                    node.values[relation.name] = target
                continue
            is_many = relation.many
            if is_many and (isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable)):
                self.add_message("Must be a list.", path)
                continue
            items = list(value) if is_many else [] if value is None else [value]
            each = Children(node, relation, path, is_complete=not node.is_given)
            for position, item in enumerate(items):
                self._child(each, position, item, (*path, position) if is_many else path)
            children.append(each)
        return children

    def _child(self, children: Children, position: int, item: Any, path: InputPath) -> None:
        info: ModelInfo = children.relation.target._meta
        if isinstance(item, Mapping) or hasattr(item, "_meta"):
            if not isinstance(item, (Mapping, info.model)):
                self.add_message(f"Must be a dict, an instance of {info.name} or its key.", path)
                return
            node = self._existing(info, item, path)
            if node is None:
                children.new.append((position, item))
            else:
                children.existing.append(node)
                children.keys.append((position, node.key))
        elif item is None or isinstance(item, (list, set)):
            self.add_message(f"Must be a dict, an instance of {info.name} or its key.", path)
        else:
            children.keys.append((position, item))

    def add_message(self, text: str, path: InputPath, code: str = "type") -> None:
        """Add a message about the value at a path."""
        self.messages.append(typesystem.Message(text=text, code=code, index=list(path)))


def _key_of(info: ModelInfo, values: Mapping[str, Any]) -> Any:
    """The primary key in these values, converted; None if they lack a part of it."""
    if len(info.pk_fields) > 1 and values.get("pk") is not None:
        parts: Sequence[Any] = info.split_pk(values["pk"])
    else:
        names = [(each.name, each.attname, *(["pk"] if len(info.pk_fields) == 1 else [])) for each in info.pk_fields]
        parts = [next((values[name] for name in those if values.get(name) is not None), None) for those in names]
    if any(part is None for part in parts):
        return None
    key = tuple(each.to_python(part) for each, part in zip(info.pk_fields, parts, strict=True))
    return key if len(key) > 1 else key[0]


def _loaded_relations(instance: Model, path: InputPath) -> Iterator[tuple[Relation, Any, InputPath]]:
    """What is written with an instance: new rows that it references, and its loaded rows of relations to many."""
    attributes = instance.__dict__
    loaded = instance._loaded or {}
    for accessor, relation in instance._meta.accessors.items():
        if isinstance(relation, FORWARD):
            related = attributes.get(accessor)
            if related is not None and not related._persisted:
                yield relation, related, (*path, accessor)
        elif relation.many and loaded.get(accessor):
            yield relation, loaded[accessor], (*path, accessor)


def dotted(path: Iterable[Any]) -> str:
    """A path in a message: ``albums.0.title``."""
    return ".".join(map(str, path)) or "the root"
