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
        )


def resolve_conflict(
    info: ModelInfo, ignore: bool, update: bool, update_fields: Iterable[str], unique_fields: Iterable[str]
) -> Conflict | None:
    """The meaning of these options of ``bulk_create()``, which are Django's.

    Raises `FieldError` for a name that is no field, `QueryError` for options that contradict each other.
    """
    if ignore and update:
        raise QueryError("bulk_create() takes either ignore_conflicts or update_conflicts.")
    updated = _fields(info, update_fields, "one of update_fields")
    unique = _fields(info, unique_fields, "one of unique_fields")
    if not update:
        if updated or unique:
            raise QueryError("update_fields and unique_fields are for bulk_create(update_conflicts=True).")
        return Conflict() if ignore else None
    if not updated:
        raise QueryError("update_conflicts=True needs update_fields: the fields to copy from the new row.")
    keys = [field.name for field in updated if field.primary_key]
    if keys:
        raise QueryError(f"update_fields cannot hold the primary key ({', '.join(keys)}).")
    return Conflict(updated, unique)


def _fields(info: ModelInfo, names: Iterable[str], what: str) -> tuple[Field[Any], ...]:
    if isinstance(names, str):
        raise QueryError(f"{what.removeprefix('one of ')} is a list of names, such as [{names!r}].")
    fields: list[Field[Any]] = []
    for name in names:
        if name == "pk":
            fields.extend(info.pk_fields)
            continue
        field = info.fields.get(name) or info.by_attname.get(name)
        if field is None:
            raise info.unknown(name, what)
        fields.append(field)
    return tuple(dict.fromkeys(fields))
