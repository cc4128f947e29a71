"""Ten `--safe` migrations under an application that reads and writes throughout: it sees no error.

While a migration runs, the application has the code of the release before it. Afterwards it has both for a while, as
in a deployment, and then the new one alone. Before each statement of a migration it works on, until it waits for a
lock. Its transactions have `retries`, because PostgreSQL ends those that began before the type of a column changed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy.util import await_only

import orm
from orm import migrations
from orm.database.connections.database import Database
from tests.migrations.hand_written import set_up, write
from tests.migrations.test_rename_in_two_releases import lines_of

Change = dict[str, Any]
#: What each migration changes in the fields of `Track`, by its name; None takes a field away.
CHANGES: dict[str, Change] = {
    "index": {"title": orm.String(max_length=100, index=True)},
    "unique": {"code": orm.String(max_length=20, unique=True)},
    "foreign key": {"album": orm.ForeignKey("Album", allow_null=True)},
    "new column": {"rating": orm.Integer(allow_null=True, default=5)},
    "required": {"rating": orm.Integer(default=5)},
    "check": {"plays": orm.PositiveInteger(default=0)},
    "type": {"title": orm.String(max_length=200, index=True)},
    "rename, new name": {"index": orm.Integer(allow_null=True)},
    "rename, old name retired": {"position": orm.Integer(retired=True)},
    "drop": {"position": None, "index": orm.Integer()},
}
FIRST: Change = {
    "position": orm.Integer(),
    "title": orm.String(max_length=100),
    "code": orm.String(max_length=20),
    "album": orm.Integer(allow_null=True),
    "plays": orm.Integer(default=0),
}
LOSES = {"drop"}
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def release(url: str, fields: Change) -> orm.ModelRegistry:
    """The models of a release."""
    models = orm.ModelRegistry(database=orm.Database(url))
    common = {"registry": models, "__module__": __name__}
    type(orm.Model)("Album", (orm.Model,), {**common, "id": orm.Integer(primary_key=True)})
    type(orm.Model)("Track", (orm.Model,), {**common, "id": orm.Integer(primary_key=True), **fields})
    return models


class Application:
    """Reads and writes all the time, with the code of one release or two.

    Attributes:
        releases: the models of each.
        steps: how many statements have ended.
        rounds: how many rounds of work have ended.
        errors: what went wrong.
    """

    def __init__(self, *releases: orm.ModelRegistry) -> None:
        self.releases = releases
        self.steps = 0
        self.rounds = 0
        self.errors: list[Exception] = []
        self.progress = asyncio.Condition()

    async def work(self) -> None:
        """Work until the task is cancelled."""
        while True:
            for models in self.releases:
                try:
                    await self._round(models)
                except (orm.Error, AssertionError) as error:
                    self.errors.append(error)
                    self.steps += 1  # nobody waits for ever
            self.rounds += 1
            async with self.progress:
                self.progress.notify_all()

    async def _round(self, models: orm.ModelRegistry) -> None:
        track: Any = models.models["Track"]
        name = "position" if "position" in track.fields else "index"
        number = self.steps
        made = await track.objects.create(**{name: number, "title": "new", "code": f"c{number}", "album": 1})
        self.steps += 1
        read = await track.objects.get(id=made.id)
        assert (getattr(read, name), read.code, read.plays) == (number, f"c{number}", 0)
        self.steps += 1

        @models.database.transaction(retries=3)
        async def play() -> None:
            await track.objects.filter(id=made.id).update(**{name: number + 1}, plays=1)
            [row] = await track.objects.filter(code=f"c{number}")
            assert (getattr(row, name), row.plays) == (number + 1, 1)

        await play()
        self.steps += 1
        await track.objects.filter(id=1).update(title="old")  # a row from before all migrations
        await track.objects.order_by("-id")[:5]
        self.steps += 1

    async def goes_on(self, rounds: int) -> None:
        """Wait until so many rounds have ended."""
        last = self.rounds + rounds
        async with self.progress:
            await self.progress.wait_for(lambda: self.rounds >= last)

    async def goes_on_or_waits(self, database: Database) -> None:
        """Wait until a statement has ended, or waits for a lock of the migration."""
        last = self.steps + 1
        for _ in iter(lambda: self.steps >= last, True):
            if await database.fetch_val(WAITING):
                return
            await asyncio.sleep(0.005)


def take_trigger_away(path: Path) -> None:
    """Write what drops the trigger of the rename at the beginning of a revision."""
    lines = "".join(f"    {line}\n" for line in lines_of("downgrade"))
    path.write_text(path.read_text().replace("def upgrade() -> None:\n", f"def upgrade() -> None:\n{lines}", 1))


async def test_application_sees_no_error_in_ten_safe_migrations(postgresql_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    fields = dict(FIRST)
    old = release(postgresql_url, fields)
    await migrations.make(old, directory=directory)
    await migrations.upgrade(old, directory=directory)
    application = Application(old)
    async with Database(postgresql_url) as database:
        await database.execute("INSERT INTO album (id) VALUES (1)")
        await database.execute("INSERT INTO track (position, title, code, plays) VALUES (1, 'first', 'first', 0)")
        await old.database.connect()
        work = asyncio.create_task(application.work())

        async def migrate(models: orm.ModelRegistry, name: str) -> None:
            letters = {str(row.grade) for row in await migrations.plan(models, directory=directory)}
            assert (max(letters) > "B") is (name in LOSES), (name, letters)
            await migrations.upgrade(
                models,
                directory=directory,
                allow=max(letters),
                on_statement=lambda sql: await_only(application.goes_on_or_waits(database)),
            )

        for name, change in CHANGES.items():
            fields = {key: field for key, field in {**fields, **change}.items() if field is not None}
            new = release(postgresql_url, fields)
            made = await migrations.make(new, name, directory=directory, safe=True)
            assert made is not None and made.path is not None, name
            if name == "drop":
                take_trigger_away(made.path)
            await migrate(new, name)
            if name == "rename, new name":
                write(directory, "mirror", made.revision, lines_of("upgrade"), lines_of("downgrade"))
                await migrate(new, name)
            await new.database.connect()
            application.releases = old, new
            await application.goes_on(2)
            application.releases = (new,)
            await application.goes_on(2)
            await old.database.disconnect()
            assert not application.errors, (name, application.errors)
            old = new
        work.cancel()
        await asyncio.wait([work])
        assert application.rounds >= 4 * len(CHANGES)
        assert await migrations.make(old, directory=directory) is None
        assert await database.fetch_val("SELECT count(*) FROM track WHERE index IS NULL OR rating IS NULL") == 0
        assert await database.fetch_val("SELECT index FROM track WHERE code = 'first'") == 1
    await old.database.disconnect()
