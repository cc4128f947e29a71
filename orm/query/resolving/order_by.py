"""Resolves the arguments of ``order_by()``, names, expressions and clauses, to orderings of terms."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import ClauseElement

from orm.exceptions import FieldError, QueryError
from orm.expressions.base import F, FieldExpression, Logical, Ordering
from orm.functions import Random
from orm.functions.json import KeyNumber
from orm.query.ordering import ClauseOrder, OrderTerm
from orm.query.paths import Path, split_name, split_path
from orm.query.resolving.composite_keys import embedded_parts, find_composite_lookup, key_parts
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.computed import FuncTerm
from orm.query.terms.transforms import KeyTerm
from orm.relations import Embedded, ForeignKey, GenericForeignKey, RelatedKey
from orm.relations.composed import ComposedExpression

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
    expression = term.expression if isinstance(term, Ordering) else term
    if type(expression) in (F, FieldExpression) or isinstance(expression, ComposedExpression):
        embedded = embedded_parts(resolver.info, expression)
        parts = key_parts(resolver.info, expression) if embedded is None else tuple(map(F, embedded[1]))
        if parts is not None:
            direction = term if isinstance(term, Ordering) else Ordering(expression)
            return tuple(
                OrderTerm(resolver.expression(part, "an ordering"), direction.descending, direction.nulls)
                for part in parts
            )
    if isinstance(term, Ordering):
        return (OrderTerm(resolver.expression(term.expression, "an ordering"), term.descending, term.nulls),)
    if isinstance(term, Logical):
        return (OrderTerm(resolver.expression(term, "an ordering"), False),)
    if isinstance(term, ClauseElement):
        return (ClauseOrder(resolver.expression(term, "an ordering"), False),)
    raise QueryError(
        f"order_by() takes field names, expressions, conditions and SQLAlchemy clauses, got {type(term).__name__}."
    )


def by_value(term: Term) -> tuple[Term, ...]:
    """The terms that order rows by the value of a term.

    A value in a JSON document is ordered by its number first: databases that store JSON as text compare digits.
    """
    # A copy: one term is rendered once, and its path is bound for each of the two.
    return (FuncTerm(KEY_NUMBER, (copy.copy(term),)), term) if isinstance(term, KeyTerm) else (term,)


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
    if resolver.annotation(bare)[0] is not None:
        yield from (OrderTerm(term, descending) for term in by_value(resolver.name(bare, "an ordering")))
        return
    if bare == "?":
        yield OrderTerm(FuncTerm(Random(), ()), descending)
        return
    composite = find_composite_lookup(info, bare)
    if (
        composite is not None
        and not isinstance(composite.relation, (Embedded, GenericForeignKey))
        and composite.bare == bare
    ):
        if composite.by_pk:
            yield from (OrderTerm(resolver.column(path), descending) for path in composite.paths)
            return
        yield from _related(resolver, bare, descending, composite.relation.target._meta, composite.paths, depth)
        return
    if composite is not None and isinstance(composite.relation, Embedded) and composite.bare == bare:
        for part in composite.relation.field_names:
            yield from _terms(resolver, f"{'-' if descending else ''}{composite.prefix}{part}", depth)
        return
    path, parts = split_path(info, bare, "an ordering")
    last = split_name(info, bare)[-1]
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
            orders = resolve_ordering(resolver.at(bare, target), term)
            yield from (order.reversed() if descending else order for order in orders)
            continue
        reversed_term = term.startswith("-") != descending
        yield from _terms(resolver, f"{'-' if reversed_term else ''}{bare}__{term.removeprefix('-')}", depth + 1)
