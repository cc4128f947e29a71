"""The options of `database.transaction(…)`: those of the SQL transaction, and those of the block or function."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from orm.exceptions import QueryError

ISOLATION_LEVELS = {
    name.lower().replace(" ", "_"): name
    for name in ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
}


class Options(NamedTuple):
    """The options of a transaction. `isolation` is the SQL name of a level, or None for the database's default."""

    isolation: str | None = None
    readonly: bool = False
    deferrable: bool = False
    replica: bool = False
    """Whether it may run on a replica."""


NO_OPTIONS = Options()


class BlockOptions(NamedTuple):
    """The options of a block, whether its transaction is a savepoint or not."""

    timeout: float | None = None
    """The seconds after which the block is cancelled."""
    durable: bool = False
    """Whether the block must be the outermost one, whose end commits."""
    retries: int = 0
    """How often a function is run again."""


DEFAULTS = NO_OPTIONS, BlockOptions()


def read_options(arguments: dict[str, Any]) -> tuple[Options, BlockOptions]:
    """The options of `database.transaction(…)`. Raises `QueryError` for an unknown option or a bad value."""
    unknown = sorted(set(arguments) - {*Options._fields, *BlockOptions._fields})
    if unknown:
        names = ", ".join((*Options._fields, *BlockOptions._fields))
        raise QueryError(f"transaction() takes {names} and force_rollback, not {unknown[0]!r}")
    isolation = arguments.get("isolation")
    if isolation is not None:
        level = ISOLATION_LEVELS.get(str(isolation).strip().lower().replace(" ", "_"))
        if level is None:
            raise QueryError(f"unknown isolation level {isolation!r}: choose one of {', '.join(ISOLATION_LEVELS)}")
        isolation = level
    readonly, deferrable, replica = (bool(arguments.get(name, False)) for name in ("readonly", "deferrable", "replica"))
    if replica and not readonly:
        raise QueryError("a replica cannot be written to: transaction(readonly=True, replica=True)")
    options = Options(isolation, readonly, deferrable, replica)
    timeout, retries = arguments.get("timeout"), arguments.get("retries", 0)
    if timeout is not None and not (_is_number(timeout) and timeout > 0):
        raise QueryError(f"the timeout of a transaction is a number of seconds greater than 0, not {timeout!r}")
    if type(retries) is not int or retries < 0:
        raise QueryError(f"the retries of a transaction are a whole number, 0 or more, not {retries!r}")
    return options, BlockOptions(timeout, bool(arguments.get("durable", False)), retries)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
