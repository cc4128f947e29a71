"""`graph()` beside Django's nested `prefetch_related()`: the same objects, in fewer statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.conformance.cases import Area
from tests.conformance.loaded_trees import tree

case = Area("graphs")

AT_ONCE = "a graph is one statement, or the statements of one round trip"


def both(
    name: str, model: str, *paths: str, narrowed: Any = lambda queryset: queryset, ours: Sequence[Any] = ()
) -> None:
    """The rows of a model with these paths, by a graph and by Django's prefetches."""

    def graph(m, o):  # type: ignore[no-untyped-def]
        rows = yield narrowed(getattr(m, model).objects.order_by("id")).graph(*(ours or paths))
        return (yield from tree(rows, *paths))

    def prefetched(m, o):  # type: ignore[no-untyped-def]
        rows = yield narrowed(getattr(m, model).objects.order_by("id")).prefetch_related(*paths)
        return (yield from tree(rows, *paths))

    case(name, graph, theirs=prefetched, fewer=AT_ONCE)


both("backward", "Blog", "entries")
both("backward, nullable", "Author", "blogs")
both("forward, nullable", "Entry", "author")
both("forward, to itself", "Author", "mentor__mentor")
both("over a field that is no key", "Tag", "remarks")
both("many-to-many", "Entry", "tags")
both("many-to-many, backward", "Tag", "entries")
both("many-to-many, to itself", "Author", "friends", "follows__followers")
both("many-to-many over a model", "Club", "members__country", "topics")
both("one to one, both ways", "Author", "profile__avatar", "country")
both("four levels", "Country", "authors__blogs__entries__comments")
both("four levels, three branches", "Author", "blogs__entries__comments__author", "blogs__entries__tags", "blogs__feed")
both("there and back", "Blog", "entries__author__entries__blog")
both("of a slice", "Blog", "entries__tags", narrowed=lambda queryset: queryset[1:4])
both("of a filter", "Blog", "entries__comments", narrowed=lambda queryset: queryset.filter(name__icontains="o"))
both("of nothing", "Blog", "entries__tags", narrowed=lambda queryset: queryset.filter(name="none"))
both("as a shape", "Blog", "entries__comments", "owner", ours=[{"entries": {"comments": None}, "owner": None}])


def _shaped(m, o):  # type: ignore[no-untyped-def]
    wanted = {"filter": {"rating__gte": 3}, "order_by": "-rating", "limit": 2, "to_attr": "best"}
    rows = yield m.Blog.objects.order_by("id").graph({"entries": wanted})
    return [[row, row.best] for row in rows]


def _prefetched(m, o):  # type: ignore[no-untyped-def]
    wanted = m.Entry.objects.filter(rating__gte=3).order_by("-rating", "id")[:2]
    rows = yield m.Blog.objects.order_by("id").prefetch_related(o.Prefetch("entries", wanted, to_attr="best"))
    return [[row, row.best] for row in rows]


case("filter, order and limit of each", _shaped, theirs=_prefetched, fewer=AT_ONCE, point=10)
