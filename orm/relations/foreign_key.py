"""`ForeignKey` and `OneToOne`: fields that hold another model's key and give its instance."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import sqlalchemy
import typesystem
from sqlalchemy.types import TypeEngine

from orm.exceptions import FieldError, NoMatch
from orm.expressions.base import FieldExpression
from orm.fields import Field
from orm.relations.base import key_value
from orm.relations.expressions import RelationExpression
from orm.relations.instance_state import KEY_ONLY, OWNER, WeakParent, check_accessible, get_loaded
from orm.relations.to_one import NO_ACTION, ToOneRelation
from orm.utils.codegen import Inline

if TYPE_CHECKING:
    from orm.models import Model

M = TypeVar("M", bound="Model | None")
T = TypeVar("T", bound="Model")


class KeyAttribute:
    """The raw key of a relation: ``track.album_id``; on the class an expression."""

    def __init__(self, relation: ForeignKey[Any]) -> None:
        self.relation = relation

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:
        if instance is None:
            return FieldExpression(owner, self.relation.attname)
        related: Model | None = instance.__dict__.get(self.relation.name)
        if related is not None:  # It was not saved when it was set.
            return related.__dict__.get(self.relation.target_field.attname)
        raise instance._missing_attribute(self.relation)


class RelationValidator(typesystem.Field):
    """Validates the raw key of a relation as the related field itself would; takes instances too."""

    def __init__(self, relation: ForeignKey[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.relation = relation

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
        if isinstance(value, self.relation.target):
            return value.__dict__.get(self.relation.target_field.attname)
        if type(value) in (list, tuple, dict, set) or hasattr(value, "_meta"):
            raise self.validation_error("type")
        return self.relation.target_field.validator.validate(value)

    def get_error_text(self, code: str) -> str:
        """The message of `code`, with the related model's name."""
        return self.errors[code].format(target=self.target)

    def serialize(self, obj: Any) -> Any:
        """The key as typesystem serializes it."""
        if isinstance(obj, self.relation.target):
            obj = obj.pk
        return self.relation.target_field.validator.serialize(obj)


class ForeignKey(ToOneRelation, Field[M], Generic[M]):
    """A relation to one row of another model, kept as its key.

    `to` is a model, or the class name of one in the same registry (itself included). `on_delete` is what
    the database does to this row when the other goes: `CASCADE`, `RESTRICT`, `SET_NULL`, `SET_DEFAULT` or
    `NO_ACTION`. `to_field` names a unique field to point at instead of the primary key. `related_name`
    names the way back.

    On an instance it is the related instance, sparse (only its key) until it is loaded; `<name>_id` is
    the raw key. On the class it is an expression that walks the relation: ``Track.album.name``.
    """

    family = "relation"
    is_ordered = supports_arithmetic = True
    unique_relation = False

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: ForeignKey[T],
            to: type[T],
            *,
            allow_null: Literal[False] = ...,
            on_delete: str = ...,
            related_name: str | None = ...,
            to_field: str | None = ...,
            **options: Any,
        ) -> None: ...

        @overload
        def __init__(
            self: ForeignKey[T | None],
            to: type[T],
            *,
            allow_null: Literal[True],
            on_delete: str = ...,
            related_name: str | None = ...,
            to_field: str | None = ...,
            **options: Any,
        ) -> None: ...

        @overload
        def __init__(
            self: ForeignKey[Any],
            to: str,
            *,
            allow_null: bool = ...,
            on_delete: str = ...,
            related_name: str | None = ...,
            to_field: str | None = ...,
            **options: Any,
        ) -> None: ...

        def __init__(self, to: Any, **options: Any) -> None: ...

        # On the class the relation reads as the related model, whose attributes are expressions.
        @overload  # type: ignore[override]
        def __get__(self: ForeignKey[T], instance: None, owner: type) -> type[T]: ...
        @overload
        def __get__(self: ForeignKey[T | None], instance: None, owner: type) -> type[T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> M: ...
        def __get__(self, instance: Any, owner: type) -> Any: ...

        def __set__(self, instance: object, value: M | int | str) -> None: ...

    else:

        def __init__(
            self,
            to,
            *,
            on_delete=NO_ACTION,
            related_name=None,
            related_query_name=None,
            to_field=None,
            **options,
        ):
            self.set_target(to, on_delete, related_name, related_query_name, options.get("allow_null", False))
            if self.unique_relation:
                options["unique"] = True
            self.to_field = to_field
            super().__init__(**options)

        def __get__(self, instance, owner):
            if instance is None:
                return self.expression(owner)
            return self.related(instance)

        def __set__(self, instance, value):
            own = instance.__dict__
            if value is not None and hasattr(value, "_meta"):
                if not isinstance(value, self.target):
                    raise FieldError(
                        f"{self.label} takes {self.target.__name__} instances, got {type(value).__name__}."
                    )
                own[self.name] = value
                key = value.__dict__.get(self.target_field.attname)
                if key is None and not value._persisted:
                    own.pop(self.attname, None)  # It is asked for its key until it has one.
                else:
                    own[self.attname] = key
                if not self.reverse.many:
                    self.reverse.attach_row(value, instance)
            else:
                own[self.attname] = value
                own.pop(self.name, None)

    to_field: str | None

    def bind(self, model: Any, name: str) -> None:
        """Make this the field `name` of `model`, whose raw key is the attribute `<name>_id`."""
        super().bind(model, name)
        self.attname = f"{name}_id"

    @property
    def key(self) -> ForeignKey[M]:
        """The relation itself: its column is the key."""
        return self

    def reset_target(self, name: str) -> None:
        """Lead to the next model of this name: the one that it led to is gone."""
        super().reset_target(name)
        for known in ("missing", "target_field"):
            self.__dict__.pop(known, None)

    @property
    def local_columns(self) -> tuple[str, ...]:
        """The column that holds the key."""
        return (self.column_name,)

    @property
    def remote_columns(self) -> tuple[str, ...]:
        """The column of the related model that the key is of."""
        return (self.target_field.column_name,)

    @cached_property
    def target_field(self) -> Field[Any]:
        """The field of the related model whose value is kept here."""
        info = self.target._meta
        if self.to_field is not None:
            field = info.fields.get(self.to_field)
            if field is None or not (field.unique or field.primary_key):
                raise FieldError(f"{self.label}: to_field={self.to_field!r} must name a unique field of {info.name}.")
            return field
        if len(info.pk_fields) != 1:
            raise FieldError(
                f"{self.label}: {info.name} has a composite primary key, which a ForeignKey cannot point "
                f"at. Use orm.CompositeForeignKey(from_fields=[...]), or to_field= with a unique field of {info.name}."
            )
        return info.pk_fields[0]

    def __copy__(self) -> Any:
        """An unbound copy, whose validator asks it, not the original."""
        made = super().__copy__()
        for known in ("reverse", "target_field"):
            made.__dict__.pop(known, None)
        made.validator = copy.copy(self.validator)
        made.validator.relation = made
        return made

    def descriptors(self) -> dict[str, Any]:
        """What the metaclass sets on the class: the relation and its raw key."""
        return {self.name: self, self.attname: KeyAttribute(self)}

    def expression(self, model: Any, via: tuple[str, ...] = ()) -> FieldExpression[Any]:
        """The relation as an expression on `model`, reached over `via`."""
        return RelationExpression(model, self, via)

    def build_validator(self, **options: Any) -> typesystem.Field:
        """A validator of the raw key."""
        return RelationValidator(self, **options)

    def fast_check(self) -> Inline | None:
        """The related field's own check; without one, its validator is asked."""
        if not self.is_resolved() or self.target_field.choices is not None:
            return None
        check: Inline | None = self.target_field.fast_check()
        return check

    @property
    def exact_type(self) -> type | None:  # type: ignore[override]
        """The type whose values `to_python` gives back as they are: the related field's."""
        plain: type | None = self.target_field.exact_type
        return plain

    def column_type(self) -> TypeEngine[Any]:
        """The related field's column type."""
        column_type: TypeEngine[Any] = self.target_field.column_type()
        return column_type

    def to_json(self, value: Any) -> Any:
        """The key as JSON can hold it."""
        return self.target_field.to_json(value)

    def from_json(self, value: Any) -> Any:
        """The key that `to_json` converted."""
        return self.target_field.from_json(value)

    @property
    def is_json(self) -> bool:
        """Whether JSON can hold the keys as they are."""
        return bool(self.target_field.is_json)

    @property
    def underlying_field(self) -> Field[Any]:
        """The field that the key refers to."""
        field: Field[Any] = self.target_field.underlying_field
        return field

    def make_column(self) -> sqlalchemy.Column[Any]:
        """The key's column, with its constraint."""
        column = super().make_column()
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
        """The key for a lookup's value: of an instance its key, else what the related field makes of it.

        Raises `QueryError` for an instance of another model and for one that is not saved.
        """
        return key_value(self.label, self.target, self.target_field, value)

    def related(self, instance: Model) -> Model | None:
        """The related instance, as `track.album` reads it: loaded, sparse, or None."""
        own = instance.__dict__
        loaded: Model | None = own.get(self.name)
        if self.attname not in own:
            if loaded is None:
                raise instance._missing_attribute(self)
            return loaded
        key = own[self.attname]
        if key is None and not instance._meta.legacy:
            return None
        remote = self.target_field.attname
        if loaded is not None and loaded.__dict__.get(remote) == key:
            return loaded
        owner: WeakParent | None = own.get(OWNER)
        if owner is not None:
            # It is not put under the relation's name, where the row would hold what holds it.
            loaded = owner.get()
            if isinstance(loaded, self.target) and loaded.__dict__.get(remote) == key:
                return loaded
        check_accessible(instance, self)
        missing = get_loaded(instance, self.name)
        if missing == [] or (missing == [key] and self.allow_null):
            return None
        if missing == [key]:
            raise self.missing(f"{self.label}: no {self.target.__name__} was found that it points at.")
        sparse = own[self.name] = self.sparse(key)
        return sparse

    @cached_property
    def missing(self) -> type[NoMatch]:
        """The error for a row that a query looked for and did not find."""
        return type("RelatedObjectDoesNotExist", (self.target.DoesNotExist, AttributeError), {})

    def sparse(self, key: Any) -> Model:
        """An instance of the related model that holds only its key."""
        target = self.target
        made = target.__new__(target)
        made.__dict__[self.target_field.attname] = key
        made.__dict__[KEY_ONLY] = self.label
        return made


class OneToOne(ForeignKey[M]):
    """A `ForeignKey` that is unique: each row of the other model has at most one here."""

    unique_relation = True
