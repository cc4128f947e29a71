"""Each term of a statement has its own values, however often one expression is used.

Generated querysets use a few expressions in many places. Each runs twice: as it is, where values are bound by their
positions, and with every term binding its own values directly. Both must send the same arguments.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy

import orm
from orm import functions
from orm.database.connections.database import Database
from orm.query import select_statement
from orm.query.conditions.base import LookupPredicate
from orm.query.plans.write import WriteTerm
from orm.query.terms.base import ValueTerm
from orm.query.terms.transforms import KeyTerm
from tests.hostile.models import Author, Book, create

pytestmark = pytest.mark.anyio
NUMBERED = re.compile(r"\$(\d+)")
QUERYSETS = 3_000 if os.environ.get("HOSTILE") == "full" else 60


@contextmanager
def values_bound_directly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, a term binds its own values, whatever their positions among those of the query."""

    def bind(rendering: Any, values: Iterator[Any], render: Callable[[], Any]) -> Any:
        bind_by_position = rendering.bind

        def bind_directly(type_: Any) -> Any:
            rendering.binds.reserve(1)  # a predicate counts what its lookup binds
            return sqlalchemy.bindparam(None, next(values), type_=type_, unique=True)

        rendering.bind = bind_directly
        try:
            return render()
        finally:
            rendering.bind = bind_by_position

    def patch(class_: type, own: Callable[[Any], Any]) -> None:
        render: Any = class_.render  # type: ignore[attr-defined]

        def bound(self: Any, rendering: Any, **options: Any) -> Any:
            return bind(rendering, iter(own(self)), lambda: render(self, rendering, **options))

        patches.setattr(class_, "render", bound)

    with_order_and_limit = select_statement.with_order_and_limit

    def limited(query: Any, statement: Any, rendering: Any, *clauses: Any) -> Any:
        bounds = [] if query.stop is None else [query.stop - query.offset]
        values = iter([*bounds, *([query.offset] if query.offset else [])])
        return bind(rendering, values, lambda: with_order_and_limit(query, statement, rendering, *clauses))

    with monkeypatch.context() as patches:
        patch(ValueTerm, lambda term: term.values)
        patch(WriteTerm, lambda term: term.values)
        patch(KeyTerm, lambda term: term.values[len(term.document.values) :])
        patch(LookupPredicate, lambda predicate: predicate.values[len(predicate.term.values) :])
        patches.setattr(select_statement, "with_order_and_limit", limited)
        yield


class Generator:
    """Random querysets. No two values are equal, and one expression in two is one that was used before."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers = 100
        self.names: list[str] = []
        self._integers: list[Any] = []
        self._texts: list[Any] = []
        self._conditions: list[Any] = []
        self._integers += [self.integer(), self.integer()]
        self._texts += [self.text(), self.text()]
        self._conditions += [self.condition(), self.condition()]

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def _choose(self, known: list[Any], depth: int, simple: list[Any], nested: list[Any]) -> Any:
        if known and self.random.random() < 0.5:
            return self.random.choice(known)
        return self.random.choice(simple + nested if depth else simple)()

    def integer(self, depth: int = 2) -> Any:
        def inner() -> Any:
            return self.integer(depth - 1)

        return self._choose(
            self._integers,
            depth,
            [lambda: orm.F("pages"), lambda: orm.F("id"), lambda: orm.Value(self.number())],
            [
                lambda: inner() + self.number(),
                lambda: inner() - inner(),
                lambda: functions.Coalesce(inner(), inner(), orm.Value(self.number())),
                lambda: functions.Greatest(inner(), inner()),
                lambda: functions.Length(self.text(depth - 1)),
                lambda: orm.Case(orm.When(self.condition(depth - 1), then=inner()), default=orm.Value(self.number())),
                lambda: orm.Subquery(
                    Author.objects.filter(id=orm.OuterRef("author"), id__lt=self.number()).values("id")[:1]
                ),
            ],
        )

    def text(self, depth: int = 2) -> Any:
        def inner() -> Any:
            return self.text(depth - 1)

        return self._choose(
            self._texts,
            depth,
            [lambda: orm.F("title"), lambda: orm.F("code"), lambda: orm.Value(f"v{self.number()}")],
            [
                lambda: functions.Concat(inner(), orm.Value(f"c{self.number()}"), inner()),
                lambda: functions.Coalesce(inner(), inner()),
                lambda: functions.Replace(inner(), orm.Value(f"r{self.number()}"), inner()),
            ],
        )

    def condition(self, depth: int = 2) -> Any:
        def inner() -> Any:
            return self.condition(depth - 1)

        return self._choose(
            self._conditions,
            depth,
            [
                lambda: orm.Q(pages__lt=self.number()),
                lambda: orm.Q(title__contains=f"x{self.number()}"),
                lambda: orm.Q(author__name=f"n{self.number()}"),
                lambda: orm.Q(**{f"data__k{self.number()}__isnull": False}),
            ],
            [
                lambda: inner() | inner(),
                lambda: ~inner(),
                lambda: orm.Q(pages__lte=self.integer(depth - 1)),
                lambda: orm.Q(title__lt=self.text(depth - 1)),
                lambda: orm.Q(orm.Exists(Author.objects.filter(id=orm.OuterRef("author"), id__lt=self.number()))),
            ],
        )

    def expression(self, depth: int = 2) -> Any:
        return self.integer(depth) if self.random.random() < 0.6 else self.text(depth)

    def window(self) -> Any:
        function = self.random.choice([orm.RowNumber(), orm.Sum(self.integer(1)), orm.Lag(self.integer(1), 1)])
        return orm.Window(function, partition_by=self.expression(1), order_by=[self.expression(1), "id"])

    def name(self) -> str:
        self.names.append(f"name{len(self.names)}")
        return self.names[-1]

    def queryset(self) -> Any:
        calls: list[Callable[[Any], Any]] = [
            lambda query: query.annotate(**{self.name(): self.expression()}),
            lambda query: query.annotate(**{self.name(): self.window()}),
            lambda query: query.annotate(**{self.name(): orm.Sum(self.integer(), filter=self.condition(1))}),
            lambda query: query.alias(**{self.name(): self.expression()}),
            lambda query: query.filter(self.condition()),
            lambda query: query.exclude(self.condition()),
            lambda query: query.filter(**{f"{self.random.choice(self.names)}__lt": self.integer()}),
            lambda query: query.filter(orm.Q(**{f"{self.random.choice(self.names)}__lt": 9}) | self.condition(1)),
            lambda query: query.filter(author__in=Author.objects.annotate(z=orm.Value(self.number())).filter(z=9)),
            lambda query: query.order_by(self.expression(), "id"),
            lambda query: query.order_by(self.expression().desc(nulls_last=True), self.random.choice(self.names)),
            lambda query: query.order_by(self.window(), "id"),
            lambda query: query.values(self.expression(), f"data__k{self.number()}", "id"),
            lambda query: query.values(self.expression(), **{self.name(): self.expression()}),
            lambda query: query.distinct(),
            lambda query: query[self.random.randrange(2) : self.number()],
        ]
        query: Any = Book.objects.annotate(**{self.name(): self.expression()})
        for call in self.random.choices(calls, k=self.random.randrange(1, 6)):
            query = call(query)
        return query

    async def run(self) -> Any:
        """The result of one of the calls that run a queryset."""
        query = self.queryset()
        name = self.random.choice(self.names)
        calls: list[Callable[[], Any]] = [
            lambda: query,
            lambda: query.values(name, "id"),
            query.count,
            query.exists,
            lambda: query.aggregate(
                a=orm.Sum(self.integer(), filter=self.condition(1)), b=orm.Max(name), c=orm.Count(self.text())
            ),
            lambda: query.update(pages=self.integer(), title=self.text()),
            lambda: query.update(pages=functions.Greatest(name, name), title=functions.Concat(name, name)),
            lambda: query.filter(self.condition()).delete(),
            lambda: query.union(Book.objects.filter(self.condition())).order_by("id"),
            lambda: query.order_by(self.expression(), "id").page(size=1),
        ]
        return await self.random.choice(calls)()


async def sent(database: Database, seed: int) -> tuple[Any, list[Any]]:
    """The type of the result or of the error, and the statements with their arguments."""
    statements: list[Any] = []

    def hear(event: orm.QueryEvent) -> None:
        # PostgreSQL numbers parameters, and has one for several places.
        values = list(event.values or ())
        numbered = NUMBERED.findall(event.sql)
        statements.append((NUMBERED.sub("?", event.sql), [values[int(n) - 1] for n in numbered] or values))

    orm.plan_cache_clear()
    database.add_hook(hear)
    try:
        async with database.transaction(force_rollback=True):
            outcome = type(await Generator(seed).run())
    except orm.Error as error:
        outcome = type(error)
    finally:
        database.remove_hook(hear)
    return outcome, statements


async def test_expressions_used_in_several_places_are_bound_with_their_own_values(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(database)
    ran = 0
    for seed in range(QUERYSETS):
        by_position = await sent(database, seed)
        with values_bound_directly(monkeypatch):
            directly = await sent(database, seed)
        assert by_position == directly, f"seed {seed}"
        ran += not issubclass(by_position[0], orm.Error)
    assert ran > QUERYSETS / 3


async def test_update_by_two_annotations_of_one_shape_reads_each(database: Database) -> None:
    await create(database)
    books = Book.objects.annotate(low=orm.F("pages") + 5, high=orm.F("pages") + 50)
    for names, expected in ((("low", "low"), 6), (("low", "high"), 51), (("high", "low"), 51)):
        async with database.transaction(force_rollback=True):
            await books.update(pages=functions.Greatest(*names), title=functions.Concat("title", orm.Value("!")))
            assert await Book.objects.filter(id=1).values_list("pages", "title") == [(expected, "t1!")]


async def test_update_by_an_annotation_that_reads_another_one(database: Database) -> None:
    await create(database)
    books = Book.objects.annotate(more=orm.F("pages") + 5).annotate(twice=orm.F("more") * 2)
    assert await books.filter(twice__gt=12).update(pages=orm.F("twice") + orm.F("more")) == 2
    assert await Book.objects.order_by("id").values_list("pages", flat=True) == [1, 21, 24]


async def test_groups_by_an_expression_that_is_not_selected_are_kept(database: Database) -> None:
    await create(database)
    for group in ("data__a", orm.F("pages") + 7, functions.Concat("title", orm.Value("x"))):
        groups = Book.objects.values(group).annotate(n=orm.Count("id"))
        assert await groups.values_list("n", flat=True) == [1, 1, 1]
        assert await groups.filter(n__gt=0).values("n").order_by("n")[:2] == [{"n": 1}, {"n": 1}]
        assert await groups.aggregate(total=orm.Sum("n")) == {"total": 3}
        assert await groups.count() == 3


async def test_pages_ordered_by_an_expression_with_values_have_their_size(database: Database) -> None:
    await create(database)
    for books in (Book.objects.all(), Book.objects.annotate(n=orm.Count("author"))):
        marked, known = functions.Concat("title", orm.Value("zz")), functions.Coalesce("pages", orm.Value(9))
        ordered = books.order_by(marked, known, "id")
        first = await ordered.page(size=1)
        second = await ordered.page(size=1, after=first.next_cursor)
        third = await ordered.page(size=1, after=second.next_cursor)
        assert [[book.id for book in page.items] for page in (first, second, third)] == [[1], [2], [3]]
        assert not third.has_next
