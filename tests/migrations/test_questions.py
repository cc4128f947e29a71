"""Renames and required columns: asked, answered beforehand, or refused; never guessed."""

from __future__ import annotations

import datetime
import enum
import re
from pathlib import Path
from typing import Any

import pytest

import orm
from orm import migrations
from orm.migrations.making import make_revision
from orm.migrations.questions import OptionError, Questions
from tests.migrations.hand_written import set_up


def track(url: str, name: str, *, model: str = "Track", required: bool = False) -> orm.ModelRegistry:
    """A registry with one model that has one integer field of this name."""
    models = orm.ModelRegistry(database=orm.Database(url))
    body: dict[str, object] = {
        "registry": models,
        "__module__": __name__,
        "id": orm.Integer(primary_key=True),
        "title": orm.String(max_length=50),
        name: orm.Integer(allow_null=True, index=True),
    }
    if required:
        body["rating"] = orm.Integer()
    type(orm.Model)(model, (orm.Model,), body)
    return models


@pytest.fixture
async def directory(database_url: str, tmp_path: Path) -> Path:
    """A folder whose first revision has run, on a database with a row."""
    directory = set_up(tmp_path / "migrations")
    models = track(database_url, "position")
    await migrations.make(models, directory=directory)
    await migrations.upgrade(models, directory=directory)
    async with models.database:
        await models.models["Track"].objects.create(id=1, title="So What", position=7)  # type: ignore[attr-defined]
    return directory


async def test_renamed_field_keeps_its_values_and_is_undone(database_url: str, directory: Path) -> None:
    models = track(database_url, "index")
    made = await migrations.make(models, directory=directory, renames=["Track.position=index"])
    assert made is not None and any("index" in line and "position" in line for line in made.operations)
    await migrations.upgrade(models, directory=directory)
    async with models.database as database:
        assert await database.fetch_val("SELECT title FROM track") == "So What"
        row = await models.models["Track"].objects.get(id=1)  # type: ignore[attr-defined]
        assert row.index == 7
    assert await migrations.make(models, directory=directory) is None
    await migrations.downgrade(models, directory=directory)
    before = track(database_url, "position")
    async with before.database:
        assert (await before.models["Track"].objects.get(id=1)).position == 7  # type: ignore[attr-defined]


async def test_unanswered_rename_stops_with_the_options_that_answer_it(database_url: str, directory: Path) -> None:
    with pytest.raises(orm.UnansweredQuestion, match=r"Rename Track\.position to Track\.index\?") as caught:
        await migrations.make(track(database_url, "index"), directory=directory)
    assert caught.value.options == ["--rename Track.position=index", "--drop Track.position"]
    made = await migrations.make(track(database_url, "index"), directory=directory, drops=["Track.position"])
    assert made is not None and "drop column track.position" in made.operations


async def test_answers_of_a_person(database_url: str, directory: Path) -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question.split("?")[0])
        return "5" if "required" in question else "y" if "Track.index" in question else ""

    models = track(database_url, "index", required=True)
    runner = migrations.Migrations(models, directory)
    await make_revision(runner, answers=Questions(runner.registries, ask=ask))
    assert {"Rename Track.position to Track.index", "Track.rating is required: which value do existing rows get"} <= {
        *asked
    }
    await migrations.upgrade(models, directory=directory)
    async with models.database:
        row = await models.models["Track"].objects.get(id=1)  # type: ignore[attr-defined]
        assert (row.index, row.rating) == (7, 5)


async def test_required_field_takes_a_one_off_value(database_url: str, directory: Path) -> None:
    models = track(database_url, "position", required=True)
    with pytest.raises(orm.UnansweredQuestion, match=r"Track\.rating is required") as caught:
        await migrations.make(models, directory=directory)
    assert caught.value.options[0] == "--one-off Track.rating=VALUE"
    await migrations.make(models, directory=directory, one_offs=["Track.rating=5"])
    await migrations.upgrade(models, directory=directory)
    async with models.database:
        assert (await models.models["Track"].objects.get(id=1)).rating == 5  # type: ignore[attr-defined]
    assert await migrations.make(models, directory=directory) is None


async def test_renamed_model_keeps_its_rows(database_url: str, directory: Path) -> None:
    models = track(database_url, "position", model="Song")
    with pytest.raises(orm.UnansweredQuestion, match=r"Rename the table track to song \(Song\)\?") as caught:
        await migrations.make(models, directory=directory)
    assert caught.value.options == ["--rename track=Song", "--drop track"]
    await migrations.make(models, directory=directory, renames=["track=Song"])
    await migrations.upgrade(models, directory=directory)
    async with models.database:
        assert (await models.models["Song"].objects.get(id=1)).position == 7  # type: ignore[attr-defined]


def test_options_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(orm.MigrationError, match=r"--rename is NAME=VALUE"):
        Questions([], renames=["Track.position"])
    assert Questions([], renames=["A.b=c"], one_offs=["A.d=1"]).unused() == ["A.b", "A.d"]


async def test_options_that_name_nothing_are_refused_and_write_no_file(database_url: str, directory: Path) -> None:
    models = track(database_url, "index", required=True)
    good = {"renames": ["Track.position=index"]}
    dropped = {"drops": ["Track.position"], "one_offs": ["Track.index=0", "Track.rating=0"]}
    for options, message in (
        ({"renames": ["Track.position=indx"]}, "Track has no 'indx'; did you mean 'index'?"),
        ({"renames": ["Track.positon=index"]}, "the database's table of Track has no 'positon'; did you mean 'pos"),
        ({"renames": ["Trak.position=index"]}, "there is no 'Trak'; did you mean 'Track'?"),
        ({"renames": [*good["renames"], "tracks=Track"]}, "there is no 'tracks'; did you mean 'track'?"),
        ({"renames": [*good["renames"], "track=Memo"]}, "there is no 'Memo'; there are Track, track"),
        ({"drops": ["Track.positio"]}, "the database's table of Track has no 'positio'; did you mean 'position'?"),
        ({"drops": ["Nothing"]}, "there is no 'Nothing'; there are "),
        ({**good, "one_offs": ["Track.ratng=5"]}, "Track has no 'ratng'; did you mean 'rating'?"),
        ({**dropped, "renames": ["Track.mood.sad=blue"]}, "Track has no 'mood'"),
        ({**dropped, "renames": ["Track.title=index"]}, "Track.title stays as it is"),
        ({**dropped, "drops": [*dropped["drops"], "Track.id"]}, "Track.id stays as it is"),
    ):
        with pytest.raises(OptionError, match=re.escape(message)):
            await migrations.make(models, directory=directory, **options)  # type: ignore[arg-type]
    assert len([*(directory / "versions").glob("*.py")]) == 1
    made = await migrations.make(models, directory=directory, **dropped)  # type: ignore[arg-type]
    assert made is not None


async def test_drop_that_nobody_would_ask_for_is_accepted(database_url: str, directory: Path) -> None:
    models = orm.ModelRegistry(database=orm.Database(database_url))
    made = await migrations.make(models, directory=directory, drops=["Track"])
    assert made is not None and made.operations == ["drop table track"]


async def test_answers_of_env_come_after_the_options_and_before_a_person(database_url: str, directory: Path) -> None:
    (directory / "env.py").write_text(
        "from orm.migrations import Answers, run\n\n\nclass Known(Answers):\n"
        "    def renamed_column(self, table, old, new):\n        return (old, new.name) == ('position', 'index')\n\n"
        "    def one_off(self, table, column, field):\n        return 5\n\n\nrun(answers=Known())\n"
    )
    models = track(database_url, "index", required=True)
    made = await migrations.make(models, directory=directory, one_offs=["Track.rating=6"])
    assert made is not None and not any("drop column" in line for line in made.operations)
    await migrations.upgrade(models, directory=directory)
    async with models.database:
        row = await models.models["Track"].objects.get(id=1)  # type: ignore[attr-defined]
        assert (row.index, row.rating) == (7, 6)


def moment(url: str, field: Any) -> orm.ModelRegistry:
    models = orm.ModelRegistry(database=orm.Database(url))
    body = {"registry": models, "__module__": __name__, "id": orm.Integer(primary_key=True), "value": field}
    type(orm.Model)("Event", (orm.Model,), body)
    return models


@pytest.mark.parametrize("kind", ["day", "number", "json", "text"])
async def test_values_that_a_new_type_would_lose_are_counted(database_url: str, tmp_path: Path, kind: str) -> None:
    directory = set_up(tmp_path / "migrations")
    at = datetime.datetime(2020, 1, 2)
    old, new, fits, unfit = {
        "day": (orm.DateTime, orm.Date, at, at.replace(hour=3)),
        "number": (orm.Float, orm.Integer, 2.0, 1.5),
        "json": (lambda **options: orm.String(max_length=20, **options), orm.JSON, "[1]", "xx"),
        "text": (lambda **options: orm.String(max_length=20, **options), orm.Date, "2020-01-02", "xx"),
    }[kind]
    if kind in ("json", "text") and "sqlite" not in database_url:
        fits = unfit  # these servers refuse it themselves
    before = moment(database_url, old(allow_null=True))
    await migrations.make(before, directory=directory)
    await migrations.upgrade(before, directory=directory)
    async with before.database:
        for value in (fits, unfit, None):
            await before.models["Event"].objects.create(value=value)  # type: ignore[attr-defined]
    after = moment(database_url, new(allow_null=True))
    with pytest.raises(orm.MigrationError, match=r"1 row has a value|failed"):
        await migrations.make(after, directory=directory)
        await migrations.upgrade(after, directory=directory)
    async with before.database:
        await before.models["Event"].objects.filter(value=unfit).delete()  # type: ignore[attr-defined]


def kinds(url: str, members: dict[str, str]) -> orm.ModelRegistry:
    """A registry with one model that has an enum of these members."""
    models = orm.ModelRegistry(database=orm.Database(url))
    mood = enum.Enum("Mood", members)
    body = {"registry": models, "__module__": __name__, "id": orm.Integer(primary_key=True), "mood": orm.Enum(mood)}
    type(orm.Model)("Note", (orm.Model,), body)
    return models


async def test_renamed_member_of_an_enum_rewrites_the_rows(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = kinds(database_url, {"good": "g", "bad": "b"})
    await migrations.make(models, directory=directory)
    await migrations.upgrade(models, directory=directory)
    async with models.database as database:
        await database.execute("INSERT INTO note (id, mood) VALUES (1, 'bad')")
    models = kinds(database_url, {"good": "g", "poor": "b"})
    with pytest.raises(orm.UnansweredQuestion, match=r"Rows have 'bad' in Note\.mood") as caught:
        await migrations.make(models, directory=directory)
    assert caught.value.options[0] == "--rename Note.mood.bad=MEMBER, one of good, poor"
    await migrations.make(models, directory=directory, renames=["Note.mood.bad=poor"])
    await migrations.upgrade(models, directory=directory)
    async with models.database as database:
        assert await database.fetch_val("SELECT mood FROM note") == "poor"
