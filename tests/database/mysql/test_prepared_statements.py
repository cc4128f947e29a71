"""Which statements asyncmy may send as prepared ones."""

from __future__ import annotations

import pytest

from orm.database.mysql.prepared_statements import can_be_prepared, is_safe


@pytest.mark.parametrize(
    ("sql", "safe"),
    [
        ("SELECT notes.id FROM notes WHERE notes.id = %s", True),
        ("SELECT `notes`.id FROM `notes` \nWHERE (`notes`.a >= %s OR `notes`.b IN (%s, %s)) \n LIMIT %s", True),
        ("INSERT INTO notes (a, b) VALUES (%s, %s) RETURNING notes.id", True),
        ("UPDATE notes SET a=%s, b=%s WHERE notes.id = %s", True),
        ("UPDATE notes SET a=a + %s WHERE notes.id = 1", False),
        ("SELECT concat(notes.a, %s) FROM notes", False),
        ("SELECT notes.id FROM notes WHERE notes.a = %s + 1", False),
        ("SELECT notes.a = %s, count(*) FROM notes GROUP BY notes.a = %s", False),
        ("SELECT CASE WHEN notes.a = %s THEN %s END FROM notes", False),
        ("SELECT notes.id FROM notes WHERE %s = %s", False),
        ("SELECT notes.id FROM notes WHERE notes.a = %s AND (%s < %s OR %s <> %s)", False),
        ("SELECT notes.id FROM notes WHERE notes.a IN (%s) AND %s IN (%s, %s)", False),
        ("SELECT 100 %% 7 FROM notes WHERE notes.a = %s", False),
        ("CALL work(%s)", False),
    ],
)
def test_is_safe_when_each_placeholder_takes_its_type_from_a_column(sql: str, safe: bool) -> None:
    assert is_safe(sql) is safe


def test_can_be_prepared_refuses_large_integers_bytes_and_no_values() -> None:
    sql = "SELECT a FROM notes WHERE a = %s"
    assert can_be_prepared(sql, (1,))
    assert can_be_prepared(sql, (None,))
    assert not can_be_prepared(sql, (1 << 63,))
    assert not can_be_prepared(sql, (b"bytes",))
    assert not can_be_prepared("SELECT a FROM notes", ())
