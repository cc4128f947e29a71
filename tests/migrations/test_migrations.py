"""Alembic runs: it writes migrations from `models.metadata`, and detects no further operations after an upgrade."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy
from sqlalchemy import types as sqltypes

import orm
from orm.database.connections.database import Database
from orm.migrations import async_url, compare_server_default
from orm.migrations.defaults import _normalized

ROOT = Path(__file__).parents[2]

FIRST = """
import enum
import os

import sqlalchemy

import orm

models = orm.ModelRegistry(database=orm.Database(os.environ["DATABASE_URL"]))


class Mood(enum.Enum):
    good = "g"
    bad = "b"


class Level(enum.IntEnum):
    low = 1
    high = 2


class Author(orm.Model):
    registry = models

    name = orm.String(max_length=50, unique=True)


class Book(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True, comment="the key")
    author = orm.ForeignKey(Author, on_delete=orm.CASCADE)
    editor = orm.ForeignKey(Author, on_delete=orm.SET_NULL, allow_null=True, index=True, related_name="edited")
    cover = orm.OneToOne("Cover", on_delete=orm.RESTRICT, allow_null=True)
    original = orm.ForeignKey("Book", allow_null=True)
    by_name = orm.ForeignKey(Author, to_field="name", allow_null=True, related_name="+")
    title = orm.String(max_length=100, index=True)
    subtitle = orm.String(max_length=100, server_default="it's 'none'", comment="it's shown")
    text = orm.Text(allow_blank=True)
    pages = orm.SmallInteger(server_default="1")
    copies = orm.BigInteger(default=0)
    price = orm.Decimal(max_digits=10, decimal_places=2, server_default="1.50")
    weight = orm.Float(server_default="0.5")
    printed = orm.Boolean(server_default=sqlalchemy.false())
    published = orm.Date(allow_null=True)
    opens = orm.Time(allow_null=True)
    created = orm.DateTime(server_default=sqlalchemy.func.now())
    changed = orm.DateTime(timezone=True, auto_now=True)
    reading = orm.Duration(allow_null=True)
    contact = orm.Email(allow_null=True, unique=True)
    site = orm.URL(allow_null=True)
    mood = orm.Enum(Mood, server_default="good")
    level = orm.Enum(Level, default=Level.low)
    data = orm.JSON(default=dict)
    image = orm.Binary(allow_null=True)
    digest = orm.Binary(max_length=32, allow_null=True)
    key = orm.UUID(allow_null=True)
    address = orm.IPAddress(allow_null=True)
    # MORE FIELDS

    class Meta:
        tablename = "books"
        indexes = [orm.Index("mood", "level"), orm.Index("price", "pages", unique=True, name="by_price")]
        constraints = [
            orm.UniqueConstraint("author", "title"),
            orm.CheckConstraint("pages > 0", name="some_pages"),
        ]


class Cover(orm.Model):
    registry = models

    id = orm.UUID(primary_key=True)
    image = orm.Binary()
"""

RELATIONS = """

class Shelf(orm.Model):
    registry = models

    room = orm.Integer(primary_key=True)
    number = orm.Integer(primary_key=True)
    books = orm.ManyToMany(Book, related_name="shelves")
    near = orm.ManyToMany("self")
    owners = orm.ManyToMany(Author, through="Owner")


class Owner(orm.Model):
    registry = models

    author = orm.ForeignKey(Author, on_delete=orm.CASCADE)
    room = orm.Integer()
    number = orm.Integer()
    shelf = orm.CompositeForeignKey(Shelf, from_fields=["room", "number"], on_delete=orm.CASCADE)


class Remark(orm.Model):
    registry = models

    subject = orm.GenericForeignKey(Author, Book, on_delete=orm.CASCADE, related_name="remarks")
    about = orm.GenericForeignKey(Author, Book, allow_null=True, on_delete=orm.SET_NULL, related_name="+")
"""

ARRAYS = """
    tags = orm.Array(orm.String(max_length=20), default=list)
    moods = orm.Array(orm.Enum(Mood), default=list)
    hosts = orm.Array(orm.IPAddress(), default=list)
"""

CHANGES = """
    # MORE FIELDS
    rating = orm.Integer(allow_null=True)
    isbn = orm.String(max_length=13, allow_null=True, unique=True)
    genre = orm.String(max_length=20, allow_null=True, index=True)
    translator = orm.ForeignKey(Author, on_delete=orm.SET_NULL, allow_null=True, related_name="translated")
"""


class Project:
    """An application in its own directory: `app.py` with its models, and the Alembic environment of the example."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.url = url
        self.versions = directory / "examples/migrations/versions"
        shutil.copytree(ROOT / "examples/migrations", directory / "examples/migrations")
        shutil.copy(ROOT / "alembic.ini", directory)
        for version in self.versions.glob("*.py"):
            version.unlink()
        env = directory / "examples/migrations/env.py"
        env.write_text(env.read_text().replace("from examples.notes.models import models", "from app import models"))

    def write(self, models: str) -> None:
        (self.directory / "app.py").write_text(models)
        shutil.rmtree(self.directory / "__pycache__", ignore_errors=True)

    def alembic(self, *arguments: str) -> str:
        # MariaDB warns that it ignores the name of alembic_version's key; the drivers pass that on.
        process = subprocess.run(
            [sys.executable, "-W", "error", "-W", "default:Name 'alembic_version_pkc'"] + ["-m", "alembic", *arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": self.url, "PYTHONWARNINGS": ""},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    def revision(self, name: str) -> str:
        """Autogenerate a migration. Returns its source."""
        self.alembic("revision", "--autogenerate", "-m", name)
        [path] = self.versions.glob(f"*_{name}.py")
        return path.read_text()

    def delete_revision(self, name: str) -> None:
        """Delete a migration after a downgrade."""
        [path] = self.versions.glob(f"*_{name}.py")
        path.unlink()

    def load(self, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        """Import the application's module as it was written last."""
        monkeypatch.setenv("DATABASE_URL", self.url)
        monkeypatch.syspath_prepend(str(self.directory))
        monkeypatch.delitem(sys.modules, "app", raising=False)
        importlib.invalidate_caches()
        return importlib.import_module("app")


@pytest.fixture
def project(tmp_path: Path, database_url: str) -> Project:
    return Project(tmp_path, database_url)


def operations(source: str, function: str) -> list[str]:
    """The calls of `op` and `batch_op` in one function of a migration, without their arguments."""
    body = source.split(f"def {function}()")[1].split("\ndef ")[0]
    return re.findall(r"\b(?:op|batch_op)\.(create_\w+|drop_\w+|add_\w+|alter_\w+)\(", body)


async def test_upgrades_and_downgrades_leave_the_schema_of_the_models(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (
        FIRST.replace("    # MORE FIELDS\n", ARRAYS + "    # MORE FIELDS\n") if "postgresql" in project.url else FIRST
    )
    project.write(first)
    source = project.revision("first")
    assert "import orm" not in source
    assert "orm." not in source
    assert sorted(operations(source, "upgrade")) == ["create_index"] * 4 + ["create_table"] * 3
    assert "sa.Column('title', sa.String(length=100), nullable=False)" in source

    project.alembic("upgrade", "head")
    assert "No new upgrade operations detected." in project.alembic("check")

    app = project.load(monkeypatch)
    async with app.models.database:
        author = await app.Author.objects.create(name="Ann")
        book = await app.Book.objects.create(author=author, title="A", data={"a": [1, None]}, mood=app.Mood.bad)
        book = await app.Book.objects.select_related("author").get(pk=book.pk)
        assert (book.author.name, book.data, book.mood) == ("Ann", {"a": [1, None]}, app.Mood.bad)
        assert (book.subtitle, book.pages, str(book.price), book.printed) == ("it's 'none'", 1, "1.50", False)

    project.write(first.replace("    # MORE FIELDS\n", CHANGES))
    source = project.revision("second")
    on_book = ["add_column"] * 4 + ["create_foreign_key", "create_index", "create_unique_constraint"]
    assert sorted(operations(source, "upgrade")) == on_book
    project.alembic("upgrade", "head")
    assert "No new upgrade operations detected." in project.alembic("check")
    app = project.load(monkeypatch)
    async with app.models.database:
        [book] = await app.Book.objects.all()
        assert (book.title, book.rating, book.translator) == ("A", None, None)
        await book.update(rating=5, isbn="x", translator=book.author_id)
        with pytest.raises(orm.ForeignKeyViolation):
            await book.update(translator=999)

    project.alembic("downgrade", "-1")
    project.delete_revision("second")
    project.write(first)
    assert "No new upgrade operations detected." in project.alembic("check")
    app = project.load(monkeypatch)
    async with app.models.database:
        assert await app.Book.objects.values_list("title", flat=True) == ["A"]

    project.alembic("downgrade", "base")
    async with app.models.database as database:
        with pytest.raises(orm.ProgrammingError):
            await app.Book.objects.count()
        await database.execute("DROP TABLE alembic_version")


async def test_check_after_create_all_detects_no_operations(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(FIRST)
    app = project.load(monkeypatch)
    async with app.models.database:
        await app.models.create_all()
    assert "No new upgrade operations detected." in project.alembic("check")


async def test_autogenerate_for_each_relation_type_creates_its_tables(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(FIRST)
    project.revision("first")
    project.alembic("upgrade", "head")
    project.write(FIRST + RELATIONS)
    source = project.revision("second")
    assert operations(source, "upgrade") == ["create_table"] * 5
    for table in ("shelf_books", "shelf_near", "shelf", "owner", "remark"):
        assert f"op.create_table('{table}'" in source
    project.alembic("upgrade", "head")
    assert "No new upgrade operations detected." in project.alembic("check")
    app = project.load(monkeypatch)
    async with app.models.database:
        author = await app.Author.objects.create(name="Ann")
        book = await app.Book.objects.create(author=author, title="A")
        shelf = await app.Shelf.objects.create(room=1, number=2)
        await shelf.books.add(book)
        await author.shelf_set.add(shelf)
        assert await book.shelves == [shelf] == await app.Shelf.objects.filter(owners=author)
        remark = await book.remarks.create()
        with pytest.raises(orm.CheckViolation):
            await remark.update(subject_author=author)
        with pytest.raises(orm.ForeignKeyViolation):
            await app.Owner.objects.create(author=author, shelf=(9, 9))
    project.alembic("downgrade", "base")


def test_autogenerate_detects_changed_types_nullability_and_defaults(project: Project) -> None:
    project.write(FIRST)
    project.revision("first")
    project.alembic("upgrade", "head")
    changed = FIRST
    for old, new in {
        "    title = orm.String(max_length=100": "    title = orm.String(max_length=150",
        "copies = orm.BigInteger(default=0)": "copies = orm.BigInteger(allow_null=True)",
        "server_default=\"it's 'none'\"": 'server_default="it\'s none"',
        'weight = orm.Float(server_default="0.5")': 'weight = orm.Float(server_default="0.75")',
        "server_default=sqlalchemy.false()": "server_default=sqlalchemy.true()",
    }.items():
        assert changed.count(old) == 1
        changed = changed.replace(old, new)
    project.write(changed)
    source = project.revision("second")
    assert operations(source, "upgrade") == ["alter_column"] * 5
    project.alembic("upgrade", "head")
    assert "No new upgrade operations detected." in project.alembic("check")


def test_upgrade_with_sql_option_prints_the_statements(tmp_path: Path, sqlite_url: str) -> None:
    project = Project(tmp_path, sqlite_url)
    project.write(FIRST)
    project.revision("first")
    sql = project.alembic("upgrade", "head", "--sql")
    assert "CREATE TABLE books" in sql
    assert "CREATE INDEX ix_books_title" in sql


async def test_example_environment_migrates_an_empty_database(tmp_path: Path, sqlite_url: str) -> None:
    project = Project(tmp_path, sqlite_url)
    shutil.copytree(ROOT / "examples/notes", project.directory / "examples/notes")
    shutil.copy(ROOT / "examples/__init__.py", project.directory / "examples")
    shutil.copy(ROOT / "examples/migrations/env.py", project.directory / "examples/migrations")
    source = project.revision("first")
    assert operations(source, "upgrade") == ["create_table", "create_index"]
    project.alembic("upgrade", "head")
    assert "No new upgrade operations detected." in project.alembic("check")
    async with Database(project.url) as database:
        assert await database.fetch_all("SELECT * FROM notes") == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///notes.db", "sqlite+aiosqlite:///notes.db"),
        ("sqlite:////var/notes.db?max_size=3&timeout=5", "sqlite+aiosqlite:////var/notes.db?timeout=5"),
        ("postgresql://me:a%40b@host:5433/shop", "postgresql+asyncpg://me:a%40b@host:5433/shop"),
        ("postgres://host/shop?min_size=1", "postgresql+asyncpg://host/shop"),
        ("mysql+aiomysql://root@host/shop", "mysql+aiomysql://root@host/shop"),
        ("mariadb+asyncmy://root@host/shop", "mariadb+asyncmy://root@host/shop"),
    ],
)
def test_async_url_names_the_driver_and_drops_pool_options(url: str, expected: str) -> None:
    assert async_url(url).render_as_string(hide_password=False) == expected
    assert async_url(Database(url).url) == async_url(url)


def test_async_url_of_an_unknown_database_is_refused() -> None:
    with pytest.raises(orm.NotSupportedError, match="oracle://"):
        async_url("oracle://host/shop")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("'3'", "3"),
        ("('3')", "3"),
        ("3.50", "'3.50'::numeric"),
        ("'it''s'::character varying", "'it\\'s'"),
        ("now()", "CURRENT_TIMESTAMP"),
        ("current_timestamp(6)", "(CURRENT_TIMESTAMP)"),
        ("true", "1"),
        ("FALSE", "'0'"),
        ("'{}'::jsonb", "{}"),
        ("Lower('x')", "lower('x')"),
    ],
)
def test_server_defaults_in_different_notation_are_equal(one: str, other: str) -> None:
    assert _normalized(one) == _normalized(other)


def test_compare_server_default_of_an_expression_is_left_to_alembic() -> None:
    column = sqlalchemy.Column("x", sqltypes.Integer(), server_default=sqlalchemy.text("1 + 1"))
    clause = column.server_default
    assert compare_server_default(None, column, column, "2", clause, "1 + 1") is None  # type: ignore[arg-type]
    assert compare_server_default(None, column, column, None, clause, "1 + 1") is None  # type: ignore[arg-type]
    assert compare_server_default(None, column, column, "1 + 1", clause, "1 + 1") is False  # type: ignore[arg-type]
