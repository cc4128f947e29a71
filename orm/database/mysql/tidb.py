"""TiDB's dialect, which speaks MySQL's protocol and most of its SQL. Written from its documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import sqlalchemy

from orm.database.mysql.dialect import MySQLDialect
from orm.exceptions import NotSupportedError

VERSION = re.compile(r"TiDB-v(\d+)\.(\d+)", re.IGNORECASE)
FIRST_VERSION = (7, 4)
CHECKS_IGNORED = (
    "This TiDB server ignores CHECK constraints, so that rows which break them are stored. Run SET GLOBAL "
    "tidb_enable_check_constraint = ON before the tables are created."
)


class TiDBDialect(MySQLDialect):
    """TiDB 7.4 and newer, through MySQL's drivers."""

    name = "tidb"
    sqlalchemy_name = "mysql"
    of_same_scheme = ()  # TiDB can be configured to call itself MySQL
    position_query = None
    lag_query = None
    # It has no JSON_TABLE(): nulls in two lists are equal.
    sql_functions = MySQLDialect.sql_functions | {"json_in": None, "array_overlap": "JSON_OVERLAPS({0}, {1}) = 1"}
    server_query: ClassVar[str | None] = "SELECT CONCAT(VERSION(), ' ', @@global.tidb_enable_check_constraint)"
    lacks: Mapping[str, str] = {
        **MySQLDialect.lacks,
        "readonly": "TiDB has no read-only transactions: leave readonly=True out. Every transaction sees one state of "
        "the data.",
        "serializable": 'TiDB has no isolation="serializable": use "repeatable_read", its default, and lock what is '
        "read with select_for_update().",
        "read uncommitted": 'TiDB has no isolation="read_uncommitted": use "read_committed".',
        "skip_locked": "TiDB has no SKIP LOCKED: leave skip_locked out, or use nowait=True and try another row.",
        "json_in": "TiDB has no JSON_TABLE(), with which MySQL compares a JSON value with a list: combine conditions, "
        'Q(data__key="a") | Q(data__key="b").',
    }

    def adapt(self, answer: Any) -> None:
        """Adapt to the answer of a server: its version, then whether it enforces CHECK constraints.

        Raises `NotSupportedError` for a server that is too old.
        """
        version, _, enforces_checks = str(answer).rpartition(" ")
        match = VERSION.search(version)
        if match is not None and (int(match[1]), int(match[2])) < FIRST_VERSION:
            raise NotSupportedError(
                f"{version} is too old: before TiDB {'.'.join(map(str, FIRST_VERSION))} there is no collation "
                "utf8mb4_0900_bin, in which the ORM compares text."
            )
        if enforces_checks in ("0", "OFF"):
            self.known_fault = CHECKS_IGNORED

    def refused_table_option(self, option: str) -> str | None:
        """As on MySQL, and for FULLTEXT and SPATIAL, which TiDB accepts and ignores."""
        if option in ("using fulltext", "using spatial"):
            return f"TiDB has no index of the kind {option.removeprefix('using ')!r}, only btree."
        return super().refused_table_option(option)

    def lock_rows(self, select: sqlalchemy.Select[Any], **options: Any) -> sqlalchemy.Select[Any]:
        """FOR UPDATE, even for a shared lock, because FOR SHARE locks nothing."""
        return super().lock_rows(select, **{**options, "share": False})
