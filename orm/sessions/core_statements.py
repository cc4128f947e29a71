"""Statements of SQLAlchemy Core in a session: `session.execute()`, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy
from sqlalchemy import Executable, Row
from sqlalchemy.engine import result_tuple
from sqlalchemy.sql.dml import Delete, Insert, Update, UpdateBase

from orm.database.connections import statements
from orm.database.connections.server_dialect import dialect_of
from orm.exceptions import MultipleMatches, NoMatch, QueryError

if TYPE_CHECKING:
    from orm.database.dialect import Dialect
    from orm.models import Model
    from orm.sessions.statement_hooks import StatementHooks

M = TypeVar("M", bound="Model")
T = TypeVar("T")


class Rows(list[T]):
    """A list with the methods of SQLAlchemy's results. It is read at once, so that they can be called again."""

    def all(self) -> list[T]:
        """All rows."""
        return list(self)

    def first(self) -> T | None:
        """The first row, or None."""
        return self[0] if self else None

    def one(self) -> T:
        """The only row. Raises `NoMatch` or `MultipleMatches` if there is none or more than one."""
        if not self:
            raise NoMatch("The statement has no row.")
        if len(self) > 1:
            raise MultipleMatches(f"The statement has {len(self)} rows, and one() expects one.")
        return self[0]

    def one_or_none(self) -> T | None:
        """The only row, or None. Raises `MultipleMatches` if there is more than one."""
        return self.one() if self else None


class Result(Rows[Row[Any]]):
    """The rows of a statement: SQLAlchemy's, which are tuples with attributes; as dicts, or as the session's instances.

    Example:
        result = await session.execute(sqlalchemy.select(Note.table))
        texts = [row.text for row in result]
    """

    def __init__(self, session: StatementHooks, names: Sequence[str], rows: Sequence[Any], rowcount: int = -1) -> None:
        super().__init__(map(result_tuple(names), rows))
        self._session = session
        self._names = tuple(names)
        self.rowcount = rowcount
        """How many rows an UPDATE or DELETE has matched; -1 for other statements."""

    def keys(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self._names

    def scalars(self) -> Rows[Any]:
        """The first column of all rows."""
        return Rows([row[0] for row in self])

    def scalar(self) -> Any:
        """The first column of the first row, or None."""
        return self[0][0] if self else None

    def scalar_one(self) -> Any:
        """The first column of the only row."""
        return self.one()[0]

    def scalar_one_or_none(self) -> Any:
        """The first column of the only row, or None."""
        row = self.one_or_none()
        return None if row is None else row[0]

    def mappings(self) -> Rows[dict[str, Any]]:
        """All rows as dicts."""
        return Rows([dict(zip(self._names, row, strict=True)) for row in self])

    def instances(self, model: type[M]) -> Rows[M]:
        """The session's instances of the rows, whose columns are those of the model's table.

        Columns that are no fields become attributes. Raises `QueryError` unless the primary key is selected.
        """
        info = model._meta
        by_column = {field.column_name: field.attname for field in info.fields.values()}
        missing = [field.name for field in info.pk_fields if field.column_name not in self._names]
        if missing:
            raise QueryError(f"instances({info.name}) needs the primary key, and {', '.join(missing)} is not selected.")
        attributes = [by_column.get(name, name) for name in self._names]
        instances = []
        for row in self:
            instance = model.__new__(model)
            instance.__dict__.update(zip(attributes, row, strict=True))
            instances.append(instance)
        return Rows(self._session.mapped(instances, None, nested=False, fresh=False))


async def execute(session: StatementHooks, statement: Executable | str, values: Mapping[str, Any] | None) -> Result:
    """Run a statement in the session's transaction."""
    if isinstance(statement, str):
        statement = sqlalchemy.text(statement)
    if not isinstance(statement, Executable):
        raise QueryError(_is_no_statement(statement))
    database: Any = session.database
    dialect = await dialect_of(database)
    sql, arguments, columns = _compiled(dialect, statement, values or {})
    is_write = isinstance(statement, UpdateBase)
    if is_write and not columns:
        outcome = await statements.execute(database, sql, arguments)
        result = Result(session, (), (), outcome.rowcount)
    else:
        names, rows = await statements.fetch_named(database, sql, arguments)
        result = Result(session, names, _converted(dialect, columns, rows), len(rows) if is_write else -1)
    if isinstance(statement, (Insert, Update, Delete)):
        for info in {model._meta for unit in (session,) for model in _models_of(unit, statement.table)}:
            await session.synchronize(info)
    return result


def _is_no_statement(value: Any) -> str:
    model = value if hasattr(value, "_meta") else getattr(value, "model", None)
    name = getattr(model, "__name__", None)
    hint = "" if name is None else f" Use sqlalchemy.select({name}.table), or `await {name}.objects`."
    return f"session.execute() takes a SQLAlchemy statement or SQL, got {type(value).__name__}.{hint}"


def _models_of(session: StatementHooks, table: Any) -> list[type[Model]]:
    return [state.info.model for state, _ in session._identity_map if state.info.table is table]


def _compiled(dialect: Dialect, statement: Executable, values: Mapping[str, Any]) -> tuple[str, list[Any], list[Any]]:
    """The SQL of a statement, its arguments in the driver's form, and the types of its columns."""
    element: Any = statement
    compiled: Any = element.compile(
        dialect=dialect.sqlalchemy, compile_kwargs={"render_postcompile": True}, column_keys=list(values) or None
    )
    parameters = compiled.construct_params(dict(values), extracted_parameters=None)
    processors = compiled._bind_processors
    arguments = [
        processors[name](parameters[name]) if name in processors else parameters[name]
        for name in compiled.positiontup or []
    ]
    columns = [each[3] for each in compiled._result_columns] if compiled._result_columns else []
    return compiled.string, arguments, columns


def _converted(dialect: Dialect, types: Sequence[Any], rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    processors = [type_.dialect_impl(dialect.sqlalchemy).result_processor(dialect.sqlalchemy, None) for type_ in types]
    if not any(processors):
        return [tuple(row) for row in rows]
    return [
        tuple(value if process is None else process(value) for process, value in zip(processors, row, strict=True))
        for row in rows
    ]
