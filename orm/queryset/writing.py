"""`WriteMethods`: the methods of a queryset that write to the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from typing_extensions import TypeVar as DefaultTypeVar

from orm import execution
from orm.database.connections import schemas, statements
from orm.database.connections.server_dialect import dialect_of
from orm.database.connections.units_of_work import idle_unit, open_units
from orm.exceptions import NotSupportedError, QueryError
from orm.expressions.base import F
from orm.mapping.signals import post_bulk_update, post_update, pre_bulk_update, pre_update
from orm.query.on_conflict import Conflict, resolve_conflict
from orm.query.plans.write import Assignments, resolve_assignments
from orm.query.projection import Instances, Projection
from orm.query.returning import resolve_returning
from orm.query.set_operations import Combination
from orm.queryset.reading import ReadMethods, all_rows
from orm.utils.articles import with_article
from orm.utils.slices import slices
from orm.writing.bulk_create import bulk_create
from orm.writing.bulk_rows import check_batch_size, instances_of
from orm.writing.bulk_update import bulk_update
from orm.writing.create_graph import create_graph
from orm.writing.delete_preview import DeletePlan, collect_delete
from orm.writing.dependent_inserts import create_with_parents, has_new_parents
from orm.writing.get_or_create import find_or_create, update_or_create
from orm.writing.hooked_deletes import delete_rows_with_hooks, models_to_load
from orm.writing.hooked_writes import hooked_bulk_create, hooked_write, save_with_hooks
from orm.writing.instances import insert_instance, save_as_new, split_update
from orm.writing.returning import delete_returning, update_returning
from orm.writing.update_graph import update_graph
from orm.writing.upserts import repeated_keys, updated_fields, upsert_batch_size
from orm.writing.validation import validate_instances

if TYPE_CHECKING:
    from orm.models import Model
    from orm.queryset.queryset import QuerySet

M = TypeVar("M", bound="Model")
R = DefaultTypeVar("R", default=Any)


class WriteMethods(ReadMethods[M, R]):
    """Inserting, updating and deleting rows."""

    async def create(self, /, **values: Any) -> M:
        """Insert a row and return its instance. If the model overrides `save()`, it is called.

        Raises `orm.ValidationError` with all messages.
        """
        instance = self.model(**values)
        if (self._given is not None or schemas.in_use) and self._using is not None:
            instance.__dict__["_database"] = self._using
        info = self._query.info
        if open_units:
            unit = idle_unit(self.database)
            if unit is not None and await unit.save(instance):
                return instance
        if info.overrides_save:
            await save_as_new(instance)
        elif info.hooks is not None:
            await save_with_hooks(instance, None, insert=True)
        else:
            await insert_instance(instance, self.database)
        return instance

    async def bulk_create(
        self,
        rows: Iterable[M | Mapping[str, Any]] | QuerySet[M, M],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Iterable[str] | None = (),
        unique_fields: Iterable[str] | None = (),
    ) -> list[M]:
        """Insert many rows in one transaction; returns their instances, with their keys.

        `rows` are instances or dicts. `batch_size` is the number of rows per statement; by default, as many as the
        database accepts. All rows are validated before any is sent; each message about a row has its position,
        ``index=[137, "name"]``. A value may be an expression without fields (``Lower(Value("X"))``). Unsaved instances
        that the rows refer to (``Track(album=Album(name="x"))``) are inserted first, recursively; the rows may refer to
        each other.

        A row that conflicts with an existing one over a unique constraint raises `UniqueViolation`. With
        `ignore_conflicts` it is skipped; the instances are then left as they are, because the database does not tell
        which rows are new. With `update_conflicts` it updates the `update_fields` of the existing row; the instances
        then have only the key, the unique fields and these, and the others are not loaded. In a session, the instances
        are those of the session, where it has them.
        `unique_fields` name the constraint: SQLite and PostgreSQL need them; MySQL and MariaDB check every constraint
        and raise `NotSupportedError`.
        """
        check_batch_size(batch_size)
        conflict = resolve_conflict(self._query.info, ignore_conflicts, update_conflicts, update_fields, unique_fields)
        return await self._bulk_create(rows, batch_size, conflict)

    async def _bulk_create(
        self, rows: Iterable[M | Mapping[str, Any]] | QuerySet[M, M], batch_size: int | None, conflict: Conflict | None
    ) -> list[M]:
        info = self._query.info
        instances = await instances_of(self.model, await all_rows(rows), "bulk_create()")
        unit = idle_unit(self.database) if open_units else None
        if unit is not None and conflict is None and await unit.save_all(instances):
            return instances
        before = [(instance, instance.__dict__.copy()) for instance in instances] if unit is not None else ()
        if await has_new_parents(instances):
            if conflict is not None:
                raise QueryError(
                    f"bulk_create() of {with_article(info.name)} with conflict options inserts nothing else: save the "
                    "instances that the rows refer to first."
                )
            await create_with_parents(instances, self.database, self._using, batch_size)
        elif instances and info.hooks is not None:
            options = {
                "ignore_conflicts": conflict is not None and conflict.ignores,
                "update_conflicts": conflict is not None and not conflict.ignores,
            }
            async with hooked_bulk_create(instances, self.database, **options):
                await bulk_create(info, instances, self.database, batch_size, conflict)
        elif instances:
            await bulk_create(info, instances, self.database, batch_size, conflict)
        if self._using is not None:
            for instance in instances:
                instance.__dict__["_database"] = self._using
        if unit is not None:
            await unit.synchronize(info)
            saved = [instance for instance in instances if instance._persisted]
            held = dict(zip(map(id, saved), unit.note_created(saved, before), strict=True))
            return [held.get(id(instance), instance) for instance in instances]
        return instances

    async def full_clean(
        self,
        rows: Iterable[M | Mapping[str, Any]] | QuerySet[M, M],
        *,
        exclude: Collection[str] = (),
        validate_constraints: bool = True,
    ) -> list[M]:
        """Validate many instances, or dicts, without writing them, each as by `Model.full_clean()`; returns instances.

        Constraints are checked against the rows of the database, with one statement for each instance. Raises
        `orm.ValidationError` with all messages; each has the position of its row, ``index=[137, "name"]``.
        """
        instances = await instances_of(self.model, await all_rows(rows), "full_clean()")
        if self._using is not None:
            for instance in instances:
                instance.__dict__["_database"] = self._using
        await validate_instances(instances, exclude, constraints=validate_constraints)
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

        A related row is a dict (a new row), an instance (its row; a new one if it is not saved) or a key; a
        to-many relation takes a list of them. A dict or an instance that occurs twice is one row. The returned
        instances have their nested rows attached, as if they had been prefetched.

        Raises, before anything is sent, `orm.ValidationError` with all messages, each with the path to its value,
        and `FieldError` for an unknown name; `QueryError` for rows that refer to each other in a cycle of foreign keys
        none of which may be null.
        """
        created: M | list[M] = await create_graph(self.model, rows, self.database, self._using, {})
        return created

    @overload
    async def update_graph(
        self, rows: M | Mapping[str, Any], *, missing: Literal["delete", "detach", "keep"] = ...
    ) -> M: ...
    @overload
    async def update_graph(
        self, rows: Iterable[M | Mapping[str, Any]], *, missing: Literal["delete", "detach", "keep"] = ...
    ) -> list[M]: ...
    async def update_graph(self, rows: Any, *, missing: Literal["delete", "detach", "keep"] = "delete") -> Any:
        """Change rows, and the rows nested in them, to what the argument says, in one transaction.

            artist = await Artist.objects.update_graph(
                {"id": 1, "name": "Miley", "albums": [{"id": 3, "name": "Bangerz"}, {"name": "Endless"}]}
            )

        A dict with a primary key is an existing row, of which the fields in the dict are written; one without is a new
        row, as in `create_graph()`. A list of a relation to many is complete: rows that it lacks are deleted, pairs of
        a many-to-many relation removed. Relations that a dict does not name are left alone. An instance is written with
        the rows that are loaded of its relations to many; none of them is removed.

        Args:
            rows: A dict or a saved instance, or several. The queryset limits which rows may be written.
            missing: ``"delete"`` rows that a list lacks, ``"detach"`` them (set their foreign key to NULL), or
                ``"keep"`` them.

        The returned instances have their nested rows attached. Rows are locked before they are changed, and only
        changed fields are written. Raises `StaleObject` for a row with another `Version` than that of the argument,
        `DoesNotExist` for a row that is gone, `QueryError` for the key of a row of another owner,
        `orm.ValidationError` with the paths to the values, `FieldError` for an unknown name; nothing is written then.
        """
        self._check_write("update_graph()")
        self._instances("update_graph()")
        return await update_graph(self._query, rows, self.database, self._using, missing)

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
        fields. Rows with different fields are written by separate statements, in one transaction. On MySQL, which
        returns the key of one row only, every row has a statement. Of several rows with the same key the last one wins.
        The instances have the key, the unique and the updated fields; other fields raise `NotLoaded` until `load()`.
        In a session, a row that the session has an instance of is that instance.

            note = await Note.objects.upsert({"slug": "a", "text": "new"}, unique_fields=["slug"])
        """
        info = self._query.info
        one = isinstance(rows, (self.model, Mapping))
        new_rows = [rows] if one else list(rows)
        groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
        repeats = None if one else await repeated_keys(info, new_rows, unique_fields, self.database)
        async for positions in slices(range(len(new_rows))):
            for position in positions:
                row = new_rows[position]
                updated = tuple(update_fields) or updated_fields(info, row, unique_fields)
                groups.setdefault((repeats[position] if repeats else 0, updated), []).append(position)
        instances: dict[int, M] = {}
        batch_size = await upsert_batch_size(info, self.database) if new_rows else None
        async with AsyncExitStack() as transaction:
            if len(groups) > 1:
                await transaction.enter_async_context(self.database.transaction())
            for (_, updated), group in sorted(groups.items(), key=lambda item: item[0][0]):
                conflict = resolve_conflict(info, False, True, updated, unique_fields, of_upsert=True)
                written = await self._bulk_create([new_rows[position] for position in group], batch_size, conflict)
                instances.update(zip(group, written, strict=True))
        return instances[0] if one else [instances[position] for position in range(len(new_rows))]

    async def bulk_update(
        self, instances: Iterable[M] | QuerySet[M, M], fields: Sequence[str], batch_size: int | None = None
    ) -> int:
        """Write these fields of the instances to their rows, in one transaction; returns the number of rows matched.

        A value may be an expression (``note.views = Note.views + 1``). Rows that the queryset does not match are not
        written. All values are validated before any is sent.
        """
        check_batch_size(batch_size)
        self._check_write("bulk_update()")
        checked = await instances_of(self.model, await all_rows(instances), "bulk_update()")
        if open_units and (unit := idle_unit(self.database)) is not None:
            await unit.before_statement()
            matched = await self._bulk_update(checked, fields, batch_size)
            for instance in checked:
                unit.note_written(instance)
            return matched
        return await self._bulk_update(checked, fields, batch_size)

    async def _bulk_update(self, checked: Sequence[M], fields: Sequence[str], batch_size: int | None) -> int:
        if self._query.info.hooks is None or not checked:
            return await bulk_update(self._query, checked, fields, batch_size, self.database)
        details = {"instances": checked, "fields": list(fields)}
        senders = {self._query.info: details}
        async with hooked_write(pre_bulk_update, post_bulk_update, senders, self.database, checked) as results:
            matched = await bulk_update(self._query, checked, fields, batch_size, self.database)
            results["matched"] = matched
        return matched

    @overload
    async def update(self, /, *, returning: None = ..., **values: Any) -> int: ...
    @overload
    async def update(self, /, *, returning: Literal[True], **values: Any) -> list[M]: ...
    @overload
    async def update(self, /, *, returning: Sequence[str], **values: Any) -> list[dict[str, Any]]: ...
    async def update(self, /, *, returning: Sequence[str] | Literal[True] | None = None, **values: Any) -> Any:
        """Set these fields in all rows that match; returns their number.

        Values are validated; expressions (``Track.position + 1``) are computed by the database.

        With `returning=True` the updated rows are returned as instances, with a list of names as dicts. MySQL and
        MariaDB, whose UPDATE returns nothing, lock, update and read them in a transaction; there, `NotSupportedError`
        is raised if the primary key is set.
        """
        self._check_write("update()")
        self._check_all_rows_confirmed("update()")
        info = self._query.info
        wanted = None if returning is None else resolve_returning(info, returning)
        plain, expressions, _ = split_update(info, values)
        if info.version is not None and values:
            expressions[info.version.name] = F(info.version.name) + 1
        assignments = resolve_assignments(self._query, info.validator.update(plain), expressions)
        if not assignments:
            raise QueryError("update() needs at least one field to set.")
        result: Any
        if info.hooks is not None:
            result = await self._update_with_hooks(values, assignments, wanted)
        elif wanted is None:
            result = await execution.update(self._query, assignments, self.database)
        else:
            result = self._remember_database(
                await update_returning(self._query, assignments, wanted, self.database), wanted
            )
        return await self._synchronized(result, wanted) if open_units else result

    async def _synchronized(self, result: Any, returning: Projection | None) -> Any:
        """Let the session of the current task read its instances of the written rows again."""
        unit = idle_unit(self.database)
        if unit is not None:
            await unit.synchronize(self._query.info)
            if isinstance(returning, Instances) and isinstance(result, list):
                return unit.mapped(result, None, nested=False, fresh=True)
        return result

    async def _update_with_hooks(
        self, values: Mapping[str, Any], assignments: Assignments, returning: Projection | None
    ) -> Any:
        senders = {self._query.info: {"queryset": self, "values": values}}
        rows: list[Any] = []
        async with hooked_write(pre_update, post_update, senders, self.database) as results:
            if returning is None:
                results["matched"] = await execution.update(self._query, assignments, self.database)
            else:
                rows = await update_returning(self._query, assignments, returning, self.database)
                results["matched"] = len(rows)
        return results["matched"] if returning is None else self._remember_database(rows, returning)

    async def refresh(self, *, concurrently: bool = False) -> None:
        """Compute a materialized view again (PostgreSQL).

        With `concurrently`, the view can be read meanwhile; it then needs a unique index of fields, such as a field
        with ``unique=True``. Raises `QueryError` if the model is not a materialized view.
        """
        info = self._query.info
        if info.view is None or not info.view.materialized:
            raise QueryError(f"{info.name} is not a materialized view: only those are refreshed.")
        table = (await dialect_of(self.database)).sqlalchemy.identifier_preparer.format_table(info.require_table())
        await statements.execute(
            self.database, f"REFRESH MATERIALIZED VIEW {'CONCURRENTLY ' if concurrently else ''}{table}"
        )

    @overload
    async def delete(self, *, returning: None = ...) -> int: ...
    @overload
    async def delete(self, *, returning: Literal[True]) -> list[M]: ...
    @overload
    async def delete(self, *, returning: Sequence[str]) -> list[dict[str, Any]]: ...
    async def delete(self, *, returning: Sequence[str] | Literal[True] | None = None) -> Any:
        """Delete all rows that match; returns their number.

        With `returning=True` the deleted rows are returned as instances (which are unsaved now), with a list of names
        as dicts. MySQL, whose DELETE returns nothing, locks, reads and deletes them in a transaction.
        """
        self._check_write("delete()")
        self._check_all_rows_confirmed("delete()")
        self._instances("delete()")
        if self._query.distinct_on:
            raise QueryError("delete() after distinct() on fields: narrow by keys instead.")
        wanted = None if returning is None else resolve_returning(self._query.info, returning)
        if models_to_load(self._query.info):
            matched, rows = await delete_rows_with_hooks(self._query, self.database, wanted, self)
            if wanted is None:
                return await self._synchronized(matched, None) if open_units else matched
        elif wanted is None:
            matched = await execution.delete(self._query, self.database)
            return await self._synchronized(matched, None) if open_units else matched
        else:
            rows = await delete_returning(self._query, wanted, self.database)
        self._remember_database(rows, wanted)
        if isinstance(wanted, Instances):
            for instance in rows:
                instance.__dict__["_persisted"] = False
        return await self._synchronized(rows, None) if open_units else rows

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
        if query.info.registry.require_all and query.where is query.manager_where and not query.all_rows_confirmed:
            raise QueryError(
                f"{what} of every {query.info.name}: confirm it, which this registry requires (require_all=True), with "
                f"{query.info.name}.objects.all() or, in code without await, with filter(pk__isnull=False)."
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
