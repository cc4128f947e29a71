"""`Branch` and `SuppressedRelation`: what is loaded along with a query's rows, over which relation, and what is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import databases

    from orm.query.query import Query
    from orm.relations import Relation


@dataclass(frozen=True)
class Branch:
    """The rows at the far end of one relation, for every row of the query (or branch) that it hangs on.

    `query` is of the relation's target, and says which rows, in which order, with what: its slice is of each
    instance's rows. Its own `branches` are empty: they are here.
    """

    relation: Relation
    query: Query
    to_attr: str | None = None
    """The attribute that takes what is found; None: the relation itself."""
    branches: tuple[Branch, ...] = ()
    database: databases.Database | None = None
    """The database that the query names itself; None: that of the rows it hangs on."""

    @property
    def name(self) -> str:
        """What stands for it in the paths of ``prefetch_related()``: ``tracks``, or its `to_attr`."""
        return self.to_attr or self.relation.accessor


@dataclass(frozen=True)
class SuppressedRelation:
    """A relation that is not to be read: of a query's instances, or of those that `chain` joins to them."""

    relation: Relation
    raises: bool
    """Whether touching it raises; else it reads as empty."""
    chain: tuple[Relation, ...] = ()
