"""The world of the queryset tests, for planning's tests too."""

from tests.queryset.conftest import any_tables, any_world, tables, world

__all__ = ["any_tables", "any_world", "tables", "world"]
