"""Saving, updating, deleting and reloading single instances."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import databases
import typesystem

from orm import execution
from orm.database.connections import schemas
from orm.database.connections.units_of_work import open_units
from orm.exceptions import ForeignKeyViolation, NotSupportedError, QueryError
from orm.fields import NO_DEFAULT, Field
from orm.lookups.base import Lookup, lookup_for
from orm.mapping.changes import SNAPSHOT, changed_fields, is_known_row, is_tracked, mark_saved, snapshot_of
from orm.query.conditions.base import EVERYTHING, LookupPredicate, Predicate, and_
from orm.query.paths import MAX_CACHED, resolve_path
from orm.query.plans.write import resolve_assignments, resolve_insert
from orm.query.projection import Instances
from orm.query.query import Query, of_own_model
from orm.query.resolving.expressions import is_expression
from orm.query.terms.base import PathTerm, Term
from orm.relations import ForeignKey
from orm.relations.instance_state import KEY_ONLY, forget_related, stored_in
from orm.rows.writers import copy_saved_keys
from orm.writing.parent_rows import insert_with_parents
from orm.writing.read_back import read_missing, update_and_read_back
from orm.writing.references import find_missing_reference
from orm.writing.versions import next_version, of_same_version, stale_error

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model


INSERTING = "_inserting"
"""The attribute of an instance that `create()` saves: its row is new, even if it has a key."""


CHANGES_OF_FLUSH = "_changes_of_flush"
"""The attribute of an instance that a session's flush saves: a function that gives the fields that differ by now."""


def database_of(instance: Model) -> databases.Database:
    """The database that the instance was loaded from, or its registry's."""
    database: databases.Database | None = instance.__dict__.get("_database")
    if database is None and schemas.in_use:
        database = stored_in(instance)
    return database or instance._meta.registry.database


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


def copy_related_keys(instance: Model, fields: Collection[Field[Any]] | None = None) -> None:
    """Copy the keys of related instances that were saved after they were assigned, for these fields or for all.

    Raises `QueryError` for one that has not been saved, since it would be lost.
    """
    attributes = instance.__dict__
    for field in instance._meta.foreign_keys:
        if field.attname not in attributes and field.name in attributes and (fields is None or field in fields):
            copy_saved_keys(field)(attributes)
    for relation in instance._meta.composed.values():
        if fields is None or not set(relation.fields).isdisjoint(fields):
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
    """Set the values of columns, by field name, on the instance."""
    attributes = instance.__dict__
    fields = instance._meta.fields
    for name, value in values.items():
        attributes[fields[name].attname] = value


class ExpressionValues(dict[str, Any]):
    """The values of a row, some of which are expressions that the database computes."""

    @property
    def expressions(self) -> dict[str, Any]:
        """The expressions, by field name."""
        return {name: value for name, value in self.items() if is_expression(value)}

    @property
    def plain(self) -> dict[str, Any]:
        """The other values, by field name."""
        return {name: value for name, value in self.items() if not is_expression(value)}


def validated_values(
    info: ModelInfo, validate: Callable[[Mapping[str, Any]], dict[str, Any]], values: Mapping[str, Any]
) -> dict[str, Any]:
    """The values as `validate`, one of the model's validators, returns them.

    They are `ExpressionValues` if some are expressions. Raises `orm.ValidationError` with the messages of the others.
    """
    try:
        return validate(values)
    except (typesystem.ValidationError, QueryError) as error:
        # Expressions are looked for only now, because most rows have none.
        every = ExpressionValues(values)
        expressions = every.expressions
        if not expressions:
            raise
        messages: list[Any] = error.messages() if isinstance(error, typesystem.ValidationError) else []
        messages = [message for message in messages if message.index[0] not in expressions]
    if messages:
        raise typesystem.ValidationError(messages=messages)
    generated = {field.name for field in info.fields.values() if field.read_only and not field.allow_null}
    plain = {name: value for name, value in every.plain.items() if value is not None or name not in generated}
    return ExpressionValues({**info.validator.update(plain), **expressions})


def prepare_insert(instance: Model) -> dict[str, Any]:
    """Validate a new instance; returns the values of its row, by field name. Raises `orm.ValidationError`.

    They are `ExpressionValues` if some are expressions.
    """
    info = instance._meta
    copy_related_keys(instance)
    _forget_calculated(instance, ())
    validated = validated_values(info, info.validator.create, column_values(instance))
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
    if type(validated) is ExpressionValues:
        await insert_expressions(instance, validated, database)
    else:
        info = instance._meta
        if schemas.in_use and schemas.is_schema(database):
            instance.__dict__["_database"] = database
        try:
            if info.ancestors:
                generated = await insert_with_parents(instance, validated, database)
            else:
                generated = await execution.insert(info, validated, database)
        except ForeignKeyViolation as error:
            await find_missing_reference(error, info, validated, database)
            raise
        finish_insert(instance, generated)
        if info.has_server_defaults:
            await read_missing(info, instance.__dict__, database)
        if SNAPSHOT in instance.__dict__ or info.options.track_changes:
            mark_saved(instance, database)


async def insert_expressions(instance: Model, values: ExpressionValues, database: databases.Database) -> None:
    """Insert the instance as a new row that has expressions; their values are read back."""
    info = instance._meta
    if schemas.is_schema(database):
        instance.__dict__["_database"] = database
    if info.ancestors:
        raise NotSupportedError(
            f"A new {info.name} has rows in several tables, for which values are needed, not expressions: "
            f"{', '.join(values.expressions)}. Save it, and set them with update()."
        )
    assignments = resolve_insert(_all_rows(info), values.plain, values.expressions)
    _forget_calculated(instance, values.expressions)
    finish_insert(instance, await execution.insert_assignments(info, assignments, database))
    await read_missing(info, instance.__dict__, database)
    if is_tracked(instance):
        mark_saved(instance, database)


async def save_as_new(instance: Model) -> None:
    """Insert the instance as a new row, with the overridden `save()` of its model."""
    instance.__dict__[INSERTING] = True
    try:
        await instance.save()
    finally:
        instance.__dict__.pop(INSERTING, None)


async def save_instance(instance: Model, update_fields: Iterable[str] | None) -> bool:
    """Insert or update the row, by the rules of Django's ``save()``; returns whether it is new."""
    info = instance._meta
    database = database_of(instance)
    if info.overrides_save and instance.__dict__.pop(INSERTING, False):
        await insert_instance(instance, database)
        return True
    if update_fields is not None:
        await _save_fields(instance, list(update_fields), database)
        return False
    key = instance.pk
    # The key of an unsaved instance is new if it comes from a default; otherwise it may be that of a row to overwrite.
    # With versions, an unsaved instance is always inserted: it has no version of an existing row.
    has_new_key = key is None or (
        not instance._persisted and (info.version is not None or all(field.has_default() for field in info.pk_fields))
    )
    if has_new_key or not await _update_existing(instance, database):
        await insert_instance(instance, database)
        return True
    return False


def fields_to_save(instance: Model) -> list[str] | None:
    """The fields that `save(changed_only=True)` writes: what was changed, and what saving sets. None: write the row.

    Raises `QueryError` if the instance is not tracked, or if its primary key was changed.
    """
    info = instance._meta
    if not is_known_row(instance):
        return None
    copy_related_keys(instance)
    changed = changed_fields(instance)
    for name in changed:
        if info.fields[name].primary_key:
            raise QueryError(f"{info.name}.{name} is the primary key, which was changed: save() the row of that key.")
    if not changed:
        return []
    set_on_save = [f.name for f in info.fields.values() if f.sets_on_save(creating=False) and not f.primary_key]
    return list(dict.fromkeys((*changed, *set_on_save)))


async def save_forced(instance: Model, update_fields: Iterable[str] | None, *, insert: bool, update: bool) -> None:
    """Save with an INSERT, or with an UPDATE.

    Raises `QueryError` for arguments that exclude each other, and `NoMatch` if there is no row to update.
    """
    info = instance._meta
    check_forced(update_fields, insert=insert, update=update)
    if insert:
        await insert_instance(instance, database_of(instance))
    elif update_fields is not None:
        await save_instance(instance, update_fields)
    elif not await _update_existing(instance, database_of(instance)):
        raise info.model.DoesNotExist(f"The row of this {info.name} does not exist: force_update updated nothing.")


def check_forced(update_fields: object, *, insert: bool, update: bool) -> None:
    """Raise `QueryError` for arguments of `save()` that exclude each other."""
    if insert and (update or update_fields is not None):
        raise QueryError("force_insert excludes force_update and update_fields: an INSERT writes a new row.")


async def _update_existing(instance: Model, database: databases.Database) -> bool:
    """Update the row with all fields that the instance has; returns whether the row exists."""
    info = instance._meta
    copy_related_keys(instance)
    values = column_values(instance)
    for field in (*info.pk_fields, info.version):
        if field is not None:
            values.pop(field.name, None)
    validated = validated_values(info, info.validator.update, values)
    validated.update(values_set_on_save([f for f in info.fields.values() if not f.primary_key], creating=False))
    if info.version is not None:
        validated.update(next_version(instance))
    row = row_query(instance)
    if not validated:
        return await execution.exists(row, database)
    expressions: dict[str, Any] = {}
    if isinstance(validated, ExpressionValues):
        expressions, validated = validated.expressions, validated.plain
    query = row if info.version is None else of_same_version(row, instance)
    update = partial(update_and_read_back, instance) if info.calculated else execution.update
    try:
        matched = await update(query, resolve_assignments(query, validated, expressions), database)
    except ForeignKeyViolation as error:
        await find_missing_reference(error, info, validated, database)
        raise
    if not matched and info.version is not None:
        raise await stale_error(row, instance, database)
    if matched:
        finish_insert(instance, validated)
        _forget(instance, expressions)
        if SNAPSHOT in instance.__dict__ or info.options.track_changes:
            mark_saved(instance, database)
    return bool(matched)


async def _save_fields(instance: Model, names: list[str], database: databases.Database) -> None:
    info = instance._meta
    if open_units and CHANGES_OF_FLUSH in instance.__dict__:
        # A hook, or the model's own save(), may have changed more.
        names = list(dict.fromkeys((*names, *instance.__dict__[CHANGES_OF_FLUSH]())))
    copy_related_keys(instance)
    fields: list[Field[Any]] = []
    for name in names:
        named_fields = info.fields_for(name)
        if not named_fields:
            raise info.unknown(name, "one of update_fields")
        if any(field.primary_key for field in named_fields):
            raise QueryError(f"{info.name}.{name} is the primary key, which update_fields cannot hold.")
        for field in named_fields:
            check_writable(info, field)
        fields.extend(named_fields)
    if not fields:
        return
    attributes = instance.__dict__
    for field in fields:
        if field.attname not in attributes and not field.sets_on_save(creating=False):
            raise instance._missing_attribute(field)
    values = {field.name: attributes[field.attname] for field in fields if field.attname in attributes}
    expressions = {name: value for name, value in values.items() if is_expression(value)}
    validated = info.validator.update({name: value for name, value in values.items() if name not in expressions})
    validated.update(values_set_on_save(fields, creating=False))
    if info.version is not None:
        validated.update(next_version(instance))
    row = row_query(instance)
    query = row if info.version is None else of_same_version(row, instance)
    update = partial(update_and_read_back, instance) if info.calculated else execution.update
    try:
        matched = await update(query, resolve_assignments(query, validated, expressions), database)
    except ForeignKeyViolation as error:
        await find_missing_reference(error, info, validated, database)
        raise
    if not matched:
        if info.version is not None:
            raise await stale_error(row, instance, database)
        raise info.model.DoesNotExist(f"The row of this {info.name} is gone: nothing was saved.")
    set_values(instance, validated)
    _forget(instance, expressions)
    if SNAPSHOT in attributes:
        mark_saved(instance, database, (*validated, *expressions))


def _forget_calculated(instance: Model, expressions: Iterable[str]) -> None:
    """Discard values that the database has computed: of these fields and of generated columns."""
    _forget(instance, (*expressions, *(field.name for field in instance._meta.calculated)))


def _forget(instance: Model, names: Iterable[str]) -> None:
    """Discard the values of these fields, which only the database knows."""
    fields = instance._meta.fields
    for name in names:
        instance.__dict__.pop(fields[name].attname, None)


async def update_instance(instance: Model, values: Mapping[str, Any]) -> None:
    """Set some fields, in the row and on the instance."""
    info = instance._meta
    plain, expressions, related = split_update(info, values)
    validated = info.validator.update(plain)
    validated.update(values_set_on_save([f for f in info.fields.values() if not f.primary_key], creating=False))
    if not (validated or expressions):
        return
    if info.version is not None:
        validated.update(next_version(instance))
    row = row_query(instance)
    query = row if info.version is None else of_same_version(row, instance)
    assignments = resolve_assignments(query, validated, expressions)
    update = partial(update_and_read_back, instance) if info.calculated else execution.update
    try:
        matched = await update(query, assignments, database_of(instance))
    except ForeignKeyViolation as error:
        await find_missing_reference(error, info, validated, database_of(instance))
        raise
    if not matched:
        if info.version is not None:
            raise await stale_error(row, instance, database_of(instance))
        raise info.model.DoesNotExist(f"The row of this {info.name} is gone: nothing was updated.")
    set_values(instance, validated)
    for name, value in related.items():
        setattr(instance, name, value)
    _forget(instance, expressions)
    if SNAPSHOT in instance.__dict__:
        mark_saved(instance, database_of(instance), (*validated, *expressions))


def set_attributes(instance: Model, values: Mapping[str, Any]) -> list[str]:
    """Set these values, by name, on the instance. Returns the fields to save: these, and those that `save()` sets.

    Raises `FieldError` for a name that is not a field.
    """
    info = instance._meta
    names: dict[str, None] = {}
    for name, value in values.items():
        fields = info.pk_fields if name == "pk" else info.fields_for(name)
        if not fields:
            raise info.unknown(name, "a value to update")
        setattr(instance, info.aliases.get(name, name) if info.composed else name, value)
        names[fields[0].name if len(fields) == 1 else name] = None
    names.update(
        (field.name, None)
        for field in info.fields.values()
        if field.sets_on_save(creating=False) and not field.primary_key
    )
    return list(names)


def check_writable(info: ModelInfo, field: Field[Any]) -> None:
    """Raise `QueryError` for a field that cannot be set in an existing row."""
    if field.is_generated:
        raise field.not_writable()
    if field is info.version:
        raise QueryError(f"{info.name}.{field.name} counts the updates of the row by itself: leave it out.")


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
        if name in info.aliases:
            field = info.field(name)
        if name == "pk" and len(info.pk_fields) == 1:
            field = info.pk_fields[0]
        if field is None:
            raise info.unknown(name, "a value to update")
        check_writable(info, field)
        if is_expression(value) and not hasattr(value, "_meta"):
            expressions[field.name] = value
        elif isinstance(field, ForeignKey) and hasattr(value, "_meta"):
            plain[field.name] = field.to_python(value)
            related[field.name] = value
        else:
            plain[field.name] = value
    return plain, expressions, related


async def delete_instance(instance: Model, *, keep_parents: bool = False) -> int:
    """Delete the instance's row; returns the number of rows. As in Django, the instance is unsaved afterwards."""
    matched = await delete_row(instance, keep_parents=keep_parents)
    mark_unsaved(instance)
    return matched


def mark_unsaved(instance: Model) -> None:
    """Make it an instance whose row was deleted, without a key."""
    info = instance._meta
    for field in info.pk_fields if not info.ancestors else (f for f in info.fields.values() if f.primary_key):
        instance.__dict__[field.attname] = None
    instance.__dict__["_persisted"] = False


async def delete_row(instance: Model, *, keep_parents: bool = False) -> int:
    """Delete the row, and leave the instance as it is; returns the number of rows.

    With `keep_parents` the rows that it continues in multi-table inheritance stay.
    """
    row, database = row_query(instance), database_of(instance)
    delete = execution.delete_from_table if keep_parents else execution.delete
    matched = await delete(of_same_version(row, instance), database)
    if not matched and instance._meta.version is not None and await execution.exists(row, database):
        raise await stale_error(row, instance, database)
    return matched


async def load_instance(instance: Model) -> None:
    """Load all fields of the row into the instance, and discard what was loaded of its relations."""
    info = instance._meta
    loaded = await execution.fetch(of_own_model(row_query(instance)), database_of(instance), outside_units=True)
    if not loaded:
        raise info.model.DoesNotExist(f"The row of this {info.name} is gone: nothing was loaded.")
    if info.discriminator is not None:
        instance.__class__ = type(loaded[0])  # until now only the key was known
    attributes = instance.__dict__
    forget_related(instance)
    for name in info.composed:
        attributes.pop(name, None)
    attributes.update(loaded[0].__dict__)
    for marker in ("_persisted", KEY_ONLY):
        attributes.pop(marker, None)
    if SNAPSHOT in attributes:
        attributes[SNAPSHOT] = snapshot_of(instance)
