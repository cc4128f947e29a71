"""Checks, in one statement before a write, whether the constraints of the database would accept a row.

Another task can write a row with the same values meanwhile, so only the constraint itself is a guarantee.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import databases
import sqlalchemy
from sqlalchemy import ClauseElement, ColumnElement, FromClause
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.sql.operators import not_in_op
from typesystem import Message

from orm.database.connections import statements
from orm.database.connections.server_dialect import dialect_of
from orm.database.dialect import Dialect
from orm.database.sql import operators
from orm.database.sql.ddl import is_made_on
from orm.database.storage import UnstorableValue
from orm.fields import Field
from orm.fields.base import NO_DEFAULT
from orm.functions.base import Value
from orm.mapping.constraints import BoundConstraint, ExclusionConstraint, UniqueConstraint, fields_read
from orm.mapping.indexes import Index
from orm.mapping.violations import MISSING_REFERENCE, constraint_message, unique_text
from orm.query.plans.cache import plans
from orm.query.plans.plan import Plan, make_plan
from orm.query.rendering import BindNumbering
from orm.query.resolving.expressions import is_expression

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

YES: ColumnElement[Any] = sqlalchemy.literal_column("1")
NO: ColumnElement[Any] = sqlalchemy.literal_column("0")


@dataclass(frozen=True)
class Check:
    """One constraint that a row is checked against."""

    fields: tuple[str, ...]
    """The fields that the message is under."""
    reads: frozenset[str]
    """All fields that it depends on and that are not generated."""
    generated: frozenset[str]
    """The generated fields that it reads, whose values are calculated from those."""
    keys: tuple[ColumnElement[Any], ...]
    comparisons: tuple[str, ...]
    """How each key is compared with that of another row."""
    condition: ClauseElement | None
    nulls_are_equal: bool
    text: str
    code: str
    referred: tuple[sqlalchemy.Column[Any], ...] = ()
    """For a foreign key: the columns that its own refer to."""


async def constraint_messages(
    instance: Model, database: databases.Database, exclude: Collection[str] = ()
) -> list[Message]:
    """The messages of the constraints that the instance's values would violate. Its own row is not compared.

    Constraints are not checked if they depend on fields that are in `exclude`, are not loaded, or are set to an
    expression.
    """
    info = instance._meta.relation_owner
    messages: list[Message] = []
    for table_owner in (info, *info.ancestors):  # in multi-table inheritance a row is in several tables
        messages += await messages_of_table(table_owner, instance, database, exclude)
    return messages


async def messages_of_table(
    info: ModelInfo,
    instance: Model,
    database: databases.Database,
    exclude: Collection[str] = (),
    constraints: Iterable[BoundConstraint] | None = None,
) -> list[Message]:
    """The messages of the constraints of one model's table, or of `constraints` alone; and of unfit values.

    A generated column is calculated from the instance's values, and a value that the database will set by default is
    not missing.
    """
    local = info.local_fields if info.ancestors else info.fields
    values = _known_values(instance, local.values(), exclude)
    dialect = await dialect_of(database)
    refusals = _unstorable(dialect, local, values)
    messages = [Message(text=text, code="invalid", index=[name]) for name, text in refusals.items()]
    values = {name: value for name, value in values.items() if name not in refusals}
    key = info.pk_fields
    is_stored = bool(instance._persisted) and all(values.get(field.name) is not None for field in key)
    if constraints is None:
        checks = [*_checks(info, dialect, is_stored=is_stored), *_reference_checks(info, values)]
    else:
        checks = [_check_of(info, bound) for bound in constraints]
    checks = [check for check in checks if not check.generated & {*exclude} and _applies(check, values)]
    if not checks:
        return messages
    names = {name for check in checks for name in check.reads}
    names.update(field.name for field in key if is_stored)
    fields = [field for name, field in local.items() if name in names]

    def make() -> Plan:
        return make_plan(dialect, _statement(info, checks, fields, is_stored=is_stored))

    asked = tuple(
        (check.keys, check.comparisons, check.condition, check.nulls_are_equal, check.referred) for check in checks
    )
    plan = plans.get((dialect, "constraints", info, asked, tuple(names), is_stored), make)
    sql, arguments = plan.statement(tuple(values[field.name] for field in fields))
    [row] = await statements.fetch(database, sql, arguments)
    violated = [check for check, is_violated in zip(checks, tuple(row), strict=True) if is_violated]
    for check in violated:
        indexes: list[list[int | str]] = [[name] for name in check.fields] or [[]]
        messages += [Message(text=check.text, code=check.code, index=index) for index in indexes]
    return messages


def _known_values(instance: Model, fields: Iterable[Field[Any]], exclude: Collection[str]) -> dict[str, Any]:
    """The values of the row as far as they are known before it is written, by the names of the fields."""
    attributes = instance.__dict__
    values = {}
    for field in fields:
        if field.name in exclude or field.generated_by is not None:
            continue
        default = NO_DEFAULT if instance._persisted else _value_if_missing(field)
        value = attributes.get(field.attname, default)
        if value is not NO_DEFAULT and not is_expression(value):
            values[field.name] = value
    return values


def _unstorable(dialect: Dialect, fields: Mapping[str, Field[Any]], values: Mapping[str, Any]) -> dict[str, str]:
    """Why columns cannot store values, such as an integer of too many bits, by the names of the fields."""
    reasons = {}
    for name, value in values.items():
        type_ = fields[name].column_type().dialect_impl(dialect.sqlalchemy)
        process = type_.bind_processor(dialect.sqlalchemy)
        try:
            if process is not None:
                process(value)
        except UnstorableValue as error:
            reasons[name] = str(error)
    return reasons


def _value_if_missing(field: Field[Any]) -> Any:
    """The value of a field that a new row does not name; `NO_DEFAULT` if only the database knows it."""
    default = field.server_default
    if default is None:
        return None if field.allow_null else NO_DEFAULT
    if isinstance(default, str):
        return field.validator.validate(default)
    return field.to_python(default.value) if isinstance(default, Value) else NO_DEFAULT


def _applies(check: Check, values: Mapping[str, Any]) -> bool:
    """Whether all values are known, and no key is NULL, which never equals another value."""
    if not check.reads or not check.reads <= values.keys():
        return False
    if not check.keys or check.nulls_are_equal:
        return True
    plain = len(check.fields) == len(check.keys) and all(isinstance(key, sqlalchemy.Column) for key in check.keys)
    return not plain or bool(check.generated) or all(values[name] is not None for name in check.fields)


def _checks(info: ModelInfo, dialect: Dialect, *, is_stored: bool) -> Iterator[Check]:
    """The constraints of a model that the database has; for a new row, also the primary key."""
    table = info.require_table()
    groups: list[Sequence[Field[Any]]] = [] if is_stored else [info.pk_fields]
    local = info.local_fields if info.ancestors else info.fields
    groups += [(field,) for field in local.values() if field.unique and not field.primary_key]
    for group in groups:
        names = tuple(field.name for field in group)
        yield Check(
            names,
            *_read_fields(info, names),
            tuple(table.c[field.column_name] for field in group),
            ("=",) * len(names),
            None,
            False,
            unique_text(info, names),
            "unique",
        )
    for bound in info.constraints:
        if is_made_on(bound.item, dialect.sqlalchemy) and _is_checked(bound):
            yield _check_of(info, bound)


def _reference_checks(info: ModelInfo, values: Mapping[str, Any]) -> Iterator[Check]:
    """The foreign keys of a model's table, without those by which the row refers to itself or to its parent's row."""
    table = info.require_table()
    fields = {
        field.column_name: field.name for field in (info.local_fields if info.ancestors else info.fields).values()
    }
    for key in sorted(table.foreign_key_constraints, key=lambda key: tuple(key.column_keys)):
        columns, referred = tuple(key.columns), tuple(element.column for element in key.elements)
        names = tuple(fields[column.name] for column in columns if column.name in fields)
        is_parent_link = bool(info.ancestors) and all(column.primary_key for column in columns)
        if len(names) < len(columns) or is_parent_link:
            continue
        if key.referred_table is table and all(
            values.get(name) == values.get(fields.get(column.name, ""))
            for name, column in zip(names, referred, strict=True)
        ):
            continue
        comparisons = ("=",) * len(names)
        read = _read_fields(info, names)
        yield Check(names, *read, columns, comparisons, None, False, MISSING_REFERENCE, "reference", referred=referred)


def _is_checked(bound: BoundConstraint) -> bool:
    return not isinstance(bound.declared, Index) or bound.declared.unique


def _check_of(info: ModelInfo, bound: BoundConstraint) -> Check:
    declared = bound.declared
    read = set(bound.fields)
    if bound.condition is not None:
        read.update(fields_read(info, bound.condition))
    comparisons = ["="] * len(bound.keys)
    if isinstance(declared, ExclusionConstraint):
        comparisons = [operator for _, operator in declared.expressions]
    nulls_are_equal = isinstance(declared, (Index, UniqueConstraint)) and declared.nulls_distinct is False
    text, code = constraint_message(info, bound)
    return Check(
        bound.fields,
        *_read_fields(info, read),
        bound.keys,
        tuple(comparisons),
        bound.condition,
        nulls_are_equal,
        text,
        code,
    )


def _read_fields(info: ModelInfo, names: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The fields on which these fields depend and that are not generated, and those of these that are generated."""
    table = info.require_table()
    stored, generated = set(), set()
    for name in names:
        computed = table.c[info.fields[name].column_name].computed
        if info.fields[name].generated_by is None or computed is None:
            stored.add(name)
        else:
            generated.add(name)
            stored.update(fields_read(info, computed.sqltext))
    return frozenset(stored), frozenset(generated)


def _statement(
    info: ModelInfo, checks: Sequence[Check], fields: Sequence[Field[Any]], *, is_stored: bool
) -> sqlalchemy.Select[Any]:
    """A SELECT of one row, which has for each check whether it is violated."""
    table = info.require_table()
    binds = BindNumbering()
    columns = [table.c[field.column_name] for field in fields]
    # In a UNION with the table's own columns, the values get their types and collations.
    none = sqlalchemy.select(*columns).where(sqlalchemy.false())
    values = sqlalchemy.select(*(binds.bind(column.type).label(column.name) for column in columns))
    row = sqlalchemy.union_all(none, values).subquery("checked_row")
    key = [table.c[field.column_name] for field in info.pk_fields] if is_stored else []
    return sqlalchemy.select(*(_is_violated(check, table, row, key, binds) for check in checks)).select_from(row)


def _is_violated(
    check: Check, table: sqlalchemy.Table, row: FromClause, key: Sequence[ColumnElement[Any]], binds: BindNumbering
) -> ColumnElement[Any]:
    of_row = _replacing(table, row, calculated=True)
    if not check.keys:
        condition: Any = Grouping(of_row(check.condition))  # type: ignore[arg-type]
        return sqlalchemy.case((condition, NO), (sqlalchemy.not_(condition), YES), else_=NO)
    if check.referred:
        target = binds.alias(check.referred[0].table)
        pairs = zip(check.referred, check.keys, strict=True)
        same = [target.c[column.name] == of_row(key_column) for column, key_column in pairs]
        refers = sqlalchemy.exists(sqlalchemy.select(YES).select_from(target).where(*same))
        return sqlalchemy.case((refers.correlate(row), NO), else_=YES)
    other = binds.alias(table)
    of_other = _replacing(table, other)
    conditions: list[ColumnElement[Any]] = []
    for expression, operator in zip(check.keys, check.comparisons, strict=True):
        left, right = Grouping(of_other(expression)), Grouping(of_row(expression))
        comparison: ColumnElement[Any] = left.op(operator, is_comparison=True)(right)
        if check.nulls_are_equal:
            comparison = sqlalchemy.or_(comparison, sqlalchemy.and_(left.is_(None), right.is_(None)))
        conditions.append(comparison)
    if check.condition is not None:
        conditions += [Grouping(of_other(check.condition)), Grouping(of_row(check.condition))]
    if key:
        conditions.append(sqlalchemy.not_(sqlalchemy.and_(*(of_other(column) == of_row(column) for column in key))))
    exists = sqlalchemy.exists(sqlalchemy.select(YES).select_from(other).where(*conditions))
    return sqlalchemy.case((exists.correlate(row), YES), else_=NO)


def _replacing(
    table: sqlalchemy.Table, source: FromClause, *, calculated: bool = False
) -> Callable[[ClauseElement], Any]:
    """A function that replaces the table's columns in a clause with those of another FROM.

    `calculated`: it has no generated columns, so that these are calculated from its others.
    """

    def replace(element: Any, **kw: Any) -> Any:
        if isinstance(element, sqlalchemy.Column) and element.table is table:
            if calculated and element.computed is not None and element.name not in source.c:
                return Grouping(visitors.replacement_traverse(element.computed.sqltext, {}, replace))
            return source.c[element.name]
        if isinstance(element, sqlalchemy.BinaryExpression) and isinstance(element.right, sqlalchemy.BindParameter):
            right = element.right
            if right.expanding:  # Each driver takes lists in its own form.
                values: Any = right.value
                items = sqlalchemy.bindparam(None, list(values), type_=operators.ListOf(right.type), unique=True)
                in_list = operators.InList(visitors.replacement_traverse(element.left, {}, replace), items)
                return sqlalchemy.not_(in_list) if element.operator is not_in_op else in_list
        return None

    return lambda clause: visitors.replacement_traverse(clause, {}, replace)
