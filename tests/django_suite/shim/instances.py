"""Instances as Django has them: their methods are synchronous, and what was not loaded is loaded when it is read."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from sqlalchemy.util.concurrency import greenlet_spawn

import orm
from orm.mapping.inheritance import ProxyInfo
from orm.mapping.model_info import ModelInfo
from orm.related import accessors
from orm.relations import ManyToManySide, ReverseRelation
from orm.relations.foreign_key import ForeignKey, KeyAttribute
from orm.relations.instance_state import KEY_ONLY, forget, get_loaded
from orm.writing.instances import database_of, insert_instance
from tests.django_suite.shim.bridge import in_test, run, synchronous, without_alias
from tests.django_suite.shim.models import all_rows


def install() -> None:
    """Change `orm.Model`, and the descriptors of relations."""
    _install_methods()
    _install_loading()
    _install_options()


def _deleted(count: int) -> tuple[int, dict[str, int]]:
    return count, {}


def _install_methods() -> None:
    model: Any = orm.Model
    save, load = model.save, model.load
    for name, method in list(vars(model).items()):
        if inspect.iscoroutinefunction(method):
            result = _deleted if name == "delete" else None
            setattr(model, name, synchronous(method, arguments=without_alias, result=result))

    def save_instance(self: Any, *args: Any, **options: Any) -> Any:
        if not in_test():
            return save(self, *args, **options)
        options.update(zip(("force_insert", "force_update", "using", "update_fields"), args, strict=False))
        options.pop("using", None)
        if options.get("force_insert") and not options.get("force_update"):
            return run(insert_instance(self, database_of(self)))
        if options.get("update_fields") is not None:
            options["update_fields"] = list(options["update_fields"])
            for name in options["update_fields"]:
                getattr(self, name, None)  # a deferred field is loaded, as Django does
        try:
            run(save(self, **options))
        except orm.NoMatch as error:  # the error of Django 5 for a row that is gone
            raise orm.DatabaseError(str(error)) from error

    def refresh(self: Any, using: Any = None, fields: Any = None, from_queryset: Any = None) -> None:
        if fields is None:
            if from_queryset is not None and not run(from_queryset.filter(pk=self.pk)._fetch()):
                raise type(self).DoesNotExist(f"{self!r} is not in the queryset.")
            run(load(self))
            return
        for name in fields:
            field = self._meta.fields.get(name) or self._meta.by_attname.get(name)
            if field is None and name not in self._meta.accessors:
                raise ValueError(f"{name!r} is no field of {self._meta.name}")
            forget(self, name)
            self.__dict__.pop(name, None)
            if field is not None:
                self.__dict__.pop(field.attname, None)
                _load_field(self, field, from_queryset)

    model.save = save_instance
    model.refresh_from_db = refresh
    model.get_deferred_fields = lambda self: set(self._meta.by_attname) - set(self.__dict__)
    model._is_pk_set = lambda self, meta=None: self.pk is not None
    model._state = property(_State)

    def in_greenlet(method: Any) -> Any:
        async def call(self: Any, *args: Any, **options: Any) -> Any:
            return await greenlet_spawn(method, self, *args, **options)

        return call

    model.asave, model.arefresh_from_db = in_greenlet(save_instance), in_greenlet(refresh)
    model.adelete = in_greenlet(model.delete)


class _State:
    """Django's `instance._state`."""

    db = "default"

    def __init__(self, instance: Any) -> None:
        self.instance = instance

    @property
    def adding(self) -> bool:
        return not self.instance._persisted

    @adding.setter
    def adding(self, value: bool) -> None:
        self.instance._persisted = not value

    @property
    def fields_cache(self) -> _RelatedCache:
        return _RelatedCache(self.instance)


class _RelatedCache(dict[str, Any]):
    """Django's `_state.fields_cache`: the related instances that are known."""

    def __init__(self, instance: Any) -> None:
        attributes = instance.__dict__
        super().__init__({name: attributes[name] for name in instance._meta.accessors if name in attributes})
        self.instance = instance

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        del self.instance.__dict__[name]


def _load_field(instance: Any, field: Any, queryset: Any = None) -> Any:
    """Load one field, as Django does for a deferred one."""
    queryset = all_rows(type(instance)) if queryset is None else queryset
    rows = run(queryset.filter(pk=instance.pk).values_list(field.attname, flat=True)._fetch())
    if not rows:
        raise type(instance).DoesNotExist(f"{instance!r} is gone.")
    instance.__dict__[field.attname] = rows[0]
    return rows[0]


def _load_missing(instance: Any, field: Any) -> None:
    """Load a field that was not loaded: with all others, if only the key of the instance is known."""
    if KEY_ONLY in instance.__dict__:
        run(orm.Model.load.original(instance))  # type: ignore[attr-defined]
    else:
        _load_field(instance, field)


def _install_loading() -> None:
    model: Any = orm.Model
    get_attribute, related, get_key = model.__getattr__, ForeignKey.related, KeyAttribute.__get__
    get_one = accessors.OneAccessor.__get__

    def model_attribute(self: Any, name: str) -> Any:
        if in_test() and self._persisted and not name.startswith("_"):
            field = type(self)._meta.fallback_descriptors.get(name)
            field = field.relation if isinstance(field, KeyAttribute) else field
            if isinstance(field, orm.Field) and field.attname not in self.__dict__:
                _load_missing(self, field)
                return object.__getattribute__(self, name) if name not in self.__dict__ else self.__dict__[name]
        return get_attribute(self, name)

    def related_instance(self: Any, instance: Any) -> Any:
        if not in_test():
            return related(self, instance)
        attributes = instance.__dict__
        if self.attname not in attributes and self.name not in attributes and instance._persisted:
            _load_missing(instance, self)
        loaded = related(self, instance)
        if loaded is not None and KEY_ONLY in loaded.__dict__:
            run(orm.Model.load.original(loaded))  # type: ignore[attr-defined]
            if not self.reverse.many:
                self.reverse.attach_row(loaded, instance)
        if loaded is None and not self.allow_null and attributes.get(self.attname) is None:
            raise self.missing(f"{instance._meta.name} has no {self.name}.")
        return loaded

    def key_attribute(self: Any, instance: Any, owner: Any) -> Any:
        relation = self.relation
        if instance is not None and in_test() and instance._persisted:
            attributes = instance.__dict__
            if relation.attname not in attributes and relation.name not in attributes:
                _load_missing(instance, relation)
                return attributes[relation.attname]
        return get_key(self, instance, owner)

    def one(self: Any, instance: Any, owner: Any) -> Any:
        name = self.relation.accessor
        if instance is not None and in_test() and name not in instance.__dict__:
            if not instance._persisted:
                raise self.relation.missing(f"This {instance._meta.name} is not saved.")
            if get_loaded(instance, name) is None and instance.pk is not None:
                run(orm.load(instance, name))
        return get_one(self, instance, owner)

    model.__getattr__ = model_attribute
    changed: Any = ForeignKey
    changed.related = related_instance
    changed = KeyAttribute
    changed.__get__ = key_attribute
    changed = accessors.OneAccessor
    changed.__get__ = one


def _get_latest_by(info: Any) -> Any:
    return info.options.get_latest_by or None


def _set_latest_by(info: Any, value: Any) -> None:
    names = (value,) if isinstance(value, str) else tuple(value or ())
    info.options = dataclasses.replace(info.options, get_latest_by=names)


def _set_ordering(info: Any, value: Any) -> None:
    info.options = dataclasses.replace(info.options, ordering=tuple(value or ()))
    info.clear_caches()


def _install_options() -> None:
    info: Any = ModelInfo

    def get_field(self: Any, name: str) -> Any:
        for fields in (self.fields, self.by_attname, self.many_to_many, self.relations):
            if name in fields:
                return fields[name]
        raise orm.FieldError(f"{self.name} has no field {name!r}.")

    info.get_field = get_field
    info.get_fields = lambda self, **options: [*self._ends, *self.fields.values(), *self.many_to_many.values()]
    info.db_table = property(lambda self: self.tablename)
    info.pk = property(lambda self: self.pk_fields[0])
    info.model_name = property(lambda self: self.name.lower())
    info.object_name = info.verbose_name = property(lambda self: self.name)
    info.concrete_fields = property(lambda self: list(self.fields.values()))
    info.ordering = property(lambda self: list(self.options.ordering), _set_ordering)
    info.concrete_model = property(lambda self: self.instance_class)
    info.proxy_for_model = property(lambda self: self.base.model if isinstance(self, ProxyInfo) else None)
    info.get_latest_by = property(_get_latest_by, _set_latest_by)
    field: Any = orm.Field
    field.is_relation = property(lambda self: isinstance(self, orm.ForeignKey))
    field.auto_created = False
    field.null = property(lambda self: self.allow_null)
    field.get_attname = lambda self: self.attname
    for relation, auto_created in ((orm.ManyToMany, False), (ReverseRelation, True), (ManyToManySide, True)):
        changed: Any = relation
        changed.is_relation, changed.auto_created = True, auto_created
