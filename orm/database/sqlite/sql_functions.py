"""How SQLite writes functions, by the ORM's names. Those called ``orm_…`` are in `python_functions.py`."""

from __future__ import annotations

import sys

from orm.database.sql.functions import with_frame_exclusion
from orm.database.sql_functions import SQLTemplate, json_array, same_name
from orm.database.sqlite.array_functions import ARRAY_FUNCTIONS
from orm.database.sqlite.json_functions import by_type, json_at, json_in, json_item, python_call

DURATIONS = {
    "day": "({0} / 86400000000)",
    "hour": "({0} / 3600000000 % 24)",
    "minute": "({0} / 60000000 % 60)",
    "second": "({0} / 1000000 % 60)",
}


def _extract(unit: str, family: str, zone: str, moment: str) -> str:
    return DURATIONS[unit].format(moment) if family == "duration" else f"orm_extract({moment}, '{unit}', '{zone}')"


def _trunc(unit: str, family: str, to: str, zone: str, moment: str) -> str:
    return f"orm_trunc({moment}, '{unit}', '{to}', '{zone}')"


def _as_datetime(family: str, target: str, moment: str) -> str:
    return f"({moment} || ' 00:00:00.000000')" if family == "date" else moment


def _now(family: str) -> str:
    # In microseconds, as datetimes are stored.
    return "(STRFTIME('%Y-%m-%d %H:%M:%f', 'now') || '000')"


def _collate(name: str, text: str) -> str:
    return f'({text} COLLATE "{name}")'


def _as_json(family: str, value: str) -> str:
    if family == "boolean":
        return f"JSON(CASE WHEN {value} THEN 'true' WHEN NOT {value} THEN 'false' END)"
    return f"JSON({value})" if family == "json" else value


def _json_object(*literals_and_arguments: str) -> str:
    count = len(literals_and_arguments) // 3
    families, arguments = literals_and_arguments[:count], list(literals_and_arguments[count:])
    arguments[1::2] = [_as_json(family, value) for family, value in zip(families, arguments[1::2], strict=True)]
    return f"JSON_OBJECT({', '.join(arguments)})"


def _concat(*arguments: str) -> str:
    present = [f"COALESCE({argument}, '')" for argument in arguments]
    return f"({' || '.join(present)})"


SQL_FUNCTIONS: dict[str, SQLTemplate] = {
    **same_name("sign", "atan2", "degrees", "pi", "radians", "length", "replace", "substr"),
    "extract": _extract,
    "trunc": _trunc,
    "as_datetime": _as_datetime,
    "now": _now,
    "typed": lambda family, value: value,
    # Text. SQLite's LOWER() and UPPER() fold ASCII only.
    "lower": "orm_lower({0})",
    "upper": "orm_upper({0})",
    "chr": "CHAR({0})",
    "concat": _concat,
    "left": "SUBSTR({0}, 1, {1})",
    "right": "SUBSTR({0}, -({1}), {1})",
    "lpad": "orm_lpad({0}, {1}, {2})",
    "rpad": "orm_rpad({0}, {1}, {2})",
    "ord": "CASE {0} WHEN '' THEN 0 ELSE UNICODE({0}) END",
    "repeat": "orm_repeat({0}, {1})",
    "reverse": "orm_reverse({0})",
    "md5": "orm_hash({0}, 'md5')",
    "sha1": "orm_hash({0}, 'sha1')",
    "sha224": "orm_hash({0}, 'sha224')",
    "sha256": "orm_hash({0}, 'sha256')",
    "sha384": "orm_hash({0}, 'sha384')",
    "sha512": "orm_hash({0}, 'sha512')",
    "strindex": "INSTR({0}, {1})",
    "signed": "({0})",
    "shifted_right": "({0} >> {1})",
    "substr_of": "SUBSTR({0}, {1}, {2})",
    "collate": _collate,
    # Windows
    "excluding": with_frame_exclusion,
    # Comparison
    "greatest": "MAX({all})",
    "least": "MIN({all})",
    # Aggregates. OVER may follow the call, so it has no parentheses around it.
    "bool_and": "MIN({})".format,
    "bool_or": "MAX({})".format,
    "any_value": "MIN({})".format,
    # Decimals
    "decimal_plus": "orm_decimal({0}, {1}, '+')",
    "decimal_minus": "orm_decimal({0}, {1}, '-')",
    "decimal_times": "orm_decimal({0}, {1}, '*')",
    "decimal_over": "orm_decimal({0}, {1}, '/')",
    "decimal_rest": "orm_decimal({0}, {1}, '%')",
    # Before Python 3.11, its sqlite3 has no window functions.
    "decimal_sum": ("orm_decimal_sum({})" if sys.version_info >= (3, 11) else "SUM({})").format,
    "decimal_mean": ("orm_decimal_mean({})" if sys.version_info >= (3, 11) else "AVG({})").format,
    # Numbers
    "cot": "orm_cot({0})",
    "random": "orm_random()",
    "round": lambda family, number, digits: f"orm_round({number}, {digits})",
    # JSON
    "json_at": json_at,
    "json_item": json_item,
    "json_text": by_type(
        "CASE COALESCE({type}, 'null') WHEN 'text' THEN {value} WHEN 'null' THEN NULL ELSE {python} END",
        "orm_json_text({0})",
    ),
    "json_number": by_type(
        "CASE {type} WHEN 'integer' THEN {value} WHEN 'real' THEN {value} END", "orm_json_number({0})"
    ),
    "json_string": by_type("CASE {type} WHEN 'text' THEN {value} END", "orm_json_string({0})"),
    "json_is_null": by_type("{type} = 'null'", "({0} = 'null')"),
    "json_exists": by_type("{type} IS NOT NULL", "({0} IS NOT NULL)"),
    "json_in": json_in,
    "json_contains": lambda document, part: python_call("orm_json_contains", document, part),
    "json_has_keys": lambda document, keys: python_call("orm_json_has_keys", document, keys, "1"),
    "json_has_any_keys": lambda document, keys: python_call("orm_json_has_keys", document, keys, "0"),
    # Arrays, which are JSON
    **ARRAY_FUNCTIONS,
    "date_after": "orm_shift({0}, {1}, 'date')",
    "date_before": "orm_shift({0}, -({1}), 'date')",
    "date_gap": "orm_gap({0}, {1})",
    "datetime_after": "orm_shift({0}, {1}, 'datetime')",
    "datetime_before": "orm_shift({0}, -({1}), 'datetime')",
    "datetime_gap": "orm_gap({0}, {1})",
    "time_after": "orm_shift({0}, {1}, 'time')",
    "time_before": "orm_shift({0}, -({1}), 'time')",
    "time_gap": "orm_gap({0}, {1})",
    "json_object": _json_object,
    "json_array": json_array(_as_json),
    "json_element": lambda family, value: f"orm_json_element({value}, '{family}')",
}


CASTS = {
    "integer": "CAST({0} AS INTEGER)",
    "duration": "CAST({0} AS INTEGER)",
    "float": "CAST({0} AS REAL)",
    "boolean": "({0} <> 0)",
    "date": "orm_trunc({0}, 'date', 'date', 'UTC')",
    "time": "orm_trunc({0}, 'time', 'time', 'UTC')",
    "naive": "orm_trunc({0}, 'moment', 'naive', 'UTC')",
    "aware": "orm_trunc({0}, 'moment', 'aware', 'UTC')",
    "json": "{0}",
    "uuid": "LOWER(REPLACE({0}, '-', ''))",
    "binary": "CAST({0} AS BLOB)",
}
