"""`Columns`: the projection of `values()` and `values_list()`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import ColumnElement

from orm.exceptions import FieldError, QueryError
from orm.fields import Field
from orm.query.paths import resolve_path
from orm.query.projection import Projection
from orm.query.resolving.composite_keys import embedded_parts, key_parts, name_of
from orm.query.resolving.resolver import Resolver
from orm.query.terms.base import AnnotationTerm, PathTerm, Term
from orm.rows.readers import Process, Reader, Width, read_dicts, read_named_tuples, read_tuples, read_values
from orm.rows.unreadable_values import ColumnLabels
from orm.utils.memoized import memoized_property

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.query.rendering import Rendering

SINGLE = Width()
Shape = Literal["dicts", "tuples", "named", "flat"]


@dataclass(frozen=True)
class Columns(Projection):
    """Columns that `values()` or `values_list()` names, as dicts, tuples, named tuples or single values."""

    shape: Shape
    names: tuple[str, ...]
    terms: tuple[Term, ...]
    widths: tuple[Width, ...] | None = None
    """The terms of each name: several are a composite key or an embedded value. None: one each."""

    @classmethod
    def of(
        cls,
        resolver: Resolver,
        shape: Shape,
        fields: Iterable[Any],
        named: dict[str, Any],
        annotations: Iterable[str] = (),
    ) -> Columns:
        """The columns of these names and expressions; if there are none, all columns of the model and `annotations`."""
        keys: list[str] = []
        terms: list[tuple[Term, ...]] = []
        widths: list[Width] = []
        selected = list(fields)
        if not selected and not named:
            selected = [field.attname for field in resolver.info.fields.values()]
            selected += annotations
        for field in selected:
            column, width = _column(resolver, field)
            if isinstance(field, str):
                name = field
                if isinstance(column[0], AnnotationTerm) and not column[0].selectable:
                    raise FieldError(f"{field!r} is an alias(), which is not selected: annotate() it instead.")
            else:
                name = name_of(field) or f"column{len(keys) + 1}"
            keys.append(name)
            terms.append(column)
            widths.append(width)
        for name, expression in named.items():
            column, width = _column(resolver, expression)
            if name in keys:  # As in Django, it takes the place of the field: a union goes by positions.
                terms[keys.index(name)], widths[keys.index(name)] = column, width
            else:
                keys.append(name)
                terms.append(column)
                widths.append(width)
        if shape == "named":
            _check_attributes(keys)
        if shape == "flat" and len(keys) != 1:
            raise QueryError(f"values_list(flat=True) takes exactly one field, got {len(keys)}.")
        flat = tuple(term for column in terms for term in column)
        return cls(shape, tuple(keys), flat, None if all(width == SINGLE for width in widths) else tuple(widths))

    @property
    def field(self) -> Field[Any]:
        (term,) = self.terms
        field: Field[Any] = term.field
        return field

    def selected(self, resolver: Resolver) -> tuple[Term, ...]:
        return self.terms

    @property
    def width(self) -> int:
        return len(self.terms)

    def annotated(self, name: str, term: Term | None) -> Columns:
        if term is None:
            return self
        if name in self.names:
            position = self.position(name)
            return replace(self, terms=(*self.terms[:position], term, *self.terms[position + 1 :]))
        widths = None if self.widths is None else (*self.widths, SINGLE)
        return replace(self, names=(*self.names, name), terms=(*self.terms, term), widths=widths)

    def position(self, name: str) -> int:
        """The position of the column with this name. Raises `QueryError` for a composite key."""
        index = self.names.index(name)
        if self.widths is None:
            return index
        if self.widths[index] != SINGLE:
            what = "key" if self.widths[index].value_of is None else "value"
            raise QueryError(f"{name!r} is a {what} of several columns: name one of its fields.")
        return sum(width.columns for width in self.widths[:index])

    @memoized_property
    def key(self) -> Hashable:
        return (self.shape, self.names, tuple(term.key for term in self.terms), self.widths)

    @property
    def values(self) -> tuple[Any, ...]:  # type: ignore[override]
        return tuple(value for term in self.terms for value in term.values)

    def columns(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        return [rendering.render_once(term) for term in self.terms]

    def reader(self, processors: Sequence[Process | None], trailing_columns: int) -> Reader:
        # A value of several columns has one name.
        widths = zip(self.names, self.widths or repeat(SINGLE), strict=False)
        labels = ColumnLabels([str(name) for name, width in widths for _ in range(width.columns)])
        if self.shape == "dicts":
            return read_dicts(self.names, processors, trailing_columns, self.widths, labels)
        if self.shape == "named":
            return read_named_tuples(self.names, processors, trailing_columns, self.widths, labels)
        return (read_values if self.shape == "flat" else read_tuples)(processors, trailing_columns, self.widths, labels)


def _column(resolver: Resolver, expression: Any) -> tuple[tuple[Term, ...], Width]:
    """The terms that a name or expression selects: several for a composite key and for an embedded value."""
    try:
        if isinstance(expression, str):
            return (resolver.name(expression, "a column"),), SINGLE
        return (resolver.expression(expression, "a column"),), SINGLE
    except (FieldError, QueryError):
        parts = key_parts(resolver.info, expression)
        if parts is not None:
            return tuple(resolver.expression(part, "a column") for part in parts), Width(len(parts))
        whole = embedded_parts(resolver.info, expression)
        if whole is None:
            raise
        embedded, names = whole
        return tuple(resolver.name(name, "a column") for name in names), Width(len(names), embedded.value_of)


def _check_attributes(names: Sequence[str]) -> None:
    """Raise `QueryError` unless these names can be the attributes of a named tuple."""
    for position, name in enumerate(names):
        if not name.isidentifier() or iskeyword(name) or name.startswith("_") or name in names[:position]:
            raise QueryError(f"values_list(named=True): {name!r} is not a valid attribute name, or occurs twice.")


def one_column(info: ModelInfo, field: Field[Any] | None) -> Columns:
    """The projection to one column: `field` of the model, or its primary key."""
    if field is None:
        if len(info.pk_fields) > 1:
            raise QueryError(
                f"{info.name} has a composite primary key, so a query of it stands for no single value: "
                "choose one column with values_list()."
            )
        field = info.pk_fields[0]
    term = PathTerm(resolve_path(info, field.attname, "a column"))
    return Columns("flat", (field.name,), (term,))
