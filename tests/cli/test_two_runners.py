"""Two processes that migrate one database at once: one waits, and each revision runs once."""

from __future__ import annotations

from tests.cli.command import SECONDS, Application
from tests.waiting import wait_until

SLOW = """import pathlib, time
op.create_table('a', sa.Column('id', sa.Integer(), primary_key=True))
while not pathlib.Path('go_on').exists():
    time.sleep(0.01)"""
WAITING = "another process migrates this database: waiting until it has ended"
ROW = "op.execute('INSERT INTO a (id) VALUES (1)')"


def test_second_process_waits_and_nothing_runs_twice(application: Application) -> None:
    application.write("")
    application.orm("init")
    application.write_revisions([(SLOW, "op.drop_table('a')"), (ROW, "pass")])
    told = [application.folder / f"stderr_{number}" for number in range(2)]
    with told[0].open("w") as first, told[1].open("w") as second:
        processes = [application.start("migrate", stderr=stderr) for stderr in (first, second)]
    try:
        wait_until(lambda: any(WAITING in path.read_text() for path in told))
    finally:
        (application.folder / "go_on").touch()
    outs = [process.communicate(timeout=SECONDS)[0] for process in processes]
    errors = [path.read_text() for path in told]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert sorted(outs) == ["Nothing to migrate.\n", "applied r001  revision 1\napplied r002  revision 2\n"]
    assert [WAITING in error for error in errors] == [out == "Nothing to migrate.\n" for out in outs]
