"""What a writing statement gives back of the rows it touched: ``update(returning=…)``, ``delete(returning=…)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from orm.exceptions import QueryError
from orm.query.projection import Columns, Instances, Projection
from orm.query.resolving.resolver import Resolver
from orm.query.terms.base import PathTerm

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo


def resolve_returning(info: ModelInfo, returning: Sequence[str] | Literal[True]) -> Projection:
    """Instances for True, else dicts of the fields named. Raises `FieldError` for what is not the row's own."""
    if returning is True:
        return Instances(info)
    if isinstance(returning, str) or not isinstance(returning, Sequence):
        raise QueryError(f"returning is True or a list of field names, got {type(returning).__name__}.")
    if not returning:
        raise QueryError("returning=[] names no field to return.")
    columns = Columns.of(Resolver(info), "dicts", returning, {})
    for name, term in zip(columns.names, columns.terms, strict=True):
        if not isinstance(term, PathTerm) or term.path.relations:
            raise QueryError(f"returning: {name!r} is not a field of {info.name} itself.")
    return columns
