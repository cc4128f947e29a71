"""CockroachDB, which speaks PostgreSQL's protocol and most of its SQL. The tests have no server: they only compile."""

from __future__ import annotations

from typing import Any

import sqlalchemy

from orm.database.postgresql.dialect import PostgreSQLDialect
from orm.database.postgresql.storage import PostgreSQLTypes
from orm.database.storage import Storage
from orm.exceptions import NotSupportedError


class CockroachDBTypes(PostgreSQLTypes):
    """Storage on CockroachDB, whose generated keys take 64 bits: SERIAL calls unique_rowid()."""

    def integer(self, bits: int, primary_key: bool) -> Storage:
        """An integer of 64 bits, so that a foreign key can hold a generated key; SMALLINT stays small."""
        return super().integer(bits if bits == 16 else 64, primary_key)

    def array(self, item: Storage) -> Storage:
        """An array of anything but JSON."""
        if isinstance(item.sql_type, sqlalchemy.JSON):
            raise NotSupportedError("CockroachDB has no arrays of JSON: use orm.JSON() for the column.")
        return super().array(item)


class CockroachDBDialect(PostgreSQLDialect):
    """CockroachDB, through asyncpg."""

    name = "cockroachdb"
    storage = CockroachDBTypes()
    # Its hash functions return text.
    sql_functions = PostgreSQLDialect.sql_functions | {
        name: f"{name.upper()}({{0}})" for name in ("sha1", "sha224", "sha256", "sha384", "sha512")
    }
    nulls_high = False

    def lock_rows(self, select: sqlalchemy.Select[Any], **options: Any) -> sqlalchemy.Select[Any]:
        """FOR UPDATE, even for a weaker lock: under SERIALIZABLE, its default, FOR SHARE locks nothing."""
        return super().lock_rows(select, **{**options, "share": False, "no_key": False})
