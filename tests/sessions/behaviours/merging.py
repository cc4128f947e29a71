"""merge()."""

from __future__ import annotations

from typing import Any

from tests.sessions.behaviours.cases import case


@case("merge() of an instance with a key updates the row's instance")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    merged = await s.merge(m.Note(id=1, text="merged", views=5))
    await s.commit()
    return merged is note, note.text, (await m.rows(m.Note, "text", "views"))[0]


@case("merge() reads the row if the session does not have it")
async def _(s: Any, m: Any) -> Any:
    source = m.Note(id=1, text="merged", views=10)
    merged = await s.merge(source)
    return merged is source, source in s, m.state(s, merged), m.state(s, source), merged.text


@case("merge() copies what the constructor has not been given", differs="our constructor sets defaults")
async def _(s: Any, m: Any) -> Any:
    merged = await s.merge(m.Note(id=1, text="merged"))
    return merged.author_id


@case("merge() of a key without a row makes a new row")
async def _(s: Any, m: Any) -> Any:
    merged = await s.merge(m.Place(code="no", name="Norway"))
    state = m.state(s, merged)
    await s.commit()
    return state, await m.rows(m.Place, "code", "name")


@case("merge() of an instance without a key makes a new row")
async def _(s: Any, m: Any) -> Any:
    source = m.Author(name="new")
    merged = await s.merge(source)
    await s.commit()
    return merged is source, merged.id is not None, [name for _, name in await m.rows(m.Author, "id", "name")]


@case("merge() of an instance of the session is that instance")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    return await s.merge(note) is note


@case("merge() twice is one instance")
async def _(s: Any, m: Any) -> Any:
    return await s.merge(m.Note(id=1, text="a")) is await s.merge(m.Note(id=1, text="b"))


@case("merge() of equal values changes nothing")
async def _(s: Any, m: Any) -> Any:
    page = await s.get(m.Page, 1)
    s.expunge(page)
    merged = await s.merge(page)
    await s.commit()
    return m.modified(s, merged), await m.rows(m.Page, "id", "version")


@case("merge() copies what a detached instance was changed to")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expunge(note)
    note.text = "detached"
    merged = await s.merge(note)
    await s.commit()
    return merged is note, (await m.rows(m.Note, "text"))[0]


@case("merge() of a new parent and its child")
async def _(s: Any, m: Any) -> Any:
    merged = await s.merge(m.Note(text="child", author=m.Author(name="parent")))
    await s.commit()
    return merged.author in s, merged.author_id == merged.author.id, len(await m.rows(m.Author, "id"))


@case("merge() of a child with an existing parent")
async def _(s: Any, m: Any) -> Any:
    author = await s.get(m.Author, 1)
    merged = await s.merge(m.Note(text="child", author=m.Author(id=1, name="Ann")))
    await s.commit()
    return merged.author is author, len(await m.rows(m.Author, "id"))


@case("merge() with load=False takes the values as those of the row")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expunge(note)
    merged = await s.merge(note, load=False)
    return merged is note, merged.text, merged in s.dirty, m.state(s, merged)


@case("a merged instance can be changed")
async def _(s: Any, m: Any) -> Any:
    merged = await s.merge(m.Note(id=2, text="two", views=20))
    merged.views = 21
    await s.commit()
    return [row for row in await m.rows(m.Note, "id", "views") if row[0] == 2]
