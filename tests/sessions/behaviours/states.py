"""The states of an instance: transient, pending, persistent, deleted, detached."""

from __future__ import annotations

from typing import Any

from tests.sessions.behaviours.cases import call, case, error_of


@case("a new instance is transient")
async def _(s: Any, m: Any) -> Any:
    return m.state(s, m.Note(text="x"))


@case("an added instance is pending")
async def _(s: Any, m: Any) -> Any:
    note = m.Note(text="x")
    s.add(note)
    return m.state(s, note), m.labels(s.new), note in s.new, note in s


@case("a flushed instance is persistent")
async def _(s: Any, m: Any) -> Any:
    note = m.Note(text="x")
    s.add(note)
    await s.flush()
    return m.state(s, note), len(s.new), note.id is not None


@case("a loaded instance is persistent")
async def _(s: Any, m: Any) -> Any:
    return m.state(s, await s.get(m.Note, 1))


@case("an instance marked for deletion is persistent until the flush")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await s.delete(note)
    before = m.state(s, note), note in s.deleted, note in s
    await s.flush()
    return before, m.state(s, note), note in s.deleted, note in s


@case("a deleted instance is detached after the commit", expire_on_commit=True)
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await s.delete(note)
    await s.commit()
    return m.state(s, note), note in s, note.id


@case("a deleted instance is persistent after the rollback")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await s.delete(note)
    await s.flush()
    await s.rollback()
    return m.state(s, note), note in s, await m.value(s, note, "text")


@case("a deletion that was not flushed is forgotten by the rollback")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await s.delete(note)
    await s.rollback()
    return m.state(s, note), note in s.deleted, await m.count(s, m.Note)


@case("a pending instance is transient after the rollback")
async def _(s: Any, m: Any) -> Any:
    note = m.Note(text="x")
    s.add(note)
    await s.rollback()
    return m.state(s, note), note in s, note.text


@case("a flushed instance is transient after the rollback")
async def _(s: Any, m: Any) -> Any:
    note = m.Note(text="x")
    s.add(note)
    await s.flush()
    await s.rollback()
    return m.state(s, note), note in s, note.text


@case("the key that a rolled back INSERT has given is gone", differs="SQLAlchemy leaves the key")
async def _(s: Any, m: Any) -> Any:
    note = m.Note(text="x")
    s.add(note)
    await s.flush()
    await s.rollback()
    return note.__dict__.get("id") is None


@case("an instance whose INSERT was rolled back can be added again")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="again")
    s.add(author)
    await s.flush()
    await s.rollback()
    s.add(author)
    await s.commit()
    return [name for _, name in await m.rows(m.Author, "id", "name")]


@case("an expunged instance is detached")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expunge(note)
    return m.state(s, note), note in s, note.text


@case("an expunged pending instance is transient")
async def _(s: Any, m: Any) -> Any:
    note = m.Note(text="x")
    s.add(note)
    s.expunge(note)
    await s.commit()
    return m.state(s, note), len(await m.rows(m.Note, "id"))


@case("expunge() of an instance that is not in the session raises")
async def _(s: Any, m: Any) -> Any:
    return await error_of(call(s.expunge, m.Note(text="x")))


@case("expunge_all() detaches all")
async def _(s: Any, m: Any) -> Any:
    note, new = await s.get(m.Note, 1), m.Note(text="x")
    s.add(new)
    s.expunge_all()
    return m.state(s, note), m.state(s, new), m.labels(s)


@case("a detached instance can be added again")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expunge(note)
    s.add(note)
    return m.state(s, note), await s.get(m.Note, 1) is note


@case(
    "the changes of a detached instance that is added again are written",
    differs="not tracked outside",
)
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expunge(note)
    note.text = "detached"
    s.add(note)
    await s.commit()
    return await m.rows(m.Note, "id", "text")


@case("the changes after a detached instance was added again are written")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expunge(note)
    s.add(note)
    note.text = "attached"
    await s.commit()
    return await m.rows(m.Note, "id", "text")


@case("the changes of an expunged instance are not written")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "lost"
    s.expunge(note)
    await s.commit()
    return await m.rows(m.Note, "id", "text")


@case("delete() of a transient instance raises")
async def _(s: Any, m: Any) -> Any:
    return await error_of(s.delete(m.Note(text="x")))


@case("delete() of a pending instance raises")
async def _(s: Any, m: Any) -> Any:
    note = m.Note(text="x")
    s.add(note)
    return await error_of(s.delete(note))


@case("delete() of a detached instance attaches it")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 4)
    s.expunge(note)
    await s.delete(note)
    await s.commit()
    return await m.rows(m.Note, "id")


@case("add() takes a deletion back that was not flushed")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await s.delete(note)
    s.add(note)
    await s.commit()
    return note in s.deleted, len(await m.rows(m.Note, "id"))


@case(
    "add() of a deleted instance",
    differs="ours is a new row, as in Django",
)
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 4)
    await s.delete(note)
    await s.flush()
    return await error_of(call(s.add, note))


@case("delete() twice deletes once")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 4)
    await s.delete(note)
    await s.delete(note)
    await s.commit()
    return await m.rows(m.Note, "id")


@case("a changed instance is dirty")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "x"
    return note in s.dirty, m.labels(s.dirty), m.modified(s, note)


@case("a loaded instance is not dirty")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    return note in s.dirty, m.modified(s, note)


@case("a flushed instance is not dirty")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "x"
    await s.flush()
    return note in s.dirty, m.modified(s, note)


@case("a value set to what it was is no net change")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "x"
    note.text = "one"
    return m.modified(s, note)


@case("an instance with a value set to what it was is dirty", differs="dirty of SQLAlchemy does not compare the values")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "one"
    return note in s.dirty


@case("a deleted instance is not dirty")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "x"
    await s.delete(note)
    return note in s.dirty, note in s.deleted


@case("a pending instance is new, not dirty")
async def _(s: Any, m: Any) -> Any:
    note = m.Note(text="x")
    s.add(note)
    note.text = "y"
    return note in s.new, note in s.dirty


@case("close() detaches all, and pending instances are transient")
async def _(s: Any, m: Any) -> Any:
    note, new = await s.get(m.Note, 1), m.Note(text="x")
    s.add(new)
    await s.close()
    return m.state(s, note), m.state(s, new), len(await m.rows(m.Note, "id"))


@case("the session can be used after close()")
async def _(s: Any, m: Any) -> Any:
    await s.close()
    s.add(m.Author(name="later"))
    await s.commit()
    return [name for _, name in await m.rows(m.Author, "id", "name")]


@case("close() rolls back")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Author(name="gone"))
    await s.flush()
    await s.close()
    return [name for _, name in await m.rows(m.Author, "id", "name")]
