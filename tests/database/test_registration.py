"""Registering dialects: names that are taken, and forgetting them."""

from __future__ import annotations

import sqlite3

import pytest

import orm
from orm.database.dialect_registry import (
    dialect_of_error,
    dialects,
    find,
    register,
    registrations,
    unregister,
    url_schemes,
)
from orm.database.sqlite.dialect import SQLiteDialect


class ReplacingDialect(SQLiteDialect):
    """A dialect to register in the place of another."""


REPLACING = f"{__name__}:ReplacingDialect"


def test_register_with_a_taken_name_or_alias_raises() -> None:
    for name, aliases in (("sqlite", ()), ("mine", ["postgres"])):
        with pytest.raises(orm.InterfaceError, match=r"is registered already, as orm\.database.*replace=True"):
            register(name, REPLACING, aliases=aliases)
    assert "mine" not in registrations
    assert type(dialects["sqlite"]) is SQLiteDialect


def test_register_with_a_name_that_is_no_scheme_raises() -> None:
    before = dict(registrations)
    for name in ("", "a b", "x;y", "mine+driver", "Mine", "1a", None, 5):
        with pytest.raises(orm.InterfaceError, match="cannot be the name of a dialect"):
            register(name, REPLACING)  # type: ignore[arg-type]
        with pytest.raises(orm.InterfaceError, match="cannot be the name of a dialect"):
            register("mine", REPLACING, aliases=[name])  # type: ignore[list-item]
    assert registrations == before


def test_dialect_of_a_path_without_one_is_refused() -> None:
    for path in ("", "shop", "shop.duckdb", "shop:Duck:DB", "shop duckdb:DuckDB"):
        with pytest.raises(orm.InterfaceError, match="does not name its class"):
            register("mine", path)
    for class_name in ("Missing", "REPLACING", "sqlite3"):
        register("mine", f"{__name__}:{class_name}")
        with pytest.raises(orm.InterfaceError, match=f"'mine' is registered as .*:{class_name}, which is no Dialect"):
            find("mine")
        unregister("mine")


def test_register_again_alike_changes_nothing() -> None:
    register("sqlite", "orm.database.sqlite.dialect:SQLiteDialect", driver_packages=["sqlite3"])
    assert type(dialects["sqlite"]) is SQLiteDialect


def test_register_with_replace_replaces_the_dialect_under_all_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in registrations:
        dialects[name]
    with monkeypatch.context() as patch:
        for name in ("postgresql", "postgres"):
            patch.setitem(registrations, name, registrations[name])
            patch.setitem(dialects, name, dialects[name])
        register("postgresql", REPLACING, replace=True)
        assert type(dialects["postgresql"]) is ReplacingDialect
        assert dialects["postgres"] is dialects["postgresql"]
    assert dialects["postgres"].name == "postgresql"


def test_error_of_a_replaced_dialects_driver_is_the_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dialects, "sqlite", dialects["sqlite"])
    monkeypatch.setitem(registrations, "sqlite", registrations["sqlite"])
    register("sqlite", REPLACING, replace=True)
    assert type(dialect_of_error(sqlite3.OperationalError())) is ReplacingDialect


def test_unregister_of_an_unknown_name_raises() -> None:
    with pytest.raises(orm.InterfaceError, match="'nope': there are sqlite, postgresql, postgres, cockroachdb"):
        unregister("nope")


def test_unregister_forgets_all_names() -> None:
    register("mine", REPLACING, aliases=["ours"])
    assert dialects["mine"] is dialects["ours"]
    unregister("ours")
    assert find("mine") is find("ours") is None
    assert "mine" not in url_schemes()
