"""`InstanceMethods`: what a session knows of its instances, and how it reads them again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from weakref import ref

from orm import execution
from orm.exceptions import QueryError
from orm.loading.load import load_lookups
from orm.mapping.changes import SNAPSHOT, frozen, mark_loaded
from orm.queryset.queryset import QuerySet
from orm.relations.instance_state import LOADED, forget
from orm.sessions.identity_map import model_of_key
from orm.sessions.instance_set import InstanceSet
from orm.sessions.merge import Merge
from orm.sessions.undo import revert
from orm.sessions.unit import Unit
from orm.writing.instances import row_query

if TYPE_CHECKING:
    from orm.loading.strategies import Strategy
    from orm.models import Model
    from orm.sessions.identity_map import InstanceState

M = TypeVar("M", bound="Model")
ObjectState = Literal["transient", "pending", "persistent", "deleted", "detached"]
"""SQLAlchemy's states of an instance."""


class InstanceMethods(Unit):
    """The instances of a session: their states, and reading them again."""

    @property
    def new(self) -> InstanceSet:
        """The instances whose rows `flush()` will insert."""
        self._cascade()
        return InstanceSet(self._new)

    @property
    def dirty(self) -> InstanceSet:
        """The instances whose values differ from those of their rows, which `flush()` will update.

        Unlike SQLAlchemy's, it leaves out instances whose attributes were set to the values that they had.
        """
        return InstanceSet(
            instance for state, instance in self._identity_map if instance not in self._deleted and state.changed()
        )

    @property
    def deleted(self) -> InstanceSet:
        """The instances whose rows `flush()` will delete."""
        return InstanceSet(self._deleted)

    def is_modified(self, instance: Model) -> bool:
        """Whether an instance differs from its row. A new instance does."""
        state = self._identity_map.state_of(instance)
        return instance in self._new if state is None else bool(state.changed())

    def __contains__(self, instance: object) -> bool:
        """Whether an instance is in the session: new, or with a row."""
        return hasattr(type(instance), "_meta") and self._holds(instance)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Model]:
        """All instances of the session."""
        return iter([*self._new, *(instance for _, instance in self._identity_map)])

    def state_of(self, instance: Model) -> ObjectState:
        """SQLAlchemy's name for the state of an instance.

        ``"transient"`` is a new instance outside of the session, ``"pending"`` one that was added and not flushed,
        ``"persistent"`` one with a row, ``"deleted"`` one whose row was deleted in the transaction, ``"detached"`` one
        with a row, or a deleted one after the commit, that is not in the session.
        """
        if instance in self._new:
            return "pending"
        if self._identity_map.state_of(instance) is not None:
            return "persistent"
        if any(each is instance for level in self._levels for each, _ in level.deleted):
            return "deleted"
        gone = self._gone.get(id(instance))
        return "detached" if instance._persisted or (gone is not None and gone() is instance) else "transient"

    def _note_gone(self, instance: Model) -> None:
        """Note that the deletion of an instance is committed."""
        identity, gone = id(instance), self._gone
        gone[identity] = ref(instance, lambda _: gone.pop(identity, None))

    async def delete(self, instance: Model) -> None:
        """Mark an instance: `flush()` deletes its row, and the database what its `on_delete` says.

        Raises `QueryError` for an instance that has no row.
        """
        self._check()
        if instance in self._new or not instance._persisted:
            raise QueryError(f"this {instance._meta.name} has no row yet: `session.expunge(instance)` forgets it.")
        if self._identity_map.state_of(instance) is None:
            self._add_one(instance)
        self._deleted.add(instance)

    async def get(
        self,
        model: type[M],
        key: Any,
        *,
        options: Sequence[Strategy] = (),
        populate_existing: bool = False,
        with_for_update: bool = False,
    ) -> M | None:
        """The instance of a row by primary key, from the session or else from the database; None if there is no row.

        Args:
            key: The primary key, a tuple if it is composite; or a dict of its fields.
            options: How relations are loaded, such as `orm.selectinload("tags")`, if the row is read.
            populate_existing: Read the row even if the session has it. Where nothing is flushed before, because of
                `no_autoflush`, changes of the instance are discarded.
            with_for_update: Lock the row, and read it.
        """
        self._check()
        info = model._meta
        if isinstance(key, Mapping):
            values = [key[field.name] if field.name in key else key[field.attname] for field in info.pk_fields]
            key = values[0] if len(values) == 1 else tuple(values)
        parts = [field.to_python(part) for field, part in zip(info.pk_fields, info.split_pk(key), strict=True)]
        identity = (model_of_key(info), parts[0] if len(parts) == 1 else tuple(parts))
        state = self._identity_map.state_with_key(identity)
        instance: Any = None if state is None else state()
        if not isinstance(instance, info.instance_class):
            instance = None
        if instance is not None and not (populate_existing or with_for_update or (state is not None and state.expired)):
            known: M = instance
            return known
        if instance is not None and state is not None and populate_existing and not self.autoflush:
            revert(state, instance)
        rows = self.query(model).filter(
            **{field.attname: part for field, part in zip(info.pk_fields, parts, strict=True)}
        )
        if options:
            rows = rows.options(*options)
        if with_for_update:
            rows = rows.select_for_update()
        read = await rows
        if populate_existing and read and instance is not None:
            await self.refresh(instance)
        return read[0] if read else None

    async def get_one(self, model: type[M], key: Any, **options: Any) -> M:
        """`get()`, which raises `DoesNotExist` if there is no row."""
        instance = await self.get(model, key, **options)
        if instance is None:
            raise model.DoesNotExist(f"No {model.__name__} has this primary key.")
        return instance

    def query(self, model: type[M]) -> QuerySet[M, M]:
        """`model.objects`, on the session's database."""
        objects: QuerySet[M, M] = model.objects
        return objects if model._meta.registry.database is self.database else objects.using(self.database)

    # Reading again

    def expire(self, instance: Model, attribute_names: Iterable[str] | None = None) -> None:
        """Discard loaded values, all but the primary key or only these, and changes of them.

        Reading one raises `NotLoaded` until `refresh()`, or until a query reads the row. Raises `QueryError` for an
        instance that is not in the session, or has no row.
        """
        state = self._state(instance)
        info, attributes = state.info, instance.__dict__
        names = set(info.accessors) | set(info.by_attname) if attribute_names is None else set(attribute_names)
        state.snapshot = state.snapshot.copy()  # a level of the transaction may have it
        for name in names:
            field = info.fields.get(name) or info.by_attname.get(name)
            if field is None and name not in info.accessors and name not in info.composed:
                raise info.unknown(name, "an attribute of expire()")
            forget(instance, name)
            attributes.pop(name, None)
            if field is not None and not field.primary_key:
                attributes.pop(field.name, None)
                attributes.pop(field.attname, None)
                state.snapshot.pop(field.attname, None)
            elif field is not None:
                attributes[field.attname] = state.snapshot[field.attname]
        _forget_values(state, attributes, [name for name in state.info.by_attname if name not in attributes])
        state.expired = state.expired or attribute_names is None

    def expire_all(self) -> None:
        """`expire()` all instances that have rows."""
        for _, instance in self._identity_map:
            self.expire(instance)

    async def refresh(self, instance: Model, attribute_names: Iterable[str] | None = None) -> None:
        """Read the row of an instance again; with `attribute_names`, only these fields and relations.

        Changes of what is read are discarded; those of other instances are flushed before.

        Raises `DoesNotExist` if the row is gone, and `QueryError` for an instance that is not in the session.
        """
        state = self._state(instance)
        info = state.info
        names = list(info.by_attname) if attribute_names is None else list(attribute_names)
        relations = [name for name in names if name in info.accessors and name not in info.fields]
        discarded = []
        for name in names:
            read_again = info.fields.get(name) or info.by_attname.get(name)
            if read_again is not None and not read_again.primary_key and read_again.attname in state.snapshot:
                instance.__dict__[read_again.attname] = state.snapshot[read_again.attname]
                discarded.append(read_again.attname)
        _forget_values(state, instance.__dict__, discarded)
        rows = await execution.fetch(row_query(instance), self.database, outside_units=True)
        if not rows:
            raise info.model.DoesNotExist(f"The row of this {info.name} is gone: nothing was loaded.")
        read = rows[0].__dict__
        attributes = instance.__dict__
        state.snapshot = state.snapshot.copy()
        if attribute_names is None:
            attributes[LOADED] = {}
            for accessor in info.accessors:
                attributes.pop(accessor, None)
            state.expired = False
        loaded: list[str] = []
        for name in names:
            field = info.fields.get(name) or info.by_attname.get(name)
            if field is None:
                if name not in relations:
                    raise info.unknown(name, "an attribute of refresh()")
                continue
            attributes.pop(field.name, None)
            attributes[field.attname] = read[field.attname]
            state.snapshot[field.attname] = frozen(read[field.attname])
            loaded.append(field.attname)
        if SNAPSHOT in attributes:
            mark_loaded(instance, loaded)
        for name in relations:
            forget(instance, name)
            attributes.pop(name, None)
        if relations:
            await load_lookups([instance], relations)

    def _state(self, instance: Model) -> InstanceState:
        self._check()
        state = self._identity_map.state_of(instance)
        if state is None:
            raise QueryError(f"this {type(instance).__name__} is not in the session, or has no row yet.")
        return state

    # Leaving the session

    def expunge(self, instance: Model) -> None:
        """Remove an instance from the session: a new one is not inserted, changes are not written.

        Raises `QueryError` if it is not in the session.
        """
        self._check()
        if instance in self._new:
            self._new.discard(instance)
            return
        self._identity_map.forget(self._state(instance))
        self._deleted.discard(instance)

    async def merge(self, instance: M, *, load: bool = True) -> M:
        """Copy the values of an instance, and of those that it refers to, to the session's; returns the session's.

        Without a row of its key there is a new instance. The instance itself does not come into the session.

        Args:
            load: False: the row is not read, the values are taken as those of the row.
        """
        self._check()
        return await Merge(self, load=load).merged(instance)


def _forget_values(state: InstanceState, attributes: dict[str, Any], attnames: Collection[str]) -> None:
    """Discard the values that are made of these columns, which may have been changed in place."""
    for relation in state.info.composed.values():
        if any(field.attname in attnames for field in relation.fields):
            attributes.pop(relation.name, None)
