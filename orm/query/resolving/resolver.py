"""`Resolver`: what names, expressions, conditions and orderings mean in one call of a queryset's method."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from orm.exceptions import QueryError
from orm.expressions.base import check_condition
from orm.lookups.transforms import registrations
from orm.query.conditions.base import EVERYTHING, Predicate, without_group_terms
from orm.query.ordering import OrderTerm
from orm.query.paths import Path, resolve_path, split_path
from orm.query.resolving.composite_keys import key_paths
from orm.query.resolving.conditions import resolve_children, resolve_condition
from orm.query.resolving.expressions import resolve_function
from orm.query.resolving.order_by import resolve_ordering
from orm.query.terms.base import AnnotationTerm, PathTerm, Term
from orm.query.terms.filtered_relation import FilteredRelationTerm
from orm.query.terms.subqueries import UNCORRELATED, Correlation, OuterRefTerm
from orm.query.terms.transforms import is_step, split_steps, with_steps
from orm.relations import RelatedKey

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.query.query import Query
    from orm.query.terms.aggregates import WindowTerm
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

    __slots__ = ("_new_join", "annotations", "info", "joins", "windows")

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
        self.windows: dict[str, AnnotationTerm] | None = None
        """The window functions of a condition or an ordering, as unnamed annotations: an outer query filters by them.
        None if they stay where they are."""

    def name(self, name: str, what: str) -> Term:
        """The annotation or column that a name refers to. Raises `FieldError` with the choices."""
        annotation, rest = self.annotation(name)
        if annotation is not None:
            return with_steps(annotation, split_steps(annotation.field, rest)) if rest else annotation
        path, parts = split_path(self.info, name, what)
        if not parts:
            return self.column(path)
        if isinstance(path.field, RelatedKey) or not is_step(path.field, parts[0]):
            return self.column(resolve_path(self.info, name, what))
        return with_steps(self.column(path), split_steps(path.field, parts))

    def annotation(self, name: str) -> tuple[Term | None, list[str]]:
        """The annotation that a name begins with, if any, and the parts that follow it.

        The name of an annotation may have two underscores, as the default ``authors__count`` has.
        """
        if not self.annotations:
            return None, []
        parts = name.split("__")
        for count in range(1, len(parts) + 1):
            annotation = self.annotations.get("__".join(parts[:count]))
            if isinstance(annotation, FilteredRelationTerm):
                return annotation.term.split(tuple(parts[count:]))
            if annotation is not None:
                return annotation, parts[count:]
        return None, []

    def column(self, path: Path) -> PathTerm:
        """The column at the end of a path."""
        return PathTerm(path, self._join(path)) if path.many else PathTerm.of(path)

    def at(self, relation: str, target: ModelInfo) -> Resolver:
        """A resolver for names of the `target` of a relation, such as those in its Meta.ordering."""
        return RelatedResolver(self, relation, target)

    def expression(self, expression: Any, what: str) -> Term:
        """The term of an expression, a SQLAlchemy clause, a queryset or a plain value.

        `what` says in error messages what it is used as.
        """
        return resolve_function(expression.__class__)(self, expression, what)

    def window(self, term: WindowTerm) -> Term:
        """The term of a window function."""
        if self.windows is None:
            return term
        name = f"window {len(self.annotations) + len(self.windows)}"  # Users' annotations have no space in their names.
        annotation = self.windows[name] = AnnotationTerm(name, term, selectable=False)
        return annotation

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


class RelatedResolver(Resolver):
    """Resolves names of a related model, for a query of the model that the relation belongs to."""

    __slots__ = ("_outer", "_relation")

    def __init__(self, outer: Resolver, relation: str, target: ModelInfo) -> None:
        super().__init__(target)
        self._outer = outer
        self._relation = relation

    def column(self, path: Path) -> PathTerm:
        """The column of the related model, reached over the relation."""
        outer = self._outer
        return outer.column(resolve_path(outer.info, f"{self._relation}__{path.name}", "an ordering"))


class AggregateResolver(Resolver):
    """Resolves the aggregates of one ``aggregate()``, which may refer to those before them by their names."""

    __slots__ = ("_named",)

    def __init__(self, info: ModelInfo, annotations: Mapping[str, Term], joins: Joins) -> None:
        super().__init__(info, annotations, joins)
        self._named: dict[str, Any] = {}

    def named(self, name: str, expression: Any) -> Term:
        """The term of an aggregate. A name that the model has keeps its meaning."""
        term = self.expression(expression, "an aggregate")
        if name not in self.info.settable and name not in self.info.relations:
            self._named[name] = expression
        return term

    def annotation(self, name: str) -> tuple[Term | None, list[str]]:
        """The annotation or the aggregate that a name begins with, if any, and the parts that follow it."""
        annotation, rest = super().annotation(name)
        parts = name.split("__")
        for count in range(1, len(parts) + 1) if annotation is None else ():
            expression = self._named.get("__".join(parts[:count]))
            if expression is not None:
                # Resolved anew, because its values are bound once more.
                return self.expression(expression, "an aggregate"), parts[count:]
        return annotation, rest


def default_ordering(info: ModelInfo) -> tuple[OrderTerm, ...]:
    """The model's `Meta.ordering`, resolved once."""
    if info.default_order is None or info.default_order_registrations != registrations.count:
        # A transform in it may have been replaced since.
        info.default_order_registrations = registrations.count
        info.default_order = Resolver(info).order_by(info.options.ordering)
    return info.default_order


def primary_key_ordering(info: ModelInfo) -> tuple[OrderTerm, ...]:
    """The ordering by primary key, resolved once."""
    if info.pk_order is None:
        info.pk_order = Resolver(info).order_by([field.attname for field in info.pk_fields])
    return info.pk_order
