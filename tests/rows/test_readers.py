"""Row readers: the generated code, and the objects that it makes of rows."""

from __future__ import annotations

from typing import Any

import pytest

from orm.rows.readers import Entity, read_dicts, read_instances, read_named_tuples, read_tuples, read_values, source_of
from orm.utils.codegen import Inline


class Album:
    """Stands for a model."""

    def __init__(self) -> None:
        raise AssertionError("rows are made without __init__")


class Track(Album):
    pass


class Label(Album):
    pass


TRACK = Entity(Track, ("id", "title", "album_id"), ("id",))
ALBUM = Entity(Album, ("id", "name"), ("id",), parent=0, name="album")
LABEL = Entity(Label, ("id",), ("id",), parent=1, name="label")


def test_read_instances_assigns_columns_to_attributes() -> None:
    read = read_instances([TRACK], [None, None, None])
    first, second = read([(1, "The Bird", 3), (2, "Heart", None)])
    assert type(first) is Track
    assert vars(first) == {"id": 1, "title": "The Bird", "album_id": 3}
    assert vars(second) == {"id": 2, "title": "Heart", "album_id": None}
    assert read([]) == []


def test_read_instances_attaches_joined_instances_unless_their_key_is_null() -> None:
    read: Any = read_instances([TRACK, ALBUM, LABEL], [None] * 6)
    full, without_label, without_album = read(
        [(1, "a", 3, 3, "Malibu", 9), (2, "b", 3, 3, "Malibu", None), (3, "c", None, None, None, None)]
    )
    assert type(full.album) is Album and full.album.name == "Malibu"
    assert type(full.album.label) is Label and full.album.label.id == 9
    assert "label" not in vars(without_label.album)
    assert "album" not in vars(without_album)


def test_read_instances_with_a_shared_key_shares_the_joined_instance() -> None:
    album = Entity(Album, ("id", "side", "name"), ("id", "side"), parent=0, name="album", shared=("id", "side"))
    read: Any = read_instances([TRACK, album, LABEL], [None] * 7)
    rows = [(1, "a", 3, 3, "A", "Malibu", 9), (2, "b", 3, 3, "A", "Malibu", 9), (3, "c", 3, 3, "B", "Other", None)]
    first, second, third = read(rows)
    assert first.album is second.album and vars(first.album) == {
        "id": 3,
        "side": "A",
        "name": "Malibu",
        "label": first.album.label,
    }
    assert third.album.side == "B" and "label" not in vars(third.album)
    again = read(rows[:1])
    assert again[0].album is not first.album


def test_readers_write_inline_conversions_into_their_code() -> None:
    halved = Inline("None if {v} is None else {half} * {v}", half=0.5)
    doubled = Inline("None if {v} is None else {half} * {v}", half=2)
    read = read_tuples([halved, None, doubled])
    assert read([(3, "x", 1), (None, None, None)]) == [(1.5, "x", 2), (None, None, None)]
    assert "half_0 * column_0" in source_of(read)


def test_readers_convert_columns_with_a_processor() -> None:
    rows = [("1", 2, None)]
    assert read_tuples([int, None, None])(rows) == [(1, 2, None)]
    assert read_dicts(["a", "b", "c"], [int, None, None])(rows) == [{"a": 1, "b": 2, "c": None}]
    assert read_values([int])([("7",), ("8",)]) == [7, 8]
    named = read_named_tuples(["a", "b", "c"], [int, None, None])(rows)[0]
    assert (named.a, named.b, named.c) == named == (1, 2, None)
    instance = read_instances([TRACK], [int, None, None])(rows)[0]
    assert instance.id == 1


def test_readers_ignore_trailing_columns() -> None:
    rows = [(1, 2, "x", "y")]
    assert read_tuples([None, None], 2)(rows) == [(1, 2)]
    assert read_dicts(["a", "b"], [None, None], 2)(rows) == [{"a": 1, "b": 2}]
    assert read_values([None], 3)(rows) == [1]
    assert vars(read_instances([TRACK], [None] * 3, trailing_columns=1)(rows)[0]) == {
        "id": 1,
        "title": 2,
        "album_id": "x",
    }


@pytest.mark.parametrize("name", ['x"', "x'", "x\\", "x\n", "{x}", "a b", "'); import os; ('", "%s"])
def test_read_dicts_takes_any_name_as_data(name: str) -> None:
    assert read_dicts([name], [None])([(1,)]) == [{name: 1}]


def test_source_of_is_the_code_of_a_reader() -> None:
    source = source_of(read_instances([TRACK, ALBUM], [None] * 5))
    assert source.startswith("def read(rows):")
    assert "instance.title = column_1" in source
    assert "if column_3 is not None:" in source
