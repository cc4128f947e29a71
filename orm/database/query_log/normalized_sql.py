"""The shape of a statement: its SQL without values, and with lists of any length alike."""

import functools
import re

# Names and strings come first, so that nothing inside of quotes matches. A literal counts as a placeholder.
TOKEN = re.compile(
    r"""(?P<name>"[^"]*"|`[^`]*`|\w*[A-Za-z_]\w*)"""
    r"""|(?P<value>'(?:[^'\\]|''|\\.)*'|\$\d+|%s|(?<![\w.])\d+(?:\.\d+)?)"""
)
ITEM = r"(?:\?(?:::[\w ]+(?:\[\])?)?|CAST\(\? AS [\w ]+\))"
LIST = re.compile(rf"\bIN \(\s*{ITEM}(?:, *{ITEM})*\s*\)", re.IGNORECASE)
ROWS = re.compile(r"(\((?:[^()]|\([^()]*\))*\))(?:, *\1)+")
UNION = re.compile(rf"(?: UNION ALL SELECT {ITEM}(?:, *{ITEM})*)+(?![^ )])")
SPACE = re.compile(r"\s+")
TRANSACTION = re.compile(
    r"\s*(?:BEGIN|START TRANSACTION|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|SET TRANSACTION|PRAGMA query_only)\b",
    re.IGNORECASE,
)


@functools.lru_cache(maxsize=1024)
def shape_of(sql: str) -> str:
    """The statement with `?` for each value, whatever the driver's placeholders are, and `…` for lists and rows.

    >>> shape_of("SELECT name FROM albums WHERE id IN ($1, $2, $3) LIMIT 10")
    'SELECT name FROM albums WHERE id IN (…) LIMIT ?'
    """
    text = TOKEN.sub(lambda match: match["name"] or "?", SPACE.sub(" ", sql).strip())
    return UNION.sub(" UNION ALL SELECT …", ROWS.sub(r"\1, …", LIST.sub("IN (…)", text)))


def is_transaction(sql: str) -> bool:
    """Whether a statement begins, ends or configures a transaction or a savepoint."""
    return TRANSACTION.match(sql) is not None
