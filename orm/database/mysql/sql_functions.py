"""How MySQL and MariaDB write functions, by the ORM's names."""

from __future__ import annotations

from functools import partial

from orm.database.dialect_registry import registrations
from orm.database.mysql.time_zones import ServerTimeZones, TimeZones, TimeZonesInSQL
from orm.database.sql_functions import SQLTemplate, json_array, same_name
from orm.exceptions import NotSupportedError

SMALL_UNITS = {
    "hour": "MINUTE({0}) * 60 + SECOND({0})",
    "minute": "SECOND({0})",
    "second": "0",
}
TRUNCATED = {
    "year": "MAKEDATE(YEAR({0}), 1)",
    "quarter": "(MAKEDATE(YEAR({0}), 1) + INTERVAL (QUARTER({0}) - 1) QUARTER)",
    # It names the instant once, because a conversion to local time is long.
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


def _extract(zones: TimeZones, unit: str, family: str, zone: str, instant: str) -> str:
    if family == "duration":
        return DURATIONS[unit].format(instant)
    if family == "aware":
        instant = zones.to_local(instant, zone)
    return EXTRACTED[unit].format(instant) if unit in EXTRACTED else f"EXTRACT({unit.upper()} FROM {instant})"


def _trunc(zones: TimeZones, unit: str, family: str, to: str, zone: str, instant: str) -> str:
    if family == "time":
        return TRUNCATED_TIMES[unit].format(instant)
    if family == to == "aware" and unit in SMALL_UNITS:
        # Subtract the remainder, which is the same in every zone: an hour that occurs twice stays unambiguous.
        local = zones.to_local(instant, zone)
        rest = SMALL_UNITS[unit].format(local)
        return f"({instant} - INTERVAL ({rest}) SECOND - INTERVAL MICROSECOND({instant}) MICROSECOND)"
    local = zones.to_local(instant, zone) if family == "aware" else instant
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


def exact_text(text: str, collation: str) -> str:
    """A value as text in a collation, whatever the character set of the column that it comes from."""
    return f"CONVERT({text} USING utf8mb4) COLLATE {collation}"


def _binary(text: str) -> str:
    """Text in the collation of JSON; JSON functions do not accept any other."""
    return exact_text(text, "utf8mb4_bin")


def _as_json(family: str, value: str) -> str:
    if family == "boolean":
        truth = f"CASE WHEN {value} THEN 'true' WHEN NOT {value} THEN 'false' END"
        return f"JSON_EXTRACT({_binary(truth)}, '$')"
    if family == "json":
        return f"JSON_EXTRACT({_binary(value)}, '$')"
    return _binary(value) if family in ("text", "enum") else value


def _json_element(family: str, value: str) -> str:
    """The text of a JSON value, in the collation of JSON; never NULL."""
    if family == "boolean":
        text = f"CASE WHEN {value} THEN 'true' WHEN NOT {value} THEN 'false' END"
    elif family in ("integer", "float", "decimal", "json"):
        text = f"CAST({value} AS CHAR)"
    else:
        text = f"JSON_QUOTE(CAST({value} AS CHAR))"
    return f"COALESCE({_binary(text)}, 'null')"


def _is_json(type_: str) -> str:
    """Whether a JSON value, the first argument, has a type."""
    return f"(JSON_TYPE({{0}}) = '{type_}' COLLATE utf8mb4_bin)"


def is_json_number(document: str) -> str:
    """Whether a JSON value is a number."""
    return f"JSON_TYPE({document}) IN ('INTEGER' COLLATE utf8mb4_bin, 'DOUBLE', 'DECIMAL', 'UNSIGNED INTEGER')"


def _json_object(*literals_and_arguments: str) -> str:
    count = len(literals_and_arguments) // 3
    families, arguments = literals_and_arguments[:count], list(literals_and_arguments[count:])
    arguments[::2] = [_binary(key) for key in arguments[::2]]
    arguments[1::2] = [_as_json(family, value) for family, value in zip(families, arguments[1::2], strict=True)]
    return f"JSON_OBJECT({', '.join(arguments)})"


def _excluding(rows: str, over: str) -> str:
    raise NotSupportedError("MySQL and MariaDB cannot leave rows out of a window's frame (exclusion=).")


TYPES = {"date": "DATE", "time": "TIME(6)", "datetime": "DATETIME(6)"}

FUNCTIONS: dict[str, SQLTemplate] = {
    **same_name("sign", "atan2", "cot", "degrees", "radians"),
    **same_name("left", "right", "md5", "sha1", "repeat", "replace", "reverse"),
    **_date_functions(ServerTimeZones()),
    "as_datetime": lambda family, target, instant: instant,
    "now": _now,
    # A parameter has no type: the client sends text.
    "typed": lambda family, value: value if family == "text" else f"CAST({value} AS {TYPES[family]})",
    # Windows
    "excluding": _excluding,
    # Text
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
    "any_value": "MIN({})".format,
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
        f"CASE WHEN {_is_json('ARRAY')} THEN JSON_EXTRACT({{0}}, CONCAT('$[', {{1}}, ']')) "
        """ELSE JSON_EXTRACT({0}, CONCAT('$."', {1}, '"')) END"""
    ),
    "json_number": f"CASE WHEN {is_json_number('{0}')} THEN {{0}} + 0 END",
    "json_is_null": _is_json("NULL"),
    "json_exists": "{0} IS NOT NULL",
    "json_contains": "JSON_CONTAINS({0}, {1}) = 1",
    "json_has_keys": "COALESCE(JSON_CONTAINS(JSON_KEYS({0}), {1}) = 1, {0} IS NULL AND NULL)",
    "json_has_any_keys": "COALESCE(JSON_OVERLAPS(JSON_KEYS({0}), {1}) = 1, {0} IS NULL AND NULL)",
    # Arrays, which are JSON
    "array_len": "JSON_LENGTH({0})",
    # A null in a list equals no item.
    "array_contains": "JSON_CONTAINS({0}, {1}) = 1 AND NOT JSON_CONTAINS({1}, 'null')",
    "array_overlap": lambda array, other: _array_overlap(array, other),
    "array_any": lambda family, array, item: _array_any(family, array, item),
    "array_slice": lambda array, start: _array_slice(array, start),
    "array_slice_of": lambda array, start, length: _array_slice(array, start, length),
    "array_in_order": lambda array: array_in_order(array),
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
    "json_array": json_array(_as_json),
}

NOT_IN_ORDER = "The order of arrays is PostgreSQL's alone: here they are JSON lists. Compare an item, such as tags__0."


def array_in_order(array: str) -> str:
    """Refused: lists are no arrays."""
    raise NotSupportedError(NOT_IN_ORDER)


def _array_item(family: str, digits: str, array: str, index: str, *, text_of: str) -> str:
    """An item of a JSON list as the type of the items."""
    item = f"JSON_EXTRACT({array}, CONCAT('$[', {index}, ']'))"
    text = text_of.format(item)
    if family == "boolean":
        return f"CASE {text} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
    if family == "decimal":
        return f"CAST({text} AS DECIMAL({digits}))"
    family = "integer" if family == "integer enum" else family
    return CASTS[family].format(text) if family in CASTS and family not in ("uuid", "binary") else text


def _array_overlap(array: str, other: str) -> str:
    # A null in a list equals no item, but JSON_OVERLAPS says that it equals another null.
    item = f"JSON_EXTRACT({array}, CONCAT('$[', listed.position - 1, ']'))"
    return (
        f"CASE WHEN JSON_CONTAINS({array}, 'null') AND JSON_CONTAINS({other}, 'null') THEN "
        f"EXISTS (SELECT 1 FROM JSON_TABLE({array}, '$[*]' COLUMNS (position FOR ORDINALITY)) AS listed "
        f"WHERE NOT {_is_json('NULL').format(item)} AND JSON_CONTAINS({other}, JSON_ARRAY({item}))) "
        f"ELSE JSON_OVERLAPS({array}, {other}) = 1 END"
    )


def _array_any(family: str, array: str, item: str) -> str:
    if family not in ("integer", "integer enum", "float", "boolean", "duration"):
        family, item = "text", f"CAST({item} AS CHAR)"
    # A null in a list equals no item.
    return f"CASE WHEN {item} IS NOT NULL THEN JSON_CONTAINS({array}, JSON_ARRAY({_as_json(family, item)})) = 1 END"


def _array_slice(array: str, start: str, length: str | None = None) -> str:
    # A range that ends before it begins is an error. MariaDB 10.11 takes "last" for the last item of the first row.
    last = "999999999" if length is None else f"', {start} + {length} - 2, '"
    items = f"COALESCE(JSON_EXTRACT({array}, CONCAT('$[', {start} - 1, ' to {last}]')), JSON_ARRAY())"
    empty = "" if length is None else f"WHEN {length} <= 0 THEN JSON_ARRAY() "
    return f"CASE WHEN {array} IS NULL THEN NULL {empty}ELSE {items} END"


# Each value is in a list, because a JSON column of JSON_TABLE() removes the quotes of a string.
JSON_IN = (
    "CASE WHEN {{0}} IS NOT NULL THEN "
    "EXISTS (SELECT 1 FROM JSON_TABLE({{1}}, '$[*]' COLUMNS (doc JSON PATH '$')) AS listed WHERE {equal}) END"
)


def _text_functions(collation: str) -> dict[str, SQLTemplate]:
    """The functions whose results would not have the collation of columns and literals."""
    return {
        "chr": exact_text("CHAR({0} USING utf32)", collation),
        "json_text": f"CASE WHEN NOT {_is_json('NULL')} THEN JSON_UNQUOTE({{0}}) COLLATE {collation} END",
        "array_item": partial(
            _array_item, text_of=f"CASE WHEN NOT {_is_json('NULL')} THEN JSON_UNQUOTE({{0}}) COLLATE {collation} END"
        ),
        "json_string": f"CASE WHEN {_is_json('STRING')} THEN JSON_UNQUOTE({{0}}) COLLATE {collation} END",
    }


MYSQL_COLLATION, MARIADB_COLLATION = (registrations[name].table_options["collate"] for name in ("mysql", "mariadb"))
"""The collations of columns and of texts that the server computes: case, accents and trailing spaces count."""
MYSQL_FUNCTIONS = {
    **FUNCTIONS,
    **_text_functions(MYSQL_COLLATION),
    "json_in": JSON_IN.format(equal="listed.doc = JSON_ARRAY({0})"),
}
MARIADB_FUNCTIONS = {
    **FUNCTIONS,
    **_text_functions(MARIADB_COLLATION),
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
