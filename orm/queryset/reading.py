"""`ReadMethods`: the methods of a queryset that read from the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Generator, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from typing_extensions import Self
from typing_extensions import TypeVar as DefaultTypeVar

from orm import execution
from orm.database.connections import schemas
from orm.exceptions import FieldError, QueryError
from orm.expressions.subqueries import is_queryset
from orm.fields import Field
from orm.functions.aggregates import Aggregate
from orm.loading.parents import PrefetchParents
from orm.loading.prefetch import complete_instances, remember_database
from orm.mapping.constraints import UniqueConstraint
from orm.mapping.model_info import ModelInfo
from orm.query.projection import Projection
from orm.query.query import Query
from orm.queryset.chaining import ChainMethods, check_index
from orm.queryset.paging import NumberedPage, Page, batches, check_size, fetch_page

if TYPE_CHECKING:
    from orm.models import Model

M = TypeVar("M", bound="Model")
R = DefaultTypeVar("R", default=Any)


def has_constraint(info: ModelInfo, field: Field[Any]) -> bool:
    """Whether a `UniqueConstraint` makes the values of one field unique."""
    column = info.require_table().c[field.column_name]
    return any(
        isinstance(bound.declared, UniqueConstraint)
        and bound.condition is None
        and len(bound.keys) == 1
        and bound.keys[0] is column
        for bound in info.constraints
    )


class ReadMethods(ChainMethods[M, R]):
    """Reading the rows, one row, or their number."""

    if TYPE_CHECKING:

        def __iter__(self) -> None: ...  # no iterator, so that type checkers refuse the loop as well

    else:

        def __iter__(self):
            raise TypeError(f"{self!r} is not loaded yet: await it for a list, or loop with `async for`.")

        def __len__(self):
            raise TypeError(f"{self!r} is not loaded yet: await it for a list, or `await ….count()`.")

        def __contains__(self, row):
            raise TypeError(f"{self!r} is not loaded yet: `row in await queryset`, or `await queryset.contains(row)`.")

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} is not loaded yet: await it for a list, or `await ….exists()`.")

    @overload
    def __getitem__(self, index: slice) -> Self: ...
    @overload
    def __getitem__(self, index: int) -> Coroutine[Any, Any, R]: ...
    def __getitem__(self, index: slice | int) -> Any:
        """`qs[2:5]` is a queryset of some of the rows; `await qs[3]` is one row (`IndexError` if there is none)."""
        if isinstance(index, slice):
            if index.step is not None:
                raise QueryError("A queryset cannot be sliced in steps.")
            start = 0 if index.start is None else check_index(index.start, "a slice")
            stop = None if index.stop is None else check_index(index.stop, "a slice")
            sliced = self._query.slice(start, None if stop is None else max(start, stop))
            return self._clone(sliced.replace(sliced=True))
        return self._at(check_index(index, "an index"))

    async def _at(self, index: int) -> R:
        rows = await self[index : index + 1]
        if not rows:
            raise IndexError(f"This query of {self._query.info.name} has no row {index}.")
        return rows[0]

    async def aggregate(self, /, *aggregates: Aggregate[Any], **expressions: Any) -> dict[str, Any]:
        """The aggregates over all rows, as a dict: ``await Note.objects.aggregate(Count("id"), top=Max("views"))``."""
        query = self._query
        resolver = query.aggregate_resolver()
        named = self._named(aggregates, expressions)
        if not named:
            return {}
        terms = {name: resolver.named(name, expression) for name, expression in named.items()}
        for name, term in terms.items():
            if not term.aggregate:
                raise FieldError(f"aggregate({name}=...) takes aggregates, and {named[name]!r} is not one.")
        return await execution.aggregate(query, terms, self.database)

    def __await__(self) -> Generator[Any, None, list[R]]:
        return self._fetch().__await__()

    def _fetch(self) -> Coroutine[Any, Any, list[R]]:
        return self._fetch_query(self._query)

    def _fetch_query(self, query: Query, values: tuple[Any, ...] | None = None) -> Coroutine[Any, Any, list[R]]:
        """The rows of a query; with `values`, of one that differs from it only in these arguments."""
        if self._given is None and query.needs_no_loading and not (schemas.in_use and self._using):
            return execution.fetch(query, self.database, values)
        return self._fetch_and_load(query, values)

    async def _fetch_and_load(self, query: Query, values: tuple[Any, ...] | None) -> list[R]:
        query = query.with_branch_keys
        parents = PrefetchParents.of(query)
        rows: list[R] = await execution.fetch(
            query, self.database, values, on_batch=None if parents is None else parents.add
        )
        await complete_instances(query, rows, self._using, all_rows=True, parents=parents)
        return rows

    async def __aiter__(self) -> AsyncIterator[R]:
        query = self._query.with_branch_keys
        async with aclosing(execution.stream(query, self.database)) as batches:
            async for batch in batches:
                await complete_instances(query, batch, self._using)
                batch.reverse()
                while batch:  # Rows that the caller has released are freed before the next batch.
                    yield batch.pop()

    def _remember_database(self, rows: list[R], projection: Projection) -> list[R]:
        if self._using is not None:
            remember_database(rows, projection, self._using)
        return rows

    async def get(self, /, *conditions: Any, **lookups: Any) -> R:
        """The only row that matches.

        Raises `Model.DoesNotExist` (a `NoMatch`) if there is none, and `Model.MultipleObjectsReturned` (a
        `MultipleMatches`) if there is more than one.
        """
        if lookups and not conditions:
            rows = await self._fetch_query(*self._query.get_memo.resolve(lookups, partial(self._first_two, ())))
        else:
            query = self._first_two(conditions, lookups)
            rows = await (self._fetch() if query is self._query else self._fetch_query(query))
        return rows[0] if len(rows) == 1 else self._only_row(rows, lookups)

    def _only_row(self, rows: list[R], lookups: Mapping[str, Any]) -> R:
        """The only one of these rows. Raises `DoesNotExist` or `MultipleObjectsReturned`."""
        if len(rows) == 1:
            return rows[0]
        name = self._query.info.name
        if not rows:
            raise self.model.DoesNotExist(f"No {name} matches{_described(lookups)}.")
        raise self.model.MultipleObjectsReturned(f"More than one {name} matches{_described(lookups)}.")

    async def get_or_none(self, /, *conditions: Any, **lookups: Any) -> R | None:
        """The only row that matches, or None if there is none.

        Raises `Model.MultipleObjectsReturned` if there is more than one.
        """
        try:
            return await self.get(*conditions, **lookups)
        except self.model.DoesNotExist:
            return None

    def _first_two(self, conditions: Sequence[Any], lookups: Mapping[str, Any]) -> Query:
        """The query of the first two rows that match."""
        query = self.filter(*conditions, **lookups)._query if conditions or lookups else self._query
        if query.is_limited:
            return query
        return query.replace(stop=2, ordering=query.ordering if query.distinct_on else ())

    async def first(self, /, *conditions: Any, **lookups: Any) -> R | None:
        """The first row (by primary key, if the query has no order), or None."""
        rows = await self._clone(self._first_one(conditions, lookups))
        return rows[0] if rows else None

    def _first_one(self, conditions: Sequence[Any], lookups: Mapping[str, Any]) -> Query:
        """The query of the first row that matches."""
        query = self.filter(*conditions, **lookups)._query if conditions or lookups else self._query
        return (query if query.is_limited else query.with_order()).slice(0, 1)

    def _without_loading(self) -> Self:
        """The same rows, with nothing loaded along with them."""
        return self._clone(self._query.replace(branches=(), suppressed=(), fetch_mode=None))

    async def last(self, /, *conditions: Any, **lookups: Any) -> R | None:
        """The last row (by primary key, if the query has no order), or None."""
        queryset = self.filter(*conditions, **lookups) if conditions or lookups else self
        if queryset._query.is_limited:
            raise QueryError("last() after a slice or a limit: reverse() and slice instead.")
        rows = await queryset._clone(queryset._query.reversed().slice(0, 1))
        return rows[0] if rows else None

    async def earliest(self, *fields: str) -> R:
        """The first row in the order of these fields (or of ``Meta.get_latest_by``).

        Raises `Model.DoesNotExist` if there is none.
        """
        return await self._first_by("earliest()", fields, reverse=False)

    async def latest(self, *fields: str) -> R:
        """The last row in the order of these fields (or of ``Meta.get_latest_by``).

        Raises `Model.DoesNotExist` if there is none.
        """
        return await self._first_by("latest()", fields, reverse=True)

    async def _first_by(self, what: str, fields: tuple[str, ...], *, reverse: bool) -> R:
        by = fields or self._query.info.options.get_latest_by
        if not by:
            raise QueryError(f"{what} needs fields, or get_latest_by in the Meta of {self._query.info.name}.")
        if self._query.is_limited:
            raise QueryError(f"{what} after a slice or a limit would change which rows were sliced.")
        ordered = self.order_by(*by)
        query = ordered._query.reversed() if reverse else ordered._query
        return await ordered._clone(query.slice(0, 1)).get()

    async def contains(self, obj: M) -> bool:
        """Whether the query returns this instance's row. Raises `QueryError` for an unsaved instance."""
        self._instances("contains()")
        if not hasattr(obj, "_meta"):
            raise QueryError(f"contains() takes an instance of {self._query.info.name}, got {type(obj).__name__}.")
        if obj._meta.concrete is not self._query.info.concrete:
            return False
        if obj.pk is None:
            raise QueryError(f"contains() takes a saved instance, and this {obj._meta.name} has no primary key.")
        if self._query.is_limited:
            raise QueryError("contains() cannot follow a slice or a limit: search the rows that it returns.")
        return await self.filter(pk=obj.pk).exists()

    async def page(self, *, after: str | None = None, before: str | None = None, size: int = 50) -> Page[R]:
        """At most `size` rows in the query's order: the first ones, or those after or before a cursor.

            page = await Note.objects.order_by("-created").page(size=20)
            page = await Note.objects.order_by("-created").page(after=page.next_cursor, size=20)

        Every page costs the same, however deep. Rows that are inserted or deleted between two pages neither repeat
        rows nor skip any. Rows that are equal in the order are ordered by primary key. Raises `QueryError` for a
        cursor that is damaged, or was made for another model or order.
        """
        query = self._query.with_branch_keys
        page: Page[R] = await fetch_page(query, self.database, after, before, size)
        await complete_instances(query, page.items, self._using)
        return page

    async def paginate(self, page: int = 1, size: int = 50) -> NumberedPage[R]:
        """The rows of a numbered page, with the total: for page numbers on a small table.

            page = await Note.objects.order_by("-created").paginate(page=3, size=20)
            f"page {page.number} of {page.pages}, {page.total} notes"

        A page after the last is empty. The database reads the rows of all previous pages, and counts all rows unless
        this is the last page. For long lists, and for rows that change meanwhile, use `page()`. Rows without an order
        are ordered by primary key. Raises `QueryError` for a page or a size below 1.
        """
        number = check_size(page, "paginate()", "page")
        check_size(size, "paginate()")
        rows = self._clone(self._query.with_order())[(number - 1) * size : number * size]
        items = await rows
        if (items and len(items) < size) or (not items and number == 1):
            return NumberedPage(items, number, size, (number - 1) * size + len(items))
        return NumberedPage(items, number, size, await self.count())

    async def in_batches(self, size: int = 1000) -> AsyncIterator[list[R]]:
        """All rows by primary key, in lists of `size`. Each list is a query, so rows may be changed in between.

        async for notes in Note.objects.filter(old=True).in_batches(500):
            await archive(notes)
        """
        query = self._query.with_branch_keys
        async for rows in batches(query, self.database, size):
            await complete_instances(query, rows, self._using)
            yield rows

    async def count(self) -> int:
        """The number of rows."""
        return await execution.count(self._query, self.database)

    async def exists(self) -> bool:
        """Whether the query returns any row."""
        return await execution.exists(self._query, self.database)

    async def in_bulk(self, keys: Iterable[Any] | None = None, *, field_name: str = "pk") -> dict[Any, R]:
        """A dict of instances by primary key (or by another unique field). Keys without a row are left out."""
        info = self._query.info
        if field_name == "pk":
            names = tuple(field.attname for field in info.pk_fields)
        else:
            field = info.fields.get(field_name) or info.by_attname.get(field_name)
            if field is None:
                raise info.unknown(field_name, "the field_name of in_bulk()")
            distinct_on = [term.field for term in self._query.distinct_on]
            if not (field.unique or field.primary_key or has_constraint(info, field) or distinct_on == [field]):
                raise QueryError(f"in_bulk() takes a unique field, and {info.name}.{field_name} is not.")
            names = (field.attname,)
        if self._query.is_limited:
            raise QueryError("in_bulk() cannot follow a slice or a limit.")
        self._instances("in_bulk()")
        queryset = self
        if keys is not None:
            listed: Any = await all_rows(keys)
            queryset = self.filter(**{f"{field_name}__in": list(listed)})
        result: dict[Any, R] = {}
        for row in await queryset:
            parts = tuple(getattr(row, name) for name in names)
            result[parts[0] if len(parts) == 1 else parts] = row
        return result

    async def explain(self, *, analyze: bool = False, format: str | None = None, **options: bool) -> str:
        """The database's execution plan for the query (EXPLAIN).

            print(await Note.objects.filter(text="x").explain(analyze=True, format="json"))

        Args:
            analyze: run the query, and show the rows and the time of each step (not on SQLite).
            format: one of the server's formats: ``"json"``, ``"text"``, ``"xml"``, ``"yaml"`` on PostgreSQL,
                ``"json"``, ``"traditional"``, and on MySQL ``"tree"``.
            options: PostgreSQL's further options, on or off: ``buffers=True``, ``verbose=True``, ``costs=False``. As in
                Django, capitals do not matter.

        Raises `NotSupportedError` for what the database does not have.
        """
        options = {name.lower(): value for name, value in options.items()}
        analyze = options.pop("analyze", analyze)
        return await execution.explain(self._query, self.database, analyze=analyze, format=format, options=options)


async def all_rows(rows: Any) -> Any:
    """The rows; of a queryset, those that it returns."""
    return await rows if is_queryset(rows) else rows


def _described(lookups: Mapping[str, Any]) -> str:
    return f" {', '.join(lookups)}" if lookups else ""
