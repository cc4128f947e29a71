"""Hostile strings as names: they are refused by an error of ours and never reach the SQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import orm
from orm import functions
from orm.database.connections.database import Database
from tests.hostile.models import HOSTILE, MARK, WORDS, Author, Book, Watch

pytestmark = pytest.mark.anyio
Attack = Callable[[str], Awaitable[Any]]


class Upper(orm.Func[str]):
    """A function of the user's own."""

    function = "UPPER"


async def joined_to_cte(name: str) -> Any:
    cte = orm.CTE("pages_of", Book.objects.values("id", "pages"))
    return await cte.join(Book, **{name: cte.col.id}).with_cte(cte)


async def column_of_cte(name: str) -> Any:
    cte = orm.CTE("pages_of", Book.objects.values("id", "pages"))
    return await cte.join(Book, id=cte.col.id).with_cte(cte).annotate(n=getattr(cte.col, name))


async def named_cte(name: str) -> Any:
    cte = orm.CTE(name, Book.objects.values("id", "pages"))
    return await cte.join(Book, id=cte.col.id).with_cte(cte).annotate(n=cte.col.pages)


async def in_memory(name: str) -> Any:
    book = await Book.objects.get(id=1)
    return await Book.objects.bulk_update([book], [name])


async def ordering_of_model(name: str) -> Any:
    # The class stays without a table: its ordering is looked at when it is first queried.
    registry = orm.ModelRegistry(database=Book.objects.database)
    metaclass: Any = type(orm.Model)
    model = metaclass(
        "Ordered",
        (orm.Model,),
        {
            "registry": registry,
            "id": orm.Integer(primary_key=True),
            "Meta": type("Meta", (), {"ordering": [name]}),
        },
    )
    return model.objects.all().sql


def one(name: str) -> dict[str, Any]:
    return {name: 1}


def books_of(name: str) -> Any:
    return Book.objects.filter(author=orm.OuterRef(name))


FILTERS: dict[str, Attack] = {
    "filter": lambda n: Book.objects.filter(**{n: 1}),
    "filter text": lambda n: Book.objects.filter(**{n: "x"}),
    "filter expression": lambda n: Book.objects.filter(**{n: orm.F("pages")}),
    "filter queryset": lambda n: Book.objects.filter(**{n: Author.objects.values("id")}),
    "filter list": lambda n: Book.objects.filter(**{n: [1]}),
    "filter none": lambda n: Book.objects.filter(**{n: None}),
    "exclude": lambda n: Book.objects.exclude(**{n: 1}),
    "exclude many": lambda n: Author.objects.exclude(**{f"books__{n}": 1}),
    "Q": lambda n: Book.objects.filter(~orm.Q(**{n: 1}) | orm.Q(pages=1)),
    "lookup": lambda n: Book.objects.filter(**{f"title__{n}": "x"}),
    "transform": lambda n: Book.objects.filter(**{f"made__{n}": 1}),
    "transform and lookup": lambda n: Book.objects.filter(**{f"made__year__{n}": 1}),
    "related": lambda n: Book.objects.filter(**{f"author__{n}": 1}),
    "json path": lambda n: Book.objects.filter(**{f"data__{n}": 1}),
    "json path text": lambda n: Book.objects.filter(**{f"data__{n}__icontains": "x"}),
    "json path order": lambda n: Book.objects.filter(**{f"data__b__{n}__gt": 1}),
    "json path isnull": lambda n: Book.objects.filter(**{f"data__{n}__isnull": False}),
    "json path exclude": lambda n: Book.objects.exclude(**{f"data__{n}": "x"}),
    "json path F": lambda n: Book.objects.filter(pages=orm.F(f"data__{n}")),
    "get": lambda n: Book.objects.get(**{n: 1}),
    "first": lambda n: Book.objects.first(**{n: 1}),
    "get_or_create": lambda n: Book.objects.get_or_create(**one(n), id=1),
    "update_or_create": lambda n: Book.objects.update_or_create(**one(n), id=1),
    "exists": lambda n: Book.objects.filter(orm.Exists(Author.objects.filter(**{n: 1}))).exists(),
    "count": lambda n: Book.objects.filter(**{n: 1}).count(),
    "all": lambda n: Book.objects.all(**{n: 1}),
    "delete": lambda n: Book.objects.filter(id=-1).filter(**{n: 1}).delete(),
    "When": lambda n: Book.objects.annotate(x=orm.Case(orm.When(**{n: 1}, then=1), default=0)),
    "aggregate filter": lambda n: Book.objects.aggregate(x=orm.Count("id", filter=orm.Q(**{n: 1}))),
    "having": lambda n: Author.objects.annotate(x=orm.Count("books")).filter(**{f"x__{n}": 1}),
}
CHOICES: dict[str, Attack] = {
    "order_by": lambda n: Book.objects.order_by(n),
    "order_by descending": lambda n: Book.objects.order_by(f"-{n}"),
    "order_by related": lambda n: Book.objects.order_by(f"author__{n}"),
    "order_by json": lambda n: Book.objects.order_by(f"data__{n}"),
    "order_by F": lambda n: Book.objects.order_by(orm.F(n).desc(nulls_last=True)),
    "order_by then update": lambda n: Book.objects.filter(id=-1).order_by(n).update(pages=1),
    "values": lambda n: Book.objects.values(n),
    "values json": lambda n: Book.objects.values(f"data__{n}"),
    "values_list": lambda n: Book.objects.values_list(n),
    "values_list flat": lambda n: Book.objects.values_list(n, flat=True),
    "values_list named": lambda n: Book.objects.values_list(n, named=True),
    "values_list named json": lambda n: Book.objects.values_list(f"data__{n}", named=True),
    "values_list related": lambda n: Book.objects.values_list(f"author__{n}"),
    "values after union": lambda n: Book.objects.union(Book.objects.filter(id=1)).values(n),
    "order_by after union": lambda n: Book.objects.union(Book.objects.filter(id=1)).order_by(n),
    "only": lambda n: Book.objects.only(n),
    "defer": lambda n: Book.objects.defer(n),
    "only related": lambda n: Book.objects.select_related("author").only(f"author__{n}"),
    "select_related": lambda n: Book.objects.select_related(n),
    "select_related deeper": lambda n: Book.objects.select_related(f"author__{n}"),
    "distinct": lambda n: Book.objects.distinct(n),
    "select_for_update": lambda n: Book.objects.select_for_update(of=[n]),
    "earliest": lambda n: Book.objects.earliest(n),
    "latest": lambda n: Book.objects.latest(n),
    "dates": lambda n: Book.objects.dates(n, "year"),
    "dates kind": lambda n: Book.objects.dates("out", n),
    "dates order": lambda n: Book.objects.dates("out", "year", n),  # type: ignore[arg-type]
    "datetimes": lambda n: Book.objects.datetimes(n, "hour"),
    "datetimes kind": lambda n: Book.objects.datetimes("made", n),
    "in_bulk": lambda n: Book.objects.in_bulk([1], field_name=n),
    "page": lambda n: Book.objects.order_by(n).page(),
    "ordering of the model": ordering_of_model,
    "update": lambda n: Book.objects.filter(id=-1).update(**one(n)),
    "update json path": lambda n: Book.objects.filter(id=-1).update(**one(f"data__{n}")),
    "update returning": lambda n: Book.objects.filter(id=-1).update(pages=1, returning=[n]),
    "delete returning": lambda n: Book.objects.filter(id=-1).delete(returning=[n]),
    "create": lambda n: Book.objects.create(**{n: 1}),
    "bulk_create": lambda n: Book.objects.bulk_create([{n: 1}]),
    "bulk_create update_fields": lambda n: Book.objects.bulk_create(
        [{"id": 1, "code": "c1"}], update_conflicts=True, update_fields=[n], unique_fields=["id"]
    ),
    "upsert unique_fields": lambda n: Book.objects.upsert({"id": 1, "code": "c1"}, unique_fields=[n]),
    "bulk_update": in_memory,
    "defaults": lambda n: Book.objects.update_or_create({n: 1}, {n: 1}, id=-1),
}
EXPRESSIONS: dict[str, Attack] = {
    "F": lambda n: Book.objects.annotate(x=orm.F(n)),
    "F arithmetic": lambda n: Book.objects.annotate(x=orm.F(n) + 1),
    "F compared": lambda n: Book.objects.filter(orm.F(n) == 1),
    "F json": lambda n: Book.objects.annotate(x=orm.F(f"data__{n}")),
    "update F": lambda n: Book.objects.filter(id=-1).update(pages=orm.F(n)),
    "OuterRef": lambda n: Author.objects.annotate(x=orm.Exists(books_of(n))),
    "OuterRef nested": lambda n: Author.objects.filter(
        orm.Exists(Book.objects.filter(orm.Exists(Author.objects.filter(id=orm.OuterRef(orm.OuterRef(n))))))
    ),
    "Subquery": lambda n: Author.objects.annotate(x=orm.Subquery(Book.objects.values(n)[:1])),
    "annotate": lambda n: Book.objects.annotate(**{n: orm.F("pages")}),
    "annotate and read": lambda n: Book.objects.annotate(**{n: orm.F("pages")}).filter(**{n: 1}).order_by(n).values(n),
    "annotate named": lambda n: Book.objects.annotate(**{n: orm.F("pages")}).values_list(n, named=True),
    "distinct related": lambda n: Book.objects.distinct(f"author__{n}"),
    "distinct json": lambda n: Book.objects.distinct(f"data__{n}"),
    "annotate and count": lambda n: Book.objects.annotate(**{n: orm.Count("author")}).filter(**{f"{n}__gt": 0}).count(),
    "annotate in subquery": lambda n: Author.objects.annotate(
        x=orm.Subquery(Book.objects.annotate(**{n: orm.F("pages")}).values(n)[:1])
    ),
    "annotate window": lambda n: Book.objects.annotate(**{n: orm.Window(orm.RowNumber(), order_by="id")}).filter(
        **{n: 1}
    ),
    "annotate and union": lambda n: (
        Book.objects.annotate(**{n: orm.F("pages")}).values(n).union(Book.objects.values("pages"))
    ),
    "alias": lambda n: Book.objects.alias(**{n: orm.F("pages")}).order_by(n),
    "aggregate name": lambda n: Book.objects.aggregate(**{n: orm.Sum("pages")}),
    "values name": lambda n: Book.objects.values(**{n: orm.F("pages")}),
    "values name, grouped": lambda n: Book.objects.values(**{n: orm.F("pages")}).annotate(k=orm.Count("id")),
    "Count": lambda n: Book.objects.annotate(orm.Count(n)),
    "Count named": lambda n: Book.objects.aggregate(x=orm.Count(n)),
    "Sum json": lambda n: Book.objects.aggregate(x=orm.Sum(f"data__{n}")),
    "StringAgg order": lambda n: Book.objects.aggregate(x=orm.StringAgg("title", ",", order_by=n)),
    "JSONAgg": lambda n: Book.objects.aggregate(x=orm.JSONAgg(n)),
    "Lower": lambda n: Book.objects.annotate(x=functions.Lower(n)),
    "Coalesce": lambda n: Book.objects.annotate(x=functions.Coalesce(n, "title")),
    "Concat": lambda n: Book.objects.annotate(x=functions.Concat("title", n)),
    "Collate field": lambda n: Book.objects.annotate(x=functions.Collate(n, "C")),
    "Collate": lambda n: Book.objects.order_by(functions.Collate("title", n)),
    "Extract unit": lambda n: Book.objects.annotate(x=functions.Extract("made", n)),
    "Trunc unit": lambda n: Book.objects.annotate(x=functions.Trunc("made", n)),
    "KT": lambda n: Book.objects.annotate(x=functions.KT(f"data__{n}")),
    "KT name": lambda n: Book.objects.annotate(x=functions.KT(n)),
    "JSONObject": lambda n: Book.objects.annotate(x=functions.JSONObject(**{n: "title"})),
    "Case then": lambda n: Book.objects.annotate(x=orm.Case(orm.When(id=1, then=n), default=orm.Value(None))),
    "Window partition": lambda n: Book.objects.annotate(x=orm.Window(orm.RowNumber(), partition_by=n, order_by="id")),
    "Window order": lambda n: Book.objects.annotate(x=orm.Window(orm.RowNumber(), order_by=n)),
    "Lag": lambda n: Book.objects.annotate(x=orm.Window(orm.Lag(n), order_by="id")),
    "Lag default": lambda n: Book.objects.annotate(x=orm.Window(orm.Lag("title", 1, orm.F(n)), order_by="id")),
    "Func": lambda n: Book.objects.annotate(x=Upper(n)),
    "Func argument": lambda n: Book.objects.annotate(x=orm.Func(n, function="UPPER")),
    "Func name": lambda n: Book.objects.annotate(x=orm.Func("title", function=n)),
    "F slice": lambda n: Book.objects.annotate(x=orm.F(n)[1:3]),
    "F condition": lambda n: Book.objects.filter(orm.F(n)),
    "bare queryset": lambda n: Author.objects.annotate(x=Book.objects.values(n)[:1]),
    "limit per": lambda n: Book.objects.limit(1, per=n),
    "limit per several": lambda n: Book.objects.order_by("id").limit(1, per=["pages", n]).count(),
    "CTE join": joined_to_cte,
    "CTE column": column_of_cte,
    "CTE name": named_cte,
}


# A name that is made up becomes a key of the result, or of JSON, and nothing of the SQL: some work therefore.
ATTACKS = FILTERS | CHOICES | EXPRESSIONS


@pytest.mark.parametrize("kind", [FILTERS, CHOICES, EXPRESSIONS], ids=["filters", "choices", "expressions"])
async def test_hostile_names_are_refused_or_quoted(watch: Watch, kind: dict[str, Attack], database: Database) -> None:
    for what, attack in kind.items():
        quoted = what in ("Collate", "CTE name", "Func name")
        for name in HOSTILE + WORDS:
            async with watch.attempt(what, name, quoted=quoted), database.transaction(force_rollback=True):
                await attack(name)


class Marked(str):
    """A subclass of str, which would render itself differently in SQL."""


async def test_str_subclass_as_name_is_refused_or_quoted(watch: Watch, database: Database) -> None:
    for what, attack in ATTACKS.items():
        async with watch.attempt(what, "a subclass of str"), database.transaction(force_rollback=True):
            await attack(Marked(f"{MARK}'"))


NO_NAMES = [None, 1, 1.5, b"id", ["id"], {"id": 1}, object(), int, Book, lambda: "id", ("id",), True, Ellipsis]
BY_POSITION = (
    *("order_by", "values", "values_list", "only", "defer", "select_related", "distinct"),
    *("earliest", "latest", "in_bulk", "bulk_update", "dates"),
)
POSITIONAL: dict[str, Callable[[Any], Any]] = {
    "order_by none": lambda n: Book.objects.order_by("id", n),
    "filter positional": lambda n: Book.objects.filter(n),
    "exclude positional": lambda n: Book.objects.exclude(n),
    "Q positional": lambda n: Book.objects.filter(orm.Q(n)),
    "Q joined": lambda n: Book.objects.filter(orm.Q(id=1) | n),
    "F": lambda n: Book.objects.annotate(x=orm.F(n)),
    "OuterRef": EXPRESSIONS["OuterRef"],
    "annotate": lambda n: Book.objects.annotate(x=n),
    "annotate positional": lambda n: Book.objects.annotate(n),
    "aggregate": lambda n: Book.objects.aggregate(x=n),
    "aggregate positional": lambda n: Book.objects.aggregate(n),
    "Lower": lambda n: Book.objects.annotate(x=functions.Lower(n)),
    "Count": lambda n: Book.objects.aggregate(x=orm.Count(n)),
    "Sum": lambda n: Book.objects.aggregate(x=orm.Sum(n)),
    "filter=": lambda n: Book.objects.aggregate(x=orm.Sum("pages", filter=n)),
    "Case": lambda n: Book.objects.annotate(x=orm.Case(n)),
    "When": lambda n: Book.objects.annotate(x=orm.Case(orm.When(n, then=1))),
    "Window": lambda n: Book.objects.annotate(x=orm.Window(n)),
    "Window order": lambda n: Book.objects.annotate(x=orm.Window(orm.RowNumber(), order_by=n)),
    "Window partition": lambda n: Book.objects.annotate(x=orm.Window(orm.RowNumber(), partition_by=n)),
    "Window frame": lambda n: Book.objects.annotate(x=orm.Window(orm.Sum("pages"), order_by="id", frame=n)),
    "Subquery": lambda n: Book.objects.annotate(x=orm.Subquery(n)),
    "Exists": lambda n: Book.objects.filter(orm.Exists(n)),
    "union": lambda n: Book.objects.union(n),
    "Cast": lambda n: Book.objects.annotate(x=functions.Cast("pages", n)),
    "Collate": lambda n: Book.objects.annotate(x=functions.Collate("title", n)),
    "Extract": lambda n: Book.objects.annotate(x=functions.Extract("made", n)),
    "Trunc": lambda n: Book.objects.annotate(x=functions.Trunc("made", n)),
    "tzinfo": lambda n: Book.objects.annotate(x=functions.Extract("seen", "year", tzinfo=n)),
    "CTE": lambda n: orm.CTE(n, Book.objects.values("id")),
    "with_cte": lambda n: Book.objects.with_cte(n),
    "of": lambda n: Book.objects.select_for_update(of=n),
    "StringAgg": lambda n: Book.objects.aggregate(x=orm.StringAgg("title", n)),
    "StringAgg order": lambda n: Book.objects.aggregate(x=orm.StringAgg("title", ",", order_by=n)),
    "unique_fields": lambda n: Book.objects.upsert({"id": 1, "code": "c1"}, unique_fields=n),
    "returning": lambda n: Book.objects.filter(id=-1).update(pages=1, returning=n),
    "F slice": lambda n: Book.objects.annotate(x=orm.F("title")[n]),
    "F slice from": lambda n: Book.objects.annotate(x=orm.F("title")[n:]),
    "Func": lambda n: Book.objects.annotate(x=orm.Func(n, function="UPPER")),
    "Func name": lambda n: Book.objects.annotate(x=orm.Func("title", function=n)),
    "Lag default": lambda n: Book.objects.annotate(x=orm.Window(orm.Lag("title", 1, n), order_by="id")),
    "exclusion": lambda n: Book.objects.annotate(
        x=orm.Window(orm.Sum("pages"), order_by="id", frame=orm.RowRange(exclusion=n))
    ),
    "limit per": lambda n: Book.objects.limit(1, per=n),
    "raw": lambda n: Book.objects.raw(n),
    "raw values": lambda n: Book.objects.raw("SELECT id FROM book", n),
    "page after": lambda n: Book.objects.page(after=n),
    "page size": lambda n: Book.objects.page(size=n),
    "limit": lambda n: Book.objects.limit(n),
    "offset": lambda n: Book.objects.offset(n),
    "search": lambda n: Book.objects.search(n),
    "upsert": lambda n: Book.objects.upsert(n),
    "bulk_create": lambda n: Book.objects.bulk_create([n]),
    "contains": lambda n: Book.objects.contains(n),
}
# A call that Python itself refuses (a list where none can be looped over) is TypeError, as in any library.
MISUSE = (TypeError,)


async def test_values_that_are_no_names_raise(watch: Watch, database: Database) -> None:
    attacks: dict[str, Callable[[Any], Any]] = {**{what: CHOICES[what] for what in BY_POSITION}, **POSITIONAL}
    for what, attack in attacks.items():
        for name in NO_NAMES:
            async with watch.attempt(what, name), database.transaction(force_rollback=True):
                try:
                    outcome = attack(name)
                    if hasattr(outcome, "__await__"):
                        await outcome
                except MISUSE as error:
                    if isinstance(error, orm.Error):
                        raise
