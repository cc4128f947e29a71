"""`OuterRef` beyond comparisons, `Subquery` under `in`, and subqueries that are sliced or ordered."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Area

case = Area("references to outer queries")


def _of_blog(m: Any, o: Any) -> Any:
    return m.Entry.objects.filter(blog=o.OuterRef("pk"))


for _name, _rows in {
    "Subquery in": lambda m, o: m.Blog.objects.filter(
        pk__in=o.Subquery(m.Entry.objects.filter(rating=5).values("blog"))
    ),
    "not in a Subquery": lambda m, o: m.Blog.objects.exclude(
        pk__in=o.Subquery(m.Entry.objects.filter(rating=5).values("blog"))
    ),
    "a column in a Subquery": lambda m, o: m.Author.objects.filter(
        name__in=o.Subquery(m.Blog.objects.values("owner__name"))
    ),
    "over many rows in a Subquery": lambda m, o: m.Blog.objects.exclude(
        entries__rating__in=o.Subquery(m.Entry.objects.filter(id=5).values("rating"))
    ),
    "in a correlated Subquery": lambda m, o: m.Blog.objects.filter(
        owner__in=o.Subquery(_of_blog(m, o).values("author"))
    ),
    "OuterRef in a list": lambda m, o: m.Blog.objects.filter(
        o.Exists(m.Entry.objects.filter(rating__in=[o.OuterRef("pk"), 9]))
    ),
    "an annotation that is an OuterRef": lambda m, o: m.Blog.objects.annotate(
        k=o.Subquery(_of_blog(m, o).annotate(n=o.OuterRef("name")).values("n")[:1])
    ),
    "an annotation that is an OuterRef, compared": lambda m, o: m.Blog.objects.filter(
        o.Exists(m.Entry.objects.annotate(n=o.OuterRef("pk")).filter(blog=o.F("n")))
    ),
    "OuterRef and a field, ordered by": lambda m, o: m.Author.objects.filter(age__isnull=False).annotate(
        k=o.Subquery(
            m.Author.objects.filter(age__isnull=False)
            .annotate(r=o.OuterRef("age") + o.F("age"))
            .order_by("-r")
            .values("r")[:1]
        )
    ),
    "a transform of OuterRef": lambda m, o: m.Entry.objects.filter(
        o.Exists(m.Author.objects.filter(joined__month=o.OuterRef("day__month")))
    ),
    "a function of OuterRef": lambda m, o: m.Tag.objects.filter(
        o.Exists(m.Remark.objects.filter(tag=o.Lower(o.OuterRef("name"))))
    ),
    "two levels of OuterRef": lambda m, o: m.Blog.objects.filter(
        o.Exists(
            m.Entry.objects.filter(
                o.Exists(m.Comment.objects.filter(entry=o.OuterRef("pk"), entry__blog=o.OuterRef(o.OuterRef("pk"))))
            )
        )
    ),
    "a count of a correlated query, ordered by it": lambda m, o: m.Author.objects.annotate(
        k=o.Subquery(
            m.Entry.objects.values("title")
            .annotate(n=o.Count("id", filter=o.Q(author=o.OuterRef("pk"))))
            .order_by("-n", "title")
            .values("n")[:1]
        )
    ),
    "exists of a slice": lambda m, o: m.Blog.objects.filter(o.Exists(_of_blog(m, o).order_by("id")[:1])),
    "exists of the second": lambda m, o: m.Blog.objects.filter(o.Exists(_of_blog(m, o).order_by("id")[1:])),
    "exists of the second alone": lambda m, o: m.Blog.objects.filter(o.Exists(_of_blog(m, o).order_by("id")[1:2])),
    "not exists of the second": lambda m, o: m.Blog.objects.filter(~o.Exists(_of_blog(m, o).order_by("id")[1:2])),
    "distinct rows in exists": lambda m, o: m.Blog.objects.filter(
        o.Exists(_of_blog(m, o).values("title").order_by("title").distinct()[1:2])
    ),
}.items():
    case(_name, lambda m, o, rows=_rows: rows(m, o).order_by("id"), ordered=True)
case(
    "in a correlated slice of one",
    lambda m, o: m.Entry.objects.filter(
        id__in=m.Entry.objects.filter(blog=o.OuterRef("blog")).order_by("-rating", "id").values("id")[:1]
    ),
    differs={"mysql": "MySQL takes no LIMIT inside IN, and Django leaves it so; ours puts the slice a level deeper"},
)
case(
    "not in a correlated slice of one",
    lambda m, o: m.Entry.objects.exclude(
        id__in=m.Entry.objects.filter(blog=o.OuterRef("blog")).order_by("-rating", "id").values("id")[:1]
    ),
    differs={"mysql": "MySQL takes no LIMIT inside IN, and Django leaves it so; ours puts the slice a level deeper"},
)
for _name, _key in {
    "Exists": lambda m, o: o.Exists(_of_blog(m, o).filter(rating=5)),
    "a Subquery": lambda m, o: o.Subquery(_of_blog(m, o).order_by("id").values("title")[:1]),
    "a Subquery's length": lambda m, o: o.Length(o.Subquery(_of_blog(m, o).order_by("id").values("title")[:1])),
}.items():
    case(
        f"group by {_name}",
        lambda m, o, k=_key: (
            m.Blog.objects.annotate(k=k(m, o)).values("k").annotate(n=o.Count("id")).order_by("n", "k")
        ),
    )
    case(
        f"distinct by {_name}",
        lambda m, o, k=_key: m.Blog.objects.annotate(k=k(m, o)).values("k").order_by("k").distinct(),
    )
    case(
        f"aggregate beside {_name}",
        lambda m, o, k=_key: m.Blog.objects.annotate(k=k(m, o), n=o.Count("entries")).order_by("id"),
        ordered=True,
    )
for _name, _negated in {"a subquery of no rows": False, "the negation of a subquery of no rows": True}.items():
    for _method in ("filter", "exclude"):
        case(
            f"{_method} by {_name} that refers to many rows",
            lambda m, o, method=_method, negated=_negated: getattr(m.Country.objects, method)(
                o.Q(~nobody(m, o) if negated else nobody(m, o))
            ),
            statements="ours sends none" if (_method == "filter") != _negated else "",
        )


def nobody(m: Any, o: Any) -> Any:
    """That there is one of no authors, who would be one of a country's."""
    return o.Exists(m.Author.objects.filter(pk=o.OuterRef("authors__id"), id__in=()))
