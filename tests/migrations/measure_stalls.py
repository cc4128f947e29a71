"""Measures how long a writer stalls while operations graded A or B, and what `--safe` writes, run on a large table.

Another process updates rows all the time, and notes the longest of its statements during
each operation. Prints a table in Markdown: operation, grade, seconds, longest stall.

    python -m tests.migrations.measure_stalls postgresql://localhost/empty 500000
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import sqlalchemy as sa

import orm
from orm import migrations
from orm.database.connections.database import Database
from orm.migrations.grades.grading import Grading
from tests.migrations.hand_written import no_models, set_up, write

BATCH = 10_000
TABLE = [
    "op.create_table('p', sa.Column('id', sa.Integer(), primary_key=True))",
    "op.create_table('a', sa.Column('id', sa.Integer(), primary_key=True, autoincrement=False), "
    "sa.Column('writes', sa.Integer(), nullable=False), sa.Column('n', sa.Integer()), sa.Column('p', sa.Integer()), "
    "sa.Column('code', sa.String(70), nullable=False), sa.Column('price', sa.Numeric(8, 2)))",
]
#: What is graded A or B on one server at least, in an order in which each can run, also if others are left out.
OPERATIONS: dict[str, list[str]] = {
    "(nothing)": [],
    "create table": ["op.create_table('c', sa.Column('id', sa.Integer(), primary_key=True))"],
    "create table with foreign key": [
        "op.create_table('d', sa.Column('id', sa.Integer(), primary_key=True), "
        "sa.Column('a', sa.Integer(), sa.ForeignKey('a.id')))"
    ],
    "add column": ["op.add_column('a', sa.Column('x1', sa.Integer()))"],
    "add column, required with a default": [
        "op.add_column('a', sa.Column('x2', sa.Integer(), nullable=False, server_default='7'))"
    ],
    "add column, now()": ["op.add_column('a', sa.Column('x3', sa.DateTime(), server_default=sa.func.now()))"],
    "add virtual column": [
        "op.add_column('a', sa.Column('x4', sa.Integer(), sa.Computed('writes + 1', persisted=False)))"
    ],
    "add column with foreign key": ["op.add_column('a', sa.Column('x5', sa.Integer(), sa.ForeignKey('p.id')))"],
    "add unique column": ["op.add_column('a', sa.Column('x6', sa.Integer(), unique=True))"],
    "set default": ["op.alter_column('a', 'n', existing_type=sa.Integer(), server_default='1')"],
    "text wider": [
        "op.alter_column('a', 'code', existing_type=sa.String(70), type_=sa.String(90), existing_nullable=False)"
    ],
    "decimal wider": ["op.alter_column('a', 'price', existing_type=sa.Numeric(8, 2), type_=sa.Numeric(10, 2))"],
    "type that rewrites the table": [
        "op.alter_column('a', 'n', existing_type=sa.Integer(), type_=sa.BigInteger(), existing_server_default='1')"
    ],
    "comment": ["op.alter_column('a', 'p', existing_type=sa.Integer(), existing_nullable=True, comment='the parent')"],
    "create index": ["op.create_index('by_n', 'a', ['n'])"],
    "create index concurrently": [
        "with op.get_context().autocommit_block():",
        "    op.create_index('by_p', 'a', ['p'], postgresql_concurrently=True)",
    ],
    "drop index": ["op.drop_index('by_n', 'a')"],
    "drop index concurrently": [
        "with op.get_context().autocommit_block():",
        "    op.drop_index('by_p', 'a', postgresql_concurrently=True)",
    ],
    "add unique constraint": ["op.create_unique_constraint('once', 'a', ['id', 'n'])"],
    "drop constraint": ["op.drop_constraint('once', 'a', type_='unique')"],
    "add check": ["op.create_check_constraint('positive', 'a', 'n > 0')"],
    "drop check": ["op.drop_constraint('positive', 'a', type_='check')"],
    "add foreign key": ["op.create_foreign_key('to_p', 'a', 'p', ['p'], ['id'])"],
    "drop foreign key": ["op.drop_constraint('to_p', 'a', type_='foreignkey')"],
    "set not null": ["op.alter_column('a', 'n', existing_type=sa.BigInteger(), nullable=False)"],
    "drop not null": ["op.alter_column('a', 'n', existing_type=sa.BigInteger(), nullable=True)"],
    "text without limit": [
        "op.alter_column('a', 'code', existing_type=sa.String(90), type_=sa.Text(), existing_nullable=False)"
    ],
    "insert rows": ["op.execute('INSERT INTO p (id) VALUES (2)')"],
    "backfill in batches": ["op.backfill('a', {'n': 'id + 1'})"],
}


@dataclass
class Measured:
    """What one operation did.

    Attributes:
        name: the operation.
        grade: the grade of a large table; where it is worse than B, the operation has not run.
        seconds: how long it took.
        stall: the longest statement of the writer meanwhile, in seconds.
        writes: how many statements of the writer ended meanwhile.
    """

    name: str
    grade: str
    seconds: float = 0.0
    stall: float = 0.0
    writes: int = 0

    def __str__(self) -> str:
        if self.grade > "B":
            return f"| {self.name} | {self.grade} | – | – |"
        return f"| {self.name} | {self.grade} | {self.seconds:.2f} s | {self.stall * 1000:.0f} ms |"


def write_rows(url: str, rows: int, pipe: Connection) -> None:
    """The writer: updates rows until its process is ended. A message names the table from then on."""

    async def loop() -> None:
        table, longest, count, number = "a", 0.0, 0, 0
        async with Database(url) as database:
            pipe.send(None)
            while True:
                number = (number * 31 + 7919) % rows
                begun = time.perf_counter()
                await database.execute(f"UPDATE {table} SET writes = writes + 1 WHERE id = {number + 1}")
                longest, count = max(longest, time.perf_counter() - begun), count + 1
                if pipe.poll():
                    table = pipe.recv()
                    pipe.send((longest, count))
                    longest, count = 0.0, 0

    asyncio.run(loop())


class Writer:
    """The writer's process."""

    def __init__(self, url: str, rows: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=write_rows, args=(url, rows, other), daemon=True)
        self.process.start()
        self.pipe.recv()

    async def window(self, table: str) -> tuple[float, int]:
        """Begin to note the writes of a table. Returns the longest one before, in seconds, and how many there were."""
        self.pipe.send(table)
        while not self.pipe.poll():
            await asyncio.sleep(0.001)
            assert self.process.is_alive(), "the writer has failed"
        longest, count = self.pipe.recv()
        return longest, count


def shop(url: str, *, after: bool) -> orm.ModelRegistry:
    """The models, before and after the changes for which `--safe` writes sequences."""
    models = orm.ModelRegistry(database=orm.Database(url))

    class Shelf(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)

    class Book(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        writes = orm.Integer()
        code = orm.String(max_length=70, unique=after)
        pages = orm.Integer(allow_null=not after, default=7)
        note = orm.String(max_length=70, allow_null=True, index=after)
        shelf = orm.ForeignKey(Shelf, allow_null=True) if after else orm.Integer(allow_null=True)

        class Meta:
            constraints = [orm.CheckConstraint(orm.Q(writes__gte=0), name="writes_not_negative")] if after else []

    return models


async def fill(url: str, table: str, columns: str, values: str, rows: int) -> None:
    """Insert rows; `values` is a format of the number of a row."""
    async with Database(url) as database:
        for start in range(1, rows + 1, BATCH):
            numbers = range(start, min(start + BATCH, rows + 1))
            texts = ", ".join(values.format(number) for number in numbers)
            await database.execute(f"INSERT INTO {table} ({columns}) VALUES {texts}")


async def measure_operations(url: str, directory: Path, writer: Writer) -> list[Measured]:
    """Run the operations one by one, each as a revision."""
    models = no_models(url)
    measured = []
    [down] = await migrations.current(models, directory=directory)
    for number, (name, lines) in enumerate(OPERATIONS.items()):
        path = write(directory, f"m{number}", down, lines)
        plan = await migrations.plan(models, directory=directory)
        grade = max((str(row.grade) for row in plan if row.grade is not None), default="A")
        if grade > "B":
            path.unlink()
            measured.append(Measured(name, grade))
            continue
        await writer.window("a")
        begun = time.perf_counter()
        if lines:
            await migrations.upgrade(models, directory=directory, allow="B")
        else:
            await asyncio.sleep(1)
        seconds = time.perf_counter() - begun
        measured.append(Measured(name, grade, seconds, *await writer.window("a")))
        down = f"m{number}"
    return measured


async def measure_sequence(url: str, directory: Path, writer: Writer) -> list[Measured]:
    """Run what `--safe` writes for an index, a unique constraint, a CHECK, a foreign key and NOT NULL."""
    models = shop(url, after=True)
    made = await migrations.make(models, directory=directory, safe=True)
    assert made is not None
    plan = await migrations.plan(models, directory=directory)
    letters = [str(row.grade) for row in plan]
    kinds = "index, UNIQUE, CHECK, foreign key, NOT NULL"
    await writer.window("book")
    begun = time.perf_counter()
    await migrations.upgrade(models, directory=directory, allow=max(letters))
    seconds = time.perf_counter() - begun
    return [Measured(f"`--safe`: {kinds}; {len(plan)} steps", max(letters), seconds, *await writer.window("a"))]


async def measure(url: str, rows: int) -> tuple[str, list[Measured]]:
    """The server, and what each operation and sequence does there. The database must be empty."""
    with tempfile.TemporaryDirectory() as folder:
        directory = set_up(Path(folder) / "migrations")
        before = shop(url, after=False)
        first = await migrations.make(before, directory=directory)
        assert first is not None
        write(directory, "tables", first.revision, TABLE)
        await migrations.upgrade(before, directory=directory)
        await fill(url, "shelf", "id", "({0})", 1)
        await fill(url, "book", "writes, code, note, shelf", "(0, 'code {0}', 'a note', 1)", rows)
        await fill(url, "p", "id", "({0})", 1)
        await fill(url, "a", "id, writes, n, p, code, price", "({0}, 0, 1, 1, 'code {0}', 1.5)", rows)
        async with migrations.connect(url) as connection:
            server = await connection.run_sync(lambda sync: Grading(sync).server_text)
            word = "" if connection.dialect.name == "postgresql" else "TABLE "
            for table in ("a", "book"):
                await connection.execute(sa.text(f"ANALYZE {word}{table}"))
            await connection.commit()
        writer = Writer(url, rows)
        try:
            measured = await measure_sequence(url, directory, writer)
            measured += await measure_operations(url, directory, writer)
        finally:
            writer.process.terminate()
            writer.process.join()
    return server, measured


def main(url: str, rows: str = "500000") -> None:
    """Measure, and print the table."""
    server, measured = asyncio.run(measure(url, int(rows)))
    print(f"| {server}, {int(rows):,} rows | grade | took | longest stall of a writer |\n| --- | --- | --- | --- |")
    for each in measured:
        print(each)


if __name__ == "__main__":
    main(*sys.argv[1:])
