"""`SyncQuerySet`: a queryset whose methods return rows instead of coroutines."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import databases
from typing_extensions import Self
from typing_extensions import TypeVar as DefaultTypeVar

from orm import execution
from orm.expressions.base import ConditionLike, Operand, OrderTerm
from orm.expressions.ctes import CTE
from orm.functions.aggregates import Aggregate
from orm.loading.graph import BUDGET, Graph, GraphBudget
from orm.loading.prefetch_paths import Prefetch
from orm.loading.strategies import Strategy
from orm.query.query import Query
from orm.queryset.paging import NumberedPage, Page
from orm.queryset.queryset import QuerySet
from orm.queryset.raw import RawQuerySet
from orm.relations.fetch_modes import FetchMode
from orm.synchronous.bridge import ITERATOR_ROWS, inside, iterate
from orm.synchronous.graph import SyncGraph, SyncRawQuerySet
from orm.utils.blocking import run
from orm.writing.delete_preview import DeletePlan

if TYPE_CHECKING:
    from orm.models import Model

M = TypeVar("M", bound="Model")
R = DefaultTypeVar("R", default=Any)

wrappers: list[tuple[type[Any], Callable[[Any], Any]]] = []
"""The synchronous form of each class of asynchronous objects. The first class that fits counts."""


def synchronous(value: Any) -> Any:
    """The synchronous form of what a method of the asynchronous ORM returns: of a coroutine, its result."""
    if isinstance(value, SyncQuerySet):
        return value
    for kind, wrapper in wrappers:
        if isinstance(value, kind):
            return wrapper(value)
    if hasattr(value, "__await__") and not hasattr(value, "_meta"):  # models can be awaited, too
        return run(value)
    return iterate(value, ITERATOR_ROWS) if hasattr(value, "__anext__") else value


def asynchronous(value: Any) -> Any:
    """The asynchronous form of an argument."""
    return getattr(value, "_queryset", value) if isinstance(value, SyncQuerySet) else value


class SyncQuerySet(Generic[M, R]):
    """A query of the model `M` that returns rows of type `R`, in code without `await`: see `orm.sync`.

    It has the methods of `QuerySet`, with the same arguments, answers and errors. Those that send a query return its
    result. The rows are read with ``list()``, by a loop, or with `all()`; each reads them anew. `iterator()` streams
    them in constant memory.

        notes = Note.objects.filter(completed=False).order_by("-id")[:10].all()
    """

    def __init__(self, queryset: QuerySet[M, R]) -> None:
        self._queryset = queryset

    def __repr__(self) -> str:
        return f"<synchronous {self._queryset!r}>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What a queryset class or manager of the application adds."""
            if name.startswith("__"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            value = inside(getattr, self._queryset, name)
            if not callable(value) or isinstance(value, type):
                return synchronous(value)
            return lambda *args, **options: self._chain(value, *args, **options)

    # What other parts of the ORM ask of a queryset that is their argument.

    @property
    def _query(self) -> Query:
        return self._queryset._query

    @property
    def _using(self) -> databases.Database | None:
        return self._queryset._using

    def __await__(self) -> Generator[Any, None, list[R]]:
        """The rows, where a synchronous queryset is passed to asynchronous code."""
        return self._queryset.__await__()

    def __aiter__(self) -> AsyncIterator[R]:
        return self._queryset.__aiter__()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._queryset,)

    def _chain(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return synchronous(inside(function, *map(asynchronous, args), **options))

    # Reading.

    def __iter__(self) -> Iterator[R]:
        return iter(run(self._queryset))

    def __len__(self) -> int:
        raise TypeError(f"{self!r} is not loaded: count its rows by len(queryset.all()), or queryset.count().")

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is not loaded: use queryset.exists(), or queryset.all() for its rows.")

    def __contains__(self, row: object) -> bool:
        return row in run(self._queryset)

    @overload
    def __getitem__(self, index: slice) -> SyncQuerySet[M, R]: ...
    @overload
    def __getitem__(self, index: int) -> R: ...
    def __getitem__(self, index: slice | int) -> Any:
        """`qs[2:5]` is a queryset of some of the rows; `qs[3]` is one row (`IndexError` if there is none)."""
        return self._chain(self._queryset.__getitem__, index)

    def all(self, /, **lookups: Any) -> list[R]:
        """The rows, as a list; with lookups, those that match.

        Unlike the asynchronous `all()`, it reads them: leave it out where another method follows.
        """
        return run(inside(self._queryset.all, **lookups))

    def iterator(self, chunk_size: int = ITERATOR_ROWS) -> Iterator[R]:
        """The rows one by one, read from the database while the loop runs, as by ``async for``."""
        return iterate(self._queryset.__aiter__(), chunk_size)

    def aggregate(self, /, *aggregates: Aggregate[Any], **expressions: Any) -> dict[str, Any]:
        """See `QuerySet.aggregate()`."""
        return run(self._queryset.aggregate(*aggregates, **expressions))

    def get(self, /, *conditions: Any, **lookups: Any) -> R:
        """See `QuerySet.get()`."""
        return run(self._queryset.get(*conditions, **lookups))

    def get_or_none(self, /, *conditions: Any, **lookups: Any) -> R | None:
        """See `QuerySet.get_or_none()`."""
        return run(self._queryset.get_or_none(*conditions, **lookups))

    def first(self, /, *conditions: Any, **lookups: Any) -> R | None:
        """See `QuerySet.first()`."""
        return run(self._queryset.first(*conditions, **lookups))

    def last(self, /, *conditions: Any, **lookups: Any) -> R | None:
        """See `QuerySet.last()`."""
        return run(self._queryset.last(*conditions, **lookups))

    def earliest(self, *fields: str) -> R:
        """See `QuerySet.earliest()`."""
        return run(self._queryset.earliest(*fields))

    def latest(self, *fields: str) -> R:
        """See `QuerySet.latest()`."""
        return run(self._queryset.latest(*fields))

    def contains(self, obj: M) -> bool:
        """See `QuerySet.contains()`."""
        return run(self._queryset.contains(obj))

    def page(self, *, after: str | None = None, before: str | None = None, size: int = 50) -> Page[R]:
        """See `QuerySet.page()`."""
        return run(self._queryset.page(after=after, before=before, size=size))

    def paginate(self, page: int = 1, size: int = 50) -> NumberedPage[R]:
        """See `QuerySet.paginate()`."""
        return run(self._queryset.paginate(page, size))

    def in_batches(self, size: int = 1000) -> Iterator[list[R]]:
        """See `QuerySet.in_batches()`."""
        return iterate(self._queryset.in_batches(size), 1)

    def count(self) -> int:
        """See `QuerySet.count()`."""
        return run(self._queryset.count())

    def exists(self) -> bool:
        """See `QuerySet.exists()`."""
        return run(self._queryset.exists())

    def in_bulk(self, keys: Iterable[Any] | None = None, *, field_name: str = "pk") -> dict[Any, R]:
        """See `QuerySet.in_bulk()`."""
        return run(self._queryset.in_bulk(asynchronous(keys), field_name=field_name))

    def explain(self, *, analyze: bool = False, format: str | None = None, **options: bool) -> str:
        """See `QuerySet.explain()`."""
        return run(self._queryset.explain(analyze=analyze, format=format, **options))

    @property
    def model(self) -> type[M]:
        """The model."""
        return self._queryset.model

    @property
    def database(self) -> databases.Database:
        """The database on which the query runs."""
        return self._queryset.database

    @property
    def ordered(self) -> bool:
        """See `QuerySet.ordered`."""
        return self._queryset.ordered

    @property
    def sql(self) -> execution.Statement:
        """See `QuerySet.sql`."""
        return self._queryset.sql

    # Chaining.

    def none(self) -> Self:
        """See `QuerySet.none()`."""
        return self._chain(self._queryset.none)  # type: ignore[no-any-return]

    def filter(self, /, *conditions: ConditionLike | type[Any] | bool, **lookups: Any) -> Self:
        """See `QuerySet.filter()`."""
        return self._chain(self._queryset.filter, *conditions, **lookups)  # type: ignore[no-any-return]

    def exclude(self, /, *conditions: ConditionLike | type[Any] | bool, **lookups: Any) -> Self:
        """See `QuerySet.exclude()`."""
        return self._chain(self._queryset.exclude, *conditions, **lookups)  # type: ignore[no-any-return]

    def search(self, term: str) -> Self:
        """See `QuerySet.search()`."""
        return self._chain(self._queryset.search, term)  # type: ignore[no-any-return]

    def order_by(self, *terms: OrderTerm) -> Self:
        """See `QuerySet.order_by()`."""
        return self._chain(self._queryset.order_by, *terms)  # type: ignore[no-any-return]

    def reverse(self) -> Self:
        """See `QuerySet.reverse()`."""
        return self._chain(self._queryset.reverse)  # type: ignore[no-any-return]

    def distinct(self, *fields: str) -> Self:
        """See `QuerySet.distinct()`."""
        return self._chain(self._queryset.distinct, *fields)  # type: ignore[no-any-return]

    def select_for_update(
        self, *, nowait: bool = False, skip_locked: bool = False, of: Sequence[str] = (), no_key: bool = False
    ) -> Self:
        """See `QuerySet.select_for_update()`."""
        options: dict[str, Any] = {"nowait": nowait, "skip_locked": skip_locked, "of": of, "no_key": no_key}
        return self._chain(self._queryset.select_for_update, **options)  # type: ignore[no-any-return]

    def select_for_share(self, *, nowait: bool = False, skip_locked: bool = False, of: Sequence[str] = ()) -> Self:
        """See `QuerySet.select_for_share()`."""
        options: dict[str, Any] = {"nowait": nowait, "skip_locked": skip_locked, "of": of}
        return self._chain(self._queryset.select_for_share, **options)  # type: ignore[no-any-return]

    def limit(self, count: int, *, per: Operand | Sequence[Operand] | None = None) -> Self:
        """See `QuerySet.limit()`."""
        return self._chain(self._queryset.limit, count, per=per)  # type: ignore[no-any-return]

    def offset(self, count: int) -> Self:
        """See `QuerySet.offset()`."""
        return self._chain(self._queryset.offset, count)  # type: ignore[no-any-return]

    def with_cte(self, *ctes: CTE) -> Self:
        """See `QuerySet.with_cte()`."""
        return self._chain(self._queryset.with_cte, *ctes)  # type: ignore[no-any-return]

    def union(self, *others: SyncQuerySet[Any, Any], all: bool = False) -> Self:
        """See `QuerySet.union()`."""
        return self._chain(self._queryset.union, *others, all=all)  # type: ignore[no-any-return]

    def intersection(self, *others: SyncQuerySet[Any, Any]) -> Self:
        """See `QuerySet.intersection()`."""
        return self._chain(self._queryset.intersection, *others)  # type: ignore[no-any-return]

    def difference(self, *others: SyncQuerySet[Any, Any]) -> Self:
        """See `QuerySet.difference()`."""
        return self._chain(self._queryset.difference, *others)  # type: ignore[no-any-return]

    def __and__(self, other: SyncQuerySet[M, Any]) -> Self:
        return self._chain(self._queryset.__and__, other)  # type: ignore[no-any-return]

    def __or__(self, other: SyncQuerySet[M, Any]) -> Self:
        return self._chain(self._queryset.__or__, other)  # type: ignore[no-any-return]

    def __xor__(self, other: SyncQuerySet[M, Any]) -> Self:
        return self._chain(self._queryset.__xor__, other)  # type: ignore[no-any-return]

    def annotate(self, /, *aggregates: Aggregate[Any], **expressions: Any) -> Self:
        """See `QuerySet.annotate()`."""
        return self._chain(self._queryset.annotate, *aggregates, **expressions)  # type: ignore[no-any-return]

    def alias(self, /, *aggregates: Aggregate[Any], **expressions: Any) -> Self:
        """See `QuerySet.alias()`."""
        return self._chain(self._queryset.alias, *aggregates, **expressions)  # type: ignore[no-any-return]

    def using(self, database: databases.Database) -> Self:
        """See `QuerySet.using()`."""
        return self._chain(self._queryset.using, database)  # type: ignore[no-any-return]

    def using_schema(self, name: str) -> Self:
        """See `QuerySet.using_schema()`."""
        return self._chain(self._queryset.using_schema, name)  # type: ignore[no-any-return]

    def select_related(self, *relations: str | Sequence[str] | None) -> Self:
        """See `QuerySet.select_related()`."""
        return self._chain(self._queryset.select_related, *relations)  # type: ignore[no-any-return]

    def prefetch_related(self, *lookups: str | Prefetch | None) -> Self:
        """See `QuerySet.prefetch_related()`."""
        return self._chain(self._queryset.prefetch_related, *lookups)  # type: ignore[no-any-return]

    def options(self, *strategies: Strategy) -> Self:
        """See `QuerySet.options()`."""
        return self._chain(self._queryset.options, *strategies)  # type: ignore[no-any-return]

    def only(self, *names: str) -> Self:
        """See `QuerySet.only()`."""
        return self._chain(self._queryset.only, *names)  # type: ignore[no-any-return]

    def defer(self, *names: str | None) -> Self:
        """See `QuerySet.defer()`."""
        return self._chain(self._queryset.defer, *names)  # type: ignore[no-any-return]

    def fetch_mode(self, mode: FetchMode) -> Self:
        """See `QuerySet.fetch_mode()`."""
        return self._chain(self._queryset.fetch_mode, mode)  # type: ignore[no-any-return]

    def values(self, /, *fields: Any, **expressions: Any) -> SyncQuerySet[M, dict[str, Any]]:
        """See `QuerySet.values()`."""
        rows: SyncQuerySet[M, dict[str, Any]] = self._chain(self._queryset.values, *fields, **expressions)
        return rows

    @overload
    def values_list(
        self, *fields: Any, flat: Literal[False] = ..., named: Literal[False] = ...
    ) -> SyncQuerySet[M, tuple[Any, ...]]: ...
    @overload
    def values_list(self, *fields: Any, flat: bool = ..., named: bool = ...) -> SyncQuerySet[M, Any]: ...
    def values_list(self, *fields: Any, flat: bool = False, named: bool = False) -> SyncQuerySet[M, Any]:
        """See `QuerySet.values_list()`."""
        rows: SyncQuerySet[M, Any] = self._chain(self._queryset.values_list, *fields, flat=flat, named=named)
        return rows

    def dates(self, field: str, kind: str, order: Literal["ASC", "DESC"] = "ASC") -> SyncQuerySet[M, datetime.date]:
        """See `QuerySet.dates()`."""
        rows: SyncQuerySet[M, datetime.date] = self._chain(self._queryset.dates, field, kind, order)
        return rows

    def datetimes(
        self,
        field: str,
        kind: str,
        order: Literal["ASC", "DESC"] = "ASC",
        tzinfo: datetime.tzinfo | None = None,
    ) -> SyncQuerySet[M, datetime.datetime]:
        """See `QuerySet.datetimes()`."""
        rows: SyncQuerySet[M, datetime.datetime] = self._chain(self._queryset.datetimes, field, kind, order, tzinfo)
        return rows

    def graph(self, *shapes: str | Prefetch | Mapping[str, Any], budget: GraphBudget = BUDGET) -> SyncGraph[R]:
        """See `QuerySet.graph()`."""
        graph: SyncGraph[R] = self._chain(self._queryset.graph, *shapes, budget=budget)
        return graph

    def raw(self, sql: str, values: Mapping[str, Any] | None = None) -> SyncRawQuerySet[M]:
        """See `QuerySet.raw()`."""
        return SyncRawQuerySet(self._queryset.raw(sql, values))

    # Writing.

    def create(self, /, **values: Any) -> M:
        """See `QuerySet.create()`."""
        return run(self._queryset.create(**values))

    def bulk_create(
        self,
        rows: Iterable[M | Mapping[str, Any]] | SyncQuerySet[M, M],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Iterable[str] | None = (),
        unique_fields: Iterable[str] | None = (),
    ) -> list[M]:
        """See `QuerySet.bulk_create()`."""
        return run(
            self._queryset.bulk_create(
                asynchronous(rows), batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
            )
        )

    def full_clean(
        self,
        rows: Iterable[M | Mapping[str, Any]] | SyncQuerySet[M, M],
        *,
        exclude: Collection[str] = (),
        validate_constraints: bool = True,
    ) -> list[M]:
        """See `QuerySet.full_clean()`."""
        checked = self._queryset.full_clean(
            asynchronous(rows), exclude=exclude, validate_constraints=validate_constraints
        )
        return run(checked)

    @overload
    def create_graph(self, rows: M | Mapping[str, Any]) -> M: ...
    @overload
    def create_graph(self, rows: Iterable[M | Mapping[str, Any]]) -> list[M]: ...
    def create_graph(self, rows: Any) -> M | list[M]:
        """See `QuerySet.create_graph()`."""
        created: M | list[M] = run(self._queryset.create_graph(rows))
        return created

    @overload
    def update_graph(self, rows: M | Mapping[str, Any], *, missing: Literal["delete", "detach", "keep"] = ...) -> M: ...
    @overload
    def update_graph(
        self, rows: Iterable[M | Mapping[str, Any]], *, missing: Literal["delete", "detach", "keep"] = ...
    ) -> list[M]: ...
    def update_graph(self, rows: Any, *, missing: Literal["delete", "detach", "keep"] = "delete") -> Any:
        """See `QuerySet.update_graph()`."""
        return run(self._queryset.update_graph(rows, missing=missing))

    @overload
    def upsert(
        self, rows: M | Mapping[str, Any], *, unique_fields: Sequence[str] = ..., update_fields: Sequence[str] = ...
    ) -> M: ...
    @overload
    def upsert(
        self,
        rows: Iterable[M | Mapping[str, Any]],
        *,
        unique_fields: Sequence[str] = ...,
        update_fields: Sequence[str] = ...,
    ) -> list[M]: ...
    def upsert(self, rows: Any, *, unique_fields: Sequence[str] = (), update_fields: Sequence[str] = ()) -> M | list[M]:
        """See `QuerySet.upsert()`."""
        written: M | list[M] = run(
            self._queryset.upsert(rows, unique_fields=unique_fields, update_fields=update_fields)
        )
        return written

    def bulk_update(
        self, instances: Iterable[M] | SyncQuerySet[M, M], fields: Sequence[str], batch_size: int | None = None
    ) -> int:
        """See `QuerySet.bulk_update()`."""
        return run(self._queryset.bulk_update(asynchronous(instances), fields, batch_size))

    @overload
    def update(self, /, *, returning: None = ..., **values: Any) -> int: ...
    @overload
    def update(self, /, *, returning: Literal[True], **values: Any) -> list[M]: ...
    @overload
    def update(self, /, *, returning: Sequence[str], **values: Any) -> list[dict[str, Any]]: ...
    def update(self, /, *, returning: Sequence[str] | Literal[True] | None = None, **values: Any) -> Any:
        """See `QuerySet.update()`."""
        updated: Any = self._queryset.update
        return run(updated(returning=returning, **values))

    @overload
    def delete(self, *, returning: None = ...) -> int: ...
    @overload
    def delete(self, *, returning: Literal[True]) -> list[M]: ...
    @overload
    def delete(self, *, returning: Sequence[str]) -> list[dict[str, Any]]: ...
    def delete(self, *, returning: Sequence[str] | Literal[True] | None = None) -> Any:
        """See `QuerySet.delete()`."""
        deleted: Any = self._queryset.delete
        return run(deleted(returning=returning))

    def collect_delete(self) -> DeletePlan:
        """See `QuerySet.collect_delete()`."""
        return run(self._queryset.collect_delete())

    def refresh(self, *, concurrently: bool = False) -> None:
        """See `QuerySet.refresh()`."""
        run(self._queryset.refresh(concurrently=concurrently))

    def get_or_create(self, /, defaults: Mapping[str, Any] | None = None, **lookups: Any) -> tuple[M, bool]:
        """See `QuerySet.get_or_create()`."""
        return run(self._queryset.get_or_create(defaults, **lookups))

    def update_or_create(
        self,
        /,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        **lookups: Any,
    ) -> tuple[M, bool]:
        """See `QuerySet.update_or_create()`."""
        return run(self._queryset.update_or_create(defaults, create_defaults, **lookups))


wrappers += [(Graph, SyncGraph), (RawQuerySet, SyncRawQuerySet), (QuerySet, SyncQuerySet)]
