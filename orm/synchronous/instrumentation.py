"""What makes the models of a registry answer without `await` while an `orm.sync()` block is open.

The models that no block has been opened for are left as they are.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from orm.mapping.signals import METHODS
from orm.queryset.descriptors import Objects
from orm.registry import ModelRegistry
from orm.related.accessors import ManyAccessor
from orm.synchronous.bridge import Mode, inside
from orm.synchronous.querysets import synchronous
from orm.utils.blocking import run

if TYPE_CHECKING:
    from orm.models import Model

# What the ORM itself calls: overrides may be coroutine functions.
CALLED_BY_THE_ORM = frozenset({*METHODS.values(), "clean"})

_modes: WeakKeyDictionary[ModelRegistry, Mode] = WeakKeyDictionary()


class SyncAwareObjects(Objects):
    """`Model.objects`, or another manager, of a model that an `orm.sync()` block has been opened for."""

    def __init__(self, objects: Objects, mode: Mode) -> None:
        self._objects = objects
        self._mode = mode

    def __get__(self, instance: Model | None, owner: type[Any]) -> Any:
        if not self._mode.is_on():
            return self._objects.__get__(instance, owner)
        return synchronous(inside(self._objects.__get__, instance, owner))


class SyncAwareAccessor(ManyAccessor):
    """The attribute of a relation to many, of such a model."""

    mode: Mode

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:
        if instance is None or not self.mode.is_on():
            return super().__get__(instance, owner)
        return synchronous(inside(super().__get__, instance, owner))


def mode_of(registry: ModelRegistry) -> Mode:
    """The mode of a registry's models, which can be synchronous from now on."""
    mode = _modes.get(registry)
    if mode is None:
        mode = _modes[registry] = Mode()
        registry.on_change.append(functools.partial(_prepare, mode))
    _prepare(mode, registry)
    return mode


def _prepare(mode: Mode, registry: ModelRegistry) -> None:
    """Let a registry's models look at the mode, also those declared since the last call."""
    for model in registry.models.values():
        for name in dir(model):
            attribute = inspect.getattr_static(model, name, None)
            if isinstance(attribute, Objects):
                if not isinstance(attribute, SyncAwareObjects) or attribute._mode is not mode:
                    setattr(model, name, SyncAwareObjects(attribute, mode))
            elif type(attribute) is ManyAccessor:
                attribute.__class__ = SyncAwareAccessor
                attribute.__dict__["mode"] = mode
            elif not name.startswith("_") and name not in CALLED_BY_THE_ORM:
                aware = _sync_aware(attribute, mode)
                if aware is not None:
                    setattr(model, name, aware)


def _sync_aware(attribute: Any, mode: Mode) -> Any:
    """A method of a model that returns the result of the coroutine, where the mode is on; None for other attributes."""
    if isinstance(attribute, classmethod):
        function = attribute.__func__
        if inspect.iscoroutinefunction(function) or function.__name__ == "raw":
            return classmethod(_wrapper(function, mode))
        return None
    if isinstance(attribute, staticmethod):
        function = attribute.__func__
        return staticmethod(_wrapper(function, mode)) if inspect.iscoroutinefunction(function) else None
    return _wrapper(attribute, mode) if inspect.iscoroutinefunction(attribute) else None


def _wrapper(function: Callable[..., Any], mode: Mode) -> Callable[..., Any]:
    @functools.wraps(function)
    def method(*args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        if not mode.is_on():
            return result
        return run(result) if inspect.iscoroutine(result) else synchronous(result)

    return method
