"""The databases of the queryset and function tests."""

from tests.functions.conftest import things
from tests.queryset.conftest import any_tables, any_world, tables, world

__all__ = ["any_tables", "any_world", "tables", "things", "world"]
