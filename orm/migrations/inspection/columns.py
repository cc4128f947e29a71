"""The field of a column, as source."""

from __future__ import annotations

import enum
import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import types

from orm.database.reflection import ReflectedType

LITERAL = re.compile(r"'((?:[^']|'')*)'(?:::[\w \[\]\".]+(?:\(\d+\))?)?\Z")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?\Z")
NOW = re.compile(r"(?:now\(\)|current_timestamp(?:\(\d*\))?)\Z", re.IGNORECASE)


@dataclass
class FieldSource:
    """The field of a column: its class, its arguments, and what they do not say."""

    kind: str
    arguments: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    """What of the column the field cannot express. The model is then unmanaged: migrations leave its table alone."""

    def source(self, options: Iterable[str]) -> str:
        """The call that makes the field."""
        return f"orm.{self.kind}({', '.join([*self.arguments, *options])})"


class Enums:
    """The enum classes that the fields need."""

    def __init__(self) -> None:
        self.classes: dict[str, tuple[str, ...]] = {}

    def name_for(self, name: str, values: tuple[str, ...]) -> str:
        """The name of the class with these values, which is made if there is none."""
        candidate, number = name, 2
        while self.classes.setdefault(candidate, values) != values:
            candidate, number = f"{name}{number}", number + 1
        return candidate

    def source(self) -> list[str]:
        """The lines of the classes."""
        lines: list[str] = []
        for name, values in self.classes.items():
            lines += ["", "", f"class {name}(enum.Enum):"]
            members = unique_names((identifier(value).upper() for value in values), reserved=())
            lines += [f"    {member} = {value}" for member, value in zip(members, map(literal, values), strict=True)]
        return lines


def literal(value: str) -> str:
    """A text in source, in double quotes."""
    source = repr(value)
    return f'"{source[1:-1]}"' if source[0] == "'" and '"' not in source else source


def identifier(name: str) -> str:
    """The name as a Python identifier that is no keyword."""
    plain = re.sub(r"\W+", "_", name).strip("_") or "column"
    plain = re.sub("__+", "_", plain)
    plain = f"n{plain}" if plain[0].isdigit() else plain
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def unique_names(names: Iterable[str], reserved: Iterable[str]) -> list[str]:
    """The names, each with a number at its end if it was there before."""
    taken = set(reserved)
    result: list[str] = []
    for name in names:
        candidate, number = name, 2
        while candidate in taken:
            candidate, number = f"{name}{number}", number + 1
        taken.add(candidate)
        result.append(candidate)
    return result


def field_for(column: dict[str, Any], label: str, enums: Enums) -> FieldSource:
    """The field of a column. `label` names an enum class that it needs."""
    source = _field(column["reflected"], label, enums)
    collation = getattr(column["type"], "collation", None)
    if collation and source.kind in ("String", "Text") and not collation.endswith(("_bin", "_general_ci", "_ai_ci")):
        source.lacks.append(f"COLLATE {collation}")
    return source


def _field(reflected: ReflectedType, label: str, enums: Enums) -> FieldSource:
    arguments = []
    if reflected.item is not None:
        arguments.append(_field(reflected.item, label, enums).source(()))
    if reflected.members:
        arguments += [enums.name_for(_class_name(reflected.name or label), reflected.members), 'by="value"']
    arguments += [f"{name}={value!r}" for name, value in reflected.options.items()]
    return FieldSource(reflected.kind, arguments, list(reflected.lacks))


def _class_name(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in identifier(name).split("_"))


class Default(enum.Enum):
    """What a server default is, besides a value."""

    NONE = enum.auto()
    KEY = enum.auto()
    UNKNOWN = enum.auto()


def server_default(column: dict[str, Any], kind: str) -> str | Default:
    """The source of a `server_default=` for the default of a column of a field of this kind."""
    text: str | None = column.get("default")
    if text is None or text.upper() == "NULL":
        return Default.NONE
    if text.startswith("nextval("):
        return Default.KEY
    stripped = text.strip()
    while stripped.startswith("(") and stripped.endswith(")"):
        stripped = stripped[1:-1].strip()
    # The plain type is SQLite's, where CURRENT_TIMESTAMP has no fraction, which the default of the field has.
    if NOW.match(stripped) and kind in ("DateTime", "Date", "Time") and type(column["type"]) is not types.DATETIME:
        return "orm.functions.Now()"
    if kind == "Boolean" and stripped.strip("'").lower() in ("0", "1", "true", "false"):
        return literal("true" if stripped.strip("'").lower() in ("1", "true") else "false")
    if text_literal := LITERAL.match(stripped):
        return literal(text_literal[1].replace("''", "'"))
    if NUMBER.match(stripped):
        return literal(stripped)
    return Default.UNKNOWN
