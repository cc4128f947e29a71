"""`RelatedTo` and `RelatedIn`: conditions on the keys of relations, including those that lookups cannot name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orm.expressions.base import Condition
from orm.query.paths import Path
from orm.relations import ManyToManySide, Relation

if TYPE_CHECKING:
    from orm.query.query import Query
    from orm.relations import Hop


class RelatedTo(Condition):
    """The rows that are related to one instance: each path of the key has its value.

    With the `lookup` gt, gte, lt or lte, the rows whose key is greater or less: the first part that differs decides.
    """

    __slots__ = ("key", "lookup")

    def __init__(self, paths: Sequence[Path], values: Sequence[Any], lookup: str = "exact") -> None:
        self.key = tuple(zip(paths, values, strict=True))
        self.lookup = lookup

    def __repr__(self) -> str:
        return f"RelatedTo({', '.join(path.name for path, _ in self.key)})"


class RelatedIn(Condition):
    """The rows whose key, these paths, a query selects; without a query, no rows. `lookup` is exact or in."""

    __slots__ = ("lookup", "paths", "query")

    def __init__(self, paths: Sequence[Path], query: Query | None, lookup: str) -> None:
        self.paths = tuple(paths)
        self.query = query
        self.lookup = lookup

    def __repr__(self) -> str:
        return f"RelatedIn({', '.join(path.name for path in self.paths)})"


def owner_key_paths(relation: Relation) -> tuple[Path, ...]:
    """The paths, from the relation's target, of the columns with the key of the instance that has the relation."""
    first = relation.hops[0]
    back: tuple[Hop, ...] = (relation.remote_key.reverse,) if isinstance(relation, ManyToManySide) else ()
    fields = first.target._meta.fields_of_columns(first.remote_columns)
    return tuple(Path(f"{relation.accessor}+", back, field, field) for field in fields)
