"""The garbage collector waits while many objects are made, and only then."""

from __future__ import annotations

import gc

import pytest

from orm.garbage import FEW, paused, undisturbed


def test_it_waits_while_many_are_made() -> None:
    assert gc.isenabled()
    assert undisturbed(lambda items: (len(items), gc.isenabled()), [None] * FEW) == (FEW, False)
    assert gc.isenabled()
    assert undisturbed(lambda items, more: (more, gc.isenabled()), [None], "more") == ("more", True)


def test_an_error_lets_it_go_on() -> None:
    with pytest.raises(ZeroDivisionError):
        undisturbed(lambda items: 1 // 0, [None] * FEW)
    assert gc.isenabled()


def test_who_turned_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with paused(FEW):
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
