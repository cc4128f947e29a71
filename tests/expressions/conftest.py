"""The databases of the queryset tests."""

from tests.queryset.conftest import any_shop, any_tables, any_world, empty_shop, shop, tables, world

__all__ = ["any_shop", "any_tables", "any_world", "empty_shop", "shop", "tables", "world"]
