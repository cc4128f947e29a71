"""Row locks: the options of `select_for_update()`, and their SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy

from orm.database.dialect import Dialect
from orm.exceptions import FieldError
from orm.query.projection import Instances, Relations

if TYPE_CHECKING:
    from orm.query.query import Query
    from orm.query.rendering import Rendering


@dataclass(frozen=True)
class Lock:
    """A lock on the rows that a query reads, until the transaction ends."""

    share: bool = False
    no_key: bool = False
    nowait: bool = False
    skip_locked: bool = False
    of: tuple[str, ...] = ()
    """The relations whose rows are locked, or ``self``; if empty, the rows of all tables that are read."""
    own_tables: bool = False
    """Whether rows of the model are locked, in all of its tables that are read, and not those of other models."""
    lasting: bool = True
    """Whether it must outlast the statement, which needs a transaction. If not, it only reads the latest rows."""


# A shared lock: InnoDB gives one to each transaction that lost a race for a unique value. If they all asked for an
# exclusive lock then, they would block each other.
LATEST = Lock(share=True, lasting=False)
# Of the rows that are written after they are read.
OF_WRITTEN_ROWS = Lock(own_tables=True)


def locked(
    dialect: Dialect, statement: sqlalchemy.Select[Any], lock: Lock, query: Query, rendering: Rendering
) -> sqlalchemy.Select[Any]:
    """The statement with its lock. Raises `FieldError` for a relation in `of` that the query does not load."""
    chains: dict[str, Relations] = {"self": ()}
    if isinstance(query.projection, Instances):
        chains.update(("__".join(relation.name for relation in chain), chain) for chain in query.projection.related)
    for name in lock.of:
        if name not in chains:
            raise FieldError(
                f"{query.info.name}: {name!r}, given as `of`, is no relation that select_related() loads. "
                f"Choices are: {', '.join(chains)}."
            )
    of = [chains[name] for name in lock.of]
    if lock.own_tables and "of" not in dialect.lacks:
        of = [chain for chain in ((), *query.info.ancestors.values()) if rendering.is_joined(chain)]
    return dialect.lock_rows(
        statement,
        of=[rendering.join(chain) for chain in of],
        share=lock.share,
        no_key=lock.no_key,
        nowait=lock.nowait,
        skip_locked=lock.skip_locked,
    )
