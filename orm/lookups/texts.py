"""Lookups that compare texts: `iexact`, `contains`, `startswith`, `endswith`, `regex`, and those that ignore case."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.types import TypeEngine

from orm.database.sql import operators
from orm.database.sql.functions import CastTo, SQLFunction
from orm.database.types import column_types
from orm.exceptions import QueryError
from orm.lookups.base import Bind, KnownResult, Lookup, Prepared, label, refuse_null, register

if TYPE_CHECKING:
    from orm.fields import Field


class TextLookup(Lookup):
    """A comparison of a value's text: `contains`, `startswith`, `regex` and the like.

    Values that are not text are compared by their text, JSON values by the text in the document.
    """

    requires = "is_text_like"
    operator: ClassVar[operators.TextOperator]
    ignore_case: ClassVar[bool] = False

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        if value is None:  # asked here, so that other values do not pay for a call
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
    if field.family == "ip":
        return CastTo(column, field.family, "text", column_types.Text())
    return column if field.family == "text" else sqlalchemy.cast(column, sqlalchemy.Text())


@register
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
        return column_types.RegularExpression()


@register
class IRegexLookup(RegexLookup):
    """Matches a regular expression, case-insensitively."""

    name = "iregex"
    ignore_case = True


@register
class ContainsLookup(TextLookup):
    """Contains the text."""

    name = "contains"
    operator = "contains"


@register
class IContainsLookup(ContainsLookup):
    """Contains the text, case-insensitively."""

    name = "icontains"
    ignore_case = True


@register
class StartsWithLookup(TextLookup):
    """Starts with the text."""

    name = "startswith"
    operator = "startswith"


@register
class IStartsWithLookup(StartsWithLookup):
    """Starts with the text, case-insensitively."""

    name = "istartswith"
    ignore_case = True


@register
class EndsWithLookup(TextLookup):
    """Ends with the text."""

    name = "endswith"
    operator = "endswith"


@register
class IEndsWithLookup(EndsWithLookup):
    """Ends with the text, case-insensitively."""

    name = "iendswith"
    ignore_case = True


@register
class IExactLookup(TextLookup):
    """Equal to the text, case-insensitively."""

    name = "iexact"
    operator = "exact"
    ignore_case = True
