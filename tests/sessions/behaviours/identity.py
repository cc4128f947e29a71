"""One instance for each row, whatever loads it."""

from __future__ import annotations

import gc
from typing import Any

from tests.sessions.behaviours.cases import case, error_of


@case("get() twice is one instance")
async def _(s: Any, m: Any) -> Any:
    return await s.get(m.Note, 1) is await s.get(m.Note, 1)


@case("get() of a missing row is None")
async def _(s: Any, m: Any) -> Any:
    return await s.get(m.Note, 99)


@case("get_one() of a missing row raises")
async def _(s: Any, m: Any) -> Any:
    return await error_of(s.get_one(m.Note, 99))


@case("get() then a query of all rows")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 2)
    rows = await m.all(s, m.Note)
    return [row is note for row in rows], m.labels(rows)


@case("two queries return the same instances")
async def _(s: Any, m: Any) -> Any:
    first, second = await m.all(s, m.Note), await m.all(s, m.Note)
    return [a is b for a, b in zip(first, second, strict=True)]


@case("a filtered query returns the instance that get() returned")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 3)
    return [row is note for row in await m.where(s, m.Note, text="three")]


@case("get() with a composite key")
async def _(s: Any, m: Any) -> Any:
    stay = await s.get(m.Stay, ("fi", 2))
    return stay.guests, await s.get(m.Stay, {"place": "fi", "day": 2}) is stay


@case("rows with a composite key are one instance each")
async def _(s: Any, m: Any) -> Any:
    stay = await s.get(m.Stay, ("fi", 1))
    return [row is stay for row in await m.all(s, m.Stay)]


@case("get() with a text key")
async def _(s: Any, m: Any) -> Any:
    place = await s.get(m.Place, "fi")
    return place.name, await s.get(m.Place, "FR")


@case("a value that was changed is not overwritten by a query")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "mine"
    with s.no_autoflush:
        rows = await m.all(s, m.Note)
    return note.text, rows[0].text, rows[0] is note


@case("a loaded value is not overwritten by a query")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await s.execute(m.tables["note"].update().where(m.tables["note"].c.id == 2).values(text="other"))
    await m.all(s, m.Note)
    return note.text


@case("the related instance is that of get()")
async def _(s: Any, m: Any) -> Any:
    author = await s.get(m.Author, 1)
    note = await s.get(m.Note, 1)
    return await m.related(s, note, "author") is author


@case("the related instance of two notes is one")
async def _(s: Any, m: Any) -> Any:
    first, second = await s.get(m.Note, 1), await s.get(m.Note, 2)
    return await m.related(s, first, "author") is await m.related(s, second, "author")


@case("a joined relation gives the session's instance")
async def _(s: Any, m: Any) -> Any:
    author = await s.get(m.Author, 1)
    notes = await m.eager(s, m.Note, "author", "joined")
    return [note.author is author for note in notes], [m.label(note.author) for note in notes]


@case("a joined relation's instance is what get() returns afterwards")
async def _(s: Any, m: Any) -> Any:
    notes = await m.eager(s, m.Note, "author", "joined")
    return [await s.get(m.Author, note.author.id) is note.author for note in notes if note.author is not None]


@case("a relation loaded by another statement gives the session's instances")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 2)
    authors = await m.eager(s, m.Author, "notes", "selectin")
    return [[each is note for each in author.notes] for author in authors], [m.labels(a.notes) for a in authors]


@case("the owner of rows that were loaded for it is the session's")
async def _(s: Any, m: Any) -> Any:
    authors = await m.eager(s, m.Author, "notes", "selectin")
    return [[await m.related(s, note, "author") is author for note in author.notes] for author in authors]


@case("a many-to-many relation gives the session's instances")
async def _(s: Any, m: Any) -> Any:
    red = await s.get(m.Tag, 1)
    notes = await m.eager(s, m.Note, "tags", "selectin")
    return [[tag is red for tag in sorted(note.tags, key=lambda tag: tag.id)] for note in notes]


@case("a tag of two notes is one instance")
async def _(s: Any, m: Any) -> Any:
    first, second, *_ = await m.eager(s, m.Note, "tags", "selectin")
    return {id(tag) for tag in second.tags} <= {id(tag) for tag in first.tags}


@case("a one-to-one relation gives the session's instance")
async def _(s: Any, m: Any) -> Any:
    profile = await s.get(m.Profile, 1)
    authors = await m.eager(s, m.Author, "profile", "joined")
    return authors[0].profile is profile


@case("an instance that nobody refers to is let go")
async def _(s: Any, m: Any) -> Any:
    await s.get(m.Tag, 1)
    gc.collect()
    return m.labels(s)


@case("an instance that the program refers to stays")
async def _(s: Any, m: Any) -> Any:
    tag = await s.get(m.Tag, 1)
    gc.collect()
    return m.labels(s), tag in s


@case("a changed instance that nobody refers to is written")
async def _(s: Any, m: Any) -> Any:
    (await s.get(m.Note, 1)).text = "changed"
    gc.collect()
    await s.commit()
    return await m.rows(m.Note, "id", "text")


@case("a new instance that nobody refers to is written")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Tag(name="lost"))
    gc.collect()
    await s.commit()
    return await m.rows(m.Tag, "name")


@case("`in` is by identity")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    return note in s, m.Note(id=1, text="other") in s


@case("iterating over the session gives new and loaded instances")
async def _(s: Any, m: Any) -> Any:
    loaded, new = await s.get(m.Note, 1), m.Tag(name="new")
    s.add(new)
    return m.labels(s), loaded in s, new in s


@case("two new instances with the same values are two rows")
async def _(s: Any, m: Any) -> Any:
    s.add_all([m.Author(name="same"), m.Author(name="same")])
    await s.commit()
    return [name for _, name in await m.rows(m.Author, "id", "name")]


@case("one new instance added twice is one row")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="once")
    s.add(author)
    s.add(author)
    await s.commit()
    return [name for _, name in await m.rows(m.Author, "id", "name")]


@case("an instance with the key of another one of the session is refused")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    s.expunge(note)
    kept = await s.get(m.Note, 1)

    async def add() -> None:
        s.add(note)

    return await error_of(add()), kept is note


@case("get() returns a new instance after its flush")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="new")
    s.add(author)
    await s.flush()
    return await s.get(m.Author, author.id) is author


@case("get() with populate_existing reads the row again")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    with s.no_autoflush:
        note.text = "mine"
        again = await s.get(m.Note, 1, populate_existing=True)
    return again is note, note.text


@case("Core rows become the session's instances")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 2)
    rows = await m.instances(s, m.Note)
    return [row is note for row in rows], [row.text for row in rows]


@case("the graph of a self-reference is one instance for each row")
async def _(s: Any, m: Any) -> Any:
    boss, clerk = await m.all(s, m.Employee)
    return await m.related(s, clerk, "manager") is boss, await m.related(s, boss, "manager")


@case("get() takes a key as a dict")
async def _(s: Any, m: Any) -> Any:
    return await s.get(m.Note, {"id": 1}) is await s.get(m.Note, 1), await s.get(m.Note, {"id": 99})


@case("get() with populate_existing writes changes before it reads")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.text = "mine"
    again = await s.get(m.Note, 1, populate_existing=True)
    await s.commit()
    return again is note, await m.rows(m.Note, "id", "text")
