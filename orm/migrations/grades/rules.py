"""The rules: each kind of operation with its effect on each server, what it loses, and what is safer.

PostgreSQL 12 to 18, MySQL 9.7, MariaDB 10.11 and 11.8 were measured; MariaDB copies tables online from 11.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orm.migrations.grades.grade import Effect

MARIADB_ONLINE_COPY = (11, 2)

AX, SRX, SUX = "ACCESS EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE"
MOMENT = "all, for a moment, after the open transactions"
NOBODY = "nobody"

# PostgreSQL
SHORT = Effect("A", AX, MOMENT)
RETYPED = Effect("A", AX, f"{MOMENT}; transactions that have begun fail with an error that can be retried")
SCAN = Effect("B", AX, "readers and writers, during a scan")
LONG_SCAN = Effect("C", AX, "readers and writers, during a scan")
REWRITE = Effect("C", AX, "readers and writers, during a rewrite", rewrites=True)
# MySQL and MariaDB
INSTANT = Effect("A", "ALGORITHM=INSTANT", MOMENT)
INPLACE = Effect("B", "ALGORITHM=INPLACE, LOCK=NONE", MOMENT)
NOCOPY = Effect("B", "ALGORITHM=NOCOPY, LOCK=NONE", MOMENT)
IN_SHARED = Effect("C", "ALGORITHM=INPLACE, LOCK=SHARED", "writers, during the work")
COPY = Effect("C", "ALGORITHM=COPY, LOCK=SHARED", "writers, during a copy", rewrites=True)
ONLINE_COPY = Effect("B", "ALGORITHM=COPY, LOCK=NONE", MOMENT, rewrites=True)
# SQLite: one writer at a time, for all tables
PLAIN = Effect("A", "RESERVED", "writers, for a moment")
ONE_SCAN = Effect("B", "RESERVED", "writers, during a scan")
ONE_COPY = Effect("C", "RESERVED", "writers, during a copy", rewrites=True)
NOTHING = Effect("A", "none", NOBODY)
ROWS_LOCKED = Effect("C", "row locks", "writers of these rows, until the commit")
ROWS_OF_A_BATCH = Effect("B", "row locks", "writers of these rows, during a batch")
UNKNOWN = Effect("D", "unknown", "unknown")


def worse(effect: Effect, letter: str) -> Effect:
    """The same effect with another letter."""
    return Effect(letter, effect.lock, effect.blocks, effect.rewrites)


@dataclass(frozen=True)
class Rule:
    """A kind of operation.

    Attributes:
        effects: the effect by the server's name.
        loses: what is lost.
        undo: whether it can be undone.
        safer: the safer sequence.
        deploys: whether code that runs must not know the old shape, or the new one, whatever the table's size.
    """

    effects: Mapping[str, Effect]
    loses: str = ""
    undo: str = "yes"
    safer: str = ""
    deploys: bool = False


def _by_server(
    postgresql: Effect, mysql: Effect, mariadb: Effect | None, online: Effect | None, sqlite: Effect
) -> dict[str, Effect]:
    """The effects by server; MariaDB's are MySQL's, and those from 11.2 the older ones', where they are None."""
    older = mariadb or mysql
    return {
        "postgresql": postgresql,
        "mysql": mysql,
        "mariadb": older,
        "mariadb 11.2": online or older,
        "sqlite": sqlite,
    }


def _everywhere(effect: Effect) -> dict[str, Effect]:
    return _by_server(effect, effect, None, None, effect)


COPIED = _by_server(REWRITE, COPY, COPY, ONLINE_COPY, ONE_COPY)
ADD_THEN_FILL = "add the column nullable, set its default, fill the rows in batches by key, then NOT NULL"
EXPAND = "expand and contract: a new one, written beside the old by a trigger, filled in batches; drop the old one last"
NOT_VALID = "ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT in a later transaction"
CONCURRENTLY = "CREATE INDEX CONCURRENTLY in an autocommit_block()"

RULES: dict[str, Rule] = {
    "create table": Rule(_everywhere(NOTHING), undo="drops the rows"),
    "create table with foreign key": Rule(
        _by_server(Effect("A", SRX, "writers of the target, for a moment"), INSTANT, None, None, PLAIN),
        undo="drops the rows",
    ),
    "drop table": Rule(
        _by_server(worse(SHORT, "D"), worse(INSTANT, "D"), None, None, worse(PLAIN, "D")),
        loses="the rows",
        undo="no",
        safer="stop using the table, rename it, wait, then drop it",
        deploys=True,
    ),
    "rename table": Rule(
        _by_server(worse(SHORT, "C"), worse(INSTANT, "C"), None, None, worse(PLAIN, "C")),
        safer="rename it and make a view under the old name in the same transaction; or expand and contract",
        deploys=True,
    ),
    "add column": Rule(_by_server(SHORT, INSTANT, None, None, PLAIN), undo="drops the values"),
    "add column with an expression as default": Rule(
        _by_server(SHORT, COPY, INSTANT, None, PLAIN),
        undo="drops the values",
        safer="DEFAULT CURRENT_TIMESTAMP without parentheses, or no default: then fill the rows",
    ),
    "add virtual column": Rule(_by_server(SHORT, INSTANT, None, None, PLAIN)),
    "add required column without default": Rule(
        _by_server(worse(SHORT, "C"), worse(INSTANT, "D"), None, None, ONE_COPY),
        loses="nothing on PostgreSQL and SQLite, which refuse it; MySQL and MariaDB invent '' or 0 for the rows",
        undo="drops the values",
        safer=ADD_THEN_FILL,
        deploys=True,
    ),
    "add column with a value for each row": Rule(COPIED, undo="drops the values", safer=ADD_THEN_FILL),
    "add column with check": Rule(
        _by_server(LONG_SCAN, COPY, COPY, ONLINE_COPY, ONE_COPY),
        undo="drops the values",
        safer=f"add the column alone, then the CHECK: {NOT_VALID}",
    ),
    "add unique column": Rule(
        _by_server(LONG_SCAN, INPLACE, None, None, ONE_COPY),
        undo="drops the values",
        safer=f"add the column alone, then its index: {CONCURRENTLY}",
    ),
    "add column with foreign key": Rule(
        _by_server(Effect("A", f"{AX}, {SRX} on the target", MOMENT), COPY, COPY, ONLINE_COPY, PLAIN),
        undo="drops the values",
        safer="add the column alone, then the foreign key",
    ),
    "drop column": Rule(
        _by_server(worse(SHORT, "D"), worse(INSTANT, "D"), None, None, worse(ONE_COPY, "D")),
        loses="the values",
        undo="without the values",
        safer="first deploy code that neither reads nor writes the column; drop it in a later release",
        deploys=True,
    ),
    "rename column": Rule(
        _by_server(worse(SHORT, "C"), worse(INSTANT, "C"), None, None, worse(PLAIN, "C")), safer=EXPAND, deploys=True
    ),
    "set default": Rule(_by_server(SHORT, INSTANT, None, None, ONE_COPY)),
    "set not null": Rule(
        _by_server(SCAN, INPLACE, None, None, ONE_COPY),
        safer=f"CHECK (… IS NOT NULL): {NOT_VALID}; then SET NOT NULL, which scans nothing, and drop the CHECK",
    ),
    "set not null after a check": Rule(_by_server(SHORT, INPLACE, None, None, ONE_COPY)),
    "drop not null": Rule(_by_server(SHORT, INPLACE, None, None, ONE_COPY), undo="fails if rows have NULL by then"),
    "text wider": Rule(
        _by_server(RETYPED, INPLACE, INSTANT, None, ONE_COPY), undo="fails if a value is longer by then"
    ),
    "text wider over 255 bytes": Rule(
        _by_server(RETYPED, COPY, COPY, ONLINE_COPY, ONE_COPY),
        undo="fails if a value is longer by then",
        safer="declare texts with at least 64 characters from the start",
    ),
    "text without limit": Rule(
        _by_server(RETYPED, COPY, COPY, ONLINE_COPY, ONE_COPY), undo="fails if a value is longer by then"
    ),
    "text narrower": Rule(COPIED, safer=f"leave the type, and add a CHECK of the length: {NOT_VALID}"),
    "decimal wider": Rule(
        _by_server(RETYPED, COPY, COPY, ONLINE_COPY, ONE_COPY), undo="fails if a value is larger by then"
    ),
    "time zone": Rule(
        _by_server(REWRITE, COPY, COPY, ONLINE_COPY, ONE_COPY),
        safer="SET timezone = 'UTC' in the revision, and USING … AT TIME ZONE 'UTC': then nothing is rewritten",
    ),
    "type that rewrites the table": Rule(COPIED, safer=EXPAND),
    "type that may lose values": Rule(
        {name: worse(effect, "D") for name, effect in COPIED.items()},
        loses="what does not fit the new type",
        undo="without what was lost",
        safer=EXPAND,
    ),
    "enum value": Rule(_by_server(NOTHING, INSTANT, None, None, ONE_COPY), undo="no"),
    "create index": Rule(
        _by_server(Effect("B", "SHARE", "writers, during a scan"), INPLACE, NOCOPY, None, ONE_SCAN), safer=CONCURRENTLY
    ),
    "create index concurrently": Rule(_by_server(Effect("A", SUX, NOBODY), INPLACE, NOCOPY, None, ONE_SCAN)),
    "create index of expressions": Rule(
        _by_server(Effect("B", "SHARE", "writers, during a scan"), IN_SHARED, None, None, ONE_SCAN), safer=CONCURRENTLY
    ),
    "drop index": Rule(_by_server(SHORT, worse(INPLACE, "A"), worse(NOCOPY, "A"), None, PLAIN)),
    "drop index concurrently": Rule(
        _by_server(Effect("A", SUX, NOBODY), worse(INPLACE, "A"), worse(NOCOPY, "A"), None, PLAIN)
    ),
    "add unique constraint": Rule(
        _by_server(SCAN, INPLACE, NOCOPY, None, ONE_COPY),
        safer="CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE USING INDEX; look for duplicates first",
    ),
    "add constraint using index": Rule(_by_server(SHORT, UNKNOWN, None, None, UNKNOWN)),
    "change primary key": Rule(
        _by_server(LONG_SCAN, worse(INPLACE, "C"), None, None, ONE_COPY), safer=EXPAND, deploys=True
    ),
    "add check": Rule(_by_server(SCAN, COPY, COPY, ONLINE_COPY, ONE_COPY), safer=NOT_VALID),
    "add exclusion constraint": Rule(_by_server(LONG_SCAN, UNKNOWN, None, None, UNKNOWN)),
    "add foreign key": Rule(
        _by_server(
            Effect("B", SRX, "writers of both tables, during a scan"),
            COPY,
            COPY,
            Effect("C", "ALGORITHM=COPY, LOCK=NONE", "writers of the target, during a copy", rewrites=True),
            ONE_COPY,
        ),
        safer=f"look for rows that point nowhere; PostgreSQL: {NOT_VALID}; MySQL, MariaDB: SET foreign_key_checks = 0",
    ),
    "add check not valid": Rule(_by_server(SHORT, UNKNOWN, None, None, UNKNOWN)),
    "add foreign key not valid": Rule(
        _by_server(Effect("A", SRX, "writers of both tables, for a moment"), UNKNOWN, None, None, UNKNOWN)
    ),
    "validate constraint": Rule(_by_server(Effect("A", SUX, NOBODY), UNKNOWN, None, None, UNKNOWN)),
    "drop constraint": Rule(_by_server(SHORT, INPLACE, None, None, ONE_COPY), undo="fails if rows break it by then"),
    "drop check": Rule(_by_server(SHORT, INSTANT, None, None, ONE_COPY), undo="fails if rows break it by then"),
    "drop foreign key": Rule(
        _by_server(SHORT, worse(INPLACE, "A"), INSTANT, None, ONE_COPY), undo="fails if rows break it"
    ),
    "comment": Rule(_by_server(Effect("A", SUX, NOBODY), INSTANT, None, None, NOTHING)),
    "create trigger": Rule(
        _by_server(Effect("A", SRX, "writers, for a moment"), Effect("A", "metadata lock", MOMENT), None, None, PLAIN)
    ),
    "other object": Rule(_everywhere(NOTHING)),
    "insert rows": Rule(_everywhere(Effect("A", "row locks", NOBODY)), undo="by a statement of your own"),
    "insert rows of a query": Rule(_everywhere(ROWS_LOCKED), undo="by a statement of your own"),
    "update rows": Rule(
        _by_server(ROWS_LOCKED, ROWS_LOCKED, None, None, Effect("C", "RESERVED", "writers, until the commit")),
        undo="without the old values",
        safer="op.backfill(), in batches by key, each in its own transaction",
    ),
    "backfill in batches": Rule(
        _by_server(ROWS_OF_A_BATCH, ROWS_OF_A_BATCH, None, None, Effect("B", "RESERVED", "writers, during a batch")),
        undo="without the old values",
    ),
    "delete rows": Rule(_everywhere(worse(ROWS_LOCKED, "D")), loses="the rows", undo="no"),
    "read": Rule(_everywhere(NOTHING)),
    "read by the revision": Rule(
        _everywhere(UNKNOWN),
        loses="perhaps: what the revision does with the rows is not known before it runs",
        undo="unknown",
        safer="read what it does, and say its grade in the statement: /* grade: B */ SELECT …",
    ),
    "not understood": Rule(
        _everywhere(UNKNOWN),
        loses="perhaps: the statement is not understood",
        undo="unknown",
        safer="read what it does, and say its grade in the statement: /* grade: B */ …",
    ),
}

#: The rule of which no server was measured.
OTHER_SERVER = Effect("C", "unknown", "unknown: this server was not measured")


def effect_of(rule: str, server: str, version: tuple[int, ...]) -> Effect:
    """The effect of a kind of operation on a server of this version."""
    effects = RULES[rule].effects
    if f"{server} 11.2" in effects and version >= MARIADB_ONLINE_COPY:
        return effects[f"{server} 11.2"]
    return effects.get(server) or (OTHER_SERVER if effects["postgresql"].letter in "ABC" else UNKNOWN)
