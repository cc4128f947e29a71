"""Hostile strings as values: they are returned unchanged or refused by an error of ours."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import orm
from orm import functions
from orm.database.connections.database import Database
from orm.lookups.base import lookups
from orm.query.cursors import _digest
from tests.hostile.models import FIELDS, HOSTILE, MARK, WORDS, Author, Book, Watch

pytestmark = pytest.mark.anyio
TEXTS = [*HOSTILE, *WORDS]
first = Book.objects.filter(id=1)


async def is_back(returned: Any, text: Any) -> None:
    """Check that the value was returned unchanged."""
    assert returned == text, f"came back as {ascii(returned)[:100]}"


def stored(text: str) -> str:
    """The part of a text that a text field stores: it refuses NUL characters and removes surrounding spaces."""
    return text.replace("\0", "").strip()


async def created(text: str) -> None:
    text = stored(text)
    await Book.objects.create(id=9, code="c9", title=text)
    await is_back((await Book.objects.get(id=9)).title, text)


async def refused_with_nul(text: str) -> None:
    if "\0" in text:
        for write in (
            lambda: Book.objects.create(id=9, code="c9", title=text),
            lambda: Book.objects.bulk_create([{"id": 9, "code": "c9", "title": text}]),
            lambda: first.update(title=text),
        ):
            with pytest.raises(orm.ValidationError, match="NUL"):
                await write()


async def bulk_created(text: str) -> None:
    text = stored(text)
    await Book.objects.bulk_create([{"id": 9, "code": "c9", "title": text}, {"id": 10, "code": "c10", "title": text}])
    await is_back(await Book.objects.filter(id__gte=9).values_list("title", flat=True), [text, text])


async def upserted(text: str) -> None:
    text = stored(text)
    await Book.objects.upsert({"id": 1, "code": "c1", "title": text}, unique_fields=["id"])
    await is_back((await Book.objects.get(id=1)).title, text)


async def updated(text: str) -> None:
    text = stored(text)
    assert await first.update(title=text) == 1
    await is_back((await Book.objects.get(title=text)).title, text)


async def updated_by_value(text: str) -> None:
    await first.update(title=orm.Value(text))
    await is_back((await Book.objects.get(id=1)).title, text)


async def bulk_updated(text: str) -> None:
    text = stored(text)
    books = await Book.objects.all()
    for book in books:
        book.title = text
    await Book.objects.bulk_update(books, ["title"])
    await is_back(await Book.objects.values_list("title", flat=True), [text] * 3)


async def got_or_created(text: str) -> None:
    text = stored(text)
    defaults = {"id": 9, "code": "c9"}
    book, new = await Book.objects.get_or_create(defaults, title=text)
    again, new_again = await Book.objects.get_or_create(defaults, title=text)
    assert (new, new_again, book.pk) == (True, False, again.pk)


async def found_by_lookups(text: str) -> None:
    text = stored(text)
    await first.update(title=f"a{text}b")
    for lookup, value in {
        "exact": f"a{text}b",
        "in": ["x", f"a{text}b"],
        "contains": text,
        "startswith": f"a{text}",
        "endswith": f"{text}b",
        "icontains": text,
        "istartswith": f"a{text}",
        "iendswith": f"{text}b",
        "iexact": f"a{text}b",
        "gte": f"a{text}b",
        "range": (f"a{text}b", f"a{text}b"),
    }.items():
        rows = await first.filter(**{f"title__{lookup}": value}).values_list("id", flat=True)
        assert rows == [1], f"{lookup} did not find it"
    if text:
        others = await Book.objects.filter(id__gt=1, title__contains=text).count()
        assert others == (2 if text in ("t",) else 0), "found what is not there"


async def searched(text: str) -> None:
    text = stored(text)
    await first.update(title=f"a{text}b")
    rows = await Book.objects.search(text).values_list("id", flat=True)
    assert rows == ([1, 2, 3] if not text or all(text.lower() in t for t in ("https://example.org/",)) else [1])


async def annotated(text: str) -> None:
    await is_back(await first.annotate(x=orm.Value(text)).values_list("x", flat=True), [text])
    await is_back(await first.values_list(orm.Value(text), flat=True), [text])


async def branched(text: str) -> None:
    text = stored(text)
    case: orm.Case[str] = orm.Case(orm.When(title=text, then=orm.Value("")), default=orm.Value(text))
    await is_back(await first.annotate(x=case).values_list("x", flat=True), [text])


async def concatenated(text: str) -> None:
    query = first.annotate(x=functions.Concat(orm.Value(text), "title", orm.Value(text)))
    await is_back(await query.values_list("x", flat=True), [f"{text}t1{text}"])


async def replaced(text: str) -> None:
    query = first.annotate(x=functions.Replace("title", orm.Value("t"), orm.Value(text)))
    await is_back(await query.values_list("x", flat=True), [f"{text}1"])


async def located(text: str) -> None:
    if text:
        query = first.annotate(x=functions.StrIndex(functions.Concat(orm.Value("-"), orm.Value(text)), orm.Value(text)))
        place = f"-{text}".index(text) + 1
        await is_back(await query.values_list("x", flat=True), [place])


async def joined(text: str) -> None:
    result = await Book.objects.aggregate(x=orm.StringAgg("title", text, order_by="id"))
    await is_back(result["x"], text.join(["t1", "t2", "t3"]))


async def by_default(text: str) -> None:
    result = await Book.objects.filter(id=-1).aggregate(x=orm.Max("title", default=text))
    await is_back(result["x"], text)


async def lagged(text: str) -> None:
    query = first.annotate(x=orm.Window(orm.Lag("title", 1, orm.Value(text)), order_by="id"))
    await is_back(await query.values_list("x", flat=True), [text])


async def sliced(text: str) -> None:
    text = stored(text)
    await first.update(title=text)
    await is_back(await first.values_list(orm.F("title")[:], flat=True), [text])
    await is_back(await first.values_list(orm.F("title")[1:4], flat=True), [text[1:4]])


async def called(text: str) -> None:
    query = first.annotate(x=orm.Func(orm.Value(text), orm.Value(""), function="COALESCE"))
    await is_back(await query.values_list("x", flat=True), [text])


async def in_subquery(text: str) -> None:
    text = stored(text)
    await first.update(title=text)
    inner = Book.objects.filter(title=text, author=orm.OuterRef("pk")).values("title")[:1]
    await is_back(await Author.objects.annotate(x=orm.Subquery(inner)).values_list("x", flat=True), [text])
    assert await Author.objects.filter(orm.Exists(Book.objects.filter(title=text))).count() == 1


async def united(text: str) -> None:
    text = stored(text)
    await first.update(title=text)
    one = Book.objects.filter(title=text).values_list("title", flat=True)
    await is_back(await one.union(one), [text])


async def in_json(text: str) -> None:
    document = {"k": text, text: [text, {text: 1}]}
    await first.update(data=document)
    await is_back((await Book.objects.get(id=1)).data, document)
    assert await first.filter(data=document).exists(), "the document is not found"
    assert await first.filter(data__k=text).exists(), "the value is not found"
    assert await first.filter(data__k__in=[text]).exists(), "the value is not found by in"
    assert await first.filter(data__has_key=text).exists(), "the key is not found"
    assert await first.filter(data__has_keys=[text]).exists(), "the keys are not found"
    assert await first.filter(data__has_any_keys=["no", text]).exists(), "no key is found"
    assert await first.filter(data__contains={"k": text}).exists(), "what it holds is not found"
    assert await first.filter(data__k__contains=text).exists(), "the part is not found"
    assert not await Book.objects.filter(id__gt=1, data__has_key=f"{text}{MARK}").exists()
    if text and "__" not in text and not text.startswith("_") and not text.endswith("_") and text != "k":
        await is_back(await first.values_list(f"data__{text}", flat=True), [document[text]])
        assert await first.filter(**{f"data__{text}__1__{text}": 1}).exists(), "the path is not found"


async def as_json_object(text: str) -> None:
    query = first.annotate(x=functions.JSONObject(**{text: orm.Value(text)}))
    await is_back(await query.values_list("x", flat=True), [{text: text}])


async def raw(text: str) -> None:
    books: list[Any] = await Book.raw("SELECT id, title, :value AS x FROM book WHERE title <> :value", {"value": text})
    assert len(books) == 3
    await is_back(books[0].x, text)


async def keyed(text: str) -> None:
    text = stored(text)
    await first.update(code=text[:200])
    rows = await Book.objects.in_bulk([text[:200]], field_name="code")
    await is_back(list(rows), [text[:200]])


async def paged(text: str) -> None:
    text = stored(text)
    await Book.objects.update(title=text)
    query = Book.objects.order_by("title")
    page = await query.page(size=1)
    seen = [page.items[0].id]
    for _ in range(2):
        page = await query.page(after=page.next_cursor, size=1)
        seen += [item.id for item in page.items]
    assert seen == [1, 2, 3], f"pages have {seen}"


async def by_regex(text: str) -> None:
    await Book.objects.filter(title__regex=text)
    await Book.objects.filter(title__iregex=text)


async def related(text: str) -> None:
    text = stored(text)
    await Author.objects.filter(id=1).update(name=text)
    assert await Book.objects.filter(author__name=text).count() == 3
    assert await Author.objects.exclude(books__title=text).count() == 1


async def in_cte(text: str) -> None:
    text = stored(text)
    await first.update(title=text)
    cte = orm.CTE("titled", Book.objects.filter(title=text).values("id", x=orm.Value(text)))
    await is_back(await cte.join(Book, id=cte.col.id).with_cte(cte).annotate(x=cte.col.x).values_list("x"), [(text,)])


ATTACKS: dict[str, Callable[[str], Awaitable[None]]] = {
    attack.__name__: attack
    for attack in (
        *(created, refused_with_nul, bulk_created, upserted, updated, updated_by_value, bulk_updated, got_or_created),
        *(found_by_lookups, searched, annotated, branched, concatenated, replaced, located, joined, by_default),
        *(
            lagged,
            sliced,
            called,
            in_subquery,
            united,
            in_json,
            as_json_object,
            raw,
            keyed,
            paged,
            by_regex,
            related,
            in_cte,
        ),
    )
}


async def test_hostile_text_is_bound_and_returned_unchanged(watch: Watch, database: Database) -> None:
    for what, attack in ATTACKS.items():
        for text in TEXTS:
            async with watch.attempt(what, text), database.transaction(force_rollback=True):
                await attack(text)


class Liar(str):
    """A str whose `__str__` differs from its value."""

    def __str__(self) -> str:
        return f"{MARK}' OR 1=1"

    __repr__ = __str__


class Number(int):
    """An int whose `__str__` is hostile."""

    def __str__(self) -> str:
        return f"{MARK}; DROP TABLE book"

    __repr__ = __str__


VALUES: list[Any] = [
    *(None, True, False, 0, -1, 2**31, 2**63 - 1, -(2**63), 2**63, 2**64, 10**40, -(10**400)),
    *(0.1, -0.0, math.nan, math.inf, -math.inf, 1e308, 5e-324),
    *(decimal.Decimal("NaN"), decimal.Decimal("sNaN"), decimal.Decimal("-Infinity"), decimal.Decimal("1E+500")),
    *(decimal.Decimal("1E-500"), decimal.Decimal("0.1"), decimal.Decimal("99999999999.999999999")),
    *(datetime.date.min, datetime.date.max, datetime.datetime.min, datetime.datetime.max),
    *(datetime.datetime.min.replace(tzinfo=datetime.timezone.utc), datetime.time.max),
    datetime.datetime.max.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-23))),
    *(datetime.timedelta.min, datetime.timedelta.max, datetime.timedelta(microseconds=1)),
    *(uuid.UUID(int=0), b"", b"\0\xff'\\", f"{MARK}'".encode(), bytearray(b"x"), memoryview(b"x")),
    *((), [], {}, set(), [None], [[]], [MARK], {MARK: MARK}, ("a", "b"), [1, "a", None], range(3), {1: 2}),
    *([math.nan], {"a": {1, 2}}, object(), int, Book, Book(), Author(id=1), lambda: 1, Ellipsis, iter([1]), 1j),
    *(Liar("x"), Number(1), [Number(1)], orm.Q(), orm.Value(MARK), orm.F("title"), Book.objects, Exception(MARK)),
    *("9" * 5_000, "0x10", "1e3", "1_000", " 1 ", "٣", "true", "NaN", "2024-02-30", "24:00", "-infinity", "epoch"),
    *("10.0.0.1/8", "::ffff:1.2.3.4", "{}", "null", '"a"', "[", "00000000-0000-0000-0000-000000000000"),
]


# Other tests of the same process may have registered lookups of their own.
BUILT_IN_LOOKUPS = [name for name, same in lookups.items() if any(type(x).__module__.startswith("orm.") for x in same)]


async def test_hostile_values_in_every_lookup_stay_bound(watch: Watch, database: Database) -> None:
    for name in ["id", "author", "author__name", *FIELDS, "data__a"]:
        for lookup in BUILT_IN_LOOKUPS:
            for value in [*VALUES, HOSTILE[1], HOSTILE[10], HOSTILE[24]]:
                async with watch.attempt(f"{name}__{lookup}", repr(value)):
                    await Book.objects.filter(**{f"{name}__{lookup}": value})


async def test_hostile_values_written_to_every_field_stay_bound(watch: Watch, database: Database) -> None:
    for name in ["id", "author", *FIELDS]:
        for value in [*VALUES, *HOSTILE]:
            async with watch.attempt(f"update {name}", repr(value)), database.transaction(force_rollback=True):
                await first.update(**{name: value})
            async with watch.attempt(f"create {name}", repr(value)), database.transaction(force_rollback=True):
                await Book.objects.create(**{"id": 9, "code": "c9", name: value})
            async with watch.attempt(f"bulk_create {name}", repr(value)), database.transaction(force_rollback=True):
                await Book.objects.bulk_create([{"id": 9, "code": "c9", name: value}])
            async with watch.attempt(f"bulk_update {name}", repr(value)), database.transaction(force_rollback=True):
                book = await Book.objects.get(id=1)
                setattr(book, name, value)
                await Book.objects.bulk_update([book], [name])


def forged(*position: Any) -> str:
    """A cursor with a valid checksum, which is not secret."""
    content = json.dumps([0, *position]).encode()
    terms = Book.objects.order_by("title", "id")._query.order
    return base64.urlsafe_b64encode(_digest("Book", terms, content) + content).decode().rstrip("=")


NO_TEXT: list[Any] = [None, 1, 1.5, [], {}, [[]], True]
POSITIONS: list[list[Any]] = [[], [1], [None], [None, None], ["s"], [{}, {}], ["x", 1, "x"], [[], []]]
CURSORS: list[Any] = [
    *TEXTS,
    *(forged(text, 1) for text in TEXTS),
    *(forged(1, text) for text in TEXTS),
    *(forged("x", number) for number in ("9" * 5_000, "1e5", "-1", str(2**63), "nan", "", 2**63, -1, math.inf)),
    *(forged(value, value) for value in NO_TEXT),
    *(forged([tag, MARK], [tag, "1"]) for tag in ("b", "i", "f", "s", "zz")),
    *(forged(*position) for position in POSITIONS),
    base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    forged("x", 1)[:-2],
    forged("x", 1).replace("e", "E"),
]


async def test_hostile_cursors_raise(watch: Watch) -> None:
    for cursor in CURSORS:
        for way in ("after", "before"):
            async with watch.attempt(f"page({way})", cursor):
                await Book.objects.order_by("title", "id").page(**{way: cursor})
