"""The subcommands for migrations, in processes of their own."""

from __future__ import annotations

import os
import pty
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from orm.cli.app import app
from orm.database.connections.database import Database
from tests.cli.command import ROOT, SECONDS, Application

NOTE = """

class Note(orm.Model):
    registry = models

    id = orm.BigInteger(primary_key=True)
    title = orm.String(max_length=100)
"""
MORE = "    rating = orm.Integer(allow_null=True)\n"


def documented_commands() -> list[str]:
    """The commands of the first shell block of the page on migrations."""
    page = (ROOT / "docs/migrations.md").read_text(encoding="utf-8")
    block = re.search(r"```shell\n(.*?)```", page, re.DOTALL)
    assert block is not None
    return [line.partition("#")[0].strip() for line in block[1].splitlines()]


async def test_five_commands_of_the_documentation_lead_from_an_empty_folder_to_a_migrated_database(
    application: Application,
) -> None:
    install, *commands = documented_commands()
    assert install.startswith("pip install") and len(commands) == 4
    for command in commands:
        name, *arguments = command.split()
        assert name == "orm"
        last = application.orm(*arguments)
    assert re.fullmatch(r"\[X\] \w{12}  initial\n", last.out)
    async with Database(application.url) as database:
        assert await database.fetch_all("SELECT id, title, created FROM note") == []
    assert "No new upgrade operations detected." in application.alembic("check")


async def test_plain_alembic_and_orm_run_the_same_revisions(application: Application) -> None:
    application.write(NOTE)
    application.orm("init")
    application.alembic("revision", "--autogenerate", "-m", "first")
    application.alembic("upgrade", "head")
    assert "[X]" in application.orm("showmigrations").out
    application.write(NOTE + MORE)
    application.orm("makemigrations", "-m", "second")
    assert "has not run 1 revision" in application.orm("makemigrations", "--check", code=4).err
    application.alembic("upgrade", "head")
    assert application.orm("makemigrations", "--check").out == "No changes.\n"
    application.orm("rollback")
    assert "first" not in application.alembic("current")
    [first, second] = application.orm("showmigrations", "--json").json
    assert (first["state"], second["state"]) == ("applied", "pending")
    application.alembic("downgrade", "base")
    async with Database(application.url) as database:
        assert await database.fetch_all("SELECT * FROM orm_migrations") == []


def test_makemigrations_names_files_and_says_what_they_do(sqlite_application: Application) -> None:
    application = sqlite_application
    application.write(NOTE)
    application.orm("init")
    application.orm("makemigrations")
    application.orm("migrate")
    application.write(NOTE + MORE)
    checked = application.orm("makemigrations", "--check", "--json", code=1).json
    assert (checked["path"], checked["operations"]) == (None, ["add column note.rating"])
    made = application.orm("makemigrations").out.splitlines()
    assert re.fullmatch(r"wrote migrations/versions/\w{12}_add_column_note_rating.py", made[0])
    assert made[1:] == ["  add column note.rating"]
    application.orm("migrate")
    assert application.orm("makemigrations", "--empty", "-m", "numbers").out.endswith("_numbers.py\n")
    assert "op." not in application.revision("numbers").read_text()
    heads = [row["message"] for row in application.orm("history", "--json").json if row["is_head"]]
    assert heads == ["numbers"]
    assert "has not run all revisions" in application.orm("squash", code=4).err
    assert "exclude each other" in application.orm("rollback", "base", "--steps", "1", code=2).err


def test_migrate_shows_its_plan_and_its_sql_without_running_them(sqlite_application: Application) -> None:
    application = sqlite_application
    application.write(NOTE)
    application.orm("init")
    application.orm("makemigrations")
    assert "create table note" in application.orm("migrate", "--plan").out
    assert "CREATE TABLE note" in application.orm("migrate", "--sql").out
    assert "[ ]" in application.orm("showmigrations").out
    application.orm("migrate")
    assert application.orm("migrate").out == "Nothing to migrate.\n"
    assert application.orm("migrate", "--plan").out == "Nothing to migrate.\n"
    assert "drop table note" in application.orm("rollback", "--plan").out
    assert "DROP TABLE note" in application.orm("rollback", "--sql").out


def test_fake_notes_revisions_without_running_them(sqlite_application: Application) -> None:
    application = sqlite_application
    application.write(NOTE)
    application.orm("init")
    application.orm("makemigrations")
    application.orm("migrate", "--fake")
    assert "[X]" in application.orm("showmigrations").out
    assert application.orm("makemigrations", "--check", "--json", code=1).json["operations"][0] == "create table note"
    application.orm("rollback", "--fake")
    application.orm("migrate")
    assert application.orm("makemigrations", "--check").out == "No changes.\n"


def test_settings_are_found_above_the_folder_and_options_win(sqlite_application: Application) -> None:
    application = sqlite_application
    application.write(NOTE)
    (application.folder / "setup.cfg").write_text("[metadata]\nname = shop\n")
    application.orm("init", "models")
    assert (
        (application.folder / "setup.cfg")
        .read_text()
        .endswith("[orm]\nmodels = models:models\nmigrations = migrations\n")
    )
    assert not (application.folder / "pyproject.toml").exists()
    inner = Application(application.folder / "inner", application.url)
    assert inner.orm("showmigrations").out == "No revisions.\n"
    error = inner.orm("--models", "modles:models", "showmigrations", code=2).err
    assert "there is no module 'modles'" in error and "Traceback" not in error
    inner.environment["ORM_MODELS"] = "models:nothing"
    assert "it has models" in inner.orm("showmigrations", code=2).err


def test_errors_have_exit_codes_and_no_traceback(sqlite_application: Application) -> None:
    application = sqlite_application
    application.write(NOTE)
    assert "`orm init`" in application.orm("migrate", code=4).err
    application.orm("init")
    assert "set up before" in application.orm("init", code=4).err
    assert "'nothing'" in application.orm("migrate", "nothing", code=4).err
    application.orm("makemigrations")
    error = application.orm("makemigrations", code=4).err
    assert "run `orm migrate` first" in error and "Traceback" not in error
    assert "--fake" in application.orm("migrate", "--help").out
    application.orm("migrate", "--nonsense", code=2)


def test_broken_files_and_databases_are_a_line(application: Application, sqlite_url: str) -> None:
    application.write(NOTE)
    application.orm("init")
    versions = application.folder / "migrations/versions"
    head = "import sqlalchemy as sa\nfrom alembic import op\n\nrevision, down_revision = 'r1', {down!r}\n"
    broken = head.format(down=None) + "\n\ndef upgrade():\n    {body}\n\n\ndef downgrade():\n    pass\n"
    for text, message in {
        head.format(down="gone"): "the revision r1 follows gone, which no file has (migrations/versions/r1.py)",
        "revision = (\n": "a revision cannot be read: SyntaxError: '(' was never closed (r1.py, line 1)",
        head.format(down=None): f"r1 has no upgrade() in {versions / 'r1.py'}",
        broken.format(body="raise SystemExit('enough')"): "r1 cannot be read: SystemExit: enough (r1.py, line 8)",
        broken.format(body="opp"): "r1 cannot be read: NameError: name 'opp' is not defined (r1.py, line 8)",
    }.items():
        (versions / "r1.py").write_text(text)
        assert application.orm("migrate", code=4).err == f"orm: {message}\n"
    (versions / "r1.py").write_text(broken.format(body="assert op.get_bind().scalar(sa.text('SELECT 1')) == 2"))
    # MariaDB's warning about the table of revisions may come before.
    failed = application.orm("migrate", "--allow", "D", code=4).err.splitlines()[-1]
    assert failed.startswith("orm: r1 failed") and "AssertionError (r1.py, line 8)" in failed
    assert "Nothing of it has stayed" in failed
    application.environment["DATABASE_URL"] = re.sub("[^/]*$", "nowhere/at_all", application.url)
    # The thread of aiosqlite, which SQLAlchemy does not wait for, may complain of the closed event loop beside it.
    lost = application.orm("migrate", code=4).err.splitlines()
    assert any(line.startswith("orm: cannot connect to ") for line in lost)
    application.write("nothing\n")
    error = application.orm("migrate", code=2).err
    assert error.startswith("orm: models cannot be imported: NameError: name 'nothing' is not defined (models.py, line")


def test_check_and_repair_say_what_is_wrong(sqlite_application: Application) -> None:
    application = sqlite_application
    application.write(NOTE)
    application.orm("init")
    application.orm("makemigrations")
    assert application.orm("check", code=1).out.startswith("pending: ")
    application.orm("migrate")
    assert application.orm("check").out == "The database has run all revisions, and is what the models say.\n"
    application.write(NOTE + MORE)
    [drift] = application.orm("check", "--json", code=1).json
    assert (drift["kind"], drift["text"]) == ("drift", "add column note.rating")
    assert drift["statements"] == ["ALTER TABLE note ADD COLUMN rating INTEGER"]
    assert application.orm("repair").out == "Nothing to repair.\n"


def test_rename_is_asked_on_a_terminal_and_stops_without_one(sqlite_application: Application) -> None:
    application = sqlite_application
    application.write(NOTE)
    application.orm("init")
    application.orm("makemigrations")
    application.orm("migrate")
    application.write(NOTE.replace("title", "heading"))
    stopped = application.orm("makemigrations", code=3)
    assert stopped.out == "" and "  --rename Note.title=heading\n  --drop Note.title\n" in stopped.err
    ours, theirs = pty.openpty()
    process = application.start("makemigrations", stdin=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, b"y\n")
    out, _ = process.communicate(timeout=SECONDS)
    os.close(ours)
    assert process.returncode == 0 and b"Rename Note.title to Note.heading? [y/N]" in shown
    assert "heading" in out and "drop" not in out


def test_options_that_name_nothing_are_refused_and_write_no_file(sqlite_application: Application) -> None:
    application = sqlite_application
    application.write(NOTE)
    application.orm("init")
    application.orm("makemigrations")
    application.orm("migrate")
    application.write(NOTE.replace("title", "heading"))
    refused = application.orm("makemigrations", "--rename", "Note.title=headng", "--one-off", "Note.heading=x", code=2)
    assert refused.err == "orm: --rename Note.title=headng: Note has no 'headng'; did you mean 'heading'?\n"
    assert refused.out == "" and len([*(application.folder / "migrations/versions").glob("*.py")]) == 1


def test_inspectdb_writes_models_that_makemigrations_finds_nothing_for(sqlite_application: Application) -> None:
    application = sqlite_application
    application.write("")
    application.orm("init")
    connection = sqlite3.connect(application.url.removeprefix("sqlite:///"))
    connection.execute("CREATE TABLE shelf (id INTEGER NOT NULL PRIMARY KEY, room VARCHAR(9) NOT NULL)")
    connection.execute(
        "CREATE TABLE book (id INTEGER NOT NULL PRIMARY KEY, shelf_id INTEGER, "
        "FOREIGN KEY (shelf_id) REFERENCES shelf (id))"
    )
    connection.close()
    source = application.orm("inspectdb").out
    assert 'shelf = orm.ForeignKey("Shelf"' in source
    (application.folder / "models.py").write_text(source)
    assert application.orm("makemigrations", "--check").out == "No changes.\n"
    application.orm("inspectdb", "shelf", "--output", "shelf.py", "--database", application.url)
    assert (application.folder / "shelf.py").read_text().count("(orm.Model)") == 1
    assert "exists" in application.orm("inspectdb", "--output", "shelf.py", code=2).err


def test_diagram_draws_the_models_or_the_tables(sqlite_application: Application) -> None:
    application = sqlite_application
    application.write(NOTE)
    assert application.orm("diagram").out.startswith("<svg ")
    assert application.orm("diagram", "--format", "mermaid").out.startswith("erDiagram\n    Note {\n")
    application.orm("diagram", "Note", "--format", "dot", "--output", "models.dot")
    assert (application.folder / "models.dot").read_text().startswith("digraph models {")
    assert "there is no Nota" in application.orm("diagram", "Nota", code=2).err
    assert application.orm("diagram", "-f", "mermaid", "--database", application.url).out == "erDiagram\n\n"


def test_importing_orm_imports_nothing_of_the_command() -> None:
    code = "import sys, orm; print([name for name in ('typer', 'rich', 'alembic', 'IPython') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_extra_the_command_says_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(\"No module named 'typer'\", name='typer')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from orm.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "The command `orm` needs the package typer, which is not installed: pip install typer\n",
    )


def test_help_of_each_subcommand_says_what_it_is_for() -> None:
    for command in app.registered_commands:
        name = (command.name or command.callback.__name__).removesuffix("_")  # type: ignore[union-attr]
        result = CliRunner().invoke(app, [name, "--help"])
        assert result.exit_code == 0 and len(result.output.splitlines()) > 5, name
