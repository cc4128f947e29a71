"""`StatementHooks`: what the statements in a session's block ask of it (see `units_of_work.py` of the connections)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typesystem import ValidationError

from orm import execution
from orm.database.connections.server_dialect import dialect_of
from orm.database.connections.units_of_work import current_owner
from orm.exceptions import Error
from orm.sessions.flush import Flush, add_autoflush_note, rows_with_keys
from orm.sessions.identity_map import fill, model_of_key, shares_rows
from orm.sessions.instance_methods import InstanceMethods
from orm.writing.dependent_inserts import is_new

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model
    from orm.sessions.identity_map import InstanceState


class StatementHooks(InstanceMethods):
    """The session as the layers below see it: a `UnitOfWork`."""

    async def before_statement(self) -> None:
        self._check()
        await self._begin()
        if self.autoflush:
            self._refused = ()
            try:
                await self.flush()
            except (Error, ValidationError) as error:
                add_autoflush_note(error, self._refused)
                raise
            finally:
                self._refused = ()

    async def before_transaction(self) -> None:
        self._check()
        await self._begin()
        await self.flush()  # as before a savepoint of the session: what was changed before it is not rolled back

    def transaction_begun(self) -> None:
        self._level()

    async def before_commit(self) -> None:
        if self._levels and self.owner is current_owner():
            await self.flush()

    def transaction_ended(self) -> None:
        if self.owner is current_owner():
            self._settle()

    def mapped(
        self, rows: list[Any], reader_arguments: Mapping[str, Any] | None, *, nested: bool, fresh: bool
    ) -> list[Any]:
        self._identity_map.collect_unreferenced()
        memo: dict[int, Any] | None = {} if nested else None
        instance_of = self._identity_map.mapped_instance
        if reader_arguments and "rows_by_owner" in reader_arguments:
            for listed, _ in reader_arguments["rows_by_owner"].values():
                listed[:] = [instance_of(row, fresh=fresh, memo=memo) for row in listed]
            by_key = reader_arguments.get("instances_by_key")
            if by_key:
                by_key.update((key, instance_of(row, fresh=fresh, memo=memo)) for key, row in list(by_key.items()))
        if rows and type(rows[0]) is tuple:  # of a page: each with its position
            return [(instance_of(row[0], fresh=fresh, memo=memo), *row[1:]) for row in rows]
        return [instance_of(row, fresh=fresh, memo=memo) for row in rows]

    def find(self, model: Any, attnames: Sequence[str], key: tuple[Any, ...]) -> Any:
        info = model._meta
        if [each.attname for each in info.pk_fields] != list(attnames):
            return None
        instance = self._identity_map.find((model_of_key(info), key[0] if len(key) == 1 else key))
        return instance if isinstance(instance, info.instance_class) else None

    def note_created(self, instances: Sequence[Any], before: Iterable[tuple[Any, dict[str, Any]]]) -> list[Any]:
        state_of = self._identity_map.state_of
        others = [(instance, attributes) for instance, attributes in before if state_of(instance) is None]
        mapped = self.mapped(list(instances), None, nested=True, fresh=False)
        if self._levels:
            self._level().inserted += [each for each in others if state_of(each[0]) is not None]
        return mapped

    def note_written(self, instance: Any) -> None:
        if instance.pk is None or not instance._persisted:
            return
        state = self._identity_map.state_of(instance)
        if state is None:
            known_state = self._identity_map.state_with_key((model_of_key(instance._meta), instance.pk))
            known = None if known_state is None else known_state()
            if known is None or known_state is None:
                self._identity_map.register(instance)
            else:
                self._level().note_change(known_state)
                fill(known_state, known, instance.__dict__, fresh=True)
            return
        if self._levels:
            self._level().note_change(state)
        state.take_snapshot()

    async def save(
        self,
        instance: Any,
        update_fields: Sequence[str] | None = None,
        *,
        force_insert: bool = False,
        force_update: bool = False,
        changed_only: bool = False,
    ) -> bool:
        state = self._identity_map.state_of(instance)
        if state is None:
            is_inserted = not instance._persisted and is_new(instance)
            if not is_inserted or force_update or (update_fields is not None and not changed_only):
                return False
        elif force_insert:
            return False
        self.add(instance)
        if state is None or instance.pk != state.key[1]:
            await self.flush()
        elif changed_only:
            await self.save_row(state, instance, changed_only=update_fields is not None)
        else:
            await self.save_row(state, instance, update_fields, force_update=force_update)
        return True

    async def save_all(self, instances: Any) -> bool:
        if not all(each._persisted is False and self._identity_map.state_of(each) is None for each in instances):
            return False
        self.add_all(instances)
        await self.flush()
        return True

    async def delete_now(self, instance: Any) -> int | None:
        if self._identity_map.state_of(instance) is None:
            return None
        await self.delete(instance)
        await self.flush()
        return 1

    async def add_related(self, owner: Any, objs: Any) -> None:
        self._check()
        for each in (owner, *objs):
            if hasattr(type(each), "_meta") and not each._persisted:
                self.add(each)
        await self.flush()

    async def synchronize(self, info: ModelInfo) -> None:
        self._check()
        states: dict[ModelInfo, list[tuple[InstanceState, Model]]] = {}
        for state, instance in self._identity_map:
            if shares_rows(state.info, info) or shares_rows(info, state.info):
                states.setdefault(state.info, []).append((state, instance))
        for each, known in states.items():
            await self._synchronize(each, known)

    async def _synchronize(self, info: ModelInfo, states: list[tuple[InstanceState, Model]]) -> None:
        level = self._level()
        existing: set[int] = set()
        dialect = await dialect_of(self.database)
        with self._sending():
            for query in rows_with_keys(info, [info.split_pk(state.key[1]) for state, _ in states], dialect):
                for row in await execution.fetch(query, self.database, outside_units=True):
                    known = self._identity_map.state_with_key((model_of_key(info), row.pk))
                    instance: Any = None if known is None else known()
                    if known is not None and instance is not None:
                        existing.add(id(instance))
                        level.note_change(known)
                        fill(known, instance, row.__dict__, fresh=True)
        gone = [instance for _, instance in states if id(instance) not in existing]
        if gone:
            Flush(self._identity_map, level, self.database).forget_deleted(gone)
            for instance in gone:
                self._deleted.discard(instance)
