"""The private names of `databases` and typesystem that the ORM uses are named, and the installed release has them."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import databases
import pytest
import typesystem

import orm
from orm.database.connections.databases_internals import MODULE_NAMES, SHARED

OWN_NAMES = {"_messages", "_pool", "_result_columns", "_transaction"}
"""Attributes of our own classes, the drivers' or SQLAlchemy's whose names classes of the two packages have as well."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@functools.cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def names_of_class(cls: type) -> set[str]:
    """The attributes that a class and those it inherits from set on `self`, and their methods."""
    names: set[str] = set()
    for base in cls.__mro__[:-1]:
        for node in tree_of(base.__module__).body:
            if isinstance(node, ast.ClassDef) and node.name == base.__name__:
                names |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
                names |= {each.name for each in ast.walk(node) if isinstance(each, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("path", SHARED)
def test_class_of_databases_has_the_names_that_are_shared_with_it(path: str) -> None:
    module, _, name = path.rpartition(".")
    missing = set(SHARED[path]) - names_of_class(getattr(importlib.import_module(module), name))
    assert not missing, f"{path} of databases {databases.__version__} has no {', '.join(sorted(missing))}"


@pytest.mark.parametrize("path", MODULE_NAMES)
def test_module_of_databases_has_the_names_that_are_used(path: str) -> None:
    module = importlib.import_module(path)
    missing = [name for name in MODULE_NAMES[path] if not hasattr(module, name)]
    assert not missing, f"{path} of databases {databases.__version__} has no {', '.join(missing)}"


def sources(package: ModuleType) -> Iterator[tuple[Path, ast.Module]]:
    assert package.__file__ is not None
    for path in Path(package.__file__).parent.rglob("*.py"):
        yield path, ast.parse(path.read_text())


def private_names(package: ModuleType) -> set[str]:
    """The private names that a package defines: variables of modules, attributes of `self`, methods."""
    names: set[str] = set()
    for _, tree in sources(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                names.add(node.attr)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return set(filter(is_private, names))


def test_no_other_private_name_of_databases_or_typesystem_is_used() -> None:
    known = OWN_NAMES.union(*SHARED.values(), *MODULE_NAMES.values())
    theirs = (private_names(databases) | private_names(typesystem)) - known
    used = {
        f"{path.name}:{node.lineno}: {node.attr}"
        for path, tree in sources(orm)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in theirs
    }
    assert not used, "name them in orm/database/connections/databases_internals.py: " + ", ".join(sorted(used))


def test_the_module_of_databases_that_uses_sqlalchemys_private_names_is_not_imported() -> None:
    modules = {
        node.module
        for _, tree in sources(orm)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert not {module for module in modules if module.startswith("databases.backends.common")}
