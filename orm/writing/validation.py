"""Validation of an instance without writing it: its values, and the constraints of the database."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from typesystem import Message, ValidationError

from orm.writing.constraint_checks import constraint_messages
from orm.writing.instances import column_values, copy_related_keys, database_of, set_values, validated_values

if TYPE_CHECKING:
    from orm.models import Model


async def validate_instance(instance: Model, exclude: Collection[str], *, constraints: bool) -> None:
    """Validate the fields, call `clean()`, then validate the constraints that depend on valid fields only.

    Validated values are set on the instance. If a new instance lacks a required value, `clean()` is not called, because
    it could not read that value.

    Raises `orm.ValidationError` with all messages.
    """
    info = instance._meta
    copy_related_keys(instance)
    validator = info.validator
    values = {name: value for name, value in column_values(instance).items() if name not in exclude}
    messages: list[Any] = []
    try:
        validated = validated_values(info, validator.update if instance._persisted else validator.create, values)
    except ValidationError as error:
        of_fields: list[Any] = error.messages()
        messages = [message for message in of_fields if message.index[0] not in exclude]
        refused = {message.index[0] for message in of_fields}
        valid = {name: value for name, value in values.items() if name not in refused}
        validated = validated_values(info, validator.update, valid)
        exclude = {*exclude, *refused}
    set_values(instance, validated)
    if not any(message.code == "required" and message.index[0] not in values for message in messages):
        of_clean: list[Any] = await _clean(instance)
        messages += of_clean
        exclude = {*exclude, *(message.index[0] for message in of_clean if message.index)}
    if constraints:
        messages += await constraint_messages(instance, database_of(instance), exclude)
    if messages:
        raise ValidationError(messages=messages)


async def _clean(instance: Model) -> list[Any]:
    """The messages of the model's `clean()`."""
    try:
        result = instance.clean()
        if inspect.isawaitable(result):
            await result
    except ValidationError as error:
        return list(error.messages())
    return []


async def validate_instances(instances: Sequence[Model], exclude: Collection[str], *, constraints: bool) -> None:
    """Call `full_clean()` of each instance. Raises `orm.ValidationError` with all messages and their positions."""
    messages: list[Message] = []
    for position, instance in enumerate(instances):
        try:
            await instance.full_clean(exclude=exclude, validate_constraints=constraints)
        except ValidationError as error:
            messages += error.messages(add_prefix=position)
    if messages:
        raise ValidationError(messages=messages)
