"""`ChainMethods`: the methods of a queryset that return another queryset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import databases
import typesystem
from typing_extensions import Self
from typing_extensions import TypeVar as DefaultTypeVar

from orm import execution
from orm.database.connections import schemas
from orm.database.connections.schemas import in_schema
from orm.exceptions import FieldError, NotSupportedError, QueryError
from orm.expressions.base import Comparison, ConditionLike, Expression, F, Logical, Operand, OrderTerm, Q
from orm.expressions.ctes import CTE
from orm.expressions.filtered_relation import FilteredRelation
from orm.functions.aggregates import Aggregate
from orm.functions.windows import RowNumber
from orm.query.columns import Columns
from orm.query.conditions.base import MATCHES_NOTHING, NOTHING, junction
from orm.query.locking import Lock
from orm.query.ordering import OrderTerm as ResolvedOrder
from orm.query.paths import check_name, relations_of
from orm.query.projection import Instances
from orm.query.query import Query, rows_of_model
from orm.query.resolving.filtered_relation import with_filtered_relation
from orm.query.resolving.order_by import by_value
from orm.query.resolving.resolver import Joins
from orm.query.set_operations import Combination, Operation
from orm.query.terms.aggregates import WindowTerm
from orm.query.terms.base import AnnotationTerm, Term
from orm.query.terms.computed import FuncTerm
from orm.queryset.loading_methods import LoadingMethods
from orm.queryset.pickling import pickled, unpickled

if TYPE_CHECKING:
    import sqlalchemy

    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

M = TypeVar("M", bound="Model")
R = DefaultTypeVar("R", default=Any)

NOT_COMBINED = (
    "Querysets can be combined with & only before they are sliced, and with &, | and ^ not after union(), "
    "intersection() or difference()."
)


class ChainMethods(LoadingMethods[M, R]):
    """Filtering, ordering, annotating and combining. Every method returns a new queryset and sends no query."""

    def __init__(self, query: Query, database: databases.Database | None = None) -> None:
        self._query = query
        self._given = database

    def __repr__(self) -> str:
        return f"<QuerySet of {self._query.info.name}>"

    def __copy__(self) -> Self:
        return self  # It is immutable.

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """The query is pickled, without its rows and without the database of `using()`."""
        return unpickled, (type(self._clone_on(self._query, None)), pickled(self._query, int(protocol)))

    def _clone(self, query: Query) -> Self:
        return self._clone_on(query, self._given)

    def _clone_on(self, query: Query, database: databases.Database | None) -> Self:
        return type(self)(query, database)

    def _replace(self, what: str, joins: Joins, **changes: Any) -> Self:
        self._query.check_rows_open(what)
        return self._clone(self._query.with_joins(joins, **changes))

    # What the queryset is about.

    @property
    def model(self) -> type[M]:
        """The model."""
        return self._query.info.model  # type: ignore[return-value]

    @property
    def model_cls(self) -> type[M]:
        """The model (its name in `orm` 0.x)."""
        return self.model

    @property
    def database(self) -> databases.Database:
        """The database on which the query runs."""
        return self._given or self._query.info.registry.database

    @property
    def _using(self) -> databases.Database | None:
        """The database that instances remember: of `using()`, or the schema of the context."""
        if self._given is not None or not schemas.in_use:
            return self._given
        database = self._query.info.registry.database
        return database if schemas.is_schema(database) else None

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
    def ordered(self) -> bool:
        """Whether the rows are ordered: by `order_by()` or `Meta.ordering`, or because there are none."""
        return bool(self._query.order) or self._query.is_empty

    @property
    def sql(self) -> execution.Statement:
        """The SQL of the query: its `str()` is the text, its `values` are the arguments."""
        return execution.show_sql(self._query, self.database)

    # Filtering and ordering.

    def all(self, /, **lookups: Any) -> Self:
        """The same query; with lookups, filtered by them (as in `orm` 0.x).

        It confirms that a write is meant for all rows, which `ModelRegistry(require_all=True)` asks for.
        """
        if lookups:
            return self.filter(**lookups)
        if not self._query.info.registry.require_all:
            return self
        return self._clone(self._query.replace(all_rows_confirmed=True))

    def none(self) -> Self:
        """A query without rows, which is never sent."""
        query = self._query
        return self._clone(query.replace(where=NOTHING, filters=(*query.filters, MATCHES_NOTHING)))

    def filter(self, /, *conditions: ConditionLike | type[Any] | bool, **lookups: Any) -> Self:
        """The rows that meet all conditions.

        A condition is a lookup, a `Q` object, a typed comparison, a boolean expression, a SQLAlchemy clause, or a model
        that shares its table by a discriminator. Raises `FieldError` for an unknown name or lookup, `QueryError` for a
        value that the lookup cannot take.
        """
        return self._filtered(conditions, lookups)

    def exclude(self, /, *conditions: ConditionLike | type[Any] | bool, **lookups: Any) -> Self:
        """The rows that do not meet all the conditions; a comparison with NULL counts as not met."""
        # In orm 0.3, exclude() with a clause filtered by it. Models in the spelling of 0.x keep that.
        legacy = self._query.info.legacy and len(conditions) == 1 and not lookups
        negated = not (legacy and not isinstance(conditions[0], Logical))
        return self._filtered(conditions, lookups, negated=negated)

    def _filtered(self, conditions: Sequence[Any], lookups: Mapping[str, Any], *, negated: bool = False) -> Self:
        query = self._query
        filtered = self._clone(query.filter(conditions, lookups, negated=negated))
        if query.info.legacy and isinstance(query.projection, Instances):
            # Code written for orm 0.3 relies on filters across a relation to load it.
            implied = relations_of(query.info, lookups)
            return filtered.select_related(*implied) if implied else filtered
        return filtered

    def search(self, term: str) -> Self:
        """The rows with a text field that contains `term`, ignoring case; all rows if `term` is empty."""
        if not term:
            return self
        names = [name for name, field in self._query.info.fields.items() if field.family == "text"]
        if not names:
            raise QueryError(f"{self._query.info.name} has no text field to search.")
        condition = Q()
        for name in names:
            condition = condition | Q(**{f"{name}__icontains": term})
        return self.filter(condition)

    def order_by(self, *terms: OrderTerm) -> Self:
        """Ordered by these terms only: ``"name"``, ``"-album__name"``, expressions. Without terms: unordered."""
        resolver = self._query.resolver()
        resolver.windows = {}
        ordering = resolver.order_by(terms)
        if isinstance(self._query, Combination):
            return self._clone(self._query.replace(ordering=ordering))
        if not self._query.grouped and any(term.term.aggregate for term in ordering):
            raise FieldError("order_by() can use an aggregate only of grouped rows: annotate() it first.")
        joins = self._query.joins._replace(outer_references=resolver.joins.outer_references)
        ordered = self._replace("order_by()", joins, ordering=ordering)
        return ordered._clone(ordered._query.with_windows(resolver))

    def reverse(self) -> Self:
        """The rows in the opposite order."""
        if self._query.sliced:
            raise QueryError("reverse() after a slice would change which rows were sliced.")
        return self._clone(self._query.reversed() if self._query.order else self._query)

    def distinct(self, *fields: str) -> Self:
        """Without duplicate rows; with fields, only the first of the rows that are equal in these.

        Fields are PostgreSQL's DISTINCT ON, whose ordering must begin with them; other databases raise
        `NotSupportedError`.
        """
        resolver = self._query.resolver()
        for field in fields:
            check_name(field, "A field of distinct()")
        terms = tuple(part for field in fields for part in by_value(resolver.name(field, "a field of distinct()")))
        return self._replace("distinct()", resolver.joins, distinct=True, distinct_on=terms)

    def select_for_update(
        self, *, nowait: bool = False, skip_locked: bool = False, of: Sequence[str] = (), no_key: bool = False
    ) -> Self:
        """Lock the rows until the transaction ends. Raises `TransactionError` outside a transaction.

        If another transaction has locked a row, the query waits; with `nowait` it raises `LockNotAvailable`, with
        `skip_locked` it skips the row. `of` names the relations of `select_related()` whose rows are locked
        (``"self"`` is the model itself). `no_key=True` allows other rows to refer to the locked ones. SQLite has no
        row locks and ignores the call; MySQL and MariaDB raise `NotSupportedError` for `no_key`, MariaDB for `of`.
        """
        return self._locking(nowait, skip_locked, of, no_key=no_key)

    def select_for_share(self, *, nowait: bool = False, skip_locked: bool = False, of: Sequence[str] = ()) -> Self:
        """Like `select_for_update()`, but other transactions may read and share the rows; they cannot change them."""
        return self._locking(nowait, skip_locked, of, share=True)

    def _locking(self, nowait: bool, skip_locked: bool, of: Sequence[str], **kind: bool) -> Self:
        if nowait and skip_locked:
            raise QueryError("nowait and skip_locked exclude each other: a locked row either raises or is skipped.")
        if isinstance(of, str):
            raise QueryError(f"of is a list of relations, such as [{of!r}].")
        lock = Lock(nowait=nowait, skip_locked=skip_locked, of=tuple(of), **kind)
        return self._clone(self._query.replace(lock=lock))

    def limit(self, count: int, *, per: Operand | Sequence[Operand] | None = None) -> Self:
        """At most `count` rows. Unlike a slice, it can be followed by `filter()` and `order_by()`.

        With `per`, at most `count` rows of each group of rows that are equal in these fields or expressions: the first
        ones in the order that the queryset has at this point (by primary key, if it has none).

            await Comment.objects.order_by("-votes").limit(3, per="post")
        """
        check_index(count, "limit()")
        query = self._query
        if per is not None:
            return self._limited_per(count, [per] if isinstance(per, (str, Expression)) else per)
        if query.sliced:
            return self._clone(query.slice(0, count))
        return self._clone(query.replace(stop=query.offset + count))

    def _limited_per(self, count: int, per: Sequence[Operand]) -> Self:
        query = self._query
        window = f"position {len(query.annotations)}"  # Users' annotations have no space in their names.
        resolver = query.resolver()
        partition = tuple(
            resolver.expression(F(term) if isinstance(term, str) else term, "a group of limit()") for term in per
        )
        if not partition or any(term.window or (term.aggregate and not query.grouped) for term in partition):
            raise QueryError("limit(per=) takes fields or expressions in which the rows of a group are equal.")
        position = WindowTerm(FuncTerm(RowNumber(), ()), partition, query.with_order().order, None)
        first = Comparison(F(window), "lte", count)
        annotations = {**query.annotations, window: AnnotationTerm(window, position, selectable=False)}
        numbered = self._replace("limit(per=)", resolver.joins, annotations=annotations)
        return numbered._filtered((first,), {})

    def offset(self, count: int) -> Self:
        """Without the first `count` rows."""
        check_index(count, "offset()")
        query = self._query
        if query.sliced:
            return self._clone(query.slice(count, None))
        stop = None if query.stop is None else query.stop - query.offset + count
        return self._clone(query.replace(offset=count, stop=stop))

    def with_cte(self, *ctes: CTE) -> Self:
        """The query with these common table expressions: see `orm.CTE`."""
        for cte in ctes:
            if not isinstance(cte, CTE):
                raise QueryError(f"with_cte() takes an orm.CTE, got {type(cte).__name__}.")
        return self._clone(self._query.replace(ctes=(*self._query.ctes, *ctes)))

    def _joined_to(self, cte: CTE, lookups: Mapping[str, Any]) -> Self:
        query = self._query
        resolver = query.filter_resolver()
        condition = resolver.filter((), lookups.items())
        return self._clone(query.with_joins(resolver.joins, cte_joins=(*query.cte_joins, (cte, condition))))

    def union(self, *others: ChainMethods[Any, Any], all: bool = False) -> Self:
        """The rows of this query and of the others, without duplicates (with `all=True`, with them).

        What can follow is an order by its columns, a slice, `count()` and other `values()`.
        """
        return self._combined("union_all" if all else "union", others)

    def intersection(self, *others: ChainMethods[Any, Any]) -> Self:
        """The rows that this query and all the others return."""
        return self._combined("intersection", others)

    def difference(self, *others: ChainMethods[Any, Any]) -> Self:
        """The rows of this query that none of the others returns."""
        return self._combined("difference", others)

    def _combined(self, operation: Operation, others: Sequence[ChainMethods[Any, Any]]) -> Self:
        for other in others:
            if not isinstance(other, ChainMethods):
                raise QueryError(f"{operation}() takes querysets, got {type(other).__name__}.")
        return self._clone(Combination.of(operation, (self._query, *(other._query for other in others))))

    def __and__(self, other: ChainMethods[M, Any]) -> Self:
        """The rows that both queries return."""
        self._check_same(other)
        both_queries = self
        for call in other._query.filters:
            scoped = both_queries._clone(both_queries._query.replace(shares_joins=call.shares_joins))
            both_queries = scoped._filtered(call.conditions, dict(call.lookups), negated=call.negated)
        return both_queries

    def __or__(self, other: ChainMethods[M, Any]) -> Self:
        """The rows that either query returns."""
        return self._either("OR", other)

    def __xor__(self, other: ChainMethods[M, Any]) -> Self:
        """The rows that exactly one of the two queries returns."""
        return self._either("XOR", other)

    def _either(self, connector: Literal["OR", "XOR"], other: ChainMethods[M, Any]) -> Self:
        if isinstance(other, ChainMethods) and (self._query.is_limited or other._query.is_limited):
            return self._by_keys()._either(connector, other._by_keys())
        self._check_same(other)
        mine, theirs = self._query, other._query
        where = junction(connector, [mine.where, theirs.where])
        latest = {**mine.joins.latest, **theirs.joins.latest}
        references = {**mine.outer_references, **theirs.outer_references}
        joins = Joins(latest, max(mine.joins.highest, theirs.joins.highest), references)
        return self._clone(mine.replace(where=where, joins=joins))

    def _by_keys(self) -> Self:
        """The rows of a slice, by their keys: as in Django, they can then be combined with others."""
        query = self._query
        if not query.is_limited:
            return self
        if isinstance(query, Combination):
            raise QueryError(NOT_COMBINED)
        return self._clone(rows_of_model(query.info))._filtered((), {"pk__in": self})

    def _check_same(self, other: ChainMethods[M, Any]) -> None:
        if not isinstance(other, ChainMethods) or other._query.info is not self._query.info:
            raise QueryError(f"Querysets of {self._query.info.name} combine with others of the same model only.")
        for query in (self._query, other._query):
            if query.is_limited or isinstance(query, Combination):
                raise QueryError(NOT_COMBINED)
        if self._query.distinct != other._query.distinct:
            raise QueryError("A distinct queryset cannot be combined with one that is not distinct.")
        if self._query.annotations.keys() != other._query.annotations.keys():
            raise QueryError("Querysets with different annotations cannot be combined: annotate afterwards.")

    def annotate(self, /, *aggregates: Aggregate[Any], **expressions: Any) -> Self:
        """Compute these expressions for each row, as attributes of the instances (or keys of the dicts).

        An aggregate groups the rows: by the preceding ``values("level")``, or by instance. An aggregate that is passed
        without a name has Django's default name: ``level__count``.
        """
        return self._annotated(self._named(aggregates, expressions), selected=True)

    def alias(self, /, *aggregates: Aggregate[Any], **expressions: Any) -> Self:
        """Name these expressions for later conditions, orderings and expressions, without selecting them."""
        return self._annotated(self._named(aggregates, expressions), selected=False)

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
            check_annotation_name(query, name)
            if isinstance(expression, FilteredRelation):
                query = with_filtered_relation(query, name, expression)
                continue
            resolver = query.resolver()
            resolved = resolver.expression(expression, f"the annotation {name}")
            former = query.annotations.get(name)
            term = AnnotationTerm(name, resolved, selectable=selected, former=former)
            changes = groups_for(query, (term,))
            changes["annotations"] = {**query.annotations, name: term}
            if former is not None:
                changes |= _replacing(query, former, term)
            changes["projection"] = query.projection.annotated(name, term if selected else None)
            query = query.with_joins(resolver.joins, **changes)
        return self._clone(query)

    def using(self, database: databases.Database) -> Self:
        """The same query on another database, to which its instances are saved as well."""
        return self._clone_on(self._query, schemas.of_context(database) if schemas.in_use else database)

    def using_schema(self, name: str) -> Self:
        """The same query on the tables of a schema (on MySQL, of a database), to which its instances are saved as well.

            notes = await Note.objects.using_schema("tenant_1").filter(done=False)

        It runs on the same pool, and in the same transactions. Models with a `schema` in their class Meta stay in that
        one. For all queries of a block, see `orm.schema()`. Raises `QueryError` for what cannot be a name;
        `NotSupportedError` when it is awaited on SQLite, which has no schemas.
        """
        return self._clone_on(self._query, in_schema(self._given or self._query.info.registry.database, name))


def _replacing(query: Query, former: AnnotationTerm, term: AnnotationTerm) -> dict[str, Any]:
    """The changes to a query in which an annotation replaces another one that other clauses may read."""
    # Users' annotations have no space in their names. The new one may be computed from any other.
    hidden = f"{former.name} replaced {former.replaced}"
    annotations = {hidden if n == term.name else n: a for n, a in query.annotations.items()}
    changes: dict[str, Any] = {"annotations": {**annotations, hidden: former.set_aside(), term.name: term}}
    if query.ordering is not None:
        # As in Django, an ordering by the name uses the last annotation of that name.
        changes["ordering"] = tuple(
            ResolvedOrder(term, order.descending, order.nulls) if order.term is former else order
            for order in query.ordering
        )
    return changes


def groups_for(query: Query, terms: Iterable[Term]) -> dict[str, Any]:
    """The clauses that make groups of the query's rows, if one of these terms is an aggregate.

    A group is of the values that were chosen before, as in ``values("level").annotate(...)``, else of one instance.
    """
    if not any(term.aggregate for term in terms):
        return {}
    if isinstance(query.projection, Columns):
        return {"grouped": True, "grouping": tuple(term for term in query.projection.terms if not term.aggregate)}
    return {} if query.grouped else {"grouped": True}


def has_attribute(info: ModelInfo, name: str) -> bool:
    """Whether instances of the model have an attribute of this name."""
    return name in info.settable or name in info.relations or name == "pk" or hasattr(info.model, name)


def check_annotation_name(query: Query, name: str) -> None:
    """Raise `QueryError` unless `name` can be the name of an annotation.

    As in Django, after ``values()`` it may be that of a field which is not selected.
    """
    info = query.info
    if isinstance(query.projection, Columns):
        taken = name in query.projection.names and name not in query.annotations
    else:
        taken = has_attribute(info, name)
    if taken:
        raise QueryError(f"{info.name} has an attribute {name!r} already: call the annotation something else.")
    if not name.isidentifier() or name.startswith("_"):
        raise QueryError(f"{name!r} cannot be the name of an annotation: it must be a Python identifier.")


def check_index(index: Any, what: str) -> int:
    """The index, if it is a non-negative integer. Raises `QueryError` otherwise."""
    if isinstance(index, bool) or not isinstance(index, int):
        raise QueryError(f"{what} takes a whole number, got {type(index).__name__}.")
    if index < 0:
        raise QueryError(f"{what} cannot be negative: reverse() the order and count from the start.")
    return index
