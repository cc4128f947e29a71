"""What type checkers infer of hooks, of `clean()` and of generated fields. Checked by mypy and pyright, not run."""

from __future__ import annotations

import uuid
from typing import Any

from typing_extensions import assert_type

import orm

models = orm.ModelRegistry()


def even(value: int) -> None:
    if value % 2:
        raise orm.ValidationError(text="Must be even.", code="even")


class Line(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    count = orm.Integer(validators=[even], server_default=orm.Value(2))
    total = orm.Generated(orm.F("count") * 2, orm.Integer())

    async def before_save(self, *, created: bool, update_fields: frozenset[str] | None) -> None:
        await super().before_save(created=created, update_fields=update_fields)

    def after_save(self, *, created: bool, update_fields: frozenset[str] | None) -> None:
        super().after_save(created=created, update_fields=update_fields)

    async def clean(self) -> None:
        await super().clean()


@orm.receiver(orm.post_save, sender=Line, after_commit=True)
async def remember(sender: type[Line], instance: Line, created: bool, **details: Any) -> None:
    assert_type(instance.count, int)


@orm.receiver([orm.pre_delete, orm.post_delete])
def forget(**details: Any) -> None: ...


async def use(line: Line) -> None:
    assert_type(line.total, int)
    assert_type(orm.uuid7(), uuid.UUID)
    assert_type(await line.full_clean(), None)
    assert_type(await Line.objects.full_clean([line, {"count": 2}]), list[Line])
    await remember(Line, line, True)
