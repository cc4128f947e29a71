"""Whether a database's files are damaged, as the database's own check says."""

from __future__ import annotations

from orm.database.connections.database import Database

BTREES = """
SELECT count(bt_index_parent_check(index.oid, heapallindexed => TRUE)::text)
FROM pg_class AS index JOIN pg_am AS method ON method.oid = index.relam JOIN pg_index ON indexrelid = index.oid
WHERE amname = 'btree' AND relkind = 'i' AND relpersistence <> 't' AND indisready AND indisvalid
"""
TABLES = """
SELECT count(*) FROM pg_class AS heap, verify_heapam(heap.oid) AS damage
WHERE relkind IN ('r', 'm') AND relpersistence <> 't' AND relam <> 0
"""


async def check_undamaged(database: Database, table: str) -> str:
    """Run `integrity_check`, amcheck or CHECK TABLE, and return what was checked."""
    if database.url.dialect == "sqlite":
        assert await database.fetch_val("PRAGMA integrity_check") == "ok"
        return "integrity_check is ok"
    if database.url.dialect == "mysql":
        outcome = await database.fetch_one(f"CHECK TABLE `{table}`")
        assert outcome is not None
        assert outcome[3] == "OK"
        return "CHECK TABLE is OK"
    if not await database.fetch_val("SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'"):
        return "amcheck is not installed: not checked"
    await database.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
    indexes = await database.fetch_val(BTREES)
    assert await database.fetch_val(TABLES) == 0
    return f"amcheck finds no damage in the tables and {indexes} indexes"
