"""Poolers before PostgreSQL, such as PgBouncer, that lend a server connection for one transaction.

Behind one, consecutive statements of a connection run on different server connections, which other programs use in
between. Whatever outlives a transaction on the server (prepared statements, held cursors, settings of the session,
advisory locks) is lost, or affects another program.
"""

import re
from typing import Any

from orm.exceptions import InterfaceError, NotSupportedError

POOLERS = ("transaction", "session")
# Statements whose effect outlives the transaction.
SESSION_STATE = re.compile(
    r"\s*(?:SET\s+(?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b)|RESET\b|LISTEN\b|PREPARE\b(?!\s+TRANSACTION)|LOAD\b"
    r"|DECLARE\b.*\bWITH\s+HOLD\b|CREATE\s+(?:(?:LOCAL|GLOBAL)\s+)?TEMP(?:ORARY)?\s+TABLE\b(?!.*\bON\s+COMMIT\s+DROP\b)"
    r"|SELECT\s+(?:pg_catalog\.)?pg_(?:try_)?advisory_lock)",
    re.IGNORECASE | re.DOTALL,
)


def read_pooler(pooler: object) -> str | None:
    """The option ``pooler``. Raises `InterfaceError` if it is neither ``transaction``, ``session`` nor None."""
    if pooler is None or pooler in POOLERS:
        return pooler
    raise InterfaceError(f"pooler is {' or '.join(map(repr, POOLERS))}, or None to detect it, not {pooler!r}")


async def is_pooled(raw: Any) -> bool:
    """Whether statements run in another server process than the one that the handshake named."""
    answers: list[Any] = []

    def note(_: Any, message: Any) -> None:
        answers.append(message)

    raw.add_log_listener(note)
    try:
        # Not a query with rows: asyncpg prepares those, and a pooler might execute another program's statement.
        await raw.execute(
            f"DO $$BEGIN IF pg_backend_pid() <> {int(raw.get_server_pid())} THEN RAISE INFO 'pooled'; END IF; END$$"
        )
    finally:
        raw.remove_log_listener(note)
    return bool(answers)


def refuse_session_state(sql: str) -> None:
    """Raise `NotSupportedError` for a statement whose effect a pooler does not keep, or shows to other programs."""
    if SESSION_STATE.match(sql):
        raise NotSupportedError(
            f"{sql.split(None, 1)[0].upper()} changes the session, which a pooler of transactions shares with other "
            "programs: use what ends with a transaction (SET LOCAL, pg_advisory_xact_lock(), ON COMMIT DROP), or a "
            "connection to the server itself"
        )
