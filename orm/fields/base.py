"""`Field`: a column's SQLAlchemy type, its validator, its attribute and its lookups' traits, in one object."""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import uuid
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, overload

import sqlalchemy
import typesystem
from sqlalchemy.types import TypeEngine

from orm.database.types.column_types import ORMType
from orm.database.types.converted import Converted
from orm.exceptions import DataError, FieldError, QueryError
from orm.expressions.base import Expression, FieldExpression, Logical
from orm.fields.choices import ChoiceValidator, read_choices
from orm.fields.options import DJANGO_NAMES, Choices, ServerDefault, unknown_option
from orm.fields.server_defaults import stored_default
from orm.fields.validator_functions import ValidatorFunction, with_functions
from orm.fields.validators import ConvertingValidator
from orm.utils.articles import with_article
from orm.utils.codegen import Inline

T = TypeVar("T")


class NoDefault:
    """The type of `NO_DEFAULT`."""

    def __repr__(self) -> str:
        return "NO_DEFAULT"

    def __bool__(self) -> Literal[False]:
        return False

    def __reduce__(self) -> str:
        # A copy or an unpickled one is the same object.
        return "NO_DEFAULT"


#: There is no default. None would not do: it can be a default.
NO_DEFAULT = NoDefault()

#: Types of immutable values, which instances may share.
IMMUTABLE = (
    type(None),
    str,
    bytes,
    int,
    float,
    decimal.Decimal,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    enum.Enum,
)


#: What a field has in common with the one that it is `stored_as`.
TRAITS = (
    *("family", "is_ordered", "is_text_like", "is_text", "is_number", "is_temporal", "supports_arithmetic"),
    *("arithmetic_rank", "is_pageable", "is_hashable"),
)
#: The classes of fields that are stored as others, by their `exact_type` and by their own module and name: for a value
#: of this type in an expression.
FIELD_CLASSES: dict[type, dict[tuple[str, str], type[Field[Any]]]] = {}
_numbers = count(1)


class ConversionError(ValueError):
    """Raised by `Field.convert` with the reason; the message does not show the value."""


class Field(Generic[T]):
    """A field of a model, of the Python type `T`.

    On the class it is an expression (`Note.views`), on an instance the value (`note.views`).

    A subclass with `stored_as=` converts its values to those of another field, and back:

        class ColourField(orm.Field[Colour], stored_as=orm.String(max_length=7)):
            def convert(self, value): ...
            def to_database(self, value): ...

    Args:
        default: A value, or a callable without arguments. A mutable value is copied for each instance.
        server_default: An expression such as `Now()`, or SQL, as `sqlalchemy.text()`; a string is the text of a value.
        choices: Django's pairs or mapping, plain values, an enum class, whose values are stored, or a function that
            returns these.
        column: The column's name, if it differs from the field's.
        validators: Functions that are called with a value that is valid otherwise, and not empty. They refuse it by
            raising `orm.ValidationError(text=..., code=...)`, or a ValueError with the message.
        options: `title`, `description` and other options of the typesystem validator.

    Raises:
        FieldError: The options contradict each other.
    """

    # Traits: lookups, orderings, cursors, expressions and functions ask for them.

    #: The family of SQL types that stores its values ("text", "integer", …): casts and functions choose SQL by it.
    family: str = ""
    #: Whether its values have an order: `gt`, `lte`, `range` apply.
    is_ordered: bool = False
    #: Whether `contains`, `startswith`, `regex` and the other text lookups apply, to the text of its values.
    is_text_like: bool = False
    #: Whether its values are stored as text.
    is_text: bool = False
    #: Whether its values are stored as numbers, which mix with other numbers.
    is_number: bool = False
    #: Whether its values are dates or times, from which a duration can be subtracted.
    is_temporal: bool = False
    #: Whether `+`, `-` and the other operators of arithmetic apply.
    supports_arithmetic: bool = False
    #: Which of two operands has the type of the result: the one with the higher rank.
    arithmetic_rank: int = 0
    #: Whether `page()` can be ordered by it.
    is_pageable: bool = True
    #: Whether drivers return its values as hashable objects.
    is_hashable: bool = True
    #: Whether the database numbers the rows if it is the only primary key.
    is_numbered: bool = False
    #: Whether the database numbers the rows if it is a part of a composite primary key.
    autoincrement: bool = False
    #: What `to_python` accepts, for its error message.
    accepts: ClassVar[str] = ""
    #: The message of an error about a row that does not meet `row_condition()`.
    row_message: ClassVar[str | None] = None
    #: The type whose values (but not those of its subclasses) `to_python` returns unchanged, if there is one.
    exact_type: ClassVar[type | None] = None

    _stored_as: ClassVar[tuple[Field[Any], ...]] = ()
    """The field of the option `stored_as`: in a tuple, because a field that is a class attribute is a descriptor."""

    name: str
    attname: str
    """The attribute that holds the column's value."""
    model: Any
    validator: typesystem.Field

    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    """What the constructor was called with, for the snapshots of migrations."""

    if not TYPE_CHECKING:

        def __new__(cls, *arguments, **options):
            field = super().__new__(cls)
            field.arguments = (arguments, options)
            return field

    def __init_subclass__(cls, *, stored_as: Field[Any] | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if stored_as is not None:
            cls._stored_as = (stored_as,)
            for trait in TRAITS:
                if trait not in cls.__dict__:
                    setattr(cls, trait, getattr(stored_as, trait))
            if cls.exact_type is not None:
                FIELD_CLASSES.setdefault(cls.exact_type, {})[cls.__module__, cls.__qualname__] = cls

    def __init__(
        self,
        *,
        primary_key: bool = False,
        allow_null: bool = False,
        default: Any = NO_DEFAULT,
        server_default: ServerDefault | None = None,
        index: bool = False,
        unique: bool = False,
        choices: Choices | None = None,
        column: str | None = None,
        comment: str | None = None,
        read_only: bool = False,
        validators: Iterable[ValidatorFunction] = (),
        retired: bool = False,
        **options: Any,
    ) -> None:
        for django_name, name in DJANGO_NAMES.items():
            if django_name in options:
                raise FieldError(f"{self._type_name} has no option {django_name!r}: its name here is {name}.")
        if primary_key and allow_null:
            raise FieldError("A primary key cannot be null: leave out allow_null=True.")
        value_type = type(self).exact_type
        if primary_key and self.storage_field is not None and value_type and value_type.__hash__ is None:
            raise FieldError(f"Rows are found by their primary key, and {value_type.__name__} has no __hash__.")
        self.name = self.attname = ""
        self.model = None
        self.primary_key = primary_key
        self.allow_null = allow_null
        self.server_default = server_default
        is_always = isinstance(server_default, sqlalchemy.Identity) and bool(server_default.always)
        #: Whether the database calculates the value: it is read, and never written.
        self.is_generated = isinstance(server_default, sqlalchemy.Computed) or is_always
        self.generated_by: Expression[Any] | Logical | None = None
        """The expression of a `Generated` field."""
        #: Whether only the column is left, which nothing reads or writes.
        self.retired = retired
        self.index = index
        self.unique = unique
        self.column = column
        self.comment = comment
        self.choices = read_choices(choices, self.convert, type(self).exact_type)
        if primary_key and default is None:
            default = NO_DEFAULT  # type checkers take `default=None` as: the constructor does not need the key
        if not (default is NO_DEFAULT or default is None or callable(default)):
            default = self._converted(default)
        self.default = default
        # The database or the default provides the key.
        generated = self.is_numbered or default is not NO_DEFAULT
        self.read_only = read_only or (primary_key and generated)
        self.validators = tuple(validators)
        try:
            validator = self._make_validator(**options)
        except TypeError as error:
            if (message := unknown_option(error, type(self))) is None:
                raise
            raise FieldError(message) from error
        self.validator = with_functions(validator, self.validators)

    def _make_validator(self, **options: Any) -> typesystem.Field:
        options.update(allow_null=self.allow_null, read_only=self.read_only)
        if self.default is not NO_DEFAULT:
            shared = callable(self.default) or isinstance(self.default, IMMUTABLE)
            options["default"] = self.default if shared else self.get_default
        validator = self.build_validator(**options)
        if self.choices is not None:
            return ChoiceValidator(validator, self.choices, **options)
        return validator

    def build_validator(self, **options: Any) -> typesystem.Field:
        """Return the typesystem validator with these options."""
        return ConvertingValidator(self, **options)

    @property
    def storage_field(self) -> Field[Any] | None:
        """The field that the values are stored as (`stored_as`), if it is another one."""
        return self._stored_as[0] if self._stored_as else None

    def to_database(self, value: Any) -> Any:
        """A value (not None) as the one that `stored_as` stores."""
        return value

    def from_database(self, value: Any) -> Any:
        """The value of what `stored_as` read (not None)."""
        return self.convert(value)

    def check_storable(self, value: Any) -> None:
        """Raise `typesystem.ValidationError` for a value (not None) that the validator of `stored_as` refuses."""
        storage = self.storage_field
        if storage is not None:
            storage.validator.validate(self.to_database(value))

    def database_reader(self) -> Callable[[Any], Any]:
        """`from_database` as a function that raises `DataError` for what it rejects."""
        # The default would be one call more for each value.
        read = self.convert if type(self).from_database is Field.from_database else self.from_database

        def checked(stored: Any) -> Any:
            try:
                return read(stored)
            except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
                raise DataError(
                    f"{self._label} holds {with_article(type(stored).__name__)} that is no value of "
                    f"{type(self).__name__}."
                ) from error

        return checked

    @cached_property
    def conversion(self) -> str:
        """A text that no other field has: it tells types apart that convert in other ways."""
        return f"{type(self).__name__} {next(_numbers)}"

    def column_type(self) -> TypeEngine[Any]:
        """The SQLAlchemy type of the column."""
        storage = self.storage_field
        if storage is None:
            raise NotImplementedError(f"{type(self).__name__} has neither stored_as= nor a column_type().")
        return Converted(storage.column_type(), self)

    def comparison_type(self) -> TypeEngine[Any]:
        """The SQLAlchemy type of a value that is compared with the column: without the column's limits."""
        column_type = self.column_type()
        return column_type.comparison_type if isinstance(column_type, ORMType) else column_type

    def result_type(self) -> TypeEngine[Any]:
        """The SQLAlchemy type that reads a computed value of this field."""
        storage = self.storage_field
        return self.comparison_type() if storage is None else Converted(storage.result_type(), self)

    @property
    def underlying_field(self) -> Field[Any]:
        """The field itself; of a relation, the field that its key refers to."""
        return self

    @property
    def sql_family(self) -> str:
        """The `family`; of a datetime "aware" or "naive", which functions and casts tell apart."""
        storage = self.storage_field
        return self.family if storage is None else storage.sql_family

    def fast_check(self) -> Inline | None:
        """A condition for generated code, true only of values that the validator would return unchanged.

        None if no cheap condition exists; then the validator is always called.
        """
        if self.exact_type is None or type(self.validator) is not ConvertingValidator:
            return None
        storage = self.storage_field
        if storage is None:
            return Inline("type({v}) is {exact_type}", exact_type=self.exact_type)
        stored = None if storage.validators else storage.fast_check()
        return stored and Inline(
            "type({v}) is {exact_type} and {check}({to_database}({v}))",
            exact_type=self.exact_type,
            check=stored.call,
            to_database=self.to_database,
        )

    def row_condition(self) -> Logical | None:
        """A condition that each row meets, which the table has as a CHECK constraint; None for none."""
        return None

    def convert(self, value: Any) -> Any:
        """Convert `value` (not None) to the field's Python type.

        Raises TypeError, ValueError, ArithmeticError or `typesystem.ValidationError` if that is impossible.
        """
        return value

    def to_python(self, value: Any) -> Any:
        """Convert a filter's value to the field's Python type: `"5"` to 5 for an Integer.

        Values are converted, not validated: nothing is trimmed and no length is checked.
        Raises `FieldError` for a value that cannot be converted; the message does not show the value.
        """
        if value is None or type(value) is self.exact_type:
            return value
        converted = self._converted(value)
        if converted is None and self.storage_field is not None:
            raise FieldError(f"{self._label}: convert() made the value None, and nothing equals NULL: use isnull=True.")
        return converted

    def _converted(self, value: Any) -> Any:
        try:
            return self.convert(value)
        except ConversionError as error:
            reason = f": {error}"
        except (TypeError, ValueError, ArithmeticError, typesystem.ValidationError):
            reason = "."
        raise FieldError(
            f"{self._label} takes {self.accepts}; the {type(value).__name__} given cannot be converted{reason}"
        )

    @property
    def _label(self) -> str:
        return f"{self.model.__name__}.{self.name}" if self.model else self._type_name

    @property
    def _type_name(self) -> str:
        cls = type(self)
        return f"orm.{cls.__name__}" if cls.__module__.startswith("orm.") else cls.__name__

    def to_json(self, value: Any) -> Any:
        """A value (not None) as JSON can hold it, for `as_dicts()` and the cursors of `page()`."""
        storage = self.storage_field
        return value if storage is None else storage.to_json(self.to_database(value))

    def from_json(self, value: Any) -> Any:
        """The value that `to_json` converted. Raises `FieldError` or ValueError for anything else."""
        storage = self.storage_field
        return self.to_python(value) if storage is None else self.from_database(storage.from_json(value))

    @property
    def is_json(self) -> bool:
        """Whether JSON can hold the values as they are: `to_json` returns its argument."""
        return self.storage_field is None and type(self).to_json is Field.to_json

    def to_text(self, value: Any) -> str:
        """A value as the text that the text lookups compare."""
        return str(value) if self.storage_field is None else str(self.to_database(self.to_python(value)))

    # Binding to a model

    def bind(self, model: Any, name: str) -> None:
        """Make this the field `name` of `model`."""
        self.model = model
        self.name = self.attname = name

    def in_composite_key(self) -> None:
        """Make this a part of a composite key. Without `autoincrement` the database does not number it."""
        if self.default is NO_DEFAULT and not self.autoincrement:
            self.read_only = False
            self.validator = copy.copy(self.validator)
            self.validator.read_only = False

    def __copy__(self) -> Any:
        """An unbound copy. A model has copies of the fields of the abstract models that it inherits from."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied.name = copied.attname = ""
        copied.model = None
        return copied

    def __repr__(self) -> str:
        label = f" {self.model.__name__}.{self.name}" if self.model else ""
        return f"<{type(self).__name__}{label}>"

    @property
    def column_name(self) -> str:
        """The column's name in the database."""
        return self.column or self.name

    @property
    def max_length(self) -> int | None:
        """The maximum number of characters or bytes that the validator accepts, if there is one."""
        length: int | None = getattr(self.validator, "max_length", None)
        return length

    def descriptors(self) -> dict[str, Any]:
        """The descriptors that the metaclass sets on the class, by attribute."""
        return {self.name: self}

    def expression(self, model: Any, via: tuple[str, ...] = ()) -> FieldExpression[Any]:
        """The field as an expression on `model`, reached through the relations in `via`."""
        return FieldExpression(model, self.name, via)

    # Called where the instance has no value: see `ModelInfo.fallback_descriptors`.

    @overload
    def __get__(self, instance: None, owner: type) -> Expression[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: Any, owner: type) -> Expression[T] | T:
        if instance is None:
            return self.expression(owner)
        raise instance._missing_attribute(self)

    if TYPE_CHECKING:

        def __set__(self, instance: object, value: T) -> None: ...

    # Defaults

    def has_default(self) -> bool:
        """Whether Python, not the database, supplies a missing value."""
        if self.default is not NO_DEFAULT:
            return True
        return self.server_default is None and self.validator.has_default()

    def get_default(self) -> Any:
        """The value of a field that a new row does not set. A mutable value is a new object each time."""
        if self.default is NO_DEFAULT:
            return self.validator.get_default_value()
        if callable(self.default):
            return self.default()
        return copy.deepcopy(self.default)

    def sets_on_save(self, *, creating: bool) -> bool:
        """Whether `pre_save` may replace the value when the instance is saved."""
        return type(self).pre_save is not Field.pre_save

    def pre_save(self, creating: bool) -> Any:
        """The value that saving sets, whatever the instance has (`auto_now`); `NO_DEFAULT` for none."""
        return NO_DEFAULT

    # The column

    def make_column(self) -> sqlalchemy.Column[Any]:
        """The SQLAlchemy column of the field."""
        is_numbered = self.is_numbered and self.default is NO_DEFAULT
        default = self.server_default
        generated = copy.copy(default) if isinstance(default, (sqlalchemy.Computed, sqlalchemy.Identity)) else None
        if isinstance(generated, sqlalchemy.Computed) and generated.persisted is None:
            generated.persisted = True  # Not every server calculates columns when they are read.
        return sqlalchemy.Column(
            self.column_name,
            self.column_type(),
            *([] if generated is None else [generated]),
            primary_key=self.primary_key,
            # A generated column takes no constraint on MariaDB.
            nullable=(self.allow_null or isinstance(generated, sqlalchemy.Computed)) and not self.primary_key,
            index=self.index or None,
            unique=self.unique or None,
            server_default=stored_default(self) if generated is None else None,
            comment=self.comment,
            # Set for keys only, because migrations render it.
            autoincrement=self.autoincrement or ("auto" if is_numbered or not self.primary_key else False),
        )

    def not_writable(self) -> QueryError:
        """The error for writing a generated column."""
        return QueryError(f"{self._label} is calculated by the database, and cannot be written.")
