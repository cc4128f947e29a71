"""Behaviours of sessions: each runs on SQLAlchemy's ORM and on ours, on the same rows, and the results are compared."""

from tests.sessions.behaviours import (
    cascades,
    expiry,
    flushing,
    identity,
    merging,
    nested,
    queries,
    relations,
    states,
    transactions,
)
from tests.sessions.behaviours.cases import CASES

__all__ = [
    "CASES",
    "cascades",
    "expiry",
    "flushing",
    "identity",
    "merging",
    "nested",
    "queries",
    "relations",
    "states",
    "transactions",
]
