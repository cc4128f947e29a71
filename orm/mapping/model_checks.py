"""What the fields of a model have to agree on, so that they can form a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orm.exceptions import FieldError
from orm.fields import NO_DEFAULT, Version

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo


def check_fields(info: ModelInfo) -> None:
    """Raise `FieldError` if the fields of a model cannot form a table."""
    for relation in info.composed.values():
        relation.check()
    versions = [field.name for field in info.fields.values() if isinstance(field, Version)]
    if len(versions) > 1:
        raise FieldError(f"{info.name} has more than one version: {', '.join(versions)}. Keep one of them.")
    _check_autoincrement(info)
    field_of_column: dict[str, str] = {}
    for field in (*info.fields.values(), *info.retired.values()):
        other = field_of_column.setdefault(field.column_name, field.name)
        if other != field.name and not info.ancestors:
            raise FieldError(
                f"{info.name}: the fields {other!r} and {field.name!r} both use the column "
                f"{field.column_name!r}. Give one of them another column=."
            )
        if field.attname in info.many_to_many:
            raise FieldError(
                f"{info.name}: the relation {field.attname!r} has the name of the key of the relation "
                f"{field.name!r}. Rename one of them."
            )
        if field.attname != field.name and field.attname in info.fields:
            raise FieldError(
                f"{info.name}: the field {field.attname!r} has the name of the key of the relation "
                f"{field.name!r}. Rename one of them."
            )


def _check_autoincrement(info: ModelInfo) -> None:
    numbered = [field for field in info.fields.values() if field.autoincrement]
    for field in numbered:
        if not field.primary_key or field.default is not NO_DEFAULT or field.server_default is not None:
            raise FieldError(
                f"{info.name}.{field.name}: autoincrement=True is for a part of the primary key without a default."
            )
    if len(numbered) > 1:
        raise FieldError(
            f"{info.name}: the database numbers one part of a key, not {' and '.join(f.name for f in numbered)}: "
            "leave autoincrement=True on one of them."
        )
