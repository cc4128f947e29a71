"""`ModelInfo`: the fields, keys, relations, table, validators and options of one model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy
import typesystem

from orm.database.sql.ddl import VIEW, View
from orm.exceptions import FieldError
from orm.fields import Field, Version
from orm.mapping.column_expressions import complete_columns
from orm.mapping.constraints import BoundConstraint, UniqueConstraint
from orm.mapping.constructors import Constructor, constructor_of
from orm.mapping.meta_options import MetaOptions
from orm.mapping.model_schema import ModelSchema
from orm.mapping.model_table import add_constraints, make_table
from orm.mapping.signals import ModelHooks
from orm.mapping.unknown_names import unknown_name_error
from orm.mapping.validators import Validator, compile_validator
from orm.relations import (
    Composed,
    CompositeForeignKey,
    ForeignKey,
    Hop,
    ManyToMany,
    ManyToManySide,
    Relation,
    ReverseRelation,
)

if TYPE_CHECKING:
    from orm.models import Model, ModelRegistry


class ModelInfo:
    """The fields of one model and everything derived from them. Available as `Model._meta`."""

    def __init__(
        self,
        model: type[Model],
        registry: ModelRegistry | None,
        options: MetaOptions,
        fields: dict[str, Field[Any]],
        many_to_many: dict[str, ManyToMany[Any]],
        composed: dict[str, Composed] | None = None,
        *,
        legacy: bool,
    ) -> None:
        self.model = model
        self.name = model.__name__
        self._registry = registry
        self.options = options
        self.abstract = options.abstract
        self.tablename = options.tablename
        self.fields = fields
        self.many_to_many = many_to_many
        self.retired: Mapping[str, Field[Any]] = {}
        """The fields of which only the columns of its own table are left; they are not in `fields`."""
        self.composed = composed or {}
        """The relations that are stored in several fields of the model."""
        # Those that the model itself adds to its table; inheritance has others. A proxy model adds none.
        self.local_fields: Mapping[str, Field[Any]] = self.fields
        self.local_composed: Mapping[str, Composed] = self.composed
        self.local_many_to_many: Mapping[str, ManyToMany[Any]] = self.many_to_many
        # Declared in the spelling of orm 0.1 or 0.3, where code relies on three peculiarities: a null relation is an
        # instance without a key, a filter across a relation loads it, and exclude(clause) filters.
        self.legacy = legacy
        self.overrides_save = False
        """Whether the model, or a base class, overrides `save()`. Writes of a single instance then call it."""
        self.auto_created = False
        """Whether it is the through model that a `ManyToMany` has created."""
        self.hook_methods: frozenset[str] = frozenset()
        """The hook methods, such as `before_save`, that the model or a base class defines."""
        self.hooks: ModelHooks | None = None
        """What is connected to the model's signals; None if nothing is. A write looks at nothing else."""
        self.loaded_on_delete: tuple[int, tuple[ModelInfo, ...]] = (-1, ())
        """The generation of the hooks, and the models whose rows are loaded when rows of this one are deleted."""
        self.fallback_descriptors: dict[str, Any] = {}
        """The descriptors of fields whose values are plain instance attributes, by attribute. On the class they would
        slow down every assignment, so they are looked up here if the instance lacks the attribute."""
        self.table: sqlalchemy.Table | None = None
        self.constraints: list[BoundConstraint] = []
        """The constraints and indexes of `class Meta`, once the table is built."""
        self.view: View | None = None
        """What a view selects, if the table is one."""
        # Caches of resolved names: paths, lookups by keyword, the orderings by Meta and by primary key.
        self.paths: dict[str, Any] = {}
        self.paths_over_joins: dict[Any, Any] = {}
        self.lookups: dict[str, Any] = {}
        self.lookups_registered = 0
        """The number of registrations of lookups and transforms that `lookups` knows."""
        self.default_order: tuple[Any, ...] | None = None
        self.default_order_registrations = 0
        self.pk_order: tuple[Any, ...] | None = None
        self.column_orders: dict[str, tuple[Any, ...]] = {}
        """The resolved orderings by columns of the model itself, by name."""
        self.objects: dict[Any, Any] = {}
        self._ends: list[ReverseRelation | ManyToManySide] = []
        # Inheritance: see `orm.mapping.inheritance`.
        self.bases: tuple[ModelInfo, ...] = ()
        """The models with rows that it inherits from."""
        self.children: list[ModelInfo] = []
        """The models that inherit from it."""
        self.concrete: ModelInfo = self
        """The model whose rows its own are: another one for a proxy model and in single-table inheritance."""
        self.ancestors: dict[ModelInfo, tuple[ForeignKey[Any], ...]] = {}
        """In multi-table inheritance, the models whose tables its rows begin in, with the links to their tables."""
        self.parent_links: tuple[ForeignKey[Any], ...] = ()
        """The links to the tables of `bases`."""
        self.instance_class: type[Model] = model
        """The class of the instances that a relation to the model takes."""
        self.discriminator: Field[Any] | None = None
        """In single-table inheritance, the field that tells the model of a row."""
        self.kind: Any = None
        """The value of the discriminator in the rows of this model."""
        self.keeps_constructor = True
        """Whether the class keeps its generated constructor as ``__init__``, which subclasses would inherit."""

    @property
    def registry(self) -> ModelRegistry:
        """The model's registry. Raises `FieldError` for an abstract model without one."""
        if self._registry is None:
            raise FieldError(f"{self.name} is abstract and has no registry.")
        return self._registry

    def fields_of_columns(self, columns: Sequence[str]) -> tuple[Field[Any], ...]:
        """The fields with these columns, in the same order."""
        by_column = {field.column_name: field for field in self.fields.values()}
        return tuple(by_column[column] for column in columns)

    def add_relation(self, relation: ReverseRelation | ManyToManySide) -> None:
        """Add a relation that is not a field of the model: a reverse relation, or one side of a many-to-many relation.

        Raises `FieldError` if its name or attribute is taken. Models in the spelling of `orm` 0.x, which has no reverse
        relations, then go without it.
        """
        if relation.accessor.endswith("+") or relation in self._ends:
            return  # As in Django, a related_name that ends with a plus hides the reverse relation.
        conflict = self._conflict(relation)
        if conflict is not None and not relation.relation.model._meta.legacy:
            declared = relation.relation.label
            raise FieldError(
                f"{declared} gives {self.name} {conflict}. Give {declared} another related_name=, or "
                f"related_name='+' for no reverse relation."
            )
        replaced = [end for end in self._ends if end.name == relation.name or end.accessor == relation.accessor]
        for end in replaced:
            self.drop_relation(end.relation)
        if conflict is None:
            self._ends.append(relation)
        self.clear_caches()

    def drop_relation(self, declared: ForeignKey[Any] | CompositeForeignKey[Any] | ManyToMany[Any]) -> None:
        """Undo `add_relation` for both ends of a relation, and remove their attributes."""
        for end in [end for end in self._ends if end.relation is declared]:
            self._ends.remove(end)
            if getattr(vars(self.model).get(end.accessor), "relation", None) is end:
                delattr(self.model, end.accessor)
            self.clear_caches()

    def clear_caches(self) -> None:
        """Clear what was derived from the relations of this model and of the models that they lead to."""
        self.__dict__.pop("relations", None)
        self.__dict__.pop("accessors", None)
        self.paths.clear()
        self.paths_over_joins.clear()
        self.lookups.clear()
        self.objects.clear()
        self.default_order = self.pk_order = None
        self.column_orders.clear()
        for child in self.children:
            child.clear_caches()

    def _conflict(self, relation: ReverseRelation | ManyToManySide) -> str | None:
        """Describe what already has the name or the attribute of a relation; None if nothing has."""
        names = [("the attribute", relation.accessor), ("the name in lookups", relation.name)]
        for what, name in names:
            field = self.fields.get(name) or self.by_attname.get(name) or self.composed.get(name)
            if field is not None:
                return f"{what} {name!r}, which is the field {self.name}.{field.name}"
            many = self.many_to_many.get(name)
            if many is not None and many is not relation.relation:
                return f"{what} {name!r}, which is the relation {self.name}.{name}"
            for end in self._ends:
                if name == (end.accessor if what == "the attribute" else end.name):
                    return f"{what} {name!r}, which {end.relation.label} gives it, too"
        name = relation.accessor
        member = next((vars(base)[name] for base in self.model.__mro__ if name in vars(base)), None)
        if (member is not None and member is not relation.relation) or hasattr(type(self.model), name):
            return f"the attribute {name!r}, which it has already"
        return "the name in lookups 'pk', which is its primary key" if relation.name == "pk" else None

    @cached_property
    def relations(self) -> dict[str, Relation]:
        """The relations that are not fields of the model, by their name in lookups."""
        relations: dict[str, Relation] = {relation.name: relation for relation in self.ends}
        relations.update((relation.name, relation) for relation in self.forward if not isinstance(relation, ForeignKey))
        return relations

    @property
    def ends(self) -> Sequence[ReverseRelation | ManyToManySide]:
        """The reverse relations, and the sides of many-to-many relations, of the model."""
        return self._ends

    def descendants(self) -> Iterator[ModelInfo]:
        """The models that inherit from this one, directly or not."""
        for child in self.children:
            yield child
            yield from child.descendants()

    @property
    def is_filtered(self) -> bool:
        """Whether only some of the table's rows are rows of the model, those with the discriminators of `kinds`."""
        return False

    @property
    def kinds(self) -> dict[Any, ModelInfo]:
        """In single-table inheritance, the model itself and those that inherit from it, by their discriminators."""
        if self.discriminator is None:
            return {}
        family = [self, *(each for each in self.descendants() if each.kind_of_rows)]
        return {info.kind: info for info in family}

    @property
    def kind_of_rows(self) -> bool:
        """Whether rows have the model's own discriminator: not those of a proxy model."""
        return True

    def loaded_fields(self) -> list[Field[Any]]:
        """The fields that a query of instances reads: with those of the models of single-table inheritance."""
        fields = dict.fromkeys(self.fields.values())
        if self.discriminator is not None:
            for info in self.kinds.values():
                fields.update(dict.fromkeys(info.local_fields.values()))
        return list(fields)

    @property
    def relation_owner(self) -> ModelInfo:
        """The model that gets the attributes of relations which lead to this one."""
        return self

    def chain_to(self, member: Any) -> tuple[Hop, ...]:
        """In multi-table inheritance, the links to the table that has a field, or that a relation leads from."""
        return ()

    @cached_property
    def forward(self) -> tuple[ForeignKey[Any] | CompositeForeignKey[Any], ...]:
        """The foreign keys and composite foreign keys of the model."""
        return _foreign_keys_among(self.fields, self.composed)

    @cached_property
    def local_forward(self) -> tuple[ForeignKey[Any] | CompositeForeignKey[Any], ...]:
        """The foreign keys and composite foreign keys that the model adds to its table."""
        return _foreign_keys_among(self.local_fields, self.local_composed)

    @cached_property
    def accessors(self) -> dict[str, Relation]:
        """All relations by attribute: foreign keys, reverse relations and many-to-many relations."""
        relations: dict[str, Relation] = {relation.accessor: relation for relation in self.ends}
        relations.update((relation.name, relation) for relation in self.forward)
        return relations

    def relation(self, name: str) -> Relation:
        """The relation of this name in lookups. Raises `FieldError` if there is none."""
        field = self.fields.get(name)
        relation: Relation | None = field if isinstance(field, ForeignKey) else self.relations.get(name)
        if relation is None:
            raise self.unknown(name, "a relation")
        return relation

    def fields_for(self, name: str) -> tuple[Field[Any], ...]:
        """The fields that are written under a name: one field, or those of a relation; none for an unknown name."""
        if name in self.composed:
            return self.composed[name].fields
        field = self.fields.get(name) or self.by_attname.get(name)
        if field is None and name in self.aliases:
            field = self.fields[self.aliases[name]]
        return () if field is None else (field,)

    def field(self, name: str) -> Field[Any] | None:
        """The field of this name, attribute, or part of an embedded value; None if there is none."""
        return self.fields.get(self.aliases.get(name, name)) or self.by_attname.get(name)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """The fields of embedded values by the names ``billing__city``."""
        return {alias: name for relation in self.composed.values() for alias, name in relation.aliases().items()}

    def is_unique(self, field: Field[Any]) -> bool:
        """Whether a field or a constraint says that no two rows have the same value, so that keys can refer to it."""
        constraints = [each for each in self.options.constraints if isinstance(each, UniqueConstraint)]
        return (
            field.unique
            or field.primary_key
            or any(each.is_plain and each.fields == (field.name,) and not each.deferrable for each in constraints)
        )

    @cached_property
    def pk_fields(self) -> tuple[Field[Any], ...]:
        """The fields of the primary key, in order of declaration."""
        return tuple(field for field in self.fields.values() if field.primary_key)

    @cached_property
    def version(self) -> Field[Any] | None:
        """The field that counts the row's versions, if there is one."""
        return next((field for field in self.fields.values() if isinstance(field, Version)), None)

    @cached_property
    def by_attname(self) -> dict[str, Field[Any]]:
        """The fields by the attribute that holds the column's value."""
        return {field.attname: field for field in self.fields.values()}

    @cached_property
    def foreign_keys(self) -> tuple[ForeignKey[Any], ...]:
        """The foreign keys that are fields of the model."""
        return tuple(field for field in self.fields.values() if isinstance(field, ForeignKey))

    @cached_property
    def settable(self) -> frozenset[str]:
        """The names that the constructor and ``update()`` accept."""
        return frozenset(self.fields) | frozenset(self.by_attname) | frozenset(self.composed)

    @cached_property
    def construct(self) -> Constructor:
        """The generated constructor. Raises `FieldError` if the model is abstract."""
        if self.abstract:
            raise FieldError(f"{self.name} is abstract: create instances of the models that inherit from it.")
        return constructor_of(self)

    @cached_property
    def attnames(self) -> tuple[tuple[str, str], ...]:
        """The pairs of each written field's name and the attribute that holds its column's value."""
        return tuple((field.name, field.attname) for field in self.fields.values() if not field.is_generated)

    @cached_property
    def calculated(self) -> tuple[Field[Any], ...]:
        """The fields that the database calculates from other columns of the row."""
        return tuple(field for field in self.fields.values() if field.is_generated and not field.primary_key)

    @cached_property
    def has_server_defaults(self) -> bool:
        """Whether the database may set a field of a new row other than the key that it numbers."""
        return any(field.server_default is not None for field in self.fields.values())

    @cached_property
    def generated(self) -> Field[Any] | None:
        """The primary key field that the database numbers, if there is one."""
        if len(self.pk_fields) != 1:
            return next((field for field in self.pk_fields if field.autoincrement), None)
        field = self.pk_fields[0]
        return field if field.is_numbered and not field.has_default() else None

    @cached_property
    def schema(self) -> typesystem.Schema:
        """The fields' validators as a `typesystem.Schema`."""
        return ModelSchema(self.fields)

    @cached_property
    def validator(self) -> Validator:
        """The generated validator, which validates as `schema` would."""
        return compile_validator(self.fields, self.name)

    @cached_property
    def get_pk(self) -> Callable[[Model], Any]:
        """A function that returns the primary key of an instance, or None."""
        names = [field.attname for field in self.pk_fields]
        if len(names) == 1:
            (attname,) = names
            return lambda instance: instance.__dict__.get(attname)

        def get_parts(instance: Model) -> tuple[Any, ...] | None:
            parts = tuple(map(instance.__dict__.get, names))
            return None if None in parts else parts

        return get_parts

    def set_pk(self, instance: Model, value: Any) -> None:
        """Set the primary key of `instance`; a composite key is a tuple."""
        for field, part in zip(self.pk_fields, self.split_pk(value), strict=True):
            setattr(instance, field.name, part)

    def split_pk(self, value: Any) -> tuple[Any, ...]:
        """The values of the primary key's fields. Raises `FieldError` if their number is wrong."""
        if len(self.pk_fields) == 1:
            return (value,)
        names = ", ".join(field.name for field in self.pk_fields)
        if not isinstance(value, (tuple, list)) or len(value) != len(self.pk_fields):
            raise FieldError(
                f"{self.name} has a composite primary key: pk takes a tuple ({names}), got {type(value).__name__}."
            )
        return tuple(value)

    def not_assigned(self, relation: Relation) -> FieldError:
        """The error for a value assigned to a relation that is stored in other rows."""
        name = f"{self.name}.{relation.accessor}"
        if relation.many:
            return FieldError(
                f"{name} is a relation to many rows, which is not kept in this one: save the instance, "
                f"then `await instance.{relation.accessor}.set(...)`."
            )
        return FieldError(f"{name} is kept in the row of {relation.target.__name__}: save that one.")

    def unknown(self, name: str, what: str, extra: Iterable[str] = ()) -> FieldError:
        """The error for an unknown name that is used as `what`. It suggests a similar name and lists all names."""
        return unknown_name_error(self, name, what, extra)

    def retired_field(self, name: str) -> Field[Any] | None:
        """The retired field of this name or attribute, of the model or of one that it inherits from."""
        retired = (field for field in self.retired.values() if name in (field.name, field.attname))
        return next(retired, None) or next((field for base in self.bases if (field := base.retired_field(name))), None)

    # The table

    def build_table_if_ready(self, metadata: sqlalchemy.MetaData) -> bool:
        """Build the table, unless it exists or refers to a model that is not declared yet. Whether it did."""
        if self.table is not None or self._missing_targets():
            return False
        try:
            for key in self.local_forward:
                key.target._meta.add_relation(key.reverse)
            self.table = make_table(self, metadata)
            complete_columns(self, self.table)
            if self.view is not None:
                self.table.info[VIEW] = self.view
            add_constraints(self, self.table)
        except sqlalchemy.exc.ArgumentError as error:
            raise FieldError(f"{self.name}.Meta: {error}") from error
        except FieldError:
            if self.table is not None:
                metadata.remove(self.table)
                self.table = None
            for key in self.local_forward:
                key.target._meta.drop_relation(key)
            raise
        return True

    def forget_table(self) -> None:
        """Let the table be built again: it was removed from the MetaData."""
        self.table = None
        for child in self.children:
            if child.concrete is self.concrete:
                child.forget_table()

    def require_table(self) -> sqlalchemy.Table:
        """The table. Raises `FieldError` if a foreign key refers to a model that was never declared."""
        if self.abstract:
            raise FieldError(f"{self.name} is abstract and has no table.")
        if self.table is None:
            self.registry.build_tables()
        if self.table is not None:
            return self.table
        for relation, target in self._missing_targets().items():
            raise self.registry.unknown_model(f"{self.name}.{relation}", target)
        raise FieldError(f"{self.name} is not in its registry: its declaration failed.")

    def _missing_targets(self) -> dict[str, str]:
        keys = (*self.local_forward, *self.retired_keys)
        return {relation.name: str(relation.to) for relation in keys if not relation.is_resolved()}

    @property
    def retired_keys(self) -> list[ForeignKey[Any]]:
        """The retired fields that are foreign keys."""
        return [field for field in self.retired.values() if isinstance(field, ForeignKey)]

    def names_of_columns(self, columns: Iterable[str]) -> tuple[str, ...]:
        """The names of the fields with these columns, in the same order; columns of no field are left out."""
        by_column = {field.column_name: field.name for field in self.fields.values()}
        return tuple(by_column[column] for column in columns if column in by_column)

    def column_names(self, names: Sequence[str], what: str) -> list[str]:
        """The columns of these fields. Raises `FieldError` for an unknown name."""
        columns = []
        for name in names:
            field = self.field(name)
            if field is None:
                raise self.unknown(name, what)
            columns.append(field.column_name)
        return columns


def _foreign_keys_among(
    fields: Mapping[str, Field[Any]], composed: Mapping[str, Composed]
) -> tuple[ForeignKey[Any] | CompositeForeignKey[Any], ...]:
    declared = (*fields.values(), *composed.values())
    return tuple(relation for relation in declared if isinstance(relation, (ForeignKey, CompositeForeignKey)))
