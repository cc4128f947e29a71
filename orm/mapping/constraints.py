"""The constraints of a model's `class Meta`, and how they become those of its table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import sqlalchemy
from sqlalchemy import ClauseElement, ColumnElement
from sqlalchemy.sql import visitors

from orm.database.dialect_registry import dialects, registrations
from orm.database.sql.ddl import KeyPart, only_on, require
from orm.exceptions import FieldError
from orm.expressions.base import Expression, F, Logical, Ordering, check_condition
from orm.mapping.column_expressions import own_row_clause

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

MAX_NAME_LENGTH = 60  # PostgreSQL's names have 63 bytes, MySQL's 64 characters
Deferrable = Literal["deferred", "immediate"]
#: A part of Python's default representation of an object, which differs from run to run.
UNSTABLE = " at 0x"


class TableConstraint:
    """What the members of `Meta.constraints` and `Meta.indexes` have in common.

    Args:
        name: The name in the database. ``%(class)s`` in it is the model's name in lower case, for the constraints of an
            abstract model. By default it is made of the table's name, the fields and the definition.
        message: The text of the error's message, of `as_validation_error()` and of `full_clean()`.
        code: The code of that message.
        databases: The databases on which it is made, such as ``["postgresql"]``; by default all of them.
    """

    option: ClassVar[str] = "Meta.constraints"
    suffix: ClassVar[str] = ""
    default_code: ClassVar[str] = "invalid"

    def __init__(
        self,
        name: str | None = None,
        message: str | None = None,
        code: str | None = None,
        databases: Iterable[str] = (),
    ) -> None:
        self.name = name
        self.message = message
        self.code = code or self.default_code
        self.databases = (databases,) if isinstance(databases, str) else tuple(databases)
        for database in self.databases:
            if database not in registrations:
                raise FieldError(f"{self!r}: {database!r} is not one of the databases {', '.join(registrations)}.")

    def __repr__(self) -> str:
        shown = [*map(repr, self.definition()), *([f"name={self.name!r}"] if self.name else [])]
        return f"{type(self).__name__}({', '.join(shown)})"

    def definition(self) -> Sequence[Any]:
        """What it requires of rows, for its representation and its default name."""
        raise NotImplementedError

    def attach(self, info: ModelInfo, table: sqlalchemy.Table) -> BoundConstraint:
        """Add it to the model's table. Raises `FieldError` for an unknown field."""
        raise NotImplementedError

    def bind(
        self,
        item: sqlalchemy.Constraint | sqlalchemy.Index,
        fields: Sequence[str],
        keys: Sequence[ColumnElement[Any]] = (),
        condition: ClauseElement | None = None,
    ) -> BoundConstraint:
        """What the model keeps of it, once `item` is in the table."""
        if self.databases:
            only_on(item, self.databases)
        return BoundConstraint(self, item, tuple(fields), tuple(keys), condition)

    def name_for(self, info: ModelInfo, fields: Iterable[str]) -> str:
        """Its name in the database: the same in each run, and no longer than the servers allow."""
        if self.name is not None:
            return self.name % {"class": info.name.lower()} if "%(class)s" in self.name else self.name
        definition = repr(tuple(self.definition()))
        if UNSTABLE in definition:
            raise FieldError(f"{info.name}.{self.option}: {type(self).__name__} of a SQLAlchemy clause needs a name=.")
        digest = hashlib.sha256(definition.encode()).hexdigest()[:8]
        name = "_".join([info.tablename, *fields])
        return f"{name[: MAX_NAME_LENGTH - 10 - len(self.suffix)]}_{digest}_{self.suffix}"

    def clause(self, info: ModelInfo, node: Any) -> ColumnElement[Any]:
        """The SQL of an expression or condition. Raises `FieldError` if it reads another table than the model's."""
        return own_row_clause(info, node, f"{info.name}.{self.option}: {self!r}")


class BoundConstraint:
    """A constraint of one model: what was declared, the SQLAlchemy item of the table, and its fields."""

    def __init__(
        self,
        declared: TableConstraint,
        item: sqlalchemy.Constraint | sqlalchemy.Index,
        fields: tuple[str, ...],
        keys: tuple[ColumnElement[Any], ...],
        condition: ClauseElement | None,
    ) -> None:
        self.declared = declared
        self.item = item
        self.fields = fields
        """The names of the fields, in the order of the declaration."""
        self.keys = keys
        """The values that are compared with those of other rows."""
        self.condition = condition
        """The condition of a check, or that of the rows to which the constraint applies."""


def fields_read(info: ModelInfo, clause: ClauseElement) -> list[str]:
    """The names of the model's fields whose columns a clause reads, each once."""
    names = {field.column_name: field.name for field in info.fields.values()}
    columns = (element.name for element in visitors.iterate(clause) if isinstance(element, sqlalchemy.Column))
    return list(dict.fromkeys(names[column] for column in columns if column in names))


class KeyedConstraint(TableConstraint):
    """An index or a unique constraint: keys, which may be expressions, and the condition of its rows."""

    def __init__(
        self,
        *expressions: str | Expression[Any] | Ordering,
        name: str | None = None,
        condition: Logical | ColumnElement[bool] | None = None,
        include: Iterable[str] = (),
        opclasses: Iterable[str] = (),
        nulls_distinct: bool | None = None,
        message: str | None = None,
        code: str | None = None,
        databases: Iterable[str] = (),
    ) -> None:
        self.expressions = expressions
        self.fields = tuple(each for each in expressions if isinstance(each, str))
        self.condition = condition
        self.include = (include,) if isinstance(include, str) else tuple(include)
        self.opclasses = (opclasses,) if isinstance(opclasses, str) else tuple(opclasses)
        self.nulls_distinct = nulls_distinct
        if condition is not None:
            check_condition(condition)
        for expression in expressions:
            if not isinstance(expression, (str, Expression, Ordering)):
                raise FieldError(
                    f"{type(self).__name__} takes names of fields and expressions such as Lower('email'), "
                    f"got {type(expression).__name__}."
                )
        if self.opclasses and len(self.opclasses) != len(expressions):
            raise FieldError(f"{type(self).__name__}: opclasses= has one name for each of the fields and expressions.")
        super().__init__(name, message, code, databases)

    def definition(self) -> Sequence[Any]:
        options = [self.condition, self.include, self.opclasses, self.nulls_distinct]
        return [*self.expressions, *(option for option in options if option is not None and option != ())]

    @property
    def is_plain(self) -> bool:
        """Whether all its keys are fields, and it has no condition."""
        return len(self.fields) == len(self.expressions) and self.condition is None

    def make_index(
        self, info: ModelInfo, table: sqlalchemy.Table, *, unique: bool, options: Mapping[str, Any]
    ) -> BoundConstraint:
        """Add an index to the table, with these options of SQLAlchemy."""
        condition = None if self.condition is None else self.clause(info, self.condition)
        keys = [self._key(info, table, expression) for expression in self.expressions]
        plain = [key.element if isinstance(key, sqlalchemy.UnaryExpression) else key for key, _ in keys]
        fields = list(dict.fromkeys(name for key in plain for name in fields_read(info, key)))
        name = self.name
        if not self.is_plain or name is not None or self.option == UniqueConstraint.option:
            name = self.name_for(info, fields)
        parts: list[ColumnElement[Any]] = []
        for number, (key, descending) in enumerate(keys):
            part = key
            if not isinstance(key, sqlalchemy.Column) or (unique and condition is not None):
                part = KeyPart(key, condition if unique else None, f"{name}_{number + 1}")
            parts.append(part.desc() if descending else part)
        dialect_options = dict(options)
        if condition is not None:
            dialect_options.update(postgresql_where=condition, sqlite_where=condition)
        if self.include:
            dialect_options["postgresql_include"] = info.column_names(self.include, self.option)
        if self.opclasses:
            if any(descending for _, descending in keys):
                raise FieldError(f"{info.name}.{self.option}: opclasses= cannot be given for descending keys.")
            pairs = zip(parts, self.opclasses, strict=True)
            dialect_options["postgresql_ops"] = {part.key: opclass for part, opclass in pairs}
        if self.nulls_distinct is False:
            dialect_options["postgresql_nulls_not_distinct"] = True
        index = sqlalchemy.Index(name, *parts, unique=unique, **dialect_options)
        if index.table is None:
            table.append_constraint(index)
        self._require(index, unique=unique)
        return self.bind(index, fields, plain, condition)

    def _require(self, item: sqlalchemy.Constraint | sqlalchemy.Index, *, unique: bool) -> None:
        """Note the options that the database must have."""
        needed = {
            "condition": self.condition is not None and not unique,
            "include": bool(self.include),
            "opclasses": bool(self.opclasses),
            "nulls_distinct": self.nulls_distinct is False,
        }
        require(item, [option for option, is_needed in needed.items() if is_needed])

    def _key(
        self, info: ModelInfo, table: sqlalchemy.Table, expression: str | Expression[Any] | Ordering
    ) -> tuple[ColumnElement[Any], bool]:
        """A key as a column or a clause, and whether it is descending."""
        if type(expression) is F and expression.path in info.fields:
            expression = expression.path  # MySQL takes no column as an expression
        if isinstance(expression, str):
            (column,) = info.column_names([expression.removeprefix("-")], self.option)
            return table.c[column], expression.startswith("-")
        if isinstance(expression, Ordering):
            return self.clause(info, expression.expression), expression.descending
        return self.clause(info, expression), False


class UniqueConstraint(KeyedConstraint):
    """No two rows have these values, for `Meta.constraints`.

        constraints = [
            orm.UniqueConstraint("album", "position", name="one_track_per_position"),
            orm.UniqueConstraint(Lower("email"), message="This address is taken."),
            orm.UniqueConstraint("user", condition=orm.Q(primary=True)),
        ]

    Args:
        expressions: Names of fields, and expressions.
        condition: It applies only to rows that meet this. On MySQL and MariaDB, the keys of other rows are NULL.
        deferrable: ``"deferred"``: checked at the end of the transaction; ``"immediate"``: after each statement, unless
            ``SET CONSTRAINTS`` says otherwise (PostgreSQL).
        nulls_distinct: False: NULLs are equal to each other (PostgreSQL 15, with SQLAlchemy 2.0.16).
        include, opclasses: As for `Index` (PostgreSQL).
        name, message, code, databases: See `TableConstraint`.
    """

    suffix = "key"
    default_code = "unique"

    def __init__(
        self, *expressions: str | Expression[Any], deferrable: Deferrable | None = None, **options: Any
    ) -> None:
        if not expressions:
            raise FieldError("UniqueConstraint takes the names of the fields that are unique together.")
        self.deferrable = _checked_deferrable(type(self).__name__, deferrable)
        super().__init__(*expressions, **options)
        if deferrable and not (self.is_plain and not self.opclasses):
            raise FieldError(
                "UniqueConstraint: only one of fields alone can be deferred, without condition= and opclasses=."
            )

    def definition(self) -> Sequence[Any]:
        return [*super().definition(), *([self.deferrable] if self.deferrable else [])]

    def attach(self, info: ModelInfo, table: sqlalchemy.Table) -> BoundConstraint:
        if not self.is_plain or self.opclasses or (self.include and not self.deferrable):
            return self.make_index(info, table, unique=True, options={})
        columns = info.column_names(self.fields, self.option)
        options: dict[str, Any] = {}
        if self.deferrable:
            options.update(deferrable=True, initially=self.deferrable.upper())
        if self.include:
            options["postgresql_include"] = info.column_names(self.include, self.option)
        if self.nulls_distinct is False:
            options["postgresql_nulls_not_distinct"] = True
        name = None if self.name is None else self.name_for(info, ())
        constraint = sqlalchemy.UniqueConstraint(*(table.c[column] for column in columns), name=name, **options)
        table.append_constraint(constraint)
        self._require(constraint, unique=True)
        if self.deferrable:
            require(constraint, ["deferrable"])
        return self.bind(constraint, info.names_of_columns(columns), [table.c[column] for column in columns])


class CheckConstraint(TableConstraint):
    """A condition that each row must meet, for `Meta.constraints`.

        constraints = [
            orm.CheckConstraint(orm.Q(position__gt=0), name="position_is_positive"),
            orm.CheckConstraint(orm.F("begins") < orm.F("ends"), message="It ends before it begins."),
            orm.CheckConstraint("position < 100"),
        ]

    Text is SQL: it is used unchanged, and refers to columns, not fields. As in SQL, a row for which the condition is
    NULL is accepted.

    Args:
        condition: A `Q`, a comparison, a boolean expression, a SQLAlchemy clause, or SQL.
        name, message, code, databases: See `TableConstraint`.
    """

    suffix = "check"
    default_code = "check"

    def __init__(
        self,
        condition: Logical | ColumnElement[bool] | str,
        *,
        name: str | None = None,
        message: str | None = None,
        code: str | None = None,
        databases: Iterable[str] = (),
    ) -> None:
        if not isinstance(condition, str):
            check_condition(condition)
        self.condition = condition
        super().__init__(name, message, code, databases)

    def definition(self) -> Sequence[Any]:
        return [self.condition]

    def attach(self, info: ModelInfo, table: sqlalchemy.Table) -> BoundConstraint:
        if isinstance(self.condition, str):
            clause: ClauseElement = sqlalchemy.text(self.condition)
            fields = [field.name for field in info.fields.values() if _has_word(self.condition, field.column_name)]
        else:
            clause = self.clause(info, self.condition)
            fields = fields_read(info, clause)
        constraint = sqlalchemy.CheckConstraint(clause, name=self.name_for(info, fields))  # type: ignore[arg-type]
        table.append_constraint(constraint)
        return self.bind(constraint, fields, condition=clause)


def _has_word(sql: str, word: str) -> bool:
    """Whether SQL contains an identifier."""
    padded = "".join(character if character.isalnum() or character == "_" else " " for character in sql)
    return word.lower() in padded.lower().split()


class ExclusionConstraint(TableConstraint):
    """No two rows whose values all compare as true, for `Meta.constraints` (PostgreSQL).

        constraints = [
            orm.ExclusionConstraint(("room", "="), ("period", "&&"), message="The room is taken.")
        ]

    ``=`` in a GiST index needs the extension ``btree_gist``.

    Args:
        expressions: Pairs of a field's name, or an expression, and an operator.
        condition: It applies only to rows that meet this.
        using: The kind of index: ``gist``, ``spgist``, or for ``=`` alone ``btree`` or ``hash``.
        deferrable: As for `UniqueConstraint`.
        name, message, code, databases: See `TableConstraint`.
    """

    suffix = "excl"
    default_code = "exclusion"

    def __init__(
        self,
        *expressions: tuple[str | Expression[Any], str],
        condition: Logical | ColumnElement[bool] | None = None,
        using: str = "gist",
        deferrable: Deferrable | None = None,
        name: str | None = None,
        message: str | None = None,
        code: str | None = None,
        databases: Iterable[str] = (),
    ) -> None:
        if not expressions or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in expressions):
            raise FieldError('ExclusionConstraint takes pairs such as ("room", "="), ("period", "&&").')
        for _, operator in expressions:
            if not isinstance(operator, str) or not operator or set(operator) - set("+-*/<>=~!@#%^&|`?"):
                raise FieldError("ExclusionConstraint: the second item of each pair is an operator, such as '&&'.")
        if condition is not None:
            check_condition(condition)
        self.expressions = expressions
        self.condition = condition
        self.using = using
        self.deferrable = _checked_deferrable(type(self).__name__, deferrable)
        super().__init__(name, message, code, databases)

    def definition(self) -> Sequence[Any]:
        options = [self.condition, self.deferrable]
        return [*self.expressions, self.using, *(option for option in options if option is not None)]

    def attach(self, info: ModelInfo, table: sqlalchemy.Table) -> BoundConstraint:
        elements: list[tuple[ColumnElement[Any], str]] = []
        for expression, operator in self.expressions:
            if isinstance(expression, str):
                (column,) = info.column_names([expression], self.option)
                elements.append((table.c[column], operator))
            else:
                elements.append((self.clause(info, expression), operator))
        fields = list(dict.fromkeys(name for element, _ in elements for name in fields_read(info, element)))
        condition = None if self.condition is None else self.clause(info, self.condition)
        constraint = dialects["postgresql"].exclusion_constraint(
            elements,
            name=self.name_for(info, fields),
            where=condition,
            using=self.using,
            deferrable=self.deferrable,
        )
        table.append_constraint(constraint)
        require(constraint, ["exclusion"])
        return self.bind(constraint, fields, [element for element, _ in elements], condition)


def _checked_deferrable(kind: str, value: str | None) -> Deferrable | None:
    if value not in (None, "deferred", "immediate"):
        raise FieldError(f'{kind}: deferrable= is "deferred" or "immediate".')
    return value  # type: ignore[return-value]  # it was compared
