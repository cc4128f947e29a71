"""`joinedload()`, `selectinload()`, `lazyload()`, `noload()`: how a relation of one query is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from orm.exceptions import QueryError
from orm.loading.strategies import Strategy
from orm.sessions.loader_options import LoaderOption


@dataclass(frozen=True)
class Load:
    """How one relation is loaded: an item of ``load=``."""

    kind: Literal["joined", "selectin", "none"]
    path: str
    """The names of the relations, separated by two underscores."""


def joinedload(path: str) -> Load:
    """Load a relation to one in the same statement. A relation to many is loaded as `selectinload()` does."""
    return Load("joined", path.replace(".", "__"))


def selectinload(path: str) -> Load:
    """Load a relation in a second statement: ``selectinload("flavors.reviews")``."""
    return Load("selectin", path.replace(".", "__"))


def noload(path: str) -> Load:
    """Do not load a relation; it is not an attribute of the rows then."""
    return Load("none", path.replace(".", "__"))


def lazyload(path: str) -> Load:
    """Do not load a relation now: ``await models[Supplier].load(supplier, "flavors")`` does it later."""
    return noload(path)


LOADS: dict[str, Literal["joined", "selectin", "none"]] = {
    "joined": "joined",
    "selectin": "selectin",
    "lazy": "none",
    "noload": "none",
}


def loads_of(options: Iterable[Any]) -> Iterator[Load]:
    """The items of ``load=``: those of this module, and ``orm.selectinload("flavors")``, ``orm.joined("supplier")``.

    Raises `QueryError` for an option that says something else.
    """
    for option in options:
        if isinstance(option, Load):
            yield option
            continue
        steps: Any = option.steps if isinstance(option, LoaderOption) else ()
        if isinstance(option, Strategy) and not steps:
            steps = [(option.kind, option.paths)]
        if not steps:
            raise QueryError(f"load= takes joinedload() and the like, got {type(option).__name__}.")
        for kind, paths in steps:
            for path in paths:
                if kind not in LOADS or not isinstance(path, str):
                    raise QueryError(f"load= takes joinedload(), selectinload(), lazyload() and noload(), not {kind}.")
                yield Load(LOADS[kind], path.replace(".", "__"))
