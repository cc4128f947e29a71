"""Names that are words of SQL: each keyword that a server knows is the name of a column, and of a table."""

from __future__ import annotations

import re
from typing import Any

import orm
from orm.database.connections.database import Database
from orm.database.dialect_registry import dialects, server_name
from orm.migrations.engine import connect

SQLITE_KEYWORDS = """
abort action add after all alter always analyze and as asc attach autoincrement before begin between by cascade case
cast check collate column commit conflict constraint create cross current current_date current_time current_timestamp
database default deferrable deferred delete desc detach distinct do drop each else end escape except exclude exclusive
exists explain fail filter first following for foreign from full generated glob group groups having if ignore immediate
in index indexed initially inner insert instead intersect into is isnull join key last left like limit match
materialized natural no not nothing notnull null nulls of offset on or order others outer over partition plan pragma
preceding primary query raise range recursive references regexp reindex release rename replace restrict returning right
rollback row rows savepoint select set table temp temporary then ties to transaction trigger unbounded union unique
update using vacuum values view virtual when where window with without
"""
KEYWORDS_QUERY = {
    "postgresql": "SELECT word FROM pg_get_keywords()",
    "mysql": "SELECT word FROM information_schema.keywords",
}


async def keywords(database: Database) -> list[str]:
    """The keywords of the server, in lower case."""
    query = KEYWORDS_QUERY.get(database.url.dialect)
    words = SQLITE_KEYWORDS.split() if query is None else [row[0] for row in await database.fetch_all(query)]
    reserved = {word for name in ("sqlite", "postgresql", "mysql", "mariadb") for word in dialects[name].reserved_words}
    return sorted({word.lower() for word in words if re.fullmatch(r"\w+", word)} | reserved)


async def test_keyword_of_the_server_is_the_name_of_a_column(database: Database) -> None:
    words = await keywords(database)
    assert len(words) > 100
    fields: dict[str, Any] = {f"f{i}": orm.SmallInteger(default=0, column=word) for i, word in enumerate(words)}
    registry = orm.ModelRegistry(database=database)
    namespace = {"registry": registry, "key": orm.Integer(primary_key=True, column="the_key"), **fields}
    word_model: Any = type("Words", (orm.Model,), namespace)
    await registry.create_all()
    await word_model.objects.bulk_create([{"key": 1, "f0": 5}])
    row = await word_model.objects.create(key=2)
    await word_model.objects.filter(**dict.fromkeys(fields, 0)).order_by(*fields).update(**dict.fromkeys(fields, 7))
    await row.load()
    assert {getattr(row, name) for name in fields} == {7}


async def test_keyword_of_the_server_is_the_name_of_a_table(database: Database) -> None:
    unusual = {word for name in ("sqlite", "postgresql", "mysql", "mariadb") for word in dialects[name].reserved_words}
    for word in sorted({*unusual, "select", "order", "group", "user", "table"}):
        registry = orm.ModelRegistry(database=database)
        meta = type("Meta", (), {"tablename": word})
        namespace = {"registry": registry, "id": orm.Integer(primary_key=True), "n": orm.Integer(), "Meta": meta}
        model: Any = type("Word", (orm.Model,), namespace)
        await registry.create_all()
        await (await model.objects.create(n=1)).update(n=2)
        assert await model.objects.filter(n=2).delete() == 1
        await registry.drop_all()


async def test_migrations_quote_the_names_that_sqlalchemy_does_not_know(database_url: str) -> None:
    async with connect(database_url) as connection:
        server = server_name(connection.dialect)
        for word in dialects[server].reserved_words:
            assert connection.dialect.identifier_preparer.quote(word) != word
