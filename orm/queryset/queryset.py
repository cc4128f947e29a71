"""`QuerySet`: an immutable query that is chained, and awaited for its rows; and what its rows are."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from sqlalchemy import ClauseElement
from typing_extensions import Self
from typing_extensions import TypeVar as DefaultTypeVar

from orm.exceptions import QueryError
from orm.expressions.base import Expression as Expr
from orm.expressions.base import F
from orm.loading.graph import BUDGET, Graph, GraphBudget, with_shapes
from orm.loading.prefetch_paths import Prefetch
from orm.query.columns import Columns
from orm.query.resolving.composite_keys import key_parts
from orm.query.set_operations import Combination
from orm.query.terms.base import AnnotationTerm
from orm.queryset import dates as date_querysets
from orm.queryset.chaining import groups_for, has_attribute
from orm.queryset.descriptors import QuerySetObjects
from orm.queryset.raw import RawQuerySet
from orm.queryset.writing import WriteMethods

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

M = TypeVar("M", bound="Model")
R = DefaultTypeVar("R", default=Any)
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")


class QuerySet(WriteMethods[M, R]):
    """A query of the model `M` that returns rows of type `R`: instances, or what `values()` selects.

    Filtering and ordering return a new queryset and send no query. Await a queryset for a list, loop over it with
    ``async for`` to stream the rows in constant memory, or slice it for a part of them.

        notes = await Note.objects.filter(completed=False).order_by("-id")[:10]
    """

    @classmethod
    def as_manager(cls) -> QuerySetObjects[Self]:
        """A manager for a model's class body, whose queryset has the methods of this class.

        class NoteQuerySet(orm.QuerySet["Note", "Note"]):
            def done(self) -> Self:
                return self.filter(completed=True)

        class Note(orm.Model):
            objects = NoteQuerySet.as_manager()

        await Note.objects.done().order_by("-id")
        """
        return QuerySetObjects(cls)

    def values(self, /, *fields: Any, **expressions: Any) -> QuerySet[M, dict[str, Any]]:
        """Rows as dicts of these fields, across relations too; without arguments, of all the model's fields."""
        return self._selecting("dicts", fields, expressions)

    @overload
    def values_list(self, field: Expr[T1], /, *, flat: Literal[True]) -> QuerySet[M, T1]: ...
    @overload
    def values_list(self, a: Expr[T1], /) -> QuerySet[M, tuple[T1]]: ...
    @overload
    def values_list(self, a: Expr[T1], b: Expr[T2], /) -> QuerySet[M, tuple[T1, T2]]: ...
    @overload
    def values_list(self, a: Expr[T1], b: Expr[T2], c: Expr[T3], /) -> QuerySet[M, tuple[T1, T2, T3]]: ...
    @overload
    def values_list(
        self, a: Expr[T1], b: Expr[T2], c: Expr[T3], d: Expr[T4], /
    ) -> QuerySet[M, tuple[T1, T2, T3, T4]]: ...
    @overload
    def values_list(
        self, a: Expr[T1], b: Expr[T2], c: Expr[T3], d: Expr[T4], e: Expr[T5], /
    ) -> QuerySet[M, tuple[T1, T2, T3, T4, T5]]: ...
    @overload
    def values_list(
        self, a: Expr[T1], b: Expr[T2], c: Expr[T3], d: Expr[T4], e: Expr[T5], f: Expr[T6], /
    ) -> QuerySet[M, tuple[T1, T2, T3, T4, T5, T6]]: ...
    @overload
    def values_list(
        self, *fields: Any, flat: Literal[False] = ..., named: Literal[False] = ...
    ) -> QuerySet[M, tuple[Any, ...]]: ...
    @overload
    def values_list(self, *fields: Any, flat: bool = ..., named: bool = ...) -> QuerySet[M, Any]: ...
    def values_list(self, *fields: Any, flat: bool = False, named: bool = False) -> QuerySet[M, Any]:
        """Rows as tuples; with `flat=True`, as the values of one field; with `named=True`, as named tuples."""
        if flat and named:
            raise QueryError("values_list() is either flat or named.")
        return self._selecting("flat" if flat else "named" if named else "tuples", fields, {})

    def _selecting(
        self, shape: Literal["dicts", "tuples", "named", "flat"], fields: Any, named: Any
    ) -> QuerySet[M, Any]:
        query = self._query
        if isinstance(query, Combination):
            columns_of_parts = (
                Columns.of(part.resolver(), shape, fields, named, part.selected_annotations) for part in query.parts
            )
            return self._clone(query.choosing(tuple(columns_of_parts)))
        if named:
            # As in Django, a named expression is an annotation, which later calls may refer to.
            annotations = {name: value for name, value in named.items() if _is_annotation(query.info, name, value)}
            named = {**named, **{name: F(name) for name in annotations}}
            query = self._annotated(annotations, selected=True)._query
        resolver = query.resolver()
        columns = Columns.of(resolver, shape, fields, named, query.selected_annotations)
        grouping = groups_for(query, [term for term in columns.terms if not isinstance(term, AnnotationTerm)])
        return self._clone(query.with_joins(resolver.joins, projection=columns, **grouping))

    def dates(self, field: str, kind: str, order: Literal["ASC", "DESC"] = "ASC") -> QuerySet[M, datetime.date]:
        """The distinct years, months, weeks or days (`kind`) of the field, as their first dates; NULLs are skipped."""
        return date_querysets.dates(self, field, kind, order)

    def datetimes(
        self,
        field: str,
        kind: str,
        order: Literal["ASC", "DESC"] = "ASC",
        tzinfo: datetime.tzinfo | None = None,
    ) -> QuerySet[M, datetime.datetime]:
        """Like `dates()`, down to the second. Aware datetimes are truncated in `tzinfo` (UTC by default)."""
        return date_querysets.datetimes(self, field, kind, order, tzinfo)

    def graph(self, *shapes: str | Prefetch | Mapping[str, Any], budget: GraphBudget = BUDGET) -> Graph[R]:
        """The rows with the relations in `shapes`, in one round trip at any depth: await it, or its `as_dicts()`.

            await Artist.objects.graph("albums__tracks", "albums__label")
            await Artist.objects.graph({"albums": {"tracks": {"limit": 3, "order_by": "-plays"}, "label": None}})

        A shape maps each relation to None, to a queryset, or to a dict of further relations and options: `filter` and
        `exclude` (a dict of lookups, or a condition), `order_by`, `limit` (per owner) and `to_attr`.

        Raises `FieldError` for a name that is not a relation, `GraphTooLarge` if the result exceeds the `budget`.
        """
        return Graph(self._clone(self._query.replace(branches=with_shapes(self._query, shapes))), budget)

    def raw(self, sql: str, values: Mapping[str, Any] | None = None) -> RawQuerySet[M]:
        """Instances from your own SQL: see `Model.raw()`.

        As in Django, the queryset's filters and ordering are ignored. Only the database of `using()` is kept.
        """
        return RawQuerySet(self._query.info, sql, values, self._using)


def _is_annotation(info: ModelInfo, name: str, value: Any) -> bool:
    """Whether later calls may refer to a named column of values() by its name.

    A name that the model has keeps its meaning: ``values(price=Item.price + 1).order_by("price")`` orders by the field.
    """
    if not name.isidentifier() or has_attribute(info, name):
        return False
    return not isinstance(value, ClauseElement) and key_parts(info, value) is None
