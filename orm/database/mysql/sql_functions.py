"""How MySQL and MariaDB write functions, by the ORM's names."""

from __future__ import annotations

from functools import partial

from orm.database.dialect import SQLTemplate, same_name
from orm.database.mysql.time_zones import ServerTimeZones, TimeZones, TimeZonesInSQL
from orm.exceptions import NotSupportedError

SMALL_UNITS = {
    "hour": "MINUTE({0}) * 60 + SECOND({0})",
    "minute": "SECOND({0})",
    "second": "0",
}
TRUNCATED = {
    "year": "MAKEDATE(YEAR({0}), 1)",
    "quarter": "(MAKEDATE(YEAR({0}), 1) + INTERVAL (QUARTER({0}) - 1) QUARTER)",
    # It names the moment once, because a conversion to local time is long.
    "month": "CAST(CONCAT(LEFT({0}, 7), '-01') AS DATE)",
    "week": "(DATE({0}) - INTERVAL WEEKDAY({0}) DAY)",
    "day": "DATE({0})",
    "date": "DATE({0})",
    "time": "TIME({0})",
    "hour": "TIMESTAMP(DATE({0}), MAKETIME(HOUR({0}), 0, 0))",
    "minute": "TIMESTAMP(DATE({0}), MAKETIME(HOUR({0}), MINUTE({0}), 0))",
    "second": "TIMESTAMP(DATE({0}), MAKETIME(HOUR({0}), MINUTE({0}), SECOND({0})))",
}
TRUNCATED_TIMES = {
    "hour": "MAKETIME(HOUR({0}), 0, 0)",
    "minute": "MAKETIME(HOUR({0}), MINUTE({0}), 0)",
    "second": "MAKETIME(HOUR({0}), MINUTE({0}), SECOND({0}))",
}
EXTRACTED = {
    "week_day": "DAYOFWEEK({0})",
    "iso_week_day": "(WEEKDAY({0}) + 1)",
    "week": "WEEK({0}, 3)",
    "iso_year": "(YEARWEEK({0}, 3) DIV 100)",
}
DURATIONS = {
    "day": "({0} DIV 86400000000)",
    "hour": "MOD({0} DIV 3600000000, 24)",
    "minute": "MOD({0} DIV 60000000, 60)",
    "second": "MOD({0} DIV 1000000, 60)",
}


def _extract(zones: TimeZones, unit: str, family: str, zone: str, moment: str) -> str:
    if family == "duration":
        return DURATIONS[unit].format(moment)
    if family == "aware":
        moment = zones.to_local(moment, zone)
    return EXTRACTED[unit].format(moment) if unit in EXTRACTED else f"EXTRACT({unit.upper()} FROM {moment})"


def _trunc(zones: TimeZones, unit: str, family: str, to: str, zone: str, moment: str) -> str:
    if family == "time":
        return TRUNCATED_TIMES[unit].format(moment)
    if family == to == "aware" and unit in SMALL_UNITS:
        # Subtract the remainder, which is the same in every zone: an hour that occurs twice stays unambiguous.
        local = zones.to_local(moment, zone)
        rest = SMALL_UNITS[unit].format(local)
        return f"({moment} - INTERVAL ({rest}) SECOND - INTERVAL MICROSECOND({moment}) MICROSECOND)"
    local = zones.to_local(moment, zone) if family == "aware" else moment
    cut = TRUNCATED[unit].format(local)
    if to in ("date", "time"):
        return cut if unit == to else f"{to.upper()}({cut})"
    cut = f"CAST({cut} AS DATETIME(6))"
    return zones.to_instant(cut, zone) if to == "aware" else cut


def _date_functions(zones: TimeZones) -> dict[str, SQLTemplate]:
    return {"extract": partial(_extract, zones), "trunc": partial(_trunc, zones)}


def _now(family: str) -> str:
    return "UTC_TIMESTAMP(6)"


def _collate(name: str, text: str) -> str:
    return f"({text} COLLATE `{name}`)"


def _binary(text: str) -> str:
    """Text in the collation of JSON; JSON functions do not accept any other."""
    return f"CONVERT({text} USING utf8mb4) COLLATE utf8mb4_bin"


def _as_json(family: str, value: str) -> str:
    if family == "boolean":
        truth = f"CASE WHEN {value} THEN 'true' WHEN NOT {value} THEN 'false' END"
        return f"JSON_EXTRACT({_binary(truth)}, '$')"
    if family == "json":
        return f"JSON_EXTRACT({_binary(value)}, '$')"
    return _binary(value) if family in ("text", "enum") else value


def _json_element(family: str, value: str) -> str:
    """The text of a JSON value; never NULL."""
    if family == "boolean":
        text = f"CASE WHEN {value} THEN 'true' WHEN NOT {value} THEN 'false' END"
    elif family in ("integer", "float", "decimal", "json"):
        text = f"CAST({value} AS CHAR)"
    else:
        text = f"JSON_QUOTE(CAST({value} AS CHAR))"
    return f"COALESCE({text}, 'null')"


def _json_object(*literals_and_arguments: str) -> str:
    count = len(literals_and_arguments) // 3
    families, arguments = literals_and_arguments[:count], list(literals_and_arguments[count:])
    arguments[::2] = [_binary(key) for key in arguments[::2]]
    arguments[1::2] = [_as_json(family, value) for family, value in zip(families, arguments[1::2], strict=True)]
    return f"JSON_OBJECT({', '.join(arguments)})"


def _json_array(*literals_and_arguments: str) -> str:
    count = len(literals_and_arguments) // 2
    families, values = literals_and_arguments[:count], literals_and_arguments[count:]
    return f"JSON_ARRAY({', '.join(_as_json(family, value) for family, value in zip(families, values, strict=True))})"


def _excluding(rows: str, over: str) -> str:
    raise NotSupportedError("MySQL and MariaDB cannot leave rows out of a window's frame (exclusion=).")


TYPES = {"date": "DATE", "time": "TIME(6)", "datetime": "DATETIME(6)"}
NUMBERS = "('INTEGER', 'DOUBLE', 'DECIMAL', 'UNSIGNED INTEGER')"

FUNCTIONS: dict[str, SQLTemplate] = {
    **same_name("sign", "atan2", "cot", "degrees", "radians"),
    **same_name("left", "right", "md5", "sha1", "repeat", "replace", "reverse"),
    **_date_functions(ServerTimeZones()),
    "as_datetime": lambda family, target, moment: moment,
    "now": _now,
    # A parameter has no type: the client sends text.
    "typed": lambda family, value: f"CAST({value} AS {TYPES[family]})",
    # Windows
    "excluding": _excluding,
    # Text
    "as_text": "CAST({0} AS CHAR)",
    "chr": "CHAR({0} USING utf32)",
    # It skips NULL.
    "concat": "CONCAT_WS('', {all})",
    "length": "CHAR_LENGTH({0})",
    # Without the conversion, ORD() returns the bytes of the character as a number.
    "ord": "ORD(CONVERT({0} USING utf32))",
    "sha224": "SHA2({0}, 224)",
    "sha256": "SHA2({0}, 256)",
    "sha384": "SHA2({0}, 384)",
    "sha512": "SHA2({0}, 512)",
    "strindex": "INSTR({0}, {1})",
    "signed": "CAST({0} AS SIGNED)",
    # Its >> treats numbers as unsigned.
    "shifted_right": "FLOOR({0} / POW(2, {1}))",
    "substr": "SUBSTRING({0}, {1})",
    "substr_of": "SUBSTRING({0}, {1}, {2})",
    "collate": _collate,
    # Aggregates. OVER may follow the call, so it has no parentheses around it.
    "bool_and": "MIN({})".format,
    "bool_or": "MAX({})".format,
    # Decimals
    "decimal_plus": "{0} + {1}",
    "decimal_minus": "{0} - {1}",
    "decimal_times": "{0} * {1}",
    "decimal_over": "{0} / {1}",
    "decimal_rest": "MOD({0}, {1})",
    "decimal_sum": "SUM({})".format,
    "decimal_mean": "AVG({})".format,
    # Numbers
    # PI() is sent with six digits.
    "pi": "3.141592653589793e0",
    "random": "RAND()",
    "round": lambda family, number, digits: f"ROUND({number}, {digits})",
    # JSON
    "json_element": _json_element,
    "json_at": "JSON_EXTRACT({0}, {1})",
    # [0] of a value that is not an array would be the value.
    "json_item": (
        "CASE WHEN JSON_TYPE({0}) = 'ARRAY' THEN JSON_EXTRACT({0}, CONCAT('$[', {1}, ']')) "
        """ELSE JSON_EXTRACT({0}, CONCAT('$."', {1}, '"')) END"""
    ),
    "json_text": "CASE WHEN JSON_TYPE({0}) <> 'NULL' THEN JSON_UNQUOTE({0}) END",
    "json_number": f"CASE WHEN JSON_TYPE({{0}}) IN {NUMBERS} THEN {{0}} + 0 END",
    "json_string": "CASE WHEN JSON_TYPE({0}) = 'STRING' THEN JSON_UNQUOTE({0}) END",
    "json_is_null": "JSON_TYPE({0}) = 'NULL'",
    "json_exists": "{0} IS NOT NULL",
    "json_contains": "JSON_CONTAINS({0}, {1}) = 1",
    "json_has_keys": "COALESCE(JSON_CONTAINS(JSON_KEYS({0}), {1}) = 1, {0} IS NULL AND NULL)",
    "json_has_any_keys": "COALESCE(JSON_OVERLAPS(JSON_KEYS({0}), {1}) = 1, {0} IS NULL AND NULL)",
    "date_after": "TIMESTAMP({0}) + INTERVAL {1} MICROSECOND",
    "date_before": "TIMESTAMP({0}) - INTERVAL {1} MICROSECOND",
    "date_gap": "TIMESTAMPDIFF(MICROSECOND, {1}, {0})",
    "datetime_after": "{0} + INTERVAL {1} MICROSECOND",
    "datetime_before": "{0} - INTERVAL {1} MICROSECOND",
    "datetime_gap": "TIMESTAMPDIFF(MICROSECOND, {1}, {0})",
    "time_after": "TIME(TIMESTAMP('2000-01-01', {0}) + INTERVAL {1} MICROSECOND)",
    "time_before": "TIME(TIMESTAMP('2000-01-01', {0}) - INTERVAL {1} MICROSECOND)",
    "time_gap": "TIMESTAMPDIFF(MICROSECOND, TIMESTAMP('2000-01-01', {1}), TIMESTAMP('2000-01-01', {0}))",
    "json_object": _json_object,
    "json_array": _json_array,
}

# Each value is in a list of its own, because a JSON column of JSON_TABLE() removes the quotes of a string.
JSON_IN = (
    "CASE WHEN {{0}} IS NOT NULL THEN "
    "EXISTS (SELECT 1 FROM JSON_TABLE({{1}}, '$[*]' COLUMNS (doc JSON PATH '$')) AS listed WHERE {equal}) END"
)
MYSQL_FUNCTIONS = {**FUNCTIONS, "json_in": JSON_IN.format(equal="listed.doc = JSON_ARRAY({0})")}
MARIADB_FUNCTIONS = {
    **FUNCTIONS,
    "json_in": JSON_IN.format(equal="JSON_EQUALS(listed.doc, CONCAT('[', {0}, ']')) = 1"),
}

FUNCTIONS_WITHOUT_TIME_ZONES = _date_functions(TimeZonesInSQL())
"""What differs where the server has no tables of time zones."""

CASTS = {
    "integer": "CAST({0} AS SIGNED)",
    "duration": "CAST({0} AS SIGNED)",
    "float": "CAST({0} AS DOUBLE)",
    "boolean": "({0} <> 0)",
    "date": "CAST({0} AS DATE)",
    "time": "CAST({0} AS TIME(6))",
    "naive": "CAST({0} AS DATETIME(6))",
    "aware": "CAST({0} AS DATETIME(6))",
    "json": "JSON_EXTRACT({0}, '$')",
    "uuid": "LOWER(REPLACE({0}, '-', ''))",
    "binary": "CAST({0} AS BINARY)",
}
