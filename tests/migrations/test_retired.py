"""A field's last two revisions: retired, so that nothing needs its column, and dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orm
from orm import migrations
from orm.database.connections.database import Database
from tests.migrations.hand_written import set_up


def registry(url: str, pages: Any) -> orm.ModelRegistry:
    """A registry with one model that has this field, or goes without it."""
    models = orm.ModelRegistry(database=orm.Database(url))
    body: dict[str, Any] = {
        "registry": models,
        "__module__": __name__,
        "id": orm.Integer(primary_key=True),
        "title": orm.String(max_length=50),
    }
    if pages is not None:
        body["pages"] = pages
    type(orm.Model)("Book", (orm.Model,), body)
    return models


async def step(url: str, directory: Path, pages: Any) -> list[str]:
    """Make a revision of the model with this field, and run it. Returns its operations."""
    models = registry(url, pages)
    made = await migrations.make(models, directory=directory)
    assert made is not None
    await migrations.upgrade(models, directory=directory)
    assert await migrations.make(models, directory=directory) is None
    return made.operations


async def test_required_field_is_retired_then_dropped(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    async with Database(database_url) as database:
        await step(database_url, directory, orm.Integer(index=True))
        await database.execute("INSERT INTO book (title, pages) VALUES ('Emma', 400)")
        operations = await step(database_url, directory, orm.Integer(index=True, retired=True))
        assert operations == ["alter column book.pages: NULL"]
        await database.execute("INSERT INTO book (title, pages) VALUES ('old code', 100)")
        await database.execute("INSERT INTO book (title) VALUES ('new code')")
        rows = await database.fetch_all("SELECT pages FROM book ORDER BY id")
        assert [row[0] for row in rows] == [400, 100, None]
        operations = await step(database_url, directory, None)
        assert "drop column book.pages" in operations


async def test_retired_field_with_a_server_default_needs_no_revision(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    await step(database_url, directory, orm.Integer(server_default="7"))
    models = registry(database_url, orm.Integer(server_default="7", retired=True))
    assert await migrations.make(models, directory=directory) is None
    async with models.database as database:
        await models.models["Book"].objects.create(title="Emma")  # type: ignore[attr-defined]
        assert await database.fetch_val("SELECT pages FROM book") == 7
