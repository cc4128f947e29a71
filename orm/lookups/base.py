"""Lookups: how ``exact``, ``icontains``, ``in`` … become SQL for the fields that have them.

A lookup prepares its value when the queryset is created, and renders the condition once per query shape. Values for
which the condition is always or never true are recognized in advance, without SQL for the comparison.
"""

from __future__ import annotations

import decimal
import enum
import math
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.types import TypeEngine

from orm.database.sql import operators
from orm.database.sql.functions import SQLFunction
from orm.database.types import column_types
from orm.exceptions import FieldError, QueryError
from orm.lookups.transforms import check_families, check_name, names_for, registrations
from orm.relations import ForeignKey

if TYPE_CHECKING:
    from orm.fields import Field


class KnownResult(enum.Enum):
    """The result of a condition that is known from the lookup's value alone."""

    NEVER = "never"
    WHEN_NOT_NULL = "whenever the column is not NULL"


class Prepared(NamedTuple):
    """A prepared lookup value: the arguments to bind, and the part of the cache key that depends on the value."""

    values: tuple[Any, ...]
    variant: Hashable = None


Bind = Callable[[TypeEngine[Any]], ColumnElement[Any]]

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1


class Lookup:
    """A lookup. Subclass it and `register` the subclass to add one.

    `name` is what follows the two underscores. `families`, `requires` or `applies_to()` say which fields have the
    lookup.
    """

    name: ClassVar[str]
    families: ClassVar[frozenset[str] | None] = None
    """The families of fields (`Field.family`) that have the lookup; None where `requires` says which."""
    requires: ClassVar[Literal["is_ordered", "is_text_like"] | None] = None
    """The trait of the fields that have the lookup; None for all fields."""
    takes_expression: ClassVar[bool] = True
    """Whether its value may be an expression, such as another field."""
    matches_null: ClassVar[bool] = False
    """Whether it can be true of NULL, so that joins must keep rows without a match.

    A value whose `Prepared.variant` is False is known not to match NULL.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "kinds" in cls.__dict__:  # the earlier name of `families`
            cls.families = cls.__dict__["kinds"]

    def applies_to(self, field: Field[Any]) -> bool:
        """Whether a field has the lookup."""
        if self.families is not None:
            return field.family in self.families
        return self.requires is None or bool(getattr(field, self.requires))

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare a value for `field`. Raises `FieldError` or `QueryError` for a value that makes no sense."""
        return Prepared((field.to_python(value),))

    def operand(self, field: Field[Any], variant: Hashable, bind: Bind) -> ColumnElement[Any]:
        """Bind the value: the operand of `render`."""
        return bind(field.comparison_type())

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition on `column`. `operand` is the bound value, or an expression."""
        raise NotImplementedError

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition on bound values. `bind` must be called once for each prepared value, in their order."""
        return self.render(column, self.operand(field, variant, bind), field)


def refuse_null(lookup: Lookup, field: Field[Any], value: Any) -> None:
    """Raise `QueryError` if the value is None, which the lookup could never match."""
    if value is None:
        raise QueryError(
            f"{label(field)}__{lookup.name}=None is never true; use {field.name}__isnull=True or leave it out."
        )


def label(field: Field[Any]) -> str:
    """The field's name for messages: ``Note.views``."""
    return f"{field.model.__name__}.{field.name}" if field.model is not None else "the expression"


class Exact(Lookup):
    """Equal to the value."""

    name = "exact"

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        converted = field.to_python(value)
        # A JSON document may be an integer of any size.
        if type(converted) is int and not MIN_INTEGER <= converted <= MAX_INTEGER and field.family != "json":
            return KnownResult.NEVER
        return Prepared((converted,))

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        if field.family == "json":
            return operators.JSONEqual(column, operand)
        return column == operand


class Compared(Lookup):
    """Base class of `gt`, `gte`, `lt` and `lte`."""

    requires = "is_ordered"
    above: ClassVar[bool]
    rounds_up: ClassVar[bool]

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        refuse_null(self, field, value)
        if field.family == "integer" and isinstance(value, (float, decimal.Decimal)) and _is_finite(value):
            # Round to an integer: n < 2.5 is n < 3, n > 2.5 is n > 2.
            value = math.ceil(value) if self.rounds_up else math.floor(value)
        converted = field.to_python(value)
        if type(converted) is int and not MIN_INTEGER <= converted <= MAX_INTEGER:
            return KnownResult.WHEN_NOT_NULL if (converted < 0) == self.above else KnownResult.NEVER
        return Prepared((converted,))

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        return self.compare(column, operand)

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        """Compare two expressions."""
        raise NotImplementedError


def _is_finite(value: float | decimal.Decimal) -> bool:
    # math.isfinite() raises for a signaling NaN.
    return value.is_finite() if isinstance(value, decimal.Decimal) else math.isfinite(value)


class GreaterThan(Compared):
    """Greater than the value."""

    name = "gt"
    above = True
    rounds_up = False

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left > right


class GreaterThanOrEqual(Compared):
    """Greater than the value or equal to it."""

    name = "gte"
    above = True
    rounds_up = True

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left >= right


class LessThan(Compared):
    """Less than the value."""

    name = "lt"
    above = False
    rounds_up = True

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left < right


class LessThanOrEqual(Compared):
    """Less than the value or equal to it."""

    name = "lte"
    above = False
    rounds_up = False

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left <= right


class Range(Lookup):
    """Between two values, or equal to one of them."""

    name = "range"
    requires = "is_ordered"
    takes_expression = False

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise QueryError(f"{label(field)}__range takes two values, (lowest, highest), got {type(value).__name__}.")
        for bound in value:
            refuse_null(self, field, bound)
        lower, upper = (field.to_python(bound) for bound in value)
        if type(lower) is int and type(upper) is int:
            if lower > MAX_INTEGER or upper < MIN_INTEGER:
                return KnownResult.NEVER
            lower, upper = max(lower, MIN_INTEGER), min(upper, MAX_INTEGER)
        return Prepared((lower, upper))

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        lower, upper = bind(field.comparison_type()), bind(field.comparison_type())
        return column.between(lower, upper)


class In(Lookup):
    """Equal to one of several values."""

    name = "in"
    takes_expression = False

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise QueryError(f"{label(field)}__in takes a list of values or a queryset, got {type(value).__name__}.")
        items = tuple(value)
        exact_type = field.exact_type
        if exact_type is None or set(map(type, items)) != {exact_type}:
            items = tuple([field.to_python(item) for item in items if item is not None])
        elif exact_type is not int or (min(items) >= MIN_INTEGER and max(items) <= MAX_INTEGER):
            return Prepared((items,))
        if field.family != "json":
            items = tuple([item for item in items if type(item) is not int or MIN_INTEGER <= item <= MAX_INTEGER])
        return Prepared((items,)) if items else KnownResult.NEVER

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        return operators.InList(column, bind(operators.ListOf(field.comparison_type())))


class InArrays(In):
    """Equal to one of several arrays, each of which is bound by itself: `ANY` would compare with their items."""

    families = frozenset({"array"})

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        prepared = super().prepare(field, value)
        if isinstance(prepared, KnownResult):
            return prepared
        (arrays,) = prepared.values
        return Prepared(arrays, variant=len(arrays))

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        assert isinstance(variant, int)
        return sqlalchemy.or_(*(column == bind(field.comparison_type()) for _ in range(variant)))


class IsNull(Lookup):
    """NULL (True), or not NULL (False)."""

    name = "isnull"
    takes_expression = False
    matches_null = True

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        if not isinstance(value, bool):
            raise QueryError(f"{label(field)}__isnull takes True or False, got {type(value).__name__}.")
        return Prepared((), variant=value)

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        return column.is_(None) if variant else column.is_not(None)


class TextLookup(Lookup):
    """A comparison of a value's text: `contains`, `startswith`, `regex` and the like.

    Values that are not text are compared by their text, JSON values by the text in the document.
    """

    requires = "is_text_like"
    operator: ClassVar[operators.TextOperator]
    ignore_case: ClassVar[bool] = False

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        refuse_null(self, field, value)
        text = value if isinstance(value, str) else field.to_text(value)
        beyond_ascii = self.ignore_case and not text.isascii()
        return Prepared((text,), variant=beyond_ascii)

    def pattern_type(self) -> TypeEngine[Any]:
        """The bind type of the value, which makes a pattern of it."""
        return operators.TextPattern(self.operator, self.ignore_case)

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        pattern = bind(self.pattern_type())
        return operators.TextMatch(
            text_of(field, column), pattern, self.operator, ignore_case=self.ignore_case, beyond_ascii=bool(variant)
        )

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        text = text_of(field, column)
        if self.ignore_case:
            text, operand = SQLFunction("lower", text), SQLFunction("lower", operand)
        # The operand's value is not a pattern: its wildcards have no meaning.
        if self.operator == "contains":
            return SQLFunction("strindex", text, operand) > 0
        if self.operator == "startswith":
            return SQLFunction("left", text, SQLFunction("length", operand)) == operand
        if self.operator == "endswith":
            return SQLFunction("right", text, SQLFunction("length", operand)) == operand
        return text == operand


def text_of(field: Field[Any], column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The text of the column's values."""
    if field.family == "json":
        return SQLFunction("json_text", column)
    return column if field.family == "text" else sqlalchemy.cast(column, sqlalchemy.Text())


class RegexLookup(TextLookup):
    """Matches a regular expression."""

    name = "regex"
    operator = "regex"
    takes_expression = False

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        if not isinstance(value, str):
            raise QueryError(
                f"{label(field)}__{self.name} takes a regular expression as str, got {type(value).__name__}."
            )
        return Prepared((value,))

    def pattern_type(self) -> TypeEngine[Any]:
        return column_types.Text()


class IRegexLookup(RegexLookup):
    """Matches a regular expression, case-insensitively."""

    name = "iregex"
    ignore_case = True


class ContainsLookup(TextLookup):
    """Contains the text."""

    name = "contains"
    operator = "contains"


class IContainsLookup(ContainsLookup):
    """Contains the text, case-insensitively."""

    name = "icontains"
    ignore_case = True


class StartsWithLookup(TextLookup):
    """Starts with the text."""

    name = "startswith"
    operator = "startswith"


class IStartsWithLookup(StartsWithLookup):
    """Starts with the text, case-insensitively."""

    name = "istartswith"
    ignore_case = True


class EndsWithLookup(TextLookup):
    """Ends with the text."""

    name = "endswith"
    operator = "endswith"


class IEndsWithLookup(EndsWithLookup):
    """Ends with the text, case-insensitively."""

    name = "iendswith"
    ignore_case = True


class IExactLookup(TextLookup):
    """Equal to the text, case-insensitively."""

    name = "iexact"
    operator = "exact"
    ignore_case = True


lookups: dict[str, list[Lookup]] = {}
"""The registered lookups by name. A field has the first of a name that applies to it."""


def register(lookup: type[Lookup]) -> type[Lookup]:
    """Register a lookup under its name. Can be used as a class decorator.

        @orm.lookups.register
        class NotEqual(orm.lookups.Lookup):
            name = "ne"
            matches_null = True

            def render(self, column, operand, field):
                return column.is_distinct_from(operand)

        await Note.objects.filter(views__ne=3)

    It replaces earlier lookups of its name for the fields that it applies to. A lookup for some fields takes precedence
    over one for all fields, in whatever order they are registered.

    Raises:
        FieldError: It is no subclass of `Lookup`, or its name, `families` or `requires` make no sense.
    """
    if not isinstance(lookup, type) or not issubclass(lookup, Lookup):
        raise FieldError(f"A lookup is a subclass of orm.lookups.Lookup, got {lookup!r}.")
    name = getattr(lookup, "name", None)
    check_name(name, f"a lookup, as which {lookup.__name__} has it")
    if lookup.families is not None:
        families: Any = lookup.families
        if isinstance(families, str) or not isinstance(families, Collection) or not families:
            raise FieldError(f"The lookup {name!r}: families is a set such as frozenset({{'text'}}), got {families!r}.")
        check_families(families, f"The lookup {name!r}")
    if lookup.requires not in (None, "is_ordered", "is_text_like"):
        raise FieldError(f"The lookup {name!r}: requires is 'is_ordered' or 'is_text_like', got {lookup.requires!r}.")
    same_name = lookups.setdefault(lookup.name, [])
    position = 0 if _is_for_some(lookup) else sum(_is_for_some(type(other)) for other in same_name)
    same_name.insert(position, lookup())
    registrations.count += 1
    return lookup


def _is_for_some(lookup: type[Lookup]) -> bool:
    return bool(lookup.families or lookup.requires) or lookup.applies_to is not Lookup.applies_to


def find_lookup(field: Field[Any], name: str) -> Lookup | None:
    """The field's lookup of this name; None if it has none."""
    return next((lookup for lookup in lookups.get(name, ()) if lookup.applies_to(field)), None)


for _lookup in (
    *(Exact, IExactLookup, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual, Range, In, InArrays, IsNull),
    *(ContainsLookup, IContainsLookup, StartsWithLookup, IStartsWithLookup, EndsWithLookup, IEndsWithLookup),
    *(RegexLookup, IRegexLookup),
):
    register(_lookup)


def lookup_for(field: Field[Any], name: str) -> Lookup:
    """The field's lookup of this name. Raises `FieldError` if it has none."""
    lookup = find_lookup(field, name)
    if name not in lookups and isinstance(field, ForeignKey):
        raise field.target._meta.unknown(name.split("__")[0], f"part of a lookup over {label(field)}", lookups)
    if lookup is None:
        names = [*sorted(name for name in lookups if find_lookup(field, name)), *names_for(field)]
        raise FieldError(
            f"{label(field)} is a {type(field).__name__}, which has no lookup {name!r}. "
            f"Its lookups are: {', '.join(names)}."
        )
    return lookup
