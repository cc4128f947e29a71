"""`CompositeForeignKey`: a relation to a model whose primary key has several fields."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import sqlalchemy

from orm.database.connections.units_of_work import find_in_units, open_units
from orm.database.types.column_types import Integer
from orm.exceptions import FieldError, QueryError
from orm.fields import Field
from orm.relations.base import key_values
from orm.relations.composed import Composed
from orm.relations.expressions import RelationExpression
from orm.relations.fetch_modes import FETCHING, join_peers_of_owner
from orm.relations.instance_state import KEY_ONLY, check_accessible, get_loaded, row_database
from orm.relations.reverse import RelatedKey
from orm.relations.to_one import NO_ACTION, SET_NULL, OnDelete, ToOneRelation
from orm.utils.articles import with_article

if TYPE_CHECKING:
    from orm.models import Model

M = TypeVar("M", bound="Model | None")
T = TypeVar("T", bound="Model")


class CompositeForeignKey(ToOneRelation, Composed, Generic[M]):
    """A relation to one row of a model with a composite primary key, kept in fields of the model that declares it.

        class Line(orm.Model):
            shop = orm.Integer()
            number = orm.Integer()
            order = orm.CompositeForeignKey(Order, from_fields=["shop", "number"], on_delete=orm.CASCADE)

    `from_fields` hold the parts of the key, in the order in which `to` declares them; in the database they are one
    FOREIGN KEY. On an instance it is the related instance, which holds only its key until it is loaded, or None if a
    part of the key is None. It can be set to an instance, or to a tuple of the parts.
    """

    primary_key = False

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: CompositeForeignKey[T],
            to: type[T],
            *,
            from_fields: Sequence[str],
            on_delete: OnDelete = ...,
            related_name: str | None = ...,
            related_query_name: str | None = ...,
            allow_null: Literal[False] = ...,
        ) -> None: ...
        @overload
        def __init__(
            self: CompositeForeignKey[T | None],
            to: type[T],
            *,
            from_fields: Sequence[str],
            on_delete: OnDelete = ...,
            related_name: str | None = ...,
            related_query_name: str | None = ...,
            allow_null: Literal[True],
        ) -> None: ...
        @overload
        def __init__(
            self: CompositeForeignKey[Any],
            to: str,
            *,
            from_fields: Sequence[str],
            on_delete: OnDelete = ...,
            related_name: str | None = ...,
            related_query_name: str | None = ...,
            allow_null: bool = ...,
        ) -> None: ...
        def __init__(self, to: Any, **options: Any) -> None: ...

        @overload
        def __get__(self: CompositeForeignKey[T], instance: None, owner: type) -> type[T]: ...
        @overload
        def __get__(self: CompositeForeignKey[T | None], instance: None, owner: type) -> type[T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> M: ...
        def __get__(self, instance: Any, owner: type) -> Any: ...
        def __set__(self, instance: object, value: M | tuple[Any, ...]) -> None: ...

    else:

        def __init__(
            self,
            to,
            *,
            from_fields,
            on_delete=NO_ACTION,
            related_name=None,
            related_query_name=None,
            allow_null=False,
            index=True,
        ):
            if isinstance(from_fields, str) or len(from_fields) < 2:
                raise FieldError("from_fields are the names of several fields; for a single one, use a ForeignKey.")
            self.set_target(to, on_delete, related_name, related_query_name, allow_null)
            self.field_names = tuple(from_fields)
            self.allow_null = allow_null
            self.index = index

        def __get__(self, instance, owner):
            if instance is None:
                return self.expression(owner)
            return self.related(instance)

        def __set__(self, instance, value):
            attributes = instance.__dict__
            attributes.pop(self.name, None)
            if isinstance(value, self.target._meta.instance_class):
                attributes[self.name] = value
                parts = [value.__dict__.get(field.attname) for field in self.target_fields]
            else:
                parts = self.field_values(value).values()
            for field, part in zip(self.fields, parts, strict=True):
                if part is None and value is not None:
                    attributes.pop(field.attname, None)  # Read from the related instance once that is saved.
                else:
                    attributes[field.attname] = part

    allow_null: bool
    index: bool

    def __repr__(self) -> str:
        return f"<CompositeForeignKey {self.label}>"

    @cached_property
    def key(self) -> Field[Any]:
        """The key for comparisons; these use its parts, since there is no single column."""
        return RelatedKey(self, self.model)

    @property
    def unique(self) -> bool:
        """Whether each related row is referenced at most once: the fields are this model's primary key."""
        return set(self.fields) == set(self.model._meta.pk_fields)

    @property
    def local_columns(self) -> tuple[str, ...]:
        """The columns that hold the key."""
        return tuple(field.column_name for field in self.fields)

    @property
    def remote_columns(self) -> tuple[str, ...]:
        """The columns of the related model's primary key."""
        return tuple(field.column_name for field in self.target_fields)

    @property
    def target_fields(self) -> tuple[Field[Any], ...]:
        """The fields of the related model's primary key. Raises `FieldError` if their number differs."""
        info = self.target._meta
        if len(info.pk_fields) != len(self.field_names):
            names = ", ".join(field.name for field in info.pk_fields)
            raise FieldError(
                f"{self.label}: from_fields must name {len(info.pk_fields)} fields, one for each of the primary key of "
                f"{info.name} ({names})."
            )
        return info.pk_fields

    @property
    def target_field(self) -> Field[Any]:
        """Raises `QueryError`: there is no single target field."""
        raise QueryError(f"{self.label} has a key of several columns: name one of its fields.")

    def check(self) -> None:
        """Raise `FieldError` for a name that is no field, and if `allow_null` does not match that of the fields."""
        info = self.model._meta
        nullable = []
        for name in self.field_names:
            field = info.fields.get(name)
            if field is None:
                raise info.unknown(name, f"one of the from_fields of {self.label}")
            if field.allow_null:
                nullable.append(name)
            elif self.on_delete == SET_NULL:
                raise FieldError(f"{self.label}: on_delete=SET_NULL needs allow_null=True on {info.name}.{name}.")
        if bool(nullable) is not self.allow_null:
            which = f"{nullable[0]!r} may be null" if nullable else "none of its from_fields may be null"
            raise FieldError(f"{self.label}: {which}, so write allow_null={bool(nullable)}.")

    def expression(self, model: type[Model], via: tuple[str, ...] = ()) -> RelationExpression:
        """The relation as an expression on `model`, reached over `via`."""
        return RelationExpression(model, self.name, via)

    def constraint(self) -> sqlalchemy.ForeignKeyConstraint:
        """The FOREIGN KEY of the model's table.

        Raises `FieldError` if a field is narrower than the part of the key that it holds.
        """
        info = self.target._meta
        table = f"{info.options.schema}.{info.tablename}" if info.options.schema else info.tablename
        pairs = list(zip(self.fields, self.target_fields, strict=True))
        for field, part in pairs:
            column, key = field.column_type(), part.column_type()
            if isinstance(column, Integer) and isinstance(key, Integer) and column.bits < key.bits:
                raise FieldError(
                    f"{self.label}: {field.name} has {column.bits} bits, and {info.name}.{part.name} has {key.bits}: "
                    f"declare {field.name} as orm.{type(key).__name__}()."
                )
        # MySQL needs the order of the referenced key, in which the part that the database numbers comes first.
        pairs.sort(key=lambda pair: not pair[1].autoincrement)
        return sqlalchemy.ForeignKeyConstraint(
            [field.column_name for field, _ in pairs],
            [f"{table}.{part.column_name}" for _, part in pairs],
            ondelete=None if self.on_delete == NO_ACTION else self.on_delete,
        )

    def field_values(self, value: Any) -> dict[str, Any]:
        """The parts of a key, by the names of the fields here."""
        if value is None:
            return dict.fromkeys(self.field_names)
        parts = key_values(self.label, self.target, self.target_fields, value)
        return dict(zip(self.field_names, parts, strict=True))

    def copy_saved_key(self, instance: Model) -> None:
        """Copy the key of a related instance that has been saved since it was assigned."""
        attributes = instance.__dict__
        related: Model | None = attributes.get(self.name)
        if related is None:
            return
        for field, target_field in zip(self.fields, self.target_fields, strict=True):
            if field.attname not in attributes:
                part = related.__dict__.get(target_field.attname)
                if part is None:
                    raise QueryError(
                        f"{self.label} is {with_article(self.target.__name__)} that is not saved: save it before "
                        "this one."
                    )
                attributes[field.attname] = part

    def related(self, instance: Model) -> Model | None:
        """The related instance: as it was loaded, one that holds only its key, or None."""
        attributes = instance.__dict__
        loaded: Model | None = attributes.get(self.name)
        for field in self.fields:
            if field.attname not in attributes:
                if loaded is None:
                    raise instance._missing_attribute(field)
                return loaded
        parts = tuple(attributes[field.attname] for field in self.fields)
        missing = get_loaded(instance, self.name)
        if None in parts or missing == [] or (missing == [parts] and self.allow_null):
            return None
        names = [field.attname for field in self.target_fields]
        if loaded is not None and tuple(loaded.__dict__.get(name) for name in names) == parts:
            if open_units and KEY_ONLY in loaded.__dict__:
                known = find_in_units(row_database(instance), self.target, names, parts)
                loaded = attributes[self.name] = known or loaded
            return loaded
        if open_units:
            loaded = find_in_units(row_database(instance), self.target, names, parts)
            if loaded is not None:
                attributes[self.name] = loaded
                return loaded
        check_accessible(instance, self)
        related = attributes[self.name] = self.target.__new__(self.target)
        related.__dict__.update(zip(names, parts, strict=True))
        related.__dict__[KEY_ONLY] = self.label
        if "_database" in instance.__dict__:
            related.__dict__["_database"] = instance.__dict__["_database"]
        if FETCHING in attributes:
            join_peers_of_owner(related, instance, self)
        return related
