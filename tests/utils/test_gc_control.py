"""The garbage collector is paused while many objects are created, and only then."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest

import orm
from orm.database.connections.database import Database
from orm.utils.gc_control import MIN_GROWTH_BLOCKS, MIN_OBJECTS, call_with_gc_paused, collect_if_grown, gc_paused

models = orm.ModelRegistry()


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)


def test_collector_is_paused_for_many_objects_only() -> None:
    assert gc.isenabled()
    assert call_with_gc_paused(lambda items: (len(items), gc.isenabled()), [None] * MIN_OBJECTS) == (MIN_OBJECTS, False)
    assert gc.isenabled()
    assert call_with_gc_paused(lambda items, more: (more, gc.isenabled()), [None], "more") == ("more", True)


def test_collector_is_enabled_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        call_with_gc_paused(lambda items: 1 // 0, [None] * MIN_OBJECTS)
    assert gc.isenabled()


def test_collector_that_was_disabled_stays_disabled() -> None:
    gc.disable()
    try:
        with gc_paused(MIN_OBJECTS):
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


class Node:
    """References itself, so that only the collector frees it."""

    def __init__(self, size: int) -> None:
        self.itself = self
        self.load = [object() for _ in range(size)]


def fifth_of_growth() -> int:
    """A fifth of how many blocks of memory are worth a full collection."""
    return max(MIN_GROWTH_BLOCKS, sys.getallocatedblocks() // 4) // 5


def test_garbage_among_promoted_objects_is_collected() -> None:
    """Each of many loads resets the collector's counts."""
    collect_if_grown()
    nodes: weakref.WeakSet[Node] = weakref.WeakSet()
    size = fifth_of_growth()
    for _ in range(20):
        nodes.add(Node(size))
        call_with_gc_paused(len, [None] * MIN_OBJECTS)
        collect_if_grown()
    assert len(nodes) < 15


@pytest.mark.anyio
async def test_repeated_large_loads_do_not_grow_memory() -> None:
    async with Database("sqlite://") as models.database:
        await models.create_all()
        await Album.objects.bulk_create([Album(name=f"album {n}") for n in range(MIN_OBJECTS)])
        collect_if_grown()
        nodes: weakref.WeakSet[Node] = weakref.WeakSet()
        size = fifth_of_growth()
        for _ in range(20):
            nodes.add(Node(size))
            assert len(await Album.objects.all()) == MIN_OBJECTS
        assert len(nodes) < 15
