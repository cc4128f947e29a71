"""The models in `orm`, and how a case runs there."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import orm
from orm.database.connections.server_dialect import known_dialect
from orm.database.query_log.events import QueryEvent
from tests.conformance.models_and_rows import FIRST_FREE_KEY, MODELS, PAIRS, ROWS, Column, Level

models = orm.ModelRegistry()


def _relation(column: Column, options: dict[str, Any]) -> Any:
    names = {"related_name": column.reverse or None, "related_query_name": column.query or None}
    if column.kind == "many":
        through: dict[str, Any] = {"through": column.through or None, "through_fields": column.through_fields}
        return orm.ManyToMany(column.target, symmetrical=column.symmetrical, **names, **through)
    on_delete = orm.RESTRICT if column.restrict else orm.SET_NULL if column.null else orm.CASCADE
    kind = orm.OneToOne if column.kind == "one" else orm.ForeignKey
    return kind(column.target, on_delete=on_delete, to_field=column.to_field or None, **names, **options)


def _field(column: Column) -> Any:
    options: dict[str, Any] = {}
    if column.null:
        options["allow_null"] = True
    if column.unique:
        options["unique"] = True
    if column.default is not None:
        options["default"] = column.default
    if column.target:
        return _relation(column, options)
    make: dict[str, Callable[..., Any]] = {
        "key": lambda **o: orm.Integer(primary_key=True, **o),
        "text": lambda **o: orm.String(max_length=50, allow_blank=True, trim_whitespace=False, **o),
        "integer": orm.Integer,
        "big": orm.BigInteger,
        "small": orm.SmallInteger,
        "float": orm.Float,
        "decimal": lambda **o: orm.Decimal(max_digits=10, decimal_places=2, **o),
        "boolean": orm.Boolean,
        "date": orm.Date,
        "time": orm.Time,
        "datetime": lambda **o: orm.DateTime(timezone=True, **o),
        "duration": orm.Duration,
        "uuid": orm.UUID,
        "binary": orm.Binary,
        "json": orm.JSON,
        "level": lambda **o: orm.Enum(Level, **o),
    }
    return make[column.kind](**options)


def _model(name: str, columns: dict[str, Column]) -> type[orm.Model]:
    fields = {key: _field(column) for key, column in columns.items()}
    body = {"__module__": __name__, "__qualname__": name, "registry": models, **fields}
    model: type[orm.Model] = type(orm.Model)(name, (orm.Model,), body)
    return model


m = SimpleNamespace(**{name: _model(name, columns) for name, columns in MODELS.items()})


class _Names:
    """The namespace `o` of cases: `orm` and `orm.functions`, and types under names that both sides have."""

    IntegerType = orm.Integer
    FloatType = orm.Float
    TextType = orm.Text
    BooleanType = orm.Boolean
    JsonType = orm.JSON
    DateType = orm.Date

    def __init__(self) -> None:
        self._modules: list[Any] = [orm]
        if importlib.util.find_spec("orm.functions") is not None:
            self._modules.append(importlib.import_module("orm.functions"))

    def __getattr__(self, name: str) -> Any:
        for module in self._modules:
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"orm has no {name}")

    def decimal_type(self) -> Any:
        """The type of decimals with two places."""
        return orm.Decimal(max_digits=12, decimal_places=2)

    def equal(self, left: Any, right: Any) -> orm.Q:
        """The condition that an expression equals a value."""
        return orm.Q(left == right)

    def deleted(self, result: Any, model: str) -> int:
        """The number of rows of the model itself that `delete()` reports."""
        assert isinstance(result, int)
        return result


o = _Names()


class Subject:
    """`orm` on one database, with its own event loop."""

    m = m
    o = o

    def __init__(self, url: str) -> None:
        self.url = url
        self.loop = asyncio.new_event_loop()
        self.database = orm.Database(url)

    def use(self) -> None:
        """Make the models use this database."""
        models.database = self.database

    @property
    def server(self) -> str:
        """The dialect of the server: "mariadb" or "mysql" behind the same URL."""
        return known_dialect(self.database).name

    def fill(self) -> None:
        """Create the tables and insert the rows."""
        self.use()
        self.loop.run_until_complete(self._fill())

    async def _fill(self) -> None:
        await self.database.connect()
        await models.create_all()
        for name, rows in ROWS.items():
            await getattr(m, name).objects.bulk_create(rows)
            if self.url.startswith("postgresql"):
                table = getattr(m, name).table.name
                await self.database.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {FIRST_FREE_KEY})")
        for (name, relation), pairs in PAIRS.items():
            end = getattr(m, name)._meta.accessors[relation]
            local, remote = end.local_key.attname, end.remote_key.attname
            await end.through.objects.bulk_create([{local: one, remote: other} for one, other in pairs])

    def close(self) -> None:
        """Disconnect."""
        self.loop.run_until_complete(self.database.disconnect())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def run(self, case: Callable[..., Any], *, undo: bool) -> tuple[Any, list[str]]:
        """The result of a case, and the statements that it sent. `undo`: in a transaction that is rolled back."""
        statements: list[str] = []

        def heard(event: QueryEvent) -> None:
            statements.append(event.sql)

        self.use()
        self.database.add_hook(heard)
        try:
            return self.loop.run_until_complete(self._undone(case) if undo else self._run(case)), statements
        finally:
            self.database.remove_hook(heard)

    async def _undone(self, case: Callable[..., Any]) -> Any:
        async with self.database.transaction(force_rollback=True):
            return await self._run(case)

    async def _run(self, case: Callable[..., Any]) -> Any:
        result = case(m, o)
        if not isinstance(result, Generator):
            return await result if inspect.isawaitable(result) else result
        sent: Any = None
        thrown: Exception | None = None
        while True:
            try:
                item = result.throw(thrown) if thrown is not None else result.send(sent)
            except StopIteration as stop:
                return stop.value
            thrown = None
            try:
                sent = await item if inspect.isawaitable(item) else item
            except (orm.Error, orm.ValidationError, IndexError) as error:
                thrown = error
