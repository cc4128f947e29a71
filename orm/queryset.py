"""`QuerySet`: a query in the making, immutable, awaited for its rows."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import databases
import typesystem
from typing_extensions import Self
from typing_extensions import TypeVar as DefaultTypeVar

from orm import bulk, execution, periods
from orm.aggregates import Aggregate
from orm.ctes import CTE
from orm.exceptions import FieldError, IntegrityError, NotSupportedError, QueryError
from orm.expressions import Condition, OrderTerm, Q
from orm.objects import QuerySetObjects
from orm.paging import Page, batches, fetch_page
from orm.persistence import insert_instance, split_update
from orm.planning.combination import Combination, Operation
from orm.planning.conditions import EVERYTHING, NOTHING, both, junction
from orm.planning.conflict import resolve_conflict
from orm.planning.locking import LATEST, Lock
from orm.planning.names import Names
from orm.planning.paths import check_name, relations_of
from orm.planning.projection import Columns, Instances, Projection
from orm.planning.query import Query
from orm.planning.resolving import resolve, resolve_conditions, resolve_ordering
from orm.planning.returning import resolve_returning
from orm.planning.terms import AnnotationTerm
from orm.planning.write import resolve_assignments

if TYPE_CHECKING:
    import sqlalchemy

    from orm.meta import ModelInfo
    from orm.models import Model

M = TypeVar("M", bound="Model")
R = DefaultTypeVar("R", default=Any)

# How often update_or_create() starts anew because the row that it found was deleted before it was updated.
RACE_ATTEMPTS = 3


class QuerySet(Generic[M, R]):
    """A query of `M`, whose rows come as `R` (instances, unless `values()` says otherwise).

    Every method that narrows or orders returns a new queryset. Await one for a list, loop over it with
    ``async for`` for a stream in constant memory, slice it for a part.

        notes = await Note.objects.filter(completed=False).order_by("-id")[:10]
    """

    def __init__(self, query: Query, database: databases.Database | None = None) -> None:
        self._query = query
        self._using = database

    def __repr__(self) -> str:
        return f"<QuerySet of {self._query.info.name}>"

    def __iter__(self) -> Iterator[R]:
        raise TypeError(f"{self!r} is not loaded yet: await it for a list, or loop with `async for`.")

    def __len__(self) -> int:
        raise TypeError(f"{self!r} is not loaded yet: await it for a list, or `await ….count()`.")

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is not loaded yet: await it for a list, or `await ….exists()`.")

    def _with(self, query: Query) -> Self:
        return self._on(query, self._using)

    def _on(self, query: Query, database: databases.Database | None) -> Self:
        return type(self)(query, database)

    def _changed(self, what: str, names: Names, **changes: Any) -> Self:
        if isinstance(self._query, Combination):
            raise NotSupportedError(f"{what} cannot follow {self._query.operation}(): narrow the parts before.")
        if self._query.sliced:
            raise QueryError(f"{what} after a slice would change which rows were sliced: {what} first, then slice.")
        return self._with(self._query.using_names(names, **changes))

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

    # What the queryset is of.

    @property
    def model(self) -> type[M]:
        """The model."""
        return self._query.info.model  # type: ignore[return-value]

    @property
    def model_cls(self) -> type[M]:
        """The model, by the name that `orm` 0.x has for it."""
        return self.model

    @property
    def database(self) -> databases.Database:
        """The database that the query runs on."""
        return self._using or self._query.info.registry.database

    @property
    def table(self) -> sqlalchemy.Table:
        """The model's SQLAlchemy table."""
        return self._query.info.require_table()

    @property
    def schema(self) -> typesystem.Schema:
        """The model's fields as a `typesystem.Schema`."""
        return self._query.info.schema

    @property
    def pkname(self) -> str:
        """The name of the model's primary key field."""
        return self.model.pkname

    @property
    def sql(self) -> execution.Statement:
        """The SQL of the query; `str()` of it is the text, `.values` are the arguments."""
        return execution.show_sql(self._query, self.database)

    # Narrowing and ordering.

    def all(self, /, **lookups: Any) -> Self:
        """The same query, of which every row is meant; with lookups, narrowed by them (as in `orm` 0.x)."""
        if lookups:
            return self.filter(**lookups)
        if not self._query.info.registry.require_all:
            return self
        return self._with(replace(self._query, whole=True))

    def none(self) -> Self:
        """A query that finds nothing and asks no database."""
        return self._with(replace(self._query, where=NOTHING))

    def filter(self, /, *conditions: Condition | sqlalchemy.ColumnElement[bool] | bool, **lookups: Any) -> Self:
        """Only rows that meet every condition: lookups, `Q` objects, typed comparisons, SQLAlchemy clauses.

        Raises `FieldError` for an unknown name or lookup, `QueryError` for a value that makes no sense.
        """
        return self._narrowed("filter()", conditions, lookups, negated=False)

    def exclude(self, /, *conditions: Condition | sqlalchemy.ColumnElement[bool] | bool, **lookups: Any) -> Self:
        """Only rows that do not meet the conditions (all of them together); NULL meets none."""
        # orm 0.3 filtered by a clause that was to be excluded; models in its spelling still do.
        legacy = self._query.info.legacy and len(conditions) == 1 and not lookups
        negated = not (legacy and not isinstance(conditions[0], Condition))
        return self._narrowed("exclude()", conditions, lookups, negated=negated)

    def _narrowed(self, what: str, conditions: Sequence[Any], lookups: Mapping[str, Any], *, negated: bool) -> Self:
        query = self._query
        names = query.names(own_scope=True)
        found = resolve_conditions(names, conditions, lookups.items(), negated=negated)
        if found.aggregate and not query.grouped:
            raise FieldError(f"{what} takes an aggregate only of rows in groups: annotate() it first.")
        filters = (*query.filters, (tuple(conditions), tuple(lookups.items()), negated))
        narrowed = self._changed(what, names, where=both(query.where, found), filters=filters)
        if query.info.legacy and isinstance(query.projection, Instances):
            # Code written for orm 0.3 relies on it that a filter across a relation loads it too.
            implied = relations_of(query.info, lookups)
            return narrowed.select_related(*implied) if implied else narrowed
        return narrowed

    def search(self, term: str) -> Self:
        """Only rows with a text field that contains `term`, whatever the case. An empty term is no condition."""
        if not term:
            return self
        names = [name for name, field in self._query.info.fields.items() if field.kind == "text"]
        if not names:
            raise QueryError(f"{self._query.info.name} has no text field to search.")
        anywhere = Q()
        for name in names:
            anywhere = anywhere | Q(**{f"{name}__icontains": term})
        return self.filter(anywhere)

    def order_by(self, *terms: OrderTerm) -> Self:
        """Ordered by these, and by nothing else: ``"name"``, ``"-album__name"``, expressions. None: unordered."""
        names = self._query.names()
        if isinstance(self._query, Combination):
            return self._with(replace(self._query, ordering=resolve_ordering(names, terms)))
        ordering = resolve_ordering(names, terms)
        if not self._query.grouped and any(term.term.aggregate for term in ordering):
            raise FieldError("order_by() takes an aggregate only of rows in groups: annotate() it first.")
        return self._changed("order_by()", self._query.names(), ordering=ordering)

    def reverse(self) -> Self:
        """The opposite order."""
        if self._query.sliced:
            raise QueryError("reverse() after a slice would change which rows were sliced.")
        return self._with(self._query.reversed() if self._query.order else self._query)

    def distinct(self, *fields: str) -> Self:
        """No row twice; with fields, of the rows that agree in these only the first.

        Fields are PostgreSQL's DISTINCT ON, whose ordering must begin with them; `NotSupportedError` elsewhere.
        """
        names = self._query.names()
        for field in fields:
            check_name(field, "A field of distinct()")
        terms = tuple(names.term(field, "a field of distinct()") for field in fields)
        return self._changed("distinct()", names, distinct=True, distinct_on=terms)

    def select_for_update(
        self, *, nowait: bool = False, skip_locked: bool = False, of: Sequence[str] = (), no_key: bool = False
    ) -> Self:
        """Lock the rows that are read until the transaction ends; `TransactionError` outside of one.

        Rows that another transaction has locked are waited for; with `nowait` they raise `LockNotAvailable`, with
        `skip_locked` they are passed over. `of` names the relations of `select_related()` whose rows are locked
        (``"self"``: the model's own). `no_key=True` lets rows refer to the locked ones. SQLite locks no rows and
        ignores all this; `NotSupportedError` for what a database lacks: `no_key` MySQL, `of` MariaDB.
        """
        return self._locking(nowait, skip_locked, of, no_key=no_key)

    def select_for_share(self, *, nowait: bool = False, skip_locked: bool = False, of: Sequence[str] = ()) -> Self:
        """Like `select_for_update()`, but others may read and share the rows, only not change them."""
        return self._locking(nowait, skip_locked, of, share=True)

    def _locking(self, nowait: bool, skip_locked: bool, of: Sequence[str], **kind: bool) -> Self:
        if nowait and skip_locked:
            raise QueryError("A locked row either raises (nowait) or is passed over (skip_locked), not both.")
        if isinstance(of, str):
            raise QueryError(f"of is a list of relations, such as [{of!r}].")
        lock = Lock(nowait=nowait, skip_locked=skip_locked, of=tuple(of), **kind)
        return self._with(replace(self._query, lock=lock))

    def limit(self, count: int) -> Self:
        """At most so many rows. Unlike a slice, it may be followed by `filter()` and `order_by()`."""
        check_index(count, "limit()")
        query = self._query
        if query.sliced:
            return self._with(query.slice(0, count))
        return self._with(replace(query, high=query.low + count))

    def offset(self, count: int) -> Self:
        """Without the first so many rows."""
        check_index(count, "offset()")
        query = self._query
        if query.sliced:
            return self._with(query.slice(count, None))
        high = None if query.high is None else query.high - query.low + count
        return self._with(replace(query, low=count, high=high))

    @overload
    def __getitem__(self, index: slice) -> Self: ...
    @overload
    def __getitem__(self, index: int) -> Any: ...
    def __getitem__(self, index: slice | int) -> Any:
        """`qs[2:5]` is a part of the rows; `await qs[3]` is one of them (IndexError if it is not there)."""
        if isinstance(index, slice):
            if index.step is not None:
                raise QueryError("A queryset cannot be sliced in steps.")
            start = 0 if index.start is None else check_index(index.start, "a slice")
            stop = None if index.stop is None else check_index(index.stop, "a slice")
            sliced = self._query.slice(start, None if stop is None else max(start, stop))
            return self._with(replace(sliced, sliced=True))
        return self._at(check_index(index, "an index"))

    async def _at(self, index: int) -> R:
        found = await self[index : index + 1]
        if not found:
            raise IndexError(f"This query of {self._query.info.name} has no row {index}.")
        return found[0]

    def with_cte(self, *ctes: CTE) -> Self:
        """The query with these common table expressions in front: see `orm.CTE`."""
        for cte in ctes:
            if not isinstance(cte, CTE):
                raise QueryError(f"with_cte() takes an orm.CTE, got {type(cte).__name__}.")
        return self._with(replace(self._query, ctes=(*self._query.ctes, *ctes)))

    def _joined_to(self, cte: CTE, lookups: Mapping[str, Any]) -> Self:
        query = self._query
        names = query.names(own_scope=True)
        condition = resolve_conditions(names, (), lookups.items())
        return self._with(query.using_names(names, cte_joins=(*query.cte_joins, (cte, condition))))

    def union(self, *others: QuerySet[Any, Any], all: bool = False) -> Self:
        """The rows of this query and of the others, each once (`all=True`: as often as they come).

        What comes out can be ordered by its columns, sliced, counted, and given other `values()`; nothing else.
        """
        return self._combined("union_all" if all else "union", others)

    def intersection(self, *others: QuerySet[Any, Any]) -> Self:
        """The rows that this query and all the others have."""
        return self._combined("intersection", others)

    def difference(self, *others: QuerySet[Any, Any]) -> Self:
        """The rows of this query that none of the others has."""
        return self._combined("difference", others)

    def _combined(self, operation: Operation, others: Sequence[QuerySet[Any, Any]]) -> Self:
        for other in others:
            if not isinstance(other, QuerySet):
                raise QueryError(f"{operation}() takes querysets, got {type(other).__name__}.")
        return self._with(Combination.of(operation, (self._query, *(other._query for other in others))))

    def __and__(self, other: QuerySet[M, Any]) -> Self:
        """Rows that both queries have."""
        self._check_same(other)
        found = self
        for conditions, lookups, negated in other._query.filters:
            found = found._narrowed("filter()", conditions, dict(lookups), negated=negated)
        return found

    def __or__(self, other: QuerySet[M, Any]) -> Self:
        """Rows that either query has."""
        return self._either("OR", other)

    def __xor__(self, other: QuerySet[M, Any]) -> Self:
        """Rows that one of the two queries has and the other has not."""
        return self._either("XOR", other)

    def _either(self, connector: Literal["OR", "XOR"], other: QuerySet[M, Any]) -> Self:
        self._check_same(other)
        mine, theirs = self._query, other._query
        where = junction(connector, [mine.where, theirs.where])
        reached = {**mine.reached, **theirs.reached}
        found = replace(mine, where=where, reached=reached, scopes=max(mine.scopes, theirs.scopes))
        return self._with(found)

    def _check_same(self, other: QuerySet[M, Any]) -> None:
        if not isinstance(other, QuerySet) or other._query.info is not self._query.info:
            raise QueryError(f"Querysets of {self._query.info.name} combine with others of the same model only.")
        for query in (self._query, other._query):
            if query.is_limited or isinstance(query, Combination):
                raise QueryError("Querysets combine before they are sliced, and not after union() and its like.")
        if self._query.distinct != other._query.distinct:
            raise QueryError("A distinct queryset does not combine with one that is not.")
        if self._query.annotations.keys() != other._query.annotations.keys():
            raise QueryError("Querysets with different annotations do not combine: annotate afterwards.")

    def select_related(self, *relations: str | Sequence[str] | None) -> Self:
        """Load these relations in the same query, as joins: ``"album"``, ``"team__org"``.

        Without arguments, every relation that cannot be null; with None, none.
        """
        projection = self._instances("select_related()")
        if relations == (None,):
            return self._with(replace(self._query, projection=replace(projection, related=())))
        names = [name for given in relations for name in ([given] if isinstance(given, str) else given or [])]
        changed = projection.with_related(names) if names else projection.all_related()
        return self._with(replace(self._query, projection=changed))

    def only(self, *names: str) -> Self:
        """Load only these fields (and the primary key); reading another raises AttributeError."""
        changed = self._instances("only()").loading(names)
        return self._with(replace(self._query, projection=changed))

    def defer(self, *names: str) -> Self:
        """Load all but these fields."""
        changed = self._instances("defer()").deferring(names)
        return self._with(replace(self._query, projection=changed))

    def _instances(self, what: str) -> Instances:
        projection = self._query.projection
        if not isinstance(projection, Instances):
            raise QueryError(f"{what} says how instances are loaded, and this query has values.")
        return projection

    def annotate(self, /, *aggregates: Aggregate[Any], **expressions: Any) -> Self:
        """Compute these for each row, as attributes of the instances (or keys of the dicts).

        With an aggregate, rows are groups: of the values named before (``values("level").annotate(...)``), else one
        for each instance. An aggregate without a name goes by Django's: ``level__count``.
        """
        return self._annotated(self._named(aggregates, expressions), selected=True)

    def alias(self, /, *aggregates: Aggregate[Any], **expressions: Any) -> Self:
        """Compute these for use in later conditions, orderings and expressions, without selecting them."""
        return self._annotated(self._named(aggregates, expressions), selected=False)

    async def aggregate(self, /, *aggregates: Aggregate[Any], **expressions: Any) -> dict[str, Any]:
        """Aggregates over all rows, as one dict: ``await Note.objects.aggregate(Count("id"), top=Max("views"))``."""
        query = self._query
        names = query.names(over_groups=True)
        named = self._named(aggregates, expressions)
        if not named:
            return {}
        terms = {name: resolve(names, expression, "an aggregate") for name, expression in named.items()}
        for name, term in terms.items():
            if not term.aggregate:
                raise FieldError(f"aggregate({name}=...) takes aggregates, and {named[name]!r} is not one.")
        return await execution.aggregate(query, terms, self.database)

    def _named(self, aggregates: Sequence[Aggregate[Any]], expressions: Mapping[str, Any]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for aggregate in aggregates:
            if not isinstance(aggregate, Aggregate):
                raise QueryError(f"An expression needs a name, given as a keyword; got {type(aggregate).__name__}.")
            named[aggregate.default_alias] = aggregate
        for name, expression in expressions.items():
            if name in named:
                raise QueryError(f"Two annotations are called {name!r}.")
            named[name] = expression
        return named

    def _annotated(self, named: Mapping[str, Any], *, selected: bool) -> Self:
        query = self._query
        if isinstance(query, Combination):
            raise NotSupportedError(f"annotate() cannot follow {query.operation}(): annotate the parts before.")
        for name, expression in named.items():
            check_annotation_name(query.info, name)
            names = query.names()
            term = AnnotationTerm(name, resolve(names, expression, f"the annotation {name}"), selectable=selected)
            changes: dict[str, Any] = {"annotations": {**query.annotations, name: term}}
            if term.aggregate and not query.grouped:
                changes["grouped"] = True
                if isinstance(query.projection, Columns):
                    changes["grouping"] = tuple(t for t in query.projection.terms if not t.aggregate)
            if selected and isinstance(query.projection, Instances):
                shown = (*query.projection.annotations, name)
                changes["projection"] = replace(query.projection, annotations=shown)
            elif selected and isinstance(query.projection, Columns):
                changes["projection"] = query.projection.adding(name, term)
            query = query.using_names(names, **changes)
        return self._with(query)

    def values(self, /, *fields: Any, **expressions: Any) -> QuerySet[M, dict[str, Any]]:
        """Rows as dicts of these fields (all of the model's, if none is named), across relations too."""
        return self._selecting("dicts", fields, expressions)

    @overload
    def values_list(
        self, *fields: Any, flat: Literal[False] = ..., named: Literal[False] = ...
    ) -> QuerySet[M, tuple[Any, ...]]: ...
    @overload
    def values_list(self, *fields: Any, flat: bool = ..., named: bool = ...) -> QuerySet[M, Any]: ...
    def values_list(self, *fields: Any, flat: bool = False, named: bool = False) -> QuerySet[M, Any]:
        """Rows as tuples; `flat=True`: the bare values of one field; `named=True`: named tuples."""
        if flat and named:
            raise QueryError("values_list() is either flat or named.")
        return self._selecting("flat" if flat else "named" if named else "tuples", fields, {})

    def _selecting(
        self, shape: Literal["dicts", "tuples", "named", "flat"], fields: Any, named: Any
    ) -> QuerySet[M, Any]:
        query = self._query
        if isinstance(query, Combination):
            return self._with(
                query.choosing(tuple(Columns.of(part.names(), shape, fields, named) for part in query.parts))
            )
        names = query.names()
        columns = Columns.of(names, shape, fields, named)
        return self._with(self._query.using_names(names, projection=columns))

    def dates(self, field: str, kind: str, order: Literal["ASC", "DESC"] = "ASC") -> QuerySet[M, datetime.date]:
        """Each year, month, week or day (`kind`) that the rows fall into once, as its first date; NULLs in none."""
        return periods.dates(self, field, kind, order)

    def datetimes(
        self,
        field: str,
        kind: str,
        order: Literal["ASC", "DESC"] = "ASC",
        tzinfo: datetime.tzinfo | None = None,
    ) -> QuerySet[M, datetime.datetime]:
        """Like `dates()`, down to the second. `tzinfo`: by whose clock instants are told, UTC if it is not given."""
        return periods.datetimes(self, field, kind, order, tzinfo)

    def using(self, database: databases.Database) -> Self:
        """The same query on another database; what it finds is saved there too."""
        return self._on(self._query, database)

    # Reading.

    def __await__(self) -> Generator[Any, None, list[R]]:
        return self._fetch().__await__()

    async def _fetch(self) -> list[R]:
        found: list[R] = await execution.fetch(self._query, self.database)
        return self._marked(found, self._query.projection)

    def _marked(self, found: list[R], projection: Projection) -> list[R]:
        if self._using is not None and isinstance(projection, Instances):
            for item in found:
                self._mark(item, projection)
        return found

    async def __aiter__(self) -> AsyncIterator[R]:
        async with aclosing(execution.stream(self._query, self.database)) as items:
            async for item in items:
                yield self._marked([item], self._query.projection)[0]

    def _mark(self, item: Any, projection: Instances) -> None:
        """Let an instance, and those loaded with it, remember a database that is not their registry's."""
        for chain in ((), *projection.related):
            reached = item
            for relation in chain:
                reached = reached and reached.__dict__.get(relation.name)
            if reached is not None:
                reached.__dict__["_database"] = self._using

    async def get(self, /, *conditions: Any, **lookups: Any) -> R:
        """The one row that matches.

        Raises `Model.DoesNotExist` (a `NoMatch`) if there is none, `Model.MultipleObjectsReturned`
        (a `MultipleMatches`) if there are several.
        """
        found = self.filter(*conditions, **lookups) if conditions or lookups else self
        query = found._query
        if not query.is_limited:
            found = found._with(replace(query, high=2, ordering=()))
        rows = await found
        if len(rows) == 1:
            return rows[0]
        name = query.info.name
        if not rows:
            raise self.model.DoesNotExist(f"No {name} matches{_described(lookups)}.")
        raise self.model.MultipleObjectsReturned(f"More than one {name} matches{_described(lookups)}.")

    async def first(self, /, *conditions: Any, **lookups: Any) -> R | None:
        """The first row (by primary key, if the query has no order), None if there is none."""
        found = self.filter(*conditions, **lookups) if conditions or lookups else self
        query = found._query if found._query.is_limited else found._query.with_order()
        rows = await found._with(query.slice(0, 1))
        return rows[0] if rows else None

    async def last(self, /, *conditions: Any, **lookups: Any) -> R | None:
        """The last row (by primary key, if the query has no order), None if there is none."""
        found = self.filter(*conditions, **lookups) if conditions or lookups else self
        if found._query.is_limited:
            raise QueryError("last() after a slice or a limit: reverse() and slice instead.")
        rows = await found._with(found._query.reversed().slice(0, 1))
        return rows[0] if rows else None

    async def earliest(self, *fields: str) -> R:
        """The first row in the order of these fields (or of ``Meta.get_latest_by``).

        Raises `Model.DoesNotExist` if there is none.
        """
        return await self._extreme("earliest()", fields, reverse=False)

    async def latest(self, *fields: str) -> R:
        """The last row in the order of these fields (or of ``Meta.get_latest_by``).

        Raises `Model.DoesNotExist` if there is none.
        """
        return await self._extreme("latest()", fields, reverse=True)

    async def _extreme(self, what: str, fields: tuple[str, ...], *, reverse: bool) -> R:
        by = fields or self._query.info.options.get_latest_by
        if not by:
            raise QueryError(f"{what} needs fields, or get_latest_by in the Meta of {self._query.info.name}.")
        if self._query.is_limited:
            raise QueryError(f"{what} after a slice or a limit would change which rows were sliced.")
        ordered = self.order_by(*by)
        query = ordered._query.reversed() if reverse else ordered._query
        return await ordered._with(query.slice(0, 1)).get()

    async def contains(self, obj: M) -> bool:
        """Whether this instance's row is among the rows. Raises `QueryError` for an instance that is not saved."""
        self._instances("contains()")
        if not hasattr(obj, "_meta"):
            raise QueryError(f"contains() takes an instance of {self._query.info.name}, got {type(obj).__name__}.")
        if obj._meta.model is not self._query.info.model:
            return False
        if obj.pk is None:
            raise QueryError(f"contains() takes a saved instance, and this {obj._meta.name} has no primary key.")
        if self._query.is_limited:
            raise QueryError("contains() after a slice or a limit: compare with the rows that it finds.")
        return await self.filter(pk=obj.pk).exists()

    async def page(self, *, after: str | None = None, before: str | None = None, size: int = 50) -> Page[R]:
        """At most `size` rows in the query's order: the first ones, or those after (or before) a page's cursor.

            page = await Note.objects.order_by("-created").page(size=20)
            page = await Note.objects.order_by("-created").page(after=page.next_cursor, size=20)

        However deep, a page costs the same, and rows inserted or deleted meanwhile make no row come twice or be left
        out. Rows that are equal in the order follow their primary key. Raises `QueryError` for a cursor that is
        damaged, or of another model or order.
        """
        found: Page[R] = await fetch_page(self._query, self.database, after, before, size)
        self._marked(found.items, self._query.projection)
        return found

    async def in_batches(self, size: int = 1000) -> AsyncIterator[list[R]]:
        """All rows by primary key, in lists of `size`, each its own query: rows may be deleted or changed in between.

        async for notes in Note.objects.filter(old=True).in_batches(500):
            await archive(notes)
        """
        async for rows in batches(self._query, self.database, size):
            yield self._marked(rows, self._query.projection)

    async def count(self) -> int:
        """How many rows there are."""
        return await execution.count(self._query, self.database)

    async def exists(self) -> bool:
        """Whether there is a row."""
        return await execution.exists(self._query, self.database)

    async def in_bulk(self, keys: Iterable[Any] | None = None, *, field_name: str = "pk") -> dict[Any, R]:
        """The instances by primary key (or by another unique field); keys that are not there are left out."""
        info = self._query.info
        if field_name == "pk":
            names = tuple(field.attname for field in info.pk_fields)
        else:
            field = info.fields.get(field_name)
            if field is None:
                raise info.unknown(field_name, "the field_name of in_bulk()")
            if not (field.unique or field.primary_key):
                raise QueryError(f"in_bulk() takes a unique field, and {info.name}.{field_name} is not.")
            names = (field.attname,)
        if self._query.is_limited:
            raise QueryError("in_bulk() cannot follow a slice or a limit.")
        self._instances("in_bulk()")
        found = self
        if keys is not None:
            found = self.filter(**{f"{field_name}__in": list(keys)})
        result: dict[Any, R] = {}
        for row in await found:
            parts = tuple(getattr(row, name) for name in names)
            result[parts[0] if len(parts) == 1 else parts] = row
        return result

    async def explain(self) -> str:
        """How the database would run the query, in its own words."""
        return await execution.explain(self._query, self.database)

    # Writing.

    async def create(self, /, **values: Any) -> M:
        """Insert a row and return its instance. Raises `orm.ValidationError` with every message."""
        instance = self.model(**values)
        if self._using is not None:
            instance.__dict__["_database"] = self._using
        await insert_instance(instance, self.database)
        return instance

    async def bulk_create(
        self,
        rows: Iterable[M | Mapping[str, Any]],
        *,
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Iterable[str] = (),
        unique_fields: Iterable[str] = (),
    ) -> list[M]:
        """Insert many rows, given as instances or dicts, in one transaction; returns the instances, keys and all.

        `batch_size` rows go into one statement, as many as the database takes if it is not given. Every row
        is validated before any is sent.

        A row that a unique constraint takes for one that is there already raises `UniqueViolation`, or is left
        out with `ignore_conflicts` (then nothing is known of which rows are new: the instances stay as they are),
        or with `update_conflicts` gives its `update_fields` to the one that is there. `unique_fields` name the
        constraint: needed on SQLite and PostgreSQL, `NotSupportedError` on MySQL, where any constraint counts.
        On MySQL (not MariaDB) `update_conflicts` cannot tell the keys.
        """
        bulk.check_batch_size(batch_size)
        info = self._query.info
        conflict = resolve_conflict(info, ignore_conflicts, update_conflicts, update_fields, unique_fields)
        instances = bulk.instances_of(self.model, rows, "bulk_create()")
        if instances:
            await bulk.create(info, instances, self.database, batch_size, conflict)
        if self._using is not None:
            for instance in instances:
                instance.__dict__["_database"] = self._using
        return instances

    @overload
    async def upsert(
        self, rows: M | Mapping[str, Any], *, unique_fields: Sequence[str] = ..., update_fields: Sequence[str] = ...
    ) -> M: ...
    @overload
    async def upsert(
        self,
        rows: Iterable[M | Mapping[str, Any]],
        *,
        unique_fields: Sequence[str] = ...,
        update_fields: Sequence[str] = ...,
    ) -> list[M]: ...
    async def upsert(
        self, rows: Any, *, unique_fields: Sequence[str] = (), update_fields: Sequence[str] = ()
    ) -> M | list[M]:
        """Insert a row (or many), or update the one that is there: ``bulk_create(update_conflicts=True)``.

        Without `update_fields`, every field that the rows name is updated, but for the key and the unique ones.

            note = await Note.objects.upsert({"slug": "a", "text": "new"}, unique_fields=["slug"])
        """
        one = isinstance(rows, (self.model, Mapping))
        given = [rows] if one else list(rows)
        updated = update_fields or bulk.named_fields(self._query.info, given, unique_fields)
        instances = await self.bulk_create(
            given, update_conflicts=True, update_fields=updated, unique_fields=unique_fields
        )
        return instances[0] if one else instances

    async def bulk_update(self, instances: Iterable[M], fields: Sequence[str], batch_size: int | None = None) -> int:
        """Write these fields of the instances over their rows, in one transaction; returns how many rows matched.

        A value may be an expression (``note.views = Note.views + 1``). Of rows that the queryset does not have, none
        is written. Every value is validated before any is sent.
        """
        bulk.check_batch_size(batch_size)
        self._check_write("bulk_update()")
        given = bulk.instances_of(self.model, instances, "bulk_update()")
        return await bulk.update(self._query, given, fields, batch_size, self.database)

    @overload
    async def update(self, /, *, returning: None = ..., **values: Any) -> int: ...
    @overload
    async def update(self, /, *, returning: Literal[True], **values: Any) -> list[M]: ...
    @overload
    async def update(self, /, *, returning: Sequence[str], **values: Any) -> list[dict[str, Any]]: ...
    async def update(self, /, *, returning: Sequence[str] | Literal[True] | None = None, **values: Any) -> Any:
        """Set these fields in every row that matches; returns how many matched.

        Values are validated; expressions (``Track.position + 1``) are calculated by the database.

        `returning=True` gives the rows as they are now, as instances, a list of names gives dicts, without another
        query. MySQL and MariaDB cannot: `NotSupportedError`.
        """
        self._check_write("update()")
        self._check_whole("update()")
        info = self._query.info
        wanted = None if returning is None else resolve_returning(info, returning)
        plain, expressions, _ = split_update(info, values)
        assignments = resolve_assignments(self._query.inlined_names(), info.validator.update(plain), expressions)
        if not assignments:
            raise QueryError("update() was given nothing to set.")
        if wanted is None:
            return await execution.update(self._query, assignments, self.database)
        return self._marked(await execution.update_returning(self._query, assignments, wanted, self.database), wanted)

    @overload
    async def delete(self, *, returning: None = ...) -> int: ...
    @overload
    async def delete(self, *, returning: Literal[True]) -> list[M]: ...
    @overload
    async def delete(self, *, returning: Sequence[str]) -> list[dict[str, Any]]: ...
    async def delete(self, *, returning: Sequence[str] | Literal[True] | None = None) -> Any:
        """Delete every row that matches; returns how many matched.

        `returning=True` gives the deleted rows as instances (that are not saved any more), a list of names gives
        dicts. MySQL cannot, MariaDB can.
        """
        self._check_write("delete()")
        self._check_whole("delete()")
        self._instances("delete()")
        if self._query.distinct_on:
            raise QueryError("delete() after distinct() on fields: narrow by keys instead.")
        if returning is None:
            return await execution.delete(self._query, self.database)
        wanted = resolve_returning(self._query.info, returning)
        found = self._marked(await execution.delete_returning(self._query, wanted, self.database), wanted)
        if isinstance(wanted, Instances):
            for instance in found:
                instance.__dict__["_persisted"] = False
        return found

    def _check_whole(self, what: str) -> None:
        query = self._query
        if query.info.registry.require_all and query.where is EVERYTHING and not query.whole:
            raise QueryError(
                f"{what} of every {query.info.name} there is: say so with {query.info.name}.objects.all(), "
                "which this registry requires (require_all=True)."
            )

    def _check_write(self, what: str) -> None:
        if isinstance(self._query, Combination):
            raise NotSupportedError(f"{what} cannot follow {self._query.operation}(): write the parts.")
        if self._query.is_limited:
            raise QueryError(
                f"{what} after a slice or a limit: narrow by keys instead, "
                f"{self._query.info.name}.objects.filter(pk__in=...)."
            )

    async def get_or_create(self, /, defaults: Mapping[str, Any] | None = None, **lookups: Any) -> tuple[M, bool]:
        """The row that matches, or a new one made of the lookups and the defaults; and whether it is new.

        Callables among the defaults are called. Safe in a race: if another task creates the row meanwhile,
        that row is returned.
        """
        return await self._found_or_created(lookups, defaults)

    async def update_or_create(
        self,
        /,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        **lookups: Any,
    ) -> tuple[M, bool]:
        """The row that matches, updated by `defaults`, or a new one; and whether it is new.

        A new row is made of the lookups and of `create_defaults`, or of `defaults` if those are not given.
        """
        creating = defaults if create_defaults is None else create_defaults
        for _ in range(RACE_ATTEMPTS):
            found, created = await self._found_or_created(lookups, creating)
            if created or not defaults:
                return found, created
            try:
                await found.update(**_called(defaults))
            except self.model.DoesNotExist:
                continue  # Deleted since it was found.
            return found, False
        raise self.model.DoesNotExist(f"The {self._query.info.name} was deleted each time it was found.")

    async def _found_or_created(self, lookups: Mapping[str, Any], defaults: Mapping[str, Any] | None) -> tuple[M, bool]:
        found = await self._find(lookups)
        if found is not None:
            return found, False
        try:
            return await self._create_missing(lookups, defaults), True
        except IntegrityError:
            found = await self._find(lookups, locking=True)
            if found is None:
                raise  # Nobody was faster: the row is refused for another reason.
            return found, False

    async def _find(self, lookups: Mapping[str, Any], *, locking: bool = False) -> M | None:
        """The row, None if there is none. `locking` sees what others committed since a transaction began."""
        query = self.filter(**lookups)._query
        try:
            found = await self._with(replace(query, lock=LATEST if locking else None)).get()
        except self.model.DoesNotExist:
            return None
        return found  # type: ignore[return-value]

    async def _create_missing(self, lookups: Mapping[str, Any], defaults: Mapping[str, Any] | None) -> M:
        values = {name.removesuffix("__exact"): value for name, value in lookups.items()}
        values = {name: value for name, value in values.items() if "__" not in name}
        values.update(_called(defaults or {}))
        # A failed statement would break an outer transaction; a savepoint keeps it.
        async with self.database.transaction():
            return await self.create(**values)


def check_annotation_name(info: ModelInfo, name: str) -> None:
    """Raise `QueryError` unless an annotation can be called so."""
    if name in info.settable or name in info.reverse or name == "pk" or hasattr(info.model, name):
        raise QueryError(f"{info.name} has an attribute {name!r} already: call the annotation something else.")
    if not name.isidentifier() or name.startswith("_"):
        raise QueryError(f"{name!r} cannot be the name of an annotation: it must be a Python identifier.")


def check_index(index: Any, what: str) -> int:
    """A whole number that is not negative. Raises `QueryError`."""
    if isinstance(index, bool) or not isinstance(index, int):
        raise QueryError(f"{what} takes a whole number, got {type(index).__name__}.")
    if index < 0:
        raise QueryError(f"{what} cannot be negative: reverse() the order and count from the start.")
    return index


def _called(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value() if callable(value) else value for name, value in values.items()}


def _described(lookups: Mapping[str, Any]) -> str:
    return f" {', '.join(lookups)}" if lookups else ""
