"""What is known of each kind of database server, imported when the first one of its kind is met.

SQLAlchemy's dialects take as long to import as a fifth of all the rest, and most programs need one of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.exc import UnsupportedCompilationError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

T = TypeVar("T")

# By the name of SQLAlchemy's dialect.
MODULES = {
    "sqlite": "orm.database.sqlite.dialect",
    "postgresql": "orm.database.postgresql.dialect",
    "mysql": "orm.database.mysql.dialect",
    "mariadb": "orm.database.mysql.dialect",
}
_loaded: set[str] = set()


def load_kind(name: str) -> bool:
    """Import what is known of a kind of server; False if that has been done, or nothing is known."""
    if name in _loaded or name not in MODULES:
        return False
    importlib.import_module(MODULES[name])
    _loaded.add(name)
    return True


class ByKind(dict[str, T]):
    """Something that each kind of server has, by the name of SQLAlchemy's dialect. Its modules put it in."""

    def __missing__(self, name: str) -> T:
        if load_kind(name) and name in self:
            return self[name]
        raise KeyError(name)

    def find(self, name: str) -> T | None:
        """What the kind of server has, None if nothing is known of it."""
        load_kind(name)
        return self.get(name)


def spelled_by_kind(*constructs: type[Any]) -> None:
    """Have the modules of a kind of server imported where one of these is compiled for it; they say how."""
    for construct in constructs:
        compiles(construct)(_compile_once_loaded)


def _compile_once_loaded(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    if not load_kind(compiler.dialect.name):
        raise UnsupportedCompilationError(compiler, type(element))
    return compiler.process(element, **kw)


def unless_spelled(compile: Callable[..., str]) -> Callable[..., str]:
    """The way to compile a construct for every kind of server that does not say how."""

    def compile_once_loaded(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
        if load_kind(compiler.dialect.name):
            return compiler.process(element, **kw)
        return compile(element, compiler, **kw)

    return compile_once_loaded
