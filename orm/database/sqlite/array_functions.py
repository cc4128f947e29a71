"""How SQLite reads arrays, which it keeps as JSON lists: by JSON_EACH, whose values are those of a plain column."""

from __future__ import annotations

from orm.database.sql_functions import SQLTemplate
from orm.exceptions import NotSupportedError


def _item(family: str, digits: str, array: str, index: str) -> str:
    return f"JSON_EXTRACT({array}, '$[' || {index} || ']')"


def _any(family: str, array: str, item: str) -> str:
    return f"{item} IN (SELECT value FROM JSON_EACH({array}))"


def _in_order(array: str) -> str:
    raise NotSupportedError(
        "The order of arrays is PostgreSQL's alone: here they are JSON lists. Compare an item, such as tags__0."
    )


ARRAY_FUNCTIONS: dict[str, SQLTemplate] = {
    "array_item": _item,
    "array_len": "JSON_ARRAY_LENGTH({0})",
    # A null in a list equals no item. JSON_EACH(NULL) has no rows.
    "array_contains": (
        "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN NOT EXISTS (SELECT 1 FROM JSON_EACH({1}) AS part "
        "WHERE part.value IS NULL OR part.value NOT IN "
        "(SELECT item.value FROM JSON_EACH({0}) AS item WHERE item.value IS NOT NULL)) END"
    ),
    "array_overlap": (
        "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN EXISTS (SELECT 1 FROM JSON_EACH({0}) AS item "
        "JOIN JSON_EACH({1}) AS part ON item.value = part.value) END"
    ),
    "array_any": _any,
    "array_in_order": _in_order,
    "array_slice": "orm_array_slice({0}, {1}, -1)",
    "array_slice_of": "orm_array_slice({0}, {1}, MAX({2}, 0))",
}
