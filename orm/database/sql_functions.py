"""How functions are written: templates, those of standard SQL, and what the servers' `sql_functions.py` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

SQLTemplate = str | Callable[..., str] | None
"""How a function is written: a template of its arguments (``{0}``, ``{1}``; ``{all}`` for all of them), a callable
that takes the literals and the arguments and returns SQL, or None for a function that the database does not have."""


class CollectionCall(NamedTuple):
    """The SQL of a call of ``string_agg``, ``array_agg`` or ``json_agg``."""

    name: str
    values: Sequence[str]
    """The collected value; for ``string_agg`` the delimiter as well."""
    distinct: bool
    order: Sequence[tuple[str, bool]]
    """The keys of the order, each with whether it is descending."""
    condition: str | None
    """Only rows that meet it are collected."""


def same_name(*names: str) -> dict[str, SQLTemplate]:
    """Entries of `Dialect.sql_functions` for functions that a database has under the ORM's names."""

    def template(name: str) -> SQLTemplate:
        return lambda *arguments: f"{name.upper()}({', '.join(arguments)})"

    return {name: template(name) for name in names}


# The functions that standard SQL has under the ORM's names.
STANDARD_FUNCTIONS = same_name(
    *("abs", "ceiling", "exp", "floor", "ln", "log", "mod", "power", "sqrt"),
    *("acos", "asin", "atan", "cos", "sin", "tan"),
    *("lower", "lpad", "ltrim", "rpad", "rtrim", "trim", "upper"),
    *("coalesce", "greatest", "least", "nullif"),
)


def order_by_clause(order: Sequence[tuple[str, bool]]) -> str:
    """An ORDER BY clause of (SQL, descending) pairs; an empty string if there are none."""
    terms = [f"{key} DESC" if descending else key for key, descending in order]
    return f" ORDER BY {', '.join(terms)}" if terms else ""


def json_array(as_json: Callable[[str, str], str]) -> SQLTemplate:
    """JSON_ARRAY() of any number of values. Its literals are their families; `as_json` writes a value of a family."""

    def template(*families_and_values: str) -> str:
        count = len(families_and_values) // 2
        pairs = zip(families_and_values[:count], families_and_values[count:], strict=True)
        return f"JSON_ARRAY({', '.join(as_json(family, value) for family, value in pairs)})"

    return template
