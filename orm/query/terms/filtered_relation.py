"""The terms of a `FilteredRelation`: its join, and the columns that are read over it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement

from orm.lookups.base import find_lookup
from orm.lookups.transforms import transform_for
from orm.query.paths import Path, continues_at, path_over, split_path
from orm.query.terms.base import AnnotationTerm, PathTerm, ResolvedCondition, Term
from orm.relations import ForeignKey

if TYPE_CHECKING:
    from orm.expressions.filtered_relation import FilteredRelation
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo
    from orm.query.rendering import Rendering
    from orm.relations import Hop


class FilteredPathTerm(PathTerm):
    """A column that is read over the join of a `FilteredRelation`. The join is a separate one, so `many` is False."""

    __slots__ = ()

    def __init__(self, path: Path, join_number: int) -> None:
        super().__init__(path, join_number)
        self.many = False
        self.nullable = True


class FilteredJoinTerm(Term):
    """What a `FilteredRelation` joins: a chain of relations, with a condition on the last one."""

    def __init__(
        self,
        info: ModelInfo,
        expression: FilteredRelation,
        hops: tuple[Hop, ...],
        join_number: int,
        condition: ResolvedCondition,
        parent: FilteredJoinTerm | None = None,
    ) -> None:
        self.info = info
        self.expression = expression
        self.hops = hops
        self.join_number = join_number
        """The number of the join: see `Joins`."""
        self.condition = condition
        self.parent = parent
        """The filtered relation that this one continues."""
        parent_number = None if parent is None else parent.join_number
        self.key: Hashable = ("filtered relation", hops, join_number, condition.key, parent_number)
        self.values = condition.values

    @property
    def target(self) -> ModelInfo:
        """The related model."""
        info: ModelInfo = self.hops[-1].target._meta
        return info

    @property
    def field(self) -> Field[Any]:
        """The primary key of the related model."""
        field: Field[Any] = self.split(())[0].field
        return field

    def split(self, parts: tuple[str, ...]) -> tuple[FilteredPathTerm, list[str]]:
        """The column with which the parts of a name begin (without any: the primary key), and the parts that follow."""
        is_key = not parts or self._is_of_key(parts[0])
        if is_key:
            parts = ("pk", *parts)
        rest, following = split_path(self.target, "__".join(parts), "a field of a filtered relation")
        term = FilteredPathTerm(path_over(self.info, self.hops, rest), self.join_number)
        if is_key and not (following and transform_for(term.field, following[0])):
            # Like the name of the relation itself, it takes instances.
            last = self.hops[-1]
            term.field = last if isinstance(last, ForeignKey) else getattr(last, "key", term.field)
        return term, list(following)

    def _is_of_key(self, part: str) -> bool:
        """Whether a part of a name is a lookup or transform of the primary key: the ``isnull`` of ``mine__isnull``."""
        if continues_at(self.target, part) or part in self.target.composed:
            return False
        key = self.target.pk_fields[0]
        return find_lookup(key, part) is not None or transform_for(key, part) is not None

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return self.split(())[0].render(rendering, required=required)


class FilteredRelationTerm(AnnotationTerm):
    """The name of a `FilteredRelation`. It is never selected; names that begin with it are columns of the join."""

    term: FilteredJoinTerm

    def __init__(self, name: str, term: FilteredJoinTerm) -> None:
        super().__init__(name, term, selectable=False)
