"""The kind of a statement of SQL: the rule that it falls under, and its table."""

from __future__ import annotations

import re

MARK = re.compile(r"(?:/\*|--)\s*grade:\s*([ABCD])\b", re.IGNORECASE)
"""A comment with which a statement says its grade itself."""

_PLAIN_NAME = r"(?:\"([^\"]+)\"|`([^`]+)`|([\w$]+))"
_TABLE = rf"(?:{_PLAIN_NAME}\.)?{_PLAIN_NAME}"
_WORD = r"(?:\"[^\"]+\"|`[^`]+`|[\w$]+)"
_ALTER = rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{_TABLE} "

_BY_TABLE = [
    (rf"CREATE (?:GLOBAL |LOCAL )?(?:TEMP|TEMPORARY) TABLE (?:IF NOT EXISTS )?{_TABLE}", "read"),
    (rf"CREATE TABLE (?:IF NOT EXISTS )?{_TABLE}", "create table"),
    (rf"DROP TABLE (?:IF EXISTS )?{_TABLE}", "drop table"),
    (rf"TRUNCATE (?:TABLE )?{_TABLE}", "delete rows"),
    (rf"DELETE FROM {_TABLE}", "delete rows"),
    (rf"UPDATE (?:ONLY )?{_TABLE} (?:AS )?(?:\w+ )?SET ", "update rows"),
    (rf"INSERT (?:IGNORE )?INTO {_TABLE}(?:(?!\bSELECT\b).)*\bVALUES\b(?!.*(?:DO UPDATE|ON DUPLICATE))", "insert rows"),
    (rf"INSERT (?:IGNORE )?INTO {_TABLE} .*\bSELECT\b(?!.*(?:DO UPDATE|ON DUPLICATE))", "insert rows of a query"),
    (rf"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?:IF NOT EXISTS )?{_WORD} ON {_TABLE}", "create index concurrently"),
    (rf"CREATE (?:FULLTEXT|SPATIAL) INDEX {_WORD} ON {_TABLE}", "create index of expressions"),
    (
        rf"CREATE (?:UNIQUE )?INDEX (?:IF NOT EXISTS )?{_WORD} ON (?:ONLY )?{_TABLE}[^()]*\([^()]*\(",
        "create index of expressions",
    ),
    (rf"CREATE (?:UNIQUE )?INDEX (?:IF NOT EXISTS )?{_WORD} ON (?:ONLY )?{_TABLE}", "create index"),
    (rf"DROP INDEX {_WORD} ON {_TABLE}$", "drop index"),
    (rf"CREATE (?:OR REPLACE )?TRIGGER .*? ON {_TABLE}", "create trigger"),
    (rf"{_ALTER}VALIDATE CONSTRAINT {_WORD}$", "validate constraint"),
    (rf"{_ALTER}ADD CONSTRAINT {_WORD} (?:UNIQUE|PRIMARY KEY) USING INDEX {_WORD}$", "add constraint using index"),
    (rf"{_ALTER}ADD (?:CONSTRAINT {_WORD} )?CHECK ?\(.*\) NOT VALID$", "add check not valid"),
    (rf"{_ALTER}ADD (?:CONSTRAINT {_WORD} )?FOREIGN KEY ?\(.*\) .*NOT VALID$", "add foreign key not valid"),
    (
        rf"{_ALTER}ADD (?:CONSTRAINT {_WORD} )?CHECK ?\((?!.*, (?:ADD|DROP|ALTER|MODIFY|CHANGE|RENAME) ).*\)$",
        "add check",
    ),
    (
        rf"{_ALTER}ADD (?:CONSTRAINT {_WORD} )?UNIQUE (?!.*, (?:ADD|DROP|ALTER|MODIFY|CHANGE|RENAME) )",
        "add unique constraint",
    ),
    (
        rf"{_ALTER}ADD (?:CONSTRAINT {_WORD} )?FOREIGN KEY (?!.*, (?:ADD|DROP|ALTER|MODIFY|CHANGE|RENAME) )",
        "add foreign key",
    ),
    (rf"{_ALTER}ADD (?:CONSTRAINT {_WORD} )?EXCLUDE (?!.*, (?:ADD|DROP|ALTER) )", "add exclusion constraint"),
    (rf"{_ALTER}ADD (?:CONSTRAINT {_WORD} )?PRIMARY KEY ?\([^()]*\)$", "change primary key"),
    (
        rf"{_ALTER}ADD (?:COLUMN )?(?:IF NOT EXISTS )?(?!CONSTRAINT|CHECK|UNIQUE|FOREIGN|EXCLUDE|PRIMARY|INDEX|KEY)"
        rf"{_WORD} [A-Za-z]+(?: ?\(\d+(?:, ?\d+)?\))?(?: NULL)?(?: DEFAULT (?:-?\d+|'[^']*'))?$",
        "add column",
    ),
    (rf"{_ALTER}DROP CONSTRAINT (?:IF EXISTS )?{_WORD}$", "drop constraint"),
    (rf"{_ALTER}DROP CHECK {_WORD}$", "drop check"),
    (rf"{_ALTER}DROP FOREIGN KEY {_WORD}$", "drop foreign key"),
    (rf"{_ALTER}DROP INDEX {_WORD}$", "drop index"),
    (rf"{_ALTER}DROP (?:COLUMN )?", "drop column"),
    (rf"{_ALTER}RENAME CONSTRAINT ", "comment"),
    (rf"{_ALTER}RENAME INDEX ", "comment"),
    (rf"{_ALTER}RENAME (?:TO|AS) ", "rename table"),
    (rf"{_ALTER}RENAME (?:COLUMN )?{_WORD} TO {_WORD}$", "rename column"),
    (rf"{_ALTER}SET SCHEMA ", "rename table"),
    (rf"{_ALTER}ALTER (?:COLUMN )?{_WORD} (?:SET DEFAULT [^,]*|DROP DEFAULT)$", "set default"),
    (rf"{_ALTER}ALTER (?:COLUMN )?{_WORD} SET NOT NULL$", "set not null"),
    (rf"{_ALTER}ALTER (?:COLUMN )?{_WORD} DROP NOT NULL$", "drop not null"),
]
_WITHOUT_TABLE = [
    (r"DROP INDEX CONCURRENTLY ", "drop index concurrently"),
    (r"DROP INDEX ", "drop index"),
    (r"COMMENT ON ", "comment"),
    (r"ALTER TYPE .* (?:ADD|RENAME) VALUE ", "enum value"),
    (r"ALTER SEQUENCE ", "other object"),
    (r"ALTER INDEX ", "comment"),
    (r"CREATE (?:OR REPLACE )?(?:TEMP |TEMPORARY )?(?:RECURSIVE )?VIEW ", "other object"),
    (r"CREATE (?:SCHEMA|EXTENSION|TYPE|DOMAIN|SEQUENCE|MATERIALIZED VIEW|COLLATION|STATISTICS) ", "other object"),
    (r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) ", "other object"),
    (r"DROP (?:MATERIALIZED )?VIEW ", "other object"),
    (r"DROP (?:TRIGGER|FUNCTION|PROCEDURE) ", "other object"),
    (r"REFRESH MATERIALIZED VIEW ", "other object"),
    (r"(?:GRANT|REVOKE|ANALYZE|SET|RESET|SHOW|PRAGMA|DO 0|EXPLAIN)\b", "read"),
    (r"SELECT (?:pg_catalog\.)?setval ?\(", "other object"),
    (r"SELECT (?:(?!\b(?:INTO|\w+_partman|lo_unlink)\b)[^()])*$", "read"),
]
_COMPILED = [
    (re.compile(pattern, re.IGNORECASE), rule, has_table)
    for rules, has_table in ((_BY_TABLE, True), (_WITHOUT_TABLE, False))
    for pattern, rule in rules
]
_COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_TEXTS = re.compile(r"'(?:[^']|'')*'")

_ALTERED = re.compile(rf"\s*(?:ALTER TABLE|CREATE (?:\w+ )?INDEX {_WORD} ON) {_TABLE}", re.IGNORECASE)


def mark_of(sql: str) -> str | None:
    """The grade that a statement says of itself, in a comment before it.

    >>> mark_of("/* grade: B */ UPDATE note SET title = upper(title)")
    'B'
    """
    match = MARK.match(sql.strip())
    return match[1].upper() if match else None


def rule_of(sql: str) -> tuple[str, str | None, str | None]:
    """The rule that a statement falls under, its schema and its table, if it is understood.

    >>> rule_of('ALTER TABLE note DROP COLUMN title')
    ('drop column', None, 'note')
    """
    text = " ".join(_TEXTS.sub("''", _COMMENTS.sub(" ", sql)).split()).rstrip("; ")
    is_body = re.match(r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE|TRIGGER) ", text, re.IGNORECASE)
    if ";" in text and not is_body:
        return "not understood", None, None
    for pattern, rule, has_table in _COMPILED:
        match = pattern.match(text)
        if match:
            names = [name for name in match.groups() if name is not None] if has_table else []
            schema = names[-2] if len(names) > 1 else None
            return rule, schema, names[-1] if names else None
    return "not understood", None, None


def altered_table(sql: str) -> tuple[str | None, str | None]:
    """The schema and the table of ALTER TABLE or CREATE INDEX; None if they are not found.

    >>> altered_table("ALTER TABLE shop.note ADD COLUMN n INTEGER")
    ('shop', 'note')
    """
    match = _ALTERED.match(sql)
    names = [name for name in match.groups() if name is not None] if match else []
    return (names[0] if len(names) > 1 else None), (names[-1] if names else None)
