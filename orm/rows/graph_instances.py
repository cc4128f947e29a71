"""The graph reader of instances."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from orm.relations import ForeignKey, ReverseRelation
from orm.relations.attaching import reverse_attribute, set_missing
from orm.relations.instance_state import LOADED, OWNER, WeakParents, set_loaded
from orm.rows.graph_readers import PLAIN_LOOP, Described, GraphReader, Writer, firsts_of
from orm.rows.readers import Entity, attribute_of


def instance_reader(sections: Sequence[Described], *, marking: bool) -> GraphReader:
    """A reader of instances; `marking`: they remember the database."""
    return _InstanceWriter(sections, marking=marking).build()


class _InstanceWriter(Writer):
    """Further names: `s` instances by key, for each model; `n` the keys that a section has seen."""

    def __init__(self, sections: Sequence[Described], *, marking: bool) -> None:
        super().__init__(sections)
        self.scope.update(missing=set_missing, repeat=repeat, set_loaded=set_loaded, WeakParents=WeakParents)
        self.marking = marking
        everywhere = [entity.model for section in sections for entity in section.instances.entities()]
        self.models = list(dict.fromkeys(everywhere))
        self.single = {model for model in everywhere if everywhere.count(model) == 1}
        """The models of which only one section has instances."""
        owners = {
            self.parent(number).instances.info.model
            for number, section in enumerate(sections)
            if number and section.is_many and not self.needs_owner(number)
        }
        once = {section.instances.info.model for i, section in enumerate(sections) if self.is_always_new(i)}
        self.shared = [self.known(model) for model in self.models if model in owners or model not in once]

    def parent(self, child: int) -> Described:
        return self.sections[self.sections[child].parent]

    def known(self, model: type) -> str:
        """The name of the model's instances by key."""
        return f"s{self.models.index(model)}"

    def prepare(self, number: int) -> None:
        if self.sections[number].instances.info.model not in self.single:
            self.write(f"n{number} = set()")
        if self.sections[number].asked:
            self.write(f"asked{number} = []")
        if self.has_owner(number):
            self.write(f"back{number} = WeakParents({self.instances_of(number)})")
        for child in self.children[number]:
            if self.sections[child].is_many and self.needs_owner(child):
                self.write(f"owner{child} = {{}}")

    def header(self, number: int) -> str:
        if not self.is_always_new(number):
            return PLAIN_LOOP
        model = self.sections[number].instances.info.model
        # Without a call for each row that the interpreter has to make.
        made = f"map({self.named(model.__new__)}, repeat({self.named(model)}))"
        return f"for ({{columns}}), o0 in zip({{rows}}, {made}):"

    def is_always_new(self, number: int) -> bool:
        """Whether each row of the section becomes an instance that nobody has made before."""
        section = self.sections[number]
        return section.unique and section.instances.info.model in self.single

    def needs_owner(self, child: int) -> bool:
        """Whether what a row of the section belongs to is not found by its primary key."""
        pk = tuple(field.attname for field in self.parent(child).instances.info.pk_fields)
        return self.sections[child].pairs is None and self.sections[child].local != pk

    def owners(self, child: int) -> str | None:
        model = self.parent(child).instances.info.model
        return self.known(model) if model in self.single else None

    def list_of(self, child: int, owner: str) -> str:
        section = self.sections[child]
        assert section.relation is not None
        if section.to_attr is not None:
            return attribute_of(owner, section.to_attr)
        return f"{owner}.{LOADED}[{section.relation.accessor!r}]"

    def is_loaded(self, child: int) -> bool:
        """Whether an instance has the section's rows as what was loaded for its relation."""
        section = self.sections[child]
        return section.is_many and section.to_attr is None

    def has_owner(self, number: int) -> bool:
        """Whether the section's rows have an `WeakParent` for the way back."""
        section = self.sections[number]
        relation = section.relation
        direct = isinstance(relation, ReverseRelation) and relation.many and isinstance(relation.relation, ForeignKey)
        return direct and section.instances.info.model in self.single

    def instances_of(self, number: int) -> str:
        """The dict of what the section's rows belong to."""
        return f"owner{number}" if self.needs_owner(number) else self.known(self.parent(number).instances.info.model)

    def reverse_attribute(self, number: int, key: str, owner: str | None) -> None:
        section = self.sections[number]
        assert section.relation is not None
        back = reverse_attribute(section.relation)
        if self.has_owner(number):
            self.write(f"o0.{OWNER} = back{number}[{key}]")
        elif back is not None:
            self.write(f"o0.__dict__[{back!r}] = {owner or f'{self.instances_of(number)}[{key}]'}")

    def row(self, number: int, entities: Sequence[Entity]) -> None:
        entity = entities[0]
        known, key = self.known(entity.model), self.key(entity, entity.keys)
        if self.is_always_new(number):
            if known in self.shared:
                self.write(f"{known}[{key}] = o0")
            self.mark(0)
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
        self.mark(index)

    def mark(self, index: int) -> None:
        """The code by which an instance remembers the database, if it has to."""
        if self.marking:
            self.write(f"o{index}._database = database")

    def fill(self, number: int, entities: Sequence[Entity]) -> None:
        """The code for an instance that the section sees for the first time."""
        section = self.sections[number]
        firsts = firsts_of(entities)
        self.assign(0, entities[0], 0)
        for position, name in enumerate(section.instances.annotations, start=firsts[-1]):
            self.write(f"{attribute_of('o0', name)} = {self.value(position)}")
        self.places(number, entities[0])
        for index, entity in enumerate(entities):
            if entity.parent == 0:
                self.joined(index, entities, firsts)
        if section.asked:
            self.write(f"asked{number}.append(o0)")

    def assign(self, index: int, entity: Entity, first: int) -> None:
        """The code for an instance's values."""
        for column, attribute in enumerate(entity.attributes, start=first):
            self.write(f"{attribute_of(f'o{index}', attribute)} = {self.value(column)}")

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
            self.write(f"    set_loaded(o{entity.parent}, {entity.name!r}, [])")

    def places(self, number: int, entity: Entity) -> None:
        """The code that prepares an instance for what hangs on it, or gives it what it leads to."""
        bare = self.is_always_new(number)
        if bare and any(self.is_loaded(child) for child in self.children[number]):
            self.write(f"loaded = o0.{LOADED} = {{}}")
        # What notes that there is no row replaces the dict.
        for child in sorted(self.children[number], key=lambda child: not self.is_loaded(child)):
            section = self.sections[child]
            relation = section.relation
            assert relation is not None
            key = self.key(entity, section.local)
            if not relation.many:
                self.lead(child, entity, key)
                continue
            rows = "[]"
            if self.owners_by_key(child) is None:
                rows = f"rows{child}"
                self.write(f"many{child}[{key}] = {rows} = []")
            if self.needs_owner(child):
                self.write(f"owner{child}[{key}] = o0")
            if not self.is_loaded(child):
                self.write(f"{self.list_of(child, 'o0')} = {rows}")
            elif bare:
                self.write(f"loaded[{relation.accessor!r}] = {rows}")
            else:
                self.write(f"set_loaded(o0, {relation.accessor!r}, {rows})")

    def lead(self, child: int, entity: Entity, key: str) -> None:
        """The code that gives an instance the one row that it leads to."""
        section = self.sections[child]
        relation = section.relation
        assert relation is not None
        back = reverse_attribute(relation)
        self.write(f"there = one{child}.get({key})")
        if section.to_attr is not None:
            self.write(f"{attribute_of('o0', section.to_attr)} = there")
        else:
            parts = [self.value(entity.attributes.index(name)) for name in section.local]
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
