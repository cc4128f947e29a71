"""Faults of `orm` that are known and not mended yet. Nothing else may be here."""

from __future__ import annotations

from tests.django_suite.declared import Declared

OPEN_FAULTS: tuple[Declared, ...] = ()
