"""Orderings resolved to terms: names, expressions and clauses given to ``order_by()``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import ClauseElement

from orm.exceptions import FieldError, QueryError
from orm.expressions.base import Expression, F, Ordering
from orm.functions import Random
from orm.functions.json import KeyNumber
from orm.query.ordering import ClauseOrder, OrderTerm
from orm.query.paths import Path, split_path
from orm.query.resolving.composite_keys import find_composite_lookup
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.computed import FuncTerm
from orm.query.terms.transforms import KeyTerm
from orm.relations import ForeignKey, GenericForeignKey, RelatedKey

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.query.resolving.resolver import Resolver

# The related models' own orderings may go round in circles: A is ordered by B, which is ordered by A.
MAX_DEPTH = 20
KEY_NUMBER = KeyNumber(F("key"))


def resolve_ordering(resolver: Resolver, term: Any) -> tuple[OrderTerm, ...]:
    """The terms of one argument of ``order_by()``. Raises `FieldError` or `QueryError`."""
    if isinstance(term, str):
        return _named(resolver, term)
    if isinstance(term, Ordering):
        return (OrderTerm(resolver.expression(term.expression, "an ordering"), term.descending, term.nulls),)
    if isinstance(term, Expression):
        return (OrderTerm(resolver.expression(term, "an ordering"), False),)
    if isinstance(term, ClauseElement):
        return (ClauseOrder(resolver.expression(term, "an ordering"), False),)
    raise QueryError(f"order_by() takes field names, expressions and SQLAlchemy clauses, got {type(term).__name__}.")


def by_value(term: Term) -> tuple[Term, ...]:
    """The terms that order rows by the value of a term.

    A value in a JSON document is ordered by its number first: databases that store JSON as text compare digits.
    """
    return (FuncTerm(KEY_NUMBER, (term,)), term) if isinstance(term, KeyTerm) else (term,)


def _named(resolver: Resolver, name: str) -> tuple[OrderTerm, ...]:
    """The terms of a name, such as ``-album__name``. Those of the model's own columns are kept."""
    terms = tuple(_terms(resolver, name, 0))
    if not resolver.annotations and all(_is_own_column(order.term) for order in terms):
        resolver.info.column_orders[name] = terms
    return terms


def _is_own_column(term: Term) -> bool:
    return isinstance(term, PathTerm) and not term.path.relations


def _terms(resolver: Resolver, name: str, depth: int) -> Iterator[OrderTerm]:
    info = resolver.info
    descending = name.startswith("-")
    bare = name[1:] if name[:1] in "-+" and name else name
    if bare == "pk" and len(info.pk_fields) > 1:
        for field in info.pk_fields:
            yield OrderTerm(resolver.name(field.attname, "an ordering"), descending)
        return
    if bare in resolver.annotations:
        yield OrderTerm(resolver.annotations[bare], descending)
        return
    if bare == "?":
        yield OrderTerm(FuncTerm(Random(), ()), descending)
        return
    composite = find_composite_lookup(info, bare)
    if composite is not None and not isinstance(composite.relation, GenericForeignKey) and composite.bare == bare:
        if composite.by_pk:
            yield from (OrderTerm(resolver.column(path), descending) for path in composite.paths)
            return
        yield from _related(resolver, bare, descending, composite.relation.target._meta, composite.paths, depth)
        return
    path, parts = split_path(info, bare, "an ordering")
    last = bare.rsplit("__", 1)[-1]
    field = path.field
    if parts or not isinstance(field, (ForeignKey, RelatedKey)) or last == field.attname or bare == "pk":
        yield from (OrderTerm(term, descending) for term in by_value(resolver.name(bare, "an ordering")))
        return
    yield from _related(resolver, bare, descending, field.target._meta, (path,), depth)


def _related(
    resolver: Resolver, bare: str, descending: bool, target: ModelInfo, keys: Iterable[Path], depth: int
) -> Iterator[OrderTerm]:
    """The terms of a relation. As in Django, they are the related model's own ordering, or else its key."""
    info = resolver.info
    name = f"{'-' if descending else ''}{bare}"
    if depth > MAX_DEPTH:
        raise FieldError(f"{info.name}: ordering by {name!r} goes round in circles over Meta.ordering.")
    if not target.options.ordering:
        for path in keys:
            yield OrderTerm(resolver.column(path), descending)
        return
    for term in target.options.ordering:
        if not isinstance(term, str):
            raise FieldError(
                f"{info.name} cannot be ordered by {bare!r}: the Meta.ordering of {target.name} has an "
                "expression. Name the related fields to order by."
            )
        reversed_term = term.startswith("-") != descending
        yield from _terms(resolver, f"{'-' if reversed_term else ''}{bare}__{term.removeprefix('-')}", depth + 1)
