"""The managers of related rows without `await`: ``album.tracks``, ``article.tags``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from typing_extensions import Self

from orm.related.loaded_rows import LoadedRows
from orm.related.managers import RelatedManager
from orm.related.many_to_many import ManyToManyManager
from orm.synchronous.querysets import SyncQuerySet, asynchronous, wrappers
from orm.utils.blocking import run

if TYPE_CHECKING:
    from orm.models import Model

T = TypeVar("T", bound="Model")


class SyncRelatedManager(SyncQuerySet[T, T]):
    """The rows that reference an instance, in code without `await`: see `orm.sync` and `RelatedManager`.

    A loop, `all()`, `count()` and the like take prefetched rows without a query; ``len()`` takes only those.
    For type checkers, declare it in the body of an `orm.SyncModel`: ``tracks: orm.SyncRelatedManager["Track"]``.
    """

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> type[T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Self: ...
        def __get__(self, instance: Any, owner: type) -> Any: ...

    _queryset: RelatedManager[T]

    def __init__(self, queryset: RelatedManager[T]) -> None:
        super().__init__(queryset)

    def __len__(self) -> int:
        return super().__len__() if self._queryset._rows is None else len(self._queryset)

    def __bool__(self) -> bool:
        return super().__bool__() if self._queryset._rows is None else bool(self._queryset)

    def add(self, *objs: T | Any, bulk: bool = True) -> None:
        """See `RelatedManager.add()`."""
        run(self._queryset.add(*objs, bulk=bulk))

    def remove(self, *objs: T | Any, bulk: bool = True) -> None:
        """See `RelatedManager.remove()`."""
        run(self._queryset.remove(*objs, bulk=bulk))

    def clear(self, *, bulk: bool = True) -> None:
        """See `RelatedManager.clear()`."""
        run(self._queryset.clear(bulk=bulk))

    def set(self, objs: Iterable[T | Any], *, bulk: bool = True, clear: bool = False) -> None:
        """See `RelatedManager.set()`."""
        run(self._queryset.set(asynchronous(objs), bulk=bulk, clear=clear))


class SyncManyToManyManager(SyncRelatedManager[T]):
    """The rows that a many-to-many relation pairs with an instance, without `await`: see `ManyToManyManager`."""

    _queryset: ManyToManyManager[T]

    def __init__(self, queryset: ManyToManyManager[T]) -> None:
        super().__init__(queryset)

    def create(self, /, *, through_defaults: Mapping[str, Any] | None = None, **values: Any) -> T:
        """See `ManyToManyManager.create()`."""
        return run(self._queryset.create(through_defaults=through_defaults, **values))

    def bulk_create(
        self,
        rows: Iterable[T | Mapping[str, Any]] | SyncQuerySet[T, T],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Iterable[str] | None = (),
        unique_fields: Iterable[str] | None = (),
        through_defaults: Mapping[str, Any] | None = None,
    ) -> list[T]:
        """See `ManyToManyManager.bulk_create()`."""
        return run(
            self._queryset.bulk_create(
                asynchronous(rows),
                batch_size,
                ignore_conflicts,
                update_conflicts,
                update_fields,
                unique_fields,
                through_defaults,
            )
        )

    def create_graph(self, rows: Any, *, through_defaults: Mapping[str, Any] | None = None) -> Any:
        """See `ManyToManyManager.create_graph()`."""
        return run(self._queryset.create_graph(rows, through_defaults=through_defaults))

    def get_or_create(
        self,
        /,
        defaults: Mapping[str, Any] | None = None,
        *,
        through_defaults: Mapping[str, Any] | None = None,
        **lookups: Any,
    ) -> tuple[T, bool]:
        """See `ManyToManyManager.get_or_create()`."""
        return run(self._queryset.get_or_create(defaults, through_defaults=through_defaults, **lookups))

    def update_or_create(
        self,
        /,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        *,
        through_defaults: Mapping[str, Any] | None = None,
        **lookups: Any,
    ) -> tuple[T, bool]:
        """See `ManyToManyManager.update_or_create()`."""
        written = self._queryset.update_or_create(
            defaults, create_defaults, through_defaults=through_defaults, **lookups
        )
        return run(written)

    def add(self, *objs: T | Any, through_defaults: Mapping[str, Any] | None = None) -> None:  # type: ignore[override]
        """See `ManyToManyManager.add()`."""
        run(self._queryset.add(*objs, through_defaults=through_defaults))

    def remove(self, *objs: T | Any) -> None:  # type: ignore[override]
        """See `ManyToManyManager.remove()`."""
        run(self._queryset.remove(*objs))

    def clear(self) -> None:  # type: ignore[override]
        """See `ManyToManyManager.clear()`."""
        run(self._queryset.clear())

    def set(  # type: ignore[override]
        self,
        objs: Iterable[T | Any],
        *,
        clear: bool = False,
        through_defaults: Mapping[str, Any] | None = None,
    ) -> None:
        """See `ManyToManyManager.set()`."""
        run(self._queryset.set(asynchronous(objs), clear=clear, through_defaults=through_defaults))


class _SyncLoadedRows(LoadedRows):
    """Makes the synchronous manager of loaded rows a list, as the asynchronous one is."""

    _queryset: RelatedManager[Any]

    def __init__(self, queryset: RelatedManager[Any]) -> None:
        list.__init__(self, queryset._prefetched())
        self._queryset = queryset

    @property
    def _label(self) -> str:  # type: ignore[override]
        return self._queryset._label

    def _prefetched(self) -> list[Model]:
        return self._queryset._prefetched()


def _wrapper(kind: type[Any]) -> Any:
    """What makes a manager of this class for an asynchronous one."""
    # A list and a manager have methods of the same names: the manager's count.
    loaded = type(f"{kind.__name__}OfLoadedRows", (kind, _SyncLoadedRows), {"__init__": _SyncLoadedRows.__init__})

    def wrap(manager: Any) -> Any:
        return (loaded if isinstance(manager, list) else kind)(manager)

    return wrap


wrappers[:0] = [
    (ManyToManyManager, _wrapper(SyncManyToManyManager)),
    (RelatedManager, _wrapper(SyncRelatedManager)),
]
