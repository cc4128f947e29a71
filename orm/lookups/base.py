"""Lookups: how ``exact``, ``icontains``, ``in`` … become SQL, per kind of field.

A lookup first prepares the value it was given (once, when the queryset is made) and later, once per query
shape, renders itself. What is always or never true of a value is known before the database is asked.
"""

from __future__ import annotations

import decimal
import enum
import math
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.types import TypeEngine

from orm.database.sql import operators
from orm.database.sql.functions import SQLFunction
from orm.database.types import column_types
from orm.exceptions import FieldError, QueryError
from orm.lookups.transforms import names_for
from orm.relations import ForeignKey

if TYPE_CHECKING:
    from orm.fields import Field


class KnownResult(enum.Enum):
    """What a lookup's value says without asking the database."""

    NEVER = "never"
    WHEN_NOT_NULL = "whenever there is a value"


class Prepared(NamedTuple):
    """A lookup's value, made ready: its share of the query's shape, and its arguments."""

    values: tuple[Any, ...]
    variant: Hashable = None


Bind = Callable[[TypeEngine[Any]], ColumnElement[Any]]

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1


class Lookup:
    """One lookup; subclass it and `register` it to add your own.

    `name` is what follows the two underscores. `families`, `requires` or `applies_to()` say which fields have the
    lookup.
    """

    name: ClassVar[str]
    families: ClassVar[frozenset[str] | None] = None
    """The families of fields (`Field.family`) that have the lookup; None where `requires` says which."""
    requires: ClassVar[Literal["is_ordered", "is_text_like"] | None] = None
    """The trait of the fields that have the lookup; None for all fields."""
    takes_expression: ClassVar[bool] = True
    """Whether its value may be an expression over the row, such as another field."""
    matches_null: ClassVar[bool] = False
    """Whether it can be true of NULL, so that a join must keep rows that have nothing to join."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "kinds" in cls.__dict__:  # the earlier name
            cls.families = cls.__dict__["kinds"]

    def applies_to(self, field: Field[Any]) -> bool:
        """Whether a field has the lookup."""
        if self.families is not None:
            return field.family in self.families
        return self.requires is None or bool(getattr(field, self.requires))

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """The value made ready for `field`. Raises `FieldError` or `QueryError` if it makes no sense."""
        return Prepared((field.to_python(value),))

    def operand(self, field: Field[Any], variant: Hashable, bind: Bind) -> ColumnElement[Any]:
        """The value's place in the statement."""
        return bind(field.comparison_type())

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition, for an operand that is a bound value or an expression."""
        raise NotImplementedError

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition on bound values; `bind` is called once for each prepared value, in their order."""
        return self.render(column, self.operand(field, variant, bind), field)


def refuse_null(lookup: Lookup, field: Field[Any], value: Any) -> None:
    """Raise `QueryError` for a None that the lookup cannot mean anything by."""
    if value is None:
        raise QueryError(
            f"{label(field)}__{lookup.name}=None is never true; use {field.name}__isnull=True or leave it out."
        )


def label(field: Field[Any]) -> str:
    """The field's name in messages: ``Note.views``."""
    return f"{field.model.__name__}.{field.name}" if field.model is not None else "the expression"


class Exact(Lookup):
    name = "exact"

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        converted = field.to_python(value)
        if type(converted) is int and not MIN_INTEGER <= converted <= MAX_INTEGER:
            return KnownResult.NEVER
        return Prepared((converted,))

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        if field.family == "json":
            return operators.JSONEqual(column, operand)
        return column == operand


class Compared(Lookup):
    """gt, gte, lt, lte."""

    requires = "is_ordered"
    above: ClassVar[bool]
    rounds_up: ClassVar[bool]

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        refuse_null(self, field, value)
        if field.family == "integer" and isinstance(value, (float, decimal.Decimal)) and _is_finite(value):
            # Between two whole numbers: n < 2.5 is n < 3, n > 2.5 is n > 2.
            value = math.ceil(value) if self.rounds_up else math.floor(value)
        converted = field.to_python(value)
        if type(converted) is int and not MIN_INTEGER <= converted <= MAX_INTEGER:
            return KnownResult.WHEN_NOT_NULL if (converted < 0) == self.above else KnownResult.NEVER
        return Prepared((converted,))

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        return self.compare(column, operand)

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        """The comparison itself."""
        raise NotImplementedError


def _is_finite(value: float | decimal.Decimal) -> bool:
    # math.isfinite() raises of a signaling NaN.
    return value.is_finite() if isinstance(value, decimal.Decimal) else math.isfinite(value)


class GreaterThan(Compared):
    name = "gt"
    above = True
    rounds_up = False

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left > right


class GreaterThanOrEqual(Compared):
    name = "gte"
    above = True
    rounds_up = True

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left >= right


class LessThan(Compared):
    name = "lt"
    above = False
    rounds_up = True

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left < right


class LessThanOrEqual(Compared):
    name = "lte"
    above = False
    rounds_up = False

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left <= right


class Range(Lookup):
    name = "range"
    requires = "is_ordered"
    takes_expression = False

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise QueryError(f"{label(field)}__range takes two values, (lowest, highest), got {type(value).__name__}.")
        for bound in value:
            refuse_null(self, field, bound)
        low, high = (field.to_python(bound) for bound in value)
        if type(low) is int and type(high) is int:
            if low > MAX_INTEGER or high < MIN_INTEGER:
                return KnownResult.NEVER
            low, high = max(low, MIN_INTEGER), min(high, MAX_INTEGER)
        return Prepared((low, high))

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        low, high = bind(field.comparison_type()), bind(field.comparison_type())
        return column.between(low, high)


class In(Lookup):
    name = "in"
    takes_expression = False

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise QueryError(f"{label(field)}__in takes a list of values or a queryset, got {type(value).__name__}.")
        items = tuple(value)
        plain = field.exact_type
        if plain is None or set(map(type, items)) != {plain}:
            items = tuple([field.to_python(item) for item in items if item is not None])
        elif plain is not int or (min(items) >= MIN_INTEGER and max(items) <= MAX_INTEGER):
            return Prepared((items,))
        items = tuple([item for item in items if type(item) is not int or MIN_INTEGER <= item <= MAX_INTEGER])
        return Prepared((items,)) if items else KnownResult.NEVER

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        return operators.InList(column, bind(operators.ListOf(field.comparison_type())))


class IsNull(Lookup):
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
    name = "iregex"
    ignore_case = True


class ContainsLookup(TextLookup):
    name = "contains"
    operator = "contains"


class IContainsLookup(ContainsLookup):
    name = "icontains"
    ignore_case = True


class StartsWithLookup(TextLookup):
    name = "startswith"
    operator = "startswith"


class IStartsWithLookup(StartsWithLookup):
    name = "istartswith"
    ignore_case = True


class EndsWithLookup(TextLookup):
    name = "endswith"
    operator = "endswith"


class IEndsWithLookup(EndsWithLookup):
    name = "iendswith"
    ignore_case = True


class IExactLookup(TextLookup):
    name = "iexact"
    operator = "exact"
    ignore_case = True


lookups: dict[str, list[Lookup]] = {}
"""The registered lookups by name; of several, the one that a field has is the first that applies to it."""


def register(lookup: type[Lookup]) -> type[Lookup]:
    """Make a lookup known by its name; usable as a class decorator.

        @orm.lookups.register
        class NotEqual(orm.lookups.Exact):
            name = "ne"

            def render(self, column, operand, field):
                return column != operand

        await Note.objects.filter(views__ne=3)

    It replaces an earlier lookup of its name for the fields that it applies to. One for some fields only goes before
    one for all fields, in whatever order they are registered.
    """
    same_name = lookups.setdefault(lookup.name, [])
    position = 0 if _is_for_some(lookup) else sum(_is_for_some(type(other)) for other in same_name)
    same_name.insert(position, lookup())
    return lookup


def _is_for_some(lookup: type[Lookup]) -> bool:
    return bool(lookup.families or lookup.requires) or lookup.applies_to is not Lookup.applies_to


def find_lookup(field: Field[Any], name: str) -> Lookup | None:
    """The lookup of this name for such a field, if there is one."""
    return next((lookup for lookup in lookups.get(name, ()) if lookup.applies_to(field)), None)


for _lookup in (
    *(Exact, IExactLookup, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual, Range, In, IsNull),
    *(ContainsLookup, IContainsLookup, StartsWithLookup, IStartsWithLookup, EndsWithLookup, IEndsWithLookup),
    *(RegexLookup, IRegexLookup),
):
    register(_lookup)


def lookup_for(field: Field[Any], name: str) -> Lookup:
    """The lookup of this name. Raises `FieldError` if there is none or it is not for this kind of field."""
    found = find_lookup(field, name)
    if name not in lookups and isinstance(field, ForeignKey):
        raise field.target._meta.unknown(name.split("__")[0], f"part of a lookup over {label(field)}", lookups)
    if found is None:
        names = [*sorted(name for name in lookups if find_lookup(field, name)), *names_for(field)]
        raise FieldError(
            f"{label(field)} is a {type(field).__name__}, which has no lookup {name!r}. "
            f"Its lookups are: {', '.join(names)}."
        )
    return found
