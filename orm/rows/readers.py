"""Row readers: code generated per plan that turns a driver's rows into instances, dicts or tuples.

A row is unpacked into local variables and each value assigned where it belongs, with no call per value where
the driver already gives the right type. `source_of(reader)` shows the code.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from keyword import iskeyword
from typing import Any

from orm.relations.instance_state import OWNER, set_loaded
from orm.utils.codegen import generate, written

Process = Callable[[Any], Any]
Rows = Sequence[Sequence[Any]]
Reader = Callable[..., list[Any]]
"""Takes rows; and what else it was made to take."""
Widths = Sequence[int] | None
"""Of how many columns each value is made; more than one are a tuple. None: one each."""


@dataclass(frozen=True)
class Entity:
    """A model's share of each row: consecutive columns, one for each of `attributes`."""

    model: type
    attributes: tuple[str, ...]
    keys: tuple[str, ...]
    """The attributes of the primary key, whose NULL says that nothing was joined."""
    parent: int | None = None
    """The position of the entity that it hangs on, and under which name."""
    name: str | None = None
    back: str | None = None
    """The attribute that takes what it hangs on. Where nothing was joined, that is noted there."""
    shared: tuple[str, ...] = ()
    """The attributes of its whole key, if rows that agree in them share one instance."""


@dataclass(frozen=True)
class GroupBy:
    """By which key a reader puts instances into lists."""

    by: tuple[str, ...] = ()
    """Its attributes; a tuple of several."""
    links: int = 0
    """Or so many columns at the end."""
    back: str | None = None
    """The attribute that takes the owner of the list."""
    returned: bool = False
    """Whether the reader also returns the instances that it puts into lists by a key of their own."""

    def reverse_attribute(self) -> list[str]:
        """Lines that give `o0` the owner of its list."""
        if self.back is None:
            return []
        if self.back == OWNER:
            return [f"o0.{OWNER} = owner"]
        # Under the name of a relation an attribute would check and convert.
        return [f"o0.__dict__[{self.back!r}] = owner.get()"]


def read_instances(
    entities: Sequence[Entity],
    processors: Sequence[Process | None],
    extra: Sequence[str] = (),
    hidden: int = 0,
    listed: GroupBy | None = None,
) -> Reader:
    """A reader of model instances: of the first entity, with the others attached.

    The columns after the entities' become attributes of the first, by the names in `extra`; `hidden` columns at the end
    of each row are passed over.

    With `listed` it also takes `RowsByOwner`, and puts each instance into the list of its key. A row of another key is
    passed over. Where the key is of the columns after those, it takes a dict in which instances are kept by primary
    key: rows of the same one share an instance, unless there is `extra`. The new ones are returned.
    """
    scope: dict[str, Any] = {}
    processors = list(processors)
    firsts = [sum(len(entity.attributes) for entity in entities[:index]) for index in range(len(entities))]
    column = firsts[-1] + len(entities[-1].attributes)
    before: list[str] = []

    def made(index: int) -> list[str]:
        """Lines that make an entity's instance, and those that hang on it."""
        entity = entities[index]
        scope[f"new{index}"] = entity.model.__new__
        scope[f"model{index}"] = entity.model
        lines = [f"o{index} = new{index}(model{index})"]
        for position, attribute in enumerate(entity.attributes, start=firsts[index]):
            lines.append(f"{attribute_of(f'o{index}', attribute)} = {_value(position, processors, scope)}")
        for child, joined in enumerate(entities):
            if joined.parent == index:
                lines += attached(child)
        return lines

    def attached(index: int) -> list[str]:
        """Lines that hang an entity's instance on its parent, if there is one."""
        entity = entities[index]
        lines = made(index)
        if entity.shared:
            shared = tuple_of([f"c{firsts[index] + entity.attributes.index(name)}" for name in entity.shared])
            before.append(f"known{index} = {{}}")
            lines[0] = f"o{index} = known{index}[{shared}] = {lines[0].partition(' = ')[2]}"
            lines = [f"o{index} = known{index}.get({shared})", f"if o{index} is None:", *_indented(lines)]
        lines.append(f"o{entity.parent}.__dict__[{entity.name!r}] = o{index}")
        absent: list[str] = []
        if entity.back is not None:
            assert entity.name is not None
            lines.append(f"o{index}.__dict__[{entity.back!r}] = o{entity.parent}")
            scope["set_loaded"] = set_loaded
            absent = ["else:", f"    set_loaded(o{entity.parent}, {entity.name!r}, [])"]
        return [
            f"if c{firsts[index] + entity.attributes.index(entity.keys[0])} is not None:",
            *_indented(lines),
            *absent,
        ]

    key_columns: list[int] = []
    if listed is not None:
        key_columns += [entities[0].attributes.index(name) for name in listed.by]
        key_columns += range(column + len(extra), column + len(extra) + listed.links)
    ready: list[str] = []
    for position in key_columns:
        if processors[position] is not None:
            ready.append(f"c{position} = {_value(position, processors, scope)}")
            processors[position] = None
    body = made(0)
    for name in extra:
        body.append(f"{attribute_of('o0', name)} = {_value(column, processors, scope)}")
        column += 1
    scope["repeat"] = repeat
    if listed is None:
        # Made in C, without a call for each row that the interpreter has to make.
        before.append("found = list(map(new0, repeat(model0, len(rows))))")
        return _build(body[1:], column, hidden, scope, before, "({columns}), o0 in zip(rows, found)")
    key = tuple_of([f"c{position}" for position in key_columns])
    find = [*ready, "try:", f"    mine, owner = places[{key}]", "except KeyError:", "    continue"]
    before.append("found = []")
    if not listed.links:
        body = [*find, *body[1:], *listed.reverse_attribute(), "mine.append(o0)"]
        if listed.returned:
            before.append("append = found.append")
            body.append("append(o0)")
        loop = "({columns}), o0 in zip(rows, map(new0, repeat(model0)))"
        return _build(body, column, hidden, scope, before, loop, "rows, places")
    before.append("append = found.append")
    body.append("append(o0)")
    if not extra:
        pk = tuple_of([f"c{entities[0].attributes.index(name)}" for name in entities[0].keys])
        body = [f"o0 = seen.get({pk})", "if o0 is None:", *_indented([*body, f"seen[{pk}] = o0"])]
    body = [*find, *body, "mine.append(o0)"]
    return _build(body, column + listed.links, hidden, scope, before, "{columns} in rows", "rows, places, seen")


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def read_dicts(
    names: Sequence[str], processors: Sequence[Process | None], hidden: int = 0, widths: Widths = None
) -> Reader:
    """A reader of dicts with these keys."""
    scope: dict[str, Any] = {}
    values = _values(processors, widths, scope)
    items = [f"{name!r}: {value}" for name, value in zip(names, values, strict=True)]
    return _each(f"{{{', '.join(items)}}}", len(processors), hidden, scope)


def read_tuples(processors: Sequence[Process | None], hidden: int = 0, widths: Widths = None) -> Reader:
    """A reader of tuples."""
    scope: dict[str, Any] = {}
    items = [f"{value}, " for value in _values(processors, widths, scope)]
    return _each(f"({''.join(items)})", len(processors), hidden, scope)


def read_named_tuples(
    names: Sequence[str], processors: Sequence[Process | None], hidden: int = 0, widths: Widths = None
) -> Reader:
    """A reader of named tuples, of a class called Row."""
    scope: dict[str, Any] = {"Row": namedtuple("Row", names)}
    scope["make"] = scope["Row"]._make
    items = [f"{value}, " for value in _values(processors, widths, scope)]
    return _each(f"make(({''.join(items)}))", len(processors), hidden, scope)


def read_values(processors: Sequence[Process | None], hidden: int = 0, widths: Widths = None) -> Reader:
    """A reader of the first value of each row, bare."""
    scope: dict[str, Any] = {}
    return _each(_values(processors, widths, scope)[0], len(processors), hidden, scope)


def source_of(reader: Reader) -> str:
    """The generated code of a reader."""
    source: str = reader.__globals__["__source__"]
    return source


def attribute_of(instance: str, name: str) -> str:
    """Code for an instance's attribute. It can name those that the language does not read otherwise."""
    plain = name.isascii() and name.isidentifier() and not iskeyword(name)
    return f"{instance}.{name}" if plain else f"{instance}.__dict__[{name!r}]"


def _values(processors: Sequence[Process | None], widths: Widths, scope: dict[str, Any]) -> list[str]:
    """The code of each value of a row."""
    columns = [_value(i, processors, scope) for i in range(len(processors))]
    if widths is None:
        return columns
    ends = [*accumulate(widths)]
    return [tuple_of(columns[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def _value(column: int, processors: Sequence[Process | None], scope: dict[str, Any]) -> str:
    return written(processors[column], f"c{column}", column, scope)


def tuple_of(parts: Sequence[str]) -> str:
    """The code of a tuple, or of the value itself if it is one."""
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _targets(columns: int, hidden: int) -> str:
    """What a row is unpacked into."""
    return "".join(f"c{i}, " for i in range(columns)) + ("*_" if hidden else "")


def _each(item: str, columns: int, hidden: int, scope: dict[str, Any]) -> Reader:
    """The reader that makes one expression of each row."""
    source = f"def read(rows):\n    return [{item} for {_targets(columns, hidden)} in rows]"
    reader: Reader = generate("row reader", source, scope)["read"]
    return reader


def _build(
    body: list[str],
    columns: int,
    hidden: int,
    scope: dict[str, Any],
    before: Sequence[str],
    loop: str,
    arguments: str = "rows",
) -> Reader:
    """The reader that runs some lines for each row."""
    lines = [
        f"def read({arguments}):",
        *(f"    {line}" for line in before),
        f"    for {loop.format(columns=_targets(columns, hidden))}:",
        *(f"        {line}" for line in body),
        "    return found",
    ]
    reader: Reader = generate("row reader", "\n".join(lines), scope)["read"]
    return reader
