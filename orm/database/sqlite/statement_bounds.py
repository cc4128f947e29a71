"""The bounds of a statement's time and bytes, derived from the program that SQLite compiles it to."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

# The first words of the statements that are analysed. Others run in part while they are compiled.
ANALYSED = frozenset(["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "VALUES"])
# Instructions whose time grows with the size of a table, and those that run the statements of triggers and cascades.
# SQLite checks the clock only between instructions.
UNBOUNDED = frozenset(
    ["Count", "Clear", "Destroy", "IntegrityCk", "Vacuum", "IncrVacuum", "Checkpoint", "JournalMode", "SqlExec"]
    + ["Program", "VUpdate", "VBegin", "CreateBtree", "ParseSchema"]
)
LOOPS = frozenset(["Next", "Prev", "SorterNext", "VNext"])
RETURNED_ROWS = re.compile(r"(?!.*\bSELECT\b)(?:INSERT|UPDATE|DELETE)\b.*\bRETURNING\b", re.DOTALL)
CTE = re.compile(r"\bWITH\b", re.IGNORECASE)
CALLS = frozenset(["Function", "Function0", "PureFunc", "AggStep", "AggStep0", "AggStep1", "AggFinal", "AggValue"])
# SQLite's functions whose time is linear in their arguments, and those that search one argument for another.
LINEAR_FUNCTIONS = frozenset(
    ["abs", "avg", "coalesce", "count", "date", "datetime", "dense_rank", "format", "hex", "ifnull"]
    + ["iif", "json", "json_array", "json_array_length", "json_extract", "json_object", "json_quote", "json_type"]
    + ["json_valid", "julianday", "length", "lower", "max", "min", "nullif", "printf", "quote", "rank", "round"]
    + ["row_number", "strftime", "substr", "substring", "sum", "time", "total", "typeof", "unicode"]
    + ["unixepoch", "upper", "->", "->>"]
)
SEARCHING_FUNCTIONS = frozenset(["like", "glob", "instr", "replace", "trim", "ltrim", "rtrim"])


class Bounds(NamedTuple):
    """How many bytes the values of a statement may have on the event loop's thread.

    Attributes:
        argument_bytes: of all arguments together.
        value_bytes: of each value that it reads, calculates or writes, and of each row that it writes.
        is_straight: whether it has no loop, so that it cannot take long.
    """

    argument_bytes: int
    value_bytes: int
    is_straight: bool


# So many bytes are read or copied in a few microseconds. The time of a search grows with the product of two sizes.
MAX_BYTES = 64 * 1024
MAX_SEARCHED_BYTES = 4 * 1024
MAX_PATTERN_BYTES = 512
NO_VALUES = Bounds(0, 0, is_straight=True)
"""The bounds of a statement that begins or ends a transaction."""

_numbers = itertools.count()


def bounds_of(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> Bounds | None:
    """The bounds of one of the `ANALYSED` statements; None if its time has none, or it calls a function in Python."""
    # The values do not matter, but they must be as many. The number makes sqlite3 compile it anew: SQLite crashes when
    # it explains a statement again that it has compiled before a change of the schema.
    text = f"EXPLAIN {sql}\n-- {next(_numbers)}"
    program = connection.execute(text, [None] * len(args)).fetchall()
    codes = {row[1] for row in program}
    if not codes.isdisjoint(UNBOUNDED):
        return None
    functions = {row[5].partition("(")[0].lower() for row in program if row[1] in CALLS and isinstance(row[5], str)}
    if not functions <= LINEAR_FUNCTIONS | SEARCHING_FUNCTIONS:
        return None
    if sum(row[1] == "VOpen" for row in program) > sql.lower().count("json_each("):
        return None  # a virtual table may do anything in one instruction
    loops = {row[2] for row in program if row[1] in LOOPS}
    if RETURNED_ROWS.match(sql):
        # It reads the rows that it has written from a temporary table.
        loops -= {row[2] for row in program if row[1] == "OpenEphemeral"}
    is_straight = not loops and CTE.search(sql) is None
    if functions & SEARCHING_FUNCTIONS:
        return Bounds(MAX_PATTERN_BYTES, MAX_SEARCHED_BYTES, is_straight)
    return Bounds(MAX_BYTES, MAX_BYTES, is_straight)
