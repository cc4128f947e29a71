"""`Graph`: a query and a tree of its relations, loaded in one round trip; its shapes and its budget."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import databases

from orm.exceptions import FieldError, GraphTooLarge, QueryError
from orm.execution import Statement
from orm.loading.fetch_graph import fetch_graph, show_graph
from orm.loading.prefetch import set_fetch_mode
from orm.loading.prefetch_paths import Prefetch, add_branches, get_relation
from orm.query.graph_sections import check_query
from orm.query.paths import relation_paths
from orm.query.prefetch_tree import Branch
from orm.query.query import Query
from orm.relations import GenericForeignKey
from orm.relations.attaching import attached_rows
from orm.relations.fetch_modes import FetchMode

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.queryset.paging import Page
    from orm.queryset.queryset import QuerySet

M = TypeVar("M")
ROWS_PER_PART = 200
"""How many rows of the query ``async for`` over a graph reads at a time."""
OPTIONS = ("filter", "exclude", "order_by", "limit", "to_attr")


@dataclass(frozen=True)
class GraphBudget:
    """How large a graph may be before `orm.GraphTooLarge` is raised. None means no limit.

    Attributes:
        depth: how many relations a path may have.
        rows: how many rows the database may return, all relations together. It sends at most one more of each.
        rows_per_parent: how many rows of one relation may belong to the same row.
    """

    depth: int | None = 8
    rows: int | None = 100_000
    rows_per_parent: int | None = 10_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise QueryError(f"GraphBudget({field.name}=...) takes a whole number or None, got {value!r}.")


BUDGET = GraphBudget()


class Graph(Generic[M]):
    """A query's rows with all relations that its shapes name: await it for the instances.

    The whole tree is loaded in one round trip, from one state of the database. Each row of the database becomes one
    instance, wherever it is in the tree.

        artists = await Artist.objects.filter(active=True).graph("albums__tracks", "albums__label")
        artist = await Artist.objects.graph("albums__tracks").get(name="Anderson .Paak")
    """

    def __init__(self, queryset: QuerySet[Any, M], budget: GraphBudget) -> None:
        query = queryset._query
        check_query(query)
        if not isinstance(budget, GraphBudget):
            raise QueryError(f"The budget of a graph() is an orm.GraphBudget, got {type(budget).__name__}.")
        self._queryset = queryset
        self._query = query
        self._database = queryset.database
        self._using = queryset._using
        self._budget = budget
        check_branches(query.branches, self._database, budget)

    def __repr__(self) -> str:
        return f"<Graph of {self._query.info.name}: {', '.join(_paths(self._query.branches)) or 'no relations'}>"

    def __await__(self) -> Generator[Any, None, list[M]]:
        return self._fetch(self._query).__await__()

    async def _fetch(self, query: Query) -> list[M]:
        budget = self._budget
        roots: list[M] = await fetch_graph(
            query, self._database, self._using, budget.rows, budget.rows_per_parent, as_dicts=False
        )
        if query.fetch_mode is not None:
            set_fetch_mode_of_graph(query, query.branches, roots, query.fetch_mode)
        return roots

    async def get(self, /, *conditions: Any, **lookups: Any) -> M:
        """The only row that matches, with its relations: see `QuerySet.get()`."""
        queryset = self._queryset
        return queryset._only_row(await self._fetch(queryset._first_two(conditions, lookups)), lookups)

    async def first(self, /, *conditions: Any, **lookups: Any) -> M | None:
        """The first row (by primary key, if the query has no order) with its relations, or None."""
        rows = await self._fetch(self._queryset._first_one(conditions, lookups))
        return rows[0] if rows else None

    async def count(self) -> int:
        """The number of rows, without their relations."""
        return await self._queryset.count()

    async def exists(self) -> bool:
        """Whether the query returns any row."""
        return await self._queryset.exists()

    async def page(self, *, after: str | None = None, before: str | None = None, size: int = 50) -> Page[M]:
        """At most `size` rows in the query's order, with their relations, after or before a cursor: two round trips.

        See `QuerySet.page()`.
        """
        names = [field.name for field in self._query.info.pk_fields]
        page = await self._queryset._without_loading().only(*names).page(after=after, before=before, size=size)
        return replace(page, items=await self._trees_of(page.items))

    async def __aiter__(self) -> AsyncIterator[M]:
        """The rows in the query's order with their relations. Some hundreds of them are in memory at a time.

        The budget applies to each part. Each part shows the state of the database at the time when it is read.
        """
        if self._query.is_limited or self._query.distinct_on:
            for row in await self:  # such a query cannot be read in parts
                yield row
            return
        cursor: str | None = None
        while True:
            page = await self.page(after=cursor, size=ROWS_PER_PART)
            for row in page.items:
                yield row
            if not page.has_next:
                return
            cursor = page.next_cursor

    async def _trees_of(self, rows: Sequence[Any]) -> list[M]:
        """These rows with their relations, in their order. Rows that are gone by now are left out."""
        if not rows:
            return []
        keys = [row.pk for row in rows]
        trees: dict[Any, M] = {
            tree.pk: tree  # type: ignore[attr-defined]
            for tree in await self._fetch(self._query.filter((), {"pk__in": keys}).replace(ordering=()))
        }
        return [trees[key] for key in keys if key in trees]

    async def as_dicts(self) -> list[dict[str, Any]]:
        """The tree as plain data that JSON can hold, without creating instances.

        Each row is a dict of its fields' values (``author_id`` for the key of a relation). Relations to many are lists,
        relations to one dicts or None. Dates and times are ISO 8601 text, decimals and UUIDs text, durations seconds,
        bytes base64. A row that several others refer to is the same dict in each of them.
        """
        budget = self._budget
        return await fetch_graph(
            self._query, self._database, self._using, budget.rows, budget.rows_per_parent, as_dicts=True
        )

    @property
    def sql(self) -> Statement:
        """The SQL of the round trip; `str()` of it is the text, `.values` are the arguments."""
        return show_graph(self._query, self._database, self._budget.rows)


def with_shapes(query: Query, shapes: Iterable[Any]) -> tuple[Branch, ...]:
    """The query's branches with those that the arguments of ``graph()`` name."""
    info = query.info
    lookups: list[str | Prefetch] = []
    for shape in shapes:
        if isinstance(shape, (str, Prefetch)):
            lookups.append(shape)
        elif isinstance(shape, Mapping):
            lookups += _lookups(info, shape, "")
        else:
            raise QueryError(f"graph() takes paths, shapes and Prefetch objects, got {type(shape).__name__}.")
    return add_branches(info, query.branches, lookups, "graph()")


def _lookups(info: ModelInfo, shape: Mapping[str, Any], prefix: str) -> Iterator[str | Prefetch]:
    """A shape as arguments of ``prefetch_related()``. `prefix`: the path to its model, with its final ``__``."""
    for name, inner in shape.items():
        if not isinstance(name, str):
            raise QueryError(f"A shape of graph() names relations by text, got {type(name).__name__}.")
        if name in OPTIONS:
            if not prefix:
                raise QueryError(f"graph({{{name!r}: ...}}) is about no relation: narrow the query itself.")
            continue
        path = prefix + name
        if isinstance(info.composed.get(name.partition("__")[0]), GenericForeignKey):
            yield from _generic_lookups(info, name, inner, prefix)
            continue
        target = _relation(info, name, path).target._meta
        if inner is None:
            yield path
        elif isinstance(inner, Mapping):
            to_attr = inner.get("to_attr")
            queryset = _queryset_of(target, inner, path)
            yield path if queryset is None and to_attr is None else Prefetch(path, queryset, to_attr)
            yield from _lookups(target, inner, f"{prefix}{to_attr or name}__")
        elif hasattr(inner, "_query"):
            yield Prefetch(path, inner)
        else:
            raise QueryError(
                f"A shape of graph() gives {path!r} a dict, a queryset or None, got {type(inner).__name__}."
            )


def _generic_lookups(info: ModelInfo, name: str, inner: Any, prefix: str) -> Iterator[str | Prefetch]:
    """The shape of a generic relation as arguments: ``{"subject": None}`` for all models, or one for each model."""
    if "__" in name:
        (chosen,) = relation_paths(info, name, "graph()")
        yield from _lookups(info, {chosen: inner}, prefix)
    elif inner is None or inner == {}:
        yield prefix + name
    else:
        each = inner if isinstance(inner, Mapping) else {"": inner}
        for model, rest in each.items():
            (chosen,) = relation_paths(info, f"{name}__{model}", "graph()")
            yield from _lookups(info, {chosen: rest}, prefix)


def _relation(info: ModelInfo, name: str, path: str) -> Any:
    try:
        return get_relation(info, name, path)
    except FieldError as error:
        raise FieldError(f"{error} The options of a relation are: {', '.join(OPTIONS)}.") from None


def _queryset_of(info: ModelInfo, options: Mapping[str, Any], path: str) -> QuerySet[Any, Any] | None:
    """The queryset that a relation's options describe; None if there are no such options."""
    if not any(name in options for name in OPTIONS[:-1]):
        return None
    queryset: QuerySet[Any, Any] = info.model.objects.all()
    for name in ("filter", "exclude"):
        conditions = options.get(name)
        if isinstance(conditions, Mapping):
            queryset = getattr(queryset, name)(**conditions)
        elif conditions is not None:
            queryset = getattr(queryset, name)(conditions)
    order = options.get("order_by")
    if order is not None:
        queryset = queryset.order_by(*(order if isinstance(order, (list, tuple)) else [order]))
    limit = options.get("limit")
    if limit is None:
        return queryset
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise QueryError(f"The limit of {path!r} in a graph() is a whole number, got {limit!r}.")
    return queryset[:limit]


def check_branches(
    branches: Iterable[Branch], database: databases.Database, budget: GraphBudget, path: str = "", depth: int = 1
) -> None:
    """Raise `GraphTooLarge` for a branch that is too deep, `QueryError` for one that cannot be in a graph."""
    for branch in branches:
        name = f"{path}__{branch.name}" if path else branch.name
        if budget.depth is not None and depth > budget.depth:
            raise GraphTooLarge(
                f"{name!r} is {depth} relations deep, and the budget of this graph() is {budget.depth}: "
                f"leave it out, or allow it with budget=orm.GraphBudget(depth={depth}).",
                name,
                budget.depth,
            )
        if branch.database is not None and branch.database is not database:
            raise QueryError(f"{name!r} in a graph() is of another database: use prefetch_related().")
        if branch.page is not None:
            raise QueryError(f"{name!r} in a graph() has a page: use prefetch_related(), or a limit.")
        check_query(branch.query, name)
        check_branches(branch.branches, database, budget, name, depth + 1)


def set_fetch_mode_of_graph(
    query: Query, branches: Iterable[Branch], instances: Sequence[Any], mode: FetchMode
) -> None:
    """Set the fetch mode of a graph's instances and of those joined to them, unless a branch has its own."""
    set_fetch_mode(instances, query.projection, mode)
    for branch in branches:
        rows = attached_rows(branch.relation, branch.to_attr, instances)
        set_fetch_mode_of_graph(branch.query, branch.branches, rows, branch.query.fetch_mode or mode)


def _paths(branches: Iterable[Branch]) -> Iterator[str]:
    """The longest paths of these branches."""
    for branch in branches:
        inner = list(_paths(branch.branches))
        yield from (f"{branch.name}__{path}" for path in inner)
        if not inner:
            yield branch.name
