"""Functions of hstore (PostgreSQL): what ``data__keys``, ``data__values`` and ``data__breed`` are."""

from __future__ import annotations

from typing import Any

from orm.fields import Array, Field, Text
from orm.functions.base import TEXT, NamedFunc, Value

TEXTS: Field[Any] = Array(Text())


class HStoreKeys(NamedFunc[Any]):
    """The keys, as an array of texts."""

    sql_name = "hstore_keys"

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """An array field."""
        return TEXTS


class HStoreValues(HStoreKeys):
    """The values, as an array of texts."""

    sql_name = "hstore_values"


class HStoreItem(NamedFunc[str]):
    """The value under a key, or NULL."""

    sql_name = "hstore_item"

    def __init__(self, expression: Any, key: str) -> None:
        super().__init__(expression, Value(key))

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A text field."""
        return TEXT
