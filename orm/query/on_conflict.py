"""What an INSERT does if the row exists already: `bulk_create(ignore_conflicts=, update_conflicts=)`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy

from orm.database.dialect import Dialect
from orm.exceptions import QueryError
from orm.fields import Field

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo


@dataclass(frozen=True)
class Conflict:
    """The existing row stays as it is, or with `update` gets the new values of these fields."""

    update: tuple[Field[Any], ...] = ()
    unique: tuple[Field[Any], ...] = ()
    """The fields of the unique constraint that the new row violates."""

    counted: tuple[Field[Any], ...] = ()
    """The fields of the existing row that are incremented: its version."""

    @property
    def ignores(self) -> bool:
        """Whether the existing row stays as it is."""
        return not self.update

    def apply(self, dialect: Dialect, insert: sqlalchemy.Insert) -> sqlalchemy.Insert:
        """The INSERT with its ON CONFLICT clause. Raises `NotSupportedError` or `QueryError`."""
        if self.ignores:
            return dialect.ignore_conflicts(insert)
        return dialect.update_conflicts(
            insert,
            [field.column_name for field in self.update],
            [field.column_name for field in self.unique],
            [field.column_name for field in self.counted],
        )


def resolve_conflict(
    info: ModelInfo,
    ignore: bool,
    update: bool,
    update_fields: Iterable[str] | None,
    unique_fields: Iterable[str] | None,
    *,
    of_upsert: bool = False,
) -> Conflict | None:
    """The meaning of these options of ``bulk_create()``, which are Django's.

    In an upsert, `update_fields` may be the key: rows that have nothing else stay as they are.

    Raises `FieldError` for a name that is no field, `QueryError` for options that contradict each other.
    """
    if ignore and update:
        raise QueryError("bulk_create() takes either ignore_conflicts or update_conflicts.")
    updated = _fields(info, update_fields or (), "one of update_fields")
    unique = _fields(info, unique_fields or (), "one of unique_fields")
    if not update:
        if updated or unique:
            raise QueryError("update_fields and unique_fields are for bulk_create(update_conflicts=True).")
        return Conflict() if ignore else None
    if not updated:
        raise QueryError("update_conflicts=True needs update_fields: the fields to copy from the new row.")
    keys = [field.name for field in updated if field.primary_key]
    if keys and not (of_upsert and _is_matched_by(info, updated, unique)):
        raise QueryError(f"update_fields cannot hold the primary key ({', '.join(keys)}).")
    if info.discriminator in updated:
        raise QueryError(f"{info.name}.{info.discriminator.name} tells the rows of models apart: leave it out.")
    if info.version is None:
        return Conflict(updated, unique)
    if info.version in updated:
        raise QueryError(f"{info.name}.{info.version.name} counts the updates of the row by itself: leave it out.")
    return Conflict(updated, unique, (info.version,))


def _is_matched_by(info: ModelInfo, updated: tuple[Field[Any], ...], unique: tuple[Field[Any], ...]) -> bool:
    """Whether the row to update is the one with these very values, so that it stays as it is."""
    if unique:
        return set(updated) <= set(unique)
    table = info.require_table()  # on a database that checks all of the constraints
    has_others = any(isinstance(each, sqlalchemy.UniqueConstraint) for each in table.constraints)
    return not has_others and not any(index.unique for index in table.indexes)


def _fields(info: ModelInfo, names: Iterable[str], what: str) -> tuple[Field[Any], ...]:
    if isinstance(names, str):
        raise QueryError(f"{what.removeprefix('one of ')} is a list of names, such as [{names!r}].")
    fields: list[Field[Any]] = []
    for name in names:
        if name == "pk":
            fields.extend(info.pk_fields)
            continue
        field = info.field(name)
        if field is None:
            raise info.unknown(name, what)
        if field.is_generated and what == "one of update_fields":
            raise field.not_writable()
        fields.append(field)
    return tuple(dict.fromkeys(fields))
