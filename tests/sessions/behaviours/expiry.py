"""expire() and refresh()."""

from __future__ import annotations

from typing import Any

from tests.sessions.behaviours.cases import call, case, error_of


@case("expire() discards the values")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expire(note)
    return m.loaded(note, "text"), m.loaded(note, "views"), m.state(s, note)


@case("expire() of one attribute")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expire(note, ["text"])
    return m.loaded(note, "text"), m.loaded(note, "views")


@case("expire() discards a change")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "lost"
    s.expire(note)
    await s.commit()
    return note in s.dirty, await m.rows(m.Note, "id", "text")


@case("expire() of another attribute keeps a change")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "kept"
    s.expire(note, ["views"])
    await s.commit()
    return (await m.rows(m.Note, "text"))[0]


@case("expire() of a transient instance raises")
async def _(s: Any, m: Any) -> Any:
    return await error_of(call(s.expire, m.Note(text="x")))


@case("expire() of a pending instance raises")
async def _(s: Any, m: Any) -> Any:
    note = m.Note(text="x")
    s.add(note)
    return await error_of(call(s.expire, note))


@case("expire_all()")
async def _(s: Any, m: Any) -> Any:
    notes = await m.all(s, m.Note)
    s.expire_all()
    return [m.loaded(note, "text") for note in notes]


@case("a query loads what is expired")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expire(note)
    await m.all(s, m.Note)
    return m.loaded(note, "text")


@case("get() loads what is expired")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expire(note)
    again = await s.get(m.Note, 1)
    return again is note, m.loaded(note, "text")


@case("an expired attribute can be set, and is written")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expire(note)
    note.text = "set"
    await s.commit()
    return [row for row in await m.rows(m.Note, "id", "text", "views") if row[0] == 1]


@case("refresh() reads the row again")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    table = m.tables["note"]
    await s.execute(table.update().where(table.c.id == 1).values(text="direct", views=77))
    await s.refresh(note)
    return note.text, note.views


@case("refresh() discards a change")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "mine"
    await s.refresh(note)
    return note.text


@case("refresh() without autoflush discards a change", autoflush=False)
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "mine"
    await s.refresh(note)
    return note.text, note in s.dirty


@case("refresh() of one attribute keeps a change of another", autoflush=False)
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text, note.views = "mine", 99
    await s.refresh(note, ["views"])
    return note.text, note.views, note in s.dirty


@case("refresh() of a transient instance raises")
async def _(s: Any, m: Any) -> Any:
    return await error_of(s.refresh(m.Note(text="x")))


@case("refresh() of a row that is gone raises")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 4)
    table = m.tables["note"]
    statement = table.delete().where(table.c.id == 4)
    await ((await s.connection()).execute(statement) if hasattr(s, "connection") else m.database.execute(statement))
    return await error_of(s.refresh(note))


@case("refresh() of a relation loads it")
async def _(s: Any, m: Any) -> Any:
    author = await s.get(m.Author, 1)
    await s.refresh(author, ["notes"])
    return m.labels(author.notes)


@case("an expired instance that is deleted")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 4)
    s.expire(note)
    await s.delete(note)
    await s.commit()
    return await m.rows(m.Note, "id")


@case("an expired instance that is not read is not written")
async def _(s: Any, m: Any) -> Any:
    page = await s.get(m.Page, 1)
    s.expire(page)
    await s.commit()
    return await m.rows(m.Page, "id", "version")
