"""Lookups of hstore (``data__has_key="a"``), on PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.operators import ListOf
from orm.database.types import column_types
from orm.fields import Field
from orm.functions.hstore import HStoreKeys, HStoreValues
from orm.lookups import transforms
from orm.lookups.base import Bind, register
from orm.lookups.function_lookups import FunctionLookup, KeyLookup, KeysLookup

transforms.register("keys", "hstore")(HStoreKeys)
transforms.register("values", "hstore")(HStoreValues)


class HStoreLookup(FunctionLookup):
    """Base class of lookups that compare with another hstore."""

    families = frozenset({"hstore"})


@register
class HStoreContains(HStoreLookup):
    """It has all of these keys with these values."""

    name = "contains"
    sql_name = "hstore_contains"


@register
class HStoreContainedBy(HStoreLookup):
    """All of its keys are among these, with these values."""

    name = "contained_by"
    sql_name = "hstore_contained_by"


@register
class HStoreHasKeys(KeysLookup):
    """It has all of these keys."""

    name = "has_keys"
    families = frozenset({"hstore"})
    sql_name = "hstore_has_keys"

    def operand(self, field: Field[Any], variant: Any, bind: Bind) -> ColumnElement[Any]:
        """Bind the keys."""
        return bind(ListOf(column_types.Text()))


@register
class HStoreHasAnyKeys(HStoreHasKeys):
    """It has at least one of these keys."""

    name = "has_any_keys"
    sql_name = "hstore_has_any_keys"


@register
class HStoreHasKey(KeyLookup, HStoreHasKeys):
    """It has this key."""

    name = "has_key"
