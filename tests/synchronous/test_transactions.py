"""`with database.transaction():` without an event loop."""

from __future__ import annotations

import contextvars
import time

import pytest

import orm
from tests.synchronous.models import Account, models


def balances() -> list[int]:
    return Account.objects.order_by("id").values_list("balance", flat=True).all()  # type: ignore[no-any-return]


def test_blocks_commit_roll_back_and_nest(database: orm.Database) -> None:
    with orm.sync(models):
        with database.transaction():
            Account.objects.create(balance=1)
        with pytest.raises(ZeroDivisionError), database.transaction():
            Account.objects.create(balance=2)
            _ = 1 / 0
        with database.transaction():
            Account.objects.create(balance=3)
            with pytest.raises(orm.IntegrityError), database.transaction():
                Account.objects.create(id=1)
            with pytest.raises(ZeroDivisionError), orm.atomic(models):
                Account.objects.create(balance=4)
                _ = 1 / 0
            assert Account.objects.select_for_update().filter(balance=3).count() == 1
        with database.transaction():
            Account.objects.create(balance=5)
            database.set_rollback(True)
        assert balances() == [1, 3]
        with pytest.raises(orm.TransactionError, match="inside a transaction"):
            database.set_rollback(True)


def test_what_waits_for_the_commit(database: orm.Database) -> None:
    done: list[str] = []
    with orm.sync(models), database.transaction():
        Account.objects.create(balance=1)
        orm.run(database.on_commit(lambda: done.append("committed")))
        assert done == []
    assert done == ["committed"]


def test_what_waits_for_the_end_of_a_transaction_needs_no_await(database: orm.Database) -> None:
    done: list[object] = []

    async def with_await() -> None:
        done.append(await Account.objects.values_list("balance", flat=True))

    def without_await() -> None:
        done.append(balances())
        Account.objects.create(balance=2)

    def failing() -> None:
        raise ZeroDivisionError

    with orm.sync(models):
        with database.transaction() as transaction:
            Account.objects.create(balance=1)
            database.on_commit(with_await)
            database.on_commit(without_await)
            transaction.on_commit(lambda: with_await())
            orm.run(database.on_commit(lambda: done.append("run")))
            database.on_rollback(lambda: done.append("never"))
            with pytest.raises(orm.QueryError, match="takes a function"):
                database.on_commit(3)  # type: ignore[arg-type]
        assert done == [[1], [1], [1, 2], "run"]
        assert balances() == [1, 2]
        done.clear()
        with pytest.raises(ZeroDivisionError), database.transaction() as transaction:
            database.on_commit(with_await)
            database.on_rollback(with_await)
            transaction.on_rollback(without_await)
            database.on_rollback(failing)
            raise ZeroDivisionError
        assert done == [[1, 2], [1, 2]]
        done.clear()
        database.on_commit(with_await)
        database.on_commit(lambda: done.append(balances()))
        database.on_rollback(failing)
        assert done == [[1, 2, 2], [1, 2, 2]]
        with pytest.raises(ZeroDivisionError), database.transaction():
            database.on_commit(failing)
    with database.transaction():
        database.on_commit(with_await)
    assert len(done) == 3


def test_options(database: orm.Database) -> None:
    with orm.sync(models):
        with database.transaction(isolation="serializable"):
            Account.objects.create(balance=1)
        with database.transaction(), pytest.raises(orm.TransactionError, match="durable"):
            database.transaction(durable=True).__enter__()
        with database.transaction(force_rollback=True):
            Account.objects.create(balance=2)
        assert balances() == [1]


def test_a_time_limit_ends_the_statement_after_it(database: orm.Database) -> None:
    with orm.sync(models):
        with pytest.raises(orm.TransactionTimeout, match="longer than its timeout"), database.transaction(timeout=0.05):
            Account.objects.create(balance=1)
            time.sleep(0.1)
            Account.objects.create(balance=2)
            pytest.fail("the statement ran")
        with pytest.raises(orm.TransactionTimeout), database.transaction(timeout=0.05):
            Account.objects.create(balance=3)
            time.sleep(0.1)
        with database.transaction(timeout=60):
            Account.objects.create(balance=4)
        assert balances() == [4]


def test_a_context_variable_that_a_coroutine_sets_is_set_afterwards(database: orm.Database) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    async def add() -> None:
        variable.set(variable.get() + 1)

    variable.set(1)
    orm.run(add())
    orm.run(add())
    assert variable.get() == 3


def test_queries_are_tracked(database: orm.Database) -> None:
    with orm.sync(models), orm.track_queries() as queries:
        with database.transaction():
            Account.objects.create(balance=1)
        assert Account.objects.count() == 1
    assert queries.count == 2 and len(queries.transactions) == 2
