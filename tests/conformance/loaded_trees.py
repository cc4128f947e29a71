"""What was loaded, as plain data: the tree of instances along paths of relations."""

from __future__ import annotations

from typing import Any


def tree(rows, *paths, ordered=False):  # type: ignore[no-untyped-def]
    """The rows, each with what it has under these paths (of attributes), as lists.

    Managers are asked for all their rows, which takes a statement unless they are loaded. `ordered`: the order of the
    rows is told, at every level.
    """
    shape: dict[str, Any] = {}
    for path in paths:
        node = shape
        for part in path.split("__"):
            node = node.setdefault(part, {})
    return (yield from _tree(rows, shape, ordered))


def _tree(rows, shape, ordered):  # type: ignore[no-untyped-def]
    parts = []
    for row in rows:
        told: list[Any] = [row]
        for name, below in shape.items():
            told.append((yield from _end(row, name, below, ordered)))
        parts.append(told)
    return parts if ordered else sorted(parts, key=lambda told: told[0].pk)


def _end(row, name, below, ordered):  # type: ignore[no-untyped-def]
    value = one(row, name)
    if value is None or isinstance(value, str):
        return value
    if hasattr(value, "_meta"):
        return (yield from _tree([value], below, ordered))[0]
    if not isinstance(value, list):
        value = yield value.all()
    return (yield from _tree(value, below, ordered))


def one(row: Any, name: str) -> Any:
    """The value of an instance's attribute; "absent" if no row refers to it."""
    try:
        return getattr(row, name)
    except AttributeError as error:
        if any(kind.__name__ == "DoesNotExist" for kind in type(error).__mro__):
            return "absent"
        raise
