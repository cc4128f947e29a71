"""Running a function in a new transaction, after an error that may not occur again."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from orm.exceptions import Error, QueryError, TransactionError

if TYPE_CHECKING:
    from orm.database.connections.transactions import Transaction

ResultT = TypeVar("ResultT")

# The wait before a run is random, so that transactions that conflicted do not conflict again; its maximum doubles.
FIRST_WAIT_SECONDS = 0.02
MAX_WAIT_SECONDS = 1.0


def check_decorated(func: Any) -> None:
    """Raise `QueryError` unless a transaction can span a call of the function."""
    if inspect.isasyncgenfunction(func) or inspect.isgeneratorfunction(func) or inspect.isclass(func):
        what = "class" if inspect.isclass(func) else "generator function"
        raise QueryError(
            f"transaction() decorates async functions, and {func.__qualname__} is a {what}: use "
            "`async with database.transaction():` inside of it"
        )


async def run_in_transactions(
    new_transaction: Callable[[], Transaction], call: Callable[[], Awaitable[ResultT]], retries: int
) -> ResultT:
    """Return what `call` returns in a new transaction. After a retryable error, run it up to `retries` times more.

    It is not repeated inside another transaction, which goes on, nor after its own was committed.
    """
    for run in itertools.count():
        transaction = new_transaction()
        try:
            async with transaction:
                result = call()
                if not inspect.isawaitable(result):
                    raise QueryError(
                        "transaction() decorates async functions, and this one returned "
                        f"{type(result).__name__} instead of something to await"
                    )
                return await result
        except BaseException as error:
            if run >= retries or transaction.was_committed or not transaction.is_outermost or not _may_pass(error):
                raise
        await asyncio.sleep(random.uniform(0, min(FIRST_WAIT_SECONDS * 2**run, MAX_WAIT_SECONDS)))
    raise AssertionError("the loop ends with a result or an error")


def _may_pass(error: BaseException) -> bool:
    """Whether the function may succeed the next time."""
    members = getattr(error, "exceptions", None)  # of a task group
    if members is not None:
        return all(_may_pass(member) for member in members)
    if isinstance(error, TransactionError) and error.__cause__ is not None:
        return _may_pass(error.__cause__)  # raised by the statements after one that ended the transaction
    return isinstance(error, Error) and error.retryable
