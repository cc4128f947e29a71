"""What instances have loaded, as plain values that can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orm
from orm.relations.instance_state import OWNER, get_loaded


def snapshot(rows: Iterable[Any], *paths: str) -> list[dict[str, Any]]:
    """The instances' own values, and what they have loaded over these paths. Nothing is asked of the database."""
    inner: dict[str, list[str]] = {}
    for path in paths:
        name, _, rest = path.partition("__")
        inner.setdefault(name, []).extend([rest] if rest else [])
    return [_snapshot(row, inner) for row in rows]


def _snapshot(row: Any, inner: dict[str, list[str]]) -> dict[str, Any]:
    names = [*row._meta.by_attname, *(name for name in row.__dict__ if not name.startswith("_") and name not in inner)]
    own = row.__dict__
    found = {name: own[name] for name in names if name in own and not isinstance(own[name], (orm.Model, list))}
    for name, rest in inner.items():
        related = loaded(row, name)
        if isinstance(related, list):
            found[name] = snapshot(related, *rest)
        else:
            found[name] = None if related is None else snapshot([related], *rest)[0]
    return found


def loaded(row: Any, name: str) -> Any:
    """What an instance has under the name of a relation or of a `to_attr`: an instance, None, or a list."""
    relation = row._meta.accessors.get(name)
    own = row.__dict__
    if relation is None:
        return own[name]
    if relation.many:
        found = get_loaded(row, name)
        assert found is not None, f"{name} of {row!r} was not loaded"
        return found
    if name in own:
        return own[name]
    if get_loaded(row, name) is not None:
        return None
    related = getattr(row, name)
    assert related is None or "_sparse" not in related.__dict__, f"{name} of {row!r} was not loaded"
    return related


def everything(rows: Iterable[Any]) -> Iterator[Any]:
    """Every instance that can be reached from these, once."""
    waiting, seen = list(rows), set()
    while waiting:
        row = waiting.pop()
        if id(row) in seen:
            continue
        seen.add(id(row))
        yield row
        owner = row.__dict__.get(OWNER)
        if owner is not None:
            waiting.append(owner.get())
        for value in [*row.__dict__.values(), *(row._loaded or {}).values()]:
            if isinstance(value, orm.Model):
                waiting.append(value)
            elif isinstance(value, list):
                waiting.extend(item for item in value if isinstance(item, orm.Model))


def assert_one_instance_each(rows: Iterable[Any]) -> None:
    """Each row of the database is one instance."""
    known: dict[Any, Any] = {}
    for row in everything(rows):
        assert known.setdefault((row._meta.model, row.pk), row) is row, f"{row!r} is there twice"
