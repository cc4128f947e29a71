"""Instances from the user's own SQL: `Model.raw(sql, values)`."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import databases
import sqlalchemy

from orm.database.connections import schemas, statements
from orm.database.connections.replicas import routing_database
from orm.database.connections.server_dialect import dialect_of
from orm.database.connections.units_of_work import current_unit, open_units
from orm.database.dialect import Dialect
from orm.exceptions import QueryError
from orm.fields.values import value_field
from orm.query.plans.cache import plans
from orm.query.plans.plan import Plan, UnstorableArgument, make_plan, result_processors
from orm.query.projection import kinds_of
from orm.rows.readers import Entity, Process, Reader, read_instances

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

M = TypeVar("M", bound="Model")


class RawQuerySet(Generic[M]):
    """The instances that a statement selects. Await it for a list.

    Columns are matched to fields by name; other columns become attributes. Fields that are not selected are not
    loaded. The primary key must be selected.
    """

    def __init__(
        self,
        info: ModelInfo,
        sql: str,
        values: Mapping[str, Any] | None = None,
        database: databases.Database | None = None,
    ) -> None:
        if not isinstance(sql, str):
            raise QueryError(f"{info.name}.raw() takes SQL as text, got {type(sql).__name__}.")
        if not isinstance(values, Mapping | None):
            raise QueryError(
                f"{info.name}.raw() takes the values of its :name placeholders by name, {{'name': value}}, "
                f"got {type(values).__name__}."
            )
        self._info = info
        self._sql = sql
        self._values = dict(values or {})
        self._using = database

    def using(self, database: databases.Database) -> RawQuerySet[M]:
        """The same statement on another database."""
        return RawQuerySet(self._info, self._sql, self._values, database)

    def __await__(self) -> Generator[Any, None, list[M]]:
        return self._fetch().__await__()

    async def _fetch(self) -> list[M]:
        database = self._using or self._info.registry.database
        using = database if self._using is not None or schemas.is_schema(database) else None
        dialect = await dialect_of(database)
        fields = {name: value_field(value) for name, value in self._values.items() if value is not None}
        kinds = tuple((name, repr(field.comparison_type())) for name, field in fields.items())
        names = tuple(self._values)

        def make() -> Plan:
            statement = sqlalchemy.text(self._sql)
            wanted = set(statement.compile().params)
            if wanted != set(names):
                raise QueryError(
                    f"{self._info.name}.raw(): the SQL has the placeholders {_listed(wanted)}, "
                    f"the values given are {_listed(names)}."
                )
            return make_plan(
                dialect,
                _numbered(
                    statement,
                    {name: fields[name].comparison_type() if name in fields else sqlalchemy.Text() for name in names},
                ),
            )

        plan = plans.get((dialect, "raw", self._sql, names, kinds), make)
        try:
            sql, arguments = plan.statement(tuple(self._values.values()))
        except UnstorableArgument as error:
            raise QueryError(
                f"{self._info.name}.raw(): the value {names[error.position]!r} cannot be sent to the database: "
                f"{error.reason}"
            ) from error
        columns, rows = await statements.fetch_named(database, sql, arguments, self._info.options.consistency)
        instances: list[M] = self._reader(dialect, tuple(columns))(rows)
        if using is not None:
            for instance in instances:
                instance.__dict__["_database"] = routing_database(using)
        unit = current_unit(database) if open_units else None
        return instances if unit is None else unit.mapped(instances, None, nested=False, fresh=False)

    def _reader(self, dialect: Dialect, columns: tuple[str, ...]) -> Reader:
        def make() -> Reader:
            info = self._info
            table = info.require_table()
            fields = info.fields.values() if info.discriminator is None else info.loaded_fields()
            by_column = {field.column_name: field for field in fields}
            missing = [f.name for f in info.pk_fields if f.column_name not in columns]
            if missing:
                raise QueryError(f"{info.name}.raw() must select the primary key, and {_listed(missing)} is missing.")
            attributes: list[str] = []
            processors: list[Process | None] = []
            for name in columns:
                field = by_column.get(name)
                if field is None and not name.isidentifier():
                    raise QueryError(
                        f"{info.name}.raw(): the column {name!r} is not a field and cannot be an attribute: "
                        "give it a name with AS."
                    )
                attributes.append(name if field is None else field.attname)
                processors += [None] if field is None else result_processors(dialect, [table.c[name]])
            kinds = kinds_of(info, [*map(by_column.get, columns)]) if info.discriminator is not None else None
            keys = tuple(field.attname for field in info.pk_fields)
            entity = Entity(info.model, tuple(attributes), keys, kinds=kinds)
            return read_instances([entity], processors)

        return plans.get((dialect, "raw rows", self._info, columns), make)


def _numbered(
    statement: sqlalchemy.TextClause, types: Mapping[str, sqlalchemy.types.TypeEngine[Any]]
) -> sqlalchemy.TextClause:
    """The statement with its parameters renamed by position, as plans expect them."""
    for position, (name, type_) in enumerate(types.items()):
        statement._bindparams[name] = sqlalchemy.bindparam(f"p{position}", type_=type_, required=True)
    return statement


def _listed(names: Sequence[str] | set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
