"""Many-to-many relations, and relations read in a session."""

from __future__ import annotations

from typing import Any

from tests.sessions.behaviours.cases import case


@case("pairs are added")
async def _(s: Any, m: Any) -> Any:
    note, blue = await s.get(m.Note, 3), await s.get(m.Tag, 3)
    await m.pair(s, note, "tags", blue)
    await s.commit()
    return m.labels(await m.many(s, note, "tags"))


@case("pairs are removed")
async def _(s: Any, m: Any) -> Any:
    note, red = await s.get(m.Note, 1), await s.get(m.Tag, 1)
    await m.unpair(s, note, "tags", red)
    await s.commit()
    return m.labels(await m.many(s, note, "tags"))


@case("a new row is paired")
async def _(s: Any, m: Any) -> Any:
    note, tag = await s.get(m.Note, 3), m.Tag(name="black")
    await m.pair(s, note, "tags", tag)
    await s.commit()
    return m.state(s, tag), [each.name for each in await m.many(s, note, "tags")]


@case("pairs of a new row")
async def _(s: Any, m: Any) -> Any:
    note = m.Note(text="new")
    s.add(note)
    await m.pair(s, note, "tags", await s.get(m.Tag, 1), await s.get(m.Tag, 2))
    await s.commit()
    s.expire_all()
    return m.labels(await m.many(s, note, "tags"))


@case("new rows on both sides are paired")
async def _(s: Any, m: Any) -> Any:
    note, tag = m.Note(text="new"), m.Tag(name="black")
    s.add(note)
    await m.pair(s, note, "tags", tag)
    await s.commit()
    return m.state(s, note), m.state(s, tag), [each.text for each in await m.many(s, tag, "notes")]


@case("pairs are taken back by a rollback")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 3)
    await m.pair(s, note, "tags", await s.get(m.Tag, 1))
    await s.flush()
    await s.rollback()
    return await m.many(s, note, "tags")


@case("removed pairs are back after a rollback")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await m.unpair(s, note, "tags", await s.get(m.Tag, 1))
    await s.flush()
    await s.rollback()
    return m.labels(await m.many(s, note, "tags"))


@case("pairs are taken back by a savepoint")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 3)
    savepoint = await s.begin_nested()
    await m.pair(s, note, "tags", await s.get(m.Tag, 1))
    await s.flush()
    await savepoint.rollback()
    await s.commit()
    s.expire_all()
    return await m.many(s, note, "tags")


@case("pairs are seen from the other side")
async def _(s: Any, m: Any) -> Any:
    note, blue = await s.get(m.Note, 3), await s.get(m.Tag, 3)
    await m.pair(s, note, "tags", blue)
    await s.flush()
    return [each is note for each in await m.many(s, blue, "notes")]


@case("the rows of a reverse relation are the session's instances")
async def _(s: Any, m: Any) -> Any:
    author, note = await s.get(m.Author, 1), await s.get(m.Note, 2)
    rows = await m.many(s, author, "notes")
    return [each is note for each in rows], m.labels(rows)


@case("a new child is among the rows of its parent after a flush and a refresh")
async def _(s: Any, m: Any) -> Any:
    author = await s.get(m.Author, 3)
    s.add(m.Note(text="new", author=author))
    await s.flush()
    await s.refresh(author, ["notes"])
    return [note.text for note in author.notes]


@case("a child that moves is among the rows of its new parent")
async def _(s: Any, m: Any) -> Any:
    ann, bob = await s.get(m.Author, 1), await s.get(m.Author, 2)
    note = await s.get(m.Note, 1)
    note.author = bob
    await s.commit()
    s.expire_all()
    return m.labels(await m.many(s, ann, "notes")), m.labels(await m.many(s, bob, "notes"))


@case("a relation that is None")
async def _(s: Any, m: Any) -> Any:
    return await m.related(s, await s.get(m.Note, 4), "author")


@case("the related instance of a new row is the one that was assigned")
async def _(s: Any, m: Any) -> Any:
    author = await s.get(m.Author, 1)
    note = m.Note(text="new", author=author)
    s.add(note)
    await s.flush()
    return note.author is author, note.author_id


@case("the related instance after its key was changed")
async def _(s: Any, m: Any) -> Any:
    note, cleo = await s.get(m.Note, 1), await s.get(m.Author, 3)
    note.author_id = 3
    await s.flush()
    await s.refresh(note)
    return await m.related(s, note, "author") is cleo
