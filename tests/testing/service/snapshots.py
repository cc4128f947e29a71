"""A test whose SQL is compared with a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import orm
from tests.testing.service.app import Note, models


def test_search(orm_database: orm.Database, orm_sql_snapshot: Callable[[], Any]) -> None:
    lookup = os.environ.get("SERVICE_LOOKUP", "text")
    with orm.sync(models) as db, orm_sql_snapshot() as queries:
        db(Note).filter(**{lookup: "7"}).all()
    assert queries.count == 1
