"""Row locks: what `select_for_update()` asks for, and how a SELECT says so."""

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
    """A lock on the rows that a query reads, held until the transaction ends."""

    share: bool = False
    no_key: bool = False
    nowait: bool = False
    skip_locked: bool = False
    of: tuple[str, ...] = ()
    """The relations whose rows are locked, and ``self``; none: every table that is read."""
    lasting: bool = True
    """Whether it is to be kept, which takes a transaction. Else the rows are only read as they are committed."""


# Shared, because InnoDB gives everybody who lost a race for a unique value a shared lock on it: if each of them then
# asked for more, they would wait for each other.
LATEST = Lock(share=True, lasting=False)


def locked(
    dialect: Dialect, statement: sqlalchemy.Select[Any], lock: Lock, query: Query, rendering: Rendering
) -> sqlalchemy.Select[Any]:
    """The statement with its lock. Raises `FieldError` for a relation in `of` that the query does not load."""
    chains: dict[str, Relations] = {"self": ()}
    if isinstance(query.projection, Instances):
        chains.update(("__".join(hop.name for hop in chain), chain) for chain in query.projection.related)
    for name in lock.of:
        if name not in chains:
            raise FieldError(
                f"{query.info.name}: {name!r}, given as `of`, is no relation that select_related() loads. "
                f"Choices are: {', '.join(chains)}."
            )
    return dialect.lock_rows(
        statement,
        of=[rendering.join(chains[name]) for name in lock.of],
        share=lock.share,
        no_key=lock.no_key,
        nowait=lock.nowait,
        skip_locked=lock.skip_locked,
    )
