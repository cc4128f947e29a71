"""Generated code: how it becomes functions, and how to see it."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys

import pytest

from orm.utils.codegen import Inline, conversion_source, function_of, generate, list_converter


def test_generate_logs_the_code_with_its_file_name_and_line_numbers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "orm.code"):
        assert generate("thing", "def made():\n    return 7", {})["made"]() == 7
    assert [record.getMessage() for record in caplog.records] == [
        "<generated thing>\n   1  def made():\n   2      return 7\n"
    ]


READERS = """
from orm.rows.readers import Entity, read_instances, read_values
read_values([None])
class Track: pass
read_instances([Entity(Track, ("id", "title"), ("id",))], [None, None])
"""


@pytest.mark.parametrize("switch", ["", "1"])
def test_orm_show_code_prints_the_code_of_readers(switch: str) -> None:
    environment = {**os.environ, "ORM_SHOW_CODE": switch}
    ran = subprocess.run([sys.executable, "-c", READERS], env=environment, capture_output=True, text=True, check=True)
    assert ("def read(rows):" in ran.stderr) is bool(switch)
    if switch:
        for what in ("row reader", "row reader of Track"):
            assert ran.stderr.count(f"<generated {what}>\n   1  def read(rows):\n   2  ") == 1
        assert re.search(r"^ +[0-9]+ +instance\.title = column_1$", ran.stderr, re.MULTILINE)
    assert ran.stdout == ""


def test_traceback_names_generated_code() -> None:
    made = generate("thing", "def made():\n    raise ValueError", {})["made"]
    with pytest.raises(ValueError) as caught:
        made()
    assert caught.traceback[-1].frame.code.raw.co_filename == "<generated thing>"


def test_inline_conversion_can_be_called() -> None:
    inline = Inline("None if {v} is None else {convert}({v})", convert=int)
    assert inline("7") == function_of(inline)("7") == 7
    assert inline(None) is None
    assert list_converter(inline)(["1", None]) == [1, None]
    assert list_converter(None)((1, 2)) == [1, 2]
    assert list_converter(str)([1]) == ["1"]


def test_conversion_sources_have_separate_names() -> None:
    scope: dict[str, object] = {}
    sources = [conversion_source(Inline("{f}({v})", f=f), f"v{i}", i, scope) for i, f in enumerate((int, str))]
    assert sources == ["f_0(v0)", "f_1(v1)"]
    assert scope == {"f_0": int, "f_1": str}
    assert conversion_source(None, "v2", 2, scope) == "v2"
    assert conversion_source(float, "v3", 3, scope) == "process_3(v3)"


WRITES = """
import asyncio, datetime
import orm

class Album(orm.Model):
    registry = orm.ModelRegistry(database=orm.Database("sqlite://"))
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)
    price = orm.Decimal(max_digits=8, decimal_places=2)
    kind = orm.String(max_length=9, choices=[("a", "A"), ("b", "B")])
    day = orm.DateTime(timezone=True)

async def main():
    await Album.registry.create_all()
    day = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    await Album.objects.bulk_create([Album(name=n, price=1, kind="a", day=day) for n in "ab"])
    await Album.objects.create(name="c", price=1, kind="a", day=day)
    await Album.objects.all()
    await Album.objects.page(size=1)
    await Album.registry.database.disconnect()

asyncio.run(main())
"""


def test_generated_code_names_its_model_and_has_no_doubled_words() -> None:
    environment = {**os.environ, "ORM_SHOW_CODE": "1"}
    ran = subprocess.run([sys.executable, "-c", WRITES], env=environment, capture_output=True, text=True, check=True)
    generated = {line for line in ran.stderr.splitlines() if line.startswith("<generated")}
    expected = ("validator", "constructor", "row writer", "row reader")
    assert {f"<generated {what} of Album>" for what in expected} <= generated
    assert not re.search(r"\b([a-z]+)_\1\d*\b", ran.stderr)
