"""What is known of a kind of server, which is imported when the first one is met."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import UnsupportedCompilationError

import orm
from orm import functions
from orm.database.dialect_registry import dialects, find, registrations

MODULES = {registration.path.partition(":")[0] for registration in registrations.values()}

models = orm.ModelRegistry()


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=100)
    views = orm.Integer()
    data = orm.JSON()


def statements() -> list[Any]:
    """Statements that the kinds of servers spell in ways of their own, each in one way alone."""
    note: Any = Note
    return [
        sqlalchemy.select(Note.table.c.id).where(note.text.icontains("x")),
        sqlalchemy.select(Note.table.c.id).where(note.text.regex("^x")),
        sqlalchemy.select(Note.table.c.id).where(note.text.iregex("^x")),
        sqlalchemy.select(functions.SHA256(note.text)),
        sqlalchemy.select(functions.Cast(note.text, orm.Integer())),
        sqlalchemy.select(orm.StringAgg(note.text, ", ")),
        sqlalchemy.schema.CreateTable(Note.table),
    ]


# A program that knows no database of the ORM's, and compiles a statement as SQLAlchemy's users do.
PROGRAM = """
import sys
from sqlalchemy.dialects import registry
from tests.database.test_dialect_registry import MODULES, statements

assert not any(module in sys.modules for module in MODULES)
print(statements()[int(sys.argv[2])].compile(dialect=registry.load(sys.argv[1])()))
"""


@pytest.mark.parametrize("number", range(len(statements())))
def test_a_statement_is_spelled_right_by_whoever_compiles_it_first(number: int) -> None:
    name = ("postgresql", "mysql", "sqlite")[number % 3]
    find(name)
    expected = statements()[number].compile(dialect=registry.load(name)())
    ran = subprocess.run([sys.executable, "-c", PROGRAM, name, str(number)], capture_output=True, text=True)
    assert ran.stderr == ""
    assert ran.stdout == f"{expected}\n"


def test_importing_orm_imports_no_dialect() -> None:
    command = [sys.executable, "-c", "import sys, orm; print(*sys.modules)"]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "orm.queryset" in modules
    assert not {*MODULES, "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.mysql"} & {*modules}


def test_a_kind_that_nobody_knows() -> None:
    assert find("oracle") is None
    with pytest.raises(KeyError):
        dialects["oracle"]
    with pytest.raises(UnsupportedCompilationError):
        statements()[0].compile(dialect=DefaultDialect())
