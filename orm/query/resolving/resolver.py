"""`Resolver`: what names, expressions, conditions and orderings mean in one call of a queryset's method."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from orm.exceptions import QueryError
from orm.expressions.base import check_condition
from orm.query.conditions.base import EVERYTHING, Predicate, without_group_terms
from orm.query.ordering import OrderTerm
from orm.query.paths import Path, resolve_path, split_path
from orm.query.resolving.composite_keys import key_paths
from orm.query.resolving.conditions import resolve_children, resolve_condition
from orm.query.resolving.expressions import resolve_function
from orm.query.resolving.order_by import resolve_ordering
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.subqueries import UNCORRELATED, Correlation, OuterRefTerm
from orm.query.terms.transforms import split_steps, with_steps
from orm.relations import ForeignKey, RelatedKey

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.query.query import Query
    from orm.relations import Hop


class Joins(NamedTuple):
    """The joins of a query over relations that lead to many rows; such a chain may be joined several times.

    For a subquery, also what it needs of the query around it.
    """

    latest: Mapping[tuple[Hop, ...], int] = {}
    """The number of the latest join of each chain of relations."""
    highest: int = 0
    """The highest number of a join."""
    outer_references: Mapping[Hashable, OuterRefTerm] = {}
    """The `OuterRef`s of the query, which the query around it resolves: see `Resolver.correlation`."""


NO_JOINS = Joins()


class Resolver:
    """Resolves what is passed to one call of a queryset's method, and adds the joins that it needs to `joins`.

    A relation that leads to many rows is joined once for all conditions of one ``filter()`` call, and again for the
    next: `new_join` is the number of the joins of such a call. Other calls (0) use the latest joins.

    Names that make no sense raise `FieldError` or `QueryError` here, when the method is called.
    """

    __slots__ = ("_new_join", "annotations", "info", "joins")

    def __init__(
        self,
        info: ModelInfo,
        annotations: Mapping[str, Term] | None = None,
        joins: Joins = NO_JOINS,
        new_join: int = 0,
    ) -> None:
        self.info = info
        self.annotations = annotations or {}
        self.joins = joins
        self._new_join = new_join

    def name(self, name: str, what: str) -> Term:
        """The annotation or column that a name refers to. Raises `FieldError` with the choices."""
        if self.annotations:
            annotation = self.annotations.get(name)
            if annotation is not None:
                return annotation
            first, *rest = name.split("__")
            annotation = self.annotations.get(first)
            if annotation is not None:
                return with_steps(annotation, split_steps(annotation.field, rest))
        path, parts = split_path(self.info, name, what)
        if not parts:
            return self.column(path)
        if isinstance(path.field, (ForeignKey, RelatedKey)):
            return self.column(resolve_path(self.info, name, what))
        return with_steps(self.column(path), split_steps(path.field, parts))

    def column(self, path: Path) -> PathTerm:
        """The column at the end of a path."""
        return PathTerm(path, self._join(path)) if path.many else PathTerm.of(path)

    def expression(self, expression: Any, what: str) -> Term:
        """The term of an expression, a SQLAlchemy clause, a queryset or a plain value.

        `what` says in error messages what it is used as.
        """
        return resolve_function(expression.__class__)(self, expression, what)

    def outer_reference(self, name: str, depth: int, key_part: tuple[int, int] | None) -> OuterRefTerm:
        """The term of an `OuterRef`, whose name the query around this one resolves."""
        reference = OuterRefTerm(name, depth, key_part)
        references = {**self.joins.outer_references, reference.key: reference}
        self.joins = self.joins._replace(outer_references=references)
        return reference

    def correlation(self, query: Query) -> Correlation:
        """This query's terms that the `OuterRef`s of a subquery refer to. Raises `FieldError` for an unknown name."""
        references = query.outer_references
        if not references:
            return UNCORRELATED
        return Correlation({key: self._referenced(reference) for key, reference in references.items()})

    def _referenced(self, reference: OuterRefTerm) -> Term:
        if reference.depth > 1:
            return self.outer_reference(reference.name, reference.depth - 1, reference.key_part)
        if reference.key_part is None:
            return self.name(reference.name, "an OuterRef")
        position, count = reference.key_part
        paths = key_paths(self.info, reference.name)
        if paths is None or len(paths) != count:
            raise QueryError(
                f"OuterRef({reference.name!r}) is compared with a key of {count} columns, which it is not."
            )
        return self.column(paths[position])

    def condition(self, condition: Any) -> Predicate:
        """The predicate of one condition inside an expression, which may be about groups of rows."""
        check_condition(condition)
        return resolve_condition(self, condition, negated=None) or EVERYTHING

    def filter(
        self,
        conditions: Sequence[Any],
        lookups: Iterable[tuple[str, Any]] = (),
        *,
        negated: bool = False,
        grouped: bool = False,
    ) -> Predicate:
        """The predicate of ``filter(*conditions, **lookups)``, or with `negated` of ``exclude(…)``.

        `grouped` says that the rows are groups.
        """
        for condition in conditions:
            check_condition(condition)
        parts = [*conditions, *lookups]
        if len(parts) == 1 and not negated:
            predicate = resolve_condition(self, parts[0], negated=False) or EVERYTHING
        else:
            predicate = resolve_children(self, "AND", parts, negated, negated) or EVERYTHING
        return predicate if grouped else without_group_terms(predicate)

    def order_by(self, terms: Iterable[Any]) -> tuple[OrderTerm, ...]:
        """The terms of ``order_by(…)`` or ``Meta.ordering``."""
        resolved: list[OrderTerm] = []
        for term in terms:
            known = self.info.column_orders.get(term) if type(term) is str and not self.annotations else None
            resolved += resolve_ordering(self, term) if known is None else known
        return tuple(resolved)

    def joined_here(self, chain: tuple[Hop, ...]) -> int:
        """The number of this call's own join of these relations, if it has joined them already; else 0."""
        return self._new_join if self._new_join and self.joins.latest.get(chain) == self._new_join else 0

    def _join(self, path: Path) -> int:
        """Join the relations of a path that leads to many rows; returns the number of the join."""
        first = path.first_many()
        chains = [path.relations[:end] for end in range(first, len(path.relations) + 1)]
        latest, highest, outer_references = self.joins
        # The latest join of the first of them decides, and what follows is joined to that one.
        number = self._new_join or latest.get(chains[0], highest + 1)
        self.joins = Joins({**latest, **dict.fromkeys(chains, number)}, max(highest, number), outer_references)
        return number


def default_ordering(info: ModelInfo) -> tuple[OrderTerm, ...]:
    """The model's `Meta.ordering`, resolved once."""
    if info.default_order is None:
        info.default_order = Resolver(info).order_by(info.options.ordering)
    return info.default_order


def primary_key_ordering(info: ModelInfo) -> tuple[OrderTerm, ...]:
    """The ordering by primary key, resolved once."""
    if info.pk_order is None:
        info.pk_order = Resolver(info).order_by([field.attname for field in info.pk_fields])
    return info.pk_order
