"""values() and values_list(), only() and defer()."""

from __future__ import annotations

import itertools
from typing import Any

from tests.conformance.cases import Area

case = Area("values")

case("of all fields", lambda m, o: m.Blog.objects.order_by("id").values(), ordered=True)
case("of some", lambda m, o: m.Entry.objects.order_by("id").values("title", "rating"), ordered=True)
case("of the pk", lambda m, o: m.Entry.objects.order_by("id").values("pk"), ordered=True)
case("of a relation", lambda m, o: m.Entry.objects.order_by("id").values("blog"), ordered=True)
case("of a raw key", lambda m, o: m.Entry.objects.order_by("id").values("blog_id"), ordered=True)
case("across", lambda m, o: m.Entry.objects.order_by("id").values("title", "blog__name"), ordered=True)
case("across two", lambda m, o: m.Entry.objects.order_by("id").values("blog__owner__name"), ordered=True)
case("across to a key", lambda m, o: m.Entry.objects.order_by("id").values("blog__owner"), ordered=True)
case("across to the pk", lambda m, o: m.Entry.objects.order_by("id").values("blog__pk"), ordered=True)
case(
    "backwards",
    lambda m, o: m.Blog.objects.order_by("id", "entries__id").values("name", "entries__title"),
    ordered=True,
)
case(
    "backwards to keys",
    lambda m, o: m.Blog.objects.order_by("id", "entries__id").values("name", "entries"),
    ordered=True,
)
case("two steps back", lambda m, o: m.Blog.objects.values("name", "entries__comments__text"))
case("one to one", lambda m, o: m.Author.objects.order_by("id").values("name", "profile__bio"), ordered=True)
case("one to one's key", lambda m, o: m.Author.objects.order_by("id").values("name", "profile"), ordered=True)
case("an expression", lambda m, o: m.Entry.objects.order_by("id").values("id", n=o.F("rating") + 1), ordered=True)
case("an expression across", lambda m, o: m.Entry.objects.order_by("id").values(n=o.F("blog__name")), ordered=True)
case("a function", lambda m, o: m.Entry.objects.order_by("id").values(n=o.Lower("title")), ordered=True)
case(
    "an annotation",
    lambda m, o: m.Entry.objects.annotate(n=o.F("id")).order_by("id").values("n", "title"),
    ordered=True,
)
case(
    "fields and an annotation", lambda m, o: m.Blog.objects.annotate(n=o.F("id")).order_by("id").values(), ordered=True
)
case("annotated after", lambda m, o: m.Entry.objects.order_by("id").values("title").annotate(n=o.F("id")), ordered=True)
case("list of some", lambda m, o: m.Entry.objects.order_by("id").values_list("id", "title"), ordered=True)
case("list of all", lambda m, o: m.Blog.objects.order_by("id").values_list(), ordered=True)
case("flat list", lambda m, o: m.Entry.objects.order_by("id").values_list("title", flat=True), ordered=True)
case("flat list of pk", lambda m, o: m.Entry.objects.order_by("-id").values_list("pk", flat=True), ordered=True)
case("flat list of two", lambda m, o: m.Entry.objects.values_list("id", "title", flat=True))
case("flat and named", lambda m, o: m.Entry.objects.values_list("id", flat=True, named=True))
case("named list", lambda m, o: _named(m))
case(
    "list of an expression",
    lambda m, o: m.Entry.objects.order_by("id").values_list(o.F("rating") * 2, flat=True),
    ordered=True,
)
case("an unknown field", lambda m, o: m.Entry.objects.values("nothing"))
case("an unknown field across", lambda m, o: m.Entry.objects.values("blog__nothing"))
case("past a field", lambda m, o: m.Entry.objects.values("title__nothing"))
case("filter after it", lambda m, o: m.Entry.objects.values("title").filter(rating=5))
case("exclude after it", lambda m, o: m.Entry.objects.values("title").exclude(rating=5))
case("the last call counts", lambda m, o: m.Entry.objects.values("title").values("id"))
case("count", lambda m, o: m.Entry.objects.values("title").count())
case("count over many rows", lambda m, o: m.Blog.objects.values("entries__title").count())
case("get", lambda m, o: m.Entry.objects.values("title").get(id=1))
case("first", lambda m, o: m.Entry.objects.order_by("id").values("title").first())
case("none", lambda m, o: m.Entry.objects.none().values("title"))
case("select_related after it", lambda m, o: m.Entry.objects.values("title").select_related("blog"))
case("only after it", lambda m, o: m.Entry.objects.values("title").only("id"))
case("only", lambda m, o: m.Entry.objects.only("title").order_by("id"), ordered=True)
case("only across", lambda m, o: _only_across(m))
case("defer", lambda m, o: m.Entry.objects.defer("title", "rating").order_by("id"), ordered=True)
case(
    "only, then defer",
    lambda m, o: m.Entry.objects.only("title", "rating").defer("rating").order_by("id"),
    ordered=True,
)
case(
    "defer, then only", lambda m, o: m.Entry.objects.defer("title").only("title", "rating").order_by("id"), ordered=True
)
case("only of an unknown field", lambda m, o: m.Entry.objects.only("nothing"))
case("in_bulk", lambda m, o: m.Entry.objects.in_bulk([1, 2, 99]))
case("in_bulk by a unique field", lambda m, o: m.Tag.objects.in_bulk(["red", "blue"], field_name="name"))
case("in_bulk by another field", lambda m, o: m.Entry.objects.in_bulk(["Lennon"], field_name="title"))
case("in_bulk of nothing", lambda m, o: m.Entry.objects.in_bulk([]))


def _named(m):  # type: ignore[no-untyped-def]
    rows = yield m.Entry.objects.order_by("id").values_list("id", "title", named=True)
    return [(row.id, row.title, row._fields) for row in rows]


def _only_across(m):  # type: ignore[no-untyped-def]
    rows = yield m.Entry.objects.select_related("blog").only("title", "blog__name").order_by("id")
    return [(row.id, row.title, row.blog.name) for row in rows]


# A named expression of values() is an annotation, of rows or of the groups that instances are, for all that follows.
NAMED: dict[str, Any] = {
    "a field": lambda o: {"x": o.F("rating")},
    "a field across": lambda o: {"x": o.F("blog__name")},
    "arithmetic": lambda o: {"x": o.F("rating") + 1},
    "a function": lambda o: {"x": o.Lower("title")},
    "a count": lambda o: {"x": o.Count("comments")},
    "a sum": lambda o: {"x": o.Sum("comments__likes")},
    "a count and a field": lambda o: {"x": o.Count("comments"), "y": o.F("rating")},
}
FOLLOWING: dict[str, Any] = {
    "alone": lambda q, o: q,
    "ordered by it": lambda q, o: q.order_by("x"),
    "filtered by it": lambda q, o: q.filter(x__isnull=False),
    "excluded by it": lambda q, o: q.exclude(x=o.F("x")),
    "counted": lambda q, o: q.count(),
    "distinct": lambda q, o: q.distinct(),
    "chosen again": lambda q, o: q.values("x"),
    "given another name": lambda q, o: q.annotate(z=o.F("x")),
    "sliced": lambda q, o: q.order_by("id")[1:4],
}
for (_label, _columns), (_then, _follow) in itertools.product(NAMED.items(), FOLLOWING.items()):
    for _before, _fields in {"": (), " beside a field": ("title",)}.items():
        if _then == "counted" and _label.startswith("a ") and "field" not in _label and not _fields:
            continue  # Django's own statement is not SQL there.
        case(
            f"{_label}{_before}, {_then}",
            lambda m, o, columns=_columns, follow=_follow, fields=_fields: follow(
                m.Entry.objects.values(*fields, **columns(o)), o
            ),
            ordered=_then == "sliced",
        )
for _label, _query in {
    "a count of groups, counted per instance": lambda m, o: m.Entry.objects.values("rating", n=o.Count("id")),
    "groups, then a count": lambda m, o: m.Entry.objects.values("rating").values("rating", n=o.Count("id")),
    "groups of an expression": lambda m, o: m.Entry.objects.values(x=o.F("rating")).annotate(n=o.Count("id")),
    "a count in a list": lambda m, o: m.Entry.objects.values_list("title", o.Count("comments")),
    "a count alone in a list": lambda m, o: m.Entry.objects.values_list(o.Count("comments")),
    "groups, then a count in a list": lambda m, o: m.Entry.objects.values("rating").values_list(
        "rating", o.Count("id")
    ),
    "of no rows": lambda m, o: m.Entry.objects.filter(id=0).values("title", n=o.Count("comments")),
}.items():
    case(_label, _query)
