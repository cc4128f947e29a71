"""`orm dumpdata`, `orm loaddata` and `orm shell`."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import uuid
from pathlib import Path

import pytest

import orm
from orm.cli import fixtures
from tests.cli.command import Application


class Mood(enum.Enum):
    good = "g"
    bad = "b"


def library(url: str) -> orm.ModelRegistry:
    models = orm.ModelRegistry(database=orm.Database(url))

    class Tag(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=50)

    class Book(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=50, column="the title")
        sequel_of = orm.ForeignKey("Book", allow_null=True)
        price = orm.Decimal(max_digits=10, decimal_places=2, allow_null=True)
        day = orm.Date(allow_null=True)
        at = orm.DateTime(timezone=True, auto_now=True)
        took = orm.Duration(allow_null=True)
        mood = orm.Enum(Mood, default=Mood.good)
        data = orm.JSON(default=dict)
        scan = orm.Binary(allow_null=True)
        key = orm.UUID(allow_null=True)
        tags = orm.ManyToMany(Tag, related_name="books")

    return models


async def test_rows_of_every_type_come_back_as_they_were(database_url: str) -> None:
    models = library(database_url)
    Book, Tag = models.models["Book"], models.models["Tag"]
    async with models.database:
        await models.create_all()
        second = Book(
            id=9,
            title="II — «ß»",
            price=decimal.Decimal("1.50"),
            day=datetime.date(2024, 2, 29),
            took=datetime.timedelta(days=2, microseconds=5),
            mood=Mood.bad,
            data={"a": [1, None]},
            scan=b"\x00\xff",
            key=uuid.uuid4(),
        )
        await second.save()
        first = await Book.objects.create(id=3, title="base64:SQ==")
        await second.update(sequel_of=first)
        await first.update(sequel_of=None)
        third = await Book.objects.create(id=1, title="text:base64:", sequel_of=second)
        tag = await Tag.objects.create(name="new")
        await second.tags.add(tag)
        before = await Book.objects.order_by("id").values()
        lines = [line async for line in fixtures.dump([models], ())]
        assert [json.loads(line)["table"] for line in lines] == ["book"] * 3 + ["tag", "book_tags"] or len(lines) == 5
        assert third.sequel_of == second
        await models.drop_all()
        await models.create_all()
        assert await fixtures.load([models], lines) == 5
        assert await Book.objects.order_by("id").values() == before
        assert await (await Book.objects.get(id=9)).tags == [tag]
        new = await Book.objects.create(title="new")  # the database's numbers follow those of the rows
        assert new.id not in (1, 3, 9)
        with pytest.raises(orm.UniqueViolation):
            await fixtures.load([models], lines)
        assert await Tag.objects.count() == 1


async def test_lines_that_are_no_rows_are_named(sqlite_url: str) -> None:
    models = library(sqlite_url)
    for line, message in {
        "nonsense": "line 1 cannot be read",
        '{"table": "other", "values": {}}': "no table of the models is called 'other'",
        '{"table": "tag", "values": {"colour": 1}}': "the table tag has no column 'colour'",
        '{"table": "tag", "values": {"id": "x"}}': "line 1 cannot be read",
    }.items():
        with pytest.raises(fixtures.FixtureError, match=message):
            await fixtures.load([models], [line])
    with pytest.raises(fixtures.FixtureError, match="no model or table 'Nothing'"):
        [line async for line in fixtures.dump([models], ["Nothing"])]


def test_commands_write_read_and_run_code(sqlite_application: Application, tmp_path: Path) -> None:
    application = sqlite_application
    application.orm("init")
    application.orm("makemigrations")
    application.orm("migrate")
    shell = application.orm("shell", "-c", "note = await Note.objects.create(title='x'); print(note.id, Q, models)")
    assert shell.out.startswith("1 <class") and "INSERT INTO note" in shell.err
    assert "INSERT" not in application.orm("shell", "--no-sql", "-c", "print(await Note.objects.count())").err
    application.orm("dumpdata", "Note", "-o", str(tmp_path / "notes.jsonl"))
    assert "UNIQUE constraint failed" in application.orm("loaddata", str(tmp_path / "notes.jsonl"), code=4).err
    application.orm("shell", "-c", "await Note.objects.all().delete()")
    assert application.orm("loaddata", str(tmp_path / "notes.jsonl")).out == "loaded 1 row\n"
    assert '"title": "x"' in application.orm("dumpdata").out
    (tmp_path / "kept.jsonl").write_text("precious")
    application.orm("dumpdata", "Nothing", "-o", str(tmp_path / "kept.jsonl"), code=4)
    assert (tmp_path / "kept.jsonl").read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} >= {"kept.jsonl", "notes.jsonl"}
    assert not [*tmp_path.glob(".*jsonl*")]
    for arguments in (("loaddata", "nowhere.jsonl"), ("dumpdata", "-o", "nowhere/x.jsonl")):
        missing = application.orm(*arguments, code=2).err
        assert missing.startswith("orm: ") and "No such file or directory" in missing and missing.count("\n") == 1
