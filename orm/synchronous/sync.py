"""`orm.sync()`: the models of a registry without `await`."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Awaitable, Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, TypeVar, overload

from typing_extensions import Self

from orm.exceptions import QueryError
from orm.loading.graph import Graph
from orm.models import Model
from orm.queryset.queryset import QuerySet
from orm.registry import ModelRegistry
from orm.related.managers import RelatedManager
from orm.related.many_to_many import ManyToManyManager
from orm.synchronous.bridge import Mode, inside
from orm.synchronous.graph import SyncGraph
from orm.synchronous.instances import SyncInstance
from orm.synchronous.instrumentation import mode_of
from orm.synchronous.managers import SyncManyToManyManager, SyncRelatedManager
from orm.synchronous.querysets import SyncQuerySet, synchronous
from orm.utils.blocking import check_can_block, run, sync_blocks

M = TypeVar("M", bound=Model)
R = TypeVar("R")
T = TypeVar("T")

_lock = threading.Lock()


class sync(contextlib.ContextDecorator):
    """The models of these registries without `await`, in the block and in what it calls.

        with orm.sync(models):
            note = Note.objects.create(text="call mum")
            for note in Note.objects.filter(text__icontains="mum"):
                note.text += "!"
                note.save()
            with database.transaction():
                Note.objects.filter(done=True).delete()

    Answers and errors are those of the asynchronous methods. While a block is open, it applies to all threads in which
    no event loop runs; code on an event loop goes on to await. It decorates functions, too: ``@orm.sync(models)``. A
    program that is synchronous as a whole, or a notebook, calls `start()` once.

    Type checkers know the models by their asynchronous methods. The block gives a function that they understand:

        with orm.sync(models) as db:
            notes = db(Note).filter(done=False).all()  # list[Note]
            db(notes[0]).save()

    or declare the models of a synchronous program as subclasses of `orm.SyncModel`.

    Raises:
        InterfaceError: An event loop runs in this thread, which would stop meanwhile (except in a notebook).
    """

    def __init__(self, *registries: ModelRegistry) -> None:
        for registry in registries:
            if not isinstance(registry, ModelRegistry):
                raise QueryError(
                    f"orm.sync() takes the registries of models, orm.sync(models), got {type(registry).__name__}."
                )
        if not registries:
            raise QueryError("orm.sync() takes the registries of models: orm.sync(models).")
        self._registries = registries

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Begin the block without `with`: for a whole program, a worker process or a notebook."""
        check_can_block("orm.sync()")
        self._count(1)
        return self

    def stop(self) -> None:
        """End a block that `start()` began."""
        self._count(-1)

    def _count(self, change: int) -> None:
        with _lock:
            modes: list[Mode] = [mode_of(registry) for registry in self._registries]
            for mode in modes:
                blocks = max(0, mode.blocks + change)
                sync_blocks.count += blocks - mode.blocks
                mode.blocks = blocks

    @overload
    def __call__(self, item: type[M], /) -> SyncQuerySet[M, M]: ...
    @overload
    def __call__(self, item: M, /) -> SyncInstance[M]: ...
    @overload
    def __call__(self, item: ManyToManyManager[M], /) -> SyncManyToManyManager[M]: ...
    @overload
    def __call__(self, item: RelatedManager[M], /) -> SyncRelatedManager[M]: ...
    @overload
    def __call__(self, item: QuerySet[M, R], /) -> SyncQuerySet[M, R]: ...
    @overload
    def __call__(self, item: Graph[R], /) -> SyncGraph[R]: ...
    @overload
    def __call__(self, item: T, /) -> T: ...
    def __call__(self, item: Any, /) -> Any:
        """The synchronous form, whose types checkers know: of a model, an instance, a queryset or a manager.

        A function is decorated: each call of it is a block.
        """
        if isinstance(item, type) and issubclass(item, Model):
            return synchronous(inside(getattr, item, "objects"))
        if isinstance(item, Model):
            return SyncInstance(item)
        if isinstance(item, (QuerySet, Graph)):
            return synchronous(item)
        if isinstance(item, (SyncQuerySet, SyncGraph)):
            return item
        if inspect.iscoroutinefunction(item) or not callable(item):
            what = "an async function" if callable(item) else type(item).__name__
            raise QueryError(f"orm.sync() takes models, instances and querysets, and decorates functions, not {what}.")
        return super().__call__(item)

    def run(self, awaitable: Awaitable[T]) -> T:
        """What an awaitable returns: see `orm.run`."""
        return run(awaitable)

    @contextlib.contextmanager
    def block(self, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """An asynchronous context manager without `async`: ``with db.block(database.advisory_lock("x")):``."""
        value = run(context.__aenter__())
        try:
            yield value
        except BaseException as error:
            if not run(context.__aexit__(type(error), error, error.__traceback__)):
                raise
        else:
            run(context.__aexit__(None, None, None))
