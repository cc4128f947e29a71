"""Orderings: ``-album__name`` and its like, resolved against a model."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import ClauseElement, ColumnElement

from orm.exceptions import FieldError, QueryError
from orm.expressions import Expression, Ordering
from orm.planning.names import Names
from orm.planning.paths import resolve_path
from orm.planning.resolving import resolve
from orm.planning.terms import Term
from orm.relations import ForeignKey

if TYPE_CHECKING:
    from orm.meta import ModelInfo
    from orm.planning.rendering import Rendering

# Model A ordered by B ordered by A …
MAX_DEPTH = 20


class OrderTerm:
    """One term of an ordering."""

    __slots__ = ("descending", "key", "nulls", "term", "values")

    def __init__(self, term: Term, descending: bool, nulls: str | None = None) -> None:
        self.term = term
        self.descending = descending
        self.nulls = nulls
        self.key: Hashable = (term.key, descending, nulls)
        self.values = term.values

    def reversed(self) -> OrderTerm:
        """The opposite direction."""
        nulls = {"first": "last", "last": "first", None: None}[self.nulls]
        return OrderTerm(self.term, not self.descending, nulls)

    def render(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        """Its SQL: one term, or two."""
        column = self.term.render(rendering)
        ordered = column.desc() if self.descending else column.asc()
        if self.nulls is None:
            return [ordered]
        # Not every database has NULLS FIRST; every one can order by whether there is a value.
        missing = column.is_(None)
        return [missing.desc() if self.nulls == "first" else missing.asc(), ordered]


class ClauseOrder(OrderTerm):
    """An ordering in SQLAlchemy's own terms, direction included."""

    def reversed(self) -> OrderTerm:
        raise QueryError("An ordering given as a SQLAlchemy clause cannot be reversed.")

    def render(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        return [self.term.render(rendering)]


def resolve_ordering(names: Names, terms: Iterable[Any], depth: int = 0) -> tuple[OrderTerm, ...]:
    """The terms of ``order_by(...)`` or ``Meta.ordering``. Raises `FieldError` or `QueryError`."""
    found: list[OrderTerm] = []
    for term in terms:
        if isinstance(term, str):
            found.extend(_named(names, term, depth))
        elif isinstance(term, Ordering):
            resolved = resolve(names, term.expression, "an ordering")
            found.append(OrderTerm(resolved, term.descending, term.nulls))
        elif isinstance(term, Expression):
            found.append(OrderTerm(resolve(names, term, "an ordering"), False))
        elif isinstance(term, ClauseElement):
            found.append(ClauseOrder(resolve(names, term, "an ordering"), False))
        else:
            raise QueryError(
                f"order_by() takes field names, expressions and SQLAlchemy clauses, got {type(term).__name__}."
            )
    return tuple(found)


def _named(names: Names, name: str, depth: int) -> Iterable[OrderTerm]:
    info = names.info
    descending = name.startswith("-")
    bare = name[1:] if name[:1] in "-+" and name else name
    if bare == "pk" and len(info.pk_fields) > 1:
        for field in info.pk_fields:
            yield OrderTerm(names.term(field.attname, "an ordering"), descending)
        return
    if bare in names.annotations:
        yield OrderTerm(names.annotations[bare], descending)
        return
    path = resolve_path(info, bare, "an ordering")
    relation = path.stored
    last = bare.rsplit("__", 1)[-1]
    if not isinstance(path.field, ForeignKey) or last == path.field.attname:
        yield OrderTerm(names.path_term(path), descending)
        return
    # As in Django: ordering by a relation orders by the related model's own ordering, or its key.
    assert isinstance(relation, ForeignKey)
    related = relation.target._meta
    if depth > MAX_DEPTH:
        raise FieldError(f"{info.name}: ordering by {name!r} goes round in circles over Meta.ordering.")
    if not related.options.ordering:
        yield OrderTerm(names.path_term(path), descending)
        return
    for term in related.options.ordering:
        if not isinstance(term, str):
            raise FieldError(
                f"{info.name} cannot be ordered by {bare!r}: the Meta.ordering of {related.name} has an "
                "expression. Name the related fields to order by."
            )
        turned = term.startswith("-") != descending
        onward = f"{'-' if turned else ''}{bare}__{term.removeprefix('-')}"
        yield from _named(names, onward, depth + 1)


def default_ordering(info: ModelInfo) -> tuple[OrderTerm, ...]:
    """The model's `Meta.ordering`, resolved once."""
    if info.default_order is None:
        info.default_order = resolve_ordering(Names(info), info.options.ordering)
    return info.default_order


def primary_key_ordering(info: ModelInfo) -> tuple[OrderTerm, ...]:
    """By primary key."""
    return resolve_ordering(Names(info), [field.attname for field in info.pk_fields])
