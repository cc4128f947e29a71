"""Queries of one shape share a plan: nothing is compiled twice, and no value is in the SQL."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import orm
from orm import functions
from orm.database.connections.database import Database
from tests.hostile.models import Author, Book, create
from tests.query.plans.test_compilation_reuse import compilations

pytestmark = pytest.mark.anyio
Make = Callable[[int], Any]
DAY = datetime.date(2024, 1, 1)


@pytest.fixture
async def sent(database: Database) -> AsyncIterator[list[str]]:
    """The statements that are sent while the test runs, on each server in turn."""
    await create(database)
    statements: list[str] = []

    def hear(event: orm.QueryEvent) -> None:
        statements.append(event.sql)

    database.add_hook(hear)
    yield statements
    database.remove_hook(hear)


def titled(n: int) -> Any:
    return Book.objects.filter(title=f"x{n}", author=orm.OuterRef("pk"))


async def in_cte(n: int) -> Any:
    cte = orm.CTE("some", Book.objects.filter(pages__gt=n).values("id", x=orm.F("pages") + n))
    return await cte.join(Book, id=cte.col.id).with_cte(cte).annotate(x=cte.col.x + n).filter(title=f"x{n}")


async def recursive(n: int) -> Any:
    tree = orm.CTE.recursive(
        "tree",
        Author.objects.filter(id=n).values("id", depth=orm.Value(n)),
        lambda tree: tree.join(Author, boss_id=tree.col.id).values("id", depth=tree.col.depth + n),
    )
    return await tree.join(Author, id=tree.col.id).with_cte(tree).annotate(depth=tree.col.depth)


async def paged(n: int) -> Any:
    page = await Book.objects.order_by("title", "-pages").page(size=1)
    page = await Book.objects.order_by("title", "-pages").page(after=page.next_cursor, size=n)
    return await Book.objects.order_by("title", "-pages").page(before=page.previous_cursor, size=n)


async def bulk_updated(n: int) -> Any:
    books = await Book.objects.all()
    book: Any
    for book in books:
        book.title, book.pages = f"x{n}", orm.F("pages") + n
    return await Book.objects.bulk_update(books, ["title", "pages"])


READS: dict[str, Make] = {
    "filter": lambda n: Book.objects.filter(title=f"x{n}", pages__gt=n, price__range=(n, n + 1)),
    "in": lambda n: Book.objects.filter(pages__in=range(n), title__in=[f"x{n}"] * n),
    "texts": lambda n: Book.objects.filter(title__icontains=f"%_{n}", code__startswith=f"{n}\\", title__regex=f"x{n}"),
    "exclude": lambda n: Author.objects.exclude(books__title=f"x{n}", books__pages=n),
    "Q": lambda n: Book.objects.filter(orm.Q(pages=n) | ~orm.Q(title=f"x{n}") ^ orm.Q(author__name=f"x{n}")),
    "slice": lambda n: Book.objects.order_by("title")[n : n * 3],
    "annotate": lambda n: Book.objects.annotate(x=orm.F("pages") * n + n, y=orm.Value(f"x{n}")).filter(x__gt=n),
    "count": lambda n: Book.objects.annotate(x=orm.F("pages") + n).filter(x__lt=n).count(),
    "order by expression": lambda n: Book.objects.order_by((orm.F("pages") % (n + 1)).desc(nulls_last=True)),
    "aggregate": lambda n: Book.objects.aggregate(
        x=orm.Sum("pages", filter=orm.Q(pages__gt=n), default=n), y=orm.Count("id"), z=orm.Avg(orm.F("pages") + n)
    ),
    "aggregate over slice": lambda n: Book.objects.all()[: n + 1].aggregate(x=orm.Max("pages")),
    "having": lambda n: Author.objects.annotate(x=orm.Count("books", filter=orm.Q(books__pages=n))).filter(x__gte=n),
    "having or": lambda n: Author.objects.annotate(x=orm.Sum("books__pages")).filter(orm.Q(x=n) | orm.Q(name=f"x{n}")),
    "grouping": lambda n: Book.objects.values(x=orm.F("pages") + n).annotate(k=orm.Count("id")).filter(k__gt=n),
    "StringAgg": lambda n: Book.objects.aggregate(x=orm.StringAgg("title", f"-{n}-", order_by="id")),
    "slices of F": lambda n: Book.objects.annotate(x=orm.F("title")[:n], y=orm.F("title")[n : n + 2]).filter(
        code=orm.F("title")[n]
    ),
    "Func": lambda n: Book.objects.annotate(x=orm.Func(orm.F("pages") - n, orm.Value(n), function="NULLIF")),
    "a condition by itself": lambda n: Book.objects.filter(
        orm.Case(orm.When(pages__gt=n, then=orm.Value(True)), default=orm.F("sold"))
    ).exclude(orm.F("sold")),
    "a bare queryset": lambda n: Author.objects.annotate(
        x=titled(n).values("title")[:1], y=functions.Coalesce(titled(n).values("title")[:n], orm.Value(f"x{n}"))
    ).filter(name=Book.objects.filter(pages=n).values("title")[:1]),
    "Case": lambda n: Book.objects.annotate(
        x=orm.Case(orm.When(pages__gt=n, then=orm.Value(f"x{n}")), default=orm.Value(f"y{n}"))
    ).filter(x=f"x{n}"),
    "Subquery": lambda n: Author.objects.annotate(x=orm.Subquery(titled(n).values("title")[:n])).filter(x=f"x{n}"),
    "Exists": lambda n: Author.objects.filter(orm.Exists(titled(n)), ~orm.Exists(titled(n + 1))),
    "in queryset": lambda n: Book.objects.filter(author__in=Author.objects.filter(name=f"x{n}")),
    "window": lambda n: Book.objects.annotate(
        x=orm.Window(orm.RowNumber(), partition_by=orm.F("pages") + n, order_by="id")
    ).filter(x__lte=n, title=f"x{n}"),
    "Lag with a default": lambda n: Book.objects.annotate(
        x=orm.Window(orm.Lag("pages", 1, n), partition_by=orm.F("pages") % (n + 1), order_by="id"),
        y=orm.Window(orm.Lead("title", 2, orm.Value(f"x{n}")), order_by=orm.F("pages") + n),
    ).filter(x__lte=n),
    "limit per": lambda n: Book.objects.order_by(orm.F("pages") + n).limit(n, per=orm.F("pages") % n).filter(id__gt=n),
    "limit per, counted": lambda n: Book.objects.limit(n, per="author").count(),
    "union": lambda n: Book.objects.filter(pages=n).union(Book.objects.filter(title=f"x{n}")).order_by("id")[:n],
    "difference": lambda n: Book.objects.filter(pages=n).difference(Book.objects.filter(title=f"x{n}")),
    "CTE": in_cte,
    "recursive CTE": recursive,
    "functions": lambda n: Book.objects.annotate(
        a=functions.Concat("title", orm.Value(f"x{n}")),
        b=functions.Replace("title", orm.Value(f"x{n}"), orm.Value(f"y{n}")),
        c=functions.Coalesce("price", orm.Value(n)),
        d=functions.Left("title", n),
        e=functions.Substr("title", n, n + 1),
        f=functions.LPad("title", n, orm.Value(f"x{n}")),
        g=functions.Round("weight", n),
        h=functions.Power("pages", n),
        i=functions.Mod("pages", n),
        j=functions.NullIf("pages", orm.Value(n)),
        k=functions.Greatest("pages", orm.Value(n)),
        m=functions.Repeat("title", n),
    ),
    "dates": lambda n: Book.objects.filter(out__year=2000 + n, out__month__gt=n, made__date=DAY.replace(day=n)),
    "JSON path": lambda n: Book.objects.filter(**{f"data__k{n}__x{n}": n}),
    "JSON index": lambda n: Book.objects.filter(**{f"data__{n}": f"x{n}"}),
    "JSON lookups": lambda n: Book.objects.filter(
        data__has_key=f"x{n}", data__has_keys=[f"x{n}"] * n, data__contains={f"x{n}": n}, data__a__gt=n
    ),
    "raw": lambda n: Book.raw("SELECT id FROM book WHERE pages > :n AND title <> :t", {"n": n, "t": f"x{n}"}),
    "raw of a queryset": lambda n: Book.objects.filter(id=n).raw("SELECT id FROM book WHERE pages > :n", {"n": n}),
    "page": paged,
    "in_bulk": lambda n: Book.objects.in_bulk(range(n)),
    "search": lambda n: Book.objects.search(f"x{n}"),
    "contains": lambda n: Book.objects.contains(Book(id=n)),
}
WRITES: dict[str, Make] = {
    "bulk_create": lambda n: Book.objects.bulk_create([{"id": 100 * n + m, "code": f"b{n} {m}"} for m in range(n)]),
    "ignore_conflicts": lambda n: Book.objects.bulk_create(
        [{"id": m + 1, "code": f"c{m}"} for m in range(n)], ignore_conflicts=True
    ),
    "update": lambda n: Book.objects.filter(pages__gt=n).update(pages=orm.F("pages") + n, title=f"x{n}"),
    "update by function": lambda n: Book.objects.filter(author__name=f"x{n}").update(
        title=functions.Concat("title", orm.Value(f"x{n}"))
    ),
    "update by a slice": lambda n: Book.objects.filter(pages__lt=n).update(title=orm.F("code")[:n]),
    "update by a queryset": lambda n: Book.objects.filter(pages__lt=n).update(
        title=Author.objects.filter(id__gte=1, name__gt="").order_by("id").values("name")[:1], price=n
    ),
    "update of the first of each": lambda n: Book.objects.limit(n, per="author").update(pages=n),
    "bulk_update": bulk_updated,
    "delete": lambda n: Book.objects.filter(author__name=f"x{n}", pages=n).delete(),
    "get_or_create": lambda n: Author.objects.get_or_create({"id": 100 + n}, name=f"x{n}"),
}
SHAPES = READS | WRITES


@pytest.mark.parametrize("what", SHAPES)
async def test_queries_with_other_values_reuse_one_plan(
    sent: list[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    make = SHAPES[what]
    await make(1)
    await make(2)  # Rows that are written in lists have a plan for one and one for several.
    statements = set(sent)
    sent.clear()
    before = orm.plan_cache_info()
    with compilations(monkeypatch) as compiled:
        for number in (3, 4, 7):
            await make(number)
    after = orm.plan_cache_info()
    assert compiled == []
    assert (after.misses, after.size) == (before.misses, before.size)
    if what in READS:
        # MySQL writes lists out, in SQL that is not planned anew.
        assert {sql.replace("%s, ", "") for sql in sent} <= {sql.replace("%s, ", "") for sql in statements}
