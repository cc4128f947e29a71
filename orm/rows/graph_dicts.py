"""The graph reader of dicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orm.fields import Field
from orm.rows.graph_readers import Described, GraphReader, Writer, firsts_of
from orm.rows.json_values import plain_data
from orm.rows.readers import Entity


def dict_reader(sections: Sequence[Described]) -> GraphReader:
    """A reader of dicts that JSON can hold: relations to many are lists, to one dicts or None."""
    return _DictWriter(sections).build()


class _DictWriter(Writer):
    """A further name: `n` the dicts of a section by key."""

    def prepare(self, number: int) -> None:
        self.write(f"n{number} = {{}}")

    def owners(self, child: int) -> str | None:
        return f"n{self.sections[child].parent}"

    def list_of(self, child: int, owner: str) -> str:
        return f"{owner}[{self.name(child)!r}]"

    def name(self, child: int) -> str:
        """The key of a section in the dicts that it hangs on."""
        section = self.sections[child]
        assert section.relation is not None
        return section.to_attr or section.relation.accessor

    def row(self, number: int, entities: Sequence[Entity]) -> None:
        section = self.sections[number]
        entity, firsts = entities[0], firsts_of(entities)
        key = self.key(entity, entity.keys)
        self.write(f"o0 = n{number}.get({key})")
        self.write("if o0 is None:")
        self.depth += 1
        items = self.items(0, entities, firsts)
        for position, (name, annotated) in enumerate(section.annotated.items(), start=firsts[-1]):
            items.append(f"{name!r}: {self.plain(position, annotated)}")
        for child in self.children[number]:
            local = self.key(entity, self.sections[child].local)
            value = "[]"
            if not self.sections[child].is_many:
                value = f"one{child}.get({local})"
            elif self.owners_by_key(child) is None:
                value = f"rows{child}"
                self.write(f"many{child}[{local}] = {value} = []")
            items.append(f"{self.name(child)!r}: {value}")
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
