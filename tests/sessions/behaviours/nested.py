"""Savepoints: begin_nested()."""

from __future__ import annotations

from typing import Any

from tests.sessions.behaviours.cases import case, error_of


@case("a savepoint is kept by the commit")
async def _(s: Any, m: Any) -> Any:
    async with s.begin_nested():
        s.add(m.Author(name="inner"))
    await s.commit()
    return [name for _, name in await m.rows(m.Author, "id", "name")]


@case("a savepoint is undone by the rollback of the transaction")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="inner")
    async with s.begin_nested():
        s.add(author)
    await s.rollback()
    return m.state(s, author), await m.count(s, m.Author)


@case("a savepoint is rolled back after an error")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="inner")

    async def block() -> None:
        async with s.begin_nested():
            s.add(author)
            await s.flush()
            raise KeyError

    return await error_of(block()), m.state(s, author), await m.count(s, m.Author)


@case("a savepoint that is rolled back restores what was changed in it")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "outer"
    savepoint = await s.begin_nested()
    note.text = "inner"
    await s.flush()
    await savepoint.rollback()
    return await m.value(s, note, "text")


@case("a savepoint that is rolled back restores a change in it that was not flushed")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    savepoint = await s.begin_nested()
    note.text = "inner"
    await savepoint.rollback()
    await s.commit()
    return await m.value(s, note, "text"), (await m.rows(m.Note, "text"))[0]


@case("begin_nested() flushes before")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="before")
    s.add(author)
    savepoint = await s.begin_nested()
    await savepoint.rollback()
    return m.state(s, author), await m.count(s, m.Author)


@case("a pending instance of a savepoint is transient after its rollback")
async def _(s: Any, m: Any) -> Any:
    savepoint = await s.begin_nested()
    author = m.Author(name="inner")
    s.add(author)
    await savepoint.rollback()
    return m.state(s, author), len(s.new)


@case("a deletion in a savepoint is taken back")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    savepoint = await s.begin_nested()
    await s.delete(note)
    await s.flush()
    await savepoint.rollback()
    return m.state(s, note), await m.count(s, m.Note)


@case("a deletion in a savepoint that is kept", expire_on_commit=True)
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 4)
    async with s.begin_nested():
        await s.delete(note)
    await s.commit()
    return m.state(s, note), await m.rows(m.Note, "id")


@case("a savepoint in a savepoint")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    async with s.begin_nested():
        note.text = "a"
        inner = await s.begin_nested()
        note.text = "b"
        await s.flush()
        await inner.rollback()
        middle = await m.value(s, note, "text")
    await s.commit()
    return middle, (await m.rows(m.Note, "text"))[0]


@case("a kept savepoint in one that is rolled back")
async def _(s: Any, m: Any) -> Any:
    note, author = await s.get(m.Note, 1), m.Author(name="x")
    outer = await s.begin_nested()
    async with s.begin_nested():
        note.text = "inner"
        s.add(author)
    await outer.rollback()
    return await m.value(s, note, "text"), m.state(s, author), await m.count(s, m.Author)


@case("a failed flush in a savepoint leaves the transaction usable")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Author(name="outer"))

    async def block() -> None:
        async with s.begin_nested():
            s.add(m.Tag(name="red"))

    error = await error_of(block())
    await s.commit()
    return error, [name for _, name in await m.rows(m.Author, "id", "name")], len(await m.rows(m.Tag, "id"))


@case("rows one by one, each in a savepoint")
async def _(s: Any, m: Any) -> Any:
    async def one(name: str) -> None:
        async with s.begin_nested():
            s.add(m.Tag(name=name))

    errors = [await error_of(one(name)) for name in ("black", "red", "white", "black")]
    await s.commit()
    return errors, sorted(name for _, name in await m.rows(m.Tag, "id", "name"))


@case("in_nested_transaction()")
async def _(s: Any, m: Any) -> Any:
    before = s.in_nested_transaction()
    async with s.begin_nested():
        during = s.in_nested_transaction()
    return before, during, s.in_nested_transaction()


@case("commit() of a savepoint by hand")
async def _(s: Any, m: Any) -> Any:
    savepoint = await s.begin_nested()
    s.add(m.Author(name="inner"))
    await savepoint.commit()
    return savepoint.is_active, s.in_nested_transaction(), await m.count(s, m.Author)


@case("a new instance that is changed in a savepoint that is rolled back")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="outer")
    s.add(author)
    await s.flush()
    savepoint = await s.begin_nested()
    author.name = "inner"
    await s.flush()
    await savepoint.rollback()
    value = await m.value(s, author, "name")
    await s.commit()
    return value, m.state(s, author), [name for _, name in await m.rows(m.Author, "id", "name")]


@case("a new instance that is deleted in a savepoint that is rolled back")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="outer")
    s.add(author)
    await s.flush()
    savepoint = await s.begin_nested()
    await s.delete(author)
    await s.flush()
    await savepoint.rollback()
    await s.commit()
    return m.state(s, author), len(await m.rows(m.Author, "id"))


@case("the transaction's commit ends an open savepoint")
async def _(s: Any, m: Any) -> Any:
    await s.begin_nested()
    s.add(m.Author(name="inner"))
    await s.commit()
    return s.in_transaction(), len(await m.rows(m.Author, "id"))


@case("the transaction's rollback in a savepoint rolls all back")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Author(name="outer"))
    await s.begin_nested()
    s.add(m.Author(name="inner"))
    await s.flush()
    await s.rollback()
    return s.in_transaction(), await m.count(s, m.Author)


@case("a savepoint that is over cannot be committed")
async def _(s: Any, m: Any) -> Any:
    savepoint = await s.begin_nested()
    await savepoint.commit()
    other = await s.begin_nested()
    s.add(m.Author(name="lost"))
    await s.rollback()
    return await error_of(savepoint.commit()), await error_of(other.commit()), await m.count(s, m.Author)


@case("the commit of a savepoint also releases those in it")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="innermost")
    outer = await s.begin_nested()
    inner = await s.begin_nested()
    s.add(author)
    await outer.commit()
    ended = outer.is_active, inner.is_active, s.in_nested_transaction()
    await s.rollback()
    return ended, m.state(s, author), await m.count(s, m.Author)


@case("the commit of the session releases its savepoints")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="inner")
    savepoint = await s.begin_nested()
    s.add(author)
    await s.commit()
    return m.state(s, author), savepoint.is_active, s.in_transaction(), await m.rows(m.Author, "name")
