"""Graph readers: code generated per plan that makes the rows of a graph's sections one tree of instances or of dicts.

Every section is read once, its rows put where they belong as they are made, so the time is that of the rows alone. One
row of the database becomes one instance, however many sections it is in.
"""

from __future__ import annotations

import base64
import datetime
import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orm.fields import Array, Field
from orm.loading.linking import set_missing, way_back
from orm.loading.readers import Entity, Process, _attribute
from orm.relations import ForeignKey, Relation, ReverseRelation
from orm.relations.loaded import OWNER, PREFETCHED

if TYPE_CHECKING:
    from orm.planning.projection import Instances

Check = Callable[[int, Iterable[list[Any]]], None]
GraphReader = Callable[[list[Any], float, Check, Any], tuple[list[Any], dict[int, list[Any]]]]
"""Takes the rows of every output, how many rows may belong to one, what to call if a section might have more (with its
number and the lists), and the database that instances are to remember. Gives what the root became, and the instances of
the sections that are asked for."""


@dataclass(frozen=True)
class Layout:
    """Where the columns of an output are in its rows."""

    number: int
    places: tuple[int, ...]
    width: int
    processors: tuple[Process | None, ...]

    def targets(self) -> str:
        """What a row is unpacked into: c0, c1, … for the columns."""
        names = {place: f"c{i}" for i, place in enumerate(self.places)}
        return "".join(f"{names.get(place, '_')}, " for place in range(self.width))


@dataclass(frozen=True)
class Described:
    """A section, as its rows are read."""

    parent: int
    relation: Relation | None
    to_attr: str | None
    instances: Instances
    links: tuple[str, ...]
    """The attributes by which a row is attached, and of what it is attached to."""
    near: tuple[str, ...]
    rows: Layout
    pairs: Layout | None
    unique: bool
    """Whether no row comes twice."""
    asked: bool
    """Whether the reader also gives its instances."""
    annotated: dict[str, Field[Any]] = field(default_factory=dict)


def instance_reader(sections: Sequence[Described], *, marking: bool) -> GraphReader:
    """A reader of instances; `marking`: they remember the database."""
    return _InstanceWriter(sections, marking=marking).build()


def dict_reader(sections: Sequence[Described]) -> GraphReader:
    """A reader of dicts that JSON can hold: relations to many are lists, to one dicts or None."""
    return _DictWriter(sections).build()


class _Writer:
    """Writes a reader's code. Local names: `c` columns, `o` what a row becomes, `s` instances by model and key,
    `n` what is known in a section, `many` lists by the key that a section is attached by, `one` rows by it."""

    def __init__(self, sections: Sequence[Described]) -> None:
        self.sections = sections
        self.children: list[list[int]] = [[] for _ in sections]
        for number, section in enumerate(sections[1:], start=1):
            self.children[section.parent].append(number)
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {"missing": set_missing}
        self.depth = 1
        self.shared: list[str] = []
        """What all sections share: instances by key, for each model."""
        self.processors: Sequence[Process | None] = ()
        self.ready: set[int] = set()

    # What instances and dicts differ in.

    def row(self, number: int, entities: Sequence[Entity]) -> None:
        """The code that makes a row what it becomes, and places for what hangs on it."""
        raise NotImplementedError

    def way_back(self, number: int, key: str) -> None:
        """The code that gives a row what it belongs to."""

    def ending(self) -> str:
        """What the reader returns besides what the root became."""
        raise NotImplementedError

    # The skeleton.

    def write(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def build(self) -> GraphReader:
        """The reader."""
        self.write("found = []")
        self.visit(0)
        body = self.lines
        self.lines = []
        for name in self.shared:
            self.write(f"{name} = {{}}")
        source = "\n".join(
            ["def read(results, most, check, database):", *self.lines, *body, f"    return found, {self.ending()}"]
        )
        self.scope["__source__"] = source
        exec(compile(source, "<generated graph reader>", "exec"), self.scope)
        reader: GraphReader = self.scope["read"]
        return reader

    def visit(self, number: int) -> None:
        """Read a section and those that hang on it: rows that a row leads to one of come before it."""
        section = self.sections[number]
        ones = [child for child in self.children[number] if not self.is_many(child)]
        manies = [child for child in self.children[number] if self.is_many(child)]
        for child in ones:
            self.visit(child)
        for child in manies:
            self.write(f"many{child} = {{}}")
        if not self.is_many(number):
            self.write(f"one{number} = {{}}")
        elif section.pairs is not None:
            self.write(f"far{number} = {{}}")
        self.prepare(number)
        self.loop(section.rows)
        entities = section.instances.entities()
        self.unpack_keys(number, entities[0])
        self.row(number, entities)
        self.attach(number, entities[0])
        self.close(section.rows)
        if section.pairs is not None:
            self.pair(number, section.pairs)
        if number and self.is_many(number):
            result = (section.pairs or section.rows).number
            self.write(f"if len(results[{result}]) > most:")
            self.write(f"    check({number}, many{number}.values())")
        for layout in filter(None, (section.rows, section.pairs)):
            self.write(f"results[{layout.number}] = None")  # What was read need not be kept.
        for child in manies:
            self.visit(child)

    def is_many(self, number: int) -> bool:
        relation = self.sections[number].relation
        return relation is None or relation.many

    def prepare(self, number: int) -> None:
        """Code in front of a section's loop."""

    def loop(self, layout: Layout) -> None:
        self.processors = layout.processors
        self.ready = set()
        self.write(f"for {layout.targets()} in results[{layout.number}]:")
        self.depth += 1

    def close(self, layout: Layout) -> None:
        self.depth -= 1

    def unpack_keys(self, number: int, entity: Entity) -> None:
        """Values that are used more than once are processed once."""
        names = {*entity.keys, *self.sections[number].links}
        for child in self.children[number]:
            names.update(self.sections[child].near)
        for column, name in enumerate(entity.attributes):
            if name in names and self.processors[column] is not None:
                self.write(f"c{column} = {self.value(column)}")
                self.ready.add(column)

    def value(self, column: int) -> str:
        """The value of a column."""
        process = self.processors[column]
        if process is None or column in self.ready:
            return f"c{column}"
        return f"{self.named(process)}(c{column})"

    def named(self, thing: Any) -> str:
        """A name for an object that the code uses."""
        name = f"g{id(thing)}"
        self.scope[name] = thing
        return name

    def key(self, entity: Entity, names: Sequence[str], first: int = 0) -> str:
        """The value of these attributes: a tuple of several."""
        values = [self.value(first + entity.attributes.index(name)) for name in names]
        return values[0] if len(values) == 1 else f"({', '.join(values)})"

    def attach(self, number: int, entity: Entity) -> None:
        """Put the row where it belongs."""
        section = self.sections[number]
        if not number:
            self.write("found.append(o0)")
            return
        key = self.key(entity, section.links)
        if not self.is_many(number):
            self.write(f"one{number}[{key}] = o0")
        elif section.pairs is not None:
            self.write(f"far{number}[{key}] = o0")
        else:
            self.write("try:")
            self.write(f"    many{number}[{key}].append(o0)")
            self.write("except KeyError:")  # In between two statements the other row went away.
            self.write("    continue")
            self.way_back(number, key)

    def pair(self, number: int, layout: Layout) -> None:
        """Put rows where their pairs say."""
        section = self.sections[number]
        self.loop(layout)
        width = len(section.near)
        values = [self.value(column) for column in range(len(layout.places))]
        near, far = (part[0] if len(part) == 1 else f"({', '.join(part)})" for part in (values[:width], values[width:]))
        self.write("try:")
        self.write(f"    many{number}[{near}].append(far{number}[{far}])")
        self.write("except KeyError:")
        self.write("    continue")
        self.depth -= 1


class _InstanceWriter(_Writer):
    def __init__(self, sections: Sequence[Described], *, marking: bool) -> None:
        super().__init__(sections)
        self.marking = marking
        everywhere = [entity.model for section in sections for entity in section.instances.entities()]
        self.models = list(dict.fromkeys(everywhere))
        self.single = {model for model in everywhere if everywhere.count(model) == 1}
        """The models of which only one section has instances."""
        owners = {
            sections[section.parent].instances.info.model
            for number, section in enumerate(sections)
            if number and self.is_many(number) and section.pairs is None and not self.needs_owner(number)
        }
        once = {section.instances.info.model for section in sections if section.unique} & self.single
        self.shared = [self.known(model) for model in self.models if model in owners or model not in once]

    def known(self, model: type) -> str:
        """The name of the model's instances by key."""
        return f"s{self.models.index(model)}"

    def prepare(self, number: int) -> None:
        if self.sections[number].instances.info.model not in self.single:
            self.write(f"n{number} = set()")
        if self.sections[number].asked:
            self.write(f"asked{number} = []")
        for child in self.children[number]:
            if self.is_many(child) and self.needs_owner(child):
                self.write(f"owner{child} = {{}}")

    def needs_owner(self, child: int) -> bool:
        """Whether what a row of the section belongs to is not found by its primary key."""
        section = self.sections[child]
        info = self.sections[section.parent].instances.info
        return section.pairs is None and section.near != tuple(field.attname for field in info.pk_fields)

    def way_back(self, number: int, key: str) -> None:
        section = self.sections[number]
        assert section.relation is not None
        back = way_back(section.relation)
        if back is not None:
            known = self.known(self.sections[section.parent].instances.info.model)
            owner = f"owner{number}" if self.needs_owner(number) else known
            direct = isinstance(section.relation, ReverseRelation) and isinstance(section.relation.relation, ForeignKey)
            only = direct and section.instances.info.model in self.single
            place = f"o0.{OWNER}" if only else f"o0.__dict__[{back!r}]"
            self.write(f"{place} = {owner}[{key}]")

    def row(self, number: int, entities: Sequence[Entity]) -> None:
        entity = entities[0]
        known, key = self.known(entity.model), self.key(entity, entity.keys)
        if entity.model in self.single and self.sections[number].unique:
            self.new(0, entity, f"{known}[{key}] = " if known in self.shared else "")
            self.fill(number, entities)
            return
        if entity.model in self.single:
            self.write(f"o0 = {known}.get({key})")
            self.write("if o0 is None:")
            self.depth += 1
            self.new(0, entity, f"{known}[{key}] = ")
        else:
            self.write(f"if {key} in n{number}:")
            self.write(f"    o0 = {known}[{key}]")
            self.write("else:")
            self.depth += 1
            self.write(f"n{number}.add({key})")
            self.write(f"o0 = {known}.get({key})")
            self.write("if o0 is None:")
            self.depth += 1
            self.new(0, entity, f"{known}[{key}] = ")
            self.depth -= 1
        self.fill(number, entities)
        self.depth -= 1

    def new(self, index: int, entity: Entity, also: str) -> None:
        """The code for a new instance, which also goes elsewhere."""
        self.write(f"{also}o{index} = {self.named(entity.model.__new__)}({self.named(entity.model)})")
        if self.marking:
            self.write(f"o{index}._database = database")

    def fill(self, number: int, entities: Sequence[Entity]) -> None:
        """The code for an instance that the section sees for the first time."""
        section = self.sections[number]
        firsts = _firsts(entities)
        self.assign(0, entities[0], 0)
        for position, name in enumerate(section.instances.annotations, start=firsts[-1]):
            self.write(f"{_attribute(0, name)} = {self.value(position)}")
        self.places(number, entities[0])
        for index, entity in enumerate(entities):
            if entity.parent == 0:
                self.joined(index, entities, firsts)
        if section.asked:
            self.write(f"asked{number}.append(o0)")

    def assign(self, index: int, entity: Entity, first: int) -> None:
        """The code for an instance's values."""
        for column, attribute in enumerate(entity.attributes, start=first):
            self.write(f"{_attribute(index, attribute)} = {self.value(column)}")

    def joined(self, index: int, entities: Sequence[Entity], firsts: Sequence[int]) -> None:
        """The code for an instance that was joined to another one."""
        entity, first = entities[index], firsts[index]
        known, key = self.known(entity.model), self.key(entity, entity.keys, first)
        present = " and ".join(f"c{first + entity.attributes.index(name)} is not None" for name in entity.keys)
        self.write(f"if {present}:")
        self.depth += 1
        self.write(f"o{index} = {known}.get({key})")
        self.write(f"if o{index} is None:")
        self.depth += 1
        self.new(index, entity, f"{known}[{key}] = ")
        self.depth -= 1
        self.assign(index, entity, first)
        for child, other in enumerate(entities):
            if other.parent == index:
                self.joined(child, entities, firsts)
        self.write(f"o{entity.parent}.__dict__[{entity.name!r}] = o{index}")
        if entity.back is not None:
            self.write(f"o{index}.__dict__[{entity.back!r}] = o{entity.parent}")
        self.depth -= 1
        if entity.back is not None:
            self.write("else:")
            self.write(f"    o{entity.parent}.__dict__.setdefault({PREFETCHED!r}, {{}})[{entity.name!r}] = []")

    def places(self, number: int, entity: Entity) -> None:
        """The code that prepares an instance for what hangs on it, or gives it what it leads to."""
        lists: dict[str, str] = {}
        for child in self.children[number]:
            section = self.sections[child]
            relation = section.relation
            assert relation is not None
            key = self.key(entity, section.near)
            if not relation.many:
                self.lead(child, entity, key)
                continue
            self.write(f"many{child}[{key}] = rows{child} = []")
            if self.needs_owner(child):
                self.write(f"owner{child}[{key}] = o0")
            if section.to_attr is not None:
                self.write(f"{_attribute(0, section.to_attr)} = rows{child}")
            else:
                lists[relation.accessor] = f"rows{child}"
        if lists:
            items = ", ".join(f"{name!r}: {rows}" for name, rows in lists.items())
            alone = entity.model in self.single and all(self.is_many(child) for child in self.children[number])
            if alone:
                self.write(f"o0.{PREFETCHED} = {{{items}}}")
            else:
                self.write(f"o0.__dict__.setdefault({PREFETCHED!r}, {{}}).update({{{items}}})")

    def lead(self, child: int, entity: Entity, key: str) -> None:
        """The code that gives an instance the one row that it leads to."""
        section = self.sections[child]
        relation = section.relation
        assert relation is not None
        back = way_back(relation)
        self.write(f"there = one{child}.get({key})")
        if section.to_attr is not None:
            self.write(f"{_attribute(0, section.to_attr)} = there")
        else:
            parts = [self.value(entity.attributes.index(name)) for name in section.near]
            looked_for = " and ".join(f"{part} is not None" for part in parts)
            self.write("if there is not None:")
            self.write(f"    o0.__dict__[{relation.accessor!r}] = there")
            self.write(f"elif {looked_for}:")
            self.write(f"    missing({self.named(relation)}, o0)")
        if back is not None:
            self.write("if there is not None:")
            self.write(f"    there.__dict__[{back!r}] = o0")

    def ending(self) -> str:
        asked = ", ".join(f"{i}: asked{i}" for i, section in enumerate(self.sections) if section.asked)
        return f"{{{asked}}}"


class _DictWriter(_Writer):
    def prepare(self, number: int) -> None:
        self.write(f"n{number} = {{}}")

    def row(self, number: int, entities: Sequence[Entity]) -> None:
        section = self.sections[number]
        entity, firsts = entities[0], _firsts(entities)
        key = self.key(entity, entity.keys)
        self.write(f"o0 = n{number}.get({key})")
        self.write("if o0 is None:")
        self.depth += 1
        for child in self.children[number]:
            if self.is_many(child):
                near = self.key(entity, self.sections[child].near)
                self.write(f"many{child}[{near}] = rows{child} = []")
        items = self.items(0, entities, firsts)
        for position, (name, annotated) in enumerate(section.annotated.items(), start=firsts[-1]):
            items.append(f"{name!r}: {self.plain(position, annotated)}")
        for child in self.children[number]:
            other = self.sections[child]
            assert other.relation is not None
            name = other.to_attr or other.relation.accessor
            value = f"rows{child}" if self.is_many(child) else f"one{child}.get({self.key(entity, other.near)})"
            items.append(f"{name!r}: {value}")
        self.write(f"n{number}[{key}] = o0 = {{{', '.join(items)}}}")
        self.depth -= 1

    def items(self, index: int, entities: Sequence[Entity], firsts: Sequence[int]) -> list[str]:
        """The items of a dict: an instance's fields, and those joined to it."""
        entity, first = entities[index], firsts[index]
        fields = entity.model._meta.by_attname  # type: ignore[attr-defined]
        found = [
            f"{name!r}: {self.plain(column, fields[name])}"
            for column, name in enumerate(entity.attributes, start=first)
        ]
        for child, other in enumerate(entities):
            if other.parent == index:
                key = f"c{firsts[child] + other.attributes.index(other.keys[0])}"
                inner = ", ".join(self.items(child, entities, firsts))
                found.append(f"{other.name!r}: None if {key} is None else {{{inner}}}")
        return found

    def plain(self, column: int, of: Field[Any]) -> str:
        """The value of a column as JSON can hold it."""
        value = self.value(column)
        convert = plain_data(of)
        return value if convert is None else f"None if c{column} is None else {self.named(convert)}({value})"

    def ending(self) -> str:
        return "{}"


def _firsts(entities: Sequence[Entity]) -> list[int]:
    """The first column of each entity, and the one behind the last."""
    found = [0]
    for entity in entities:
        found.append(found[-1] + len(entity.attributes))
    return found


def _moment(value: Any) -> str:
    text: str = value.isoformat()
    return text


def _seconds(value: datetime.timedelta) -> float:
    return value.total_seconds()


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _member(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


PLAIN: dict[str, Callable[[Any], Any]] = {
    "date": _moment,
    "datetime": _moment,
    "time": _moment,
    "duration": _seconds,
    "decimal": str,
    "uuid": str,
    "ip": str,
    "binary": _base64,
    "enum": _member,
    "integer enum": _member,
}


def plain_data(of: Field[Any]) -> Callable[[Any], Any] | None:
    """What makes a field's values such as JSON holds; None where they are.

    Dates and times become ISO 8601 text, decimals, UUIDs and addresses text, durations seconds, bytes base64, members
    of enums their values.
    """
    if isinstance(of, ForeignKey):
        return plain_data(of.target_field)
    if isinstance(of, Array):
        item = plain_data(of.field)
        return None if item is None else lambda values: [None if v is None else item(v) for v in values]
    return PLAIN.get(of.kind)
