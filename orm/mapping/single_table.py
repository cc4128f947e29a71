"""Single-table inheritance: several models whose rows are in one table, told apart by a discriminator."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy

from orm.exceptions import FieldError
from orm.fields import Field, String
from orm.fields.validator_functions import CallsFunctions, with_functions
from orm.mapping.column_expressions import complete_columns
from orm.mapping.meta_options import UNSET, MetaOptions
from orm.mapping.model_info import ModelInfo
from orm.mapping.model_table import add_constraints
from orm.mapping.retired import retired_column
from orm.relations import Composed, ForeignKey, ManyToMany, ManyToManySide, ReverseRelation

if TYPE_CHECKING:
    from orm.models import Model, ModelRegistry

MAX_LENGTH = 100
"""The length of a discriminator that the model does not declare."""


def add_discriminator(name: str, options: MetaOptions, fields: dict[str, Field[Any]]) -> None:
    """Give the base model of single-table inheritance its discriminator, if its class body does not declare it."""
    assert options.discriminator is not None
    field = fields.get(options.discriminator)
    if field is None:
        field = fields[options.discriminator] = String(max_length=MAX_LENGTH)
    if isinstance(field, ForeignKey) or field.primary_key or field.is_generated:
        raise FieldError(f"{name}.Meta.discriminator: {options.discriminator!r} must be a field with plain values.")


class KindCheck:
    """A validator of a model's discriminator, which refuses that of any model that does not inherit from it."""

    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    def __call__(self, value: Any) -> None:
        if value not in self.info.kinds:
            raise ValueError(f"Must be one of {', '.join(map(repr, self.info.kinds))}.")


def set_discriminator(info: ModelInfo, field: Field[Any]) -> None:
    """Make a field the discriminator of a model, with the model's value as its default."""
    value = info.options.discriminator_value
    if value is UNSET:
        value = info.name.lower()
    try:
        value = field.to_python(value)
    except (ValueError, TypeError) as error:
        raise FieldError(
            f"{info.name}: {value!r} is no value of its discriminator {info.name}.{field.name}: write "
            "discriminator_value = ... in its class Meta."
        ) from error
    family = info.concrete.kinds
    other = family.get(value)
    if other is not None and other is not info and other.name != info.name:
        raise FieldError(
            f"{info.name} and {other.name} have the same discriminator {value!r}: write discriminator_value = ... in "
            f"the class Meta of one of them."
        )

    field.default = value
    field.validators = (*field.validators, KindCheck(info))
    field.validator.default = value
    if isinstance(field.validator, CallsFunctions):
        field.validator.functions = field.validators
    else:
        field.validator = with_functions(field.validator, field.validators)
    info.discriminator = field
    info.kind = value


class SingleTableInfo(ModelInfo):
    """A model whose rows are in the table of another one, the base of single-table inheritance."""

    def __init__(
        self,
        model: type[Model],
        registry: ModelRegistry | None,
        options: MetaOptions,
        base: ModelInfo,
        fields: Mapping[str, Field[Any]],
        many_to_many: Mapping[str, ManyToMany[Any]],
        composed: Mapping[str, Composed],
    ) -> None:
        root = base.concrete
        of_root = {name: getattr(root.options, name) for name in ("tablename", "schema", "managed", "table_options")}
        tracked = options.track_changes or root.options.track_changes
        super().__init__(
            model,
            registry,
            replace(options, **of_root, track_changes=tracked, consistency=root.options.consistency),
            {**base.fields, **fields},
            {**base.many_to_many, **many_to_many},
            {**base.composed, **composed},
            legacy=base.legacy,
        )
        self.base = base
        self.bases = (base,)
        self.concrete = root
        self.fallback_descriptors.update(base.fallback_descriptors)
        self.local_fields = dict(fields)
        self.local_many_to_many = dict(many_to_many)
        self.local_composed = dict(composed)
        self._check_clashes()
        assert root.discriminator is not None
        self.discriminator_name = root.discriminator.name
        field = self.fields[self.discriminator_name] = copy.copy(root.discriminator)
        field.validator = copy.copy(field.validator)
        field.validators = tuple(each for each in field.validators if not isinstance(each, KindCheck))

    def _check_clashes(self) -> None:
        root = self.concrete
        for name, field in self.local_fields.items():
            if field.primary_key:
                raise FieldError(f"{self.name}.{name}: the primary key is that of {root.name}, which has the table.")
        names = (*self.local_fields, *self.local_many_to_many, *self.local_composed)
        check_clashes(self.name, names, (self.base,))
        columns = {field.column or name: name for name, field in self.local_fields.items()}
        for other in (root, *root.descendants()):
            for field in other.local_fields.values() if other.name != self.name else ():
                clash = columns.get(field.column_name)
                if clash is not None:
                    raise FieldError(
                        f"{self.name}.{clash} and {other.name}.{field.name} have the same column "
                        f"{field.column_name!r} of the table {root.tablename!r}. Give one of them another column=, or "
                        f"declare the field in {root.name}."
                    )

    @property
    def ends(self) -> Sequence[ReverseRelation | ManyToManySide]:
        """Its own, and those of the model that it inherits from."""
        return (*self.base.ends, *self._ends)

    @property
    def is_filtered(self) -> bool:
        """Its queries have only the rows of its own discriminators."""
        return True

    def build_table_if_ready(self, metadata: sqlalchemy.MetaData) -> bool:
        """Add its columns to the table, once that is built and the models that they refer to are declared."""
        table = self.base.table
        if self.table is not None or table is None or self._missing_targets():
            return False
        for key in self.local_forward:
            key.target._meta.add_relation(key.reverse)
        for field in self.local_fields.values():
            column = field.make_column()
            column.nullable = True  # The rows of other models have no value.
            table.append_column(column)
        for field in self.retired.values():
            table.append_column(retired_column(field))
        for relation in self.local_composed.values():
            constraint = relation.constraint()
            if constraint is not None:
                table.append_constraint(constraint)
        self.table = table
        complete_columns(self, table)
        add_constraints(self, table)
        self.constraints += [bound for bound in self.base.constraints if bound not in self.constraints]
        return True


def check_clashes(name: str, names: Sequence[str], bases: Sequence[ModelInfo]) -> None:
    """Raise `FieldError` if a model declares a name that a model with rows, from which it inherits, has already."""
    for base in bases:
        for each in names:
            if each in base.fields or each in base.many_to_many or each in base.composed:
                raise FieldError(
                    f"{name}.{each} clashes with the field {base.name}.{each}, which it inherits. Rename one of them."
                )
