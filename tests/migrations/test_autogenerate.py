"""What autogenerate leaves alone, what it compares beside single changes, and what it says when it stops."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy
from alembic.util import CommandError
from sqlalchemy.engine import Connection

import orm
from orm.migrations import connect
from tests.migrations.matrix.changes import Change
from tests.migrations.matrix.run import Migrator, declare

HEAD = """
import enum

import sqlalchemy

import orm

models = orm.ModelRegistry(database=orm.Database("sqlite://"))


class Item(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=10)
    kind = orm.String(max_length=10, allow_null=True)
    # FIELDS
"""


def models_of(source: str, *edits: tuple[str, str]) -> orm.ModelRegistry:
    return declare(source, edits)[1]


async def on(url: str, function: Callable[[Connection, Migrator], None]) -> None:
    """Call a function with a connection to an empty database, and what writes and runs migrations there."""

    def call(connection: Connection) -> None:
        function(connection, Migrator(connection, Change("no answers")))

    async with connect(url) as connection:
        await connection.run_sync(call)
        await connection.rollback()


def migrate(migrator: Migrator, *registries: orm.ModelRegistry) -> str:
    """Write a migration, and run it. Returns its upgrade; empty if there is nothing to do."""
    written = migrator.write(*registries)
    if written is None:
        return ""
    migrator.run(written.upgrade, written.imports)
    migrator.connection.commit()
    return written.upgrade


async def test_what_others_have_made_is_left_alone(database_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        models = models_of(HEAD)
        connection.exec_driver_sql("CREATE TABLE celery_results (id INTEGER PRIMARY KEY)")
        migrate(migrator, models)
        connection.exec_driver_sql("CREATE INDEX manual_hotfix ON item (name)")
        connection.exec_driver_sql("CREATE VIEW theirs AS SELECT id FROM item")
        connection.commit()
        assert migrate(migrator, models) == ""
        assert (
            "DROP"
            not in migrate(
                migrator, models_of(HEAD, ("name = orm.String(max_length=10", "name = orm.String(max_length=12"))
            ).upper()
        )

    await on(database_url, check)


async def test_index_and_table_that_a_revision_made_are_dropped(database_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        more = HEAD + "\n\nclass Other(orm.Model):\n    registry = models\n\n    n = orm.Integer(index=True)\n"
        migrate(migrator, models_of(more, ("max_length=10, allow_null", "max_length=10, index=True, allow_null")))
        upgrade = migrate(migrator, models_of(HEAD))
        assert "op.drop_table('other')" in upgrade
        assert "drop_index" in upgrade and "ix_item_kind" in upgrade
        assert sqlalchemy.inspect(connection).get_table_names() == ["item"]

    await on(database_url, check)


async def test_several_registries_share_a_database(database_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        other = models_of(HEAD, ("class Item", "class Order"))
        one = models_of(HEAD)
        upgrade = migrate(migrator, one, other)
        assert "create_table('item'" in upgrade and "create_table('order'" in upgrade
        assert migrate(migrator, one, other) == ""
        upgrade = migrate(
            migrator, one, models_of(HEAD, ("class Item", "class Order"), ("max_length=10)", "max_length=20)"))
        )
        assert "batch_alter_table('order'" in upgrade and "'item'" not in upgrade

    await on(database_url, check)


async def test_schemas_are_made_and_compared(postgresql_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        meta = '\n    class Meta:\n        schema = "shop"\n        indexes = [orm.Index("name")]\n'
        constraint = '        constraints = [orm.CheckConstraint("id > 0", name="positive")]\n'
        models = models_of(HEAD + meta)
        assert "CREATE SCHEMA IF NOT EXISTS shop" in migrate(migrator, models)
        assert migrate(migrator, models) == ""
        models = models_of(HEAD + meta + constraint, ("max_length=10)", "max_length=20)"))
        assert "schema='shop'" in migrate(migrator, models)
        assert migrate(migrator, models) == ""

    await on(postgresql_url, check)


async def test_concurrent_index_is_made_outside_of_the_transaction(postgresql_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        migrate(migrator, models_of(HEAD))
        written = migrator.write(
            models_of(HEAD + "\nsqlalchemy.Index('ix_n', Item.table.c.name, postgresql_concurrently=True)\n")
        )
        assert written is not None
        for code, statement in ((written.upgrade, "CREATE INDEX"), (written.downgrade, "DROP INDEX")):
            assert f"with op.get_context().autocommit_block():\n    op.execute('{statement} CONCURRENTLY ix_n" in code

    await on(postgresql_url, check)


async def test_table_that_cannot_be_made_for_comparison_is_compared_by_names(
    postgresql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        migrate(migrator, models_of(HEAD, ("max_length=10)", "max_length=10, index=True)")))
        column = "\nItem.table.append_column(sqlalchemy.Column('x', sqlalchemy.dialects.postgresql.HSTORE))\n"
        written = migrator.write(
            models_of(HEAD + column, ("import sqlalchemy\n", "import sqlalchemy.dialects.postgresql\n"))
        )
        assert written is not None
        assert "add_column(sa.Column('x'" in written.upgrade and "drop_index" in written.upgrade

    await on(postgresql_url, check)
    assert "item is compared by names only" in caplog.text and 'type "hstore" does not exist' in caplog.text


EVERYTHING = """
import orm
from orm.functions import Lower, Now

models = orm.ModelRegistry(database=orm.Database("sqlite://"))


class Author(orm.Model):
    registry = models

    name = orm.String(max_length=50, unique=True)
    email = orm.Email(max_length=60)

    class Meta:
        comment = "who writes"
        constraints = [
            orm.UniqueConstraint(Lower("email"), name="low"),
            orm.UniqueConstraint("name", condition=orm.Q(email__gt="e"), name="some_names"),
            orm.CheckConstraint(orm.Q(name__startswith="%a:b") | orm.Q(name__gt=""), name="percent"),
        ]
        indexes = [orm.Index(Lower("name").desc(), "-id", name="by_name")]


class Profile(orm.Model):
    registry = models

    user = orm.OneToOne(Author, primary_key=True, on_delete=orm.CASCADE)


class Note(orm.Model):
    registry = models

    subject = orm.GenericForeignKey(Author, Profile, on_delete=orm.CASCADE, related_name="notes")
    about = orm.GenericForeignKey(Author, Profile, allow_null=True, on_delete=orm.SET_NULL, related_name="+")
    count = orm.Integer(server_default=orm.Value(1))
    total = orm.Generated(orm.F("count") * 2, orm.Integer())
    created = orm.DateTime(server_default=Now())
    slug = orm.Slug(max_length=40)
    number = orm.PositiveInteger(default=1)
    length = orm.Duration(allow_null=True)
    tags = orm.ManyToMany(Author, related_name="tagged")


class Store(orm.Model):
    registry = models

    tenant = orm.BigInteger(primary_key=True)
    id = orm.BigInteger(primary_key=True, autoincrement=True)


class Sale(orm.Model):
    registry = models

    store = orm.CompositeForeignKey(Store, from_fields=["tenant", "store_key"], related_name="sales")
    tenant = orm.BigInteger()
    store_key = orm.BigInteger()
"""


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")  # SQLAlchemy's; they are compared by their text
async def test_second_autogenerate_finds_nothing(database_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        models = models_of(EVERYTHING)
        assert migrate(migrator, models)
        assert migrate(migrator, models) == ""

    await on(database_url, check)


async def test_exclusion_constraint_is_made_changed_and_dropped(postgresql_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        migrate(migrator, models_of(HEAD))
        constraint = 'orm.ExclusionConstraint(("name", "="), name="one", using="hash")'
        meta = f"    class Meta:\n        constraints = [{constraint}]\n"
        models = models_of(HEAD + meta)
        assert "EXCLUDE USING hash (name WITH =)" in migrate(migrator, models)
        assert migrate(migrator, models) == ""
        other = models_of(HEAD + meta, ('("name", "=")', '("kind", "=")'))
        upgrade = migrate(migrator, other)
        assert "DROP CONSTRAINT one" in upgrade and "EXCLUDE USING hash (kind WITH =)" in upgrade
        assert migrate(migrator, other) == ""
        assert "DROP CONSTRAINT one" in migrate(migrator, models_of(HEAD))

    await on(postgresql_url, check)


VIEW = """

class Named(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)

    class Meta:
        view = Item.objects.filter(name="a").values("id")
"""


async def test_views_are_made_changed_and_dropped(database_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        models = models_of(HEAD + VIEW)
        assert "CREATE VIEW named" in migrate(migrator, models)
        assert migrate(migrator, models) == ""
        if connection.dialect.name not in ("mysql", "mariadb"):  # they would have to make one to tell
            changed = models_of(HEAD + VIEW, ('name="a"', 'name="b"'))
            written = migrator.write(changed)
            assert written is not None
            migrator.run(written.upgrade, written.imports)
            assert migrator.write(changed) is None
            migrator.run(written.downgrade, written.imports)
            connection.commit()
            assert migrate(migrator, models) == ""
        assert "DROP VIEW named" in migrate(migrator, models_of(HEAD))
        assert sqlalchemy.inspect(connection).get_view_names() == []

    await on(database_url, check)


@pytest.mark.parametrize(
    ("edit", "rows", "message"),
    [
        (
            ("# FIELDS", "made = orm.Integer()"),
            [],
            r"Item.made is required, and the table item may have rows, which need a value in it. Give the field",
        ),
        (
            ("kind = orm.String(max_length=10, allow_null=True)", "kind = orm.String(max_length=10)"),
            ["INSERT INTO item (id, name) VALUES (1, 'a'), (2, 'b')"],
            r"Item.kind is to be required, and 2 rows have no value in item.kind.",
        ),
        (
            ("name = orm.String(max_length=10)", "name = orm.String(max_length=10, primary_key=True)"),
            [],
            r"The primary key of the table item is \(id\) and is to be \(id, name\)",
        ),
        (
            ("name = orm.String(max_length=10)", "name = orm.Enum(enum.Enum('Kind', 'a b'))"),
            ["INSERT INTO item (id, name) VALUES (1, 'c')"],
            r"1 row has 'c' in item.name, which Kind does not have \(its members are stored as 'a', 'b'\)",
        ),
    ],
)
async def test_autogenerate_stops_where_it_would_have_to_guess(
    database_url: str, edit: tuple[str, str], rows: list[str], message: str
) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        migrate(migrator, models_of(HEAD))
        for statement in rows:
            connection.exec_driver_sql(statement)
        connection.commit()
        with pytest.raises(CommandError, match=message):
            migrator.write(models_of(HEAD, edit))

    await on(database_url, check)


async def test_defaults_and_generated_columns_keep_colons_and_percent_signs(database_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        models = models_of(
            HEAD,
            (
                "# FIELDS",
                "text = orm.String(max_length=20, server_default=orm.Value('a :b %s %%'))\n"
                "    is_odd = orm.Generated(orm.Q(name='a :b %s %%'), orm.Boolean())",
            ),
        )
        migrate(migrator, models)
        assert migrate(migrator, models) == ""
        insert = sqlalchemy.text("INSERT INTO item (id, name) VALUES (1, :name)")
        connection.execute(insert, {"name": "a :b %s %%"})
        assert connection.exec_driver_sql("SELECT text FROM item WHERE is_odd").scalars().all() == ["a :b %s %%"]

    await on(database_url, check)


JSON_CHECKS = (
    "# FIELDS",
    """data = orm.JSON(default=dict)

    class Meta:
        constraints = [
            orm.CheckConstraint(orm.Q(data__kind="a:b %s"), name="of_a_kind"),
            orm.CheckConstraint(
                orm.Q(**{"data__it's \\"é\\"": 1}) | orm.Q(data__kind__isnull=False), name="hostile_key"
            ),
        ]
""",
)


async def test_checks_of_keys_of_documents_are_made_and_compared(database_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        models = models_of(HEAD, JSON_CHECKS)
        migrate(migrator, models)
        assert migrate(migrator, models) == ""
        metadata = models.metadata
        item = metadata.tables["item"]
        connection.execute(item.insert().values(id=1, name="a", data={"kind": "a:b %s"}))
        with pytest.raises(sqlalchemy.exc.DBAPIError, match="of_a_kind"):
            connection.execute(item.insert().values(id=2, name="a", data={"kind": "c"}))

    await on(database_url, check)
