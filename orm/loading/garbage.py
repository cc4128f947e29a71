"""Keeps the garbage collector from looking through rows while they are being made."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
Items = TypeVar("Items", bound=Sized)

FEW = 500


@contextmanager
def paused(count: int) -> Iterator[None]:
    """Make so many rows into instances without the cyclic garbage collector running in between.

    It would run every 700 new objects and find no garbage among them, which takes several times as long as making them.
    Nothing may be awaited inside. Few rows are not worth it.
    """
    if count < FEW or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            # They are here to stay: moved to the old objects at once, they need not be looked through on the way.
            gc.freeze()
            gc.unfreeze()
        gc.enable()


def undisturbed(function: Callable[..., T], items: Items, *args: Any) -> T:
    """What a function makes of many items, called with the collector paused."""
    if len(items) < FEW:
        return function(items, *args)
    with paused(len(items)):
        return function(items, *args)
