"""`models_at()`: revisions change rows with the models of then; snapshots say what is the application's."""

from __future__ import annotations

import enum
import json
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

import orm
from orm import migrations
from orm.migrations.folder import Folder
from orm.migrations.squashing import squash
from orm.migrations.states import merge
from tests.database.notes_table import fetch


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    migrations.init("nowhere:models", tmp_path / "migrations")
    (tmp_path / "migrations/env.py").write_text("from orm.migrations import run\n\nrun()\n")
    return tmp_path / "migrations"


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Colour(orm.Field[str], stored_as=orm.String(max_length=7)):
    """A field of the application's own, which is gone when the old revision runs."""

    exact_type = str

    def convert(self, value: Any) -> str:
        return str(value)


def first_models(database: orm.Database) -> orm.ModelRegistry:
    """Models of every kind that a snapshot has."""
    models = orm.ModelRegistry(database=database)

    class Named(orm.Model):
        name = orm.String(max_length=50)

        class Meta:
            abstract = True

    class Artist(Named):
        registry = models

        id = orm.Integer(primary_key=True)
        mood = orm.Enum(Mood, default=Mood.GOOD)
        ordering_key = orm.Decimal(max_digits=8, decimal_places=2, default=Decimal("1.50"), column="sort key")
        token = orm.UUID(default=uuid.uuid4)
        colour = Colour(default="red")
        extra = orm.JSON(default=dict)
        created = orm.DateTime(server_default=orm.functions.Now())
        plays = orm.Integer(default=3)
        doubled = orm.Generated(orm.F("plays") * 2, orm.Integer(), stored=True)

        class Meta:
            ordering = ["name"]

    class Tag(Named):
        registry = models

        id = orm.Integer(primary_key=True)
        artists = orm.ManyToMany(Artist, related_name="tags")

    class Album(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=50)
        artist = orm.ForeignKey(Artist, on_delete=orm.CASCADE, related_name="albums")

        class Meta:
            indexes = [orm.Index("title", name="by_title")]

    return models


def second_models(database: orm.Database) -> orm.ModelRegistry:
    """The same some years later."""
    models = orm.ModelRegistry(database=database)

    class Artist(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        shout = orm.String(max_length=50)
        ordering_key = orm.Decimal(max_digits=8, decimal_places=2, default=Decimal("1.50"), column="sort key")
        token = orm.UUID(default=uuid.uuid4)
        extra = orm.JSON(default=dict)
        created = orm.DateTime(server_default=orm.functions.Now())
        plays = orm.Integer(default=3)
        doubled = orm.Generated(orm.F("plays") * 2, orm.Integer(), stored=True)

    return models


UPGRADE = """
def upgrade() -> None:
    models = migrations.models_at({revision!r})

    async def fill() -> None:
        async for album in models.Album.objects.select_related("artist").order_by("id"):
            await album.update(title=f"{{album.title}} by {{album.artist.name}}")
        live = await models.Tag.objects.create(name="live")
        for artist in await models.Artist.objects.prefetch_related("albums"):
            artist.extra = {{"albums": [album.title for album in artist.albums]}}
            artist.mood = type(artist.mood).BAD
            await artist.save()
            await artist.tags.add(live)
        async with models.Artist.registry.database.transaction():
            await models.Artist.objects.bulk_create([{{"name": "New"}}])

    models.run(fill(), grade="B")
    {after}


def downgrade() -> None:
    models = migrations.models_at({revision!r})
    models.run(models.Artist.objects.filter(name="New").delete())
"""


async def data_revision(models: orm.ModelRegistry, directory: Path, follows: str, after: str = "pass") -> Path:
    """An empty revision that is filled in with a change of rows."""
    made = await migrations.make(models, "data", empty=True, directory=directory)
    assert made is not None and made.path is not None
    text = made.path.read_text()
    text = text[: text.index("def upgrade")].replace(
        "from alembic import op", "from alembic import op\nfrom orm import migrations"
    )
    made.path.write_text(text + UPGRADE.format(revision=follows, after=after))
    return made.path


async def prepared(url: str, directory: Path) -> tuple[orm.Database, str]:
    """A database with the first models, a few rows, and the revision that made them."""
    database = orm.Database(url)
    models = first_models(database)
    made = await migrations.make(models, directory=directory)
    assert made is not None
    await migrations.upgrade(models, directory=directory)
    artist = await models.models["Artist"].objects.create(name="Paak")
    await models.models["Album"].objects.create(title="Malibu", artist=artist)
    return database, made.revision


async def test_revision_changes_rows_with_the_models_of_then(database_url: str, directory: Path) -> None:
    database, first = await prepared(database_url, directory)
    models = first_models(database)
    await data_revision(models, directory, first)
    [row] = await migrations.plan(models, directory=directory)
    assert (str(row.grade), "fill()" in row.description) == ("B", True)
    await migrations.upgrade(models, directory=directory)
    Artist, Album = models.models["Artist"], models.models["Album"]
    assert await Album.objects.values_list("title", flat=True) == ["Malibu by Paak"]
    new, paak = await Artist.objects.all()
    assert (paak.extra, paak.mood, [tag.name for tag in await paak.tags.all()]) == (
        {"albums": ["Malibu by Paak"]},
        Mood.BAD,
        ["live"],
    )
    assert (new.name, new.mood, new.ordering_key, new.colour, new.doubled) == (
        "New",
        Mood.GOOD,
        Decimal("1.50"),
        "red",
        6,
    )
    await migrations.downgrade(models, directory=directory)
    assert await Artist.objects.filter(name="New").count() == 0
    await database.disconnect()


async def test_failure_after_the_change_of_rows_undoes_it(database_url: str, directory: Path) -> None:
    database, first = await prepared(database_url, directory)
    models = first_models(database)
    await data_revision(models, directory, first, after='raise ValueError("no")')
    with pytest.raises(orm.MigrationError, match="no"):
        await migrations.upgrade(models, directory=directory)
    assert await models.models["Album"].objects.values_list("title", flat=True) == ["Malibu"]
    assert await models.models["Artist"].objects.count() == 1
    await database.disconnect()


class AllNew(migrations.Answers):
    """Nothing was renamed, and a required column gets a text."""

    def renamed_table(self, old: str, table: Any) -> bool:
        return False

    def renamed_column(self, table: Any, old: str, new: Any) -> bool:
        return False

    def one_off(self, table: Any, column: Any, field: Any) -> Any:
        return "!"


async def test_old_revision_runs_after_its_models_are_gone(
    database_url: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, first = await prepared(database_url, directory)
    await data_revision(first_models(database), directory, first)
    await migrations.upgrade(first_models(database), directory=directory)
    later = second_models(database)
    made = await migrations.make(later, directory=directory, answers=AllNew())
    assert made is not None
    await migrations.upgrade(later, directory=directory)
    monkeypatch.delattr(sys.modules[__name__], "Colour")
    await migrations.downgrade(later, "base", directory=directory)
    assert await migrations.upgrade(later, directory=directory) != []
    assert await migrations.make(later, directory=directory) is None
    assert await later.models["Artist"].objects.count() == 1  # the row of the revision itself
    await database.disconnect()


async def test_plain_alembic_runs_it_and_sql_refuses(sqlite_url: str, directory: Path) -> None:
    database, first = await prepared(sqlite_url, directory)
    models = first_models(database)
    await data_revision(models, directory, first)
    with pytest.raises(orm.MigrationError, match="cannot be written as SQL"):
        await migrations.sql(models, directory=directory)
    (directory / "env.py").write_text(
        f"import orm\nfrom orm.migrations import run\n\nrun(orm.ModelRegistry(database=orm.Database({sqlite_url!r})))\n"
    )
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    done = await anyio.run_process(command, cwd=directory.parent, check=False)
    assert done.returncode == 0, done.stderr
    assert await fetch(database, "SELECT title FROM album") == [("Malibu by Paak",)]
    await database.disconnect()


async def test_unknown_revision_model_and_folder_without_snapshots_are_said(sqlite_url: str, directory: Path) -> None:
    database, first = await prepared(sqlite_url, directory)
    models = first_models(database)
    path = await data_revision(models, directory, "0123456789ab")
    with pytest.raises(orm.MigrationError, match="0123456789ab"):
        await migrations.upgrade(models, directory=directory)
    path.write_text(path.read_text().replace("0123456789ab", first).replace("models.Tag", "models.Tags"))
    with pytest.raises(orm.MigrationError, match=r"there was no model 'Tags' .* Artist"):
        await migrations.upgrade(models, directory=directory)
    for state in (directory / "versions").glob("*.state.json"):
        state.write_text(json.dumps({"format": 99}))
    with pytest.raises(orm.MigrationError, match="format 99"):
        await migrations.upgrade(models, directory=directory)
    for state in (directory / "versions").glob("*.state.json"):
        state.unlink()
    with pytest.raises(orm.MigrationError, match="no snapshot of the models was written"):
        await migrations.upgrade(models, directory=directory)
    await database.disconnect()


OWN_SQL = [
    "CREATE VIEW totals AS SELECT count(*) AS n FROM album",
    "CREATE TABLE helper (id INTEGER NOT NULL PRIMARY KEY)",
    "CREATE INDEX by_hand ON album (artist)",
]


@pytest.mark.parametrize("has_snapshots", [True, False])
async def test_what_revisions_make_by_their_own_sql_stays(
    database_url: str, directory: Path, has_snapshots: bool
) -> None:
    database, _ = await prepared(database_url, directory)
    models = first_models(database)
    made = await migrations.make(models, "own", empty=True, directory=directory)
    assert made is not None and made.path is not None
    lines = "\n    ".join(f"op.execute({sql!r})" for sql in OWN_SQL)
    made.path.write_text(made.path.read_text().replace("    pass", f"    {lines}", 1))
    await migrations.upgrade(models, directory=directory)
    if not has_snapshots:
        for state in (directory / "versions").glob("*.state.json"):
            state.unlink()
    assert await migrations.make(models, directory=directory) is None
    # What the models have declared is dropped when they do not declare it any more.
    models.models["Album"]._meta.table.indexes.clear()
    dropped = await migrations.make(models, directory=directory, write=False)
    assert dropped is not None and "drop index by_title on album" in dropped.operations
    assert not any("by_hand" in line or "helper" in line or "totals" in line for line in dropped.operations)
    await database.disconnect()


async def test_merged_and_squashed_revisions_have_models(sqlite_url: str, directory: Path) -> None:
    one = {"format": 1, "models": {"A": {"fields": {"id": 1}}, "B": {"fields": {"id": 1}}}, "names": []}
    added = {"format": 1, "models": {"A": {"fields": {"id": 1, "n": 2}}, "B": {"fields": {"id": 1}}}, "names": []}
    removed = {"format": 1, "models": {"A": {"fields": {"id": 1}}}, "names": []}
    assert merge(added, removed, one)["models"] == {"A": {"fields": {"id": 1, "n": 2}}}
    assert merge(removed, added, one)["models"] == {"A": {"fields": {"id": 1, "n": 2}}}
    assert merge(one, one, one) == one
    database, first = await prepared(sqlite_url, directory)
    models = first_models(database)
    await data_revision(models, directory, first)
    await migrations.upgrade(models, directory=directory)
    squash(Folder(directory))
    assert await migrations.upgrade(models, directory=directory) == []
    await migrations.downgrade(models, "base", directory=directory)
    await migrations.upgrade(models, directory=directory)
    assert await models.models["Artist"].objects.values_list("name", flat=True) == ["New"]
    await database.disconnect()
