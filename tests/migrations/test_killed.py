"""SIGKILL at every step of a migration: `show()` tells the truth, the next run goes on, nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.migrations.hand_written import set_up, write

ROOT = Path(__file__).parents[2]
TABLE = "op.create_table('{}', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('n', sa.Integer()))"
ADD = "op.add_column('a', sa.Column('{}', sa.Integer()))"

# Ten steps in four revisions, with rows between changes of the schema.
REVISIONS = [
    (
        [
            TABLE.format("a"),
            "op.execute('INSERT INTO a (id, n) VALUES (1, 10), (2, 20)')",
            ADD.format("x"),
            "op.execute('UPDATE a SET x = n + 1')",
        ],
        ["op.drop_table('a')"],
    ),
    (
        [
            ADD.format("y"),
            "op.get_bind().execute(sa.text('UPDATE a SET y = x * 2'))",
            "op.create_index('a_by_y', 'a', ['y'])",
        ],
        ["op.drop_index('a_by_y', 'a')", "op.drop_column('a', 'y')"],
    ),
    (
        [TABLE.format("b"), "op.execute('INSERT INTO b (id, n) SELECT id, y FROM a')", TABLE.format("c")],
        ["op.drop_table('c')", "op.drop_table('b')"],
    ),
    (["op.execute('UPDATE a SET n = n + 100')", TABLE.format("d")], ["op.drop_table('d')"]),
]
CONCURRENT = (
    [
        "op.execute('INSERT INTO b (id, n) VALUES (9, 9)')",
        "with op.get_context().autocommit_block():",
        "    op.create_index('b_by_n', 'b', ['n'], postgresql_concurrently=True)",
        "op.execute('INSERT INTO d (id, n) VALUES (1, 1)')",
    ],
    ["op.drop_index('b_by_n', 'b')", "op.execute('DELETE FROM d')"],
)
END = [[[1, 110, 11, 22], [2, 120, 21, 42]], [2, 0, 0]]


def kills(url: str, directory: Path, revisions: list[Any], *, first: int = 1) -> list[dict[str, Any]]:
    """The lines of `kill_each_step`."""
    set_up(directory)
    for number, (up, down) in enumerate(revisions, 1):
        write(directory, f"r{number}", f"r{number - 1}" if number > 1 else None, up, down)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "default:Name 'alembic_version_pkc'"]
        + ["-m", "tests.migrations.kill_each_step", url, str(directory), str(first)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_truth(line: dict[str, Any]) -> None:
    """A revision that is applied has all its effects, a pending one none; one that is neither has some, perhaps."""
    states, effects = line["states"], line["effects"]
    assert [*states.values()].count("applying") <= 1
    for revision, first, last in (("r1", "a", "a"), ("r3", "b", "c"), ("r4", "d", "d")):
        if states[revision] == "applied":
            assert effects[last] is not None, line
        elif states[revision] == "pending":
            assert effects[first] is None, line
    if states["r3"] == "applied":
        assert effects["b"] >= 2


def test_sigkill_at_each_step_and_the_next_run_completes_it(database_url: str, tmp_path: Path) -> None:
    lines = kills(database_url, tmp_path / "migrations", REVISIONS)
    assert len([line for line in lines if line["signal"] == signal.SIGKILL]) >= 2 * 12
    assert lines[-1]["signal"] == 0  # the last run came to its end
    for line in lines:
        check_truth(line)
        assert line["end"] == END, line
    if "mysql" not in database_url:
        assert not any("applying" in line["states"].values() for line in lines)


def test_sigkill_around_a_block_outside_of_transactions(postgresql_url: str, tmp_path: Path) -> None:
    lines = kills(postgresql_url, tmp_path / "migrations", [*REVISIONS, CONCURRENT], first=13)
    assert "applying" in [line["states"]["r5"] for line in lines]
    for line in lines:
        check_truth(line)
        assert line["end"] == [END[0], [3, 0, 1]], line
