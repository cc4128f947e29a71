"""What makes no sense is refused; and what a failure leaves behind."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

import orm
from tests.conformance.cases import Area

case = Area("errors and transactions")

for _name in ("nothing", "blog__nothing", "title__nothing", "rating__nothing", "blog__title__x", "entries", "__", ""):
    case(f"filter on {_name!r}", lambda m, o, name=_name: m.Entry.objects.filter(**{name: 1}), point=6)
for _lookup, _value in {
    "rating": "x",
    "rating__gt": "x",
    "rating__in": 5,
    "rating__in ": [1],
    "day": "no date",
    "blog": "x",
    "price": "x",
}.items():
    case(
        f"{_lookup} compared with {_value!r}",
        lambda m, o, k=_lookup, v=_value: m.Entry.objects.filter(**{k: v}),
        point=6,
    )

case(
    "a range of one",
    lambda m, o: m.Entry.objects.filter(rating__range=(1,)),
    differs="refused with our own error, where Django unpacks it and fails with Python's",
    point=6,
)
case("filter by an instance of another model", lambda m, o: _other_model(m), point=6)
case("filter by an unsaved instance", lambda m, o: m.Entry.objects.filter(blog=m.Blog(name="x")), point=6)
case("filter in unsaved instances", lambda m, o: m.Entry.objects.filter(blog__in=[m.Blog(name="x")]), point=6)
case("exclude by an unsaved instance", lambda m, o: m.Entry.objects.exclude(blog=m.Blog(name="x")), point=6)
case("backwards by an unsaved instance", lambda m, o: m.Blog.objects.filter(entries=m.Entry(title="x")), point=6)
case("a positional value", lambda m, o: m.Entry.objects.filter(5), point=6)
case("a queryset of another model", lambda m, o: m.Entry.objects.filter(blog=m.Author.objects.filter(id=1)), point=6)
case("a hostile name", lambda m, o: m.Entry.objects.filter(**{'title"; DROP TABLE x; --': 1}), point=6)
case("a hostile order", lambda m, o: m.Entry.objects.order_by('title"; DROP TABLE x; --'), point=6)
case("a hostile column", lambda m, o: m.Entry.objects.values('title"; DROP TABLE x; --'), point=6)
case("a hostile alias", lambda m, o: m.Entry.objects.annotate(**{'x"; DROP TABLE x; --': o.F("id")}), point=6)
case("a hostile value", lambda m, o: m.Entry.objects.filter(title="x'; DROP TABLE x; --"), point=6)
case("select_related of no relation", lambda m, o: _all(m.Entry.objects.select_related("title")), point=6)
case("select_related of an unknown name", lambda m, o: _all(m.Entry.objects.select_related("nothing")), point=6)
case("LIKE's signs", lambda m, o: m.Entry.objects.filter(title__contains="%"), point=10)
case("LIKE's signs in front", lambda m, o: m.Entry.objects.filter(title__startswith="_"), point=10)
case("LIKE's signs at the end", lambda m, o: m.Blog.objects.filter(tagline__iendswith="%"), point=10)
case("a failure inside keeps what was before", lambda m, o: _inner_failure(m), writes=True, point=11)
case("a queryset made before is of the transaction", lambda m, o: _made_before(m), writes=True, point=11)
for _name, _failing in {"a duplicate": "red", "an error of the program's": None}.items():
    case(
        f"{_name} inside keeps the outer block",
        lambda m, o, failing=_failing: _blocks(_ours_in_blocks(m, failing), m),
        theirs=lambda m, o, failing=_failing: _blocks(lambda: _theirs_in_blocks(m, failing), m),
        writes=True,
        point=11,
    )
case(
    "a queryset made before is of the block inside, and of what is left of it",
    lambda m, o: _blocks(_ours_made_before(m), m),
    theirs=lambda m, o: _blocks(lambda: _theirs_made_before(m), m),
    writes=True,
    point=11,
)
case(
    "set_rollback() takes back what the innermost block wrote",
    lambda m, o: _blocks(_ours_set_rollback(m), m),
    theirs=lambda m, o: _blocks(lambda: _theirs_set_rollback(m), m),
    writes=True,
    point=11,
)
case(
    "a durable block inside another one is refused",
    lambda m, o: _blocks(_ours_durable(m), m),
    theirs=lambda m, o: _blocks(lambda: _theirs_durable(m), m),
    writes=True,
    point=11,
)


def _blocks(work, m):  # type: ignore[no-untyped-def]
    seen = yield work
    return seen, (yield m.Tag.objects.order_by("name").values_list("name", flat=True))


class _Stop(Exception):
    """An error of the program's."""


async def _ours_in_blocks(m: Any, failing: str | None) -> str:
    database = m.Tag.objects.database
    async with database.transaction():
        await m.Tag.objects.create(name="before")
        try:
            async with database.transaction():
                await m.Tag.objects.create(name="inside")
                if failing is None:
                    raise _Stop
                await m.Tag.objects.create(name=failing)
        except (_Stop, orm.IntegrityError) as error:
            told = "duplicate" if isinstance(error, orm.IntegrityError) else "stopped"
        await m.Tag.objects.create(name="after")
    return told


def _theirs_in_blocks(m: Any, failing: str | None) -> str:
    with transaction.atomic(using=m.Tag.objects.db):
        m.Tag.objects.create(name="before")
        try:
            with transaction.atomic(using=m.Tag.objects.db):
                m.Tag.objects.create(name="inside")
                if failing is None:
                    raise _Stop
                m.Tag.objects.create(name=failing)
        except (_Stop, IntegrityError) as error:
            told = "duplicate" if isinstance(error, IntegrityError) else "stopped"
        m.Tag.objects.create(name="after")
    return told


async def _ours_made_before(m: Any) -> list[int]:
    query, seen = m.Tag.objects.filter(uses__gt=50), []
    try:
        async with m.Tag.objects.database.transaction():
            await m.Tag.objects.create(name="many", uses=99)
            seen.append(await query.count())
            raise _Stop
    except _Stop:
        seen.append(await query.count())
    return seen


def _theirs_made_before(m: Any) -> list[int]:
    query, seen = m.Tag.objects.filter(uses__gt=50), []
    try:
        with transaction.atomic(using=m.Tag.objects.db):
            m.Tag.objects.create(name="many", uses=99)
            seen.append(query.count())
            raise _Stop
    except _Stop:
        seen.append(query.count())
    return seen


async def _ours_set_rollback(m: Any) -> None:
    database = m.Tag.objects.database
    async with database.transaction():
        await m.Tag.objects.create(name="kept")
        async with orm.atomic(database):
            await m.Tag.objects.create(name="lost")
            database.set_rollback(True)
        async with orm.atomic(database):
            await m.Tag.objects.create(name="kept, too")
            database.set_rollback(True)
            database.set_rollback(False)


def _theirs_set_rollback(m: Any) -> None:
    database = m.Tag.objects.db
    with transaction.atomic(using=database):
        m.Tag.objects.create(name="kept")
        with transaction.atomic(using=database):
            m.Tag.objects.create(name="lost")
            transaction.set_rollback(True, using=database)
        with transaction.atomic(using=database):
            m.Tag.objects.create(name="kept, too")
            transaction.set_rollback(True, using=database)
            transaction.set_rollback(False, using=database)


async def _ours_durable(m: Any) -> str:
    database = m.Tag.objects.database
    async with database.transaction():
        await m.Tag.objects.create(name="around")
        try:
            async with orm.atomic(database, durable=True):
                await m.Tag.objects.create(name="inside")
        except orm.TransactionError:
            return "refused"
    return "allowed"


def _theirs_durable(m: Any) -> str:
    database = m.Tag.objects.db
    with transaction.atomic(using=database):
        m.Tag.objects.create(name="around")
        try:
            with transaction.atomic(using=database, durable=True):
                m.Tag.objects.create(name="inside")
        except RuntimeError:
            return "refused"
    return "allowed"


def _all(query):  # type: ignore[no-untyped-def]
    return (yield query)


def _other_model(m):  # type: ignore[no-untyped-def]
    author = yield m.Author.objects.get(id=1)
    return (yield m.Entry.objects.filter(blog=author))


def _inner_failure(m):  # type: ignore[no-untyped-def]
    yield m.Tag.objects.create(name="kept")
    # The row is there under another use: creating it again fails in a savepoint of its own.
    first = yield m.Tag.objects.get_or_create(name="kept", defaults={"uses": 3})
    return first[1], (yield m.Tag.objects.filter(name="kept").count())


def _made_before(m):  # type: ignore[no-untyped-def]
    query = m.Tag.objects.filter(name="inside")
    before = yield query.count()
    yield m.Tag.objects.create(name="inside")
    return before, (yield query.count())
