"""Commits, rollbacks and blocks."""

from __future__ import annotations

from typing import Any

from tests.sessions.behaviours.cases import case, error_of


@case("values stay loaded after a commit")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await s.commit()
    return m.loaded(note, "text"), m.state(s, note)


@case("expire_on_commit discards the values", expire_on_commit=True)
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await s.commit()
    return m.loaded(note, "text"), await m.value(s, note, "text")


@case("a rollback takes a flushed change back")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "new"
    await s.flush()
    await s.rollback()
    return await m.value(s, note, "text"), note in s.dirty


@case("a rollback takes a change back that was not flushed")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await m.all(s, m.Note)
    note.text = "new"
    await s.rollback()
    return await m.value(s, note, "text"), note in s.dirty


@case("a rollback takes several flushes back")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    for text in ("a", "b", "c"):
        note.text = text
        await s.flush()
    await s.rollback()
    return await m.value(s, note, "text"), await m.rows(m.Note, "id", "text")


@case("a rollback does not take back what was committed")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "kept"
    await s.commit()
    note.text = "lost"
    await s.flush()
    await s.rollback()
    return await m.value(s, note, "text"), (await m.rows(m.Note, "text"))[0]


@case("a rollback keeps loaded instances in the session")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await s.rollback()
    return note in s, await s.get(m.Note, 1) is note


@case(
    "the values that a rollback restores are loaded",
    differs="SQLAlchemy expires them",
)
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "new"
    await s.flush()
    await s.rollback()
    return m.loaded(note, "text")


@case("a rollback restores a foreign key")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.author = await s.get(m.Author, 2)
    await s.flush()
    await s.rollback()
    await s.refresh(note)
    return note.author_id, m.label(await m.related(s, note, "author"))


@case("a rollback restores a primary key")
async def _(s: Any, m: Any) -> Any:
    place = await s.get(m.Place, "fi")
    place.code = "FI"
    await s.flush()
    await s.rollback()
    return await m.value(s, place, "code"), await s.get(m.Place, "FI"), await s.get(m.Place, "fi") is place


@case("a rollback restores a document")
async def _(s: Any, m: Any) -> Any:
    document = await s.get(m.Document, 1)
    document.data["x"] = 1
    await s.flush()
    await s.rollback()
    return dict(await m.value(s, document, "data"))


@case("a rollback restores a version")
async def _(s: Any, m: Any) -> Any:
    page = await s.get(m.Page, 1)
    page.title = "x"
    await s.flush()
    await s.rollback()
    return await m.value(s, page, "version")


@case("a row can be changed after a rollback")
async def _(s: Any, m: Any) -> Any:
    page = await s.get(m.Page, 1)
    page.title = "x"
    await s.flush()
    await s.rollback()
    page.title = "y"
    await s.commit()
    return await m.rows(m.Page, "id", "title", "version")


@case("a row that a cascade has deleted is back after the rollback")
async def _(s: Any, m: Any) -> Any:
    author = await s.get(m.Author, 1)
    await s.delete(author)
    await s.flush()
    await s.rollback()
    return m.state(s, author), await m.count(s, m.Note)


@case("begin() commits its block")
async def _(s: Any, m: Any) -> Any:
    async with s.begin():
        s.add(m.Author(name="block"))
    return [name for _, name in await m.rows(m.Author, "id", "name")]


@case("begin() rolls its block back after an error")
async def _(s: Any, m: Any) -> Any:
    async def block() -> None:
        async with s.begin():
            s.add(m.Author(name="block"))
            raise KeyError

    return await error_of(block()), len(await m.rows(m.Author, "id"))


@case("begin() after the transaction has begun raises")
async def _(s: Any, m: Any) -> Any:
    await s.get(m.Note, 1)

    async def block() -> None:
        async with s.begin():
            pass

    return await error_of(block())


@case("in_transaction() is true after the first statement")
async def _(s: Any, m: Any) -> Any:
    before = s.in_transaction()
    await s.get(m.Note, 1)
    during = s.in_transaction()
    await s.commit()
    return before, during, s.in_transaction()


@case("several commits")
async def _(s: Any, m: Any) -> Any:
    for name in ("a", "b", "c"):
        s.add(m.Author(name=name))
        await s.commit()
    return [name for _, name in await m.rows(m.Author, "id", "name")]


@case("a commit without anything to do")
async def _(s: Any, m: Any) -> Any:
    await s.commit()
    await s.commit()
    return s.in_transaction()


@case("a rollback without anything to do")
async def _(s: Any, m: Any) -> Any:
    await s.rollback()
    return s.in_transaction()


@case("a change before a commit that fails is not kept")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "new"
    s.add(m.Tag(name="red"))
    first = await error_of(s.commit())
    await s.rollback()
    return first, await m.value(s, note, "text"), (await m.rows(m.Note, "text"))[0]


@case("run_sync() calls a function with a session without await")
async def _(s: Any, m: Any) -> Any:
    def work(session: Any, key: int) -> str:
        note = session.get(m.Note, key)
        note.text = "sync"
        session.flush()
        return str(note.text)

    return await s.run_sync(work, 1), [row.id for row in await m.where(s, m.Note, text="sync")]


@case("the session's info is the program's")
async def _(s: Any, m: Any) -> Any:
    s.info["a"] = 1
    return s.info


@case("begin() can be awaited")
async def _(s: Any, m: Any) -> Any:
    await s.begin()
    began = s.in_transaction()
    s.add(m.Author(name="new"))
    await s.commit()
    return began, s.in_transaction(), await m.rows(m.Author, "name")
