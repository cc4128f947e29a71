"""`op.backfill()`: rows are changed in batches, each once, whenever the process is killed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import orm
from orm import migrations
from orm.database.connections.database import Database
from tests.migrations.hand_written import no_models, set_up, write
from tests.migrations.test_killed import TABLE, kills

TWO_PART_KEY = (
    "op.create_table('a', sa.Column('a', sa.Integer(), primary_key=True, autoincrement=False), "
    "sa.Column('b', sa.String(20), primary_key=True), sa.Column('n', sa.Integer()))"
)
ROWS = ", ".join(f"({number}, {number})" for number in range(1, 11))
CREATE = [*(TABLE.format(name) for name in "abcd"), f"op.execute('INSERT INTO a (id, n) VALUES {ROWS}')"]
DROP = [f"op.drop_table('{name}')" for name in "abcd"]
# What would be seen if anything of it ran twice, or not at all.
BACKFILL = [
    "op.execute('UPDATE a SET n = n + 100')",
    "op.backfill('a', {'n': 'n + 1000'}, where='id <> 5', batch_size=6)",
    "op.execute('UPDATE a SET n = n + 10000')",
    "op.execute('INSERT INTO b (id, n) VALUES (1, 1)')",
]
UNDO = ["op.execute('DELETE FROM b')"]
END = [[[number, 10100 + number + (0 if number == 5 else 1000)] for number in range(1, 11)], [1, 0, 0]]
STATEMENTS_BEFORE = 5


def test_sigkill_at_each_statement_of_a_backfill_and_the_next_run_completes_it(
    database_url: str, tmp_path: Path
) -> None:
    lines = kills(database_url, tmp_path / "m", [(CREATE, DROP), (BACKFILL, UNDO)], first=STATEMENTS_BEFORE + 1)
    killed = [line for line in lines if line["signal"] == signal.SIGKILL]
    assert len(killed) >= 2 * 8
    assert "applying" in [line["states"]["r2"] for line in killed]
    assert lines[-1]["signal"] == 0
    for line in lines:
        assert line["end"] == END, line


async def test_batches_follow_a_key_of_several_columns(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(database_url)
    write(directory, "r1", None, [TWO_PART_KEY], ["op.drop_table('a')"])
    await migrations.upgrade(models, directory=directory)
    async with Database(database_url) as database:
        for number in range(23):
            await database.execute(f"INSERT INTO a (a, b, n) VALUES ({number // 4}, 'k{number % 4}', {number})")
        fill = "op.backfill('a', {'n': 'n + 1000'}, where=\"b <> 'k3'\", batch_size=4)"
        write(directory, "r2", "r1", [fill])
        batches: list[tuple[str, int, int]] = []

        def note(*batch: object) -> None:
            batches.append(batch)  # type: ignore[arg-type]

        await migrations.upgrade(models, directory=directory, on_batch=note)
        assert [rows for _, rows, _ in batches[:5]] == [4, 8, 12, 16, 20] and len(batches) == 6
        rows = await database.fetch_all("SELECT b, n FROM a ORDER BY a, b")
        assert [row["n"] for row in rows] == [
            number if row["b"] == "k3" else number + 1000 for number, row in enumerate(rows)
        ]
        assert await database.fetch_val("SELECT count(*) FROM orm_backfills") == 0  # the revision has run


async def test_backfill_of_a_table_without_a_key_is_refused(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    write(directory, "r1", None, ["op.create_table('a', sa.Column('n', sa.Integer()))"], ["op.drop_table('a')"])
    write(directory, "r2", "r1", ["op.backfill('a', {'n': '1'})"])
    with pytest.raises(orm.MigrationError, match="the table a has no primary key"):
        await migrations.upgrade(no_models(database_url), directory=directory)


async def test_backfill_is_graded_and_written_as_sql(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(database_url)
    write(directory, "r1", None, [TABLE.format("a")])
    await migrations.upgrade(models, directory=directory)
    write(directory, "r2", "r1", ["op.backfill('a', {'n': \"'7:30'\"}, where='n IS NULL')"])
    [row] = await migrations.plan(models, directory=directory)
    assert row.description == "fill a.n in batches" and row.grade is not None
    assert (row.grade.rule, row.grade.letter) == ("backfill in batches", "A")  # of an empty table
    assert "UPDATE a SET n='7:30' WHERE (n IS NULL)" in await migrations.sql(models, directory=directory)


async def test_interrupted_backfill_is_forgotten_with_its_revision(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(database_url)
    write(directory, "r1", None, [TABLE.format("a"), f"op.execute('INSERT INTO a (id, n) VALUES {ROWS}')"])
    await migrations.upgrade(models, directory=directory)
    fill = "op.backfill('a', {'n': 'n + 1000'}, batch_size=3)"
    write(directory, "r2", "r1", [fill, "op.execute('nonsense')"])
    async with Database(database_url) as database:
        with pytest.raises(orm.MigrationError, match="nonsense"):
            await migrations.upgrade(models, directory=directory)
        [_, state] = await migrations.show(models, directory=directory)
        assert state.state == "applying"
        await database.execute("UPDATE a SET n = id")
        await migrations.repair(models, forget="r2", directory=directory)
        write(directory, "r2", "r1", [fill])
        await migrations.upgrade(models, directory=directory)
        assert await database.fetch_val("SELECT sum(n) FROM a") == 10055
