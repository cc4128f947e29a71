"""Writes of models with hooks: signals are sent before and after the write, in its transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import databases

from orm.mapping.signals import Signal, post_bulk_create, post_save, pre_bulk_create, pre_save
from orm.writing.instances import (
    INSERTING,
    check_forced,
    database_of,
    fields_to_save,
    save_forced,
    save_instance,
)

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model


@asynccontextmanager
async def hooked_write(
    before: Signal,
    after: Signal,
    senders: Mapping[ModelInfo, Mapping[str, Any]],
    database: databases.Database,
    instances: Iterable[Model] = (),
) -> AsyncIterator[dict[str, Any]]:
    """Send `before`, run the block, send `after`; in one transaction, unless all receivers wait for the commit.

    `senders` maps models to the details of their signals. The block gets a dict, whose items are added to the details
    of `after`. If the block, a receiver in the transaction or the commit fails, or `set_rollback()` rolls the
    transaction back, the `instances` are restored to what they were before the write.
    """
    results: dict[str, Any] = {}
    hooked = [(info, info.hooks, details) for info, details in senders.items() if info.hooks is not None]
    saved_attributes: list[tuple[dict[str, Any], dict[str, Any]]] = []
    transaction: Any = None
    is_written = is_ended = False
    try:
        async with AsyncExitStack() as stack:
            if any(hooks.in_transaction(before, after) for _, hooks, _ in hooked):
                transaction = database.transaction()
                await stack.enter_async_context(transaction)
            for info, hooks, details in hooked:
                await hooks.send(before, info.model, database, **details)
            saved_attributes += ((instance.__dict__, dict(instance.__dict__)) for instance in instances)
            yield results
            is_written = True
            for info, hooks, details in hooked:
                await hooks.send(after, info.model, database, **{**details, **results})
        is_ended = True
    finally:
        # A receiver that waits for the commit can fail after it, and one before it can call set_rollback().
        is_kept = is_written if transaction is None else getattr(transaction, "was_committed", is_ended)
        for attributes, saved in () if is_kept else saved_attributes:
            attributes.clear()
            attributes.update(saved)


async def save_with_hooks(
    instance: Model,
    update_fields: Iterable[str] | None,
    *,
    insert: bool = False,
    update: bool = False,
    changed_only: bool = False,
) -> None:
    """Save the instance as `save_forced` and `save_instance` do, with its signals.

    An empty `update_fields` saves nothing, and sends nothing. With `changed_only`, what a hook changes before the save
    is saved too.
    """
    names = None if update_fields is None else list(update_fields)
    check_forced(names, insert=insert, update=update)
    if names == []:
        return
    info = instance._meta
    inserting = insert or bool(instance.__dict__.get(INSERTING))
    details = {
        "instance": instance,
        "created": inserting or not instance._persisted,
        "raw": False,
        "update_fields": _saved_fields(instance) if names is None else frozenset(names),
    }
    async with hooked_write(pre_save, post_save, {info: details}, database_of(instance), [instance]) as results:
        if changed_only and names is not None:
            names = fields_to_save(instance)
        if insert or update:
            await save_forced(instance, names, insert=insert, update=update)
            results["created"] = insert
        else:
            results["created"] = await save_instance(instance, names)


def _saved_fields(instance: Model) -> frozenset[str] | None:
    """The fields that `save()` writes if the instance was loaded without some of them, as in Django; else None."""
    info = instance._meta
    if not instance._persisted:
        return None
    written = [field for field in info.fields.values() if not (field.is_generated or field.primary_key)]
    loaded = [field.name for field in written if field.attname in instance.__dict__ or field.name in instance.__dict__]
    return None if len(loaded) == len(written) else frozenset(loaded)


def hooked_bulk_create(
    instances: Sequence[Model],
    database: databases.Database,
    *,
    ignore_conflicts: bool = False,
    update_conflicts: bool = False,
) -> AbstractAsyncContextManager[dict[str, Any]]:
    """`hooked_write()` of an INSERT of these instances, which sends a signal for each model."""
    by_model: dict[ModelInfo, list[Model]] = {}
    for instance in instances:
        if instance._meta.hooks is not None:
            by_model.setdefault(instance._meta, []).append(instance)
    senders = {
        info: {"instances": group, "ignore_conflicts": ignore_conflicts, "update_conflicts": update_conflicts}
        for info, group in by_model.items()
    }
    return hooked_write(pre_bulk_create, post_bulk_create, senders, database, instances if senders else ())
