"""Hostile names of tables, columns, indexes and constraints are quoted, or refused by an error of ours."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm import functions
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio
NAMES = [
    *("a'b", 'a"b', "a`b", "a\\", "%s", "%(x)s", "a%", "a;b", "a--b", ":p0", "?", "$1", "a b", "é日", "{0}", "a.b"),
    *("select", "a\nb", "[a]", "a/*b*/", "x" * 60, "x" * 200, "a\0b", "\ud800", " ", "rowid", "ctid", "ORDER"),
]


def declare(database: Database, kind: str, name: str) -> Any:
    """A model in which one thing has this name."""
    meta: dict[str, Any] = {"tablename": "named"}
    text = orm.String(max_length=50, allow_null=True, column=name if kind == "column" else None)
    if kind == "table":
        meta["tablename"] = name
    elif kind == "index":
        meta["indexes"] = [orm.Index("text", name=name)]
    elif kind == "unique":
        meta["constraints"] = [orm.UniqueConstraint("text", name=name)]
    elif kind == "check":
        meta["constraints"] = [orm.CheckConstraint(orm.Q(number__gt=0), name=name)]
    body = {
        "registry": orm.ModelRegistry(database=database),
        "id": orm.Integer(primary_key=True),
        "text": text,
        "number": orm.Integer(default=1),
        "Meta": type("Meta", (), meta),
    }
    metaclass: Any = type(orm.Model)
    return metaclass("Named", (orm.Model,), body)


async def use(model: Any) -> None:
    """Write and read rows of the model in the ways that name its columns."""
    objects = model.objects
    first = await objects.create(text="a")
    await objects.bulk_create([{"text": "b"}, {"text": "c"}])
    assert await objects.filter(text="a").update(text=functions.Upper("text"), number=orm.F("number") + 1) == 1
    rows = await objects.order_by("text", "id")
    for row in rows:
        row.number += 1
    assert await objects.bulk_update(rows, ["number", "text"]) == 3
    groups = await objects.values("text", "number").annotate(n=orm.Count("id")).order_by("text")
    assert [(group["number"], group["n"]) for group in groups] == [(3, 1), (2, 1), (2, 1)]
    window = orm.Window(orm.RowNumber(), partition_by="text", order_by="number")
    assert len(await objects.annotate(row=window).filter(row=1)) == 3
    assert await objects.filter(text__in=["b"], number__gt=1).exclude(text="c").count() == 1
    page = await objects.order_by("text").page(size=2)
    assert len(await objects.order_by("text").page(size=2, after=page.next_cursor)) == 1
    await first.delete()
    assert await objects.filter(id__gt=0).delete() == 2


@pytest.mark.parametrize("kind", ["table", "column", "index", "unique", "check"])
async def test_hostile_names_in_tables_are_quoted_or_refused(database: Database, kind: str) -> None:
    worked = 0
    for name in NAMES:
        model = None
        try:
            model = declare(database, kind, name)
            await model.registry.create_all()
            await use(model)
            worked += 1
        except orm.Error as error:
            assert "syntax" not in str(error).lower(), (name, str(error))
        finally:
            if model is not None and "\0" not in name:
                try:
                    await model.registry.drop_all()
                except orm.Error as error:
                    assert "syntax" not in str(error).lower(), (name, str(error))
    assert worked > 20
