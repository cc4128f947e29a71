"""`QuerySet`: an immutable query that is chained, and awaited for its rows."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from sqlalchemy import ClauseElement
from typing_extensions import Self
from typing_extensions import TypeVar as DefaultTypeVar

from orm import execution
from orm.exceptions import NotSupportedError, QueryError
from orm.expressions.base import F
from orm.loading.graph import BUDGET, Graph, GraphBudget, with_shapes
from orm.loading.prefetch_paths import Prefetch
from orm.query.conditions.base import EVERYTHING
from orm.query.on_conflict import resolve_conflict
from orm.query.plans.write import resolve_assignments
from orm.query.projection import Columns, Instances
from orm.query.resolving.composite_keys import key_parts
from orm.query.returning import resolve_returning
from orm.query.set_operations import Combination
from orm.query.terms.base import AnnotationTerm
from orm.queryset import dates as date_querysets
from orm.queryset.chaining import groups_for, has_attribute
from orm.queryset.descriptors import QuerySetObjects
from orm.queryset.raw import RawQuerySet
from orm.queryset.reading import ReadMethods
from orm.writing import bulk
from orm.writing.create_graph import create_graph
from orm.writing.delete_preview import DeletePlan, collect_delete
from orm.writing.dependent_inserts import create_with_parents, has_new_parents
from orm.writing.get_or_create import find_or_create, update_or_create
from orm.writing.instances import insert_instance, split_update

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

M = TypeVar("M", bound="Model")
R = DefaultTypeVar("R", default=Any)


class QuerySet(ReadMethods[M, R]):
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
            return self._clone(
                query.choosing(tuple(Columns.of(part.resolver(), shape, fields, named) for part in query.parts))
            )
        if named:
            # As in Django, a named expression is an annotation, which later calls may refer to.
            annotations = {name: value for name, value in named.items() if _is_annotation(query.info, name, value)}
            named = {**named, **{name: F(name) for name in annotations}}
            query = self._annotated(annotations, selected=True)._query
        resolver = query.resolver()
        columns = Columns.of(resolver, shape, fields, named)
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
        query = self._query.replace(branches=with_shapes(self._query, shapes))
        return Graph(query, self.database, self._using, budget)

    def raw(self, sql: str, values: Mapping[str, Any] | None = None) -> RawQuerySet[M]:
        """Instances from your own SQL: see `Model.raw()`.

        As in Django, the queryset's filters and ordering are ignored. Only the database of `using()` is kept.
        """
        return RawQuerySet(self._query.info, sql, values, self._using)

    # Writing.

    async def create(self, /, **values: Any) -> M:
        """Insert a row and return its instance. Raises `orm.ValidationError` with all messages."""
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
        """Insert many rows in one transaction; returns their instances, with their keys.

        `rows` are instances or dicts. `batch_size` is the number of rows per statement; by default, as many as the
        database accepts. All rows are validated before any is sent. Unsaved instances that the rows refer to
        (``Track(album=Album(name="x"))``) are inserted first, recursively; the rows may refer to each other.

        A row that conflicts with an existing one over a unique constraint raises `UniqueViolation`. With
        `ignore_conflicts` it is skipped; the instances are then left as they are, because the database does not tell
        which rows are new. With `update_conflicts` it updates the `update_fields` of the existing row.
        `unique_fields` name the constraint: SQLite and PostgreSQL need them; MySQL and MariaDB check every constraint
        and raise `NotSupportedError`. On MySQL (not MariaDB) `update_conflicts` cannot return the keys.
        """
        bulk.check_batch_size(batch_size)
        info = self._query.info
        conflict = resolve_conflict(info, ignore_conflicts, update_conflicts, update_fields, unique_fields)
        instances = bulk.instances_of(self.model, rows, "bulk_create()")
        if has_new_parents(instances):
            if conflict is not None:
                raise QueryError(
                    f"bulk_create() of a {info.name} with conflict options inserts nothing else: save the instances "
                    "that the rows refer to first."
                )
            await create_with_parents(instances, self.database, self._using, batch_size)
        elif instances:
            await bulk.create(info, instances, self.database, batch_size, conflict)
        if self._using is not None:
            for instance in instances:
                instance.__dict__["_database"] = self._using
        return instances

    @overload
    async def create_graph(self, rows: M | Mapping[str, Any]) -> M: ...
    @overload
    async def create_graph(self, rows: Iterable[M | Mapping[str, Any]]) -> list[M]: ...
    async def create_graph(self, rows: Any) -> M | list[M]:
        """Insert rows with the rows nested in them, in one transaction and the fewest statements.

            artist = await Artist.objects.create_graph(
                {"name": "Miley", "albums": [{"name": "Malibu", "label": 3, "tracks": [{"title": "Malibu"}]}]}
            )

        A related row is given as a dict (a new row), an instance (its row; a new one if it is not saved) or a key; a
        to-many relation takes a list of them. A dict or an instance that occurs twice is one row. The returned
        instances have their nested rows attached, as if they had been prefetched.

        Raises, before anything is sent, `orm.ValidationError` with all messages, each with the path to its value,
        and `FieldError` for an unknown name; `QueryError` for rows that refer to each other in a cycle of foreign keys
        none of which may be null.
        """
        created: M | list[M] = await create_graph(self.model, rows, self.database, self._using, {})
        return created

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
        """Insert one or many rows, or update the existing ones: ``bulk_create(update_conflicts=True)``.

        Without `update_fields`, each existing row takes the fields that its row here has, except the key and the unique
        fields. Rows that have different fields are written by a statement each, in one transaction.

            note = await Note.objects.upsert({"slug": "a", "text": "new"}, unique_fields=["slug"])
        """
        one = isinstance(rows, (self.model, Mapping))
        new_rows = [rows] if one else list(rows)
        groups: dict[tuple[str, ...], list[int]] = {}
        for position, row in enumerate(new_rows):
            updated = tuple(update_fields) or bulk.updated_fields(self._query.info, row, unique_fields)
            groups.setdefault(updated, []).append(position)
        instances: dict[int, M] = {}
        async with AsyncExitStack() as transaction:
            if len(groups) > 1:
                await transaction.enter_async_context(self.database.transaction())
            for updated, positions in groups.items():
                written = await self.bulk_create(
                    [new_rows[position] for position in positions],
                    update_conflicts=True,
                    update_fields=updated,
                    unique_fields=unique_fields,
                )
                instances.update(zip(positions, written, strict=True))
        return instances[0] if one else [instances[position] for position in range(len(new_rows))]

    async def bulk_update(self, instances: Iterable[M], fields: Sequence[str], batch_size: int | None = None) -> int:
        """Write these fields of the instances to their rows, in one transaction; returns the number of rows matched.

        A value may be an expression (``note.views = Note.views + 1``). Rows that the queryset does not match are not
        written. All values are validated before any is sent.
        """
        bulk.check_batch_size(batch_size)
        self._check_write("bulk_update()")
        checked = bulk.instances_of(self.model, instances, "bulk_update()")
        return await bulk.update(self._query, checked, fields, batch_size, self.database)

    @overload
    async def update(self, /, *, returning: None = ..., **values: Any) -> int: ...
    @overload
    async def update(self, /, *, returning: Literal[True], **values: Any) -> list[M]: ...
    @overload
    async def update(self, /, *, returning: Sequence[str], **values: Any) -> list[dict[str, Any]]: ...
    async def update(self, /, *, returning: Sequence[str] | Literal[True] | None = None, **values: Any) -> Any:
        """Set these fields in all rows that match; returns their number.

        Values are validated; expressions (``Track.position + 1``) are computed by the database.

        With `returning=True` the statement returns the updated rows as instances, with a list of names as dicts.
        Raises `NotSupportedError` on MySQL and MariaDB, which cannot return updated rows.
        """
        self._check_write("update()")
        self._check_all_rows_confirmed("update()")
        info = self._query.info
        wanted = None if returning is None else resolve_returning(info, returning)
        plain, expressions, _ = split_update(info, values)
        assignments = resolve_assignments(self._query, info.validator.update(plain), expressions)
        if not assignments:
            raise QueryError("update() needs at least one field to set.")
        if wanted is None:
            return await execution.update(self._query, assignments, self.database)
        return self._remember_database(
            await execution.update_returning(self._query, assignments, wanted, self.database), wanted
        )

    @overload
    async def delete(self, *, returning: None = ...) -> int: ...
    @overload
    async def delete(self, *, returning: Literal[True]) -> list[M]: ...
    @overload
    async def delete(self, *, returning: Sequence[str]) -> list[dict[str, Any]]: ...
    async def delete(self, *, returning: Sequence[str] | Literal[True] | None = None) -> Any:
        """Delete all rows that match; returns their number.

        With `returning=True` the statement returns the deleted rows as instances (which are unsaved now), with a list
        of names as dicts. Raises `NotSupportedError` on MySQL, which cannot return deleted rows; MariaDB can.
        """
        self._check_write("delete()")
        self._check_all_rows_confirmed("delete()")
        self._instances("delete()")
        if self._query.distinct_on:
            raise QueryError("delete() after distinct() on fields: narrow by keys instead.")
        if returning is None:
            return await execution.delete(self._query, self.database)
        wanted = resolve_returning(self._query.info, returning)
        rows = self._remember_database(await execution.delete_returning(self._query, wanted, self.database), wanted)
        if isinstance(wanted, Instances):
            for instance in rows:
                instance.__dict__["_persisted"] = False
        return rows

    async def collect_delete(self) -> DeletePlan:
        """A preview of `delete()`: for each table, how many rows would be deleted, updated, or refuse the deletion.

        Nothing is changed. The rows are read without locks, so another task may change the answer. Only if a row with
        RESTRICT, NO ACTION or SET DEFAULT would be deleted along with the row that it references, the DELETE is
        executed, which locks the rows, and rolled back: whether the database refuses it then depends on its order.

            plan = await Album.objects.filter(year__lt=1950).collect_delete()
            print(plan, plan.total, plan.refused)
        """
        self._check_write("collect_delete()")
        self._instances("collect_delete()")
        if self._query.distinct_on:
            raise QueryError("collect_delete() after distinct() on fields: narrow by keys instead.")
        return await collect_delete(self._query, self.database)

    def _check_all_rows_confirmed(self, what: str) -> None:
        query = self._query
        if query.info.registry.require_all and query.where is EVERYTHING and not query.all_rows_confirmed:
            raise QueryError(
                f"{what} of every {query.info.name}: confirm it with {query.info.name}.objects.all(), "
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
        """The row that matches, or a new one with the values of the lookups and the defaults; and whether it is new.

        Callable defaults are called. Race-safe if a unique constraint covers the lookups: if another task creates the
        row in the meantime, that row is returned.
        """
        return await find_or_create(self, lookups, defaults)

    async def update_or_create(
        self,
        /,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        **lookups: Any,
    ) -> tuple[M, bool]:
        """The row that matches, updated with `defaults`, or a new one; and whether it is new.

        A new row has the values of the lookups and of `create_defaults` (or of `defaults`, if there are none).
        """
        return await update_or_create(self, lookups, defaults, create_defaults)


def _is_annotation(info: ModelInfo, name: str, value: Any) -> bool:
    """Whether later calls may refer to a named column of values() by its name.

    A name that the model has keeps its meaning: ``values(price=Item.price + 1).order_by("price")`` orders by the field.
    """
    if not name.isidentifier() or has_attribute(info, name):
        return False
    return not isinstance(value, ClauseElement) and key_parts(info, value) is None
