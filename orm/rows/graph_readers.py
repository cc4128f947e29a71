"""Graph readers: code generated per plan that makes the rows of a graph's sections one tree of instances or of dicts.

Every section is read once, its rows put where they belong as they are made, so the time is that of the rows alone. One
row of the database becomes one instance, however many sections it is in. Here is what both trees have in common; see
`graph_instances.py` and `graph_dicts.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orm.fields import Field
from orm.relations import Relation
from orm.rows.readers import Entity, Process, tuple_of
from orm.utils.codegen import generate, written

if TYPE_CHECKING:
    from orm.query.projection import Instances

Check = Callable[[int, Iterable[list[Any]]], None]
GraphReader = Callable[[list[Any], float, Check, Any], tuple[list[Any], dict[int, list[Any]]]]
"""Takes the rows of every output, how many rows may belong to one, what to call if a section might have more (with its
number and the lists), and the database that instances are to remember. Gives what the root became, and the instances of
the sections that are asked for."""
PLAIN_LOOP = "for {columns} in {rows}:"


@dataclass(frozen=True)
class ColumnLayout:
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
    local: tuple[str, ...]
    rows: ColumnLayout
    pairs: ColumnLayout | None
    unique: bool
    """Whether no row comes twice."""
    asked: bool
    """Whether the reader also gives its instances."""
    annotated: dict[str, Field[Any]] = field(default_factory=dict)

    @property
    def is_many(self) -> bool:
        """Whether it is of rows of which one has a list. Of the root's rows, the reader's caller has it."""
        return self.relation is None or self.relation.many


class Writer:
    """Writes a reader's code.

    Local names: `c` columns, `o` what a row becomes, `owner` what it belongs to. Where lists cannot be found at their
    owners, `many` has them by the key that a section is attached by; `one` has the rows of a relation to one by it, and
    `remote` those that pairs name.
    """

    def __init__(self, sections: Sequence[Described]) -> None:
        self.sections = sections
        self.children: list[list[int]] = [[] for _ in sections]
        for number, section in enumerate(sections[1:], start=1):
            self.children[section.parent].append(number)
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {}
        self.depth = 1
        self.shared: list[str] = []
        """What all sections share: instances by key, for each model."""
        self.layout = sections[0].rows
        self.ready: set[int] = set()

    # What instances and dicts differ in.

    def row(self, number: int, entities: Sequence[Entity]) -> None:
        """The code that makes a row what it becomes, and places for what hangs on it."""
        raise NotImplementedError

    def owners(self, child: int) -> str | None:
        """The dict that has what a section to many hangs on, by primary key; None if not all of them have its lists."""
        raise NotImplementedError

    def list_of(self, child: int, owner: str) -> str:
        """The code for the list of a section's rows that an owner has."""
        raise NotImplementedError

    def reverse_attribute(self, number: int, key: str, owner: str | None) -> None:
        """The code that gives a row what it belongs to, which may be known."""

    def prepare(self, number: int) -> None:
        """Code in front of a section's loop."""

    def header(self, number: int) -> str:
        """How a section's loop begins."""
        return PLAIN_LOOP

    def ending(self) -> str:
        """What the reader returns besides what the root became."""
        raise NotImplementedError

    # The skeleton.

    def write(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def build(self) -> GraphReader:
        """The reader."""
        self.visit(0)
        shared = [f"    {name} = {{}}" for name in self.shared]
        head = ["def read(results, most, check, database):", *shared, "    found = []"]
        source = "\n".join([*head, *self.lines, f"    return found, {self.ending()}"])
        reader: GraphReader = generate("graph reader", source, self.scope)["read"]
        return reader

    def visit(self, number: int) -> None:
        """Read a section and those that hang on it: rows that a row leads to one of come before it."""
        section = self.sections[number]
        manies = [child for child in self.children[number] if self.sections[child].is_many]
        for child in self.children[number]:
            if child not in manies:
                self.visit(child)
        for child in manies:
            if self.owners_by_key(child) is None:
                self.write(f"many{child} = {{}}")
        if not section.is_many:
            self.write(f"one{number} = {{}}")
        elif section.pairs is not None:
            self.write(f"remote{number} = {{}}")
        self.prepare(number)
        self.read_rows(number)
        if section.pairs is not None:
            self.read_pairs(number, section.pairs)
        if number and section.is_many:
            self.check(number)
        for layout in filter(None, (section.rows, section.pairs)):
            self.write(f"results[{layout.number}] = None")  # What was read need not be kept.
        for child in manies:
            self.visit(child)

    def read_rows(self, number: int) -> None:
        """The loop over a section's rows."""
        section = self.sections[number]
        entities = section.instances.entities()
        self.loop(section.rows, self.header(number))
        self.unpack_keys(number, entities[0])
        key = self.key(entities[0], section.links) if number else ""
        if number and section.is_many and section.pairs is None:
            owners = self.owners_by_key(number)
            self.find(f"rows = many{number}[{key}]" if owners is None else f"owner = {owners}[{key}]")
            self.row(number, entities)
            self.write("rows.append(o0)" if owners is None else f"{self.list_of(number, 'owner')}.append(o0)")
            self.reverse_attribute(number, key, None if owners is None else "owner")
        else:
            self.row(number, entities)
            self.write(
                f"{'remote' if section.is_many else 'one'}{number}[{key}] = o0" if number else "found.append(o0)"
            )
        self.depth -= 1

    def read_pairs(self, number: int, layout: ColumnLayout) -> None:
        """The loop that puts rows where their pairs say."""
        self.loop(layout, PLAIN_LOOP)
        width = len(self.sections[number].local)
        values = [self.value(column) for column in range(len(layout.places))]
        local, remote = tuple_of(values[:width]), tuple_of(values[width:])
        owners = self.owners_by_key(number)
        rows = f"many{number}[{local}]" if owners is None else self.list_of(number, f"{owners}[{local}]")
        self.find(f"{rows}.append(remote{number}[{remote}])")
        self.depth -= 1

    def find(self, line: str) -> None:
        """Code that passes over a row whose other end is not there.

        It went away in between two statements, or the database does not enforce the key.
        """
        self.write("try:")
        self.write(f"    {line}")
        self.write("except KeyError:")
        self.write("    continue")

    def check(self, number: int) -> None:
        """The code that looks at how many rows belong to one, if there might be too many."""
        owners = self.owners_by_key(number)
        lists = f"many{number}.values()"
        if owners is not None:
            lists = f"[{self.list_of(number, 'owner')} for owner in {owners}.values()]"
        result = (self.sections[number].pairs or self.sections[number].rows).number
        self.write(f"if len(results[{result}]) > most:")
        self.write(f"    check({number}, {lists})")

    def owners_by_key(self, child: int) -> str | None:
        """`owners`, if a section's rows are attached by the primary key."""
        section = self.sections[child]
        info = self.sections[section.parent].instances.info
        return self.owners(child) if section.local == tuple(field.attname for field in info.pk_fields) else None

    def loop(self, layout: ColumnLayout, header: str) -> None:
        self.layout = layout
        self.ready = set()
        self.write(header.format(columns=layout.targets(), rows=f"results[{layout.number}]"))
        self.depth += 1

    def unpack_keys(self, number: int, entity: Entity) -> None:
        """Values that are used more than once are processed once."""
        names = {*entity.keys, *self.sections[number].links}
        for child in self.children[number]:
            names.update(self.sections[child].local)
        for column, name in enumerate(entity.attributes):
            if name in names and self.layout.processors[column] is not None:
                self.write(f"c{column} = {self.value(column)}")
                self.ready.add(column)

    def value(self, column: int) -> str:
        """The value of a column."""
        process = None if column in self.ready else self.layout.processors[column]
        return written(process, f"c{column}", f"{self.layout.number}_{column}", self.scope)

    def named(self, thing: Any) -> str:
        """A name for an object that the code uses."""
        name = next((name for name, known in self.scope.items() if known is thing), f"g{len(self.scope)}")
        self.scope[name] = thing
        return name

    def key(self, entity: Entity, names: Sequence[str], first: int = 0) -> str:
        """The value of these attributes: a tuple of several."""
        return tuple_of([self.value(first + entity.attributes.index(name)) for name in names])


def firsts_of(entities: Sequence[Entity]) -> list[int]:
    """The first column of each entity, and the one behind the last."""
    found = [0]
    for entity in entities:
        found.append(found[-1] + len(entity.attributes))
    return found
