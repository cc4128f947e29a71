"""The models and rows of both ORMs, described once as plain data.

People, blogs, entries and comments: forward relations three levels deep, backward ones two, a relation to itself,
NULLs at every level, rows that nothing points at and rows that point at nothing. `Sample` has a field of each type.
Many-to-many ones: tags of entries, friends (symmetrical) and followers among people, members of clubs over a model
with columns of its own and two ways to a person, topics of clubs over a relation to a field that is no primary key.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "key",
    "text",
    "integer",
    "big",
    "small",
    "float",
    "decimal",
    "boolean",
    "date",
    "time",
    "datetime",
    "duration",
    "uuid",
    "binary",
    "json",
    "level",
    "link",
    "one",
    "many",
]


@dataclass(frozen=True)
class Column:
    """One field of a model: its kind, whether it may be null, and where a relation leads.

    Attributes:
        reverse: the name of the reverse relation; "" for the default of each ORM.
        query: its name in lookups, where that is another.
        to_field: the unique field that is pointed at, if it is not the primary key.
        restrict: whether a row that is pointed at cannot be deleted.
        through: the model that keeps the pairs; "" for one that is made.
    """

    kind: Kind
    null: bool = False
    unique: bool = False
    target: str = ""
    reverse: str = ""
    default: Any = None
    query: str = ""
    to_field: str = ""
    restrict: bool = False
    through: str = ""
    through_fields: tuple[str, str] | None = None
    symmetrical: bool = False


def link(
    target: str, reverse: str = "", *, null: bool = False, query: str = "", to_field: str = "", restrict: bool = False
) -> Column:
    """A relation to one row of another model; `reverse` is the name of the reverse relation."""
    return Column("link", null=null, target=target, reverse=reverse, query=query, to_field=to_field, restrict=restrict)


def one(target: str, reverse: str, *, null: bool = False) -> Column:
    """A relation to one row of another model, which only one row here may have."""
    return Column("one", null=null, target=target, reverse=reverse)


def many(
    target: str,
    reverse: str = "",
    *,
    through: str = "",
    through_fields: tuple[str, str] | None = None,
    symmetrical: bool = False,
) -> Column:
    """A relation to any number of rows of another model."""
    return Column(
        "many",
        target=target,
        reverse=reverse,
        through=through,
        through_fields=through_fields,
        symmetrical=symmetrical,
    )


class Level(enum.IntEnum):
    """A level of a badge: an integer in Django."""

    LOW = 1
    MIDDLE = 2
    HIGH = 3


NULLABLE = {"null": True}

MODELS: dict[str, dict[str, Column]] = {
    "Country": {
        "id": Column("key"),
        "name": Column("text"),
        "code": Column("text", null=True),
        "size": Column("integer", null=True),
    },
    "Author": {
        "id": Column("key"),
        "name": Column("text"),
        "age": Column("integer", null=True),
        "active": Column("boolean", default=True),
        "joined": Column("date", null=True),
        "country": link("Country", "authors", null=True),
        "mentor": link("Author", "pupils", null=True),
        "friends": many("Author", symmetrical=True),
        "follows": many("Author", "followers"),
    },
    "Profile": {
        "id": Column("key"),
        "author": one("Author", "profile"),
        "bio": Column("text", null=True),
        "level": Column("integer", null=True),
    },
    "Blog": {
        "id": Column("key"),
        "name": Column("text"),
        "tagline": Column("text", null=True),
        "owner": link("Author", "blogs", null=True),
    },
    "Entry": {
        "id": Column("key"),
        "blog": link("Blog", "entries"),
        "author": link("Author", "entries", null=True),
        "title": Column("text"),
        "rating": Column("integer", null=True),
        "price": Column("decimal", null=True),
        "day": Column("date", null=True),
        "featured": Column("boolean", default=False),
        "tags": many("Tag", "entries"),
    },
    "Comment": {
        "id": Column("key"),
        "entry": link("Entry", "comments"),
        "author": link("Author", "comments", null=True),
        "text": Column("text"),
        "likes": Column("integer", null=True),
    },
    "Tag": {
        "id": Column("key"),
        "name": Column("text", unique=True),
        "uses": Column("integer", default=0),
        "note": Column("text", null=True),
    },
    "Remark": {
        "id": Column("key"),
        "tag": link("Tag", "remarks", query="remark", to_field="name", null=True),
        "text": Column("text"),
        "score": Column("integer", null=True),
    },
    "Feed": {
        "id": Column("key"),
        "blog": one("Blog", "feed", null=True),
        "url": Column("text", null=True),
    },
    "Avatar": {
        "id": Column("key"),
        "profile": one("Profile", "avatar"),
        "image": Column("text", null=True),
        "size": Column("integer", null=True),
    },
    "Club": {
        "id": Column("key"),
        "name": Column("text"),
        "founded": Column("integer", null=True),
        "members": many("Author", "clubs", through="Membership", through_fields=("club", "author")),
        "topics": many("Tag", "clubs", through="Interest"),
    },
    "Membership": {
        "id": Column("key"),
        "club": link("Club"),
        "author": link("Author", "memberships"),
        "inviter": link("Author", "invitations", null=True),
        "since": Column("date", null=True),
        "dues": Column("integer", null=True),
    },
    "Interest": {
        "id": Column("key"),
        "club": link("Club", "interests"),
        "tag": link("Tag", "interests", to_field="name"),
        "weight": Column("integer", default=1),
    },
    "Prize": {
        "id": Column("key"),
        "club": link("Club", "prizes", restrict=True),
        "winner": link("Author", "prizes", null=True),
        "name": Column("text"),
    },
    "Badge": {
        "id": Column("key"),
        "level": Column("level", null=True),
        "rank": Column("integer", null=True),
        "data": Column("json", null=True),
    },
    "Sample": {
        "id": Column("key"),
        "text": Column("text", null=True),
        "integer": Column("integer", null=True),
        "big": Column("big", null=True),
        "small": Column("small", null=True),
        "float": Column("float", null=True),
        "decimal": Column("decimal", null=True),
        "boolean": Column("boolean", null=True),
        "date": Column("date", null=True),
        "time": Column("time", null=True),
        "moment": Column("datetime", null=True),
        "duration": Column("duration", null=True),
        "uuid": Column("uuid", null=True),
        "binary": Column("binary", null=True),
        "data": Column("json", null=True),
    },
}


def _table(names: str, *rows: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [dict(zip(names.split(), row, strict=True)) for row in rows]


def _date(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)


_D = decimal.Decimal

ROWS: dict[str, list[dict[str, Any]]] = {
    "Country": _table(
        "id name code size",
        (1, "Sweden", "SE", 10),
        (2, "Peru", None, 33),
        (3, "Tuvalu", "TV", None),
        (4, "Österreich", "AT", 9),
    ),
    "Author": _table(
        "id name age active joined country_id mentor_id",
        (1, "Ann", 40, True, _date("2020-01-31"), 1, None),
        (2, "Bob", None, True, None, 1, 1),
        (3, "Cid", 25, False, _date("2021-02-28"), 2, 1),
        (4, "Dan", 25, True, _date("2024-02-29"), None, 2),
        (5, "Eve", 61, True, _date("2020-12-31"), 3, None),
        (6, "ann", None, False, None, None, 4),
        (7, "Fay", 33, True, _date("2021-02-28"), 2, 5),
    ),
    "Profile": _table(
        "id author_id bio level",
        (1, 1, "writes", 3),
        (2, 2, None, None),
        (3, 4, "reads", 1),
        (4, 5, "", 3),
    ),
    "Blog": _table(
        "id name tagline owner_id",
        (1, "Rock", "loud", 1),
        (2, "Jazz", None, 2),
        (3, "Pop", "100%", None),
        (4, "Empty", "", 3),
        (5, "Folk", "lo_ud", 1),
        (6, "rock", None, 7),
    ),
    "Entry": _table(
        "id blog_id author_id title rating price day featured",
        (1, 1, 1, "Lennon", 5, _D("1.50"), _date("2007-12-31"), True),
        (2, 1, 2, "Other", 3, _D("2.00"), _date("2008-01-01"), False),
        (3, 2, 1, "Lennon", None, None, _date("2008-02-29"), False),
        (4, 2, None, "Dylan", 4, _D("0.99"), None, True),
        (5, 3, 3, "Lennon", 4, _D("10.00"), _date("2008-06-15"), True),
        (6, 3, None, "Nobody", None, None, None, False),
        (7, 5, 4, "lennon", 1, _D("2.00"), _date("2009-05-05"), False),
        (8, 5, 1, "Dylan", 5, _D("3.25"), _date("2007-12-31"), True),
        (9, 1, None, "Last_one", None, _D("0.00"), _date("2010-10-10"), False),
        (10, 6, 7, "100% real", 2, _D("7.77"), _date("2010-10-10"), False),
    ),
    "Comment": _table(
        "id entry_id author_id text likes",
        (1, 1, 2, "good", 3),
        (2, 1, 3, "bad", None),
        (3, 1, None, "good", 0),
        (4, 3, 1, "good", 7),
        (5, 4, 2, "odd", None),
        (6, 7, 4, "bad", 1),
        (7, 8, None, "fine", 3),
        (8, 8, 2, "good", 3),
        (9, 10, 6, "Good", 12),
        (10, 2, 5, "", 2),
    ),
    "Tag": _table(
        "id name uses note",
        (1, "red", 1, None),
        (2, "green", 5, "g"),
        (3, "blue", 0, "b"),
        (4, "grey", 5, None),
    ),
    "Remark": _table(
        "id tag_id text score",
        (1, "red", "warm", 3),
        (2, "red", "loud", None),
        (3, "green", "calm", 3),
        (4, None, "lost", 1),
    ),
    "Feed": _table(
        "id blog_id url",
        (1, 1, "/rock"),
        (2, 3, None),
        (3, None, "/none"),
        (4, None, None),
    ),
    "Avatar": _table(
        "id profile_id image size",
        (1, 1, "ann.png", 10),
        (2, 3, None, None),
    ),
    "Club": _table(
        "id name founded",
        (1, "Chess", 1900),
        (2, "Choir", None),
        (3, "Void", 1950),
        (4, "Bees", 1900),
    ),
    "Membership": _table(
        "id club_id author_id inviter_id since dues",
        (1, 1, 1, None, _date("2020-01-31"), 10),
        (2, 1, 2, 1, _date("2021-02-28"), None),
        (3, 1, 3, 1, None, 5),
        (4, 2, 2, 3, _date("2020-01-31"), 10),
        (5, 2, 4, None, _date("2024-02-29"), 0),
        (6, 4, 5, 2, None, None),
        # The same pair a second time.
        (7, 1, 2, 3, _date("2024-02-29"), 7),
    ),
    "Interest": _table(
        "id club_id tag_id weight",
        (1, 1, "red", 2),
        (2, 1, "green", 1),
        (3, 2, "red", 5),
        (4, 4, "blue", 1),
    ),
    "Prize": _table(
        "id club_id winner_id name",
        (1, 1, 2, "Cup"),
        (2, 1, None, "Bowl"),
        (3, 4, 5, "Honey"),
    ),
    "Badge": _table(
        "id level rank data",
        (1, Level.LOW, 1, {"n": 1, "deep": {"n": -3}}),
        (2, Level.HIGH, 3, {"n": 1.5}),
        (3, None, 5, {"deep": {}}),
        (4, Level.HIGH, None, {"n": 7, "deep": {"n": 0}}),
        (5, Level.MIDDLE, 7, {}),
        (6, Level.LOW, 0, None),
        (7, None, None, {"n": -0.25, "deep": {"n": 2500.125}}),
    ),
    "Sample": _table(
        "id text integer big small float decimal boolean date time moment duration uuid binary data",
        (
            *(1, "Abc", 1, 2**40, 1, 1.5, _D("1.50"), True, _date("2020-01-31"), datetime.time(12, 30)),
            *(_moment("2020-01-31T23:30:00"), datetime.timedelta(hours=1), uuid.UUID(int=1), b"\x00\x01"),
            {"a": 1, "b": {"c": "x"}, "l": [1, 2]},
        ),
        (
            *(2, "abc", -7, -(2**40), -1, -2.25, _D("-2.25"), False, _date("2019-12-30"), datetime.time(0, 0)),
            *(_moment("2019-12-31T23:59:59.999999"), datetime.timedelta(days=2, seconds=1), uuid.UUID(int=2), b""),
            {"a": None, "b": {"c": "y"}},
        ),
        (
            *(3, "50%_\\x'\"", 0, 0, 0, 0.0, _D("0.00"), None, _date("2024-02-29"), datetime.time(23, 59, 59, 5)),
            *(_moment("2024-02-29T00:00:00"), datetime.timedelta(0), uuid.UUID(int=2**127 + 7), b"abc"),
            [1, "x"],
        ),
        (
            *(4, "", 2_000_000_000, 5, 32_000, 1e10, _D("99999.99"), True, _date("2024-01-01"), datetime.time(9, 5)),
            *(_moment("2024-03-31T01:30:00"), datetime.timedelta(microseconds=1), uuid.UUID(int=9), b"\xff"),
            "x",
        ),
        (5, "ÄÖ ß", 1, 7, 1, 1.5, _D("1.50"), False, None, None, None, None, None, None, {"a": "1"}),
        (6, *[None] * 14),
    ),
}

PAIRS: dict[tuple[str, str], list[tuple[int, int]]] = {
    ("Entry", "tags"): [(1, 1), (1, 2), (2, 1), (3, 3), (5, 1), (5, 2), (5, 3), (7, 2), (8, 1)],
    # Friends come both ways round; 1 is a friend of itself.
    ("Author", "friends"): [(1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2), (4, 5), (5, 4), (1, 1)],
    ("Author", "follows"): [(1, 2), (2, 1), (3, 1), (4, 1), (4, 2), (6, 5), (5, 5)],
}
"""The rows of the generated through models: the local keys and the remote keys."""

FIRST_FREE_KEY = 1000
"""The first key that databases generate in both ORMs, above the keys of the rows."""
