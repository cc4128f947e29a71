"""The registry of dialects, which imports a dialect when it is first needed."""

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
    """Statements that differ by dialect, each with one construct that does."""
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


# A program that compiles a statement by SQLAlchemy's dialect, before any dialect of the ORM is imported.
PROGRAM = """
import sys
from sqlalchemy.dialects import registry
from tests.database.test_dialect_registry import MODULES, statements

assert not any(module in sys.modules for module in MODULES)
print(statements()[int(sys.argv[2])].compile(dialect=registry.load(sys.argv[1])()))
"""


@pytest.mark.parametrize("number", range(len(statements())))
def test_first_compilation_imports_the_dialect(number: int) -> None:
    name = ("postgresql", "mysql", "sqlite")[number % 3]
    find(name)
    expected = statements()[number].compile(dialect=registry.load(name)())
    process = subprocess.run([sys.executable, "-c", PROGRAM, name, str(number)], capture_output=True, text=True)
    assert process.stderr == ""
    assert process.stdout == f"{expected}\n"


def test_importing_orm_imports_no_dialect() -> None:
    command = [sys.executable, "-c", "import sys, orm; print(*sys.modules)"]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "orm.queryset" in modules
    assert not {*MODULES, "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.mysql"} & {*modules}


def test_unknown_dialect_is_not_found_and_does_not_compile() -> None:
    assert find("oracle") is None
    with pytest.raises(KeyError):
        dialects["oracle"]
    with pytest.raises(UnsupportedCompilationError):
        statements()[0].compile(dialect=DefaultDialect())
