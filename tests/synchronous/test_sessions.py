"""`with orm.Session(database)` in synchronous code, beside the models of `orm.sync()`."""

from __future__ import annotations

import threading

import pytest

import orm
from tests.synchronous.models import Account, Author, Book, models


def test_a_session_loads_changes_and_commits(database: orm.Database) -> None:
    with orm.sync(models):
        with orm.Session(database) as session:
            author = Author(name="Le Guin")
            session.add(author)
            session.add_all([Book(title="The Dispossessed", author=author), Book(title="Rocannon", author=author)])
            session.commit()
            assert author.pk is not None
        with orm.Session(database) as session:
            book = session.get(Book, 1)
            book.title = "changed"
            assert Book.objects.get(title="changed") is book  # flushed before, and one instance for the row
            session.rollback()
        assert not Book.objects.filter(title="changed").exists()
        with orm.Session(database) as session:
            for book in Book.objects.order_by("id"):
                session.delete(book)
            with session.begin_nested():
                session.add(Account(balance=1))
            session.commit()
        assert (Book.objects.count(), Account.objects.count()) == (0, 1)


def test_a_session_is_of_one_thread(database: orm.Database) -> None:
    errors: list[BaseException] = []

    def use(session: object) -> None:
        try:
            session.get(Account, 1)  # type: ignore[attr-defined]
        except orm.Error as error:
            errors.append(error)

    with orm.sync(models), orm.Session(database) as session:
        session.add(Account(balance=1))
        session.flush()
        thread = threading.Thread(target=use, args=[session])
        thread.start()
        thread.join()
        assert Account.objects.count() == 1
    assert errors and isinstance(errors[0], orm.TransactionError)
    assert orm.run(Account.objects.count()) == 0


def test_an_error_rolls_the_session_back(database: orm.Database) -> None:
    with orm.sync(models), pytest.raises(ZeroDivisionError), orm.Session(database) as session:
        session.add(Account(balance=1))
        session.flush()
        _ = 1 / 0
    assert orm.run(Account.objects.count()) == 0
