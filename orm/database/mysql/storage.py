"""How MySQL and MariaDB store values, through aiomysql and asyncmy."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import BindParameter, ColumnElement
from sqlalchemy.dialects import mysql

from orm.database.storage import (
    Storage,
    StorageTypes,
    UnstorableValue,
    aware_to_naive_utc,
    bind_naive,
    bind_text,
    json_to_text,
    naive_utc_to_aware,
    text_to_json,
)
from orm.exceptions import NotSupportedError
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

    def time(self) -> Storage:
        return Storage(mysql.TIME(fsp=6), None, duration_to_time)

    def datetime(self, timezone: bool) -> Storage:
        sql_type = mysql.DATETIME(fsp=6)
        if timezone:
            return Storage(sql_type, aware_to_naive_utc, naive_utc_to_aware)
        return Storage(sql_type, bind_naive)

    def json(self) -> Storage:
        return Storage(mysql.JSON(), json_to_text, text_to_json)

    def binary(self, length: int | None) -> Storage:
        if length is not None and length <= MAX_VARBINARY:
            return Storage(mysql.VARBINARY(length))
        return Storage(mysql.LONGBLOB())

    def array(self, item: Storage) -> Storage:
        raise NotSupportedError("MySQL and MariaDB have no arrays: use orm.JSON() for the column.")


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


#: The drivers return a TIME as a timedelta since midnight.
duration_to_time = Inline("None if {v} is None else ({midnight} + {v}).time()", midnight=MIDNIGHT)


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
