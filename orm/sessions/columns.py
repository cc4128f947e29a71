"""The columns of a model as a session compares them: generated code that copies and compares the values of a row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from orm.fields import JSON, UUID, Binary, Boolean, Date, DateTime, Duration, Enum, Field, Interval, IPAddress, Time
from orm.fields.numbers import NumberField
from orm.fields.ranges import RangeField
from orm.fields.text import TextField
from orm.mapping.changes import frozen
from orm.relations import ForeignKey
from orm.utils.codegen import generate

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.sessions.identity_map import InstanceState

PLAIN = frozenset({int, str, bool, bytes})
OF_IMMUTABLE_VALUES = (
    *(
        Binary,
        Boolean,
        Date,
        DateTime,
        Duration,
        Enum,
        Interval,
        IPAddress,
        NumberField,
        RangeField,
        TextField,
        Time,
        UUID,
    ),
    ForeignKey,
)


class Columns(NamedTuple):
    """The attributes of a model's columns, and generated functions that copy and compare their values."""

    mutable: frozenset[str]
    """Those whose values can be changed in place, such as documents, which are compared with a copy."""
    keys_of_relations: Mapping[str, ForeignKey[Any]]
    read_only: frozenset[str]
    """Those that the database calculates."""
    snapshot_of: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Gives the values of an instance's columns, by attribute; those that are changed in place are copied."""
    changed_names: Callable[[InstanceState], list[str]]
    """Gives the columns whose values in the state's attributes differ from those in its snapshot."""


@lru_cache(2_000)
def columns_of(info: ModelInfo) -> Columns:
    """The attributes of the columns of a model."""
    mutable = frozenset(field.attname for field in info.fields.values() if _is_changed_in_place(field, info))
    read_only = frozenset(field.attname for field in info.calculated)
    functions = _write_functions(info, mutable, read_only)
    keys_of_relations = {field.attname: field for field in info.foreign_keys}
    return Columns(mutable, keys_of_relations, read_only, functions["snapshot_of"], functions["changed_names"])


def _is_changed_in_place(field: Field[Any], info: ModelInfo) -> bool:
    """Whether a session notices values of a field that are changed in place."""
    if isinstance(field, JSON):
        return field.mutable or info.options.track_changes
    return not isinstance(field, OF_IMMUTABLE_VALUES)


def _write_functions(info: ModelInfo, mutable: Collection[str], read_only: Collection[str]) -> dict[str, Any]:
    """Write the functions of `Columns`, which sessions call for each instance; a column may be not loaded."""
    names = [field.attname for field in info.fields.values()]
    compared = [name for name in names if name not in read_only]
    lines = [
        "def snapshot_of(attributes):",
        "    try:",
        "        return {",
        *(f"            {name!r}: {_copied(name, mutable)}," for name in names),
        "        }",
        "    except KeyError:",
        "        copies = {}",
        *(f"        if {name!r} in attributes: copies[{name!r}] = {_copied(name, mutable)}" for name in names),
        "        return copies",
        "",
        "def changed_names(state):",
        "    attributes, snapshot = state.attributes, state.snapshot",
        "    names = []",
        "    try:",
    ]
    for name in compared:
        if name in mutable:
            lines.append(f"        if state.is_changed({name!r}): names.append({name!r})")
        else:
            is_other = f"(type(value) in PLAIN and value != before) or state.is_changed({name!r})"
            lines += [
                f"        value, before = attributes[{name!r}], snapshot[{name!r}]",
                f"        if value is not before and ({is_other}): names.append({name!r})",
            ]
    lines += [
        "    except KeyError:",
        "        return [name for name in compared if state.is_changed(name)]",
        "    return names",
    ]
    scope = {"PLAIN": PLAIN, "frozen": frozen, "compared": compared}
    return generate(f"comparison of rows of {info.name}", "\n".join(lines), scope)


def _copied(name: str, mutable: Collection[str]) -> str:
    return f"frozen(attributes[{name!r}])" if name in mutable else f"attributes[{name!r}]"
