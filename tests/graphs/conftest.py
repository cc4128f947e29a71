"""Databases with the records of `tests/loading/world.py` in them."""

from tests.loading.conftest import any_world, world

__all__ = ["any_world", "world"]
