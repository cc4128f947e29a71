"""How MySQL and MariaDB store values, through aiomysql and asyncmy."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import BindParameter, ColumnElement
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import mysql

from orm.database.json_arrays import json_array
from orm.database.storage import (
    UTC,
    Storage,
    StorageTypes,
    UnstorableValue,
    aware_to_naive_utc,
    bind_naive,
    bind_text,
    digits_to_uuid,
    json_to_text,
    text_to_json,
)
from orm.exceptions import DataError
from orm.utils.codegen import Inline

#: Up to this length a binary column is VARBINARY, which can be indexed; beyond it, LONGBLOB.
MAX_VARBINARY = 255
MIDNIGHT = datetime.datetime.min


class MariaDBTypes(StorageTypes):
    """Storage on MariaDB, where JSON is text."""

    def float(self) -> Storage:
        # FLOAT would have single precision.
        return super().float()._replace(sql_type=mysql.DOUBLE())

    def text(self) -> Storage:
        return Storage(mysql.LONGTEXT(), bind_text)

    def boolean(self) -> Storage:
        return super().boolean()._replace(result=stored_to_bool)

    def date(self) -> Storage:
        return Storage(sqltypes.Date(), None, checked_date)

    def time(self) -> Storage:
        return Storage(mysql.TIME(fsp=6), None, duration_to_time)

    def datetime(self, timezone: bool) -> Storage:
        sql_type = mysql.DATETIME(fsp=6)
        if timezone:
            return Storage(sql_type, aware_to_naive_utc, checked_aware)
        return Storage(sql_type, bind_naive, checked_naive)

    def json(self) -> Storage:
        return Storage(mysql.JSON(), json_to_text, text_to_json)

    def binary(self, length: int | None) -> Storage:
        if length is not None and length <= MAX_VARBINARY:
            return Storage(mysql.VARBINARY(length))
        return Storage(mysql.LONGBLOB())

    def array(self, item: Storage, what: str) -> Storage:
        return json_array(mysql.JSON(), item, what, objects=True)


class CastTIME(mysql.TIME):
    """TIME whose parameters are cast: MySQL compares a computed time with a text as texts."""

    def bind_expression(self, bindvalue: BindParameter[Any]) -> ColumnElement[Any]:
        """The parameter in a CAST."""
        return sqlalchemy.cast(bindvalue, self)


class MySQLTypes(MariaDBTypes):
    """Storage on MySQL, whose binary JSON has integers of 64 bits."""

    def compared_time(self) -> Storage:
        return self.time()._replace(sql_type=CastTIME(fsp=6))

    def json(self) -> Storage:
        return Storage(mysql.JSON(), json_to_mysql, text_to_json)

    def uuid(self) -> Storage:
        # MariaDB has a type for them, whose values have dashes.
        return super().uuid()._replace(result=digits_to_uuid)


def _duration_to_time(value: datetime.timedelta) -> datetime.time:
    raise DataError("MySQL's TIME can be negative, or have 24 hours and more; such a value is not a time of day.")


#: The drivers return a TIME as a timedelta since midnight.
duration_to_time = Inline(
    "None if {v} is None else ({midnight} + {v}).time() if {zero} <= {v} < {day} else {refuse}({v})",
    midnight=MIDNIGHT,
    zero=datetime.timedelta(),
    day=datetime.timedelta(days=1),
    refuse=_duration_to_time,
)


def _refuse_date(value: Any) -> Any:
    raise DataError("MySQL's dates can have zeros for the year, the month or the day, which Python's cannot.")


#: The drivers return an invalid date, such as 0000-00-00, as text.
checked_date = Inline(
    "{v} if {v} is None or type({v}) is {kind} else {refuse}({v})", kind=datetime.date, refuse=_refuse_date
)
checked_naive = Inline(
    "{v} if {v} is None or type({v}) is {kind} else {refuse}({v})", kind=datetime.datetime, refuse=_refuse_date
)
checked_aware = Inline(
    "None if {v} is None else {v}.replace(tzinfo={UTC}) if type({v}) is {kind} else {refuse}({v})",
    UTC=UTC,
    kind=datetime.datetime,
    refuse=_refuse_date,
)


def _bits_to_bool(value: Any) -> bool:
    if isinstance(value, bytes):
        return any(value)
    raise DataError("Booleans are stored as numbers or bits.")


#: Booleans are TINYINT(1) here. Other programs use BIT(1), which the drivers return as bytes.
stored_to_bool = Inline(
    "None if {v} is None else {v} != 0 if type({v}) is int or type({v}) is bool else {read}({v})", read=_bits_to_bool
)


def json_to_mysql(value: Any) -> str | None:
    refuse_large_integers(value)
    return json_to_text(value)


def refuse_large_integers(value: Any) -> None:
    """Refuse integers that MySQL's JSON would convert to inexact floats."""
    if isinstance(value, dict):
        for item in value.values():
            refuse_large_integers(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            refuse_large_integers(item)
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise UnstorableValue("Must not have integers of more than 64 bits in JSON on MySQL.")
