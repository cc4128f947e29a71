"""Which statements asyncmy may prepare. The values of a prepared one are not written into its SQL; its rows are binary.

A prepared statement may mean something else. MySQL infers the types of placeholders when it prepares a statement, from
their surroundings, and does not see that two expressions with placeholders are equal, which GROUP BY and DISTINCT may
require. So only a statement whose values are compared with a column, stored in one or limit the rows is prepared.
"""

import datetime
import decimal
import functools
import re
from collections.abc import Sequence
from typing import Any

STATEMENT_CACHE_SIZE = 100
MAX_VALUES = 200
PREPARABLE_TYPES = frozenset([int, str, type(None), bool, float, decimal.Decimal, datetime.datetime, datetime.date])
INT64_LIMIT = 1 << 63

# Not the s of a placeholder: MariaDB compares a parameter with a parameter in the server's default collation.
COLUMN = r"(?<![%\w])`?\w+`?(?:\.`?\w+`?)*"
TYPED_PLACEHOLDERS = re.compile(
    # a comparison or an assignment, and what may follow it
    rf"{COLUMN} ?(?:=|<>|<=|>=|<|>) ?%s(?=\)*\s*(?:,|AND\b|OR\b|LIMIT\b|ORDER\b|WHERE\b|FOR\b|RETURNING\b|\Z))"
    rf"|{COLUMN} IN \((?:%s(?:, )?)+\)"
    r"|\bLIMIT %s(?:, ?%s| OFFSET %s)?\Z"
    r"|\bVALUES ?(?:\((?:(?:%s|DEFAULT)(?:, )?)+\)(?:, )?)+"
)
UNTYPED = re.compile(r"%s|%%|\bGROUP BY\b|\bDISTINCT\b|\bUNION\b|\bINTERSECT\b|\bEXCEPT\b|\bOVER\b")
PREPARABLE_STATEMENT = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)


@functools.lru_cache(maxsize=1024)
def is_safe(sql: str) -> bool:
    """Whether each placeholder of one of the ORM's statements takes its type from a column."""
    return PREPARABLE_STATEMENT.match(sql) is not None and UNTYPED.search(TYPED_PLACEHOLDERS.sub(" ", sql)) is None


def can_be_prepared(sql: str, args: Sequence[Any]) -> bool:
    """Whether to prepare a statement with these values."""
    if not 0 < len(args) <= MAX_VALUES or not is_safe(sql):
        return False
    for value in args:
        value_type = type(value)
        if value_type not in PREPARABLE_TYPES or (value_type is int and not -INT64_LIMIT <= value < INT64_LIMIT):
            return False
    return True
