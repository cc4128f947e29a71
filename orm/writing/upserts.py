"""What `upsert()` adds to `bulk_create()`: which fields are updated, and what is known of the rows afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import databases
from sqlalchemy import Column, UniqueConstraint

from orm.database.connections.server_dialect import dialect_of
from orm.exceptions import NotSupportedError, QueryError, UniqueViolation
from orm.fields import Field
from orm.writing.instances import values_set_on_save

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model


def fields_of_any_conflict(info: ModelInfo, inserted: Sequence[Field[Any]]) -> tuple[Field[Any], ...]:
    """The fields that every unique constraint has: equal in the new and the existing row, whichever was violated.

    For MySQL and MariaDB, which check all of the constraints.
    """
    table = info.require_table()
    keys: list[set[Any]] = [set(each.columns) for each in table.constraints if isinstance(each, UniqueConstraint)]
    keys += [
        set(index.expressions) if all(isinstance(part, Column) for part in index.expressions) else set()
        for index in table.indexes
        if index.unique
    ]
    if not info.pk_fields or all(field in inserted for field in info.pk_fields):
        keys.append(set(table.primary_key.columns))
    columns = {column.name for column in set.intersection(*keys)} if keys else set()
    return tuple(field for field in info.fields.values() if field.column_name in columns)


async def upsert_batch_size(info: ModelInfo, database: databases.Database) -> int | None:
    """The number of rows in a statement of `upsert()`, which reads the keys back; None for the database's maximum."""
    return 1 if info.generated is not None and (await dialect_of(database)).one_key_per_upsert else None


async def repeated_keys(
    info: ModelInfo,
    rows: Sequence[Model | Mapping[str, Any]],
    unique_fields: Iterable[str],
    database: databases.Database,
) -> list[int] | None:
    """For each row, how many rows before it have its unique fields; None if one statement can update a row twice."""
    if (await dialect_of(database)).updates_a_row_twice:
        return None
    fields = [field for name in unique_fields if name in info.settable for field in info.fields_for(name)]
    seen: dict[Any, int] = {}
    repeats = []
    for row in rows:
        values = row if isinstance(row, Mapping) else getattr(row, "__dict__", {})
        key = tuple(repr(values.get(field.name, values.get(field.attname))) for field in fields)
        repeats.append(seen.get(key, 0))
        seen[key] = repeats[-1] + 1
    return repeats if max(repeats, default=0) else None


def updated_fields(info: ModelInfo, row: Model | Mapping[str, Any], unique_fields: Iterable[str]) -> tuple[str, ...]:
    """The fields that an upsert of this row updates by default: those that it has, except the key and `unique_fields`.

    As when an instance is saved, fields with `auto_now` are among them, and fields with `auto_now_add` are not. For a
    row without other fields these are the unique ones: they keep their values, and the statement returns the key.
    """
    if not isinstance(row, (info.model, Mapping)):
        raise QueryError(f"upsert() takes {info.name} instances or dicts, got {type(row).__name__}.")
    names = row if isinstance(row, Mapping) else row.__dict__
    fields = dict.fromkeys(field for name in names if name in info.settable for field in info.fields_for(name))
    values = [field for field in fields if not (field.primary_key or field.is_generated or field is info.discriminator)]
    unique = set(unique_fields)
    rest = {
        field.name for field in values if not ({field.name, field.attname} & unique or _is_set_only_at_creation(field))
    }
    rest.update(values_set_on_save([field for field in info.fields.values() if not field.primary_key], creating=False))
    rest -= {field.name for field in (info.version,) if field is not None}
    keys = {field.name for field in fields if field.primary_key}
    return tuple(sorted(rest or {field.name for field in values} or keys))


def _is_set_only_at_creation(field: Field[Any]) -> bool:
    return field.sets_on_save(creating=True) and not field.sets_on_save(creating=False)


def in_input_order(
    returned: Sequence[tuple[Any, ...]],
    names: Sequence[str],
    rows: Sequence[dict[str, Any]],
    key_names: Sequence[str],
    pk_names: Sequence[str],
    in_insert_order: Callable[[list[tuple[Any, ...]]], list[tuple[Any, ...]]],
) -> Sequence[tuple[Any, ...]]:
    """The returned rows, with the columns `names`, in the order of the inserted `rows`, matched by their key.

    Rows with a NULL in it may be several: they are matched by `pk_names`, if there are any, or `in_insert_order`.
    If a row cannot be matched (the database stored another spelling of its key), they stay in the order in which they
    were returned.
    """
    if not key_names or any(name not in row for row in rows for name in key_names):
        return returned
    if any(isinstance(row[name], (list, dict)) for row in rows for name in key_names):
        return returned

    def key_of_row(row: Mapping[str, Any]) -> tuple[Any, ...]:
        key = tuple(row[name] for name in key_names)
        return (*key, *(row[name] for name in pk_names)) if None in key else key

    by_key: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in returned:
        by_key.setdefault(key_of_row(dict(zip(names, row, strict=True))), []).append(row)
    new_rows = {key: iter(in_insert_order(same)) for key, same in by_key.items() if None in key}
    matched: list[tuple[Any, ...] | None] = []
    for attributes in rows:
        key = key_of_row(attributes)
        # Rows of one key that is not NULL are one row, updated several times.
        matched.append(next(new_rows[key], None) if key in new_rows else by_key.get(key, [None])[-1])
    return returned if None in matched else [row for row in matched if row is not None]


def check_kinds(
    info: ModelInfo,
    discriminator: Field[Any],
    unique: Sequence[Field[Any]],
    names: Sequence[str],
    returned: Sequence[tuple[Any, ...]],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Raise `UniqueViolation` if an upsert has reached a row of another model of the table.

    `returned` are the values `names` of the rows that were written, `rows` the attributes of the instances.
    """
    if discriminator.attname not in names:
        raise NotSupportedError(
            f"An upsert of {info.name}, whose table has rows of other models, needs the key of each row, which this "
            f"server does not return: use {info.name}.objects.update_or_create()."
        )
    position = names.index(discriminator.attname)
    for attributes, values in zip(rows, returned, strict=True):
        kind = values[position]
        if kind not in info.kinds:
            same = ", ".join(f"{field.name}={attributes.get(field.attname)!r}" for field in unique)
            error = UniqueViolation(
                f"{info.name}: the row with {same or 'the same unique values'} has {discriminator.name}={kind!r}, so "
                f"it is a row of another model. An upsert of {info.name} updates rows of {info.name} only, and nothing "
                "was written."
            )
            error.model, error.fields = info.model, tuple(field.name for field in unique)
            raise error
