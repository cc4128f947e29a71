"""`Branch` and `SuppressedRelation`: the relations that are loaded with a query's rows, and those that are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import databases

    from orm.query.query import Query
    from orm.relations import Relation


@dataclass(frozen=True)
class Branch:
    """The rows of one relation, to be loaded for all instances of the query (or branch) that it is attached to.

    `query` selects rows of the relation's target; its slice applies to the rows of each instance. It has no branches of
    its own: these are in `branches`.
    """

    relation: Relation
    query: Query
    to_attr: str | None = None
    """The attribute that takes the rows; None: the relation itself."""
    branches: tuple[Branch, ...] = ()
    database: databases.Database | None = None
    """The database that the query was told to use; None: that of the instances."""

    page: int | None = None
    """The number of rows of a page, if `to_attr` takes the first page of each instance; its query is for one more."""

    @property
    def name(self) -> str:
        """Its part of a path of ``prefetch_related()``: the relation's accessor (``tracks``), or `to_attr`."""
        return self.to_attr or self.relation.accessor


@dataclass(frozen=True)
class SuppressedRelation:
    """A relation that is not loaded: of a query's instances, or of those that `chain` joins to them."""

    relation: Relation
    raises: bool
    """Whether access to it raises; otherwise it reads as empty."""
    chain: tuple[Relation, ...] = ()
