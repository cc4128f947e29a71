"""Transforms: what a filter makes of a field before it compares it, and `register()` for one's own."""

from orm.lookups.transforms import register

__all__ = ["register"]
