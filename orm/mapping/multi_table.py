"""Multi-table inheritance: a model whose rows are continued in the tables of the models that it inherits from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orm.exceptions import FieldError
from orm.fields import Field, Version
from orm.mapping.meta_options import MetaOptions
from orm.mapping.model_info import ModelInfo
from orm.mapping.single_table import check_clashes
from orm.relations import CASCADE, Composed, ForeignKey, Hop, ManyToMany, ManyToManySide, ParentLink, ReverseRelation

if TYPE_CHECKING:
    from orm.models import Model, ModelRegistry


def add_parent_links(name: str, fields: dict[str, Field[Any]], bases: Sequence[ModelInfo]) -> dict[str, Field[Any]]:
    """The fields of a model, with a link to each model with a table that it inherits from."""
    owners = [base.relation_owner for base in bases]
    declared = links_of(fields)
    for field in declared:
        if not isinstance(field.to, str) and field.to._meta.relation_owner not in owners:
            raise FieldError(f"{name}: a parent_link leads to {field.to.__name__}, from which it does not inherit.")
    links: dict[str, Field[Any]] = {}
    for owner in owners:
        if not any(_leads_to(each, owner) for each in declared):
            link_name = f"{owner.name.lower()}_ptr"
            links[link_name] = ParentLink(owner.model, on_delete=CASCADE, column=f"{link_name}_id")
    fields = {**links, **fields}
    if not any(field.primary_key for field in fields.values()):
        link = next(each for each in links_of(fields) if _leads_to(each, owners[0]))
        link.primary_key, link.unique = True, False  # A primary key needs no unique constraint.
    for each in fields.values():
        if isinstance(each, ParentLink):
            # The key is that of the other row, which is written first.
            each.read_only = each.validator.read_only = True
        if isinstance(each, Version):
            raise FieldError(f"{name}: orm.Version cannot be a field in multi-table inheritance.")
    return fields


def links_of(fields: Mapping[str, Field[Any]]) -> list[ParentLink[Any]]:
    """The links among these fields."""
    return [field for field in fields.values() if isinstance(field, ParentLink)]


def _leads_to(link: ForeignKey[Any], owner: ModelInfo) -> bool:
    return link.to == owner.name if isinstance(link.to, str) else link.to._meta.relation_owner is owner


class ChildInfo(ModelInfo):
    """A model with a table, whose rows begin in the tables of the models that it inherits from."""

    def __init__(
        self,
        model: type[Model],
        registry: ModelRegistry | None,
        options: MetaOptions,
        bases: Sequence[ModelInfo],
        fields: Mapping[str, Field[Any]],
        many_to_many: Mapping[str, ManyToMany[Any]],
        composed: Mapping[str, Composed],
    ) -> None:
        check_clashes(model.__name__, (*fields, *many_to_many, *composed), bases)
        inherited = self._inherited(model.__name__, bases, "fields")
        super().__init__(
            model,
            registry,
            options,
            {**inherited, **fields},
            {**self._inherited(model.__name__, bases, "many_to_many"), **many_to_many},
            {**self._inherited(model.__name__, bases, "composed"), **composed},
            legacy=bases[0].legacy,
        )
        for base in bases:
            if base.version is not None:
                raise FieldError(
                    f"{self.name} inherits from {base.name}, which has an orm.Version: rows in several tables cannot."
                )
            self.fallback_descriptors.update(base.fallback_descriptors)
        self.bases = tuple(bases)
        self.local_fields = dict(fields)
        self.local_many_to_many = dict(many_to_many)
        self.local_composed = dict(composed)
        links = links_of(fields)
        self.parent_links = tuple(
            next(link for link in links if _leads_to(link, base.relation_owner)) for base in bases
        )
        for link, base in zip(self.parent_links, bases, strict=True):
            self.ancestors.setdefault(base.relation_owner, (link,))
            for ancestor, chain in base.ancestors.items():
                self.ancestors.setdefault(ancestor, (link, *chain))

    @staticmethod
    def _inherited(name: str, bases: Sequence[ModelInfo], kind: str) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for base in bases:
            for key, member in getattr(base, kind).items():
                if members.setdefault(key, member) is not member:
                    raise FieldError(
                        f"{name} inherits the field {key!r} from several models, of which {base.name} is one. Rename "
                        "one of them."
                    )
        return members

    @property
    def ends(self) -> Sequence[ReverseRelation | ManyToManySide]:
        """Its own, and those of the models that it inherits from, except for the links to these."""
        inherited = [end for base in self.bases for end in base.ends if not isinstance(end.relation, ParentLink)]
        return tuple(dict.fromkeys((*inherited, *self._ends)))

    @property
    def pk_fields(self) -> tuple[Field[Any], ...]:
        """The primary key of its own table."""
        return tuple(field for field in self.local_fields.values() if field.primary_key)

    def chain_to(self, member: Any) -> tuple[Hop, ...]:
        """The parent links to the table that has a field, or that a relation leads from."""
        for info, chain in self.ancestors.items():
            if isinstance(member, Field):
                is_there = info.local_fields.get(member.name) is member
            else:
                is_there = member in info._ends or member in info.composed.values()
            if is_there:
                return chain
        return ()

    def set_pk(self, instance: Model, value: Any) -> None:
        """Set the primary key of an instance, and as in Django, that of its row in the tables of other models."""
        super().set_pk(instance, value)
        for link in self.parent_links:
            if not link.primary_key:
                setattr(instance, link.target_field.name, value)

    def fields_of_columns(self, columns: Sequence[str]) -> tuple[Field[Any], ...]:
        """The fields with these columns, those of its own table first."""
        by_column = {field.column_name: field for field in (*self.fields.values(), *self.local_fields.values())}
        return tuple(by_column[column] for column in columns)

    def column_names(self, names: Sequence[str], what: str) -> list[str]:
        """The columns of these fields. Raises `FieldError` for a field that is in another table."""
        columns = super().column_names(names, what)
        for name in names:
            field = self.fields.get(name) or self.by_attname[name]
            if self.chain_to(field):
                raise FieldError(
                    f"{self.name}.{name}, given as {what}, is in the table of {field.model.__name__}: declare it there."
                )
        return columns
