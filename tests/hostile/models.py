"""The models under attack (two related ones, with a field of every type), the hostile strings, and the checks."""

from __future__ import annotations

import datetime
import decimal
import enum
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import databases

import orm

models = orm.ModelRegistry()


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Author(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.Text(unique=False)
    boss: Any = orm.ForeignKey("Author", allow_null=True, related_name="staff")


class Book(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    code = orm.String(max_length=200, unique=True)
    title = orm.Text(default="-")
    author: Any = orm.ForeignKey(Author, allow_null=True, related_name="books")
    pages = orm.Integer(default=0)
    price = orm.Decimal(max_digits=8, decimal_places=2, allow_null=True)
    weight = orm.Float(allow_null=True)
    sold = orm.Boolean(default=False)
    out = orm.Date(allow_null=True)
    made = orm.DateTime(allow_null=True)
    seen = orm.DateTime(timezone=True, allow_null=True)
    opens = orm.Time(allow_null=True)
    lasts = orm.Duration(allow_null=True)
    key = orm.UUID(allow_null=True)
    blob = orm.Binary(max_length=200, allow_null=True)
    mood: Any = orm.Enum(Mood, allow_null=True)
    host = orm.IPAddress(allow_null=True)
    link = orm.URL(max_length=200, allow_null=True)
    mail = orm.Email(max_length=200, allow_null=True)
    data: Any = orm.JSON(allow_null=True)

    class Meta:
        ordering = ["id"]


FIELDS = [name for name in Book.fields if name not in ("id", "author")]

MARK = "zqx7"
"""Every hostile string contains it; no SQL may."""

HOSTILE = [
    f"{MARK}",
    f"{MARK}' OR '1'='1",
    f"{MARK}'; DROP TABLE books; --",
    f'{MARK}"; DROP TABLE books; --',
    f"{MARK}`; DELETE FROM books; #",
    f"id) FROM books; DELETE FROM books; -- {MARK}",
    f'id" AS "{MARK}", (SELECT 1) AS "x',
    f"id/*{MARK}*/",
    f"{MARK}\\",
    f"\\'{MARK}\\\"",
    f"{MARK}\0",
    f"\0{MARK}",
    f"%s{MARK}%(p0)s%%",
    f"{MARK}%",
    f"{MARK}_%",
    f"$1{MARK}$2",
    f":p0{MARK}:p1",
    f"?{MARK}??",
    f"{{}}{MARK}{{0}}{{0.__class__}}",
    f"[POSTCOMPILE_{MARK}]",
    f"__[{MARK}]",
    f"{MARK}é日本語🎺",
    f"{MARK}\u202e\u200b\ufeff",
    f"ﬁ{MARK}ﬁ",
    f"{MARK}\ud800",
    f"\udfff{MARK}",
    f"{MARK}\r\n\t\x1b[0m\x7f",
    f"  {MARK}  ",
    MARK * 250,
    f"{MARK}__{MARK}__{MARK}",
    f"author__{MARK}",
    f"author__name__{MARK}",
    f"pages__{MARK}",
    f"title__icontains__{MARK}",
    f"made__year__{MARK}",
    f"books__{MARK}",
    f"__{MARK}",
    f"{MARK}__",
    f"____{MARK}____",
    f"author____{MARK}",
    f"-{MARK}",
    f"--{MARK}",
    f"+{MARK}",
    f"?-{MARK}",
    f"self__{MARK}",
    f"__class__{MARK}",
    f"pk__{MARK}",
    f"*{MARK}",
    f"books.{MARK}",
    f'"id"{MARK}',
    f"id, {MARK}",
    f"id {MARK} desc",
    f"lower({MARK})",
]
# Names that are the language's or the model's own: they may be found, but only as what they are.
WORDS = [
    "",
    " ",
    "_",
    "__",
    "___",
    "-",
    "--",
    "?",
    "-?",
    "*",
    ".",
    "%",
    "\0",
    "\ud800",
    "pk",
    "-pk",
    "self",
    "model",
    "objects",
    "registry",
    "_meta",
    "Meta",
    "__class__",
    "__init__",
    "__dict__",
    "__slots__",
    "author__class__",
    "author____class__",
    "author__objects",
    "author___meta",
    "boss__boss__boss__boss__boss__boss__boss__boss",
    "__".join(["author"] + ["boss"] * 40 + ["name"]),
    "__".join(["title"] * 500),
    "data__" + "__".join(["a"] * 200),
    "select",
    "from",
    "class",
    "None",
    "True",
    "lambda",
    "id__exact__exact",
    "id__isnull__isnull",
    "author__pk__pk",
    "author_id__id",
    "title__date",
    "data__",
    "data____",
    "data____a",
]


def rows() -> list[dict[str, Any]]:
    """Three books, of which every query matches some."""
    return [
        {
            "id": i,
            "code": f"c{i}",
            "title": f"t{i}",
            "author": 1,
            "pages": i,
            "price": decimal.Decimal(i),
            "weight": i / 2,
            "sold": i == 1,
            "out": datetime.date(2024, 1, i),
            "made": datetime.datetime(2024, 1, i),
            "seen": datetime.datetime(2024, 1, i, tzinfo=datetime.timezone.utc),
            "opens": datetime.time(i),
            "lasts": datetime.timedelta(hours=i),
            "key": uuid.UUID(int=i),
            "blob": bytes([i]),
            "mood": Mood.GOOD,
            "host": f"10.0.0.{i}",
            "link": "https://example.org/",
            "mail": "a@example.org",
            "data": {"a": i, "b": {"c": "x"}, "d": [1, 2]},
        }
        for i in (1, 2, 3)
    ]


async def create(database: databases.Database) -> None:
    """Create the tables in `database` and insert the rows."""
    models.database = database
    await models.create_all()
    await Author.objects.create(id=1, name="someone")
    await Book.objects.bulk_create(rows())


async def contents() -> tuple[Any, ...]:
    """All rows of all tables."""
    return (
        await Author.objects.order_by("id").values_list("id", "name", "boss_id"),
        await Book.objects.order_by("id").values_list(*Book.fields),
    )


QUOTED = re.compile(r"[A-Za-z0-9_-]+")
# What databases say of a statement that someone wrote into, or that we wrote wrong.
BROKEN = re.compile(
    "syntax(?! error in regular expression)|unrecognized token|no such (column|table)|unknown (column|table)"
    "|FROM-clause",
    re.IGNORECASE,
)
# What an attack may come to.
ALLOWED = (orm.Error, orm.ValidationError)


@dataclass
class Watch:
    """The statements that were sent, and what went wrong."""

    events: list[orm.QueryEvent] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    refused: int = 0
    answered: int = 0

    def hear(self, event: orm.QueryEvent) -> None:
        """A hook of the database."""
        self.events.append(event)

    @asynccontextmanager
    async def attempt(self, what: str, text: object, *, quoted: bool = False) -> AsyncIterator[None]:
        """The block may succeed or raise an error of ours; it must not send SQL that contains the mark.

        `quoted`: it may, where that is but a word (a collation and a CTE have names of the program's own).
        """
        self.events.clear()
        shown = f"{what}: {ascii(text)[:120]}"
        try:
            yield
            self.answered += 1
        except ALLOWED as error:
            self.refused += 1
            # What the database says of our SQL's syntax is our mistake, or text that came into it.
            if isinstance(error, (orm.InternalError, orm.InterfaceError)) or BROKEN.search(str(error)):
                self.failures.append(f"{shown}: {type(error).__name__}: {str(error)[:300]}")
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what this test is to find)
            self.failures.append(f"{shown}: outside our tree: {type(error).__qualname__}: {str(error)[:300]}")
        for event in self.events:
            if MARK in event.sql.lower() and not (quoted and QUOTED.fullmatch(str(text))):
                self.failures.append(f"{shown}: in the SQL: {event.sql[:300]}")

    def check(self) -> None:
        """Fail with everything that went wrong."""
        assert not self.failures, f"{len(self.failures)} failures:\n" + "\n".join(self.failures[:40])
