"""The rows that a writing statement returns: ``update(returning=…)``, ``delete(returning=…)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from orm.exceptions import QueryError
from orm.query.columns import Columns
from orm.query.projection import Instances, Projection
from orm.query.resolving.resolver import Resolver
from orm.query.terms.base import PathTerm

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo


def resolve_returning(info: ModelInfo, returning: Sequence[str] | Literal[True]) -> Projection:
    """The projection to instances for True, or to dicts of the named fields.

    Raises `FieldError` for an unknown name, `QueryError` for one that is not a field of the model itself.
    """
    if returning is True:
        return Instances(info)
    if isinstance(returning, str) or not isinstance(returning, Sequence):
        raise QueryError(f"returning is True or a list of field names, got {type(returning).__name__}.")
    if not returning:
        raise QueryError("returning=[] names no field to return.")
    columns = Columns.of(Resolver(info), "dicts", returning, {})
    for name, term in zip(columns.names, columns.terms, strict=True):
        if not isinstance(term, PathTerm) or term.path.relations != info.chain_to(term.path.stored):
            raise QueryError(f"returning: {name!r} is not a field of {info.name} itself.")
    return columns
