"""CockroachDB's dialect, which speaks PostgreSQL's protocol and most of its SQL. Written from its documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import sqlalchemy

from orm.database.postgresql.dialect import PostgreSQLDialect
from orm.database.postgresql.storage import PostgreSQLTypes
from orm.database.storage import Storage, StorageTypes
from orm.exceptions import NotSupportedError

VERSION = re.compile(r"\bv(\d+)\.(\d+)")
# What older servers lack: the first version that has it, and what to write instead.
SINCE: Mapping[str, tuple[tuple[int, int], str]] = {
    "savepoint": (
        (20, 1),
        "CockroachDB before 20.1 has no nested transactions: begin no transaction inside another one.",
    ),
    "skip_locked": (
        (22, 2),
        "CockroachDB before 22.2 has no SKIP LOCKED: leave skip_locked out, or use nowait=True and try another row.",
    ),
}


class CockroachDBTypes(PostgreSQLTypes):
    """Storage on CockroachDB, whose generated keys take 64 bits: SERIAL calls unique_rowid()."""

    def integer(self, bits: int, primary_key: bool) -> Storage:
        """An integer of 64 bits, so that a foreign key can hold a generated key; SMALLINT keeps its size."""
        return super().integer(bits if bits == 16 else 64, primary_key)

    def hstore(self) -> Storage:
        """Refused."""
        return StorageTypes().hstore()

    def range(self, kind: str, item: Storage) -> Storage:
        """Refused."""
        return StorageTypes().range(kind, item)

    def array(self, item: Storage, what: str) -> Storage:
        """An array of anything but JSON."""
        if isinstance(item.sql_type, sqlalchemy.JSON):
            raise NotSupportedError("CockroachDB has no arrays of JSON: use orm.JSON() for the column.")
        return super().array(item, what)


class CockroachDBDialect(PostgreSQLDialect):
    """CockroachDB 22.1 and newer, through asyncpg."""

    name = "cockroachdb"
    storage = CockroachDBTypes()
    # Its hash functions return text.
    sql_functions = PostgreSQLDialect.sql_functions | {
        name: f"{name.upper()}({{0}})" for name in ("sha1", "sha224", "sha256", "sha384", "sha512")
    }
    nulls_high = False
    held_cursors = False
    sequential_keys = False
    pooler_can_be_found = False
    resets_sessions = False
    position_query = None
    lag_query = None
    # The setting says how SERIAL generates keys.
    server_query: ClassVar[str | None] = "SELECT version() || ' ' || current_setting('serial_normalization')"
    lacks: Mapping[str, str] = {
        "advisory_lock": "CockroachDB takes pg_advisory_lock() and locks nothing: keep a table of locks with a row for "
        "each name, and lock the row with select_for_update() in a transaction.",
        "deferrable": "CockroachDB has no deferrable transactions: leave deferrable=True out. With readonly=True and "
        "its default isolation, a transaction sees one state of the data.",
    }

    refused_table_options: ClassVar[Mapping[str, str]] = {
        "deferrable": "CockroachDB checks unique constraints at once: it has no deferrable=.",
        "exclusion": "CockroachDB has no exclusion constraints: check the rows in a transaction.",
        "nulls_distinct": "for CockroachDB, NULLs always differ: make the fields NOT NULL, or index Coalesce(…).",
    }

    def adapt(self, answer: Any) -> None:
        """Adapt to the answer of a server: its version, then how SERIAL generates keys."""
        match = VERSION.search(str(answer))
        version = (int(match[1]), int(match[2])) if match else (0, 0)
        older = {feature: message for feature, (first, message) in SINCE.items() if version < first}
        self.lacks = {**self.lacks, **older}
        self.sequential_keys = "sql_sequence" in str(answer).rpartition(" ")[2]

    def lock_rows(self, select: sqlalchemy.Select[Any], **options: Any) -> sqlalchemy.Select[Any]:
        """FOR UPDATE, even for a weaker lock, because under SERIALIZABLE, the default, FOR SHARE locks nothing."""
        return super().lock_rows(select, **{**options, "share": False, "no_key": False})
