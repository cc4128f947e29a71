"""`inspect_models()`: models of tables that others have made. A migration then finds nothing, and queries run."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy

import orm
from orm import migrations
from orm.migrations.inspection import inspect_models
from orm.migrations.inspection.columns import identifier
from tests.database.notes_table import fetch

numbers = itertools.count(1)

# A shop, as SQL that all servers understand but for the types in braces.
SHOP = """
CREATE TABLE customer (id {serial}, name VARCHAR(120) NOT NULL UNIQUE, email VARCHAR(200));
CREATE TABLE profile (
    customer_id {int} NOT NULL PRIMARY KEY, bio VARCHAR(99),
    FOREIGN KEY (customer_id) REFERENCES customer (id) ON DELETE CASCADE
);
CREATE TABLE product (
    sku VARCHAR(20) NOT NULL PRIMARY KEY, title VARCHAR(100) DEFAULT 'it''s' NOT NULL, price DECIMAL(10, 2) NOT NULL,
    stock INTEGER DEFAULT 0 NOT NULL, added {timestamp}, class VARCHAR(3), "two words" INTEGER,
    CONSTRAINT price_is_positive CHECK (price > 0)
);
CREATE INDEX product_title ON product (title, price);
CREATE TABLE tag (id {serial}, label VARCHAR(30) NOT NULL, CONSTRAINT tag_label_once UNIQUE (label));
CREATE TABLE product_tag (
    product_sku VARCHAR(20) NOT NULL, tag_id {int} NOT NULL, PRIMARY KEY (product_sku, tag_id),
    FOREIGN KEY (product_sku) REFERENCES product (sku), FOREIGN KEY (tag_id) REFERENCES tag (id)
);
CREATE TABLE shop_order (
    shop INTEGER NOT NULL, number INTEGER NOT NULL, buyer_id {int} NOT NULL, payer_id {int}, PRIMARY KEY (shop, number),
    FOREIGN KEY (buyer_id) REFERENCES customer (id), FOREIGN KEY (payer_id) REFERENCES customer (id) ON DELETE SET NULL
);
CREATE TABLE shop_line (
    id {serial}, shop INTEGER NOT NULL, number INTEGER NOT NULL, product_sku VARCHAR(20) NOT NULL,
    FOREIGN KEY (shop, number) REFERENCES shop_order (shop, number), FOREIGN KEY (product_sku) REFERENCES product (sku)
);
CREATE TABLE category (
    id {serial}, parent_id {int}, name VARCHAR(50), FOREIGN KEY (parent_id) REFERENCES category (id)
);
CREATE VIEW cheap AS SELECT sku, title FROM product WHERE price < 10;
INSERT INTO customer (name) VALUES ('Ada');
INSERT INTO product (sku, title, price) VALUES ('L1', 'Lamp', 9.5);
INSERT INTO tag (label) VALUES ('new');
INSERT INTO product_tag VALUES ('L1', 1);
INSERT INTO shop_order VALUES (1, 7, 1, NULL);
INSERT INTO shop_line (shop, number, product_sku) VALUES (1, 7, 'L1')
"""
TYPES = {
    "sqlite": {"serial": "INTEGER NOT NULL PRIMARY KEY", "int": "INTEGER", "timestamp": "DATETIME"},
    "postgresql": {"serial": "SERIAL PRIMARY KEY", "int": "INTEGER", "timestamp": "TIMESTAMP DEFAULT now()"},
    "mysql": {"serial": "INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY", "int": "INTEGER", "timestamp": "DATETIME(6)"},
}
# What no field expresses: the table, and what its comment says.
ODD = {
    "sqlite": [
        ("CREATE TABLE odd (id INTEGER NOT NULL PRIMARY KEY, shape polygon, v VARCHAR(9))", "shape"),
        ("CREATE TABLE odd (id INTEGER NOT NULL PRIMARY KEY, v VARCHAR(9) DEFAULT (lower('X')))", "DEFAULT"),
        (
            "CREATE TABLE odd (id INTEGER NOT NULL PRIMARY KEY, n INT, d INT GENERATED ALWAYS AS (n * 2) STORED)",
            "GENERATED",
        ),
        ("CREATE TABLE odd (a INTEGER, b VARCHAR(9))", "no primary key"),
        ("CREATE TABLE odd (id INTEGER NOT NULL PRIMARY KEY, n INT CHECK (n > 3))", "CHECK"),
    ],
    "postgresql": [
        ("CREATE TABLE odd (id SERIAL PRIMARY KEY, p TSVECTOR)", "TSVECTOR"),
        ("CREATE TABLE odd (id SERIAL PRIMARY KEY, c CHAR(3))", "CHAR(3)"),
        ("CREATE TABLE odd (id SERIAL PRIMARY KEY, v VARCHAR)", "without a length"),
        ("CREATE TABLE odd (id INT GENERATED ALWAYS AS IDENTITY (START 5) PRIMARY KEY)", "IDENTITY"),
        ("CREATE TABLE odd (id SERIAL PRIMARY KEY, d DATE DEFAULT CURRENT_DATE - 1)", "DEFAULT"),
        ("CREATE TABLE odd (id INT, d DATE, PRIMARY KEY (id, d)) PARTITION BY RANGE (d)", "PARTITION BY RANGE (d)"),
        ("CREATE TABLE odd (id SERIAL PRIMARY KEY, n INT, EXCLUDE USING btree (n WITH =))", "EXCLUDE USING btree"),
        ("CREATE TABLE odd (id SERIAL PRIMARY KEY, r REAL)", "32 bits"),
        ("CREATE TABLE odd (id SERIAL PRIMARY KEY, t TIMETZ)", "time zone"),
        ("CREATE TABLE odd (id SERIAL PRIMARY KEY, s INT, d INT GENERATED ALWAYS AS (s * 2) STORED)", "GENERATED"),
        ("CREATE TABLE odd (a INTEGER, b VARCHAR(9))", "no primary key"),
    ],
    "mysql": [
        ("CREATE TABLE odd (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY)", "UNSIGNED"),
        ("CREATE TABLE odd (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, t TEXT)", "TEXT"),
        ("CREATE TABLE odd (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, e ENUM('a', 'b'))", "enum"),
        ("CREATE TABLE odd (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, m MEDIUMINT)", "MEDIUMINT"),
        ("CREATE TABLE odd (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT CHECK (n > 3))", "CHECK"),
        ("CREATE TABLE odd (id INT NOT NULL PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2", "PARTITION BY"),
        ("CREATE TABLE odd (a INTEGER, b VARCHAR(9))", "no primary key"),
    ],
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    migrations.init("nowhere:models", tmp_path / "migrations")
    (tmp_path / "migrations/env.py").write_text("from orm.migrations import run\n\nrun()\n")
    return tmp_path / "migrations"


async def make(database: orm.Database, sql: str) -> None:
    """Run SQL in the words of the database."""
    dialect = database.url.dialect
    text = sql
    for name, column_type in TYPES[dialect].items():
        text = text.replace(f"{{{name}}}", column_type)
    for statement in text.split(";"):
        await database.execute(statement.replace('"', "`") if dialect == "mysql" else statement)


async def inspected(database: orm.Database, **options: Any) -> tuple[str, ModuleType]:
    """The source of the models, and the module that it is."""
    source, module = await inspected_source(await inspect_models(database, **options))
    module.models.database = database
    return source, module


async def inspected_source(source: str) -> tuple[str, ModuleType]:
    """The source, and the module that it is."""
    module = ModuleType(f"inspected_{next(numbers)}")
    sys.modules[module.__name__] = module
    exec(compile(source, module.__name__, "exec"), module.__dict__)
    return source, module


async def test_models_of_a_shop_answer_queries_and_need_no_migration(database: orm.Database, directory: Path) -> None:
    await make(database, SHOP)
    source, shop = await inspected(database)
    assert await migrations.make(shop.models, directory=directory) is None
    lines = await shop.ShopLine.objects.filter(shop_order__buyer__name="Ada").select_related("product_sku")
    assert [line.product_sku.title for line in lines] == ["Lamp"]
    lamp = await shop.Product.objects.prefetch_related("tag_of_product_tag").get(sku="L1")
    assert [tag.label for tag in lamp.tag_of_product_tag] == ["new"]
    assert (lamp.stock, lamp.class_, lamp.two_words) == (0, None, None)
    assert await shop.Cheap.objects.values_list("title", flat=True) == ["Lamp"]
    root = await shop.Category.objects.create(name="all")
    child = await shop.Category.objects.create(name="lamps", parent=root)
    assert [row.name for row in await root.category_by_parent.all()] == ["lamps"] and child.parent.id == root.id
    profile = await shop.Profile.objects.create(customer=1, bio="b")
    assert (await shop.Customer.objects.select_related("profile_set").get(id=1)).profile_set.bio == profile.bio
    with pytest.raises(orm.CheckViolation):
        await shop.Product.objects.create(sku="L2", price=-1, title="x")
    assert "# not expressible" not in source.replace("# not expressible: there is no primary key", "")
    await shop.models.database.disconnect()


async def test_what_a_field_cannot_express_is_said_and_left_to_the_database(
    database: orm.Database, directory: Path
) -> None:
    for sql, said in ODD[database.url.dialect]:
        await make(database, sql)
        source, module = await inspected(database)
        assert "# not expressible: " in source and said in source, source
        assert "managed = False" in source
        assert await migrations.make(module.models, directory=directory) is None, sql
        await database.execute("DROP TABLE odd")


async def test_named_tables_and_schemas_alone_are_inspected(postgresql_url: str) -> None:
    async with orm.Database(postgresql_url) as database:
        await database.execute("CREATE SCHEMA s2")
        await database.execute("CREATE TABLE s2.a (id SERIAL PRIMARY KEY)")
        await database.execute("CREATE TABLE s2.b (id SERIAL PRIMARY KEY)")
        source, module = await inspected(database, schema="s2", tables=["b"])
        assert list(module.models.models) == ["B"] and 'schema = "s2"' in source
        assert await module.B.objects.count() == 0
        assert await fetch(database, "SELECT count(*) FROM s2.b") == [(0,)]


async def test_password_is_not_in_the_source_and_the_environment_comes_first(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlalchemy.make_url(postgresql_url).set(password="S3cr3t").render_as_string(hide_password=False)
    async with orm.Database(url) as database:
        await database.execute("CREATE TABLE a (id SERIAL PRIMARY KEY)")
        source, _ = await inspected(database)
        assert "S3cr3t" not in source and "orm.Database(os.environ.get(" in source
    monkeypatch.setenv("DATABASE_URL", "sqlite:///another.db")
    _, module = await inspected_source(source)
    assert str(module.models.database.url) == "sqlite:///another.db"


async def test_table_that_is_not_there_raises(database: orm.Database) -> None:
    with pytest.raises(orm.FieldError, match="no table or view 'nope'"):
        await inspect_models(database, tables=["nope"])


async def test_sqlite_tables_of_other_programs_need_no_migration(sqlite_url: str, directory: Path) -> None:
    async with orm.Database(sqlite_url) as database:
        await database.execute("CREATE TABLE author (id int primary key, email varchar(80) unique, name varchar(9))")
        await database.execute(
            "CREATE TABLE self (id integer primary key autoincrement, up integer references self(id))"
        )
        await database.execute("CREATE TABLE word (word text primary key)")
        source, module = await inspected(database)
        assert "email = orm.String(max_length=80, allow_null=True, allow_blank=True, unique=True)" in source
        assert "# not" not in source and "managed" not in source
        assert await migrations.make(module.models, directory=directory) is None
        await database.execute("CREATE TABLE stamped (id integer primary key, at datetime default current_timestamp)")
        source, module = await inspected(database)
        assert "# not expressible: at: DEFAULT current_timestamp" in source
        assert await migrations.make(module.models, directory=directory) is None


async def test_second_foreign_key_of_a_column_is_said(postgresql_url: str) -> None:
    async with orm.Database(postgresql_url) as database:
        await database.execute("CREATE TABLE a (id SERIAL PRIMARY KEY)")
        await database.execute(
            "CREATE TABLE b (id SERIAL PRIMARY KEY, a_id INTEGER REFERENCES a (id) ON DELETE CASCADE)"
        )
        await database.execute("ALTER TABLE b ADD FOREIGN KEY (a_id) REFERENCES a (id)")
        assert "# not expressible: a second foreign key of a_id, to a" in await inspect_models(database)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("class", "class_"),
        ("with space", "with_space"),
        ("a.b", "a_b"),
        ("__dunder__x", "dunder_x"),
        ("2nd", "n2nd"),
        ("ünï", "ünï"),
        ("—", "column"),
    ],
)
def test_attribute_of_a_column_is_an_identifier(column: str, expected: str) -> None:
    assert identifier(column) == expected
    assert identifier(column).isidentifier()
