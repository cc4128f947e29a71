"""`models_at()`: the models as they were at a revision, for changes of rows in `upgrade()` and `downgrade()`."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterator
from typing import Any, TypeVar

import sqlalchemy
from alembic import op
from alembic.script import ScriptDirectory
from sqlalchemy.util import await_only

from orm.database.connections import databases_internals
from orm.database.dialect_registry import dialect_for
from orm.exceptions import MigrationError
from orm.migrations.field_states import Decoder
from orm.migrations.progress import PROGRESS
from orm.migrations.recording import DIRECTORY, RecordingBind
from orm.migrations.states import State, state_at
from orm.models import Model
from orm.registry import ModelRegistry
from orm.relations import ManyToMany

T = TypeVar("T")


def models_at(revision: str) -> HistoricalModels:
    """The models as they are after a revision, in `upgrade()` or `downgrade()` of one that follows it.

        def upgrade() -> None:
            models = migrations.models_at("1c0a7d5e2f41")
            models.run(models.Track.objects.filter(rating=None).update(rating=0))

    They have the fields, relations and managers of then, and none of the classes' own methods.

    Raises:
        MigrationError: there is no such revision, or no snapshot was written at it or before it.
    """
    context = op.get_context()
    environment = context.environment_context
    directory: ScriptDirectory | None = context.opts.get(DIRECTORY) if environment is None else environment.script
    if directory is None:
        raise MigrationError("models_at() is for upgrade() and downgrade() of a revision")
    state = state_at(directory, revision)
    if state is None:
        raise MigrationError(
            f"no snapshot of the models was written at {revision} or before it: `orm makemigrations` writes one beside "
            "each revision that it makes"
        )
    return HistoricalModels(revision, state)


class HistoricalModels:
    """The models of a snapshot, by their names: ``models.Track``, ``models["Track"]``."""

    def __init__(self, revision: str, state: State) -> None:
        self.revision = revision
        self.registry = ModelRegistry()
        decoder = Decoder()
        for name, model in state["models"].items():
            options = {"tablename": model["table"], "managed": False, "ordering": model["ordering"]}
            if "schema" in model:
                options["schema"] = model["schema"]
            body: dict[str, Any] = {name: decoder.field(each) for name, each in model["fields"].items()}
            for relation, arguments in model["many_to_many"].items():
                pairs: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in arguments.items()}
                body[relation] = ManyToMany(**{key: v for key, v in pairs.items() if v is not None})
            body |= {"registry": self.registry, "Meta": type("Meta", (), options), "__module__": __name__}
            metaclass: Any = type(Model)
            metaclass(name, (Model,), body)

    def __getattr__(self, name: str) -> Any:
        """A model. Raises `AttributeError` with the names of all, if there is none of this name."""
        models = self.__dict__["registry"].models
        if name not in models:
            raise AttributeError(f"there was no model {name!r} at {self.revision}: the models are {', '.join(models)}")
        return models[name]

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.registry.models.values())

    def run(self, work: Awaitable[T], *, grade: str | None = None) -> T | None:
        """Await a query or a coroutine, on the connection and in the transaction of the migration. Returns its result.

        When a revision is only read, to find its operations, nothing is awaited, and the result is None. `grade`, "A"
        to "D", is what `orm migrate --plan` says of it: D without one, because it is not known what it does.

        Raises:
            MigrationError: there is no connection (`--sql`), or its driver is not asynchronous.
        """
        bind: Any = op.get_bind()
        name = getattr(work, "__qualname__", type(work).__name__)
        if isinstance(bind, RecordingBind):
            _discard(work)
            mark = "" if grade is None else f"/* grade: {grade} */ "
            bind.execute(sqlalchemy.text(f"{mark}rows changed by {name}() with the models of {self.revision}"))
            return None
        if op.get_context().as_sql or bind is None:
            _discard(work)
            raise MigrationError(
                f"{name}() changes rows with models, which cannot be written as SQL: run `orm migrate`"
            )
        if not bind.dialect.is_async:
            _discard(work)
            raise MigrationError(
                f"{name}() needs an asynchronous driver, not {bind.dialect.driver}: see the env.py of orm"
            )
        progress = bind.info.get(PROGRESS)
        if progress is not None and progress.passes_over_rows():
            _discard(work)
            return None
        is_alone = bind.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        if not is_alone:
            bind.exec_driver_sql("SELECT 1")  # the transaction begins with the first statement
        self.registry.database = _database_of(bind, in_transaction=not is_alone)

        async def awaited() -> T:
            async with dialect_for(bind.dialect).schema_changes.lent(bind):
                return await work

        return await_only(awaited())


def _discard(work: Any) -> None:
    if inspect.iscoroutine(work):
        work.close()


def _database_of(bind: sqlalchemy.Connection, *, in_transaction: bool) -> Any:
    """A database on the connection of a migration."""
    raw: Any = bind.connection.driver_connection
    dialect = dialect_for(bind.dialect)
    driver = next(each for each in dialect.drivers if each.package == bind.dialect.driver)
    url = bind.engine.url.render_as_string(hide_password=False)
    return databases_internals.lend(url, driver.databases_backend, raw, in_transaction=in_transaction)
