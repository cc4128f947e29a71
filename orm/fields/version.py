"""The version of a row, for optimistic locking."""

from __future__ import annotations

from typing import Any, TypedDict

from typing_extensions import Unpack

from orm.exceptions import FieldError
from orm.fields.numbers import BigInteger
from orm.fields.options import ServerDefault


class VersionOptions(TypedDict, total=False):
    """Options of a version."""

    server_default: ServerDefault | None
    index: bool
    column: str | None
    comment: str | None
    title: str
    description: str


class Version(BigInteger[int]):
    """A counter of the row's updates: 1 when the row is created, incremented by each update.

    An instance that is saved, updated or deleted writes only the row that it was loaded from: if that has another
    version now, `orm.StaleObject` is raised. A model has at most one.

        class Page(orm.Model):
            text = orm.Text()
            version = orm.Version()
    """

    def __init__(self, **options: Unpack[VersionOptions]) -> None:
        unknown = sorted(set(options) - VersionOptions.__annotations__.keys())
        if unknown:
            raise FieldError(f"orm.Version has no option {unknown[0]!r}: the ORM counts, from 1.")
        settings: dict[str, Any] = {**options, "default": 1, "read_only": True}
        super().__init__(**settings)
