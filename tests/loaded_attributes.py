"""Whether an attribute of an instance is loaded."""

from __future__ import annotations

from typing import Any

import orm


def is_loaded(instance: Any, name: str) -> bool:
    """Whether reading the attribute gives a value, rather than `orm.NotLoaded`."""
    try:
        getattr(instance, name)
    except orm.NotLoaded:
        return False
    return True
