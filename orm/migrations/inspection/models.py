"""The source of a module with a model for each table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import databases

from orm.database.connections.database_url import SafeURL
from orm.exceptions import FieldError
from orm.migrations.engine import connect
from orm.migrations.inspection.columns import (
    Default,
    Enums,
    FieldSource,
    field_for,
    identifier,
    literal,
    server_default,
    unique_names,
)
from orm.migrations.inspection.tables import Key, Table, read_tables
from orm.models import Model
from orm.registry import NAMING_CONVENTION

ON_DELETE = {
    "CASCADE": "orm.CASCADE",
    "RESTRICT": "orm.RESTRICT",
    "SET NULL": "orm.SET_NULL",
    "SET DEFAULT": "orm.SET_DEFAULT",
}
NUMBERED = ("Integer", "BigInteger", "SmallInteger")
# Names that a field cannot have.
RESERVED = frozenset(name for name in dir(Model) if not name.startswith("__")) | {"registry", "Meta", "objects", "pk"}


async def inspect_models(database: databases.Database, *, schema: str | None = None, tables: Iterable[str] = ()) -> str:
    """The source of a module with models of a database's tables and views; of these `tables` only, if there are any.

    >>> print(await inspect_models(database))

    Its URL has no password, and the environment variable DATABASE_URL comes before it.

    What a model cannot express is a comment, ``# not expressible: …``, and its model is unmanaged, so that migrations
    leave its table as it is. After the module is imported, a migration finds nothing to change. Raises `FieldError` for
    a table that is not there.
    """
    wanted = set(tables)
    all_tables = await tables_of(database, schema, wanted)
    if missing := sorted(wanted - {table.name for table in all_tables}):
        raise FieldError(f"There is no table or view {missing[0]!r} in the database {database.url.database!r}.")
    return ModuleSource(all_tables, schema).source(SafeURL(str(database.url)).without_password)


async def tables_of(database: databases.Database, schema: str | None = None, names: Iterable[str] = ()) -> list[Table]:
    """The tables and views of a database."""
    async with connect(database) as connection:
        return await connection.run_sync(lambda sync: list(read_tables(sync, schema, names)))


class ModuleSource:
    """The source of the models of these tables."""

    def __init__(self, tables: list[Table], schema: str | None) -> None:
        self.tables = tables
        self.schema = schema
        self.enums = Enums()
        names = unique_names(
            (class_name(table.name) for table in tables), reserved=("Any", "enum", "models", "orm", "os", "sqlalchemy")
        )
        self.class_names = {table.name: name for table, name in zip(tables, names, strict=True)}
        self.models = {table.name: ModelSource(self, table) for table in tables}

    def source(self, url: str) -> str:
        """The lines of the module."""
        for model in self.models.values():
            model.add_fields()
        for model in self.models.values():
            model.add_many_to_many()
        bodies = [line for model in self.models.values() for line in ("", "", *model.lines())]
        enums = self.enums.source()
        imports = [*(["import enum"] if enums else []), "import os", ""]
        if any("sqlalchemy." in line for line in bodies):
            imports += ["import sqlalchemy", ""]
        head = ['"""Models of a database, written by `orm inspectdb`."""', "", *imports, "import orm", ""]
        registry = f'models = orm.ModelRegistry(database=orm.Database(os.environ.get("DATABASE_URL", {literal(url)})))'
        return "\n".join([*head, registry, *enums, *bodies]) + "\n"


class ModelSource:
    """The source of one model."""

    def __init__(self, module: ModuleSource, table: Table) -> None:
        self.module = module
        self.table = table
        self.name = module.class_names[table.name]
        self.lacks: list[str] = list(table.lacks)
        self.notes: list[str] = list(table.notes)
        self.many_to_many: list[str] = []
        self.is_partial = False
        """Whether it lacks a column."""
        self.has_field = False
        self.single_keys: dict[str, Key] = {}
        for key in table.keys:
            if (
                len(key.columns) == 1
                and self.knows(key)
                and self.single_keys.setdefault(key.columns[0], key) is not key
            ):
                self.lacks.append(f"a second foreign key of {key.columns[0]}, to {key.table}")
        names = unique_names((self._attribute(column["name"]) for column in table.columns), RESERVED)
        self.attributes = {column["name"]: name for column, name in zip(table.columns, names, strict=True)}
        self.names = {*RESERVED, *self.attributes.values(), *(f"{name}_id" for name in self.attributes.values())}
        """The names that another attribute, such as a reverse relation, cannot have."""
        self.fields: list[str] = []

    def add_fields(self) -> None:
        """Add the fields and the foreign keys."""
        self.fields += self._fields()

    def knows(self, key: Key) -> bool:
        """Whether the table that a key references has a model here."""
        return key.table in self.module.class_names and key.schema in (None, self.module.schema)

    def _attribute(self, column: str) -> str:
        name = identifier(column)
        key = self.single_keys.get(column)
        return name.removesuffix("_id") or name if key is not None else name

    def _fields(self) -> Iterator[str]:
        for column in self.table.columns:
            name, attribute = column["name"], self.attributes[column["name"]]
            field_source = field_for(column, f"{self.table.name}_{name}", self.module.enums)
            options = list(self._options(column, attribute, field_source))
            key = self.single_keys.get(name)
            if key is not None:
                self.has_field = True
                self.lacks += [f"{name}: {lack}" for lack in field_source.lacks]
                yield f"{attribute} = {self._relation(key, column, options)}"
                continue
            if not field_source.kind:
                self.is_partial = True
                yield f"# not expressible: {name}, {field_source.lacks[0]}"
                continue
            self.lacks += [f"{name}: {lack}" for lack in field_source.lacks]
            if not self.table.primary_key and not self.has_field:
                options = ["primary_key=True", *(option for option in options if option != "allow_null=True")]
            self.has_field = True
            yield f"{attribute} = {field_source.source(options)}"
        for key in self.table.keys:
            if len(key.columns) > 1 and self.knows(key):
                yield self._composite_key(key)
            elif not self.knows(key):
                self.lacks.append(f"the foreign key {key.columns} to {key.schema or ''}.{key.table}")

    def _options(self, column: dict[str, Any], attribute: str, field_source: FieldSource) -> Iterator[str]:
        name, is_key = column["name"], column["name"] in self.table.primary_key
        relation = self.single_keys.get(name)
        if is_key:
            yield "primary_key=True"
        elif column["nullable"]:
            yield "allow_null=True"
        if field_source.kind in ("String", "Text") and relation is None:
            yield "allow_blank=True"
        if (
            not is_key
            and relation is None
            and any(each["column_names"] == [name] and not self._is_named(each) for each in self.table.uniques)
        ):
            yield "unique=True"
        if attribute != name:
            yield f"column={literal(name)}"
        if column.get("comment"):
            yield f"comment={literal(column['comment'])}"
        identity = column.get("identity")
        if column.get("computed"):
            expression, stored = column["computed"]["sqltext"], bool(column["computed"].get("persisted"))
            self.lacks.append(f"{name}: GENERATED ALWAYS AS ({expression})")
            yield f"server_default=sqlalchemy.Computed({_sql_literal(expression)}, persisted={stored})"
        elif identity and (identity["always"] or not is_key):
            yield f"server_default=orm.Identity(always={identity['always']})"
            options = {option: identity.get(option) for option in ("start", "increment", "cycle")}
            if options != {"start": 1, "increment": 1, "cycle": False}:
                self.lacks.append(f"{name}: the options {options} of IDENTITY")
        else:
            default = server_default(column, field_source.kind)
            if default is Default.UNKNOWN or (default is Default.KEY and not is_key):
                self.lacks.append(f"{name}: DEFAULT {column['default']}")
                yield f"server_default=sqlalchemy.text({_sql_literal(column['default'])})"
            elif isinstance(default, str):
                yield f"server_default={default}"
        if is_key and field_source.kind in NUMBERED and relation is None and not self._is_numbered(column):
            self.notes.append(f"The database does not number {name}: give each new row its key.")

    def _is_numbered(self, column: dict[str, Any]) -> bool:
        if len(self.table.primary_key) > 1:
            return True
        default = str(column.get("default") or "")
        return (
            column.get("autoincrement") is not False or default.startswith("nextval(") or bool(column.get("identity"))
        )

    def _relation(self, key: Key, column: dict[str, Any], options: list[str]) -> str:
        target = self.module.class_names[key.table]
        is_unique = self.table.is_unique([column["name"]])
        kind = "OneToOne" if is_unique else "ForeignKey"
        arguments = [f'"{target}"', *self._actions(key)]
        referenced = next(table for table in self.module.tables if table.name == key.table)
        if referenced.primary_key != key.referenced:
            arguments.append(f"to_field={literal(self.module.models[key.table].attributes[key.referenced[0]])}")
        arguments.append(f"related_name={literal(self._related_name(key))}")
        if not is_unique and not self._has_own_index(column["name"]):
            arguments.append("index=False")
        return f"orm.{kind}({', '.join([*arguments, *options])})"

    def _actions(self, key: Key) -> Iterator[str]:
        if key.on_delete in ON_DELETE:
            yield f"on_delete={ON_DELETE[key.on_delete]}"
        self.lacks += [f"{', '.join(key.columns)}: {option} {value}" for option, value in key.other_options.items()]

    def _related_name(self, key: Key) -> str:
        """The name of the other end: that of the model; with that of the key, if several keys lead to one table."""
        base = identifier(self.table.name).lower()
        alike = [other for other in self.table.keys if other.table == key.table]
        if len(alike) == 1 and key.table != self.table.name:
            name = f"{base}_set"
        else:
            name = f"{base}_by_{'_'.join(identifier(column).lower().removesuffix('_id') for column in key.columns)}"
        return self.module.models[key.table].new_name(name)

    def new_name(self, name: str) -> str:
        """The name for another attribute of the model, with a number at its end if it has one of that name."""
        [unique] = unique_names([name], self.names)
        self.names.add(unique)
        return unique

    def _composite_key(self, key: Key) -> str:
        referenced = next(table for table in self.module.tables if table.name == key.table)
        pairs = dict(zip(key.referenced, key.columns, strict=True))
        columns = [pairs[column["name"]] for column in referenced.columns if column["name"] in pairs]
        names = [self.attributes[column] for column in columns]
        attribute = self.new_name(identifier(key.table).lower())
        arguments = [
            f'"{self.module.class_names[key.table]}"',
            f"from_fields=[{', '.join(map(literal, names))}]",
            *self._actions(key),
        ]
        arguments.append(f"related_name={literal(self._related_name(key))}")
        if any(column["nullable"] for column in self.table.columns if column["name"] in key.columns):
            arguments.append("allow_null=True")
        if not self._has_own_index(*columns):
            arguments.append("index=False")
        return f"{attribute} = orm.CompositeForeignKey({', '.join(arguments)})"

    def _has_own_index(self, *columns: str) -> bool:
        """Whether there is the index that the ORM makes for a relation with these columns."""
        name = f"ix_{self.table.name}_{'_'.join(columns)}"
        return any(index["name"] == name and index["column_names"] == [*columns] for index in self.table.indexes)

    def _is_named(self, unique: dict[str, Any]) -> bool:
        """Whether a constraint has another name than the ORM would give it."""
        names = {"table_name": self.table.name, "column_0_N_name": "_".join(unique["column_names"])}
        return unique["name"] not in (None, NAMING_CONVENTION["uq"] % names)

    def add_many_to_many(self) -> None:
        """Add a `ManyToMany` to the model on the first side, if this table keeps pairs."""
        keys = [key for key in self.table.keys if len(key.columns) == 1 and self.knows(key)]
        pair = {key.columns[0] for key in keys}
        required = {column["name"] for column in self.table.columns if not _is_optional(column)}
        if len(keys) != 2 or not required <= pair | set(self.table.primary_key) or not self.table.is_unique(pair):
            return
        first, second = keys
        side = self.module.models[first.table]
        name = side.new_name(f"{identifier(second.table).lower()}_of_{identifier(self.table.name).lower()}")
        through = [f'through="{self.name}"']
        if first.table == second.table:
            fields = ", ".join(literal(self.attributes[key.columns[0]]) for key in keys)
            through += [f"through_fields=({fields})", "symmetrical=False"]
        other = f"{identifier(first.table).lower()}_of_{identifier(self.table.name).lower()}"
        other = self.module.models[second.table].new_name(f"{other}_reverse" if first.table == second.table else other)
        related = f"related_name={literal(other)}"
        target = self.module.class_names[second.table]
        side.many_to_many.append(f'{name} = orm.ManyToMany("{target}", {", ".join([*through, related])})')

    def lines(self) -> list[str]:
        """The lines of the class; of a comment, if the table has no column that a model can have."""
        if not self.has_field:
            why = f" ({', '.join(self.lacks)})" if self.lacks else ""
            return [f"# not expressible: the table {self.table.name}, whose columns no field can express{why}"]
        body = [*self.fields, *self.many_to_many]
        meta = list(self._meta())
        comments = [f"# not expressible: {lack}" for lack in dict.fromkeys(self.lacks)]
        comments += [f"# {note}" for note in self.notes]
        lines = [f"class {self.name}(orm.Model):", "    registry = models", ""]
        lines += [f"    {line}" for line in (*comments, *body)]
        return [*lines, "", "    class Meta:", *(f"        {line}" for line in meta)]

    def _meta(self) -> Iterator[str]:
        table = self.table
        yield f"tablename = {literal(table.name)}"
        if table.schema is not None:
            yield f"schema = {literal(table.schema)}"
        if table.comment:
            yield f"comment = {literal(table.comment)}"
        indexes = list(self._indexes())
        constraints = list(self._constraints())
        if self.lacks or self.is_partial or table.is_view or not table.primary_key:
            if not table.primary_key:
                yield "# not expressible: there is no primary key; the first field stands for it"
            yield "managed = False"
        for name, values in (("indexes", indexes), ("constraints", constraints)):
            if values:
                yield f"{name} = ["
                yield from (f"    {value}," for value in values)
                yield "]"

    def _indexes(self) -> Iterator[str]:
        for index in self.table.indexes:
            columns = index["column_names"]
            options = [
                name
                for name, value in index.get("dialect_options", {}).items()
                if value is not None and value != [] and value != {} and value is not False
            ]
            # The ORM makes an index of the first name for a relation, and MySQL one of the others.
            names_for_key = {f"ix_{self.table.name}_{'_'.join(map(str, columns))}", columns[0]}
            names_for_key |= {key.name for key in self.table.keys}
            if index["name"] in names_for_key and self._is_of_a_relation(columns):
                continue
            if None in columns or options or index.get("column_sorting") or index.get("include_columns"):
                self.lacks.append(f"the index {index['name']}")
                continue
            names = ", ".join(literal(self.attributes[column]) for column in columns)
            unique = ", unique=True" if index["unique"] else ""
            yield f"orm.Index({names}, name={literal(index['name'])}{unique})"

    def _is_of_a_relation(self, columns: list[str | None]) -> bool:
        return any(key.columns == columns and self.knows(key) for key in self.table.keys)

    def _constraints(self) -> Iterator[str]:
        for unique in self.table.uniques:
            columns = unique["column_names"]
            is_option = len(columns) == 1 and (columns[0] in self.single_keys or not self._is_named(unique))
            if is_option and set(columns) != set(self.table.primary_key) and not self._is_named(unique):
                continue
            names = ", ".join(literal(self.attributes[column]) for column in columns)
            name = f", name={literal(unique['name'])}" if unique["name"] else ""
            yield f"orm.UniqueConstraint({names}{name})"
        for check in self.table.checks:
            if check["name"] is None:
                self.lacks.append(f"CHECK ({check['sqltext']})")
            else:
                yield f"orm.CheckConstraint({literal(check['sqltext'])}, name={literal(check['name'])})"


def _is_optional(column: dict[str, Any]) -> bool:
    """Whether a row needs no value in a column."""
    return bool(column["nullable"] or column.get("default") or column.get("computed") or column.get("identity"))


def _sql_literal(sql: str) -> str:
    """SQL in source, for `sqlalchemy.text()`, which reads a colon as the beginning of a parameter."""
    return literal(sql.replace(":", "\\:"))


def class_name(table: str) -> str:
    """The name of a table's model, ``OrderLine`` for ``order_line``."""
    name = "".join(part[:1].upper() + part[1:] for part in re.split(r"_+", identifier(table)) if part)
    return f"{name}Row" if name in ("Any", "None", "True", "False") else name
