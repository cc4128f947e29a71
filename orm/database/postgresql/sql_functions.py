"""How PostgreSQL writes functions, by the ORM's names."""

from __future__ import annotations

from typing import Any

from orm.database.sql.functions import with_frame_exclusion
from orm.database.sql_functions import SQLTemplate, same_name
from orm.database.types.time_zones import UTC_NAME, fixed_offset

FIELDS = {"week_day": "DOW", "iso_week_day": "ISODOW", "iso_year": "ISOYEAR"}
SMALL_UNITS = ("hour", "minute", "second")


def at_zone(moment: str, zone: str) -> str:
    """The local time of an instant, or the instant of a local time."""
    offset = fixed_offset(zone)
    name = f"'{zone}'" if offset is None or zone == UTC_NAME else f"INTERVAL '{offset} seconds'"
    return f"({moment} AT TIME ZONE {name})"


def _extract(unit: str, family: str, zone: str, moment: str) -> str:
    if family == "aware":
        moment = at_zone(moment, zone)
    extracted = f"EXTRACT({FIELDS.get(unit, unit.upper())} FROM {moment})"
    if unit == "second":
        return f"FLOOR({extracted})"
    return f"({extracted} + 1)" if unit == "week_day" else extracted


def _trunc(unit: str, family: str, to: str, zone: str, moment: str) -> str:
    local = at_zone(moment, zone) if family == "aware" else moment
    cut = local if unit in ("date", "time") else f"DATE_TRUNC('{unit}', {local})"
    if to in ("date", "time"):
        return f"CAST({cut} AS {to.upper()})"
    if to == "naive":
        return f"CAST({cut} AS TIMESTAMP)"
    if unit in SMALL_UNITS:
        # Subtract the remainder, which is the same in every zone: an hour that occurs twice stays unambiguous.
        return f"({moment} - ({local} - {cut}))"
    return at_zone(cut, zone)


def as_instant(moment: str, family: str) -> str:
    """The instant of a date or local datetime in UTC, whatever the session's time zone."""
    return at_zone(f"CAST({moment} AS TIMESTAMP)" if family == "date" else moment, UTC_NAME)


def _as_datetime(family: str, target: str, moment: str) -> str:
    return as_instant(moment, family) if target == "aware" else moment


def _now(family: str) -> str:
    # CURRENT_TIMESTAMP is the start of the transaction.
    return "STATEMENT_TIMESTAMP()" if family == "aware" else at_zone("STATEMENT_TIMESTAMP()", UTC_NAME)


def _hash(bits: str) -> str:
    return f"ENCODE(SHA{bits}(CONVERT_TO({{0}}, 'UTF8')), 'hex')"


def _collate(name: str, text: str) -> str:
    return f'({text} COLLATE "{name}")'


def _round(family: str, number: str, digits: str) -> str:
    number = f"CAST({number} AS NUMERIC)" if family == "float" else number
    return f"ROUND({number}, CAST({digits} AS INTEGER))"


def _numeric(name: str) -> Any:
    # LOG() and MOD() do not take two doubles.
    def template(left: str, right: str) -> str:
        return f"{name}(CAST({left} AS NUMERIC), CAST({right} AS NUMERIC))"

    return template


def _json_object(*literals_and_arguments: str) -> str:
    count = len(literals_and_arguments) // 3
    arguments = list(literals_and_arguments[count:])
    arguments[::2] = [f"CAST({key} AS TEXT)" for key in arguments[::2]]
    return f"JSONB_BUILD_OBJECT({', '.join(arguments)})"


def _json_array(*literals_and_arguments: str) -> str:
    count = len(literals_and_arguments) // 2
    return f"JSONB_BUILD_ARRAY({', '.join(literals_and_arguments[count:])})"


SQL_FUNCTIONS: dict[str, SQLTemplate] = {
    **same_name(
        "sign", "atan2", "cot", "pi", "radians", "random", "length", "md5", "replace", "reverse", "bool_and", "bool_or"
    ),
    "extract": _extract,
    "trunc": _trunc,
    "as_datetime": _as_datetime,
    "now": _now,
    "typed": lambda family, value: f"CAST({value} AS VARCHAR)" if family == "text" else value,
    # Text
    "chr": "CHR(CAST({0} AS INTEGER))",
    "concat": "CONCAT({all})",
    "left": "LEFT({0}, CAST({1} AS INTEGER))",
    "right": "RIGHT({0}, CAST({1} AS INTEGER))",
    "lpad": "LPAD({0}, CAST({1} AS INTEGER), {2})",
    "rpad": "RPAD({0}, CAST({1} AS INTEGER), {2})",
    "ord": "ASCII({0})",
    "repeat": "REPEAT({0}, CAST({1} AS INTEGER))",
    "sha1": "ENCODE(DIGEST({0}, 'sha1'), 'hex')",
    "sha224": _hash("224"),
    "sha256": _hash("256"),
    "sha384": _hash("384"),
    "sha512": _hash("512"),
    "strindex": "STRPOS({0}, {1})",
    "signed": "({0})",
    "shifted_right": "({0} >> {1})",
    "substr": "SUBSTRING({0}, CAST({1} AS INTEGER))",
    "substr_of": "SUBSTRING({0}, CAST({1} AS INTEGER), CAST({2} AS INTEGER))",
    # hstore
    "hstore_keys": "AKEYS({0})",
    "hstore_values": "AVALS({0})",
    "hstore_item": "{0} -> CAST({1} AS TEXT)",
    "hstore_contains": "{0} @> {1}",
    "hstore_contained_by": "{0} <@ {1}",
    "hstore_has_keys": "{0} ?& CAST({1} AS TEXT[])",
    "hstore_has_any_keys": "{0} ?| CAST({1} AS TEXT[])",
    # Ranges
    "range_lower": "LOWER({0})",
    "range_upper": "UPPER({0})",
    "range_isempty": "ISEMPTY({0})",
    "range_lower_inc": "LOWER_INC({0})",
    "range_upper_inc": "UPPER_INC({0})",
    "range_lower_inf": "LOWER_INF({0})",
    "range_upper_inf": "UPPER_INF({0})",
    "range_contains": "{0} @> {1}",
    "range_contained_by": "{0} <@ {1}",
    "range_overlap": "{0} && {1}",
    "range_fully_lt": "{0} << {1}",
    "range_fully_gt": "{0} >> {1}",
    "range_not_lt": "{0} &> {1}",
    "range_not_gt": "{0} &< {1}",
    "range_adjacent_to": "{0} -|- {1}",
    # Arrays
    "array_item": lambda family, digits, array, index: f"({array})[CAST({index} AS INTEGER) + 1]",
    "array_len": "CARDINALITY({0})",
    "array_contains": "{0} @> {1}",
    "array_overlap": "{0} && {1}",
    "array_any": lambda family, array, item: f"{item} = ANY({array})",
    "array_in_order": "{0}",
    "array_slice": "({0})[CAST({1} AS INTEGER):]",
    "array_slice_of": "({0})[CAST({1} AS INTEGER):CAST({1} AS INTEGER) + CAST({2} AS INTEGER) - 1]",
    "trim": "BTRIM({0})",
    "collate": _collate,
    # Windows
    "excluding": with_frame_exclusion,
    # Decimals
    "decimal_plus": "{0} + {1}",
    "decimal_minus": "{0} - {1}",
    "decimal_times": "{0} * {1}",
    "decimal_over": "{0} / {1}",
    "decimal_rest": "MOD({0}, {1})",
    # ANY_VALUE() is of PostgreSQL 16.
    "any_value": "(ARRAY_AGG({0}) FILTER (WHERE {0} IS NOT NULL))[1]",
    "decimal_sum": "SUM({})".format,
    "decimal_mean": "AVG({})".format,
    # Numbers
    "log": _numeric("LOG"),
    "mod": _numeric("MOD"),
    "round": _round,
    "degrees": "DEGREES({0})",
    # JSON
    "json_element": lambda family, value: value,
    "json_at": "{0} #> CAST({1} AS TEXT[])",
    "json_text": "{0} #>> '{{}}'",
    "json_number": "CASE WHEN JSONB_TYPEOF({0}) = 'number' THEN CAST({0} AS NUMERIC) END",
    "json_string": "CASE WHEN JSONB_TYPEOF({0}) = 'string' THEN {0} #>> '{{}}' END",
    "json_is_null": "JSONB_TYPEOF({0}) = 'null'",
    "json_exists": "{0} IS NOT NULL",
    "json_item": "{0} #> ARRAY[{1}]",
    "json_in": "{0} = ANY(ARRAY(SELECT listed -> 0 FROM JSONB_ARRAY_ELEMENTS({1}) AS listed))",
    "json_contains": "{0} @> {1}",
    "json_has_keys": ("JSONB_TYPEOF({0}) = 'object' AND {0} ?& ARRAY(SELECT JSONB_ARRAY_ELEMENTS_TEXT({1}))"),
    "json_has_any_keys": ("JSONB_TYPEOF({0}) = 'object' AND {0} ?| ARRAY(SELECT JSONB_ARRAY_ELEMENTS_TEXT({1}))"),
    "date_after": "{0} + {1}",
    "date_before": "{0} - {1}",
    "date_gap": "CAST({0} AS TIMESTAMP) - CAST({1} AS TIMESTAMP)",
    "datetime_after": "{0} + {1}",
    "datetime_before": "{0} - {1}",
    "datetime_gap": "{0} - {1}",
    "time_after": "{0} + {1}",
    "time_before": "{0} - {1}",
    "time_gap": "{0} - {1}",
    "json_object": _json_object,
    "json_array": _json_array,
}
AGGREGATES = {"string_agg": "STRING_AGG", "array_agg": "ARRAY_AGG", "json_agg": "JSONB_AGG"}
