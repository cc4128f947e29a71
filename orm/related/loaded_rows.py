"""`LoadedRows`: makes the manager of loaded rows a list too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from orm.exceptions import QueryError

if TYPE_CHECKING:
    from orm.models import Model


class LoadedRows(list[Any]):
    """A base class of managers whose rows are loaded. The manager is a list of them, for libraries that read a list
    without calling the manager's methods: msgspec, orjson, `json`.

    Changing the list in place would not change the database, so it raises `QueryError`.
    """

    _label: str

    def _prefetched(self) -> list[Model]:
        raise NotImplementedError

    def __contains__(self, row: object) -> bool:
        return row in self._prefetched()

    def __reversed__(self) -> Iterator[Any]:
        return reversed(tuple(self._prefetched()))

    def _refuse_change(self, *args: Any, **options: Any) -> NoReturn:
        raise QueryError(
            f"The loaded rows of {self._label} cannot be changed in place: `await` its add(), remove() or set(), which "
            "change the database, or change a copy, list(...)."
        )

    append = extend = insert = pop = sort = _refuse_change
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse_change
