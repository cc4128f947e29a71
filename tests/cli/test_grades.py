"""Grades at the command: what runs, what is asked, what is refused."""

from __future__ import annotations

import os
import pty

from tests.cli.command import SECONDS, Application

TABLE = "op.create_table('a', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('n', sa.Integer()))"
ROW = "op.execute('INSERT INTO a (id, n) VALUES (1, 1)')"
RENAME = "op.alter_column('a', 'n', new_column_name='m', existing_type=sa.Integer())"
DROP = "op.drop_column('a', 'm')"


def write(application: Application, name: str, previous: str | None, body: str) -> None:
    """Write a revision by hand."""
    (application.folder / f"migrations/versions/{name}_revision.py").write_text(
        f'"""{name}"""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\nrevision = {name!r}\n'
        f"down_revision = {previous!r}\n\n\ndef upgrade():\n    {body}\n\n\ndef downgrade():\n    pass\n"
    )


def test_d_is_refused_c_is_asked_and_the_plan_shows_the_grades(sqlite_application: Application) -> None:
    application = sqlite_application
    application.write("")
    application.orm("init")
    write(application, "r001", None, f"{TABLE}\n    {ROW}")
    assert application.orm("migrate").out.startswith("applied r001")
    write(application, "r002", "r001", RENAME)
    asked = application.orm("migrate", code=5)
    assert asked.out == "" and "C r002: alter column a.n: name m (RESERVED, about 1 rows" in asked.err
    ours, theirs = pty.openpty()
    process = application.start("migrate", stdin=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, b"y\n")
    out, _ = process.communicate(timeout=SECONDS)
    os.close(ours)
    assert process.returncode == 0 and out.startswith("applied r002") and b"expand and contract" in shown
    write(application, "r003", "r002", DROP)
    plan = application.orm("migrate", "--plan").out.splitlines()
    assert plan[0].split() == ["revision", "message", "operation", "grade", "lock", "rows", "undo"]
    assert "drop column a.m  D      RESERVED  1     without the values" in plan[1]
    [row] = application.orm("migrate", "--plan", "--json").json
    assert (row["grade"]["letter"], row["grade"]["loses"]) == ("D", "the values")
    assert application.orm("check", "--max-grade", "B", code=1).out.startswith("grade: D r003: drop column a.m")
    refused = application.orm("migrate", "--allow", "C", code=5).err
    assert "nothing has run" in refused and "safer: first deploy code" in refused and "--allow D" in refused
    assert "[ ] r003" in application.orm("showmigrations").out
    assert application.orm("migrate", "--allow", "D").out.startswith("applied r003")
    assert application.orm("check", "--max-grade", "A").out == "Nothing that has not run is worse than A.\n"
