"""The indexes of a model's `class Meta` and of its foreign keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy

from orm.database.sql.ddl import require
from orm.exceptions import FieldError
from orm.expressions.base import Expression, Ordering
from orm.mapping.constraints import MAX_NAME_LENGTH, BoundConstraint, KeyedConstraint, UniqueConstraint

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo


class Index(KeyedConstraint):
    """An index, for `Meta.indexes`. ``-name`` is descending, as is ``Lower("name").desc()``.

        indexes = [
            orm.Index("album", "-position"),
            orm.Index(Lower("email"), name="by_email"),
            orm.Index("created", condition=orm.Q(done=False), databases=["sqlite", "postgresql"]),
            orm.Index("data", using="gin", databases=["postgresql"]),
        ]

    Args:
        expressions: Names of fields, and expressions.
        unique: No two rows may be alike. Prefer `UniqueConstraint`.
        condition: It has only the rows that meet this; on MySQL and MariaDB only with `unique`.
        include: Further fields that the index holds, so that queries need not read the table (PostgreSQL).
        using: The kind of index: ``gin``, ``gist``, ``brin``, … on PostgreSQL, ``fulltext`` and ``spatial`` on MySQL.
        opclasses: The operator class of each of the `expressions` (PostgreSQL).
        nulls_distinct: False: a unique index treats NULLs as equal (PostgreSQL 15, with SQLAlchemy 2.0.16).
        concurrently: A migration makes it without locking the table (PostgreSQL).
        name, message, code, databases: See `TableConstraint`.

    If the database lacks an option, `create_all()` raises `NotSupportedError`.
    """

    option = "Meta.indexes"
    suffix = "idx"

    def __init__(
        self,
        *expressions: str | Expression[Any] | Ordering,
        unique: bool = False,
        using: str | None = None,
        concurrently: bool = False,
        **options: Any,
    ) -> None:
        if not expressions:
            raise FieldError("Index takes the names of the fields to index, or expressions.")
        self.unique = unique
        self.using = using
        self.concurrently = concurrently
        if options.get("nulls_distinct") is not None and not unique:
            raise FieldError("Index: nulls_distinct= says whether NULLs are equal in a unique index: add unique=True.")
        super().__init__(*expressions, **options)
        if unique:
            self.code = options.get("code") or UniqueConstraint.default_code

    def definition(self) -> Sequence[Any]:
        return [*super().definition(), *([self.using] if self.using else []), *(["unique"] if self.unique else [])]

    @property
    def is_plain(self) -> bool:
        return super().is_plain and self.using is None

    def attach(self, info: ModelInfo, table: sqlalchemy.Table) -> BoundConstraint:
        options: dict[str, Any] = {}
        if self.using is not None:
            options["postgresql_using"] = self.using
            using = self.using.lower()
            option, value = ("prefix", using.upper()) if using in ("fulltext", "spatial") else ("using", using)
            options |= {f"{server}_{option}": value for server in ("mysql", "mariadb")}
        if self.concurrently:
            options["postgresql_concurrently"] = True
        bound = self.make_index(info, table, unique=self.unique, options=options)
        if self.using is not None:
            require(bound.item, [f"using {self.using.lower()}"])
        return bound


def index_foreign_key(table: sqlalchemy.Table, columns: Sequence[str]) -> None:
    """Add an index on the columns of a foreign key, unless a key, a constraint or an index begins with them."""
    wanted = set(columns)
    uniques = [constraint for constraint in table.constraints if isinstance(constraint, sqlalchemy.UniqueConstraint)]
    keys = [list(key.columns) for key in (table.primary_key, *uniques)]
    keys += [_columns_of_all_rows(index) for index in table.indexes]
    if any({column.name for column in key[: len(wanted)]} == wanted for key in keys):
        return
    name = None  # SQLAlchemy's for a single column
    if len(columns) > 1:
        name = f"ix_{table.name}_{'_'.join(columns)}"
        if len(name) > MAX_NAME_LENGTH:
            name = f"{name[: MAX_NAME_LENGTH - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    sqlalchemy.Index(name, *(table.c[column] for column in columns))


def _columns_of_all_rows(index: sqlalchemy.Index) -> list[sqlalchemy.Column[Any]]:
    """The columns with which an index begins; none if it does not have all rows, or is not on all databases."""
    if index.kwargs or index._ddl_if is not None:
        return []
    columns = []
    for expression in index.expressions:
        element = expression.element if isinstance(expression, sqlalchemy.UnaryExpression) else expression
        if not isinstance(element, sqlalchemy.Column):
            break
        columns.append(element)
    return columns
