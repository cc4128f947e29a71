"""The graph reader that makes instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat

from orm.relations import ForeignKey, ReverseRelation
from orm.relations.attaching import reverse_attribute, set_missing
from orm.relations.instance_state import LOADED, OWNER, WeakParents, set_loaded
from orm.rows.graph_readers import (
    PLAIN_LOOP,
    ColumnLayout,
    GraphReader,
    GraphReaderSource,
    OutputKind,
    SectionShape,
    attributes_of,
    first_columns,
)
from orm.rows.readers import Entity, attribute_of, column_name, instance_name, take_snapshot


def instance_reader(
    sections: Sequence[SectionShape],
    layouts: Mapping[tuple[int, OutputKind], ColumnLayout],
    *,
    remember_database: bool,
) -> GraphReader:
    """A reader of instances. `remember_database`: they keep the database that is passed to the reader."""
    return InstanceReaderSource(sections, layouts, remember_database=remember_database).build()


class InstanceReaderSource(GraphReaderSource):
    """Further local names: ``instances_by_key``, numbered by model, and ``seen_keys``, numbered by section."""

    node = instance_name(0)

    def __init__(
        self,
        sections: Sequence[SectionShape],
        layouts: Mapping[tuple[int, OutputKind], ColumnLayout],
        *,
        remember_database: bool,
    ) -> None:
        super().__init__(sections, layouts)
        self.scope.update(set_missing=set_missing, repeat=repeat, set_loaded=set_loaded, WeakParents=WeakParents)
        self.remember_database = remember_database
        occurrences = [entity.model for entities in self.entities for entity in entities]
        self.models = list(dict.fromkeys(occurrences))
        self.single = {model for model in occurrences if occurrences.count(model) == 1}
        """The models that only one section has instances of."""
        owners = {
            self.model(section.parent)
            for number, section in enumerate(sections)
            if number and self.is_many(number) and not self.needs_owners(number)
        }
        always_new = {self.model(number) for number in range(len(sections)) if self.is_always_new(number)}
        self.shared = [self.by_key(model) for model in self.models if model in owners or model not in always_new]

    def model(self, number: int) -> type:
        """The model of a section's rows."""
        return self.entities[number][0].model

    def by_key(self, model: type) -> str:
        """The dict with the model's instances by primary key."""
        return f"instances_by_key_{self.models.index(model)}"

    def write_preparation(self, number: int) -> None:
        if self.model(number) not in self.single:
            self.write(f"seen_keys_{number} = set()")
        if self.sections[number].has_suppressed:
            self.write(f"section_{number} = []")
        if self.has_weak_parent(number):
            self.write(f"weak_parents_{number} = WeakParents({self.owners(number)})")
        for child in self.children[number]:
            if self.is_many(child) and self.needs_owners(child):
                self.write(f"{self.owners(child)} = {{}}")

    def loop_header(self, number: int) -> str:
        if not self.is_always_new(number) or self.entities[number][0].kinds is not None:
            return PLAIN_LOOP
        new, model = self.names_for(self.model(number))
        # The instances are made in C, without a call for each row that the interpreter has to make.
        return f"for ({{columns}}), instance in zip({{rows}}, map({new}, repeat({model}))):"

    def names_for(self, model: type) -> tuple[str, str]:
        """Global names for a model's `__new__` and for the model."""
        return self.name_for(model.__new__, "new"), self.name_for(model, f"model_{model.__name__}")

    def is_always_new(self, number: int) -> bool:
        """Whether each row of the section becomes an instance that no other row becomes."""
        return self.sections[number].is_unique and self.model(number) in self.single

    def needs_owners(self, child: int) -> bool:
        """Whether the owners of the section's rows need another dict: by another key than the primary key."""
        section = self.sections[child]
        pk = self.entities[section.parent][0].keys
        return self.pairs_of(child) is None and attributes_of(section.local_fields) != pk

    def owners(self, child: int) -> str:
        """The dict with the owners of the section's rows, by the key that these are attached by."""
        model = self.model(self.sections[child].parent)
        return f"owners_by_key_{child}" if self.needs_owners(child) else self.by_key(model)

    def nodes_by_key(self, number: int) -> str | None:
        model = self.model(number)
        return self.by_key(model) if model in self.single else None

    def list_of(self, child: int, owner: str) -> str:
        to_attr = self.sections[child].to_attr
        if to_attr is not None:
            return attribute_of(owner, to_attr)
        return f"{owner}.{LOADED}[{self.relation(child).accessor!r}]"

    def is_in_loaded(self, child: int) -> bool:
        """Whether the section's rows are kept in their owner's `LOADED`."""
        return self.is_many(child) and self.sections[child].to_attr is None

    def has_weak_parent(self, number: int) -> bool:
        """Whether the section's rows keep their owner as a `WeakParent`."""
        relation = self.sections[number].relation
        if not (isinstance(relation, ReverseRelation) and relation.many):
            return False
        return isinstance(relation.relation, ForeignKey) and self.model(number) in self.single

    def write_reverse(self, number: int, key: str, owner: str | None) -> None:
        back = reverse_attribute(self.relation(number))
        if self.has_weak_parent(number):
            self.write(f"instance.{OWNER} = weak_parents_{number}[{key}]")
        elif back is not None:
            self.write(f"instance.__dict__[{back!r}] = {owner or f'{self.owners(number)}[{key}]'}")

    def write_node(self, number: int) -> None:
        entity = self.entities[number][0]
        by_key, key = self.by_key(entity.model), self.key(entity, entity.keys)
        if self.is_always_new(number):
            if entity.kinds is not None:
                self.create(0, entity, 0)
            if by_key in self.shared:
                self.write(f"{by_key}[{key}] = instance")
            self.write_database(0)
            self.fill(number)
            return
        if entity.model in self.single:
            self.write_lookup(0, entity, by_key, key, 0)
            self.depth += 1
        else:
            self.write(f"if {key} in seen_keys_{number}:")
            self.write(f"    instance = {by_key}[{key}]")
            self.write("else:")
            self.depth += 1
            self.write(f"seen_keys_{number}.add({key})")
            self.write_lookup(0, entity, by_key, key, 0)
        self.fill(number)
        self.depth -= 1

    def create(self, index: int, entity: Entity, first: int) -> None:
        """Write the code that makes an entity's instance, of the class that its discriminator tells."""
        instance = instance_name(index)
        if entity.kinds is None:
            new, model = self.names_for(entity.model)
            self.write(f"{instance} = {new}({model})")
            return
        value, key = self.value(first + entity.kinds.column), self.key(entity, entity.keys, first)
        name = self.entity_name(index)
        for line in entity.kinds.creation(name, instance, value, key, self.scope, entity.model):
            self.write(line)

    def entity_name(self, index: int) -> str:
        """The part of the names of variables that tells entities of all sections apart."""
        return f"{self.layout.output}_{index}"

    def write_lookup(self, index: int, entity: Entity, by_key: str, key: str, first: int) -> None:
        """Write the code that takes an entity's instance from a dict, or makes a new one and puts it there."""
        instance = instance_name(index)
        self.write(f"{instance} = {by_key}.get({key})")
        self.write(f"if {instance} is None:")
        self.depth += 1
        if entity.kinds is None:
            new, model = self.names_for(entity.model)
            self.write(f"{by_key}[{key}] = {instance} = {new}({model})")
        else:
            self.create(index, entity, first)
            self.write(f"{by_key}[{key}] = {instance}")
        self.write_database(index)
        self.depth -= 1

    def write_database(self, index: int) -> None:
        """Write the code by which an instance remembers the database, if it has to."""
        if self.remember_database:
            self.write(f"{instance_name(index)}._database = database")

    def fill(self, number: int) -> None:
        """Write the code that fills an instance when the section sees it for the first time."""
        section, entities = self.sections[number], self.entities[number]
        columns = first_columns(entities)
        self.assign(0, entities[0], 0)
        for column, name in enumerate(section.annotations, start=columns[-1]):
            self.write(f"{attribute_of('instance', name)} = {self.value(column)}")
        self.attach_children(number, entities[0])
        for index, entity in enumerate(entities):
            if entity.parent == 0:
                self.attach_joined(index, entities, columns)
        if section.has_suppressed:
            self.write(f"section_{number}.append(instance)")

    def assign(self, index: int, entity: Entity, first: int) -> None:
        """Write the code that gives an instance its values."""

        def assign(position: int, attribute: str) -> str:
            return f"{attribute_of(instance_name(index), attribute)} = {self.value(first + position)}"

        kinds = entity.kinds
        for position in range(len(entity.attributes)) if kinds is None else kinds.common:
            self.write(assign(position, entity.attributes[position]))
        if kinds is not None:
            name = self.entity_name(index)
            self.write(f"class_{name} = {instance_name(index)}.__class__")
            for line in kinds.assignments(name, entity.attributes, assign, self.scope):
                self.write(line)
        for line in take_snapshot(entity, instance_name(index), self.scope):
            self.write(line)

    def attach_joined(self, index: int, entities: Sequence[Entity], columns: Sequence[int]) -> None:
        """Write the code that attaches an instance to the one that it was joined to."""
        entity, first = entities[index], columns[index]
        assert entity.parent is not None
        instance, parent = instance_name(index), instance_name(entity.parent)
        by_key, key = self.by_key(entity.model), self.key(entity, entity.keys, first)
        keys = [column_name(first + entity.attributes.index(name)) for name in entity.keys]
        self.write(f"if {' and '.join(f'{key} is not None' for key in keys)}:")
        self.depth += 1
        self.write_lookup(index, entity, by_key, key, first)
        self.assign(index, entity, first)
        for child, joined in enumerate(entities):
            if joined.parent == index:
                self.attach_joined(child, entities, columns)
        self.write(f"{parent}.__dict__[{entity.name!r}] = {instance}")
        if entity.back is not None:
            self.write(f"{instance}.__dict__[{entity.back!r}] = {parent}")
        self.depth -= 1
        if entity.back is not None:
            self.write("else:")
            self.write(f"    set_loaded({parent}, {entity.name!r}, [])")

    def attach_children(self, number: int, entity: Entity) -> None:
        """Write the code that gives an instance its lists, and the instances of relations to one."""
        is_new = self.is_always_new(number)
        if is_new and any(self.is_in_loaded(child) for child in self.children[number]):
            self.write(f"loaded = instance.{LOADED} = {{}}")
        # `set_missing` replaces the dict, so it comes after all that changes it.
        for child in sorted(self.children[number], key=lambda child: not self.is_in_loaded(child)):
            relation = self.relation(child)
            key = self.key(entity, attributes_of(self.sections[child].local_fields))
            if not relation.many:
                self.attach_one(child, entity, key)
                continue
            rows = "[]"
            if self.owners_by_key(child) is None:
                rows = f"list_{child}"
                self.write(f"lists_by_key_{child}[{key}] = {rows} = []")
            if self.needs_owners(child):
                self.write(f"{self.owners(child)}[{key}] = instance")
            if not self.is_in_loaded(child):
                self.write(f"{self.list_of(child, 'instance')} = {rows}")
            elif is_new:
                self.write(f"loaded[{relation.accessor!r}] = {rows}")
            else:
                self.write(f"set_loaded(instance, {relation.accessor!r}, {rows})")

    def attach_one(self, child: int, entity: Entity, key: str) -> None:
        """Write the code that gives an instance the related one of a relation to one."""
        section, relation = self.sections[child], self.relation(child)
        self.write(f"related = one_by_key_{child}.get({key})")
        if section.to_attr is not None:
            self.write(f"{attribute_of('instance', section.to_attr)} = related")
        else:
            values = [self.value(entity.attributes.index(name)) for name in attributes_of(section.local_fields)]
            self.write("if related is not None:")
            self.write(f"    instance.__dict__[{relation.accessor!r}] = related")
            self.write(f"elif {' and '.join(f'{value} is not None' for value in values)}:")
            self.write(f"    set_missing({self.name_for(relation, 'relation')}, instance)")
        back = reverse_attribute(relation)
        if back is not None:
            self.write("if related is not None:")
            self.write(f"    related.__dict__[{back!r}] = instance")

    def returned(self) -> str:
        sections = [number for number, section in enumerate(self.sections) if section.has_suppressed]
        return f"{{{', '.join(f'{number}: section_{number}' for number in sections)}}}"
