"""What add() and delete() lead to."""

from __future__ import annotations

from typing import Any

from tests.sessions.behaviours.cases import case, error_of


@case("add() adds the parent")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="parent")
    s.add(m.Note(text="child", author=author))
    return m.state(s, author)


@case("add() adds the whole chain of parents")
async def _(s: Any, m: Any) -> Any:
    root = m.Employee(name="root")
    s.add(m.Employee(name="leaf", manager=m.Employee(name="middle", manager=root)))
    return m.state(s, root), len(s.new)


@case("a one-to-one relation is added from either side")
async def _(s: Any, m: Any) -> Any:
    author = m.Author(name="new")
    author.profile = m.Profile(bio="new")
    s.add(author)
    await s.commit()
    return (await m.rows(m.Profile, "bio"))[-1], author.profile.author_id == author.id


@case("a new one-to-one row of a loaded instance is inserted")
async def _(s: Any, m: Any) -> Any:
    author = await s.get(m.Author, 2)
    await s.refresh(author, ["profile"]) if hasattr(s, "connection") else None
    author.profile = m.Profile(bio="late")
    await s.commit()
    return await m.rows(m.Profile, "bio", "author_id")


@case("a deletion cascades in the database")
async def _(s: Any, m: Any) -> Any:
    await s.delete(await s.get(m.Author, 1))
    await s.commit()
    return await m.rows(m.Note, "id"), await m.rows(m.Profile, "id")


@case("a deletion sets foreign keys to NULL")
async def _(s: Any, m: Any) -> Any:
    await s.delete(await s.get(m.Employee, 1))
    await s.commit()
    return await m.rows(m.Employee, "name", "manager_id")


@case("the instance of a row that a cascade has deleted", differs="SQLAlchemy leaves it in the session")
async def _(s: Any, m: Any) -> Any:
    note, author = await s.get(m.Note, 1), await s.get(m.Author, 1)
    await s.delete(author)
    await s.flush()
    return m.state(s, note), note in s


@case(
    "an instance whose foreign key was set to NULL has it",
    differs="SQLAlchemy leaves the old key",
)
async def _(s: Any, m: Any) -> Any:
    boss, clerk = await m.all(s, m.Employee)
    await s.delete(boss)
    await s.flush()
    return clerk.manager_id, clerk in s.dirty


@case("parent and child are deleted in the right order")
async def _(s: Any, m: Any) -> Any:
    author, note = await s.get(m.Author, 2), await s.get(m.Note, 3)
    await s.delete(author)
    await s.delete(note)
    await s.commit()
    return await m.rows(m.Author, "id"), await m.rows(m.Note, "id")


@case("a self-referencing tree is deleted")
async def _(s: Any, m: Any) -> Any:
    for employee in await m.all(s, m.Employee):
        await s.delete(employee)
    await s.commit()
    return await m.rows(m.Employee, "id")


@case("a cycle over nullable keys is deleted")
async def _(s: Any, m: Any) -> Any:
    left, right = m.Left(name="l"), m.Right(name="r")
    left.right, right.left = right, left
    s.add(left)
    await s.commit()
    await s.delete(left)
    await s.delete(right)
    await s.commit()
    return await m.rows(m.Left, "id"), await m.rows(m.Right, "id")


@case("all rows of a model are deleted")
async def _(s: Any, m: Any) -> Any:
    for note in await m.all(s, m.Note):
        await s.delete(note)
    await s.commit()
    return await m.count(s, m.Note), await m.count(s, m.Author)


@case("pairs of a deleted row are deleted")
async def _(s: Any, m: Any) -> Any:
    await s.delete(await s.get(m.Tag, 1))
    await s.commit()
    note = await s.get(m.Note, 1)
    return m.labels(await m.many(s, note, "tags"))


@case("a child whose parent is gone refers to none")
async def _(s: Any, m: Any) -> Any:
    boss, clerk = await m.all(s, m.Employee)
    await s.delete(boss)
    await s.commit()
    await s.refresh(clerk)
    return await m.related(s, clerk, "manager")


@case("a new row that refers to a deleted one is refused")
async def _(s: Any, m: Any) -> Any:
    author = await s.get(m.Author, 3)
    await s.delete(author)
    await s.flush()
    s.add(m.Note(text="late", author_id=3))
    return await error_of(s.flush())
