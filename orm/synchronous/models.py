"""`SyncModel`: a model whose types are those of `orm.sync()`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from orm.models import Model
from orm.synchronous.graph import SyncRawQuerySet
from orm.synchronous.querysets import SyncQuerySet
from orm.writing.delete_preview import DeletePlan

if TYPE_CHECKING:
    from typing_extensions import Self

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:

    class _Objects:
        def __get__(self, instance: Model | None, owner: type[M]) -> SyncQuerySet[M, M]: ...


class SyncModel(Model):
    """A model of a program without an event loop, for type checkers: ``note.save()`` returns a note, not a coroutine.

        class Note(orm.SyncModel):
            registry = models

            id = orm.Integer(primary_key=True)
            text = orm.String(max_length=100)

        orm.sync(models).start()
        notes = Note.objects.filter(text="call mum").all()  # list[Note]

    It is a `Model` in every other way; outside of `orm.sync()` it is asynchronous.
    """

    class Meta:
        abstract = True

    if TYPE_CHECKING:
        objects = _Objects()  # type: ignore[assignment]

        def save(  # type: ignore[override]
            self,
            *,
            update_fields: list[str] | tuple[str, ...] | None = None,
            force_insert: bool = False,
            force_update: bool = False,
            changed_only: bool = False,
        ) -> Self: ...
        def update(self, /, **values: Any) -> None: ...  # type: ignore[override]
        def full_clean(  # type: ignore[override]
            self, *, exclude: Collection[str] = (), validate_constraints: bool = True
        ) -> None: ...
        def validate(  # type: ignore[override]
            self, *, exclude: Collection[str] = (), validate_constraints: bool = True
        ) -> None: ...
        def delete(self, *, keep_parents: bool = ...) -> int: ...  # type: ignore[override]
        def collect_delete(self) -> DeletePlan: ...  # type: ignore[override]
        def load(self, fields: Iterable[str] | None = None) -> Self: ...  # type: ignore[override]
        @classmethod
        def raw(  # type: ignore[override]
            cls, sql: str, values: Mapping[str, Any] | None = None
        ) -> SyncRawQuerySet[Self]: ...
