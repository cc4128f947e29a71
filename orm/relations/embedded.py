"""`Embedded`: a value of several columns, such as an address."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import sqlalchemy
import typesystem

from orm.exceptions import FieldError, QueryError
from orm.expressions.base import Expression, FieldExpression, Q
from orm.fields import Field
from orm.relations.composed import Composed, ComposedExpression
from orm.relations.expressions import UnknownAttribute
from orm.relations.value_types import ValueType, nullable, value_type_of
from orm.utils.articles import with_article

if TYPE_CHECKING:
    from orm.models import Model

T = TypeVar("T")
V = TypeVar("V")


class Embedded(Composed, Generic[T]):
    """A value of several columns: a dataclass, a Pydantic model, a `TypedDict` or a `msgspec.Struct`.

        @dataclass
        class Address:
            street: Annotated[str, orm.String(max_length=80)]
            city: Annotated[str, orm.String(max_length=40)]

        class Customer(orm.Model):
            billing = orm.Embedded(Address)
            shipping = orm.Embedded(Address, prefix="ship_", allow_null=True)

        await Customer.objects.create(billing=Address("Via Po 1", "Turin"))
        await Customer.objects.filter(billing__city="Turin", shipping=None)

    Each part is a field of the model, whose name begins with the prefix: ``billing_city``. In queries, indexes and
    constraints it is ``billing__city`` or ``billing_city``.

    Args:
        type: The type of the values.
        prefix: What the names of the fields and columns begin with; by default the attribute's name and ``_``.
        fields: The fields of some parts. For the others, the annotation says which: `orm` fields in `Annotated`,
            limits of Pydantic and msgspec, or else the type alone.
        allow_null: The value may be None: all of its columns are NULL then, and a CHECK keeps it a whole.
        default: None, for a nullable value of an `orm.TypedModel`, whose constructor may then leave it out.

    Raises:
        FieldError: The type has no parts, or does not say how one is stored; or there is another default than None.
    """

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: Embedded[V],
            type: type[V],
            *,
            prefix: str | None = ...,
            fields: Mapping[str, Field[Any]] | None = ...,
            allow_null: Literal[False] = ...,
        ) -> None: ...
        @overload
        def __init__(
            self: Embedded[V | None],
            type: type[V],
            *,
            prefix: str | None = ...,
            fields: Mapping[str, Field[Any]] | None = ...,
            allow_null: Literal[True],
            default: None = ...,
        ) -> None: ...
        def __init__(self, type: Any, **options: Any) -> None: ...

        @overload
        def __get__(self, instance: None, owner: type) -> Any: ...
        @overload
        def __get__(self, instance: object, owner: type) -> T: ...
        def __get__(self, instance: Any, owner: type) -> Any: ...
        def __set__(self, instance: object, value: T | Mapping[str, Any]) -> None: ...

    else:

        def __init__(self, type, *, prefix=None, fields=None, allow_null=False, default=None):
            if default is not None:
                raise FieldError("orm.Embedded has no default but None: give the parts of its type their defaults.")
            self.value_type = value_type_of(type, fields or {})
            self.prefix = prefix
            self.allow_null = allow_null
            if not self.value_type.parts:
                raise FieldError(f"orm.Embedded: {self.value_type.name} has no parts.")
            if allow_null and not any(part.is_required for part in self.value_type.parts.values()):
                raise FieldError(
                    f"orm.Embedded: all parts of {self.value_type.name} may be None, so a value without any could not "
                    "be told from no value: leave out allow_null=True."
                )

        def __get__(self, instance, owner):
            if instance is None:
                return self.expression(owner)
            attributes = instance.__dict__
            held = attributes.get(self.name)
            stored = []
            for field in self.fields:
                if field.attname not in attributes:
                    if held is not None:
                        return held[0]  # It was not valid when it was assigned.
                    raise instance._missing_attribute(field)
                stored.append(attributes[field.attname])
            if held is not None and held[1] == stored:
                return held[0]
            value = self.value_of(stored)
            attributes[self.name] = value, stored
            return value

        def __set__(self, instance, value):
            attributes = instance.__dict__
            try:
                parts = dict.fromkeys(self.names) if value is None else self.value_type.take_apart(value)
            except typesystem.ValidationError:
                # Saving raises it again, with the messages of the other fields' errors.
                for field in self.fields:
                    attributes.pop(field.attname, None)
                attributes[self.name] = value, None
                return
            stored = [parts[part] for part in self.names]
            for field, part in zip(self.fields, stored, strict=True):
                setattr(instance, field.name, part)
            if value is not None and not self.value_type.is_instance(value):
                value = self.value_type.put_together(parts)
            attributes[self.name] = value, stored

    value_type: ValueType
    prefix: str | None
    allow_null: bool
    names: dict[str, str]
    """The names of the fields, by the part."""

    def make_fields(self, name: str, owner: str) -> dict[str, Field[Any]]:
        """The fields of the parts, by their names: ``billing_city``. `owner` is the model's name."""
        prefix = f"{name}_" if self.prefix is None else self.prefix
        self.names = {part: f"{prefix}{part}" for part in self.value_type.parts}
        self.field_names = tuple(self.names.values())
        make = nullable if self.allow_null else _copied
        return {self.names[name]: make(part.field) for name, part in self.value_type.parts.items()}

    @property
    def required(self) -> list[Field[Any]]:
        """The fields that only a missing value leaves NULL."""
        parts = zip(self.fields, self.value_type.parts.values(), strict=True)
        return [field for field, part in parts if part.is_required]

    def aliases(self) -> dict[str, str]:
        """The names of the fields, by those in which the part follows two underscores: ``billing__city``."""
        return {f"{self.name}__{part}": field for part, field in self.names.items()}

    def value_of(self, stored: Iterable[Any]) -> Any:
        """The value of these columns; None if all of them are NULL."""
        parts = dict(zip(self.names, stored, strict=True))
        return None if all(part is None for part in parts.values()) else self.value_type.put_together(parts)

    def validated(self, value: Any) -> dict[str, Any]:
        """The validated parts of a value. Raises `typesystem.ValidationError` under the name of the attribute."""
        if value is None:
            if self.allow_null:
                return dict.fromkeys(self.names)
            raise self._invalid("May not be null.", "null")
        try:
            parts = self.value_type.take_apart(value)
        except typesystem.ValidationError as error:
            raise typesystem.ValidationError(messages=error.messages(add_prefix=self.name)) from None
        messages: list[Any] = []
        for (name, part), field in zip(self.value_type.parts.items(), self.fields, strict=True):
            if parts[name] is None and part.is_required:
                messages.append(typesystem.Message(text="May not be null.", code="null", index=[self.name, name]))
            elif not isinstance(parts[name], Expression):
                parts[name], refused = field.validator.validate_or_error(parts[name])
                for message in refused.messages() if refused else ():
                    index = [self.name, name, *message.index]
                    messages.append(typesystem.Message(text=message.text, code=message.code, index=index))
        if messages:
            raise typesystem.ValidationError(messages=messages)
        return parts

    def _invalid(self, text: str, code: str) -> typesystem.ValidationError:
        return typesystem.ValidationError(messages=[typesystem.Message(text=text, code=code, index=[self.name])])

    def field_values(self, value: Any) -> dict[str, Any]:
        """The validated value of each field. Raises `typesystem.ValidationError`."""
        return {self.names[part]: stored for part, stored in self.validated(value).items()}

    def write_changes(self, attributes: dict[str, Any]) -> None:
        """Write the parts of the value to the fields, without validating them, if they were changed."""
        held = attributes.get(self.name)
        if held is None or held[0] is None or held[1] != [attributes.get(field.attname) for field in self.fields]:
            return
        parts = self.value_type.current(held[0])
        if parts != held[1]:
            attributes.update(zip((field.attname for field in self.fields), parts, strict=True))
            attributes[self.name] = held[0], parts

    def copy_value(self, attributes: dict[str, Any]) -> None:
        """Give a copied instance, which has these attributes, a copy of the value."""
        held = attributes.get(self.name)
        if held is not None:
            attributes[self.name] = self.value_type.copied(held[0]), held[1]

    def copy_saved_key(self, instance: Model) -> None:
        """Validate the value, and write its parts to the fields: it may have been changed since it was assigned.

        Raises `typesystem.ValidationError`.
        """
        attributes = instance.__dict__
        held = attributes.get(self.name)
        stored = [attributes.get(field.attname) for field in self.fields]
        if held is not None and (held[1] is None or held[1] == stored):
            value = held[0]
            if value is None and not self.allow_null and not instance._persisted:
                raise self._invalid("May not be null.", "null")
            parts = [*self.validated(value).values()]
            for field, part in zip(self.fields, parts, strict=True):
                attributes[field.attname] = part
            attributes[self.name] = (value if parts == stored else self.value_of(parts)), parts
            return
        attributes.pop(self.name, None)  # A field has been assigned since.
        if not instance._persisted and any(part is not None for part in stored):
            for name, default in self.value_type.defaults().items():
                attributes.setdefault(self.names[name], default())
        missing = [field for field in self.required if attributes.get(field.attname) is None]
        if not instance._persisted and not self.allow_null and len(missing) == len(self.required):
            raise self._invalid("This field is required.", "required")
        is_complete = not missing or all(part is None for part in stored)
        if self.allow_null and not is_complete and all(field.attname in attributes for field in self.fields):
            raise typesystem.ValidationError(
                messages=[
                    typesystem.Message(text="May not be null.", code="null", index=[field.name]) for field in missing
                ]
            )

    def constraint(self) -> sqlalchemy.CheckConstraint | None:
        """The CHECK that all required parts are set, or no part is; None for a value that cannot be None."""
        if not self.allow_null:
            return None
        columns = [field.column_name for field in self.fields]
        required = [field.column_name for field in self.required]
        present = sqlalchemy.and_(*(sqlalchemy.column(name).is_not(None) for name in required))
        absent = sqlalchemy.and_(*(sqlalchemy.column(name).is_(None) for name in columns))
        # Migrations compare constraints by their names, so that the name changes with the parts.
        definition = repr([columns, required])
        digest = hashlib.sha256(definition.encode()).hexdigest()[:8]
        name = f"{self.model._meta.tablename}_{self.name}"[:45] + f"_{digest}_check"
        return sqlalchemy.CheckConstraint(sqlalchemy.or_(present, absent), name=name)

    def expression(self, model: type[Model], via: tuple[str, ...] = ()) -> EmbeddedExpression:
        """The value as an expression on `model`, reached over `via`."""
        return EmbeddedExpression(model, self, via)

    def condition(self, prefix: str, lookup: str, value: Any) -> Q:
        """A lookup of the whole value as conditions on its fields. Raises `FieldError` for other lookups."""
        if lookup == "isnull" or (lookup == "exact" and value is None):
            is_null = value is None or value
            if not isinstance(is_null, bool):
                raise QueryError(f"{self.label}__isnull takes True or False, got {type(value).__name__}.")
            field = (self.required or list(self.fields))[0]
            return Q(**{f"{prefix}{field.name}__isnull": is_null})
        if lookup == "exact":
            return Q(**{f"{prefix}{name}": part for name, part in self._compared(value).items()})
        if lookup == "in" and not isinstance(value, (str, bytes, Mapping)) and isinstance(value, Iterable):
            values = [self._compared(each) for each in value if each is not None]
            if not values:
                return Q(**{f"{prefix}{self.field_names[0]}__in": []})
            return reduce(
                operator.or_, (Q(**{f"{prefix}{name}": part for name, part in each.items()}) for each in values)
            )
        raise FieldError(
            f"{self.label} has no part and no lookup {lookup!r}. As a whole it is compared with "
            f"{with_article(self.value_type.name)}, a list of them (__in) and None; its parts are "
            f"{', '.join(f'{self.name}__{part}' for part in self.names)}."
        )

    def _compared(self, value: Any) -> dict[str, Any]:
        """The parts of a value in a query, by the names of the fields."""
        try:
            parts = self.value_type.take_apart(value)
        except typesystem.ValidationError as error:
            raise FieldError(f"{self.label} takes values of {self.value_type.name}: {error}") from None
        return {self.names[part]: stored for part, stored in parts.items()}


def _copied(field: Field[Any]) -> Field[Any]:
    copied: Field[Any] = nullable(field) if field.allow_null else field.__copy__()
    return copied


class EmbeddedExpression(ComposedExpression):
    """An embedded value on the class: ``Customer.billing == address``, ``Customer.billing.city == "Turin"``."""

    def __init__(self, model: type[Model], embedded: Embedded[Any], path: tuple[str, ...] = ()) -> None:
        super().__init__(model, embedded, path)
        self._embedded = embedded

    def __getattr__(self, name: str) -> FieldExpression[Any]:
        if name.startswith("_"):
            raise AttributeError(f"{self!r} has no {name!r}.")
        if name not in self._embedded.names:
            raise UnknownAttribute(f"{self!r} consists of {', '.join(self._embedded.names)}; it has no {name!r}.")
        expression: FieldExpression[Any] = self._embedded.model._meta.fields[self._embedded.names[name]].expression(
            self._model, self._path
        )
        return expression
