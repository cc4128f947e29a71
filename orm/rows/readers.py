"""Row readers: code generated per plan that turns a driver's rows into instances, dicts or tuples.

A row is unpacked into local variables, and each value is assigned directly: nothing is called for a value that the
driver returns in the right type. `source_of(reader)` is the code, which ``ORM_SHOW_CODE=1`` prints.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from keyword import iskeyword
from typing import Any, NamedTuple, cast

from orm.mapping.changes import SNAPSHOT, snapshot_of
from orm.relations.instance_state import OWNER, set_loaded
from orm.rows.discriminators import Kinds
from orm.rows.unreadable_values import NO_LABELS, READ_ERRORS, ColumnLabels, unreadable_value_check
from orm.utils.codegen import conversion_source, generate

Process = Callable[[Any], Any]
Rows = Sequence[Sequence[Any]]
Reader = Callable[..., list[Any]]
"""Takes the driver's rows, and further arguments if it groups instances: see `read_instances`."""
#: Lines of generated code: a value that cannot be read is named with its row.
ON_READ_ERROR = ("    except READ_ERRORS as error:", "        check_values(error, rows)", "        raise")


class Width(NamedTuple):
    """How many columns a name has, and the function that makes its value of theirs; by default it is their tuple."""

    columns: int = 1
    value_of: Callable[[tuple[Any, ...]], Any] | None = None


Widths = Sequence[Width] | None
"""How many columns make up each value; a value of several is a tuple. None: one column each."""


@dataclass(frozen=True)
class Entity:
    """The columns of one model in each row: consecutive ones, one for each of `attributes`."""

    model: type
    attributes: tuple[str, ...]
    keys: tuple[str, ...]
    """The attributes of the primary key. If they are NULL, nothing was joined."""
    parent: int | None = None
    """The position of the entity that this one is joined to."""
    name: str | None = None
    """The parent's attribute that takes the instance."""
    back: str | None = None
    """The attribute that takes the parent. A parent that nothing was joined to is marked as having nothing there."""
    missing_key: str | None = None
    """The parent's foreign key, if it may have a key for which nothing is joined: then the parent is marked, too."""
    shared: tuple[str, ...] = ()
    """The attributes of the whole key, if rows that agree in them share one instance."""
    kinds: Kinds | None = None
    """The classes of the instances in single-table inheritance; None if all are of `model`."""


@dataclass(frozen=True)
class GroupBy:
    """The key by which a reader puts instances into lists, one for each owner."""

    attributes: tuple[str, ...] = ()
    """The attributes that the key consists of."""
    key_columns: int = 0
    """Alternatively, the key is the last `key_columns` columns."""
    owner_attribute: str | None = None
    """The attribute of each instance that takes its owner."""
    returns_instances: bool = False
    """Whether the reader also returns the instances, if the key consists of attributes."""

    def assign_owner(self) -> list[str]:
        """Lines that give an instance its owner."""
        if self.owner_attribute is None:
            return []
        if self.owner_attribute == OWNER:
            return [f"instance.{OWNER} = owner"]
        # Assigning to a relation's own attribute would validate and convert.
        return [f"instance.__dict__[{self.owner_attribute!r}] = owner.get()"]


def read_instances(
    entities: Sequence[Entity],
    processors: Sequence[Process | None],
    annotations: Sequence[str] = (),
    trailing_columns: int = 0,
    group_by: GroupBy | None = None,
) -> Reader:
    """A reader of model instances: of the first entity, with the others attached.

    The columns after those of the entities become attributes of the first, with the names in `annotations`. The last
    `trailing_columns` of each row are ignored.

    With `group_by` the reader also takes `rows_by_owner`, a `RowsByOwner`, and adds each instance to the list of its
    key; rows with another key are skipped. If the key is in columns after the annotations, the same row may come once
    for each owner. Then the reader also takes `instances_by_key`, a dict that it fills: rows with the same primary key
    share an instance, unless they have annotations. It returns the new instances.
    """
    scope: dict[str, Any] = {"repeat": repeat, **_scope(processors, labels_of_entities(entities, annotations))}
    processors = list(processors)
    firsts = [sum(len(entity.attributes) for entity in entities[:index]) for index in range(len(entities))]
    column = firsts[-1] + len(entities[-1].attributes)
    before: list[str] = []

    def make(index: int) -> list[str]:
        """Lines that make an entity's instance, and those joined to it."""
        entity, instance = entities[index], instance_name(index)
        scope[f"new_{index}"] = entity.model.__new__
        scope[f"model_{index}"] = entity.model

        def assign(position: int, attribute: str) -> str:
            return f"{attribute_of(instance, attribute)} = {_value(firsts[index] + position, processors, scope)}"

        lines = [f"{instance} = new_{index}(model_{index})"]
        if entity.kinds is None:
            lines += [assign(position, attribute) for position, attribute in enumerate(entity.attributes)]
        else:
            kinds = entity.kinds
            value = _value(firsts[index] + kinds.column, processors, scope)
            key = tuple_of([column_name(firsts[index] + entity.attributes.index(name)) for name in entity.keys])
            lines = kinds.creation(str(index), instance, value, key, scope, entity.model)
            lines += [assign(position, entity.attributes[position]) for position in kinds.common]
            lines += kinds.assignments(str(index), entity.attributes, assign, scope)
        lines += take_snapshot(entity, instance, scope)
        for child, joined in enumerate(entities):
            if joined.parent == index:
                lines += attach(child)
        return lines

    def attach(index: int) -> list[str]:
        """Lines that attach a joined entity's instance to its parent, if there is one."""
        entity, instance = entities[index], instance_name(index)
        assert entity.parent is not None
        parent = instance_name(entity.parent)
        lines = make(index)
        if entity.shared:
            key = tuple_of([column_name(firsts[index] + entity.attributes.index(name)) for name in entity.shared])
            before.append(f"{instance}_by_key = {{}}")
            if entity.kinds is None:
                lines[0] = f"{instance} = {instance}_by_key[{key}] = {lines[0].partition(' = ')[2]}"
            else:
                lines.append(f"{instance}_by_key[{key}] = {instance}")
            lines = [f"{instance} = {instance}_by_key.get({key})", f"if {instance} is None:", *_indented(lines)]
        lines.append(f"{parent}.__dict__[{entity.name!r}] = {instance}")
        otherwise: list[str] = []
        if entity.back is not None:
            lines.append(f"{instance}.__dict__[{entity.back!r}] = {parent}")
            scope["set_loaded"] = set_loaded
            otherwise = ["else:", f"    set_loaded({parent}, {entity.name!r}, [])"]
        elif entity.missing_key is not None:
            scope["set_loaded"] = set_loaded
            key = f"{parent}.__dict__.get({entity.missing_key!r})"
            otherwise = ["else:", f"    set_loaded({parent}, {entity.name!r}, [{key}])"]
        return [
            f"if {column_name(firsts[index] + entity.attributes.index(entity.keys[0]))} is not None:",
            *_indented(lines),
            *otherwise,
        ]

    key_columns: list[int] = []
    if group_by is not None:
        key_columns += [entities[0].attributes.index(name) for name in group_by.attributes]
        key_columns += range(column + len(annotations), column + len(annotations) + group_by.key_columns)
    conversions: list[str] = []
    for position in key_columns:
        if processors[position] is not None:
            conversions.append(f"{column_name(position)} = {_value(position, processors, scope)}")
            processors[position] = None
    body = make(0)
    one_class = entities[0].kinds is None
    for name in annotations:
        body.append(f"{attribute_of('instance', name)} = {_value(column, processors, scope)}")
        column += 1
    if group_by is None and not one_class:
        before += ["instances = []", "append = instances.append"]
        body.append("append(instance)")
        return _build(body, column, trailing_columns, scope, before, "{columns} in rows")
    if group_by is None:
        # The instances are made in C, without a call for each row that the interpreter has to make.
        before.append("instances = list(map(new_0, repeat(model_0, len(rows))))")
        return _build(
            body[1:], column, trailing_columns, scope, before, "({columns}), instance in zip(rows, instances)"
        )
    key = tuple_of([column_name(position) for position in key_columns])
    lookup = [*conversions, "try:", f"    owner_list, owner = rows_by_owner[{key}]", "except KeyError:", "    continue"]
    before.append("instances = []")
    if not group_by.key_columns:
        body = [*lookup, *body[one_class:], *group_by.assign_owner(), "owner_list.append(instance)"]
        if group_by.returns_instances:
            before.append("append = instances.append")
            body.append("append(instance)")
        loop = "({columns}), instance in zip(rows, map(new_0, repeat(model_0)))" if one_class else "{columns} in rows"
        return _build(body, column, trailing_columns, scope, before, loop, "rows, rows_by_owner")
    before.append("append = instances.append")
    body.append("append(instance)")
    if not annotations:
        pk = tuple_of([column_name(entities[0].attributes.index(name)) for name in entities[0].keys])
        body.append(f"instances_by_key[{pk}] = instance")
        body = [f"instance = instances_by_key.get({pk})", "if instance is None:", *_indented(body)]
    body = [*lookup, *body, "owner_list.append(instance)"]
    arguments = "rows, rows_by_owner, instances_by_key"
    return _build(body, column + group_by.key_columns, trailing_columns, scope, before, "{columns} in rows", arguments)


def take_snapshot(entity: Entity, instance: str, scope: dict[str, Any]) -> list[str]:
    """Lines that keep the values that an instance was read with, if the changes of its model are tracked."""
    info: Any = getattr(entity.model, "_meta", None)
    if info is None or not info.options.track_changes:
        return []
    scope["snapshot_of"] = snapshot_of
    return [f"{instance}.{SNAPSHOT} = snapshot_of({instance})"]


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def labels_of_entities(entities: Sequence[Entity], annotations: Iterable[str]) -> ColumnLabels:
    """The names of the columns of these entities, and of the annotations after them, in messages."""
    names = [f"{entity.model.__name__}.{attribute}" for entity in entities for attribute in entity.attributes]
    keys = [entities[0].attributes.index(name) for name in entities[0].keys]
    return ColumnLabels([*names, *annotations], keys)


def _scope(processors: Sequence[Process | None], names: ColumnLabels) -> dict[str, Any]:
    """The scope of a reader, with the check for values that cannot be read."""
    return {"READ_ERRORS": READ_ERRORS, "check_values": unreadable_value_check(processors, names)}


def read_dicts(
    names: Sequence[str],
    processors: Sequence[Process | None],
    trailing_columns: int = 0,
    widths: Widths = None,
    labels: ColumnLabels = NO_LABELS,
) -> Reader:
    """A reader of dicts with these keys."""
    scope = _scope(processors, labels)
    values = _values(processors, widths, scope)
    items = [f"{name!r}: {value}" for name, value in zip(names, values, strict=True)]
    return _each(f"{{{', '.join(items)}}}", len(processors), trailing_columns, scope)


def read_tuples(
    processors: Sequence[Process | None],
    trailing_columns: int = 0,
    widths: Widths = None,
    labels: ColumnLabels = NO_LABELS,
) -> Reader:
    """A reader of tuples."""
    scope = _scope(processors, labels)
    items = [f"{value}, " for value in _values(processors, widths, scope)]
    return _each(f"({''.join(items)})", len(processors), trailing_columns, scope)


@lru_cache(1000)
def _row_class(names: tuple[str, ...]) -> Any:
    """The class of named rows with these names, by which the rows are pickled."""
    row_class = cast(Any, namedtuple("Row", names))
    row_class.__reduce__ = lambda row: (_named_row, (names, tuple(row)))
    return row_class


def _named_row(names: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    """A named row, as it is unpickled."""
    return _row_class(names)._make(values)


def read_named_tuples(
    names: Sequence[str],
    processors: Sequence[Process | None],
    trailing_columns: int = 0,
    widths: Widths = None,
    labels: ColumnLabels = NO_LABELS,
) -> Reader:
    """A reader of named tuples, of a class called Row."""
    scope = {**_scope(processors, labels), "make": _row_class(tuple(names))._make}
    items = [f"{value}, " for value in _values(processors, widths, scope)]
    return _each(f"make(({''.join(items)}))", len(processors), trailing_columns, scope)


def read_values(
    processors: Sequence[Process | None],
    trailing_columns: int = 0,
    widths: Widths = None,
    labels: ColumnLabels = NO_LABELS,
) -> Reader:
    """A reader of the first value of each row."""
    scope = _scope(processors, labels)
    return _each(_values(processors, widths, scope)[0], len(processors), trailing_columns, scope)


def source_of(reader: Reader) -> str:
    """The generated code of a reader."""
    source: str = reader.__globals__["__source__"]
    return source


def attribute_of(instance: str, name: str) -> str:
    """The code of an instance's attribute, whose name may be a keyword or no identifier."""
    plain = name.isascii() and name.isidentifier() and not iskeyword(name)
    return f"{instance}.{name}" if plain else f"{instance}.__dict__[{name!r}]"


def column_name(column: int) -> str:
    """The local variable for a column's value."""
    return f"column_{column}"


def instance_name(index: int) -> str:
    """The local variable for the instance of an entity: the row's own, or a joined one."""
    return f"joined_{index}" if index else "instance"


def _values(processors: Sequence[Process | None], widths: Widths, scope: dict[str, Any]) -> list[str]:
    """The code of each value of a row."""
    columns = [_value(i, processors, scope) for i in range(len(processors))]
    if widths is None:
        return columns
    values = []
    end = 0
    for position, width in enumerate(widths):
        start, end = end, end + width.columns
        if width.value_of is None:
            values.append(tuple_of(columns[start:end]))
        else:
            scope[f"value_of_{position}"] = width.value_of
            values.append(f"value_of_{position}(({', '.join(columns[start:end])},))")
    return values


def _value(column: int, processors: Sequence[Process | None], scope: dict[str, Any]) -> str:
    return conversion_source(processors[column], column_name(column), column, scope)


def tuple_of(parts: Sequence[str]) -> str:
    """The code of a tuple of these values, or of the value if there is only one."""
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def unpacked(names: Sequence[str]) -> str:
    """The code of the targets that a row is unpacked into."""
    return ", ".join(names) if len(names) > 1 else f"{names[0]},"


def _targets(columns: int, trailing_columns: int) -> str:
    """The targets for the columns that are read; the others are ignored."""
    return unpacked([*map(column_name, range(columns)), *(["*_"] if trailing_columns else [])])


def _each(item: str, columns: int, trailing_columns: int, scope: dict[str, Any]) -> Reader:
    """A reader that evaluates one expression for each row."""
    lines = [
        "def read(rows):",
        "    try:",
        f"        return [{item} for {_targets(columns, trailing_columns)} in rows]",
        *ON_READ_ERROR,
    ]
    source = "\n".join(lines)
    reader: Reader = generate("row reader", source, scope)["read"]
    return reader


def _build(
    body: list[str],
    columns: int,
    trailing_columns: int,
    scope: dict[str, Any],
    before: Sequence[str],
    loop: str,
    arguments: str = "rows",
) -> Reader:
    """A reader that runs the lines of `body` for each row."""
    lines = [
        f"def read({arguments}):",
        *(f"    {line}" for line in before),
        "    try:",
        f"        for {loop.format(columns=_targets(columns, trailing_columns))}:",
        *(f"            {line}" for line in body),
        *ON_READ_ERROR,
        "    return instances",
    ]
    reader: Reader = generate(f"row reader of {scope['model_0'].__name__}", "\n".join(lines), scope)["read"]
    return reader
