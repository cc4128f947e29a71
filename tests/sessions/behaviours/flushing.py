"""What a flush writes, when, and in which order."""

from __future__ import annotations

from typing import Any

from tests.sessions.behaviours.cases import case, error_of


@case("a flush is not a commit")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Author(name="new"))
    await s.flush()
    return len(await m.rows(m.Author, "id")), await m.count(s, m.Author)


@case("a commit flushes")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Author(name="new"))
    await s.commit()
    return [name for _, name in await m.rows(m.Author, "id", "name")]


@case("a query flushes a new row before it")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Note(text="new", author=await s.get(m.Author, 1)))
    return [row.text for row in await m.where(s, m.Note, text="new")]


@case("a query flushes a change before it")
async def _(s: Any, m: Any) -> Any:
    (await s.get(m.Note, 1)).text = "new"
    return [row.id for row in await m.where(s, m.Note, text="new")], await m.where(s, m.Note, text="one")


@case("a query flushes a deletion before it")
async def _(s: Any, m: Any) -> Any:
    await s.delete(await s.get(m.Note, 1))
    return m.labels(await m.all(s, m.Note))


@case("a count flushes before it")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Author(name="new"))
    return await m.count(s, m.Author)


@case("no_autoflush keeps the changes")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Author(name="new"))
    with s.no_autoflush:
        inside = await m.count(s, m.Author)
    return inside, await m.count(s, m.Author)


@case("autoflush=False keeps the changes until the flush", autoflush=False)
async def _(s: Any, m: Any) -> Any:
    s.add(m.Author(name="new"))
    before = await m.count(s, m.Author)
    await s.flush()
    return before, await m.count(s, m.Author)


@case("a Core statement flushes before it")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Author(name="new"))
    return await m.core(s, m.tables["author"].select().with_only_columns(m.tables["author"].c.name).order_by("name"))


@case("a flush without changes does nothing")
async def _(s: Any, m: Any) -> Any:
    await s.flush()
    return m.labels(s)


@case("new rows get their keys at the flush")
async def _(s: Any, m: Any) -> Any:
    authors = [m.Author(name=f"a{i}") for i in range(5)]
    s.add_all(authors)
    before = [author.__dict__.get("id") for author in authors]
    await s.flush()
    return before, [author.id is not None for author in authors], len({a.id for a in authors})


@case("each new row has the key of its instance")
async def _(s: Any, m: Any) -> Any:
    authors = [m.Author(name=f"a{i}") for i in range(20)]
    s.add_all(authors)
    await s.commit()
    rows = dict(await m.rows(m.Author, "id", "name"))
    return [rows[author.id] == author.name for author in authors]


@case("a parent is inserted before its child, whatever the order of add()")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="parent")
    note = m.Note(text="child", author=author)
    s.add(note)
    s.add(author)
    await s.commit()
    keys = dict(await m.rows(m.Note, "text", "author_id"))
    return note.author_id == author.id, keys["child"] == author.id


@case("a parent that was not added is inserted with its child")
async def _(s: Any, m: Any) -> Any:
    note = m.Note(text="child", author=m.Author(name="parent"))
    s.add(note)
    return m.state(s, note.author), len(s.new)


@case("a new parent of a loaded child is inserted, and the child updated")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 4)
    note.author = m.Author(name="parent")
    await s.commit()
    return note.author.id == note.author_id, [name for _, name in await m.rows(m.Author, "id", "name")]


@case("a tree of a self-reference is inserted from its root")
async def _(s: Any, m: Any) -> Any:
    root = m.Employee(name="root")
    middle = m.Employee(name="middle", manager=root)
    s.add(m.Employee(name="leaf", manager=middle))
    await s.commit()
    rows = await m.rows(m.Employee, "name", "manager_id")
    names = dict(await m.rows(m.Employee, "id", "name"))
    return sorted((name, names.get(manager)) for name, manager in rows)


@case("a chain of a hundred is inserted in order")
async def _(s: Any, m: Any) -> Any:
    last = None
    for i in range(100):
        last = m.Employee(name=f"e{i}", manager=last)
    s.add(last)
    await s.commit()
    rows = await m.rows(m.Employee, "id", "name", "manager_id")
    names = {key: name for key, name, _ in rows}
    return sorted((name, names.get(manager)) for _, name, manager in rows if name.startswith("e"))


@case("a cycle of two new rows over nullable keys")
async def _(s: Any, m: Any) -> Any:
    left, right = m.Left(name="l"), m.Right(name="r")
    left.right, right.left = right, left
    s.add(left)
    await s.commit()
    lefts, rights = await m.rows(m.Left, "id", "right_id"), await m.rows(m.Right, "id", "left_id")
    return lefts[0][1] == rights[0][0], rights[0][1] == lefts[0][0], len(lefts), len(rights)


@case("only the changed column is written")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    table = m.tables["note"]
    with s.no_autoflush:
        note.text = "mine"
        connection = await s.connection() if hasattr(s, "connection") else None
        statement = table.update().where(table.c.id == 1).values(views=99)
        await (connection.execute(statement) if connection is not None else m.database.execute(statement))
    await s.commit()
    return [row for row in await m.rows(m.Note, "id", "text", "views") if row[0] == 1]


@case("a change and its undoing write nothing")
async def _(s: Any, m: Any) -> Any:
    page = await s.get(m.Page, 1)
    page.title = "x"
    page.title = "home"
    await s.commit()
    return await m.rows(m.Page, "id", "version")


@case("a primary key can be changed")
async def _(s: Any, m: Any) -> Any:
    place = await s.get(m.Place, "fi")
    place.code = "FI"
    await s.commit()
    return await m.rows(m.Place, "code", "name"), await s.get(m.Place, "FI") is place


@case("an instance with a given key is inserted")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Place(code="se", name="Sweden"))
    await s.commit()
    return await m.rows(m.Place, "code", "name")


@case("a new row with the key of an existing one is refused")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Place(code="fi", name="again"))
    return await error_of(s.flush())


@case("a unique value that exists is refused, and the rollback makes the session usable")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Tag(name="red"))
    first = await error_of(s.flush())
    await s.rollback()
    s.add(m.Tag(name="black"))
    await s.commit()
    return first, sorted(name for _, name in await m.rows(m.Tag, "id", "name"))


@case("a failed flush rolls back what it had written")
async def _(s: Any, m: Any) -> Any:
    s.add_all([m.Author(name="new"), m.Tag(name="red")])
    first = await error_of(s.flush())
    await s.rollback()
    return first, await m.count(s, m.Author)


@case("after a failed flush the session refuses statements until the rollback")
async def _(s: Any, m: Any) -> Any:
    s.add(m.Tag(name="red"))
    first = await error_of(s.flush())
    second = await error_of(m.all(s, m.Tag))
    await s.rollback()
    return first, second, await error_of(m.all(s, m.Tag))


@case("after a failed flush the new instances are transient")
async def _(s: Any, m: Any) -> Any:
    tag = m.Tag(name="red")
    s.add(tag)
    await error_of(s.flush())
    state = m.state(s, tag)
    await s.rollback()
    return state, m.state(s, tag)


@case("NULL is written")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.author = None
    await s.commit()
    return [row for row in await m.rows(m.Note, "id", "author_id") if row[0] == 1]


@case("a foreign key is changed by its key")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.author_id = 3
    await s.commit()
    await s.refresh(note)
    return m.label(await m.related(s, note, "author"))


@case("a foreign key is changed by an instance")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.author = await s.get(m.Author, 2)
    await s.flush()
    return note.author_id


@case("a foreign key to no row is refused")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    note.author_id = 99
    return await error_of(s.flush())


@case("a new row, changed before the flush, has the last values")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="a")
    s.add(author)
    author.name = "b"
    await s.commit()
    return [name for _, name in await m.rows(m.Author, "id", "name")]


@case("a new row, changed after the flush, is updated")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="a")
    s.add(author)
    await s.flush()
    author.name = "b"
    await s.commit()
    return [name for _, name in await m.rows(m.Author, "id", "name")]


@case("a new row that is deleted after the flush is gone", expire_on_commit=True)
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="a")
    s.add(author)
    await s.flush()
    await s.delete(author)
    await s.commit()
    return len(await m.rows(m.Author, "id")), m.state(s, author)


@case("a deleted row's key can be used by a new instance in the next flush")
async def _(s: Any, m: Any) -> Any:
    await s.delete(await s.get(m.Place, "fi"))
    await s.flush()
    s.add(m.Place(code="fi", name="new"))
    await s.commit()
    return await m.rows(m.Place, "code", "name")


@case("a version counts the updates")
async def _(s: Any, m: Any) -> Any:
    page = await s.get(m.Page, 1)
    page.title = "a"
    await s.flush()
    page.title = "b"
    await s.commit()
    return page.version, await m.rows(m.Page, "id", "title", "version")


@case("a new row has the first version")
async def _(s: Any, m: Any) -> Any:
    page = m.Page(title="new")
    s.add(page)
    await s.flush()
    return page.version


@case("a change of a row with another version is refused")
async def _(s: Any, m: Any) -> Any:
    page = await s.get(m.Page, 1)
    table = m.tables["page"]
    statement = table.update().where(table.c.id == 1).values(version=7)
    await ((await s.connection()).execute(statement) if hasattr(s, "connection") else m.database.execute(statement))
    page.title = "stale"
    return await error_of(s.flush())


@case("a change of a row that is gone is refused")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 4)
    table = m.tables["note"]
    statement = table.delete().where(table.c.id == 4)
    await ((await s.connection()).execute(statement) if hasattr(s, "connection") else m.database.execute(statement))
    note.text = "gone"
    return await error_of(s.flush())


@case("a document that is changed in place is written")
async def _(s: Any, m: Any) -> Any:
    document = await s.get(m.Document, 1)
    document.data["b"] = 2
    dirty = document in s.dirty
    await s.commit()
    return dirty, (await m.rows(m.Document, "id", "data"))[0][1]


@case("a document without mutable=True that is changed in place is not noticed")
async def _(s: Any, m: Any) -> Any:
    document = await s.get(m.Document, 1)
    document.plain["c"] = 3
    dirty = document in s.dirty
    await s.commit()
    return dirty, (await m.rows(m.Document, "id", "plain"))[0][1]


@case("a document that is replaced is written")
async def _(s: Any, m: Any) -> Any:
    document = await s.get(m.Document, 1)
    document.plain = {"d": 4}
    await s.commit()
    return (await m.rows(m.Document, "id", "plain"))[0][1]


@case("a new instance with the key of a deleted one takes its row")
async def _(s: Any, m: Any) -> Any:
    note = await s.get(m.Note, 1)
    await s.delete(note)
    again = m.Note(id=1, text="again")
    s.add(again)
    await s.flush()
    states = m.state(s, note), m.state(s, again), await s.get(m.Note, 1) is again
    await s.commit()
    return states, await m.rows(m.Note, "id", "text")


@case("a new instance that has taken the row of a deleted one is undone by a rollback")
async def _(s: Any, m: Any) -> Any:
    author = await s.get(m.Author, 1)
    await s.delete(author)
    again = m.Author(id=1, name="again")
    s.add(again)
    s.add(m.Note(text="of the new one", author=again))
    await s.flush()
    seen = [each.name for each in await m.all(s, m.Author)], await m.count(s, m.Note)
    await s.rollback()
    states = m.state(s, author), m.state(s, again)
    return seen, states, await m.value(s, author, "name"), await m.rows(m.Author, "id", "name")
