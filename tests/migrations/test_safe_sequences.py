"""`makemigrations --safe`: what a revision has, that it runs, and that the result is the same as without."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.util import await_only

import orm
from orm import migrations
from orm.database.connections.database import Database
from tests.migrations.hand_written import set_up

ROWS = 25


def shop(url: str, *, after: bool) -> orm.ModelRegistry:
    """A registry, before or after changes of each kind that has a sequence."""
    models = orm.ModelRegistry(database=orm.Database(url))

    class Shelf(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)

    class Book(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        code = orm.String(max_length=20, unique=after)
        pages = orm.Integer(allow_null=not after, default=7)
        note = orm.String(max_length=20, allow_null=True, index=after)
        shelf = orm.ForeignKey(Shelf, allow_null=True) if after else orm.Integer(allow_null=True)

        class Meta:
            constraints = [orm.CheckConstraint(orm.Q(pages__gte=0), name="pages_not_negative")] if after else []

    return models


async def safe_change(url: str, directory: Path) -> str:
    """Make the second revision with `safe=True`, on a database with rows, and run it. Returns its text."""
    before = shop(url, after=False)
    await migrations.make(before, directory=directory)
    await migrations.upgrade(before, directory=directory)
    async with Database(url) as database:
        await database.execute("INSERT INTO shelf (id) VALUES (1)")
        for number in range(ROWS):
            pages = "NULL" if number % 2 else str(number)
            await database.execute(f"INSERT INTO book (code, pages, shelf) VALUES ('c{number}', {pages}, 1)")
    models = shop(url, after=True)
    made = await migrations.make(models, directory=directory, safe=True)
    assert made is not None and made.path is not None
    await migrations.upgrade(models, directory=directory)
    assert await migrations.make(models, directory=directory) is None
    return made.path.read_text()


async def test_each_change_runs_and_leaves_no_difference(database_url: str, tmp_path: Path) -> None:
    text = await safe_change(database_url, set_up(tmp_path / "migrations"))
    assert ("op.backfill('book', {'pages': '7'}" in text) is ("sqlite" not in database_url)
    async with Database(database_url) as database:
        rows = await database.fetch_all("SELECT pages FROM book ORDER BY id")
        assert [row[0] for row in rows] == [7 if number % 2 else number for number in range(ROWS)]
        for broken in ("'c1', 1, 1", "'d', NULL, 1", "'d', -1, 1", "'d', 1, 99"):
            with pytest.raises(orm.IntegrityError):
                await database.execute(f"INSERT INTO book (code, pages, shelf) VALUES ({broken})")
    models = shop(database_url, after=True)
    await migrations.downgrade(models, directory=tmp_path / "migrations")
    await migrations.upgrade(models, directory=tmp_path / "migrations")
    assert await migrations.make(models, directory=tmp_path / "migrations") is None


async def test_sequences_of_postgresql_scan_without_a_lock_that_blocks(postgresql_url: str, tmp_path: Path) -> None:
    text = await safe_change(postgresql_url, set_up(tmp_path / "migrations"))
    statements = [
        "CREATE INDEX CONCURRENTLY",
        "CREATE UNIQUE INDEX CONCURRENTLY",
        "UNIQUE USING INDEX",
        "ADD CONSTRAINT pages_not_negative CHECK (pages >= 0) NOT VALID",
        "VALIDATE CONSTRAINT pages_not_negative",
        "FOREIGN KEY(shelf) REFERENCES shelf (id) NOT VALID",
        "ADD CONSTRAINT book_pages_not_null CHECK (pages IS NOT NULL) NOT VALID",
        "VALIDATE CONSTRAINT book_pages_not_null",
        "DROP CONSTRAINT book_pages_not_null",
    ]
    upgrade = text.partition("def upgrade")[2].partition("def downgrade")[0]
    for statement in statements:
        assert statement in upgrade, statement
    # Filled before the CHECK, which would refuse changes of other rows, and after it: what was written meanwhile.
    fills = [match.start() for match in re.finditer(r"op\.backfill", upgrade)]
    order = [fills[0], upgrade.index(statements[6]), fills[1]]
    order += [upgrade.index(each) for each in (statements[7], "nullable=False", statements[8])]
    assert order == sorted(order) and len(fills) == 2


async def test_rows_written_before_the_check_are_filled_after_it(postgresql_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    before = shop(postgresql_url, after=False)
    await migrations.make(before, directory=directory)
    await migrations.upgrade(before, directory=directory)
    after = shop(postgresql_url, after=True)
    async with Database(postgresql_url) as database:
        await database.execute("INSERT INTO book (code, pages) VALUES ('a', NULL), ('b', NULL)")
        await migrations.make(after, directory=directory, safe=True)
        written = []

        def write(sql: str) -> None:
            """What the application writes between the first backfill and the CHECK."""
            if "book_pages_not_null CHECK" in sql:
                written.append(sql)
                await_only(database.execute("UPDATE book SET note = 'changed' WHERE code = 'b'"))
                await_only(database.execute("INSERT INTO book (code, pages) VALUES ('c', NULL)"))

        await migrations.upgrade(after, directory=directory, on_statement=write)
        assert len(written) == 1
        assert await database.fetch_val("SELECT count(*) FROM book WHERE pages IS NULL") == 0


async def test_tables_of_the_same_revision_are_made_as_they_are(postgresql_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    made = await migrations.make(shop(postgresql_url, after=True), directory=directory, safe=True)
    assert made is not None and made.path is not None
    text = made.path.read_text()
    assert "CONCURRENTLY" not in text and "NOT VALID" not in text


async def test_grades_of_the_sequences_are_at_most_b(postgresql_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    text = await safe_change(postgresql_url, directory)
    graded: list[Any] = [line.split()[1] for line in text.splitlines() if line.startswith("#   ") and line[4] != " "]
    assert graded and set(graded) <= {"A", "B"}
