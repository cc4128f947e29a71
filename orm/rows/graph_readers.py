"""Graph readers: code generated per plan that turns the rows of a graph's sections into one tree of instances or dicts.

Each section is read once, and each row is put in its place as it is read, so the time is that of the rows alone. One
row of the database becomes one instance, however many sections it is in. This module has what both trees share; see
`graph_instances.py` and `graph_dicts.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from orm.fields import Field
from orm.relations import Relation
from orm.rows.readers import Entity, Process, Rows, column_name, labels_of_entities, tuple_of, unpacked
from orm.rows.unreadable_values import READ_ERRORS, unreadable_value_check
from orm.utils.codegen import conversion_source, generate

Check = Callable[[int, Iterable[list[Any]]], None]
GraphReader = Callable[[list[Any], float, Check, Any], tuple[list[Any], dict[int, list[Any]]]]
"""Takes the rows of every output; how many rows may have the same owner; what to call if a section might have more,
with the section's number and the lists; and the database that instances are to remember. Returns the root's instances
or dicts, and, by number, the instances of the sections that have suppressed relations."""
OutputKind = Literal["rows", "pairs"]
PLAIN_LOOP = "for {columns} in {rows}:"


@dataclass(frozen=True)
class ColumnLayout:
    """Where the columns of one output are in the driver's rows."""

    output: int
    """The number of the output."""
    positions: tuple[int, ...]
    """The position of each column in a row."""
    width: int
    """How many values a row has."""
    processors: tuple[Process | None, ...]

    def targets(self) -> str:
        """What a row is unpacked into."""
        names = {position: column_name(column) for column, position in enumerate(self.positions)}
        return unpacked([names.get(position, "_") for position in range(self.width)])


class SectionShape(Protocol):
    """What a reader takes from a graph's section: the root's rows, or those of one relation.

    A reader is part of a plan, so the plan's key covers all of this.
    """

    @property
    def parent(self) -> int:
        """The number of the section with the owners of the rows."""

    @property
    def relation(self) -> Relation | None:
        """The relation from the owners to the rows; None for the root."""

    @property
    def to_attr(self) -> str | None:
        """The attribute of the owners that takes the rows; None for the relation itself."""

    @property
    def entities(self) -> Sequence[Entity]:
        """The columns of the section's model in each row, and those of the models joined to it."""

    @property
    def annotations(self) -> Mapping[str, Field[Any]]:
        """The annotations, which follow the entities' columns, by name."""

    @property
    def local_fields(self) -> tuple[Field[Any], ...]:
        """The owners' fields that have the same values as `remote_fields`."""

    @property
    def remote_fields(self) -> tuple[Field[Any], ...]:
        """The fields of a row, or of a pair, by which the row is attached to its owner."""

    @property
    def is_unique(self) -> bool:
        """Whether no row comes twice."""

    @property
    def has_suppressed(self) -> bool:
        """Whether relations of the instances are suppressed: then the reader returns these, too."""


class GraphReaderSource:
    """Writes the source code of a reader.

    The numbers at the end of local names are those of sections. Where lists are not found on their owners,
    ``lists_by_key`` has them by the key that a section is attached by; ``one_by_key`` has the rows of a relation to one
    by it, and ``paired_by_key`` those that pairs refer to.
    """

    node: str
    """The local variable for what a row becomes."""

    def __init__(
        self, sections: Sequence[SectionShape], layouts: Mapping[tuple[int, OutputKind], ColumnLayout]
    ) -> None:
        self.sections = sections
        self.layouts = layouts
        self.entities = [section.entities for section in sections]
        self.children: list[list[int]] = [[] for _ in sections]
        for number, section in enumerate(sections[1:], start=1):
            self.children[section.parent].append(number)
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {}
        self.depth = 1
        self.shared: list[str] = []
        """The dicts that sections share: instances by key, for each model."""
        self.layout = layouts[0, "rows"]
        """Of the loop that is being written."""
        self.converted: set[int] = set()
        """The columns that its code has converted already."""

    # What instances and dicts differ in.

    def write_node(self, number: int) -> None:
        """Write the code that makes a row the tree's node, with empty lists for the sections attached to it."""
        raise NotImplementedError

    def nodes_by_key(self, number: int) -> str | None:
        """The dict that has a section's nodes by primary key; None if some of them are only in another section's."""
        raise NotImplementedError

    def list_of(self, child: int, owner: str) -> str:
        """The code for the list of a section's rows that an owner has."""
        raise NotImplementedError

    def write_reverse(self, number: int, key: str, owner: str | None) -> None:
        """Write the code that gives a row its owner. `owner`: the variable that has it, if one does."""

    def write_preparation(self, number: int) -> None:
        """Write the code in front of a section's loop."""

    def loop_header(self, number: int) -> str:
        """The first line of a section's loop, with ``{columns}`` and ``{rows}``."""
        return PLAIN_LOOP

    def returned(self) -> str:
        """The code of what the reader returns besides the root's nodes."""
        raise NotImplementedError

    # The skeleton.

    def write(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def build(self) -> GraphReader:
        """The reader."""
        self.write_section(0)
        shared = [f"    {name} = {{}}" for name in self.shared]
        head = ["def read(results, max_rows_per_owner, check, database):", *shared, "    roots = []"]
        self.scope |= {"READ_ERRORS": READ_ERRORS, "check_results": self.result_check()}
        body = ["    try:", *(f"    {line}" for line in self.lines)]
        failed = ["    except READ_ERRORS as error:", "        check_results(error, results)", "        raise"]
        source = "\n".join([*head, *body, *failed, f"    return roots, {self.returned()}"])
        root = self.sections[0].entities[0].model
        reader: GraphReader = generate(f"graph reader of {root.__name__}", source, self.scope)["read"]
        return reader

    def result_check(self) -> Callable[[BaseException, Sequence[Rows | None]], None]:
        """A function that raises `DataError` for the first value that its processor cannot read."""
        checks = []
        for (number, kind), layout in self.layouts.items():
            if kind == "rows":
                section = self.sections[number]
                names = labels_of_entities(section.entities, section.annotations)
                checks.append((layout, unreadable_value_check(layout.processors, names)))

        def check(error: BaseException, results: Sequence[Rows | None]) -> None:
            for layout, check_rows in checks:
                rows = results[layout.output] or ()  # None once they are all read
                check_rows(error, [[row[position] for position in layout.positions] for row in rows])

        return check

    def is_many(self, number: int) -> bool:
        """Whether each owner has a list of the section's rows. For the root's rows that is the reader's caller."""
        relation = self.sections[number].relation
        return relation is None or relation.many

    def relation(self, number: int) -> Relation:
        """The relation from the owners to a section's rows. The root has none."""
        relation = self.sections[number].relation
        assert relation is not None
        return relation

    def pairs_of(self, number: int) -> ColumnLayout | None:
        """The pairs of a section; None if its rows have the key themselves."""
        return self.layouts.get((number, "pairs"))

    def write_section(self, number: int) -> None:
        """Write the code that reads a section and those attached to it; relations to one come first."""
        rows, pairs = self.layouts[number, "rows"], self.pairs_of(number)
        many = [child for child in self.children[number] if self.is_many(child)]
        for child in self.children[number]:
            if child not in many:
                self.write_section(child)
        self.write(f"# Section {number}: {self.title(number)}")
        for child in many:
            if self.owners_by_key(child) is None:
                self.write(f"lists_by_key_{child} = {{}}")
        if not self.is_many(number):
            self.write(f"one_by_key_{number} = {{}}")
        elif pairs is not None:
            self.write(f"paired_by_key_{number} = {{}}")
        self.write_preparation(number)
        self.write_rows(number)
        if pairs is not None:
            self.write_pairs(number, pairs)
        if number and self.is_many(number):
            self.write_check(number)
        for layout in filter(None, (rows, pairs)):
            self.write(f"results[{layout.output}] = None")  # Free the rows as soon as they are read.
        for child in many:
            self.write_section(child)

    def title(self, number: int) -> str:
        """What a section has, for a comment in the code."""
        model = self.entities[number][0].model.__name__
        if not number:
            return model
        section = self.sections[number]
        return f"{model}, {section.to_attr or self.relation(number).accessor!r} of section {section.parent}"

    def write_rows(self, number: int) -> None:
        """Write the loop over a section's rows."""
        entity = self.entities[number][0]
        self.begin_loop(self.layouts[number, "rows"], self.loop_header(number))
        self.convert_keys(number, entity)
        key = self.key(entity, attributes_of(self.sections[number].remote_fields)) if number else ""
        if number and self.is_many(number) and self.pairs_of(number) is None:
            owners = self.owners_by_key(number)
            self.skip_row_unless(
                f"owner_list = lists_by_key_{number}[{key}]" if owners is None else f"owner = {owners}[{key}]"
            )
            self.write_node(number)
            rows = "owner_list" if owners is None else self.list_of(number, "owner")
            self.write(f"{rows}.append({self.node})")
            self.write_reverse(number, key, None if owners is None else "owner")
        else:
            self.write_node(number)
            if not number:
                self.write(f"roots.append({self.node})")
            else:
                by_key = "paired_by_key" if self.is_many(number) else "one_by_key"
                self.write(f"{by_key}_{number}[{key}] = {self.node}")
        self.depth -= 1

    def write_pairs(self, number: int, layout: ColumnLayout) -> None:
        """Write the loop that puts rows into the lists of the owners that they are paired with."""
        self.begin_loop(layout, PLAIN_LOOP)
        width = len(self.sections[number].local_fields)
        values = [self.value(column) for column in range(len(layout.positions))]
        local, remote = tuple_of(values[:width]), tuple_of(values[width:])
        owners = self.owners_by_key(number)
        rows = f"lists_by_key_{number}[{local}]" if owners is None else self.list_of(number, f"{owners}[{local}]")
        self.skip_row_unless(f"{rows}.append(paired_by_key_{number}[{remote}])")
        self.depth -= 1

    def skip_row_unless(self, line: str) -> None:
        """Write a line that looks up a row's other end, and skips the row if there is none.

        It may have been deleted between two statements, or the database does not enforce the foreign key.
        """
        self.write("try:")
        self.write(f"    {line}")
        self.write("except KeyError:")
        self.write("    continue")

    def write_check(self, number: int) -> None:
        """Write the check of how many rows have the same owner, for when there might be too many."""
        owners = self.owners_by_key(number)
        lists = f"lists_by_key_{number}.values()"
        if owners is not None:
            lists = f"[{self.list_of(number, 'owner')} for owner in {owners}.values()]"
        output = (self.pairs_of(number) or self.layouts[number, "rows"]).output
        self.write(f"if len(results[{output}]) > max_rows_per_owner:")
        self.write(f"    check({number}, {lists})")

    def owners_by_key(self, child: int) -> str | None:
        """The dict of a section's owners, by the key that the rows are attached by; None if there is none."""
        section = self.sections[child]
        is_by_primary_key = attributes_of(section.local_fields) == self.entities[section.parent][0].keys
        return self.nodes_by_key(section.parent) if is_by_primary_key else None

    def begin_loop(self, layout: ColumnLayout, header: str) -> None:
        self.layout = layout
        self.converted = set()
        self.write(header.format(columns=layout.targets(), rows=f"results[{layout.output}]"))
        self.depth += 1

    def convert_keys(self, number: int, entity: Entity) -> None:
        """Write the conversion of values that are used more than once."""
        names = {*entity.keys, *attributes_of(self.sections[number].remote_fields)}
        for child in self.children[number]:
            names.update(attributes_of(self.sections[child].local_fields))
        for column, name in enumerate(entity.attributes):
            if name in names and self.layout.processors[column] is not None:
                self.write(f"{column_name(column)} = {self.value(column)}")
                self.converted.add(column)

    def value(self, column: int) -> str:
        """The code of a column's value."""
        process = None if column in self.converted else self.layout.processors[column]
        return conversion_source(process, column_name(column), f"{self.layout.output}_{column}", self.scope)

    def name_for(self, thing: Any, kind: str) -> str:
        """A global name for an object that the code uses."""
        name = next((name for name, known in self.scope.items() if known is thing), f"{kind}_{len(self.scope)}")
        self.scope[name] = thing
        return name

    def key(self, entity: Entity, names: Sequence[str], first: int = 0) -> str:
        """The code of the values of these attributes of an entity, whose columns start at `first`."""
        return tuple_of([self.value(first + entity.attributes.index(name)) for name in names])


def attributes_of(fields: Iterable[Field[Any]]) -> tuple[str, ...]:
    """The attributes of an instance that have the fields' values."""
    return tuple(field.attname for field in fields)


def first_columns(entities: Sequence[Entity]) -> list[int]:
    """The first column of each entity, and the one after the last."""
    columns = [0]
    for entity in entities:
        columns.append(columns[-1] + len(entity.attributes))
    return columns
