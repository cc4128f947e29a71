"""union, intersection, difference."""

from __future__ import annotations

import itertools
import operator
from typing import Any

from tests.conformance.cases import Area

case = Area("set operations")

case("union", lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(title="Lennon")))
case("union all", lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(title="Lennon"), all=True))
case(
    "union of three",
    lambda m, o: m.Entry.objects.filter(rating=5).union(
        m.Entry.objects.filter(rating=4), m.Entry.objects.filter(rating=1)
    ),
)
case(
    "intersection",
    lambda m, o: m.Entry.objects.filter(rating__gte=4).intersection(m.Entry.objects.filter(title="Lennon")),
)
case(
    "difference", lambda m, o: m.Entry.objects.filter(rating__gte=4).difference(m.Entry.objects.filter(title="Lennon"))
)
case(
    "union ordered",
    lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(rating=4)).order_by("-id"),
    ordered=True,
)
case(
    "union sliced",
    lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(rating=4)).order_by("id")[1:3],
    ordered=True,
)
case(
    "union counted", lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(title="Lennon")).count()
)
case("union exists", lambda m, o: m.Entry.objects.filter(rating=99).union(m.Entry.objects.filter(rating=98)).exists())
case(
    "union of values",
    lambda m, o: m.Entry.objects.values_list("title", flat=True).union(m.Blog.objects.values_list("name", flat=True)),
)
case(
    "union all of values",
    lambda m, o: m.Entry.objects.values_list("title", flat=True).union(
        m.Blog.objects.values_list("name", flat=True), all=True
    ),
)
case(
    "values of a union",
    lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(rating=4)).values("title"),
)
case("union with none", lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.none()))
case("none with a union", lambda m, o: m.Entry.objects.none().union(m.Entry.objects.filter(rating=5)))
case("intersection with none", lambda m, o: m.Entry.objects.filter(rating=5).intersection(m.Entry.objects.none()))
case("difference with none", lambda m, o: m.Entry.objects.filter(rating=5).difference(m.Entry.objects.none()))
case("none minus", lambda m, o: m.Entry.objects.none().difference(m.Entry.objects.filter(rating=5)))
case(
    "filter after it",
    lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(rating=4)).filter(id=1),
)
case(
    "annotate after it",
    lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(rating=4)).annotate(n=o.F("id")),
)
case(
    "update after it",
    lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(rating=4)).update(rating=1),
    writes=True,
)
case(
    "delete after it",
    lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(rating=4)).delete(),
    writes=True,
)
case(
    "first of it",
    lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(rating=4)).order_by("id").first(),
)
case(
    "of joined queries",
    lambda m, o: m.Entry.objects.filter(blog__name="Rock").union(m.Entry.objects.filter(author__name="Ann")),
)
case(
    "of groups",
    lambda m, o: (
        m.Blog.objects.annotate(n=o.Count("entries"))
        .values("id", "n")
        .union(m.Author.objects.annotate(n=o.Count("entries")).values("id", "n"))
    ),
)
case(
    "in a union",
    lambda m, o: m.Comment.objects.filter(
        entry__in=m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(rating=4))
    ),
    theirs=lambda m, o: m.Comment.objects.filter(
        entry__in=m.Entry.objects.filter(rating=5).values("id").union(m.Entry.objects.filter(rating=4).values("id"))
    ),
)
case(
    "in a union of values",
    lambda m, o: m.Comment.objects.filter(
        entry__in=m.Entry.objects.filter(rating=5).values("id").union(m.Entry.objects.filter(rating=4).values("id"))
    ),
)
case(
    "a union has a row",
    lambda m, o: m.Author.objects.filter(
        o.Exists(
            m.Entry.objects.filter(author=o.OuterRef("pk"), rating=5).union(
                m.Entry.objects.filter(author=o.OuterRef("pk"), rating=1)
            )
        )
    ),
)
case("none of a union", lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(rating=4)).none())
case(
    "count of none of a union",
    lambda m, o: m.Entry.objects.filter(rating=5).union(m.Entry.objects.filter(rating=4)).none().count(),
)

# Querysets joined by &, | and ^, each with each.
OPERANDS: dict[str, Any] = {
    "filter": lambda m: m.Entry.objects.filter(title="Lennon"),
    "exclude": lambda m: m.Entry.objects.exclude(title="Dylan"),
    "none": lambda m: m.Entry.objects.none(),
    "none of a filter": lambda m: m.Entry.objects.filter(rating=5).none(),
    "an empty in": lambda m: m.Entry.objects.filter(id__in=[]),
    "all": lambda m: m.Entry.objects.all(),
    "across": lambda m: m.Entry.objects.filter(blog__name="Rock"),
}
OPERATORS: dict[str, Any] = {"&": operator.and_, "|": operator.or_, "^": operator.xor}

for (_left, _one), (_sign, _combine), (_right, _other) in itertools.product(
    OPERANDS.items(), OPERATORS.items(), OPERANDS.items()
):
    if _sign == "^" and "all" in (_left, _right):
        continue  # On MySQL's XOR, Django leaves out a queryset without conditions.
    case(
        f"{_left} {_sign} {_right}",
        lambda m, o, one=_one, combine=_combine, other=_other: combine(one(m), other(m)),
    )
