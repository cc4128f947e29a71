"""Numbers and booleans."""

from __future__ import annotations

import decimal
from typing import Any, Literal, TypeVar, overload

import typesystem
from sqlalchemy.types import TypeEngine
from typing_extensions import Unpack

from orm.database.storage import fits_source, to_decimal
from orm.database.types import column_types
from orm.exceptions import FieldError
from orm.expressions.base import Logical, Q
from orm.fields.base import ConversionError, Field
from orm.fields.options import CoercedOptions, IntegerOptions, NumberOptions
from orm.fields.validators import BooleanValidator, DecimalValidator, FloatValidator, IntegerValidator
from orm.utils.codegen import Inline

T = TypeVar("T")
NEEDS_DIGITS = "orm.Decimal needs max_digits and decimal_places, such as orm.Decimal(max_digits=10, decimal_places=2)."
TRUE = frozenset({"true", "t", "1", "on", "yes"})
FALSE = frozenset({"false", "f", "0", "off", "no"})


class NumberField(Field[T]):
    """Base class of numbers: bounds."""

    is_ordered = is_text_like = is_number = supports_arithmetic = True

    def result_type(self) -> TypeEngine[Any]:
        return column_types.ComputedResult(self.family)

    def _within_bounds(self, source: str, **names: Any) -> Inline | None:
        """`fast_check` for numbers: `source` tests the type; the bounds are added."""
        validator: Any = self.validator
        if validator.multiple_of is not None or validator.precision is not None:
            return None
        comparisons = {"minimum": ">=", "exclusive_minimum": ">", "maximum": "<=", "exclusive_maximum": "<"}
        for option, operator in comparisons.items():
            bound = getattr(validator, option)
            if bound is not None:
                source += f" and {{v}} {operator} {{{option}}}"
                names[option] = bound
        return Inline(source, **names)


class Integer(NumberField[T]):
    """A 32-bit integer. The database numbers it if it is the only primary key.

    With `autoincrement=True` on a part of a composite key, the database numbers that part, with one sequence for the
    whole table.

    The options `minimum`, `maximum`, `exclusive_minimum`, `exclusive_maximum` and `multiple_of` limit it.
    """

    family = "integer"
    is_numbered = True
    accepts = "whole numbers"
    exact_type = int

    @overload
    def __init__(
        self: Integer[int], *, allow_null: Literal[False] = ..., **options: Unpack[IntegerOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: Integer[int | None], *, allow_null: Literal[True], **options: Unpack[IntegerOptions]
    ) -> None: ...

    def __init__(self, *, autoincrement: bool = False, **options: Any) -> None:
        Field.__init__(self, **options)
        self.autoincrement = autoincrement

    def build_validator(self, **options: Any) -> typesystem.Field:
        return IntegerValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Integer(self.primary_key)

    def fast_check(self) -> Inline | None:
        return self._within_bounds("type({v}) is int")

    def convert(self, value: Any) -> int:
        number = int(value)
        if isinstance(value, (float, decimal.Decimal)) and number != value:
            raise ConversionError("it has a fraction.")
        return number


class SmallInteger(Integer[T]):
    """A 16-bit integer."""

    @overload
    def __init__(
        self: SmallInteger[int], *, allow_null: Literal[False] = ..., **options: Unpack[IntegerOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: SmallInteger[int | None], *, allow_null: Literal[True], **options: Unpack[IntegerOptions]
    ) -> None: ...

    def __init__(self, *, autoincrement: bool = False, **options: Any) -> None:
        Field.__init__(self, **options)
        self.autoincrement = autoincrement

    def column_type(self) -> TypeEngine[Any]:
        return column_types.SmallInteger(self.primary_key)


class BigInteger(Integer[T]):
    """A 64-bit integer."""

    @overload
    def __init__(
        self: BigInteger[int], *, allow_null: Literal[False] = ..., **options: Unpack[IntegerOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: BigInteger[int | None], *, allow_null: Literal[True], **options: Unpack[IntegerOptions]
    ) -> None: ...

    def __init__(self, *, autoincrement: bool = False, **options: Any) -> None:
        Field.__init__(self, **options)
        self.autoincrement = autoincrement

    def column_type(self) -> TypeEngine[Any]:
        return column_types.BigInteger(self.primary_key)


class _Positive(Integer[T]):
    """What the integers that are 0 or more have in common."""

    row_message = "Must be greater than or equal to 0."

    def __init__(self, *, autoincrement: bool = False, **options: Any) -> None:
        Field.__init__(self, **{"minimum": 0, **options})
        self.autoincrement = autoincrement

    def row_condition(self) -> Logical:
        """The value is 0 or more."""
        return Q(**{f"{self.name}__gte": 0})


class PositiveInteger(_Positive[T]):
    """A 32-bit integer that is 0 or more.

    Values are validated, and the table has a CHECK constraint. ``minimum=1`` raises the limit of the validation.
    """

    @overload
    def __init__(
        self: PositiveInteger[int], *, allow_null: Literal[False] = ..., **options: Unpack[IntegerOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: PositiveInteger[int | None], *, allow_null: Literal[True], **options: Unpack[IntegerOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)


class PositiveBigInteger(_Positive[T], BigInteger[T]):
    """A 64-bit integer that is 0 or more."""

    @overload
    def __init__(
        self: PositiveBigInteger[int], *, allow_null: Literal[False] = ..., **options: Unpack[IntegerOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: PositiveBigInteger[int | None], *, allow_null: Literal[True], **options: Unpack[IntegerOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)


class PositiveSmallInteger(_Positive[T], SmallInteger[T]):
    """A 16-bit integer that is 0 or more."""

    @overload
    def __init__(
        self: PositiveSmallInteger[int], *, allow_null: Literal[False] = ..., **options: Unpack[IntegerOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: PositiveSmallInteger[int | None], *, allow_null: Literal[True], **options: Unpack[IntegerOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)


class Float(NumberField[T]):
    """A finite float of double precision."""

    family = "float"
    arithmetic_rank = 2
    accepts = "numbers"
    exact_type = float

    @overload
    def __init__(self: Float[float], *, allow_null: Literal[False] = ..., **options: Unpack[NumberOptions]) -> None: ...

    @overload
    def __init__(self: Float[float | None], *, allow_null: Literal[True], **options: Unpack[NumberOptions]) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return FloatValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Float()

    def fast_check(self) -> Inline | None:
        return self._within_bounds("type({v}) is float and {v} - {v} == 0.0")  # no NaN, no infinity

    def convert(self, value: Any) -> float:
        return float(value)


class Decimal(NumberField[T]):
    """A decimal.Decimal of at most `max_digits` digits, `decimal_places` of them after the point.

    Values with more digits are rejected, never rounded. A column needs both options; as the type of an expression,
    which may have any number of digits, the field can do without them.
    """

    family = "decimal"
    arithmetic_rank = 1
    accepts = "decimals, whole numbers and their text"

    @overload
    def __init__(
        self: Decimal[decimal.Decimal],
        max_digits: int | None = ...,
        decimal_places: int | None = ...,
        *,
        allow_null: Literal[False] = ...,
        **options: Unpack[NumberOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: Decimal[decimal.Decimal | None],
        max_digits: int | None = ...,
        decimal_places: int | None = ...,
        *,
        allow_null: Literal[True],
        **options: Unpack[NumberOptions],
    ) -> None: ...

    def __init__(self, max_digits: int | None = None, decimal_places: int | None = None, **options: Any) -> None:
        if max_digits is not None and decimal_places is not None:
            if not 0 <= decimal_places <= max_digits or max_digits < 1:
                raise FieldError("orm.Decimal needs max_digits >= 1 and 0 <= decimal_places <= max_digits.")
        elif max_digits is not decimal_places:
            raise FieldError(NEEDS_DIGITS)
        self.max_digits = max_digits
        self.decimal_places = decimal_places
        super().__init__(**options)

    def bind(self, model: Any, name: str) -> None:
        """Make this the field `name` of `model`. Raises `FieldError` if it has no `max_digits`."""
        if self.max_digits is None:
            raise FieldError(f"{model.__name__}.{name}: {NEEDS_DIGITS}")
        super().bind(model, name)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return DecimalValidator(max_digits=self.max_digits, decimal_places=self.decimal_places, **options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Decimal(self.max_digits, self.decimal_places)

    def fast_check(self) -> Inline | None:
        test, names = fits_source(self.max_digits, self.decimal_places)
        return self._within_bounds(f"type({{v}}) is {{Decimal}} and {test}", **names)

    def convert(self, value: Any) -> decimal.Decimal:
        number = to_decimal(value)
        if not number.is_finite():
            raise ConversionError("it is not finite.")
        return number

    def to_json(self, value: Any) -> str:
        return str(value)


class Boolean(Field[T]):
    """True or False."""

    family = "boolean"
    is_ordered = True
    accepts = "True and False, or text such as 'true' and '0'"
    exact_type = bool

    @overload
    def __init__(
        self: Boolean[bool], *, allow_null: Literal[False] = ..., **options: Unpack[CoercedOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: Boolean[bool | None], *, allow_null: Literal[True], **options: Unpack[CoercedOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return BooleanValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Boolean()

    def result_type(self) -> TypeEngine[Any]:
        return column_types.ComputedResult(self.family)

    def fast_check(self) -> Inline | None:
        return Inline("({v} is True or {v} is False)")

    def convert(self, value: Any) -> bool:
        if isinstance(value, (bool, int, float)) and value in (0, 1):
            return bool(value)
        if isinstance(value, str) and value.lower() in TRUE | FALSE:
            return value.lower() in TRUE
        raise TypeError
