"""`session.merge()`: the values of instances outside of a session, copied to those of the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from orm.relations.instance_state import KEY_ONLY, get_loaded, set_loaded
from orm.sessions.cascades import accessors_to_one
from orm.sessions.identity_map import fill, model_of_key

if TYPE_CHECKING:
    from orm.models import Model
    from orm.sessions.instance_methods import InstanceMethods

M = TypeVar("M", bound="Model")


class Merge:
    """One call of `merge()`, in which each instance is copied once."""

    def __init__(self, session: InstanceMethods, *, load: bool) -> None:
        self._session = session
        self._load = load
        self._merged: dict[int, tuple[Any, Any]] = {}

    async def merged(self, source: M) -> M:
        """The session's instance with the values of `source`."""
        done = self._merged.get(id(source))
        if done is not None:
            known: M = done[0]
            return known
        session = self._session
        target: Any = source
        if source not in session:
            target = await self._target(source)
        self._merged[id(source)] = target, source
        if target is not source:
            await self._copy(source, target)
        merged: M = target
        return merged

    async def _target(self, source: Model) -> Model:
        session, info = self._session, source._meta
        key = source.pk
        if key is not None:
            known = session._identity_map.find((model_of_key(info), key))
            if known is None and self._load:
                known = await session.get(info.model, key)
            if known is not None:
                return known
        target = info.model.__new__(info.model)
        if self._load:
            target.__dict__["_persisted"] = False
            session._new.add(target)
            return target
        for field in info.pk_fields:
            target.__dict__[field.attname] = source.__dict__[field.attname]
        session._identity_map.register(target)
        return target

    async def _copy(self, source: Model, target: Model) -> None:
        info = source._meta
        if KEY_ONLY in source.__dict__:
            return
        attributes = source.__dict__
        values = {name: attributes[name] for name in info.by_attname if name in attributes}
        if target in self._session._new or self._load:
            for name, value in values.items():
                if not (info.by_attname[name].primary_key and value is None):
                    target.__dict__[name] = value
        else:
            state = self._session._identity_map.state_of(target)
            assert state is not None
            fill(state, target, values, fresh=True)
        forward, reverse = accessors_to_one(info)
        for name in (*forward, *reverse):
            related = attributes.get(name)
            if related is not None and KEY_ONLY not in related.__dict__:
                setattr(target, name, await self.merged(related))
        for accessor, relation in info.accessors.items():
            rows = get_loaded(source, accessor) if relation.many else None
            if rows is not None:
                set_loaded(target, accessor, [await self.merged(row) for row in rows])
