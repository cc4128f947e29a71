"""`Lookup`, the base class of ``exact``, ``icontains``, ``in`` …, and which of them a field has.

A lookup prepares its value when the queryset is created, and renders the condition once per query shape. Values for
which the condition is always or never true are recognized in advance, without SQL for the comparison.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Hashable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from sqlalchemy import ColumnElement
from sqlalchemy.types import TypeEngine

from orm.exceptions import FieldError, QueryError
from orm.lookups.transforms import check_families, check_name, names_for, registrations
from orm.relations import ForeignKey
from orm.utils.articles import with_article

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

    def for_rows(self, field: Field[Any], selected: Field[Any]) -> Lookup | None:
        """The lookup that at least one row must satisfy of a queryset that selects the field `selected`.

        None if a queryset stands for one value. Raises `QueryError` if such rows cannot be compared.
        """
        return None

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


def lookup_for(field: Field[Any], name: str) -> Lookup:
    """The field's lookup of this name. Raises `FieldError` if it has none."""
    lookup = find_lookup(field, name)
    if name not in lookups and isinstance(field, ForeignKey):
        raise field.target._meta.unknown(name.split("__")[0], f"part of a lookup over {label(field)}", lookups)
    if lookup is None:
        names = [*sorted(name for name in lookups if find_lookup(field, name)), *names_for(field)]
        raise FieldError(
            f"{label(field)} is {with_article(type(field).__name__)}, which has no lookup {name!r}. "
            f"Its lookups are: {', '.join(names)}."
        )
    return lookup
