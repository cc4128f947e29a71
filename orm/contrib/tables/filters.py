"""Conditions as dicts: ``{"rating": {"gte": 4}, "supplier.name": "North"}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orm.exceptions import QueryError
from orm.expressions.base import Q

#: The names of operators that are not those of lookups.
OPERATORS = {"eq": "exact", "is_null": "isnull", "between": "range"}
JUNCTIONS = ("and", "or")


def condition_of(where: Any) -> Q:
    """The condition of a dict, or of a `Q`, which is taken as it is. An empty one is true of every row.

    Values are compared for equality; a dict has operators, which are the names of lookups, or `eq`, `ne`, `not_in`,
    `is_null`, `between`, `like` and `ilike`. A dot follows a relation. Under ``"and"``, ``"or"`` and ``"not"`` are
    conditions. Raises `QueryError` for a pattern that only SQL has.
    """
    if where is None:
        return Q()
    if not isinstance(where, Mapping):
        return Q(where)
    condition = Q()
    for name, value in where.items():
        condition &= _condition(name, value)
    return condition


def is_empty(condition: object) -> bool:
    """Whether a condition is true of every row because it has no parts."""
    return isinstance(condition, Q) and all(map(is_empty, condition.children))


def _condition(name: str, value: Any) -> Q:
    if name in JUNCTIONS:
        parts = [condition_of(each) for each in value]
        joined = Q()
        for part in parts:
            joined = joined | part if name == "or" else joined & part
        return joined
    if name == "not":
        return ~condition_of(value)
    path = name.replace(".", "__")
    if not isinstance(value, Mapping):
        return Q(**{f"{path}__isnull": True}) if value is None else Q(**{path: value})
    condition = Q()
    for operator, operand in value.items():
        condition &= _comparison(path, operator, operand)
    return condition


def _comparison(path: str, operator: str, operand: Any) -> Q:
    if operator == "ne":
        return ~_condition(path, operand)
    if operator == "not_in":
        return ~Q(**{f"{path}__in": operand})
    if operator == "eq":
        return _condition(path, operand)
    if operator in ("like", "ilike"):
        lookup, text = _lookup_of_pattern(operand)
        return Q(**{f"{path}__{'i' if operator == 'ilike' else ''}{lookup}": text})
    return Q(**{f"{path}__{OPERATORS.get(operator, operator)}": operand})


def _lookup_of_pattern(pattern: str) -> tuple[str, str]:
    """The lookup that a pattern of LIKE is, and its text."""
    match = re.fullmatch(r"(%?)([^%_]*)(%?)", pattern, re.DOTALL)
    if match is None:
        raise QueryError(
            f"A pattern of like may begin or end with %; {pattern!r} has another wildcard: use the lookup regex."
        )
    before, text, after = match.groups()
    if not text and (before or after):
        return "contains", ""
    names = {(True, True): "contains", (True, False): "endswith", (False, True): "startswith", (False, False): "exact"}
    return names[bool(before), bool(after)], text
