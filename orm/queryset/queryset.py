"""`QuerySet`: a query in the making, immutable, awaited for its rows."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from typing_extensions import Self
from typing_extensions import TypeVar as DefaultTypeVar

from orm import execution
from orm.exceptions import NotSupportedError, QueryError
from orm.loading.graph import BUDGET, Graph, GraphBudget, with_shapes
from orm.loading.prefetch_paths import Prefetch
from orm.query.conditions.base import EVERYTHING
from orm.query.on_conflict import resolve_conflict
from orm.query.plans.write import resolve_assignments
from orm.query.projection import Columns, Instances
from orm.query.returning import resolve_returning
from orm.query.set_operations import Combination
from orm.queryset import dates as date_querysets
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
    from orm.models import Model

M = TypeVar("M", bound="Model")
R = DefaultTypeVar("R", default=Any)


class QuerySet(ReadMethods[M, R]):
    """A query of `M`, whose rows come as `R` (instances, unless `values()` says otherwise).

    Every method that narrows or orders returns a new queryset. Await one for a list, loop over it with
    ``async for`` for a stream in constant memory, slice it for a part.

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
            return self._clone(
                query.choosing(tuple(Columns.of(part.names(), shape, fields, named) for part in query.parts))
            )
        names = query.names()
        columns = Columns.of(names, shape, fields, named)
        return self._clone(self._query.with_scope(names, projection=columns))

    def dates(self, field: str, kind: str, order: Literal["ASC", "DESC"] = "ASC") -> QuerySet[M, datetime.date]:
        """Each year, month, week or day (`kind`) that the rows fall into once, as its first date; NULLs in none."""
        return date_querysets.dates(self, field, kind, order)

    def datetimes(
        self,
        field: str,
        kind: str,
        order: Literal["ASC", "DESC"] = "ASC",
        tzinfo: datetime.tzinfo | None = None,
    ) -> QuerySet[M, datetime.datetime]:
        """Like `dates()`, down to the second. `tzinfo`: by whose clock instants are told, UTC if it is not given."""
        return date_querysets.datetimes(self, field, kind, order, tzinfo)

    def graph(self, *shapes: str | Prefetch | Mapping[str, Any], budget: GraphBudget = BUDGET) -> Graph[R]:
        """The rows with everything that these name, in one round trip, whatever the depth: await it, or `as_dicts()`.

            await Artist.objects.graph("albums__tracks", "albums__label")
            await Artist.objects.graph({"albums": {"tracks": {"limit": 3, "order_by": "-plays"}, "label": None}})

        A shape has relations as keys, and for each None, a queryset, or a dict of further relations and of what is
        wanted of its rows: `filter` and `exclude` (a dict of lookups, or a condition), `order_by`, `limit` (of the rows
        of each one that they belong to) and `to_attr`.

        Raises `FieldError` for what is no relation, `GraphTooLarge` for more than the `budget` allows.
        """
        query = self._query.replace(branches=with_shapes(self._query, shapes))
        return Graph(query, self.database, self._using, budget)

    def raw(self, sql: str, values: Mapping[str, Any] | None = None) -> RawQuerySet[M]:
        """Instances from SQL of your own: see `Model.raw()`. As in Django, nothing else of the queryset counts, but
        for the database that it is `using()`.
        """
        return RawQuerySet(self._query.info, sql, values, self._using)

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
        is validated before any is sent. Unsaved instances that the rows point at (``Track(album=Album(name="x"))``)
        are inserted before them, and so on; rows of the list may point at each other.

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
        if has_new_parents(instances):
            if conflict is not None:
                raise QueryError(
                    f"bulk_create() of a {info.name} with conflict options inserts nothing else: save the instances "
                    "that the rows point at first."
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
        """Insert a row, or many, with everything nested in it, in one transaction and the fewest statements.

            artist = await Artist.objects.create_graph(
                {"name": "Miley", "albums": [{"name": "Malibu", "label": 3, "tracks": [{"title": "Malibu"}]}]}
            )

        In the place of a related row stands a dict (a new row), an instance (the row that it is of; a new one if it
        is not saved) or a key; of a relation to many, a list of them. A dict or an instance that is there twice is one
        row. What was nested is attached to the instances that are returned, as if it had been prefetched.

        Raises `orm.ValidationError` with all messages, each with the path to its value, and `FieldError` for an
        unknown name, before anything is sent; `QueryError` for rows that need each other over foreign keys that may
        not be null.
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
        found = self._remember_database(await execution.delete_returning(self._query, wanted, self.database), wanted)
        if isinstance(wanted, Instances):
            for instance in found:
                instance.__dict__["_persisted"] = False
        return found

    async def collect_delete(self) -> DeletePlan:
        """What `delete()` would do to every table: how many rows it deletes, sets to null, or is refused for.

        Nothing is changed, and nothing is locked: another task may change the answer.

            plan = await Album.objects.filter(year__lt=1950).collect_delete()
            print(plan, plan.total, plan.refused)
        """
        self._check_write("collect_delete()")
        self._instances("collect_delete()")
        if self._query.distinct_on:
            raise QueryError("collect_delete() after distinct() on fields: narrow by keys instead.")
        return await collect_delete(self._query, self.database)

    def _check_whole(self, what: str) -> None:
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
        """The row that matches, or a new one made of the lookups and the defaults; and whether it is new.

        Callables among the defaults are called. Safe in a race: if another task creates the row meanwhile,
        that row is returned.
        """
        return await find_or_create(self, lookups, defaults)

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
        return await update_or_create(self, lookups, defaults, create_defaults)
