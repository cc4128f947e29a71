"""Ranges: the values between two bounds (PostgreSQL)."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar, overload

import typesystem
from sqlalchemy.types import TypeEngine
from typing_extensions import Unpack

from orm.database.types import column_types
from orm.exceptions import FieldError
from orm.fields.base import ConversionError, Field
from orm.fields.numbers import BigInteger, Decimal, Integer
from orm.fields.options import FieldOptions
from orm.fields.temporal import Date, DateTime
from orm.fields.validators import ConvertingValidator
from orm.utils.codegen import Inline
from orm.utils.ranges import Range

T = TypeVar("T")
DIGITS = "orm.DecimalRange: max_digits and decimal_places are the digits of its bounds: give both, or none."


class ReversedBoundsError(typesystem.ValidationError, ConversionError):
    """Raised by `RangeField.convert`: the lower bound is above the upper one."""


class RangeField(Field[T]):
    """Base class of the fields of ranges, whose values are of `orm.Range`.

    A pair ``(lower, upper)`` and a mapping with the keys ``lower``, ``upper`` and ``bounds`` are accepted as well.
    PostgreSQL returns ranges of integers and dates with the bounds ``[)``, so that equal ranges have one form. On other
    databases creating the table raises `orm.NotSupportedError`.
    """

    family = "range"
    is_ordered = True
    is_pageable = False
    accepts = "ranges, pairs of their bounds, and mappings with 'lower', 'upper' and 'bounds'"
    #: The name of the type in PostgreSQL.
    range_type: ClassVar[str] = ""
    base_field: Field[Any]
    """The field of the bounds."""

    def build_validator(self, **options: Any) -> typesystem.Field:
        return ConvertingValidator(self, **options)

    def column_type(self) -> TypeEngine[Any]:
        item = self.base_field.column_type()
        assert isinstance(item, column_types.ORMType)
        return column_types.Range(self.range_type, item)

    def fast_check(self) -> Inline | None:
        return None

    def convert(self, value: Any) -> Range[Any]:
        bounds: Any
        if isinstance(value, Mapping):
            unknown = set(value) - {"lower", "upper", "bounds", "empty"}
            if unknown:
                raise ConversionError(f"it has the keys {', '.join(sorted(map(str, unknown)))}.")
            pair, bounds = (value.get("lower"), value.get("upper")), value.get("bounds") or "[)"
            empty = bool(value.get("empty"))
        elif isinstance(value, (tuple, list)) and len(value) == 2:
            pair, bounds, empty = (value[0], value[1]), "[)", False
        elif isinstance(value, Range):
            pair, bounds, empty = (value.lower, value.upper), value.bounds, value.isempty and value.lower is None
        else:
            raise TypeError
        lower, upper = (None if bound is None else self.bound(bound) for bound in pair)
        if lower is not None and upper is not None and lower > upper:
            raise ReversedBoundsError(text="The lower bound must not be above the upper one.", code="bounds")
        return Range(lower, upper, bounds, empty=empty)

    def bound(self, value: Any) -> Any:
        """A bound, validated by the field of the bounds."""
        return self.base_field.validator.validate(value)

    def to_json(self, value: Any) -> dict[str, Any]:
        """The bounds, or ``{"empty": true}``."""
        if value.isempty:
            return {"empty": True}
        to_json = self.base_field.to_json
        lower, upper = (None if bound is None else to_json(bound) for bound in (value.lower, value.upper))
        return {"lower": lower, "upper": upper, "bounds": value.bounds}

    @property
    def is_json(self) -> bool:
        """False: a range is no value of JSON."""
        return False


class IntegerRange(RangeField[T]):
    """A range of 32-bit integers: ``int4range``."""

    range_type = "int4range"

    @overload
    def __init__(
        self: IntegerRange[Range[int]], *, allow_null: Literal[False] = ..., **options: Unpack[FieldOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: IntegerRange[Range[int] | None], *, allow_null: Literal[True], **options: Unpack[FieldOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        self.base_field = Integer()
        super().__init__(**options)


class BigIntegerRange(RangeField[T]):
    """A range of 64-bit integers: ``int8range``."""

    range_type = "int8range"

    @overload
    def __init__(
        self: BigIntegerRange[Range[int]], *, allow_null: Literal[False] = ..., **options: Unpack[FieldOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: BigIntegerRange[Range[int] | None], *, allow_null: Literal[True], **options: Unpack[FieldOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        self.base_field = BigInteger()
        super().__init__(**options)


class DecimalRange(RangeField[T]):
    """A range of decimals: ``numrange``. `max_digits` and `decimal_places` limit the bounds in Python."""

    range_type = "numrange"

    @overload
    def __init__(
        self: DecimalRange[Range[decimal.Decimal]],
        max_digits: int | None = ...,
        decimal_places: int | None = ...,
        *,
        allow_null: Literal[False] = ...,
        **options: Unpack[FieldOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: DecimalRange[Range[decimal.Decimal] | None],
        max_digits: int | None = ...,
        decimal_places: int | None = ...,
        *,
        allow_null: Literal[True],
        **options: Unpack[FieldOptions],
    ) -> None: ...

    def __init__(self, max_digits: int | None = None, decimal_places: int | None = None, **options: Any) -> None:
        if (max_digits is None) is not (decimal_places is None):
            raise FieldError(DIGITS)
        self.base_field = Decimal(max_digits, decimal_places)
        super().__init__(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Range(self.range_type, column_types.Decimal())


class DateRange(RangeField[T]):
    """A range of days: ``daterange``."""

    range_type = "daterange"

    @overload
    def __init__(
        self: DateRange[Range[datetime.date]], *, allow_null: Literal[False] = ..., **options: Unpack[FieldOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: DateRange[Range[datetime.date] | None], *, allow_null: Literal[True], **options: Unpack[FieldOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        self.base_field = Date()
        super().__init__(**options)


class DateTimeRange(RangeField[T]):
    """A range of datetimes: ``tsrange``, or ``tstzrange`` with `timezone=True`, as for `DateTime`."""

    @overload
    def __init__(
        self: DateTimeRange[Range[datetime.datetime]],
        *,
        timezone: bool = ...,
        allow_null: Literal[False] = ...,
        **options: Unpack[FieldOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: DateTimeRange[Range[datetime.datetime] | None],
        *,
        timezone: bool = ...,
        allow_null: Literal[True],
        **options: Unpack[FieldOptions],
    ) -> None: ...

    def __init__(self, *, timezone: bool = False, **options: Any) -> None:
        self.base_field = DateTime(timezone=timezone)
        self.timezone = timezone
        super().__init__(**options)

    @property
    def range_type(self) -> str:  # type: ignore[override]
        """The name of the type in PostgreSQL."""
        return "tstzrange" if self.timezone else "tsrange"
