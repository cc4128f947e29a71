"""`ModelInfo`: the fields, keys, relations, table, validators and options of one model."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy
import typesystem

from orm.database.dialect_registry import table_options
from orm.exceptions import FieldError
from orm.fields import Field
from orm.mapping.constraints import CheckConstraint, Index, UniqueConstraint
from orm.mapping.constructors import Constructor, constructor_of
from orm.mapping.validators import Validator, compile_validator
from orm.relations import (
    Composed,
    CompositeForeignKey,
    ForeignKey,
    ManyToMany,
    ManyToManySide,
    Relation,
    ReverseRelation,
)

if TYPE_CHECKING:
    from orm.models import Model, ModelRegistry

# The contexts of a name, for `ModelInfo.unknown`, in which a value is written.
WRITE_CONTEXTS = frozenset({"an argument", "a value to update", "one of update_fields", "a field of bulk_update()"})
META_OPTIONS = ("tablename", "ordering", "abstract", "indexes", "constraints", "schema", "get_latest_by")


@dataclass(frozen=True)
class MetaOptions:
    """The options of a model's ``class Meta``, or of an older spelling of it."""

    tablename: str
    ordering: tuple[Any, ...] = ()
    abstract: bool = False
    indexes: tuple[Any, ...] = ()
    constraints: tuple[Any, ...] = ()
    schema: str | None = None
    get_latest_by: tuple[str, ...] = ()


def read_meta(name: str, namespace: Mapping[str, Any], bases: tuple[type, ...]) -> MetaOptions:
    """Read the options of the model `name`. As in Django, the Meta of an abstract model is inherited.

    Raises `FieldError` for an unknown option.
    """
    class_meta = namespace.get("Meta")
    meta = class_meta or next(filter(None, (getattr(base, "Meta", None) for base in bases)), None)
    options = {key: getattr(meta, key) for key in dir(meta) if key[0] != "_"} if meta else {}
    for key in options:
        if key not in META_OPTIONS:
            raise FieldError(f"{name}.Meta.{key} is not an option. The options are {', '.join(META_OPTIONS)}.")
    if isinstance(options.get("ordering"), str):
        raise FieldError(f"{name}.Meta.ordering must be a list, such as [{options['ordering']!r}].")
    not_inherited = vars(class_meta) if class_meta else {}
    latest = options.get("get_latest_by", ())
    tablename = (
        not_inherited.get("tablename") or namespace.get("tablename") or namespace.get("__tablename__") or name.lower()
    )
    return MetaOptions(
        tablename=tablename,
        abstract=not_inherited.get("abstract", False),
        schema=options.get("schema"),
        get_latest_by=(latest,) if isinstance(latest, str) else tuple(latest),
        **{key: tuple(options.get(key, ())) for key in ("ordering", "indexes", "constraints")},
    )


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
        self.composed = composed or {}
        """The relations that are stored in several fields of the model."""
        # Declared in the spelling of orm 0.1 or 0.3, where code relies on three peculiarities: a null relation is an
        # instance without a key, a filter across a relation loads it, and exclude(clause) filters.
        self.legacy = legacy
        self.fallback_descriptors: dict[str, Any] = {}
        """The descriptors of fields whose values are plain instance attributes, by attribute. On the class they would
        slow down every assignment, so they are looked up here if the instance lacks the attribute."""
        self.table: sqlalchemy.Table | None = None
        # Caches of resolved names: paths, lookups by keyword, the orderings by Meta and by primary key.
        self.paths: dict[str, Any] = {}
        self.lookups: dict[str, Any] = {}
        self.lookups_registered = 0
        """The number of registrations of lookups and transforms that `lookups` knows."""
        self.default_order: tuple[Any, ...] | None = None
        self.pk_order: tuple[Any, ...] | None = None
        self.column_orders: dict[str, tuple[Any, ...]] = {}
        """The resolved orderings by columns of the model itself, by name."""
        self.objects: dict[Any, Any] = {}
        self._ends: list[ReverseRelation | ManyToManySide] = []

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
        self.lookups.clear()
        self.objects.clear()
        self.default_order = self.pk_order = None
        self.column_orders.clear()

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
        relations: dict[str, Relation] = {relation.name: relation for relation in self._ends}
        relations.update((relation.name, relation) for relation in self.forward if not isinstance(relation, ForeignKey))
        return relations

    @cached_property
    def forward(self) -> tuple[ForeignKey[Any] | CompositeForeignKey[Any], ...]:
        """The foreign keys and composite foreign keys of the model."""
        declared = (*self.fields.values(), *self.composed.values())
        return tuple(relation for relation in declared if isinstance(relation, (ForeignKey, CompositeForeignKey)))

    @cached_property
    def accessors(self) -> dict[str, Relation]:
        """All relations by attribute: foreign keys, reverse relations and many-to-many relations."""
        relations: dict[str, Relation] = {relation.accessor: relation for relation in self._ends}
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
        return () if field is None else (field,)

    def check(self) -> None:
        """Raise `FieldError` if the fields cannot form a table."""
        for relation in self.composed.values():
            relation.check()
        field_of_column: dict[str, str] = {}
        for field in self.fields.values():
            other = field_of_column.setdefault(field.column_name, field.name)
            if other != field.name:
                raise FieldError(
                    f"{self.name}: the fields {other!r} and {field.name!r} both use the column "
                    f"{field.column_name!r}. Give one of them another column=."
                )
            if field.attname in self.many_to_many:
                raise FieldError(
                    f"{self.name}: the relation {field.attname!r} has the name of the key of the relation "
                    f"{field.name!r}. Rename one of them."
                )
            if field.attname != field.name and field.attname in self.fields:
                raise FieldError(
                    f"{self.name}: the field {field.attname!r} has the name of the key of the relation "
                    f"{field.name!r}. Rename one of them."
                )

    @cached_property
    def pk_fields(self) -> tuple[Field[Any], ...]:
        """The fields of the primary key, in order of declaration."""
        return tuple(field for field in self.fields.values() if field.primary_key)

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
        """The pairs of each field's name and the attribute that holds its column's value."""
        return tuple((field.name, field.attname) for field in self.fields.values())

    @cached_property
    def generated(self) -> Field[Any] | None:
        """The primary key field that the database numbers, if there is one."""
        if len(self.pk_fields) != 1:
            return None
        field = self.pk_fields[0]
        return field if field.is_numbered and not field.has_default() else None

    @cached_property
    def schema(self) -> typesystem.Schema:
        """The fields' validators as a `typesystem.Schema`."""
        return typesystem.Schema(fields={name: f.validator for name, f in self.fields.items()})

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
        """The error for an unknown name, given as `what`. It suggests a similar name and lists all names."""
        relation = self.accessors.get(name)
        if relation is not None and name not in self.fields and what in WRITE_CONTEXTS:
            return self.not_assigned(relation)
        choices = sorted({*self.settable, *self.relations, "pk", *extra})
        close = difflib.get_close_matches(name, choices, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return FieldError(
            f"{self.name} has no field {name!r}, given as {what}.{hint} Choices are: {', '.join(choices)}."
        )

    # The table

    def build_table_if_ready(self, metadata: sqlalchemy.MetaData) -> bool:
        """Build the table, unless it exists or refers to a model that is not declared yet. Whether it did."""
        if self.table is not None or self._missing_targets():
            return False
        try:
            for key in self.forward:
                key.target._meta.add_relation(key.reverse)
            self.table = self._build_table(metadata)
        except FieldError:
            for key in self.forward:
                key.target._meta.drop_relation(key)
            raise
        return True

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
        return {relation.name: str(relation.to) for relation in self.forward if not relation.is_resolved()}

    def _build_table(self, metadata: sqlalchemy.MetaData) -> sqlalchemy.Table:
        columns = [field.make_column() for field in self.fields.values()]
        table = sqlalchemy.Table(
            self.tablename,
            metadata,
            *columns,
            *self._constraints(),
            schema=self.options.schema,
            **table_options(),
        )
        self._add_indexes(table)
        return table

    def _constraints(self) -> Iterable[sqlalchemy.Constraint]:
        for relation in self.composed.values():
            yield relation.constraint()
        for constraint in self.options.constraints:
            if isinstance(constraint, (UniqueConstraint, CheckConstraint)):
                yield constraint.build(self)
            else:
                raise FieldError(
                    f"{self.name}.Meta.constraints takes orm.UniqueConstraint and orm.CheckConstraint, "
                    f"got {type(constraint).__name__}."
                )

    def _add_indexes(self, table: sqlalchemy.Table) -> None:
        for index in self.options.indexes:
            if not isinstance(index, Index):
                raise FieldError(f"{self.name}.Meta.indexes takes orm.Index, got {type(index).__name__}.")
            index.attach(self, table)

    def column_names(self, names: Sequence[str], what: str) -> list[str]:
        """The columns of these fields. Raises `FieldError` for an unknown name."""
        columns = []
        for name in names:
            field = self.fields.get(name) or self.by_attname.get(name)
            if field is None:
                raise self.unknown(name, what)
            columns.append(field.column_name)
        return columns
