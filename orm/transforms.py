"""Transforms: functions in names, such as the `year` of ``created__year``, and `register()` to add one."""

from orm.lookups.transforms import register

__all__ = ["register"]
