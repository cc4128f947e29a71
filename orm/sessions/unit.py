"""`Unit`: the transaction of a session, what it writes in it, and what a rollback restores."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Sized
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from typesystem import ValidationError
from typing_extensions import Self

from orm.database.connections import schemas
from orm.database.connections.database import Database
from orm.database.connections.transactions import Transaction
from orm.database.connections.turns import State, current_transaction
from orm.database.connections.units_of_work import check_database, current_owner, innermost_unit, open_units
from orm.exceptions import FieldError, NoMatch, NotSupportedError, QueryError, StaleObject, TransactionError
from orm.models import Model
from orm.relations.instance_state import KEY_ONLY
from orm.sessions.cascades import DELETED, may_refer_to_new, new_related, refers_to_one
from orm.sessions.flush import Changed, Changes, Flush, changed_names, save_changes
from orm.sessions.identity_map import IdentityMap, InstanceState, model_of_key
from orm.sessions.instance_set import InstanceSet
from orm.sessions.shared_rows import check_agreement, has_other_models, share_written
from orm.sessions.undo import Level, revert
from orm.utils.blocking import BlockingContext
from orm.utils.gc_control import gc_paused
from orm.writing.instances import database_of

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo


class Unit(BlockingContext):
    """The instances of a session, and the transaction that it writes them in."""

    def __init__(
        self, database: Database, *, autoflush: bool = True, expire_on_commit: bool = False, **options: Any
    ) -> None:
        check_database(database, Database)
        self.database = database
        self.autoflush = autoflush
        self.expire_on_commit = expire_on_commit
        self.info: dict[Any, Any] = {}
        """For the program's own use."""
        self.owner: object = None
        self.around: Any = None
        self.is_busy = False
        self._options = options
        self._identity_map = IdentityMap()
        self._new = InstanceSet()
        self._deleted = InstanceSet()
        self._gone: dict[int, Any] = {}
        self._levels: list[Level] = []
        self._failure: BaseException | None = None
        self._refused: Sequence[Model] = ()
        self._is_entered = False

    async def __aenter__(self) -> Self:
        if self._is_entered:
            raise TransactionError("this session is open already: make another one for another block")
        self._check_schema()
        owner = current_owner()
        unit = innermost_unit.get()
        while unit is not None:
            if unit.database is self.database and unit.owner is owner and unit in open_units:
                raise TransactionError(
                    "this task has a session on this database already: use it, with begin_nested() for a savepoint"
                )
            unit = unit.around
        if current_transaction(self.database) is not None and self._options:
            raise TransactionError("a session in a transaction is a savepoint of it, which has no options")
        self.owner, self.around = owner, innermost_unit.get()
        unit_of_task: Any = self
        innermost_unit.set(unit_of_task)
        open_units.add(unit_of_task)
        self._is_entered = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        try:
            await self.close()
        finally:
            self._is_entered = False
            unit_of_task: Any = self
            open_units.discard(unit_of_task)
            if innermost_unit.get() is unit_of_task:
                innermost_unit.set(self.around)

    def _check(self) -> None:
        """Raise `TransactionError` in another task, outside of the block, and after a flush that has failed."""
        if not self._is_entered:
            raise TransactionError("this session is not open: use it in `async with orm.Session(database) as session:`")
        if self.owner is not current_owner():
            raise TransactionError(
                "this session belongs to another task: a session is one task's. Give each task a session of its own; "
                "a task that is started in the block can query the models, in the same transaction"
            )
        if self._failure is not None:
            raise TransactionError(
                "a flush of this session has failed, and what it had written is rolled back: call "
                f"`await session.rollback()` to go on. The error was {type(self._failure).__name__}: {self._failure}"
            ) from self._failure
        self._check_schema()
        if len(self._levels) > 1 and not self.is_busy:
            self._settle()

    def _check_schema(self) -> None:
        """Raise `NotSupportedError` in a block of `orm.schema()`: rows would be read there and written elsewhere."""
        name = schemas.current_schema() if schemas.in_use else None
        if name is not None:
            raise NotSupportedError(
                f"orm.Session is on a database, and this is a block of orm.schema({name!r}): rows of two schemas may "
                "have the same key. Use the session outside of the block; in the block use `instance.save()` and "
                "`database.transaction()`, or give the schema an orm.Database of its own."
            )

    # Instances

    def add(self, instance: Model) -> None:
        """Put an instance into the session, with the new ones that it refers to: `flush()` inserts their rows.

        An instance whose row exists becomes the session's instance of that row. Raises `QueryError` if the session has
        another one, or if the instance is in another session.
        """
        self.add_all((instance,))

    def add_all(self, instances: Iterable[Model]) -> None:
        """`add()` each of these instances."""
        self._check()
        if len(open_units) == 1:
            instances = self._add_plain(instances)
        pending = deque(instances)
        may_refer: dict[type, bool] = {}  # the answer for each model, of which there may be many instances
        with gc_paused(len(pending)):
            while pending:
                instance = pending.popleft()
                self._add_one(instance)
                model = type(instance)
                if model not in may_refer:
                    may_refer[model] = refers_to_one(instance._meta)
                if may_refer[model]:
                    pending += [related for related in new_related(instance) if related not in self._new]

    def _add_plain(self, instances: Iterable[Model]) -> list[Model]:
        """Add new instances of models without relations to one, up to the first other instance; returns the rest."""
        plain: list[Model] = []
        others: list[Model] = []
        is_plain: dict[type, bool] = {}
        with gc_paused(len(instances) if isinstance(instances, Sized) else 0):
            for instance in instances:
                model = type(instance)
                if model not in is_plain:
                    is_plain[model] = hasattr(model, "_meta") and not refers_to_one(model._meta)
                is_new = is_plain[model] and not others and instance.__dict__.get("_persisted") is False
                if is_new and DELETED not in instance.__dict__:  # so it has no row, and is not in the identity map
                    plain.append(instance)
                else:
                    others.append(instance)
            self._new.update(plain)
        return others

    def _add_one(self, instance: Model) -> None:
        if not hasattr(type(instance), "_meta"):
            raise QueryError(f"a session takes instances of models, got {type(instance).__name__}.")
        info = instance._meta
        if self._identity_map.state_of(instance) is not None:
            self._deleted.discard(instance)
            return
        units: tuple[Any, ...] = tuple(open_units) if len(open_units) > 1 else ()
        for unit in units:
            if unit is not self and isinstance(unit, Unit) and unit._holds(instance):
                raise QueryError(f"this {info.name} is in another session: expunge() it there first.")
        if not instance._persisted:
            instance.__dict__.pop(DELETED, None)
            self._new.add(instance)
            return
        if schemas.in_use and schemas.is_schema(database_of(instance)):
            raise NotSupportedError(
                f"this {info.name} is a row of another schema, {database_of(instance)!r}, and a session is on the "
                "database: rows of two schemas may have the same key. Use `instance.save()` for it."
            )
        if KEY_ONLY in instance.__dict__:
            raise QueryError(
                f"only the key of this {info.name} is loaded: use `await session.get({info.name}, {instance.pk!r})`."
            )
        known = self._identity_map.find((model_of_key(info), instance.pk))
        if known is not None:
            raise QueryError(
                f"the session has another instance of {info.name} {instance.pk!r}: use that one, or "
                "`await session.merge(instance)`, which copies the values to it."
            )
        self._identity_map.register(instance)

    def _holds(self, instance: Model) -> bool:
        """Whether an instance is in the session."""
        return instance in self._new or self._identity_map.state_of(instance) is not None

    # Writing

    async def flush(self) -> None:
        """Write what has changed, in the transaction: new rows, changed columns, deletions.

        If the database refuses it, all that the transaction (or the savepoint of `begin_nested()`) has written is
        rolled back, and the session can be used again after `rollback()`.
        """
        await self._flush()

    async def _flush(self, but: Model | None = None) -> None:
        """Write what has changed, of all instances but one."""
        if self.is_busy:
            return
        self._check()
        changes = self._collect()
        if but is not None:
            changes.changed = [each for each in changes.changed if each[1] is not but]
        if not changes:
            return
        await self._begin()
        flush = Flush(self._identity_map, self._level(), self.database)
        try:
            with self._sending():
                await flush.run(changes)
        except BaseException as error:
            self._refused = flush.instances
            if flush.has_sent or not isinstance(error, (ValidationError, QueryError, FieldError)):
                await self._fail(error)
            raise
        self._new.clear()
        self._deleted.clear()
        self._identity_map.let_go()

    async def save_row(
        self, state: InstanceState, instance: Model, names: Sequence[str] | None = None, **options: Any
    ) -> None:
        """`save()` of an instance, with its hooks: flush the others, and write its fields, or those of these `names`.

        With `names`, what else has been changed is written as well, as an autoflush would.
        """
        await self._flush(but=instance)
        await self._begin()
        level = self._level()
        level.note_change(state)
        refused = (ValidationError, QueryError, FieldError)
        try:
            with self._sending():
                if names is None:
                    await Model.save(instance, **options)
                else:
                    changed = dict.fromkeys((*names, *changed_names(state)))
                    await save_changes(state, instance, [*changed], partial(Model.save, instance), **options)
        except BaseException as error:
            # An UPDATE of some fields that has found no row has changed nothing.
            if not isinstance(error, refused if names is None else (*refused, NoMatch, StaleObject)):
                await self._fail(error)
            raise
        state.take_snapshot()
        if has_other_models(state.info):
            share_written(self._identity_map, level, state, instance, state.snapshot)

    def _cascade(self) -> list[Changed]:
        """Add the new instances that the session's refer to; returns those that have changed."""
        changed: list[Changed] = []
        info: ModelInfo | None = None
        refers = refers_back = False  # whether the model's instances can refer to new ones
        with gc_paused(len(self._identity_map)):
            for state in self._identity_map.states():
                if state.info is not info:
                    info = state.info
                    refers, refers_back = refers_to_one(info), may_refer_to_new(info)
                    names_of = InstanceState.changed if info.composed else state.columns.changed_names
                attnames = names_of(state)
                if not attnames and not refers_back:
                    continue
                instance = state()
                if instance is None:
                    continue
                if attnames:
                    changed.append((state, instance, attnames))
                for related in new_related(instance, reverse_only=not attnames) if refers else ():
                    self.add(related)
        models = dict.fromkeys(type(instance) for instance in self._new)
        referring = {model for model in models if refers_to_one(model._meta)}
        for instance in self._new if referring else ():
            for related in new_related(instance) if type(instance) in referring else ():
                if related not in self._new:
                    self.add(related)
        return changed

    def _collect(self) -> Changes:
        """What is to be written."""
        changed = self._cascade()
        if self._deleted:
            changed = [each for each in changed if each[1] not in self._deleted]
        shared = {info for info in {state.info for state, *_ in changed} if has_other_models(info)}
        for changed_state, instance, attnames in changed if shared else ():
            if changed_state.info in shared:
                check_agreement(self._identity_map, changed_state, instance, attnames)
        deleted = [
            (state, instance)
            for instance in self._deleted
            if (state := self._identity_map.state_of(instance)) is not None
        ]
        return Changes(list(self._new), changed, deleted)

    async def commit(self) -> None:
        """Flush, and commit the transaction. The next statement begins another one."""
        self._check()
        await self.flush()
        self._settle()
        levels = list(self._levels)
        try:
            with self._sending():
                for level in reversed(levels):
                    await level.transaction.commit()
        except BaseException:
            if levels and levels[0].transaction.state is not State.OPEN:
                self._restore_all()
            raise
        for level in levels:
            for instance, _ in level.deleted:
                self._note_gone(instance)
        self._levels.clear()
        self._identity_map.let_go()
        if self.expire_on_commit:
            self.expire_all()

    async def rollback(self) -> None:
        """Roll the transaction back, and set the instances to what they were before it.

        New instances are no longer in the session, and deleted ones are again.
        """
        if self._is_entered and self.owner is current_owner():
            self._failure = None
        self._check()
        await self._roll_back()

    async def _roll_back(self) -> None:
        try:
            with self._sending():
                for level in reversed(self._levels):
                    if level.owned and level.transaction.is_open:
                        await level.transaction.rollback()
        finally:
            self._restore_all()

    def _restore_all(self) -> None:
        while self._levels:
            self._levels.pop().restore(self._identity_map)
        for state, instance in self._identity_map:
            revert(state, instance)
        self._new.clear()
        self._deleted.clear()
        self._identity_map.let_go()

    def expire_all(self) -> None:
        """Discard all loaded values: see `InstanceMethods`."""
        raise NotImplementedError

    def _note_gone(self, instance: Model) -> None:
        """Note that the deletion of an instance is committed: see `InstanceMethods`."""
        raise NotImplementedError

    def expunge_all(self) -> None:
        """Forget all instances; their rows stay as they are. The instances are detached."""
        self._identity_map.clear()
        self._new.clear()
        self._deleted.clear()

    async def close(self) -> None:
        """Roll back what is not committed, and forget all instances. The session can be used again."""
        self._failure = None
        if self._levels or self._new or self._deleted or any(state.changed() for state, _ in self._identity_map):
            await self._roll_back()
        self.expunge_all()

    # The transaction, and the savepoints in it

    @contextlib.contextmanager
    def _sending(self) -> Iterator[None]:
        was_busy, self.is_busy = self.is_busy, True
        try:
            yield
        finally:
            self.is_busy = was_busy

    async def _begin(self) -> None:
        self._settle()
        if not self._levels:
            transaction = self.database.transaction(**self._options)
            with self._sending():
                await transaction.start()
            self._levels.append(Level(transaction))

    async def _begin_level(self) -> Level:
        """Begin a savepoint of the session's transaction."""
        await self.flush()
        await self._begin()
        self._level()
        transaction: Transaction = self.database.transaction()
        with self._sending():
            await transaction.start()
        level = Level(transaction)
        self._levels.append(level)
        return level

    async def _end_level(self, level: Level, *, keep: bool) -> None:
        """Release a savepoint, or roll it back, with those in it."""
        if level not in self._levels:
            self._failure = None
            return
        if keep:
            self._check()
            await self.flush()
            self._settle()
            inside = self._levels[self._levels.index(level) + 1 :]
            if not all(inner.owned for inner in inside):
                raise TransactionError("a database.transaction() in the savepoint has to end before")
            for each in (*reversed(inside), level):
                with self._sending():
                    await each.transaction.commit()
                self._levels.pop().merge_into(self._levels[-1])
            return
        self._failure = None
        try:
            with self._sending():
                for inner in reversed(self._levels[self._levels.index(level) :]):
                    if inner.owned and inner.transaction.is_open:
                        await inner.transaction.rollback()
        finally:
            self._restore_from(level)

    def _restore_from(self, level: Level) -> None:
        while self._levels and self._levels[-1] is not level:
            self._levels.pop().restore(self._identity_map)
        if self._levels:
            self._levels.pop().restore(self._identity_map)
        self._new.clear()
        self._deleted.clear()

    def _level(self) -> Level:
        """The level of the innermost transaction, which may be a `database.transaction()` of the program."""
        self._settle()
        innermost = current_transaction(self.database)
        known = {id(level.transaction) for level in self._levels}
        inside: list[Transaction] = []
        link: Any = innermost
        while link is not None and id(link) not in known:
            if isinstance(link, Transaction) and link.database is self.database and link.state is State.OPEN:
                inside.append(link)
            link = link.around
        self._levels += [Level(transaction, owned=False) for transaction in reversed(inside)]
        return self._levels[-1]

    def _settle(self) -> None:
        """Take note of the transactions of the program in the session's that have ended."""
        while len(self._levels) > 1 and self._levels[-1].transaction.state is not State.OPEN:
            level = self._levels.pop()
            if level.transaction.was_committed:
                level.merge_into(self._levels[-1])
            else:
                level.restore(self._identity_map)
                self._new.clear()  # what was added before it is flushed
                self._deleted.clear()
        if self._levels and self._levels[0].transaction.state not in (State.OPEN, State.ENDING):
            self._restore_all()  # the connection was lost

    async def _fail(self, error: BaseException) -> None:
        """After a flush that has failed: roll back the innermost transaction that the session began."""
        level = self._levels[-1]
        if not level.owned:  # its block rolls it back
            self._levels.pop().restore(self._identity_map)
            self._new.clear()
            self._deleted.clear()
            return
        self._failure = error
        try:
            with self._sending():
                if level.transaction.is_open:
                    await level.transaction.rollback()
        finally:
            if len(self._levels) > 1:
                self._restore_from(level)
            else:
                self._restore_all()
