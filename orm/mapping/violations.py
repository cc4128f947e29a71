"""Finds the constraint and the model of an `IntegrityError`, and the message for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy

from orm.exceptions import (
    CheckViolation,
    ForeignKeyViolation,
    IntegrityError,
    NotNullViolation,
    UniqueViolation,
    Violation,
)
from orm.mapping.constraints import BoundConstraint, ExclusionConstraint

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

#: SQLAlchemy shortens a name that is too long for the server, and ends it with a hash.
SHORTENED = 50
MISSING_REFERENCE = "The row that this refers to does not exist."
TableItem = sqlalchemy.Constraint | sqlalchemy.Index


def identify(error: IntegrityError, info: ModelInfo, *, deleting: bool = False) -> None:
    """Set the constraint, model and fields of an error that a statement on a model has raised.

    `deleting`: the statement deletes rows, so a violated foreign key refers to one of them.
    """
    violation = error.violation
    if deleting and isinstance(error, ForeignKeyViolation):
        violation = error.violation = violation._replace(is_referenced=True)
    if violation == Violation(is_referenced=True):
        _describe(error, *_only_reference(info))
        return
    for owner in _owners(violation, info):
        item = _find(error, violation, owner)
        if item is not None:
            break
    else:
        owner, item = info, None
    _describe(error, owner, item)


def identify_reference(error: IntegrityError, info: ModelInfo, key: sqlalchemy.ForeignKeyConstraint) -> None:
    """Note in the error that a row of a model has this foreign key, which refers to no row."""
    _describe(error, info, key)


def identify_by_table(error: IntegrityError, infos: Iterable[ModelInfo]) -> None:
    """`identify` for a statement without a known model: find the model by the table or constraint that the error names.

    Does nothing if there is not exactly one model with this table.
    """
    owners = [info for info in infos if info.concrete is info and error.violation.table in (info.tablename, None)]
    if error.violation.table is None:
        owners = [info for info in owners if error.violation.constraint and _named(error.violation.constraint, info)]
    if len(owners) == 1:
        identify(error, owners[0])


def _owners(violation: Violation, info: ModelInfo) -> Iterator[ModelInfo]:
    """The models that may have the constraint: a cascade, or a reference from another table, violates that table's."""
    others = [model._meta for model in info.registry.models.values() if model._meta is not info]
    if violation.table in (None, info.tablename):
        yield info
    for other in others:
        if violation.table in (None, other.tablename) and (violation.table or violation.constraint):
            yield other


def _only_reference(info: ModelInfo) -> tuple[ModelInfo, TableItem | None]:
    """The only foreign key that can keep a row of a model from being deleted, with the model that has the key.

    If there are several, `info` itself and None: SQLite does not tell which foreign key it is.
    """
    references = [
        (model._meta, key)
        for model in info.registry.models.values()
        for key in (() if model._meta.table is None else model._meta.table.foreign_key_constraints)
        if key.referred_table is info.table and key.ondelete in (None, "NO ACTION", "RESTRICT")
    ]
    return references[0] if len(references) == 1 else (info, None)


def _find(error: IntegrityError, violation: Violation, info: ModelInfo) -> TableItem | None:
    """The constraint of a model's table that was violated, if it can be known."""
    table = info.table
    if table is None:
        return None
    if violation.constraint is not None:
        return _named(violation.constraint, info)
    if isinstance(error, UniqueViolation) and violation.columns:
        wanted = set(violation.columns)
        keys: list[Any] = [table.primary_key, *table.constraints, *table.indexes]
        for key in keys:
            is_unique = isinstance(key, (sqlalchemy.PrimaryKeyConstraint, sqlalchemy.UniqueConstraint)) or (
                isinstance(key, sqlalchemy.Index) and key.unique
            )
            if is_unique and {column.name for column in _columns(key)} == wanted:
                unique: TableItem = key
                return unique
    if (
        isinstance(error, ForeignKeyViolation)
        and not violation.is_referenced
        and len(table.foreign_key_constraints) == 1
    ):
        (key,) = table.foreign_key_constraints
        return key
    return None


def _named(name: str, info: ModelInfo) -> TableItem | None:
    table = info.table
    if table is None:
        return None
    if name in ("PRIMARY", f"{table.name}_pkey"):
        return table.primary_key
    items: list[Any] = [*table.constraints, *table.indexes]
    named: dict[str, TableItem] = {str(item.name): item for item in items if item.name}
    if name in named:
        return named[name]
    if len(name) < SHORTENED:
        return None
    similar: list[TableItem] = [item for full, item in named.items() if full[:SHORTENED] == name[:SHORTENED]]
    return similar[0] if len(similar) == 1 else None


def _columns(item: TableItem) -> list[sqlalchemy.Column[Any]]:
    columns: Any = getattr(item, "columns", ())
    return list(columns)


def _describe(error: IntegrityError, info: ModelInfo, item: TableItem | None) -> None:
    """Set the attributes of the error."""
    error.model = info.model
    declared: BoundConstraint | None = None
    if item is None:
        error.constraint = error.violation.constraint
        error.fields = info.names_of_columns(error.violation.columns)
    else:
        declared = next((bound for bound in info.constraints if bound.item is item), None)
        is_key = isinstance(item, sqlalchemy.PrimaryKeyConstraint)
        error.constraint = f"{info.tablename}_pkey" if is_key else str(item.name)
        error.fields = info.names_of_columns([column.name for column in _columns(item)])
    if declared is not None:
        error.fields = declared.fields
    error.text, error.code = _message(error, info, item, declared)


def _message(
    error: IntegrityError, info: ModelInfo, item: TableItem | None, declared: BoundConstraint | None
) -> tuple[str, str]:
    """The text for people, and its code."""
    if declared is not None:
        return constraint_message(info, declared)
    if isinstance(error, UniqueViolation):
        return unique_text(info, error.fields), "unique"
    if isinstance(error, NotNullViolation):
        return "May not be null.", "null"
    if isinstance(error, ForeignKeyViolation):
        if error.violation.is_referenced:
            by = info.name if item is not None else "Other rows"
            return f"{by} still refers to it." if item is not None else f"{by} still refer to it.", "referenced"
        return MISSING_REFERENCE, "reference"
    if isinstance(error, CheckViolation):
        return _check_text(error.constraint), "check"
    return "", "invalid"


def constraint_message(info: ModelInfo, bound: BoundConstraint) -> tuple[str, str]:
    """The text and the code for a violation of a constraint of `class Meta`."""
    declared = bound.declared
    if declared.message is not None:
        return declared.message, declared.code
    if isinstance(declared, ExclusionConstraint):
        return f"{info.name} conflicts with another in {_listed(info, bound.fields)}.", declared.code
    if declared.default_code == "check":
        return _check_text(str(bound.item.name)), declared.code
    return unique_text(info, bound.fields), declared.code


def unique_text(info: ModelInfo, fields: Iterable[str]) -> str:
    """The text for values that another row has."""
    listed = _listed(info, fields)
    return f"{info.name} with this {listed} already exists." if listed else f"This {info.name} already exists."


def _check_text(name: str | None) -> str:
    return f"The constraint {name} is violated." if name else "A constraint is violated."


def _listed(info: ModelInfo, fields: Iterable[str]) -> str:
    titles = [info.fields[name].validator.title or name.replace("_", " ") for name in fields]
    return " and ".join(filter(None, (", ".join(titles[:-1]), titles[-1]))) if titles else ""
