"""Saving, updating, deleting and reloading single instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.exceptions import QueryError
from orm.fields import NO_DEFAULT, Field
from orm.lookups.base import Lookup, lookup_for
from orm.query.conditions.base import EVERYTHING, LookupPredicate, Predicate, and_
from orm.query.paths import MAX_CACHED, resolve_path
from orm.query.plans.write import assign_values, resolve_assignments
from orm.query.projection import Instances
from orm.query.query import Query
from orm.query.resolving.expressions import is_expression
from orm.query.terms.base import PathTerm, Term
from orm.relations import ForeignKey
from orm.relations.instance_state import KEY_ONLY, forget_all
from orm.rows.writers import copy_saved_keys

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model


def database_of(instance: Model) -> databases.Database:
    """The database that the instance was loaded from, or its registry's."""
    return instance.__dict__.get("_database") or instance._meta.registry.database


def row_query(instance: Model) -> Query:
    """The query of the instance's row. Raises `QueryError` if the instance has no primary key."""
    info = instance._meta
    attributes = instance.__dict__
    fields = info.pk_fields
    if instance._persisted and not any(field.attname in attributes for field in fields):
        # A relation with a `to_field` makes sparse instances, which have that unique field and no primary key.
        unique = (field for field in info.fields.values() if field.unique and attributes.get(field.attname) is not None)
        fields = next(((field,) for field in unique), fields)
    where: Predicate = EVERYTHING
    for field in fields:
        value = attributes.get(field.attname)
        if value is None:
            raise QueryError(f"This {info.name} has no primary key yet: save it first.")
        term, exact = _equality(info, field)
        where = and_(where, LookupPredicate.of(term, exact, value))
    return _all_rows(info).replace(where=where)


@lru_cache(MAX_CACHED)
def _equality(info: ModelInfo, field: Field[Any]) -> tuple[Term, Lookup]:
    """The term and the lookup to compare a field of the row with a value."""
    return PathTerm.of(resolve_path(info, field.attname, "a key")), lookup_for(field, "exact")


@lru_cache(MAX_CACHED)
def _all_rows(info: ModelInfo) -> Query:
    return Query(info, Instances(info))


def copy_related_keys(instance: Model) -> None:
    """Copy the keys of related instances that have been saved since they were assigned.

    Raises `QueryError` for one that has not been saved, since it would be lost.
    """
    attributes = instance.__dict__
    for field in instance._meta.foreign_keys:
        if field.attname not in attributes and field.name in attributes:
            copy_saved_keys(field)(attributes)
    for relation in instance._meta.composed.values():
        relation.copy_saved_key(instance)


def column_values(instance: Model) -> dict[str, Any]:
    """The instance's column values, by field name."""
    attributes = instance.__dict__
    return {name: attributes[attname] for name, attname in instance._meta.attnames if attname in attributes}


def values_set_on_save(fields: Iterable[Field[Any]], *, creating: bool) -> dict[str, Any]:
    """The values that saving sets, `auto_now` and `auto_now_add`, by field name."""
    values = {field.name: field.pre_save(creating) for field in fields if field.sets_on_save(creating=creating)}
    return {name: value for name, value in values.items() if value is not NO_DEFAULT}


def set_values(instance: Model, values: Mapping[str, Any]) -> None:
    """Set column values, given by field name, on the instance."""
    attributes = instance.__dict__
    fields = instance._meta.fields
    for name, value in values.items():
        attributes[fields[name].attname] = value


def prepare_insert(instance: Model) -> dict[str, Any]:
    """Validate a new instance; returns the values of its row, by field name. Raises `orm.ValidationError`."""
    info = instance._meta
    copy_related_keys(instance)
    validated = info.validator.create(column_values(instance))
    validated.update(values_set_on_save(info.fields.values(), creating=True))
    set_values(instance, validated)
    return validated


def finish_insert(instance: Model, database_generated_fields: Mapping[str, Any]) -> None:
    """Mark the instance as saved, and set the values that the database generated."""
    set_values(instance, database_generated_fields)
    instance.__dict__.pop("_persisted", None)


async def insert_instance(instance: Model, database: databases.Database) -> None:
    """Insert the instance as a new row."""
    validated = prepare_insert(instance)
    finish_insert(instance, await execution.insert(instance._meta, validated, database))


async def save_instance(instance: Model, update_fields: Iterable[str] | None) -> None:
    """Insert or update the row, by the rules of Django's ``save()``."""
    info = instance._meta
    database = database_of(instance)
    if update_fields is not None:
        await _save_fields(instance, list(update_fields), database)
        return
    key = instance.pk
    # The key of an unsaved instance is new if it comes from a default; otherwise it may be that of a row to overwrite.
    has_new_key = key is None or (not instance._persisted and all(field.has_default() for field in info.pk_fields))
    if has_new_key or not await _update_existing(instance, database):
        await insert_instance(instance, database)


async def _update_existing(instance: Model, database: databases.Database) -> bool:
    """Update the row with all fields that the instance has; returns whether the row exists."""
    info = instance._meta
    copy_related_keys(instance)
    values = column_values(instance)
    for field in info.pk_fields:
        values.pop(field.name, None)
    validated = info.validator.update(values)
    validated.update(values_set_on_save([f for f in info.fields.values() if not f.primary_key], creating=False))
    query = row_query(instance)
    if not validated:
        return await execution.exists(query, database)
    assignments = assign_values(info, validated)
    matched = await execution.update(query, assignments, database)
    if matched:
        finish_insert(instance, validated)
    return bool(matched)


async def _save_fields(instance: Model, names: list[str], database: databases.Database) -> None:
    info = instance._meta
    copy_related_keys(instance)
    fields: list[Field[Any]] = []
    for name in names:
        named_fields = info.fields_for(name)
        if not named_fields:
            raise info.unknown(name, "one of update_fields")
        if any(field.primary_key for field in named_fields):
            raise QueryError(f"{info.name}.{name} is the primary key, which update_fields cannot hold.")
        fields.extend(named_fields)
    if not fields:
        return
    attributes = instance.__dict__
    for field in fields:
        if field.attname not in attributes:
            raise instance._missing_attribute(field)
    validated = info.validator.update({field.name: attributes[field.attname] for field in fields})
    validated.update(values_set_on_save(fields, creating=False))
    matched = await execution.update(row_query(instance), assign_values(info, validated), database)
    if not matched:
        raise info.model.DoesNotExist(f"The row of this {info.name} is gone: nothing was saved.")
    set_values(instance, validated)


async def update_instance(instance: Model, values: Mapping[str, Any]) -> None:
    """Set some fields, in the row and on the instance."""
    info = instance._meta
    plain, expressions, related = split_update(info, values)
    validated = info.validator.update(plain)
    validated.update(values_set_on_save([f for f in info.fields.values() if not f.primary_key], creating=False))
    if not (validated or expressions):
        return
    query = row_query(instance)
    assignments = resolve_assignments(query, validated, expressions)
    matched = await execution.update(query, assignments, database_of(instance))
    if not matched:
        raise info.model.DoesNotExist(f"The row of this {info.name} is gone: nothing was updated.")
    set_values(instance, validated)
    for name, value in related.items():
        setattr(instance, name, value)
    for name in expressions:
        # Only the database knows the new value.
        instance.__dict__.pop(info.fields[name].attname, None)


def split_update(info: ModelInfo, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The values of an update, by field name: plain values, expressions, and related instances.

    The plain values include the keys of the related instances. Raises `FieldError` for a name that is no field, and
    `QueryError` for a related instance that is not saved.
    """
    plain: dict[str, Any] = {}
    expressions: dict[str, Any] = {}
    related: dict[str, Any] = {}
    for name, value in values.items():
        relation = info.composed.get(name)
        if relation is not None:
            plain.update(split_update(info, relation.field_values(value))[0])
            related[name] = value
            continue
        field = info.fields.get(name) or info.by_attname.get(name)
        if name == "pk" and len(info.pk_fields) == 1:
            field = info.pk_fields[0]
        if field is None:
            raise info.unknown(name, "a value to update")
        if is_expression(value) and not hasattr(value, "_meta"):
            expressions[field.name] = value
        elif isinstance(field, ForeignKey) and hasattr(value, "_meta"):
            plain[field.name] = field.to_python(value)
            related[field.name] = value
        else:
            plain[field.name] = value
    return plain, expressions, related


async def delete_instance(instance: Model) -> int:
    """Delete the instance's row; returns the number of rows. As in Django, the instance is unsaved afterwards."""
    matched = await execution.delete(row_query(instance), database_of(instance))
    for field in instance._meta.pk_fields:
        instance.__dict__[field.attname] = None
    instance.__dict__["_persisted"] = False
    return matched


async def load_instance(instance: Model) -> None:
    """Load all fields of the row into the instance, and discard the related rows that it had loaded."""
    info = instance._meta
    loaded = await execution.fetch(row_query(instance), database_of(instance))
    if not loaded:
        raise info.model.DoesNotExist(f"The row of this {info.name} is gone: nothing was loaded.")
    attributes = instance.__dict__
    attributes.update(loaded[0].__dict__)
    forget_all(instance)
    for marker in ("_persisted", KEY_ONLY):
        attributes.pop(marker, None)
