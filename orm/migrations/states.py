"""Snapshots of the models beside revisions: `versions/<revision>.state.json`.

A snapshot has the models as they are after its revision, and the names of all that they declare. A revision without
one, which somebody has written by hand, has the models of the revisions that it follows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine.interfaces import Dialect

from orm.database.sql.sequences import sequences_of
from orm.exceptions import MigrationError
from orm.migrations.field_states import field_state
from orm.registry import ModelRegistry

FORMAT = 1
State = dict[str, Any]


def state_of(registries: Iterable[ModelRegistry], dialect: Dialect) -> State:
    """The models of these registries as JSON."""
    registries = list(registries)
    models: dict[str, Any] = {}
    for registry in registries:
        metadata = registry.metadata  # all tables are built
        generated = {
            relation.auto_through
            for model in registry.models.values()
            for relation in model._meta.local_many_to_many.values()
        }
        for name, model in registry.models.items():
            info = model._meta
            if model in generated or info.abstract or info.table is None or info.table.key not in metadata.tables:
                continue
            if info.concrete is info:
                models[name] = _model_state(info, dialect)
        for model in registry.models.values():
            info = model._meta
            if info.concrete is not info and info.concrete.name in models:  # its rows are in the table of another model
                columns = _fields(info, dialect, all_null=True)
                models[info.concrete.name]["fields"] = {**columns, **models[info.concrete.name]["fields"]}
    state = {"format": FORMAT, "models": models, "names": sorted(_names(registries))}
    sequences = {str(each.name) for registry in registries for each in sequences_of(registry.metadata)}
    return {**state, "sequences": sorted(sequences)} if sequences else state


def _model_state(info: Any, dialect: Dialect) -> dict[str, Any]:
    state = {
        "table": info.table.name,
        "fields": _fields(info, dialect),
        "ordering": [each for each in info.options.ordering if isinstance(each, str)],
        "many_to_many": {
            name: {
                "to": relation.target.__name__,
                "through": None if relation.auto_through is not None else relation.through_model.__name__,
                "related_name": relation.related_name,
                "symmetrical": relation._symmetrical,
                "through_fields": relation.through_fields,
                "columns": relation.columns,
                "tablename": None if relation.auto_through is None else relation.auto_through._meta.tablename,
            }
            for name, relation in info.local_many_to_many.items()
        },
    }
    return state if info.table.schema is None else {**state, "schema": info.table.schema}


def _fields(info: Any, dialect: Dialect, *, all_null: bool = False) -> dict[str, Any]:
    states = {}
    for name, field in info.local_fields.items():
        state = field_state(field, dialect, info.concrete.table.c.get(field.column_name))
        if all_null:
            state["options"]["allow_null"] = True
        states[name] = state
    return states


def _names(registries: Iterable[ModelRegistry]) -> set[str]:
    """The names of the tables, columns, indexes, constraints and schemas that models declare."""
    names: set[str] = set()
    for registry in registries:
        for table in registry.metadata.tables.values():
            items: list[Any] = [*table.indexes, *table.constraints, *table.columns]
            names |= {table.name, *([table.schema] if table.schema else [])}
            names |= {str(item.name) for item in items if isinstance(item.name, str)}
    return names


def path_of(script: Script) -> Path:
    """The file of a revision's snapshot."""
    return Path(str(script.path)).with_name(f"{script.revision}.state.json")


def write(path: Path, state: State) -> None:
    """Write a snapshot."""
    path.write_text(json.dumps(state, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> State:
    """Read a snapshot. Raises `MigrationError` for one that cannot be read."""
    try:
        state: State = json.loads(path.read_text(encoding="utf-8"))
        known = state["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MigrationError(f"the snapshot {path} cannot be read: {error}") from error
    if known != FORMAT:
        raise MigrationError(f"the snapshot {path} has the format {known}, which another version of orm has written")
    return state


def state_at(directory: ScriptDirectory, revision: str) -> State | None:
    """The snapshot of a revision, or what follows from those before it; None if none was written.

    Raises:
        MigrationError: there is no such revision.
    """
    for folder in directory._version_locations:
        squashed = Path(str(folder)) / f"{revision}.state.json"
        if squashed.exists():
            return read(squashed)
    try:
        script = directory.get_revision(revision)
    except CommandError as error:
        raise MigrationError(str(error)) from error
    return None if script is None else _state(directory, script)


def _state(directory: ScriptDirectory, script: Script) -> State | None:
    path = path_of(script)
    if path.exists():
        return read(path)
    follows = [directory.get_revision(name) for name in script._all_down_revisions]
    states = [state for each in follows if each is not None and (state := _state(directory, each)) is not None]
    if len(states) < 2:
        return states[0] if states else None
    lines = [
        [each.revision for each in directory.iterate_revisions(name, "base")] for name in script._all_down_revisions
    ]
    common = next((name for name in lines[0] if all(name in line for line in lines)), None)
    base = None if common is None else state_at(directory, common)
    merged = states[0]
    for other in states[1:]:
        merged = merge(merged, other, base or {"format": FORMAT, "models": {}, "names": []})
    merged["names"] = sorted({name for state in states for name in state["names"]})
    merged["sequences"] = sorted({name for state in states for name in state.get("sequences", ())})
    return merged


def merge(one: Any, other: Any, base: Any) -> Any:
    """What both branches have made of what they began with."""
    if one == other or other == base:
        return one
    if one == base or not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return other
    before: Mapping[str, Any] = base if isinstance(base, Mapping) else {}
    merged = {name: merge(one.get(name), other.get(name), before.get(name)) for name in {**one, **other}}
    return {name: value for name, value in merged.items() if value is not None or (name in one and name in other)}


def owned_sequences(directory: ScriptDirectory) -> set[str]:
    """The names of the sequences that snapshots have."""
    paths = [path for script in directory.walk_revisions() if (path := path_of(script)).exists()]
    return {name for path in paths for name in read(path).get("sequences", ())}


def owned_names(directory: ScriptDirectory, texts: Mapping[str, str]) -> tuple[set[str], list[str]]:
    """The names that snapshots have, and the texts of the revisions before the first of them."""
    names: set[str] = set()
    told: set[str] = set()
    legacy = []
    for script in reversed([*directory.walk_revisions()]):
        path = path_of(script)
        if path.exists():
            names |= set(read(path)["names"])
            told.add(script.revision)
        elif told.intersection(script._all_down_revisions):
            told.add(script.revision)
        else:
            legacy.append(texts[script.revision])
    return names, legacy
