"""`AddedColumns` and `WithExtraColumns`: a projection with columns that its rows do not show."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import sqlalchemy

from orm.query.projection import Projection
from orm.query.rendering import Rendering
from orm.query.terms.base import Term


@dataclass(frozen=True)
class AddedColumns(Projection):
    """Base class of projections that add columns to another one's."""

    inner: Projection

    @property
    def inner_projection(self) -> Projection:
        return self.inner.inner_projection

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.inner.names


@dataclass(frozen=True)
class WithExtraColumns(AddedColumns):
    """Another projection's columns, and further ones that only the enclosing query reads."""

    extra: tuple[Term, ...]

    @property
    def extra_columns(self) -> tuple[Term, ...]:
        return self.extra

    @property
    def key(self) -> Hashable:  # type: ignore[override]
        return ("with extra columns", self.inner.key, tuple(term.key for term in self.extra))

    @property
    def values(self) -> tuple[Any, ...]:  # type: ignore[override]
        return (*self.inner.values, *(value for term in self.extra for value in term.values))

    def columns(self, rendering: Rendering) -> list[sqlalchemy.ColumnElement[Any]]:
        return [*self.inner.columns(rendering), *(rendering.render_once(term) for term in self.extra)]
