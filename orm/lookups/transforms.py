"""Transforms: functions applied to a field within a name, such as the year in ``created__year__gt=2020``.

Register a function to use it in names, after fields of some families:

    @orm.transforms.register("length", "text")
    class Length(orm.Func[int]):
        function = "LENGTH"

        def result(self, *fields):
            return orm.Integer()

    await Note.objects.filter(text__length__gt=10).order_by("text__length")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from orm.exceptions import FieldError
from orm.expressions.base import F
from orm.fields import Field
from orm.functions import dates
from orm.functions.aggregates import Aggregate
from orm.functions.base import Func
from orm.functions.windows import WindowFunction

FuncType = TypeVar("FuncType", bound="type[Func[Any]]")

transforms: dict[tuple[str, str], type[Func[Any]]] = {}
"""The registered transforms by family and name."""


class Registrations:
    """Counts the registrations of lookups and transforms: caches of resolved names are cleared when it changes."""

    count: int = 0


registrations = Registrations()


def check_name(name: object, what: str) -> None:
    """Raise `FieldError` unless `name` can be a part of a lookup."""
    one_word = isinstance(name, str) and name.isidentifier() and "__" not in name
    if not isinstance(name, str) or not one_word or name.startswith("_") or name.endswith("_"):
        raise FieldError(f"{name!r} cannot be the name of {what}: it is one word, without two underscores in a row.")


def check_families(families: Iterable[object], what: str) -> None:
    """Raise `FieldError` unless each is the family of a field class."""
    known = {"integer enum", *_families(Field)}
    for family in families:
        if family not in known:
            raise FieldError(
                f"{what}: no field is of the family {family!r}. The families are: {', '.join(sorted(known))}."
            )


def _families(field_class: type[Field[Any]]) -> Iterator[str]:
    for subclass in field_class.__subclasses__():
        if isinstance(subclass.family, str) and subclass.family:
            yield subclass.family
        yield from _families(subclass)


def register(name: str, *families: str) -> Callable[[FuncType], FuncType]:
    """A class decorator: ``__name`` after a field of these families (`Field.family`) applies the function to it.

    The function is created with one argument, which must be its first; further ones are plain values. It replaces an
    earlier one of this name.

    Raises:
        FieldError: The name cannot be part of a lookup, there is no such family, or the class is no `Func`.
    """
    check_name(name, "a transform")
    if not families:
        raise FieldError(f"The transform {name!r} needs a family of fields, such as 'text'.")
    check_families(families, f"The transform {name!r}")

    def add(function: FuncType) -> FuncType:
        if not isinstance(function, type) or not issubclass(function, Func):
            raise FieldError(f"The transform {name!r} must be a subclass of orm.Func, got {function!r}.")
        if issubclass(function, (Aggregate, WindowFunction)):
            raise FieldError(f"The transform {name!r}: {function.__name__} is of several rows, not of one value.")
        for family in families:
            transforms[family, name] = function
        registrations.count += 1
        return function

    return add


def transform_for(field: Field[Any], name: str) -> Func[Any] | None:
    """The field's transform of this name, applied to it; None if it has none.

    Raises `FieldError` if the function does something else with its argument before.
    """
    transform = transforms.get((field.family, name))
    if transform is None:
        return None
    argument = F(field.name)
    function = transform(argument)
    if not function.arguments or function.arguments[0] is not argument:
        raise FieldError(
            f"The transform {name!r}, {transform.__name__}, must pass the argument that it is created with as its "
            "first argument; what else happens to it belongs in build()."
        )
    return function


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
