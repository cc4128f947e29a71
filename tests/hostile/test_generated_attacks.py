"""Generated hostile values and names through the public entries: none becomes part of a statement, each is read back.

`HOSTILE=full` runs a million on each database, `HOSTILE_VALUES=…` any other number; the suite runs two thousand.
`HOSTILE_SQL_MODE=…` asks for SQL modes of MySQL and MariaDB that change the meaning of SQL.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from tests.hostile import test_hostile_names as names
from tests.hostile import test_hostile_values as values
from tests.hostile.models import FIELDS, MARK, Author, Book, Watch, contents, create

pytestmark = pytest.mark.anyio
TOTAL = int(os.environ.get("HOSTILE_VALUES", 1_000_000 if os.environ.get("HOSTILE") == "full" else 2_000))
SQL_MODE = os.environ.get("HOSTILE_SQL_MODE", "")
ROWS = 100 if TOTAL < 10_000 else 1_000

PIECES = [
    *("'", '"', "`", "\\", "''", '""', "\\'", '\\"', "\\\\", ";", "--", "-- ", "#", "/*", "*/", "/*!", "(", ")", ","),
    *("%s", "%%", "%", "%(p0)s", "?", "$1", ":p0", "$$", "$a$", "E'", "N'", "x'41'", "0x41", "_binary'", "@@version"),
    *(
        "{}",
        "{0}",
        "{0.__class__}",
        "[",
        "]",
        "[POSTCOMPILE_x]",
        "__",
        "_",
        "-",
        "+",
        "*",
        ".",
        "=",
        "<",
        ">",
        "|",
        "||",
    ),
    *(
        "\0",
        "\x08",
        "\x1a",
        "\t",
        "\n",
        "\r",
        "\x7f",
        "\ud800",
        "\udfff",
        "\u2028",
        "\u02bc",
        "\uff07",
        "\u00a5",
        "\u0338",
    ),
    *(
        "é",
        "日本",
        "🎺",
        "\u202e",
        "\ufeff",
        "ı",
        "ß",
        "ﬁ",
        "a" * 50,
        " OR 1=1 ",
        " UNION SELECT ",
        "; DROP TABLE book",
    ),
    *(" SLEEP(9) ", "DELETE FROM book", "NULL", "select", "author", "title", "id", "pk", "icontains", "isnull", "data"),
    *(
        "year",
        "9" * 40,
        "-1",
        "1e999",
        "NaN",
        "true",
        "!",
        "!%",
        "!_",
        "\\%",
        "\\_",
        "^",
        ".*",
        "(?",
        "(a+)+$",
        "[[:<:]]",
    ),
]


def text_of(chance: random.Random) -> str:
    """A text with the mark that no statement may contain, among pieces that mean something to a server or a driver."""
    pieces = chance.choices(PIECES, k=chance.randrange(1, 7))
    pieces.insert(chance.randrange(len(pieces) + 1), MARK)
    return chance.choice(("", "__", "")).join(pieces)


def is_storable(text: str) -> bool:
    """Whether text fields and JSON take it on every database."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


@pytest.fixture
async def hostile_database(database_url: str) -> AsyncIterator[Database]:
    """A database; on MySQL and MariaDB one whose user asks for `HOSTILE_SQL_MODE`."""
    options: Any = {}
    if SQL_MODE and database_url.startswith("mysql"):
        options["init_command"] = f"SET sql_mode = CONCAT(@@sql_mode, ',{SQL_MODE}')"
    async with Database(database_url, **options) as database:
        yield database


class Attacks:
    """One run: it counts the values, and the statements that were sent."""

    def __init__(self, watch: Watch, database: Database) -> None:
        self.watch = watch
        self.database = database
        self.chance = random.Random(database.url.dialect)
        self.values = 0

    async def name(self) -> None:
        """One text as a name, or as a part of one."""
        what, attack = self.chance.choice(self._names)
        text = text_of(self.chance)
        quoted = what in ("Collate", "CTE name", "Func name")
        self.values += 1
        async with self.watch.attempt(what, text, quoted=quoted), self.database.transaction(force_rollback=True):
            await attack(text)

    async def value(self) -> None:
        """One text as a value of one of the calls that take one."""
        what, attack = self.chance.choice(self._values)
        text = text_of(self.chance)
        self.values += 1
        async with self.watch.attempt(what, text), self.database.transaction(force_rollback=True):
            await attack(text)

    async def lookup(self) -> None:
        """One value, of any type, in a lookup of any field."""
        field = self.chance.choice(["id", "author", "author__name", *FIELDS, "data__a"])
        lookup = self.chance.choice(values.BUILT_IN_LOOKUPS)
        value = self.chance.choice([*values.VALUES, *(text_of(self.chance) for _ in range(100))])
        self.values += 1
        async with self.watch.attempt(f"{field}__{lookup}", repr(value)):
            await Book.objects.filter(**{f"{field}__{lookup}": value})

    async def write(self) -> None:
        """One value, of any type, written to any field."""
        field = self.chance.choice(["id", "author", *FIELDS])
        value = self.chance.choice([*values.VALUES, *(text_of(self.chance) for _ in range(100))])
        self.values += 1
        async with self.watch.attempt(f"create {field}", repr(value)), self.database.transaction(force_rollback=True):
            await Book.objects.create(**{"id": 9, "code": "c9", field: value})

    async def rows(self) -> None:
        """Many texts, bytes and documents in rows and lists, which are read back as they were."""
        texts = {text.strip() for text in (text_of(self.chance) for _ in range(2 * ROWS)) if is_storable(text)}
        titles = sorted(texts)[:ROWS]
        keys = [text_of(self.chance).replace("\0", "") for _ in titles]
        rows = [
            {
                "id": 100 + i,
                "code": f"b{i}",
                "title": title,
                "blob": title.encode()[:200],
                "data": {key if is_storable(key) else "k": [title, {title: i}]},
            }
            for i, (title, key) in enumerate(zip(titles, keys, strict=True))
        ]
        async with self.watch.attempt("rows", titles), self.database.transaction(force_rollback=True):
            await Book.objects.bulk_create(rows)
            new = Book.objects.filter(id__gte=100)
            read = await new.order_by("id").values("id", "code", "title", "blob", "data")
            assert read == rows
            assert await new.filter(title__in=titles).count() == len(rows)
            assert await new.filter(blob__in=[row["blob"] for row in rows]).count() == len(rows)
            books: list[Any] = await new.order_by("id")
            for book, title in zip(books, reversed(titles), strict=True):
                book.title = title
            assert await Book.objects.bulk_update(books, ["title"]) == len(rows)
            assert await new.order_by("-id").values_list("title", flat=True) == titles
            changed = [{"id": row["id"], "code": row["code"], "title": row["title"]} for row in rows]
            await Book.objects.upsert(changed, unique_fields=["id"])
            assert await new.order_by("id").values_list("title", flat=True) == titles
            title = self.chance.choice(titles)
            assert await new.filter(title=title).update(title=orm.Value(title + title)) == 1
            assert await new.exclude(title__in=titles).values_list("title", flat=True) == [title + title]
        # In each row the title, the bytes, and two in the document; then the lists and the new titles.
        self.values += 8 * len(rows) + 2

    async def run(self) -> None:
        """Attack until there were `TOTAL` values."""
        self._names = [*names.ATTACKS.items()]
        self._values = [*values.ATTACKS.items()]
        while self.values < TOTAL:
            await self.rows()
            for _ in range(ROWS // 20):
                await self.name()
                await self.value()
                await self.lookup()
                await self.write()


async def test_generated_values_and_names_stay_out_of_statements(hostile_database: Database) -> None:
    database = hostile_database
    await create(database)
    before = await contents()
    watch, statements = Watch(), 0

    def count(event: orm.QueryEvent) -> None:
        nonlocal statements
        statements += 1

    database.add_hook(watch.hear)
    database.add_hook(count)
    attacks = Attacks(watch, database)
    try:
        await attacks.run()
    finally:
        database.remove_hook(watch.hear)
        database.remove_hook(count)
    print(
        f"\n{database.url.dialect} {SQL_MODE}: {attacks.values} values and names, {statements} statements, "
        f"{watch.answered} calls answered, {watch.refused} refused"
    )
    assert await contents() == before
    assert await Author.objects.count() == 1
    watch.check()
