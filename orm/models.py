"""`Model`, the base class of models."""

from __future__ import annotations

import copy
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from importlib import import_module
from sys import intern
from typing import TYPE_CHECKING, Any, ClassVar

from orm import execution
from orm.database.connections.units_of_work import find_in_units, idle_unit, open_units
from orm.exceptions import MultipleMatches, NoMatch, QueryError
from orm.expressions.base import use_renderer
from orm.fields import Field
from orm.loading.load import load_fields, load_with_peers_of_owner
from orm.mapping.changes import changed_fields
from orm.mapping.model_info import ModelInfo
from orm.metaclass import ModelMetaclass
from orm.query.query import of_own_model
from orm.query.sqlalchemy_clauses import to_clause
from orm.queryset.descriptors import Objects
from orm.queryset.queryset import QuerySet
from orm.queryset.raw import RawQuerySet
from orm.registry import ModelRegistry
from orm.related.many_to_many import ManyToManyManager
from orm.relations.instance_state import KEY_ONLY, awaited, not_loaded
from orm.writing.delete_preview import DeletePlan, collect_delete
from orm.writing.hooked_deletes import delete_instance_with_hooks, models_to_load
from orm.writing.hooked_writes import save_with_hooks
from orm.writing.instances import (
    database_of,
    delete_instance,
    fields_to_save,
    load_instance,
    row_query,
    save_forced,
    save_instance,
    set_attributes,
    update_instance,
)
from orm.writing.validation import validate_instance

if TYPE_CHECKING:
    from typing_extensions import Self

# Annotations in lower layers take these types from here: see the rule about type-only imports.
__all__ = ["ManyToManyManager", "Model", "ModelMetaclass", "ModelRegistry"]

use_renderer(to_clause)


def note_written(instance: Model) -> None:
    """Tell the session of the current task that an instance agrees with its row."""
    unit = idle_unit(database_of(instance))
    if unit is not None:
        unit.note_written(instance)


class _NothingToAwait:
    """What the hook methods of `Model` return, so that an override may await `super()` or not."""

    def __await__(self) -> Iterator[None]:
        return iter(())


NOTHING_TO_AWAIT = _NothingToAwait()

#: Methods of Django's instances that have another name here.
DJANGO_METHODS = {"refresh_from_db": "load", "arefresh_from_db": "load", "asave": "save", "adelete": "delete"}


class Model(metaclass=ModelMetaclass):
    """A row of a table. Subclass it to declare a table.

        class Note(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            text = orm.String(max_length=100)

    A `class Meta` in the body has options such as `tablename`, `ordering`, `abstract`, `indexes`, `constraints` and
    `schema`. The constructor takes field names, or ``pk``, as keyword arguments; fields that are left out get their
    default. It raises `FieldError` for a name that is not a field.
    """

    # Not a slot: from Python 3.13 on, instances of a class with slots keep their other attributes in a separate dict.
    _loaded: dict[str, list[Any]] | None = None
    _meta: ClassVar[ModelInfo]
    # Without an annotation, which would also apply to the managers of subclasses.
    objects = Objects(QuerySet)
    # Whether the row exists. Instances of loaded rows are made without __init__, so the class has True.
    _persisted = True

    DoesNotExist: ClassVar[type[NoMatch]] = NoMatch
    MultipleObjectsReturned: ClassVar[type[MultipleMatches]] = MultipleMatches

    if TYPE_CHECKING:
        registry: ClassVar[ModelRegistry]

    def __init__(self, /, **values: Any) -> None:
        model = type(self)
        info = model._meta
        construct = info.construct
        if info.keeps_constructor and model.__init__ is Model.__init__:
            model.__init__ = construct  # type: ignore[method-assign] # the next instance skips this method
        construct(self, **values)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Also called if a property raised AttributeError; asking for it again raises the original error.
            descriptor = type(self)._meta.fallback_descriptors.get(name)
            if descriptor is not None:
                return descriptor.__get__(self, type(self))
            if name in DJANGO_METHODS and not hasattr(type(self), name):
                raise AttributeError(
                    f"{self._meta.name} has no {name}(): use `await instance.{DJANGO_METHODS[name]}()`.",
                    name=name,
                    obj=self,
                )
            return object.__getattribute__(self, name)

    @property
    def pk(self) -> Any:
        """The primary key's value (a tuple if it is composite), or None if the instance has none yet.

        Raises `NotLoaded` for a related instance of which only the `to_field` of a foreign key is known.
        """
        key = self._meta.get_pk(self)
        if key is None and KEY_ONLY in self.__dict__:
            for field in self._meta.pk_fields:
                if field.attname not in self.__dict__:
                    raise self._missing_attribute(field)
        return key

    @pk.setter
    def pk(self, value: Any) -> None:
        self._meta.set_pk(self, value)

    def __str__(self) -> str:
        info = self._meta
        key = ", ".join(f"{f.attname}={self.__dict__.get(f.attname)!r}" for f in info.pk_fields)
        sparse = self._persisted and any(f.attname not in self.__dict__ for f in info.fields.values())
        return f"{info.name}({key}){' [sparse]' if sparse else ''}"

    def __repr__(self) -> str:
        return f"<{self._meta.name}: {self}>"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        info = self._meta
        if not isinstance(other, Model) or other._meta.concrete is not info.concrete:
            return NotImplemented
        key = info.get_pk(self)
        return key is not None and key == info.get_pk(other)

    def __hash__(self) -> int:
        info = self._meta
        key = self.pk
        if key is None:
            raise TypeError(f"{info.name} without a primary key is unhashable: save it first.")
        return hash((info.concrete.model, key))

    def __getstate__(self) -> dict[str, Any]:
        """The attributes to pickle, without the database of `using()`, which cannot be pickled."""
        return {key: value for key, value in self.__dict__.items() if key != "_database"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = self.__dict__
        for key, value in state.items():
            attributes[intern(key)] = value

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        for relation in self._meta.composed.values():
            relation.copy_value(copied.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = memo[id(self)] = type(self).__new__(type(self))
        for key, value in self.__dict__.items():
            copied.__dict__[key] = value if key == "_database" else copy.deepcopy(value, memo)
        return copied

    def _missing_attribute(self, field: Field[Any]) -> Exception:
        """The error for an attribute without a value, with ways to load it."""
        name = f"{self._meta.name}.{field.name}"
        sparse = self.__dict__.get(KEY_ONLY)
        if sparse is not None:
            owner, _, relation = sparse.partition(".")
            return not_loaded(
                self,
                f"{name} was not loaded, and relations are not loaded implicitly: {sparse} holds only its key. Use "
                f"`{awaited('instance.load()')}`, `{awaited(f'orm.load({owner.lower()}, {relation!r})')}` for one or "
                f"many, or have the query bring it: {owner}.objects.select_related({relation!r}) or "
                f"prefetch_related({relation!r}).",
            )
        if self._persisted and open_units and self._is_in_session():
            return not_loaded(
                self,
                f"{name} was not loaded or has expired, and fields are not loaded implicitly. Use "
                f"`{awaited('session.refresh(instance)')}`, which reads the row again.",
            )
        if self._persisted:
            return not_loaded(
                self,
                f"{name} was not loaded, and fields are not loaded implicitly. Use `{awaited('instance.load()')}`, or "
                "load it with the query: only() or defer() left it out, upsert() did not write it, or the database has "
                "calculated the value since.",
            )
        return AttributeError(f"{name} has no value yet: it was not given and has no default.")

    def _is_in_session(self) -> bool:
        attnames, key = [field.attname for field in self._meta.pk_fields], self._meta.get_pk(self)
        values = key if isinstance(key, tuple) else (key,)
        return find_in_units(None, type(self), attnames, values) is self

    async def save(
        self,
        *,
        update_fields: list[str] | tuple[str, ...] | None = None,
        force_insert: bool = False,
        force_update: bool = False,
        changed_only: bool = False,
    ) -> Self:
        """Validate and write the instance: INSERT if it is new, else UPDATE of `update_fields` (default: all fields).

        With `force_insert` it is an INSERT, with `force_update` an UPDATE, which raises `NoMatch` if there is no row.
        With `changed_only` the `update_fields` are the `changed_fields`; nothing is sent if there are none.
        A value may be an expression (``note.views = Note.views + 1``).

        Returns the instance. Raises `orm.ValidationError` with all messages before anything is sent,
        `orm.IntegrityError` if the database rejects the row, `NoMatch` if there are `update_fields` and the row does
        not exist.
        """
        if changed_only:
            if force_insert or force_update or update_fields is not None:
                raise QueryError("changed_only excludes force_insert, force_update and update_fields.")
            update_fields = fields_to_save(self)
        if open_units:
            unit = idle_unit(database_of(self))
            if unit is not None:
                options = {"force_insert": force_insert, "force_update": force_update, "changed_only": changed_only}
                if await unit.save(self, update_fields, **options):
                    return self
                await unit.before_statement()
        if self._meta.hooks is not None:
            await save_with_hooks(
                self, update_fields, insert=force_insert, update=force_update, changed_only=changed_only
            )
        elif force_insert or force_update:
            await save_forced(self, update_fields, insert=force_insert, update=force_update)
        else:
            await save_instance(self, update_fields)
        if open_units:
            note_written(self)
        return self

    @property
    def changed_fields(self) -> tuple[str, ...]:
        """The names of the fields whose values differ from those of the row, in the order of their declaration.

        For the changes of saved instances to be known, ``class Meta`` has ``track_changes = True``, or
        `orm.track_changes()` was called for the instance; else this raises `QueryError`. Changes in place, in a
        document for example, count. After `save()` and `load()` nothing is changed; after the rollback of a
        transaction, what was saved in it is. All fields of a new instance that have a value are changed.
        """
        return changed_fields(self)

    async def update(self, /, **values: Any) -> None:
        """Validate these values and set them here and in the database. Raises `NoMatch` if the row is gone.

        Calls an overridden `save()`, or the hooks of saving, with the names of the values as `update_fields`.
        """
        if self._meta.overrides_save or self._meta.hooks is not None:
            await self.save(update_fields=set_attributes(self, values))
        else:
            if open_units:
                unit = idle_unit(database_of(self))
                if unit is not None:
                    await unit.before_statement()  # which may change the version that the UPDATE is to match
            await update_instance(self, values)
            if open_units:
                note_written(self)

    def clean(self) -> Any:
        """Override this method, sync or async, to validate fields against each other.

        As in Django, `full_clean()` calls it and `save()` does not. It may set values. It raises `orm.ValidationError`:
        with `key=` for one field, with `messages=` for several, with neither for the instance as a whole.
        """
        return NOTHING_TO_AWAIT

    async def full_clean(self, *, exclude: Collection[str] = (), validate_constraints: bool = True) -> None:
        """Validate the instance without writing it, and ask the database whether its constraints would accept the row.

        The fields are validated, then `clean()` is called, then the constraints whose fields are valid are checked, in
        one statement. A saved instance is not compared with its own row. Another task can write the same values before
        this one does, so `save()` may still raise `IntegrityError`.

        Args:
            exclude: Names of fields that are not validated; constraints that depend on them are not checked.
            validate_constraints: False: no statement is sent.

        Raises:
            ValidationError: With all messages: of the fields, of `clean()`, and of the constraints under each of their
                fields.
        """
        await validate_instance(self, exclude, constraints=validate_constraints)

    async def validate(self, *, exclude: Collection[str] = (), validate_constraints: bool = True) -> None:
        """The same as `full_clean()`, which is Django's name for it."""
        await self.full_clean(exclude=exclude, validate_constraints=validate_constraints)

    async def delete(self, *, keep_parents: bool = False) -> int:
        """Delete the row; returns the number of rows deleted (0 or 1). The instance is then unsaved and has no key.

        With `keep_parents`, the rows of other models that it continues in multi-table inheritance stay.
        """
        keep_parents = keep_parents and bool(self._meta.ancestors)
        unit = idle_unit(database_of(self)) if open_units else None
        if unit is not None:
            if keep_parents:
                await unit.before_statement()
            elif (deleted := await unit.delete_now(self)) is not None:
                return deleted
        if models_to_load(self._meta, keep_parents=keep_parents):
            matched = await delete_instance_with_hooks(self, keep_parents=keep_parents)
        else:
            matched = await delete_instance(self, keep_parents=keep_parents)
        if unit is not None and keep_parents:
            await unit.synchronize(self._meta)
        return matched

    def before_save(self, *, created: bool, update_fields: frozenset[str] | None) -> Any:
        """Override this method, sync or async, to run code before each save, in its transaction.

        `created` says whether the instance is new; `update_fields` names the saved fields, or is None for all. The
        method may change the instance, whose values are validated afterwards. If it raises an error, nothing is saved.
        """
        return NOTHING_TO_AWAIT

    def after_save(self, *, created: bool, update_fields: frozenset[str] | None) -> Any:
        """Override this method, sync or async, to run code after each save, in its transaction.

        If it raises an error, the save is rolled back.
        """
        return NOTHING_TO_AWAIT

    def before_delete(self) -> Any:
        """Override this method, sync or async, to run code before the row is deleted, in the same transaction.

        It is also called for rows that `QuerySet.delete()` or a cascade deletes.
        """
        return NOTHING_TO_AWAIT

    def after_delete(self) -> Any:
        """Override this method, sync or async, to run code after the row is deleted, in the same transaction."""
        return NOTHING_TO_AWAIT

    async def collect_delete(self) -> DeletePlan:
        """A preview of `delete()`: see `QuerySet.collect_delete()`."""
        return await collect_delete(row_query(self), database_of(self))

    async def load(self, fields: Iterable[str] | None = None) -> Self:
        """Load all fields again, including those that were not loaded, and discard loaded related rows.

        With `fields`, load only these; the name of a relation to many discards its loaded rows. Raises `NoMatch` if the
        row is gone.
        """
        if fields is None:
            await load_instance(self)
        else:
            await load_fields(self, fields)
        if open_units:
            note_written(self)
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        """The instance, loaded if only its key is known: ``album = await track.album``.

        With ``fetch_mode(orm.PEERS)``, one statement loads the related instances of all instances of the same result.
        Raises `NoMatch` if the row is gone.
        """
        return self._loaded_instance().__await__()

    async def _loaded_instance(self) -> Self:
        if KEY_ONLY not in self.__dict__:
            return self
        related: Any = await load_with_peers_of_owner(self)
        if related is None and open_units and idle_unit(database_of(self)) is not None:
            # The session's instance of the row, which may be another one.
            rows: list[Any] = await execution.fetch(of_own_model(row_query(self)), database_of(self))
            if not rows:
                raise self.DoesNotExist(f"The row of this {self._meta.name} is gone: nothing was loaded.")
            mapped: Self = rows[0]
            return mapped
        if related is None:
            return await self.load()
        self.__dict__.update(related.__dict__)
        self.__dict__.pop(KEY_ONLY, None)
        instance: Self = related
        return instance

    # Pydantic uses these three. Importing `orm` imports neither Pydantic nor orm.contrib, which is above this layer.

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """The model as a type of Pydantic's: see `orm/contrib/pydantic/model_types.py`."""
        return import_module("orm.contrib.pydantic.model_types").core_schema_of(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        """The model's JSON Schema."""
        return import_module("orm.contrib.pydantic.model_types").json_schema_of(cls, handler)

    @property
    def __pydantic_serializer__(self) -> Any:
        """Writes what was loaded of the instance where no type says what it is, as in ``dict[str, Any]``."""
        return import_module("orm.contrib.pydantic.model_types").UNTYPED

    @classmethod
    def raw(cls, sql: str, values: Mapping[str, Any] | None = None) -> RawQuerySet[Self]:
        """Instances from your own SQL, with ``:name`` placeholders; columns are matched by name.

        notes = await Note.raw("SELECT * FROM note WHERE text LIKE :t", {"t": "%mum%"})
        """
        return RawQuerySet(cls._meta, sql, values)
