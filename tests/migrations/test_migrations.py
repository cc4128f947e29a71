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
from alembic.runtime.migration import MigrationContext
from sqlalchemy import types as sqltypes

import orm
from orm.database.connections.database import Database
from orm.migrations import async_url, compare_server_default, connect
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
            timeout=240,
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
    assert sorted(operations(source, "upgrade")) == ["create_index"] * 6 + ["create_table"] * 3
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
    on_book = ["add_column"] * 4 + ["create_foreign_key"] + ["create_index"] * 2 + ["create_unique_constraint"]
    assert sorted(operations(source, "upgrade")) == sorted(on_book)
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
    assert sorted(operations(source, "upgrade")) == ["create_index"] * 4 + ["create_table"] * 5
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


TENANTS = """
import os

import orm

models = orm.ModelRegistry(database=orm.Database(os.environ["DATABASE_URL"]))


class Store(orm.Model):
    registry = models

    tenant = orm.BigInteger(primary_key=True)
    id = orm.BigInteger(primary_key=True, autoincrement=True)


class Sale(orm.Model):
    registry = models

    tenant = orm.BigInteger(primary_key=True)
    id = orm.BigInteger(primary_key=True, autoincrement=True)
    store_key = orm.BigInteger()
    store = orm.CompositeForeignKey(Store, from_fields=["tenant", "store_key"], related_name="sales")
"""


@pytest.mark.parametrize("by", ["migration", "create_all"])
async def test_composite_key_with_a_generated_part_is_created_and_not_compared_as_different(
    project: Project, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    project.write(TENANTS)
    app = project.load(monkeypatch)
    if by == "migration":
        project.revision("first")
        project.alembic("upgrade", "head")
    else:
        async with app.models.database:
            await app.models.create_all()
    assert "No new upgrade operations detected." in project.alembic("check")
    async with app.models.database:
        stores = await app.Store.objects.bulk_create([app.Store(tenant=1), app.Store(tenant=2)])
        sale = await app.Sale.objects.create(store=stores[1])
        assert sale.pk == (2, sale.id) and sale.store_key == stores[1].id
        with pytest.raises(orm.ForeignKeyViolation):
            await app.Sale.objects.create(tenant=1, store_key=stores[1].id)
        with pytest.raises(orm.UniqueViolation):
            await app.Sale.objects.create(tenant=2, id=sale.id, store_key=stores[1].id)


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
        ("sqlite:////var/notes.db?synchronous=full&busy_timeout=5", "sqlite+aiosqlite:////var/notes.db"),
        ("postgresql://me:a%40b@host:5433/shop", "postgresql+asyncpg://me:a%40b@host:5433/shop"),
        ("postgres://host/shop?min_size=1", "postgresql+asyncpg://host/shop"),
        ("postgresql://host/shop?sslmode=require&acquire_timeout=3", "postgresql+asyncpg://host/shop?ssl=require"),
        ("mysql://root@host/shop?pool_recycle=9&charset=utf8", "mysql+asyncmy://root@host/shop?charset=utf8"),
        ("mysql+aiomysql://root@host/shop", "mysql+aiomysql://root@host/shop"),
        ("mariadb+asyncmy://root@host/shop", "mariadb+asyncmy://root@host/shop"),
    ],
)
def test_async_url_names_the_driver_and_drops_options_of_the_orm(url: str, expected: str) -> None:
    assert async_url(url).render_as_string(hide_password=False) == expected
    assert async_url(Database(url).url) == async_url(url)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgresql://h1,h2:5433/shop", "one server"),
        ("postgresql://h/shop?application_name=jobs", "application_name"),
        ("mysql://h/shop?ssl_mode=required", "ssl_mode"),
        ("sqlite:////var/notes.db?mode=ro", "mode"),
    ],
)
def test_async_url_refuses_what_sqlalchemy_cannot_be_told(url: str, named: str) -> None:
    with pytest.raises(orm.NotSupportedError, match=rf"{named}.*orm\.migrations\.connect"):
        async_url(url)


OPTIONS = {
    "sqlite": ["mode=rw&busy_timeout=3&synchronous=full&acquire_timeout=3", "cached_statements=3&timeout=4"],
    "postgresql": [
        "application_name=migrations&statement_timeout=0.001&acquire_timeout=3&pooler=session",
        "options=-c%20application_name%3Dmigrations&connect_timeout=9&command_timeout=9&target_session_attrs=any",
    ],
    "mysql": ["init_command=SET%20%40a%3D1&connect_timeout=9&charset=utf8mb4&pool_recycle=9&min_size=1"],
}
CHECKS = {
    "sqlite": ("SELECT 1", 1),
    "postgresql": ("SELECT current_setting('application_name') FROM pg_sleep(0.01)", "migrations"),
    "mysql": ("SELECT @a", 1),
}


@pytest.mark.anyio
async def test_migrations_connect_with_all_options_of_a_url(database_url: str) -> None:
    kind = database_url.partition(":")[0]
    async with Database(database_url) as database:
        await database.execute("CREATE TABLE marks (id INTEGER)")
    sql, expected = CHECKS[kind]
    for options in OPTIONS[kind]:
        async with connect(f"{database_url}?{options}") as connection:
            assert (await connection.exec_driver_sql(sql)).scalar() == expected
            assert (await connection.exec_driver_sql("SELECT COUNT(*) FROM marks")).scalar() == 0


@pytest.mark.anyio
async def test_migrations_connect_with_the_arguments_of_the_database_and_to_one_of_several_servers(
    postgresql_url: str, mysql_url: str
) -> None:
    database = Database(postgresql_url, server_settings={"application_name": "migrations"})
    async with connect(database) as connection:
        assert (await connection.exec_driver_sql(CHECKS["postgresql"][0])).scalar() == "migrations"
    for url in (postgresql_url, mysql_url):
        before, at, after = url.rpartition("@")
        async with connect(f"{before}{at}127.0.0.1:1,{after}") as connection:
            assert (await connection.exec_driver_sql("SELECT 1")).scalar() == 1


@pytest.mark.anyio
async def test_migrations_connect_as_a_user_whose_password_is_not_ascii(mysql_url: str) -> None:
    async with Database(mysql_url) as admin:
        await admin.execute("CREATE OR REPLACE USER 'zoë'@'%' IDENTIFIED BY 'päss€'")
        await admin.execute(f"GRANT ALL ON {admin.url.database}.* TO 'zoë'@'%'")
        _, at, server = mysql_url.rpartition("@")
        try:
            async with connect(f"mysql://zo%C3%AB:p%C3%A4ss%E2%82%AC{at}{server}") as connection:
                assert (await connection.exec_driver_sql("SELECT 1")).scalar() == 1
        finally:
            await admin.execute("DROP USER 'zoë'@'%'")


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
    context = MigrationContext.configure(dialect_name="sqlite")
    column = sqlalchemy.Column("x", sqltypes.Integer(), server_default=sqlalchemy.text("1 + 1"))
    clause = column.server_default
    for inspected, answer in [("2", None), (None, None), ("1 + 1", False)]:
        assert compare_server_default(context, column, column, inspected, clause, "1 + 1") is answer


GENERATED = """
import os

import orm
from orm.functions import Coalesce, Lower, Now

models = orm.ModelRegistry(database=orm.Database(os.environ["DATABASE_URL"]))


class Line(orm.Model):
    registry = models

    name = orm.String(max_length=50)
    title = orm.String(max_length=50, allow_null=True)
    count = orm.Integer(server_default=orm.Value(1))
    factor = orm.Integer(server_default=orm.Value(3) + 4)
    created = orm.DateTime(server_default=Now())
    total = orm.Generated(orm.F("factor") * orm.F("count"), orm.Integer())
    label = orm.Generated(Coalesce("title", Lower("name")), orm.String(max_length=50))
    many = orm.Generated(orm.Q(count__gt=2), orm.Boolean())
"""


async def test_migration_makes_generated_columns_and_defaults_of_expressions(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(GENERATED)
    app = project.load(monkeypatch)
    project.revision("first")
    project.alembic("upgrade", "head")
    async with app.models.database:
        line = await app.Line.objects.create(name="Lamp")
        assert (line.count, line.factor, line.total, line.label, line.many) == (1, 7, 7, "lamp", False)
        await line.update(count=3)
        assert (line.total, line.many) == (21, True)
    assert "No new upgrade operations detected." in project.alembic("check")


INHERITANCE = """
import os

import orm

models = orm.ModelRegistry(database=orm.Database(os.environ["DATABASE_URL"]))


class Place(orm.Model):
    registry = models

    name = orm.String(max_length=50)

    class Meta:
        indexes = [orm.Index("name")]


class Venue(Place):
    class Meta:
        proxy = True


class Shape(orm.Model):
    registry = models

    class Meta:
        discriminator = "kind"
"""

SUBCLASSES = """

class Restaurant(Venue):
    stars = orm.Integer(index=True)


class Circle(Shape):
    radius = orm.Integer(unique=True)
    drawn_in = orm.ForeignKey(Restaurant)
"""


@pytest.mark.parametrize("by", ["migration", "create_all"])
async def test_migrations_see_models_that_inherit(project: Project, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    project.write(INHERITANCE)
    if by == "migration":
        source = project.revision("first")
        assert operations(source, "upgrade").count("create_table") == 2
        project.alembic("upgrade", "head")
        project.write(INHERITANCE + SUBCLASSES)
        source = project.revision("second")
        assert operations(source, "upgrade").count("create_table") == 1  # restaurant
        assert operations(source, "upgrade").count("add_column") == 2
        assert "op.create_table('restaurant'" in source and "nullable=False" not in source.partition("add_column")[2]
        project.alembic("upgrade", "head")
        app = project.load(monkeypatch)
    else:
        project.write(INHERITANCE + SUBCLASSES)
        app = project.load(monkeypatch)
        async with app.models.database:
            await app.models.create_all()
    assert "No new upgrade operations detected." in project.alembic("check")
    async with app.models.database:
        restaurant = await app.Restaurant.objects.create(name="r", stars=1)
        await app.Circle.objects.create(radius=1, drawn_in=restaurant)
        (shape,) = await app.Shape.objects.all()
        assert shape.radius == 1 and (await app.Venue.objects.get()).name == "r"
        with pytest.raises(orm.UniqueViolation):
            await app.Circle.objects.create(radius=1, drawn_in=restaurant)
    if by == "migration":
        project.alembic("downgrade", "base")
