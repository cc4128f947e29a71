"""The graph reader that makes dicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orm.fields import Field
from orm.rows.graph_readers import ColumnLayout, GraphReader, GraphReaderSource, OutputKind, SectionShape, first_columns
from orm.rows.readers import Entity, column_name


def dict_reader(
    sections: Sequence[SectionShape], layouts: Mapping[tuple[int, OutputKind], ColumnLayout]
) -> GraphReader:
    """A reader of dicts that JSON can hold: a relation to many is a list, a relation to one a dict or None."""
    return DictReaderSource(sections, layouts).build()


class DictReaderSource(GraphReaderSource):
    """Another local name: ``dicts_by_key`` has the dicts of a section by primary key."""

    node = "data"

    def write_preparation(self, number: int) -> None:
        self.write(f"{self.nodes_by_key(number)} = {{}}")

    def nodes_by_key(self, number: int) -> str:
        return f"dicts_by_key_{number}"

    def list_of(self, child: int, owner: str) -> str:
        return f"{owner}[{self.name(child)!r}]"

    def name(self, child: int) -> str:
        """The key of a section's rows in the dicts of their owners."""
        return self.sections[child].to_attr or self.relation(child).accessor

    def write_node(self, number: int) -> None:
        section, entities = self.sections[number], self.entities[number]
        entity, columns = entities[0], first_columns(entities)
        by_key, key = self.nodes_by_key(number), self.key(entity, entity.keys)
        self.write(f"data = {by_key}.get({key})")
        self.write("if data is None:")
        self.depth += 1
        items = self.items(0, entities, columns)
        for column, (name, field) in enumerate(section.annotations.items(), start=columns[-1]):
            items.append(f"{name!r}: {self.plain_value(column, field)}")
        for child in self.children[number]:
            local = self.key(entity, [field.attname for field in self.sections[child].local_fields])
            value = "[]"
            if not self.is_many(child):
                value = f"one_by_key_{child}.get({local})"
            elif self.owners_by_key(child) is None:
                value = f"list_{child}"
                self.write(f"lists_by_key_{child}[{local}] = {value} = []")
            items.append(f"{self.name(child)!r}: {value}")
        self.write(f"{by_key}[{key}] = data = {{{', '.join(items)}}}")
        self.depth -= 1

    def items(self, index: int, entities: Sequence[Entity], columns: Sequence[int]) -> list[str]:
        """The items of an entity's dict: its fields, and the entities joined to it."""
        entity, first = entities[index], columns[index]
        fields = entity.model._meta.by_attname  # type: ignore[attr-defined]
        kinds = entity.kinds
        items = [
            f"{name!r}: {self.plain_value(first + position, fields[name])}"
            for position, name in enumerate(entity.attributes)
            if kinds is None or position in kinds.common
        ]
        for model, positions in kinds.further.items() if kinds is not None else ():
            if kinds is not None and positions:
                fields = model._meta.by_attname  # type: ignore[attr-defined]
                names = [(entity.attributes[position], first + position) for position in positions]
                inner = ", ".join(f"{name!r}: {self.plain_value(column, fields[name])}" for name, column in names)
                classes, known = self.name_for(kinds.classes, "classes"), self.name_for(model, "model")
                value = self.value(first + kinds.column)
                items.append(f"**({{{inner}}} if {classes}.get({value}) is {known} else {{}})")
        for child, joined in enumerate(entities):
            if joined.parent == index:
                key = column_name(columns[child] + joined.attributes.index(joined.keys[0]))
                inner = ", ".join(self.items(child, entities, columns))
                items.append(f"{joined.name!r}: None if {key} is None else {{{inner}}}")
        return items

    def plain_value(self, column: int, field: Field[Any]) -> str:
        """The code of a column's value, as JSON can hold it."""
        value = self.value(column)
        field = field.underlying_field
        if field.is_json:
            return value
        return f"None if {column_name(column)} is None else {self.name_for(field.to_json, 'to_json')}({value})"

    def returned(self) -> str:
        return "{}"
