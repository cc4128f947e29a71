"""Fields in snapshots: what their constructors were called with, as JSON, and back."""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import uuid
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import sqlalchemy
from sqlalchemy.engine.interfaces import Dialect

from orm import fields, relations
from orm.database.sql.ddl import StoredDefault
from orm.exceptions import MigrationError
from orm.fields.base import NO_DEFAULT, Field

#: What a snapshot leaves out: old rows are read and written as they are.
LEFT_OUT = frozenset({"validators", "index", "comment", "title", "description", "column", "unique"})
#: The options that a field keeps if its class is gone.
KEPT = frozenset({"allow_null", "primary_key", "column", "unique", "default", "server_default"})
OMITTED: Any = object()
"""The value of an option that JSON does not hold."""

VALUES: Mapping[str, tuple[type[Any], Callable[[Any], str], Callable[[str], Any]]] = {
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "datetime": (datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "time": (datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "seconds": (
        datetime.timedelta,
        lambda value: repr(value.total_seconds()),
        lambda text: datetime.timedelta(seconds=float(text)),
    ),
    "uuid": (uuid.UUID, str, uuid.UUID),
    "bytes": (bytes, lambda value: base64.b64encode(value).decode("ascii"), base64.b64decode),
}
"""Values that JSON does not have: their type, and their text."""


def field_state(field: Field[Any], dialect: Dialect, column: sqlalchemy.Column[Any] | None) -> dict[str, Any]:
    """A field as JSON: its class, and what its constructor was called with."""
    if isinstance(field, relations.ForeignKey):
        options: dict[str, Any] = {
            "to": field.target.__name__,
            "on_delete": field.on_delete,
            "related_name": field.related_name,
            "to_field": field.to_field,
            "index": False,
        }
        kind, arguments = "OneToOne" if isinstance(field, relations.OneToOne) else "ForeignKey", []
    else:
        kind = name_of(type(field))
        positional, keywords = field.arguments
        if isinstance(field, fields.JSON):  # a document of a type that may be gone
            kind, positional = "JSON", ()
        arguments = [encoded(value) for value in positional]
        pairs = {name: encoded(value) for name, value in keywords.items() if name not in LEFT_OUT}
        options = {name: value for name, value in pairs.items() if value is not OMITTED}
        if OMITTED in arguments or (field.storage_field is None and kind.count(":") and not is_importable(type(field))):
            kind, arguments, options = "JSON", [], {}
    default = column.server_default if column is not None else None
    options.pop("server_default", None)
    if field.is_generated:
        options["server_default"] = {"generated": True}
    elif default is not None:
        options["server_default"] = _server_default(field, default, dialect)
    options |= {"allow_null": field.allow_null, "primary_key": field.primary_key, "column": field.column_name}
    if field.unique and kind != "OneToOne":
        options["unique"] = True
    state: dict[str, Any] = {"class": kind, "options": options}
    if arguments:
        state["arguments"] = arguments
    if field.storage_field is not None and kind != "JSON":
        state["stored_as"] = field_state(field.storage_field, dialect, None)
    return state


def _server_default(field: Field[Any], default: Any, dialect: Dialect) -> Any:
    if isinstance(field.server_default, str):
        return field.server_default
    argument = getattr(default, "arg", None)
    if isinstance(argument, (StoredDefault, sqlalchemy.ClauseElement)):
        return {"sql": str(argument.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))}
    return {"sql": "NULL"}


def encoded(value: Any) -> Any:
    """An option's value as JSON; `OMITTED` if that is impossible."""
    if value is NO_DEFAULT:
        return OMITTED
    if isinstance(value, enum.Enum):
        return {"member": [encoded(type(value)), value.name]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Field):
        positional, keywords = value.arguments
        arguments, options = (
            [encoded(each) for each in positional],
            {name: encoded(each) for name, each in keywords.items()},
        )
        if OMITTED in arguments:
            return OMITTED
        kept = {name: each for name, each in options.items() if each is not OMITTED}
        return {"field": {"class": name_of(type(value)), "arguments": arguments, "options": kept}}
    if isinstance(value, type) and issubclass(value, enum.Enum):
        base = next(base for base in (enum.IntEnum, str, enum.Enum) if issubclass(value, base))
        members = [[name, encoded(member.value)] for name, member in value.__members__.items()]
        return {"enum": value.__name__, "base": base.__name__, "members": members}
    for name, (type_, text_of, _) in VALUES.items():
        if isinstance(value, type_):
            return {name: text_of(value)}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [encoded(each) for each in value]
        return OMITTED if OMITTED in items else items
    if isinstance(value, Mapping):
        pairs = [[encoded(key), encoded(each)] for key, each in value.items()]
        return OMITTED if any(OMITTED in pair for pair in pairs) else {"pairs": pairs}
    if is_importable(value):
        return {"import": f"{value.__module__}:{value.__qualname__}"}
    return OMITTED


def is_importable(value: Any) -> bool:
    """Whether a class or function can be imported by its name."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    return bool(module) and module != "__main__" and bool(name) and "<" not in name


def name_of(field_class: type[Field[Any]]) -> str:
    """The name of a class of fields: alone if it is one of the ORM's, else with its module."""
    name = field_class.__name__
    return (
        name if getattr(fields, name, None) is field_class else f"{field_class.__module__}:{field_class.__qualname__}"
    )


def imported(path: str) -> Any:
    """What ``module:name`` names. Raises `MigrationError` if it is not there any more."""
    module, _, name = path.partition(":")
    try:
        value: Any = import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        raise MigrationError(f"a snapshot of the models needs {path}, which is not there any more") from error
    return value


class Decoder:
    """Makes fields of their states. An enum that several fields share is one class."""

    def __init__(self) -> None:
        self.enums: dict[str, Any] = {}

    def field(self, state: Mapping[str, Any]) -> Any:
        """The field. Raises `MigrationError` if its class, or what it is made of, cannot be imported any more."""
        name, arguments = state["class"], [self.value(each) for each in state.get("arguments", ())]
        options = {key: self.value(each) for key, each in state.get("options", {}).items()}
        if options.get("server_default") is None:
            options.pop("server_default", None)
        if ":" not in name:
            return getattr(relations if hasattr(relations, name) else fields, name)(*arguments, **options)
        try:
            return imported(name)(*arguments, **options)
        except MigrationError:
            if "stored_as" not in state:
                raise
        stored = state["stored_as"]
        options = {name: each for name, each in state["options"].items() if name in KEPT}
        if isinstance(options.get("default"), Mapping):
            del options["default"]  # a value, or a function, of the class that is gone
        return self.field({**stored, "options": {**stored["options"], **options}})

    def value(self, value: Any) -> Any:
        """The value of an option."""
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if not isinstance(value, Mapping):
            return value
        if "member" in value:
            class_, name = value["member"]
            return self.value(class_)[name]
        if "enum" in value:
            return self.enums.setdefault(repr(value), self._enum(value))
        if "field" in value:
            return self.field(value["field"])
        if "import" in value:
            return imported(value["import"])
        if "pairs" in value:
            return {self.value(key): self.value(each) for key, each in value["pairs"]}
        if "sql" in value:
            return sqlalchemy.text(value["sql"].replace(":", "\\:"))
        if "generated" in value:
            return sqlalchemy.Computed("NULL")
        [(name, text)] = value.items()
        return VALUES[name][2](text)

    def _enum(self, state: Mapping[str, Any]) -> Any:
        members = [(name, self.value(value)) for name, value in state["members"]]
        if state["base"] == "IntEnum":
            return enum.IntEnum(state["enum"], members)
        if state["base"] == "str":
            return enum.Enum(state["enum"], members, type=str)
        return enum.Enum(state["enum"], members)
