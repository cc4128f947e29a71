"""`ForeignKey` and `OneToOne`: fields that hold the key of another model's row, and give its instance."""

from __future__ import annotations

import copy
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import sqlalchemy
import typesystem
from typing_extensions import Unpack

from orm.database.connections.units_of_work import find_in_units, open_units
from orm.exceptions import FieldError, NoMatch
from orm.expressions.base import FieldExpression
from orm.fields import Field
from orm.relations.base import key_value, missing_error
from orm.relations.expressions import RelationExpression
from orm.relations.fetch_modes import FETCHING, join_peers_of_owner
from orm.relations.instance_state import KEY_ONLY, OWNER, WeakParent, check_accessible, get_loaded, row_database
from orm.relations.key_field import KeyField
from orm.relations.to_one import NO_ACTION, RelationOptions, ToOneRelation
from orm.utils.codegen import Inline

if TYPE_CHECKING:
    from orm.models import Model

M = TypeVar("M", bound="Model | None")
T = TypeVar("T", bound="Model")


class KeyAttribute:
    """The key of a relation on instances, ``track.album_id``; on the class, an expression."""

    def __init__(self, relation: ForeignKey[Any]) -> None:
        self.relation = relation

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:
        if instance is None:
            return FieldExpression(owner, self.relation.attname)
        related: Model | None = instance.__dict__.get(self.relation.name)
        if related is not None:  # It was not saved when it was assigned.
            return related.__dict__.get(self.relation.target_field.attname)
        raise instance._missing_attribute(self.relation)


class RelationValidator(typesystem.Union):
    """Validates the key of a relation as the related field would, and accepts instances."""

    def __init__(self, relation: ForeignKey[Any], **kwargs: Any) -> None:
        typesystem.Field.__init__(self, **kwargs)
        self.relation = relation

    @property
    def any_of(self) -> list[typesystem.Field]:  # type: ignore[override]
        """The validator of the key, for JSON Schema."""
        return [self.relation.target_field.validator]

    errors = {  # noqa: RUF012 - typesystem declares it as an instance's
        "null": "May not be null.",
        "type": "Must be an instance of {target} or its key.",
    }

    @property
    def target(self) -> str:
        """The related model's name, for messages."""
        return self.relation.target.__name__

    def validate(self, value: Any) -> Any:
        """The key. Raises `typesystem.ValidationError`."""
        if value is None:
            if self.allow_null:
                return None
            raise self.validation_error("null")
        if isinstance(value, self.relation.target._meta.instance_class):
            return value.__dict__.get(self.relation.target_field.attname)
        if type(value) in (list, tuple, dict, set) or hasattr(value, "_meta"):
            raise self.validation_error("type")
        return self.relation.target_field.validator.validate(value)

    def get_error_text(self, code: str) -> str:
        """The message of `code`, with the related model's name."""
        return self.errors[code].format(target=self.target)

    def serialize(self, obj: Any) -> Any:
        """The key as typesystem serializes it."""
        if isinstance(obj, self.relation.target._meta.instance_class):
            obj = obj.pk
        return self.relation.target_field.validator.serialize(obj)


class ForeignKey(ToOneRelation, KeyField[M], Generic[M]):
    """A relation to one row of another model, kept as that row's key.

    `to` is a model, or the class name of one in the same registry (itself included). `on_delete` is what the database
    does with this row when the related one is deleted: `CASCADE`, `RESTRICT`, `SET_NULL`, `SET_DEFAULT` or `NO_ACTION`.
    `to_field` names a unique field to reference instead of the primary key. `related_name` names the reverse relation.
    The column is indexed, unless a key or a constraint of the model begins with it, or `index=False`.

    On an instance it is the related instance, which holds only its key until it is loaded; `<name>_id` is the key
    itself. On the class it is an expression that follows the relation: ``Track.album.name``.
    """

    unique_relation = False

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: ForeignKey[T], to: type[T], *, allow_null: Literal[False] = ..., **options: Unpack[RelationOptions]
        ) -> None: ...

        @overload
        def __init__(
            self: ForeignKey[T | None], to: type[T], *, allow_null: Literal[True], **options: Unpack[RelationOptions]
        ) -> None: ...

        @overload
        def __init__(
            self: ForeignKey[Any], to: str, *, allow_null: bool = ..., **options: Unpack[RelationOptions]
        ) -> None: ...

        def __init__(self, to: Any, **options: Any) -> None: ...

        # To a type checker, the relation on the class is the related model, whose attributes are expressions.
        @overload  # type: ignore[override]
        def __get__(self: ForeignKey[T | None], instance: None, owner: type) -> type[T]: ...
        @overload
        def __get__(self: ForeignKey[T], instance: None, owner: type) -> type[T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> M: ...
        def __get__(self, instance: Any, owner: type) -> Any: ...

        def __set__(self, instance: object, value: M | int | str | uuid.UUID) -> None: ...

    else:

        def __init__(
            self,
            to,
            *,
            on_delete=NO_ACTION,
            related_name=None,
            related_query_name=None,
            to_field=None,
            index=True,
            **options,
        ):
            self.set_target(to, on_delete, related_name, related_query_name, options.get("allow_null", False))
            if self.unique_relation:
                options["unique"] = True
            self.to_field = to_field
            super().__init__(index=index, **options)

        def __get__(self, instance, owner):
            if instance is None:
                return self.expression(owner)
            return self.related(instance)

        def __set__(self, instance, value):
            attributes = instance.__dict__
            if value is not None and hasattr(value, "_meta"):
                if not isinstance(value, self.target._meta.instance_class):
                    raise FieldError(
                        f"{self.label} takes {self.target.__name__} instances, got {type(value).__name__}."
                    )
                attributes[self.name] = value
                key = value.__dict__.get(self.target_field.attname)
                if key is None and not value._persisted:
                    attributes.pop(self.attname, None)  # Read from the related instance once that is saved.
                else:
                    attributes[self.attname] = key
                if not self.reverse.many:
                    self.reverse.attach_row(value, instance)
            else:
                attributes[self.attname] = value
                previous = attributes.pop(self.name, None)
                if previous is not None and value is None and not self.reverse.many:
                    self.reverse.detach_row(previous, instance)

    to_field: str | None

    def bind(self, model: Any, name: str) -> None:
        """Make this the field `name` of `model`, with the key in the attribute `<name>_id`."""
        super().bind(model, name)
        self.attname = f"{name}_id"

    @property
    def key(self) -> ForeignKey[M]:
        """The relation itself, whose column holds the key."""
        return self

    def reset_target(self, name: str) -> None:
        """Wait for the next model of this name: the present one is removed from the registry."""
        super().reset_target(name)
        for cached in ("missing", "target_field"):
            self.__dict__.pop(cached, None)

    @property
    def local_columns(self) -> tuple[str, ...]:
        """The column that holds the key."""
        return (self.column_name,)

    @property
    def remote_columns(self) -> tuple[str, ...]:
        """The column of the related model that is referenced."""
        return (self.target_field.column_name,)

    @cached_property
    def target_field(self) -> Field[Any]:
        """The field of the related model that is referenced: `to_field`, or the primary key."""
        info = self.target._meta
        if self.to_field is not None:
            field = info.fields.get(self.to_field)
            if field is None or not info.is_unique(field):
                raise FieldError(f"{self.label}: to_field={self.to_field!r} must name a unique field of {info.name}.")
            return field
        if len(info.pk_fields) != 1:
            raise FieldError(
                f"{self.label}: {info.name} has a composite primary key, which a ForeignKey cannot point "
                f"at. Use orm.CompositeForeignKey(from_fields=[...]), or to_field= with a unique field of {info.name}."
            )
        return info.pk_fields[0]

    def __copy__(self) -> Any:
        """An unbound copy, with a new validator."""
        duplicate = super().__copy__()
        for cached in ("reverse", "target_field"):
            duplicate.__dict__.pop(cached, None)
        duplicate.validator = copy.copy(self.validator)
        duplicate.validator.relation = duplicate
        return duplicate

    def descriptors(self) -> dict[str, Any]:
        """The class attributes of the field: the relation, and its key."""
        return {self.name: self, self.attname: KeyAttribute(self)}

    def expression(self, model: Any, via: tuple[str, ...] = ()) -> FieldExpression[Any]:
        """The relation as an expression on `model`, reached over `via`."""
        return RelationExpression(model, self.name, via)

    def build_validator(self, **options: Any) -> typesystem.Field:
        """The validator of the key."""
        return RelationValidator(self, **options)

    def fast_check(self) -> Inline | None:
        """The related field's inline check, or None to call its validator."""
        if not self.is_resolved() or self.target_field.choices is not None or self.target_field.validators:
            return None
        check: Inline | None = self.target_field.fast_check()
        return check

    @property
    def exact_type(self) -> type | None:  # type: ignore[override]
        """The type whose values `to_python` gives back as they are: the related field's."""
        plain: type | None = self.target_field.exact_type
        return plain

    def make_column(self) -> sqlalchemy.Column[Any]:
        """The column of the key, with its FOREIGN KEY."""
        column = super().make_column()
        if self.model._meta.pk_fields == (self,):
            column.unique = None  # as the primary key it is unique
        column.index = None  # `ModelInfo` adds the index, unless a key or a constraint begins with the column
        info = self.target._meta
        table = f"{info.options.schema}.{info.tablename}" if info.options.schema else info.tablename
        column.append_foreign_key(
            sqlalchemy.ForeignKey(
                f"{table}.{self.target_field.column_name}",
                ondelete=None if self.on_delete == NO_ACTION else self.on_delete,
            )
        )
        return column

    def to_python(self, value: Any) -> Any:
        """The key for a lookup's value: that of an instance, or the value converted by the related field.

        If the relation is the primary key, an instance of the relation's model has the key as well. Raises `QueryError`
        for an instance of another model, or one that is not saved.
        """
        if self.primary_key and hasattr(value, "_meta") and isinstance(value, self.model):
            value = value.__dict__.get(self.attname)
        return key_value(self.label, self.target, self.target_field, value)

    def related(self, instance: Model) -> Model | None:
        """The related instance that ``track.album`` reads: as it was loaded, one that holds only its key, or None."""
        attributes = instance.__dict__
        loaded: Model | None = attributes.get(self.name)
        if self.attname not in attributes:
            if loaded is None:
                raise instance._missing_attribute(self)
            return loaded
        key = attributes[self.attname]
        if key is None and not instance._meta.legacy:
            return None
        target_attname = self.target_field.attname
        if loaded is not None and loaded.__dict__.get(target_attname) == key:
            if open_units and KEY_ONLY in loaded.__dict__:
                loaded = find_in_units(row_database(instance), self.target, [target_attname], (key,)) or loaded
                attributes[self.name] = loaded
            return loaded
        owner: WeakParent | None = attributes.get(OWNER)
        if owner is not None:
            # It is not stored under the relation's name: parent and row would reference each other.
            loaded = owner.get()
            if isinstance(loaded, self.target._meta.instance_class) and loaded.__dict__.get(target_attname) == key:
                return loaded
        if open_units:
            loaded = find_in_units(row_database(instance), self.target, [target_attname], (key,))
            if loaded is not None:
                attributes[self.name] = loaded
                return loaded
        check_accessible(instance, self)
        missing = get_loaded(instance, self.name)
        if missing == [] or (missing == [key] and self.allow_null):
            return None
        if missing == [key]:
            raise self.missing(f"{self.label}: no {self.target.__name__} was found that it points at.")
        related = attributes[self.name] = self.key_only_instance(key)
        if "_database" in attributes:
            related.__dict__["_database"] = attributes["_database"]
        if FETCHING in attributes:
            join_peers_of_owner(related, instance, self)
        return related

    @cached_property
    def missing(self) -> type[NoMatch]:
        """The error for a related row that a query did not find."""
        return missing_error(self.model, self.name, self.target)

    def key_only_instance(self, key: Any) -> Model:
        """An instance of the related model that holds only its key."""
        related = self.target.__new__(self.target)
        related.__dict__[self.target_field.attname] = key
        related.__dict__[KEY_ONLY] = self.label
        return related


class OneToOne(ForeignKey[M]):
    """A unique `ForeignKey`: each row of the related model is referenced at most once.

    With `parent_link=True` it is the link from a model to the one that it inherits from, in multi-table inheritance.
    """

    if TYPE_CHECKING:  # mypy does not bind the type of an inherited constructor's `self`

        @overload
        def __init__(
            self: OneToOne[T], to: type[T], *, allow_null: Literal[False] = ..., **options: Unpack[RelationOptions]
        ) -> None: ...

        @overload
        def __init__(
            self: OneToOne[T | None], to: type[T], *, allow_null: Literal[True], **options: Unpack[RelationOptions]
        ) -> None: ...

        @overload
        def __init__(
            self: OneToOne[Any], to: str, *, allow_null: bool = ..., **options: Unpack[RelationOptions]
        ) -> None: ...

        def __init__(self, to: Any, **options: Any) -> None: ...

    unique_relation = True

    if not TYPE_CHECKING:

        def __new__(cls, *args, parent_link=False, **options):
            return super().__new__(ParentLink if parent_link else cls)

        def __init__(self, to, *, parent_link=False, **options):
            super().__init__(to, **options)


class ParentLink(OneToOne[M]):
    """The link from a row of a model to its row in the table of a model that it inherits from."""

    if not TYPE_CHECKING:

        def __set__(self, instance, value):
            super().__set__(instance, value)
            attributes, field = instance.__dict__, self
            key = attributes.get(self.attname)
            while isinstance(field, ParentLink):  # As in Django, the keys of the rows that it begins in are the same.
                field = field.target_field
                attributes[field.attname] = key
                if field.name != field.attname:
                    attributes.pop(field.name, None)

    def related(self, instance: Model) -> Model | None:
        """The instance of the other model, of the values of this one if they are loaded."""
        attributes = instance.__dict__
        target: type[Model] = self.target
        if self.name not in attributes and isinstance(instance, target):
            names = [field.attname for field in target._meta.fields.values()]
            if instance._persisted and all(name in attributes for name in names):
                parent = target.__new__(target)
                parent.__dict__.update((name, attributes[name]) for name in names)
                if "_database" in attributes:
                    parent.__dict__["_database"] = attributes["_database"]
                attributes[self.name] = parent
                return parent
        return super().related(instance)
