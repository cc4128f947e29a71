"""Inserts many rows in one transaction: `bulk_create()` and `upsert()`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, cast

import databases

from orm import execution
from orm.database.connections.checkout import Checkout
from orm.database.connections.server_dialect import cached_dialect, dialect_of
from orm.database.dialect import Dialect
from orm.exceptions import IntegrityError, NotSupportedError, QueryError
from orm.fields import Field
from orm.mapping.changes import mark_saved
from orm.mapping.violations import identify
from orm.query.on_conflict import Conflict
from orm.query.plans.plan import UnstorableArgument
from orm.query.plans.write import bulk_insert
from orm.rows.writers import inserted_fields
from orm.utils.articles import with_article
from orm.utils.gc_control import MIN_OBJECTS, call_with_gc_paused
from orm.utils.memoized import memoized_property
from orm.utils.slices import in_slices, slices
from orm.writing.bulk_rows import MANY_ROWS, RowErrors
from orm.writing.instances import ExpressionValues, insert_expressions, prepare_insert
from orm.writing.read_back import key_of, read_back
from orm.writing.upserts import check_kinds, fields_of_any_conflict, in_input_order

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

# From this number of rows on, it pays to ask the server whether their keys can be computed instead of returned.
MIN_ROWS_TO_ASK = 500
# For shorter statements the server's maximum is not fetched: no server has a lower one.
BYTES_TO_ASK = 500_000


async def bulk_create(
    info: ModelInfo,
    instances: Sequence[Model],
    database: databases.Database,
    batch_size: int | None,
    conflict: Conflict | None,
) -> None:
    """Insert the instances in one transaction, and set the values that the database generates."""
    if cached_dialect(database) is None:
        # Validate before the first connection is opened to learn which server it is.
        errors = RowErrors(instances)
        async for part in slices(instances):
            for instance in part:
                errors.collect(instance, prepare_insert)
        errors.raise_any()
    computed: list[tuple[Model, ExpressionValues]] = []
    dialect, errors = await dialect_of(database), RowErrors(instances)
    if info.discriminator is None:
        batches = await _batches(info, instances, dialect, conflict, computed, errors)
    else:
        batches = []
        for model, part in _by_model(instances).items():
            batches += await _batches(model, part, dialect, conflict, computed, errors)
    errors.raise_any()
    insertion = Insertion(batches, batch_size)
    if computed:
        if conflict is not None:
            raise QueryError(
                f"bulk_create() of {with_article(info.name)} with conflict options takes values, not expressions."
            )
        async with database.transaction():
            await _insert(insertion, database)
            for instance, values in computed:
                await insert_expressions(instance, values, database)
    else:
        await _insert(insertion, database)
    await insertion.finish()
    if info.options.track_changes:
        for instance in instances:
            if instance._persisted:
                mark_saved(instance, database)


async def _insert(insertion: Insertion, database: databases.Database) -> None:
    """Send the statements, in a transaction if there are several."""
    async with Checkout(database) as checkout:
        await insertion.prepare(checkout)
        if insertion.is_one_statement:
            await insertion.run(checkout)
        else:
            async with checkout.transaction():
                await insertion.run(checkout)


async def _batches(
    info: ModelInfo,
    instances: Sequence[Model],
    dialect: Dialect,
    conflict: Conflict | None,
    computed: list[tuple[Model, ExpressionValues]],
    errors: RowErrors,
) -> list[Batch]:
    """Validate the instances and convert them to rows, in one batch for each set of fields.

    Those with expressions are appended to `computed`, the messages about invalid ones to `errors`.
    """
    first = Batch(dialect, info, inserted_fields(info, instances[0]), conflict)
    batches = {first.fields: first}

    def write_other(instance: Model) -> tuple[Any, ...] | None:
        """The row of an instance that the generated writer cannot convert; None if it belongs to another batch."""
        validated = errors.collect(instance, prepare_insert)
        if validated is None:
            return None
        if type(validated) is ExpressionValues:
            computed.append((instance, validated))
            return None
        fields = tuple(info.fields[name] for name in validated)
        batch = batches.get(fields)
        if batch is None:
            batch = batches[fields] = Batch(dialect, info, fields, conflict)
        try:
            row = batch.bulk.converted([*validated.values()])
        except UnstorableArgument as error:
            raise execution.unstorable_value_error([(fields[error.position], error.reason)]) from error
        if batch is first:
            return row
        batch.attributes.append(instance.__dict__)
        batch.rows.append(row)
        return None

    write = first.bulk.write
    rows = await in_slices(lambda part: call_with_gc_paused(write, part, write_other), instances, MIN_OBJECTS)
    if len(batches) == 1 and not computed:
        first.attributes = [instance.__dict__ for instance in instances]
        first.rows = cast("list[tuple[Any, ...]]", rows)
    else:
        for instance, row in zip(instances, rows, strict=True):
            if row is not None:
                first.attributes.append(instance.__dict__)
                first.rows.append(row)
    return [batch for batch in batches.values() if batch.rows]


def _by_model(instances: Iterable[Model]) -> dict[ModelInfo, list[Model]]:
    """The instances of each model, in single-table inheritance."""
    parts: dict[ModelInfo, list[Model]] = {}
    for instance in instances:
        parts.setdefault(instance._meta, []).append(instance)
    return parts


async def batches_of(dialect: Dialect, info: ModelInfo, rows: Sequence[dict[str, Any]]) -> list[Batch]:
    """One batch for each set of fields. `rows` are dicts of validated values by attribute.

    The values that the database generates are added to the dicts.
    """
    batches: dict[tuple[str, ...], Batch] = {}
    async for part in slices(rows):
        for row in part:
            batch = batches.get(tuple(row))
            if batch is None:
                fields = tuple(info.by_attname[name] for name in row)
                batch = batches[tuple(row)] = Batch(dialect, info, fields, None)
            try:
                batch.rows.append(batch.bulk.converted([*row.values()]))
            except UnstorableArgument as error:
                raise execution.unstorable_value_error([(batch.fields[error.position], error.reason)]) from error
            batch.attributes.append(row)
    return [*batches.values()]


class Insertion:
    """The INSERT statements of batches of rows, as few as possible."""

    def __init__(self, batches: Sequence[Batch], batch_size: int | None = None) -> None:
        self._batches = batches
        self._batch_size = batch_size
        self._chunks: list[_Chunk] = []

    async def prepare(self, checkout: Checkout) -> None:
        """Decide how the rows are inserted; this may ask the server."""
        for batch in self._batches:
            await batch.prepare(checkout)

    @property
    def is_one_statement(self) -> bool:
        """Whether there is only one statement, so that no transaction is needed."""
        if len(self._batches) != 1 or self._batches[0].checked_kind is not None:
            return False
        return self._batches[0].fits_one_statement(self._batch_size)

    async def run(self, checkout: Checkout) -> None:
        """Send the statements."""
        for batch in self._batches:
            await batch.fetch_key_step(checkout)
        for batch in self._batches:
            for attributes, rows in batch.chunks(self._batch_size):
                chunk = _Chunk(batch, attributes)
                try:
                    await chunk.insert(checkout, rows)
                except IntegrityError as error:
                    identify(error, batch.bulk.info)
                    raise
                chunk.check_kinds()
                self._chunks.append(chunk)

    async def finish(self) -> None:
        """Set the values that the database generated, and mark the instances as saved."""
        for chunk in self._chunks:
            await chunk.finish()


class Batch:
    """Rows that are inserted with the same fields.

    `attributes` are the dicts, those of the instances, that receive the values that the database generates.
    """

    def __init__(
        self, dialect: Dialect, info: ModelInfo, fields: tuple[Field[Any], ...], conflict: Conflict | None
    ) -> None:
        if info.ancestors:
            raise NotSupportedError(
                f"Many rows of {info.name} cannot be inserted at once: each has rows in several tables, whose keys the "
                f"database generates. Use {info.name}.objects.create() or save()."
            )
        self.fields = fields
        self.attributes: list[dict[str, Any]] = []
        self.rows: list[tuple[Any, ...]] = []
        self.missing = execution.database_generated_fields(info, fields)
        self.unique: tuple[Field[Any], ...] = ()
        """The fields that a row has in common with the existing one that it updates."""
        self.checked_kind: Field[Any] | None = None
        """The discriminator, if the rows may update one of another model, which is refused."""
        returning: tuple[Field[Any], ...] = ()
        if conflict is None:
            returning = (*info.pk_fields, *self.missing) if self.missing else ()
        elif not conflict.ignores:
            self.unique = conflict.unique or fields_of_any_conflict(info, fields)
            self.checked_kind = info.discriminator
            read = (*conflict.counted, *([] if self.checked_kind is None else [self.checked_kind]))
            returning = (*info.pk_fields, *self.missing, *self.unique, *read)
        returning = tuple(dict.fromkeys(returning)) if dialect.insert_returning else ()
        self.bulk = bulk_insert(dialect, info, fields, returning, conflict)
        self.key_step = 1
        """The difference between consecutive keys that the database generates in one statement."""
        self.max_bytes: int | None = None
        """The maximum length of a statement, if the rows may exceed it."""

    async def prepare(self, checkout: Checkout) -> None:
        """For many rows, ask whether their keys can be computed from the first one, without RETURNING.

        For long rows, ask how long a statement may be.
        """
        bulk = self.bulk
        sql = bulk.dialect.max_statement_bytes_query
        if sql is not None and len(self.rows) > 1 and sum(self._row_bytes) > BYTES_TO_ASK:
            self.max_bytes = await checkout.setting(sql)
        if len(self.rows) < MIN_ROWS_TO_ASK or checkout.in_transaction:
            return
        plan = bulk.consecutive_keys_plan
        if plan is not None and (await checkout.fetch(*plan.statement(())))[0][0]:
            self.bulk = bulk.without_returning

    async def fetch_key_step(self, checkout: Checkout) -> None:
        """Set `key_step` to the connection's setting, if the server has one and keys are generated."""
        sql = self.bulk.dialect.key_step_query
        if sql is not None and len(self.rows) > 1 and self.bulk.info.generated in self.missing:
            self.key_step = await checkout.setting(sql)

    def fits_one_statement(self, batch_size: int | None) -> bool:
        """Whether one statement takes all rows."""
        count = len(self.rows)
        return count <= min(self.bulk.chunk_size(batch_size), self._rows_that_fit(0, count))

    def chunks(self, batch_size: int | None) -> Iterable[tuple[list[dict[str, Any]], list[tuple[Any, ...]]]]:
        """The rows of each statement: the attributes that receive the generated values, and the values."""
        size = self.bulk.chunk_size(batch_size)
        if self.checked_kind is not None and self.bulk.dialect.one_key_per_upsert:
            size = 1  # The server tells the key of one row only, by which its discriminator is read.
        start = 0
        while start < len(self.rows):
            part = slice(start, start + self._rows_that_fit(start, size))
            yield self.attributes[part], self.rows[part]
            start = part.stop

    def _rows_that_fit(self, start: int, size: int) -> int:
        """How many rows from `start` on fit into a statement: at most `size`, at least one."""
        if self.max_bytes is None:
            return size
        total = 0
        for count, length in enumerate(self._row_bytes[start : start + size]):
            total += length
            if total > self.max_bytes and count:
                return count
        return size

    @memoized_property
    def _row_bytes(self) -> list[int]:
        """The maximum length of each row in a statement, if every character has four bytes, all escaped."""
        texts = [index for index, field in enumerate(self.fields) if field.family in ("text", "json", "binary")]
        lengths = ((len(row[index] or "") for index in texts) for row in self.rows)
        return [8 * sum(row_lengths) + 32 * len(self.fields) for row_lengths in lengths]


class _Chunk:
    """The rows of one statement."""

    def __init__(self, batch: Batch, attributes: Sequence[dict[str, Any]]) -> None:
        self.batch = batch
        self.attributes = attributes
        self.generated_names: tuple[str, ...] = ()
        """The attributes whose values the database generated."""
        self.generated_values: Iterable[tuple[Any, ...]] | None = None
        """Their values for each row. None before the INSERT, and if the database returns neither keys nor rows."""

    async def insert(self, checkout: Checkout, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute the INSERT, and keep the values that the database generated."""
        bulk = self.batch.bulk
        generated, conflict = bulk.info.generated, bulk.conflict
        generates = generated is not None and generated in self.batch.missing
        sql, arguments, plan = bulk.statement(rows)
        if plan.reader is None:
            outcome = await checkout.execute(sql, arguments)
            tells_key = generated is not None and bulk.dialect.one_key_per_upsert and len(self.attributes) == 1
            if conflict is not None and not conflict.ignores and tells_key:
                assert generated is not None
                self.generated_names, self.generated_values = (generated.attname,), [(outcome.lastrowid,)]
                await self._read_back(checkout)
                return
            if conflict is not None and (conflict.ignores or generates or not self._has_keys):
                return
            self.generated_values = repeat((), len(self.attributes))
            if conflict is None and generated is not None and generates and outcome.lastrowid:
                # The keys that one statement generates are consecutive.
                self.generated_names = (generated.attname,)
                keys = bulk.dialect.generated_keys(outcome.lastrowid, len(self.attributes), self.batch.key_step)
                self.generated_values = zip(keys)
            await self._read_back(checkout)
            return
        returned = plan.reader(await checkout.fetch(sql, arguments))
        if len(returned) != len(self.attributes):
            raise execution.no_row_error(bulk.info, len(self.attributes), len(returned))
        self.generated_names = tuple(field.attname for field in bulk.returning)
        if generated is not None and generates and conflict is None:
            self.generated_values = self._in_insert_order(returned, generated)
        else:
            key = conflict.unique if conflict is not None else bulk.info.pk_fields
            key_names = [field.attname for field in key]
            new_key = generated if generates else None
            self.generated_values = in_input_order(
                returned,
                self.generated_names,
                self.attributes,
                key_names,
                () if generates else [field.attname for field in bulk.info.pk_fields],
                lambda rows: rows if new_key is None else self._in_insert_order(rows, new_key),
            )

    def _in_insert_order(self, returned: list[tuple[Any, ...]], key: Field[Any]) -> list[tuple[Any, ...]]:
        """The rows that the INSERT returned, in the order of insertion, as their new keys show it."""
        if key.server_default is not None:
            return returned  # a sequence may count downwards, or begin again
        return self.batch.bulk.dialect.in_insert_order(returned, self.batch.bulk.returning.index(key))

    def check_kinds(self) -> None:
        """Raise `UniqueViolation` if an upsert has reached a row of another model of the table."""
        batch = self.batch
        if batch.checked_kind is not None:
            self.generated_values = values = [*(self.generated_values or ())]
            names = self.generated_names
            check_kinds(batch.bulk.info, batch.checked_kind, batch.unique, names, values, self.attributes)

    @property
    def _has_keys(self) -> bool:
        """Whether the key of each row is known beforehand, even if the row existed."""
        return set(self.batch.bulk.info.pk_fields) <= {*self.batch.unique}

    async def _read_back(self, checkout: Checkout) -> None:
        """Select the other values that the database has set, if it sets any and the keys of all rows are known."""
        bulk = self.batch.bulk
        info, conflict = bulk.info, bulk.conflict
        fields = [field for field in self.batch.missing if field.attname not in self.generated_names]
        fields += conflict.counted if conflict is not None else ()
        fields += [self.batch.checked_kind] if self.batch.checked_kind is not None else []
        if not fields or self.generated_values is None:
            return
        generated = [dict(zip(self.generated_names, row, strict=True)) for row in self.generated_values]
        self.generated_values = [tuple(row.values()) for row in generated]
        keys = [key_of(info, {**row, **new}) for row, new in zip(self.attributes, generated, strict=True)]
        known = [key for key in keys if key is not None]
        if len(known) < len(keys):
            return
        rows = await read_back(info, fields, known, checkout, bulk.dialect)
        if all(key in rows for key in known):
            self.generated_names = (*self.generated_names, *(field.attname for field in fields))
            self.generated_values = [(*row.values(), *rows[key]) for row, key in zip(generated, known, strict=True)]

    async def finish(self) -> None:
        """Set the values that the database generated, and mark the instances as saved."""
        if self.generated_values is None:
            return
        rows = zip(self.attributes, self.generated_values, strict=True)
        try:
            if len(self.attributes) > MANY_ROWS:
                async for part in slices(self.attributes, MANY_ROWS):
                    self._set_generated(islice(rows, len(part)))
        finally:
            self._set_generated(rows)  # the remaining ones, also if the task is cancelled: the rows are committed

    def _set_generated(self, rows: Iterable[tuple[dict[str, Any], tuple[Any, ...]]]) -> None:
        names = self.generated_names
        for name in self._unknown_names:
            for attributes in self.attributes:
                attributes.pop(name, None)
        if len(names) == 1:
            name = names[0]
            for attributes, (value,) in rows:
                attributes[name] = value
                attributes.pop("_persisted", None)
            return
        for attributes, values in rows:
            attributes.update(zip(names, values, strict=True))
            attributes.pop("_persisted", None)

    @property
    def _unknown_names(self) -> list[str]:
        """The attributes whose values in the rows are not known: of calculated fields that were not read back.

        After an upsert also those of fields that an existing row has kept: whether there was one is not known either.
        """
        info, conflict = self.batch.bulk.info, self.batch.bulk.conflict
        if conflict is None:
            return [field.attname for field in info.calculated if field.attname not in self.generated_names]
        known = {*info.pk_fields, *conflict.update, *self.batch.unique} - {*info.calculated}
        unknown = [
            field for field in info.fields.values() if field not in known and field.attname not in self.generated_names
        ]
        composed = [
            relation.name for relation in info.composed.values() if not set(relation.fields).isdisjoint(unknown)
        ]
        return [*dict.fromkeys([name for field in unknown for name in (field.attname, field.name)]), *composed]
