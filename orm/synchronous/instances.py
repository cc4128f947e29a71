"""`SyncInstance`: the methods of an instance without `await`, for type checkers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from orm.synchronous.bridge import inside
from orm.utils.blocking import run
from orm.writing.delete_preview import DeletePlan

if TYPE_CHECKING:
    from orm.models import Model

M = TypeVar("M", bound="Model")


class SyncInstance(Generic[M]):
    """An instance's methods that send queries: what an `orm.sync()` block gives of an instance, ``db(note).save()``.

    The methods and their arguments are those of `Model`.
    """

    __slots__ = ("instance",)

    def __init__(self, instance: M) -> None:
        self.instance = instance

    def __repr__(self) -> str:
        return f"<synchronous {self.instance!r}>"

    def save(
        self,
        *,
        update_fields: list[str] | tuple[str, ...] | None = None,
        force_insert: bool = False,
        force_update: bool = False,
        changed_only: bool = False,
    ) -> M:
        """See `Model.save()`."""
        save = inside(
            self.instance.save,
            update_fields=update_fields,
            force_insert=force_insert,
            force_update=force_update,
            changed_only=changed_only,
        )
        return run(save)

    def update(self, /, **values: Any) -> None:
        """See `Model.update()`."""
        run(inside(self.instance.update, **values))

    def full_clean(self, *, exclude: Collection[str] = (), validate_constraints: bool = True) -> None:
        """See `Model.full_clean()`."""
        run(inside(self.instance.full_clean, exclude=exclude, validate_constraints=validate_constraints))

    def validate(self, *, exclude: Collection[str] = (), validate_constraints: bool = True) -> None:
        """See `Model.validate()`."""
        run(inside(self.instance.validate, exclude=exclude, validate_constraints=validate_constraints))

    def delete(self, *, keep_parents: bool = False) -> int:
        """See `Model.delete()`."""
        return run(inside(self.instance.delete, **({"keep_parents": True} if keep_parents else {})))

    def collect_delete(self) -> DeletePlan:
        """See `Model.collect_delete()`."""
        return run(inside(self.instance.collect_delete))

    def load(self, fields: Iterable[str] | None = None) -> M:
        """See `Model.load()`."""
        return run(inside(self.instance.load, fields))
