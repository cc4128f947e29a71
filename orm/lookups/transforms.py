"""Transforms: functions applied to a field within a name, such as the year in ``created__year__gt=2020``.

Register a function to use it in names, after fields of the given families:

    @orm.transforms.register("length", "text")
    class Length(orm.Func[int]):
        function = "LENGTH"

        def result(self, *fields):
            return orm.Integer()

    await Note.objects.filter(text__length__gt=10).order_by("text__length")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from orm.exceptions import FieldError
from orm.expressions.base import F
from orm.fields import Field
from orm.functions import dates
from orm.functions.base import Func

FuncType = TypeVar("FuncType", bound="type[Func[Any]]")

transforms: dict[tuple[str, str], type[Func[Any]]] = {}
"""The registered transforms by family and name."""


def register(name: str, *families: str) -> Callable[[FuncType], FuncType]:
    """A class decorator: ``__name`` after a field of these families (`Field.family`) applies the function to it.

    The function is created with one argument. Raises `FieldError` for a name that cannot be part of a lookup.
    """
    if not name.isidentifier() or "__" in name or name.startswith("_") or name.endswith("_") or not families:
        raise FieldError(f"{name!r} cannot be a transform's name, which is one word; and it needs a family of fields.")

    def add(function: FuncType) -> FuncType:
        for family in families:
            transforms[family, name] = function
        return function

    return add


def transform_for(field: Field[Any], name: str) -> Func[Any] | None:
    """The field's transform of this name, applied to it; None if it has none."""
    transform = transforms.get((field.family, name))
    return None if transform is None else transform(F(field.name))


def names_for(field: Field[Any]) -> Iterable[str]:
    """The names of the field's transforms."""
    return sorted(name for family, name in transforms if family == field.family)


_part: type[dates.Extract]
for _part in (
    *(dates.ExtractYear, dates.ExtractIsoYear, dates.ExtractQuarter, dates.ExtractMonth, dates.ExtractWeek),
    *(dates.ExtractDay, dates.ExtractWeekDay, dates.ExtractIsoWeekDay),
):
    assert _part.lookup_name is not None
    register(_part.lookup_name, "date", "datetime")(_part)
for _part in (dates.ExtractHour, dates.ExtractMinute, dates.ExtractSecond):
    assert _part.lookup_name is not None
    register(_part.lookup_name, "time", "datetime")(_part)
register("date", "datetime")(dates.TruncDate)
register("time", "datetime")(dates.TruncTime)
