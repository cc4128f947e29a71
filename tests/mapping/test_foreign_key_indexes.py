"""Foreign keys are indexed, on both sides of many-to-many relations, and no index is made twice, on any database."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy

import orm
from orm.database.connections.database import Database
from orm.migrations import connect

pytestmark = pytest.mark.anyio


def models_on(database: Database) -> orm.ModelRegistry:
    models = orm.ModelRegistry(database=database)

    class Tag(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)

    class Room(orm.Model):
        registry = models

        house = orm.Integer(primary_key=True)
        number = orm.Integer(primary_key=True)

    class Ticket(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        author = orm.ForeignKey(Tag)
        renamed = orm.ForeignKey(Tag, related_name="r", column="other_name")
        unindexed = orm.ForeignKey(Tag, related_name="u", index=False)
        only = orm.OneToOne(Tag, related_name="o")
        begins_a_constraint = orm.ForeignKey(Tag, related_name="b")
        ends_a_constraint = orm.ForeignKey(Tag, related_name="e")
        begins_an_index = orm.ForeignKey(Tag, related_name="i")
        place = orm.Integer()
        house = orm.Integer()
        number = orm.Integer()
        room = orm.CompositeForeignKey(Room, from_fields=["house", "number"])
        tags = orm.ManyToMany(Tag, related_name="tickets")
        plain = orm.ManyToMany(Tag, related_name="p", index=False)
        named = orm.ManyToMany(Tag, related_name="n", columns=("ticket_key", "tag_key"))

        class Meta:
            constraints = [orm.UniqueConstraint("begins_a_constraint", "ends_a_constraint")]
            indexes = [orm.Index("begins_an_index", "place")]

    class Part(orm.Model):
        registry = models

        ticket = orm.ForeignKey(Ticket, primary_key=True)

    return models


async def indexes_of(database: Database, table: str) -> list[tuple[str, ...]]:
    """The columns of each index, key and unique constraint that the database has for a table."""

    def read(connection: sqlalchemy.Connection) -> list[tuple[str, ...]]:
        inspector = sqlalchemy.inspect(connection)
        indexes = {str(index["name"]): tuple(map(str, index["column_names"])) for index in inspector.get_indexes(table)}
        for constraint in inspector.get_unique_constraints(table):
            indexes[str(constraint["name"] or constraint["column_names"])] = tuple(constraint["column_names"])
        return sorted([*indexes.values(), tuple(inspector.get_pk_constraint(table)["constrained_columns"])])

    async with connect(database.url) as connection:
        result: list[tuple[str, ...]] = await connection.run_sync(read)
        return result


async def test_each_foreign_key_has_one_index_that_begins_with_it(database: Database) -> None:
    models = models_on(database)
    await models.create_all()
    # InnoDB needs an index for each foreign key, and makes the one that was not wanted.
    unwanted = [("unindexed",)] if database.url.dialect == "mysql" else []
    assert await indexes_of(database, "ticket") == sorted(
        [
            ("author",),
            ("begins_a_constraint", "ends_a_constraint"),
            ("begins_an_index", "place"),
            ("ends_a_constraint",),
            ("house", "number"),
            ("id",),
            ("only",),
            ("other_name",),
            *unwanted,
        ]
    )
    assert await indexes_of(database, "part") == [("ticket",)]
    assert await indexes_of(database, "ticket_tags") == [("id",), ("tag",), ("ticket", "tag")]
    plain: list[Any] = [("id",), ("ticket", "tag")]
    if database.url.dialect == "mysql":
        plain.insert(1, ("tag",))
    assert await indexes_of(database, "ticket_plain") == plain
    assert await indexes_of(database, "ticket_named") == [("id",), ("tag_key",), ("ticket_key", "tag_key")]
    await models.drop_all()


async def test_columns_and_index_of_a_through_model_are_refused() -> None:
    for options in ({"columns": ("a", "b")}, {"index": False}):
        with pytest.raises(orm.FieldError, match="through="):
            orm.ManyToMany("Tag", through="Pair", **options)
    with pytest.raises(orm.FieldError, match="columns takes two names"):
        orm.ManyToMany("Tag", columns="ab")  # type: ignore[arg-type]
