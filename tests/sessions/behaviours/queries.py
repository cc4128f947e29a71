"""UPDATE, DELETE and Core statements in a session."""

from __future__ import annotations

from typing import Any

import sqlalchemy

from tests.sessions.behaviours.cases import case


@case("an UPDATE of rows is seen on their instances")
async def _(s: Any, m: Any) -> Any:
    note, other = await s.get(m.Note, 1), await s.get(m.Note, 3)
    await m.update(s, m.Note, {"text": "one"}, views=99)
    return await m.value(s, note, "views"), other.views


@case("an UPDATE is not a change of the instances")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await m.update(s, m.Note, {"text": "one"}, views=99)
    return note in s.dirty


@case("an UPDATE flushes before it")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Note(text="new", views=1))
    await m.update(s, m.Note, {"text": "new"}, views=2)
    await s.commit()
    return [row for row in await m.rows(m.Note, "text", "views") if row[0] == "new"]


@case("an UPDATE is taken back by the rollback, on the instances too")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await m.update(s, m.Note, {"text": "one"}, views=99)
    await s.rollback()
    return await m.value(s, note, "views")


@case("a DELETE of rows removes their instances")
async def _(s: Any, m: Any) -> Any:
    note, other = await s.get(m.Note, 1), await s.get(m.Note, 3)
    await m.delete_where(s, m.Note, text="one")
    return note in s, other in s, m.state(s, note)


@case("a DELETE is taken back by the rollback")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await m.delete_where(s, m.Note, text="one")
    await s.rollback()
    return m.state(s, note), await m.count(s, m.Note)


@case("a Core INSERT is in the transaction")
async def _(s: Any, m: Any) -> Any:
    await s.execute(m.tables["author"].insert().values(name="core"))
    during = await m.count(s, m.Author)
    await s.rollback()
    return during, await m.count(s, m.Author)


@case("scalars() of a Core statement")
async def _(s: Any, m: Any) -> Any:
    table = m.tables["author"]
    statement = table.select().with_only_columns(table.c.name).order_by(table.c.name)
    return (await s.scalars(statement)).all(), (await s.scalars(statement)).first(), list(await s.scalars(statement))


@case("the rows of a Core result have names")
async def _(s: Any, m: Any) -> Any:
    table = m.tables["author"]
    rows = (await s.execute(table.select().order_by(table.c.id))).all()
    return [(row.name, row[0], row._mapping["id"], tuple(row) == row) for row in rows]


@case("scalar() of a Core statement")
async def _(s: Any, m: Any) -> Any:
    table = m.tables["author"]
    return await s.scalar(table.select().with_only_columns(table.c.name).where(table.c.id == 2))


@case("a Core statement with values")
async def _(s: Any, m: Any) -> Any:
    statement = sqlalchemy.text("SELECT name FROM author WHERE id = :id")
    return await s.scalar(statement, {"id": 3})


@case("one() and first() of a Core result")
async def _(s: Any, m: Any) -> Any:
    table = m.tables["author"]
    statement = table.select().with_only_columns(table.c.id, table.c.name).where(table.c.id == 1)
    return tuple((await s.execute(statement)).one()), tuple((await s.execute(statement)).first())


@case("mappings() of a Core result")
async def _(s: Any, m: Any) -> Any:
    table = m.tables["author"]
    result = await s.execute(table.select().with_only_columns(table.c.id, table.c.name).where(table.c.id == 1))
    return [dict(row) for row in result.mappings().all()]


@case("the number of rows of a Core UPDATE")
async def _(s: Any, m: Any) -> Any:
    table = m.tables["note"]
    return (await s.execute(table.update().where(table.c.views > 15).values(views=0))).rowcount
