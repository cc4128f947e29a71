"""`FilteredRelation`s resolved against a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orm.exceptions import FieldError, QueryError
from orm.query.conditions.base import EVERYTHING
from orm.query.paths import Path, split_name
from orm.query.resolving.conditions import resolve_condition
from orm.query.resolving.resolver import Resolver
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.filtered_relation import FilteredJoinTerm, FilteredPathTerm, FilteredRelationTerm
from orm.relations import CompositeForeignKey, ForeignKey

if TYPE_CHECKING:
    from orm.expressions.filtered_relation import FilteredRelation
    from orm.mapping.model_info import ModelInfo
    from orm.query.query import Query
    from orm.relations import Hop


def with_filtered_relation(query: Query, name: str, relation: FilteredRelation) -> Query:
    """The query with the filtered relation under this name.

    Raises `FieldError` if it names no relation, or if its condition reads other tables.
    """
    info, path = query.info, relation.relation_name
    parent = query.annotations.get(path.partition("__")[0])
    hops: tuple[Hop, ...]
    if isinstance(parent, FilteredRelationTerm) and "__" in path:
        parent_term = parent.term
        hops = (*parent_term.hops, *_hops(parent_term.target, path.partition("__")[2], path))
    else:
        parent_term, hops = None, _hops(info, path, path)
    number = query.joins.highest + 1
    resolver = _ConditionResolver(query, hops, number, parent_term, path)
    condition = resolve_condition(resolver, relation.condition, negated=None) or EVERYTHING
    term = FilteredRelationTerm(name, FilteredJoinTerm(info, relation, hops, number, condition, parent_term))
    joins = query.joins._replace(highest=number, outer_references=resolver.joins.outer_references)
    annotations = {**query.annotations, name: term}
    return query.with_joins(joins, annotations=annotations, projection=query.projection.annotated(name, None))


def _hops(info: ModelInfo, path: str, named: str) -> tuple[Hop, ...]:
    """The joins of a path of relations. Raises `FieldError` for others; `named` is the path as the user wrote it."""
    hops: tuple[Hop, ...] = ()
    for part in split_name(info, path):
        relation: Any = info.fields.get(part) or info.composed.get(part) or info.relations.get(part)
        if relation is None:
            raise info.unknown(part, f"the relation of a FilteredRelation ({named!r})")
        if not (isinstance(relation, (ForeignKey, CompositeForeignKey)) or part in info.relations):
            raise FieldError(f"FilteredRelation({named!r}): {info.name}.{part} is no relation that can be joined.")
        hops += relation.hops
        info = relation.target._meta
    return hops


class _ConditionResolver(Resolver):
    """Resolves the condition of a filtered relation, in which the relation's columns are those of its join."""

    __slots__ = ("_hops", "_parent", "_relation_name")

    def __init__(
        self, query: Query, hops: tuple[Hop, ...], number: int, parent: FilteredJoinTerm | None, relation_name: str
    ) -> None:
        super().__init__(query.info, query.annotations, query.joins, new_join=number)
        self._hops = hops
        self._parent = parent
        self._relation_name = relation_name

    def annotation(self, name: str) -> tuple[Term | None, list[str]]:
        """The annotation or the column of a filtered relation that a name begins with, and the parts that follow."""
        term, rest = super().annotation(name)
        if isinstance(term, FilteredPathTerm) and self._parent is not None:
            relations = term.path.relations
            if term.join_number == self._parent.join_number and len(relations) > len(self._parent.hops):
                return self.column(term.path), rest
        if term is not None and (term.aggregate or term.window):
            raise QueryError(
                f"The condition of FilteredRelation({self._relation_name!r}) applies to rows before they are grouped, "
                f"and {name!r} is computed afterwards."
            )
        return term, rest

    def column(self, path: Path) -> PathTerm:
        """A column of the relation, of the model, or over relations to one. Raises `FieldError` for others."""
        if path.relations and path.relations == self._hops[: len(path.relations)]:
            return FilteredPathTerm(path, self._new_join)
        if path.many or path.relations[: len(self._hops)] == self._hops:
            raise FieldError(
                f"The condition of FilteredRelation({self._relation_name!r}) can use the fields of "
                f"{self._relation_name!r} and of {self.info.name}, and {path.name!r} leads further: "
                "filter() the rows by it instead."
            )
        return PathTerm.of(path)
