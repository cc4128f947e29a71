"""The two sides that a behaviour runs on: SQLAlchemy's ORM, and ours. They have the same helpers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.schema import CreateTable

import orm
from tests.sessions.sample_models import MODELS, models, sqlalchemy_classes

ROWS: list[tuple[str, list[dict[str, Any]]]] = [
    ("author", [{"id": i, "name": name} for i, name in enumerate(["Ann", "Bob", "Cleo"], 1)]),
    ("tag", [{"id": i, "name": name} for i, name in enumerate(["red", "green", "blue"], 1)]),
    (
        "note",
        [
            {"id": 1, "text": "one", "views": 10, "author": 1},
            {"id": 2, "text": "two", "views": 20, "author": 1},
            {"id": 3, "text": "three", "views": 30, "author": 2},
            {"id": 4, "text": "four", "views": 40, "author": None},
        ],
    ),
    ("note_tags", [{"note": 1, "tag": 1}, {"note": 1, "tag": 2}, {"note": 2, "tag": 1}]),
    ("profile", [{"id": 1, "bio": "writes", "author": 1}]),
    ("employee", [{"id": 1, "name": "boss", "manager": None}, {"id": 2, "name": "clerk", "manager": 1}]),
    ("page", [{"id": 1, "title": "home", "version": 1}, {"id": 2, "title": "about", "version": 1}]),
    ("document", [{"id": 1, "data": {"a": 1}, "plain": {"b": 1}}]),
    ("place", [{"code": "fi", "name": "Finland"}]),
    ("stay", [{"place": "fi", "day": 1, "guests": 2}, {"place": "fi", "day": 2, "guests": 3}]),
]


def label(instance: Any) -> Any:
    """The class and the key of an instance, for comparison."""
    if instance is None:
        return None
    names = ("code",) if type(instance).__name__ == "Place" else ("id",)
    if type(instance).__name__ == "Stay":
        names = ("place", "day")
    return (type(instance).__name__, *(instance.__dict__.get(name) for name in names))


class Side(SimpleNamespace):
    """The models, and what a behaviour does with a session."""

    def labels(self, instances: Any) -> list[Any]:
        """The labels of some instances, sorted."""
        return sorted(map(label, instances), key=repr)

    def label(self, instance: Any) -> Any:
        """The class and the key of an instance."""
        return label(instance)

    def loaded(self, instance: Any, name: str) -> Any:
        """The value of an attribute, or "not loaded"."""
        return instance.__dict__.get(name, "not loaded")

    async def value(self, session: Any, instance: Any, name: str) -> Any:
        """The value of an attribute, which is read from the row if it is not loaded."""
        if name not in instance.__dict__:
            await session.refresh(instance)
        return instance.__dict__[name]


class Ours(Side):
    """Our side."""

    database: orm.Database

    async def all(self, session: orm.Session, model: Any) -> list[Any]:
        """All instances of a model, by key."""
        return await model.objects.order_by("pk")

    async def where(self, session: orm.Session, model: Any, **values: Any) -> list[Any]:
        """The instances with these values, by key."""
        return await model.objects.filter(**values).order_by("pk")

    async def count(self, session: orm.Session, model: Any) -> int:
        """The number of rows that the session sees."""
        return await model.objects.count()

    async def rows(self, model: Any, *names: str) -> list[tuple[Any, ...]]:
        """What is committed."""
        columns = names or tuple(model._meta.by_attname)
        with self.database.detached():
            return [tuple(row) for row in await self._outside(model, columns)]

    async def _outside(self, model: Any, names: tuple[str, ...]) -> Any:
        async def read() -> Any:
            return await model.objects.order_by("pk").values_list(*names)

        return await asyncio.create_task(read())

    def state(self, session: orm.Session, instance: Any) -> str:
        """The state of an instance."""
        return session.state_of(instance)

    def modified(self, session: orm.Session, instance: Any) -> bool:
        """Whether an instance has changes."""
        return session.is_modified(instance)

    async def related(self, session: orm.Session, instance: Any, name: str) -> Any:
        """The related instance, loaded."""
        related = getattr(instance, name)
        return related if related is None else await related

    async def many(self, session: orm.Session, instance: Any, name: str) -> list[Any]:
        """The related instances."""
        return list(await getattr(instance, name).all())

    async def pair(self, session: orm.Session, instance: Any, name: str, *others: Any) -> None:
        """Add to a many-to-many relation."""
        await getattr(instance, name).add(*others)

    async def unpair(self, session: orm.Session, instance: Any, name: str, *others: Any) -> None:
        """Remove from a many-to-many relation."""
        await getattr(instance, name).remove(*others)

    async def eager(self, session: orm.Session, model: Any, name: str, kind: str) -> list[Any]:
        """All instances of a model, with a relation loaded."""
        rows = model.objects.select_related(name) if kind == "joined" else model.objects.prefetch_related(name)
        return await rows.order_by("pk")

    async def core(self, session: orm.Session, statement: Any) -> list[Any]:
        """The rows of a Core statement."""
        return [tuple(row) for row in (await session.execute(statement)).all()]

    async def instances(self, session: orm.Session, model: Any) -> list[Any]:
        """The instances of a Core SELECT of a table."""
        return (await session.execute(sqlalchemy.select(model.table).order_by(*model.table.primary_key))).instances(
            model
        )

    async def update(self, session: orm.Session, model: Any, where: dict[str, Any], **values: Any) -> None:
        """Update rows in one statement."""
        await model.objects.filter(**where).update(**values)

    async def delete_where(self, session: orm.Session, model: Any, **where: Any) -> None:
        """Delete rows in one statement."""
        await model.objects.filter(**where).delete()


class Theirs(Side):
    """SQLAlchemy's side."""

    engine: Any

    async def all(self, session: AsyncSession, model: Any) -> list[Any]:
        return await self.where(session, model)

    async def where(self, session: AsyncSession, model: Any, **values: Any) -> list[Any]:
        key = sqlalchemy.inspect(model).primary_key
        return list((await session.scalars(sqlalchemy.select(model).filter_by(**values).order_by(*key))).all())

    async def count(self, session: AsyncSession, model: Any) -> int:
        return int(await session.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(model)) or 0)

    async def rows(self, model: Any, *names: str) -> list[tuple[Any, ...]]:
        mapper = sqlalchemy.inspect(model)
        columns = [getattr(model, name) for name in names] or [
            getattr(model, mapper.get_property_by_column(column).key) for column in mapper.local_table.columns
        ]
        async with AsyncSession(self.engine) as other:
            return [
                tuple(row) for row in await other.execute(sqlalchemy.select(*columns).order_by(*mapper.primary_key))
            ]

    def state(self, session: AsyncSession, instance: Any) -> str:
        state = sqlalchemy.inspect(instance)
        names = ("transient", "pending", "persistent", "deleted", "detached")
        return next(name for name in names if getattr(state, name))

    def modified(self, session: AsyncSession, instance: Any) -> bool:
        return bool(session.is_modified(instance))

    async def related(self, session: AsyncSession, instance: Any, name: str) -> Any:
        return await session.run_sync(lambda _: getattr(instance, name))

    async def many(self, session: AsyncSession, instance: Any, name: str) -> list[Any]:
        return await session.run_sync(lambda _: list(getattr(instance, name)))

    async def pair(self, session: AsyncSession, instance: Any, name: str, *others: Any) -> None:
        await session.run_sync(lambda _: getattr(instance, name).extend(others))

    async def unpair(self, session: AsyncSession, instance: Any, name: str, *others: Any) -> None:
        await session.run_sync(lambda _: [getattr(instance, name).remove(each) for each in others])

    async def eager(self, session: AsyncSession, model: Any, name: str, kind: str) -> list[Any]:
        load = sqlalchemy.orm.joinedload if kind == "joined" else sqlalchemy.orm.selectinload
        key = sqlalchemy.inspect(model).primary_key
        statement = sqlalchemy.select(model).options(load(getattr(model, name))).order_by(*key)
        return list((await session.scalars(statement)).all())

    async def core(self, session: AsyncSession, statement: Any) -> list[Any]:
        return [tuple(row) for row in await session.execute(statement)]

    async def instances(self, session: AsyncSession, model: Any) -> list[Any]:
        return await self.all(session, model)

    async def update(self, session: AsyncSession, model: Any, where: dict[str, Any], **values: Any) -> None:
        await session.execute(sqlalchemy.update(model).filter_by(**where).values(**values))

    async def delete_where(self, session: AsyncSession, model: Any, **where: Any) -> None:
        await session.execute(sqlalchemy.delete(model).filter_by(**where))


def _tables() -> list[Any]:
    return [*(model.table for model in MODELS), models.metadata.tables["note_tags"]]


@asynccontextmanager
async def theirs(path: Path) -> AsyncIterator[Theirs]:
    """SQLAlchemy's side, on a new SQLite database with the rows."""
    classes = sqlalchemy_classes()
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    # As SQLAlchemy's documentation says, for savepoints on SQLite.
    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    async with engine.begin() as connection:
        for table in models.metadata.sorted_tables:
            await connection.execute(CreateTable(table))
        for name, rows in ROWS:
            await connection.execute(sqlalchemy.insert(models.metadata.tables[name]), rows)
    yield Theirs(engine=engine, tables=models.metadata.tables, **classes)
    await engine.dispose()


async def fill(database: orm.Database) -> None:
    """Create the tables of the models in an empty database, with the rows."""
    models.database = database
    await models.create_all()
    for name, rows in ROWS:
        for row in rows:
            await database.execute(sqlalchemy.insert(models.metadata.tables[name]).values(**row))
        if database.url.dialect == "postgresql" and rows and "id" in rows[0]:
            await database.execute(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {len(rows)})")


async def ours(database: orm.Database) -> Ours:
    """Our side, on an empty database that gets the rows."""
    await fill(database)
    return Ours(database=database, tables=models.metadata.tables, **{model.__name__: model for model in MODELS})
