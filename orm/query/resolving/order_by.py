"""What a name in an ordering stands for: a field, an annotation, the ordering of a related model, ``?``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orm.exceptions import FieldError
from orm.expressions.base import F
from orm.functions import Random
from orm.functions.json import KeyNumber
from orm.query.ordering import OrderTerm
from orm.query.paths import Path, split_path
from orm.query.resolving.composite_keys import find_spread
from orm.query.resolving.scope import Scope
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.computed import FuncTerm
from orm.query.terms.transforms import KeyTerm
from orm.relations import ForeignKey, GenericForeignKey, RelatedKey

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

# Model A ordered by B ordered by A …
MAX_DEPTH = 20
KEY_NUMBER = KeyNumber(F("key"))


def by_value(term: Term) -> tuple[Term, ...]:
    """A term as what orders by it. Of a path into JSON, its number comes before it.

    Where JSON is text, numbers would come in the order of their digits.
    """
    return (FuncTerm(KEY_NUMBER, (term,)), term) if isinstance(term, KeyTerm) else (term,)


def named_ordering(names: Scope, name: str) -> tuple[OrderTerm, ...]:
    """The terms that a name, such as ``-album__name``, orders by. Raises `FieldError`."""
    if names.annotations:
        return tuple(_ordering(names, name, 0))
    known = names.info.own_orders.get(name)
    if known is None:
        known = tuple(_ordering(names, name, 0))
        if all(isinstance(order.term, PathTerm) and not order.term.path.relations for order in known):
            names.info.own_orders[name] = known
    return known


def _ordering(names: Scope, name: str, depth: int) -> Iterable[OrderTerm]:
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
    if bare == "?":
        yield OrderTerm(FuncTerm(Random(), ()), descending)
        return
    spread = find_spread(info, bare)
    if spread is not None and not isinstance(spread.relation, GenericForeignKey) and spread.bare == bare:
        if spread.by_pk:
            yield from (OrderTerm(names.path_term(path), descending) for path in spread.paths)
            return
        yield from _related_ordering(names, bare, descending, spread.relation.target._meta, spread.paths, depth)
        return
    path, parts = split_path(info, bare, "an ordering")
    last = bare.rsplit("__", 1)[-1]
    field = path.field
    if parts or not isinstance(field, (ForeignKey, RelatedKey)) or last == field.attname or bare == "pk":
        yield from (OrderTerm(term, descending) for term in by_value(names.term(bare, "an ordering")))
        return
    yield from _related_ordering(names, bare, descending, field.target._meta, (path,), depth)


def _related_ordering(
    names: Scope, bare: str, descending: bool, related: ModelInfo, keys: Iterable[Path], depth: int
) -> Iterable[OrderTerm]:
    """As in Django: ordering by a relation orders by the related model's own ordering, or its key."""
    info = names.info
    name = f"{'-' if descending else ''}{bare}"
    if depth > MAX_DEPTH:
        raise FieldError(f"{info.name}: ordering by {name!r} goes round in circles over Meta.ordering.")
    if not related.options.ordering:
        for path in keys:
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
        yield from _ordering(names, onward, depth + 1)
