"""FilteredRelation: conditions in the join of a relation."""

from __future__ import annotations

from typing import Any

from tests.conformance.areas.deletes import deleted
from tests.conformance.cases import Area

case = Area("filtered relations")


def entries(o: Any, **lookups: Any) -> Any:
    return o.FilteredRelation("entries", condition=o.Q(**lookups or {"entries__rating__gte": 4}))


def blogs(m: Any, o: Any) -> Any:
    return m.Blog.objects.annotate(best=entries(o))


def entry_blogs(m: Any, o: Any) -> Any:
    return m.Entry.objects.annotate(named=o.FilteredRelation("blog", condition=o.Q(blog__name="Rock")))


def commented_by(m: Any, o: Any) -> Any:
    return m.Comment.objects.annotate(a=o.FilteredRelation("author", condition=o.Q(author__age__gt=20)))


INNER = "Django joins a relation that may not be null by an INNER JOIN, and loses the rows without a match"

case("unused", lambda m, o: blogs(m, o).order_by("id"), ordered=True)
case("counted while unused", lambda m, o: blogs(m, o).count())
case("filtered by", lambda m, o: blogs(m, o).filter(best__rating=5).order_by("id"), ordered=True)
case("filtered by its key", lambda m, o: blogs(m, o).filter(best__isnull=False))
case("filtered by no row", lambda m, o: blogs(m, o).filter(best__isnull=True))
case("filtered by an instance's key", lambda m, o: blogs(m, o).filter(best=1))
case("excluded by", lambda m, o: blogs(m, o).exclude(best__rating=5))
case("excluded by a nullable column", lambda m, o: blogs(m, o).exclude(best__price__gt=1))
case("or", lambda m, o: blogs(m, o).filter(o.Q(best__rating=5) | o.Q(best__isnull=True)))
case("two filters share the join", lambda m, o: blogs(m, o).filter(best__rating=5).filter(best__featured=True))
case("values", lambda m, o: blogs(m, o).values("name", "best__title", "best__rating"))
case("values of its key", lambda m, o: blogs(m, o).values_list("name", "best"))
case("values of a relation after it", lambda m, o: blogs(m, o).values("name", "best__author__name"))
case("a relation after it in a filter", lambda m, o: blogs(m, o).filter(best__author__country__name__startswith="N"))
case("a relation to many after it", lambda m, o: blogs(m, o).values("name", "best__comments__text"))
case("ordered by", lambda m, o: blogs(m, o).order_by("best__rating", "best__id", "id").values_list("id", "best__id"))
case("ordered by descending", lambda m, o: blogs(m, o).filter(best__id__gt=0).order_by("-best__id"), ordered=True)
case("counted", lambda m, o: blogs(m, o).annotate(n=o.Count("best")).order_by("id"), ordered=True)
case("aggregated", lambda m, o: blogs(m, o).annotate(top=o.Max("best__rating"), n=o.Count("best__author")))
case("aggregate()", lambda m, o: blogs(m, o).aggregate(n=o.Count("best"), s=o.Sum("best__rating")))
case("aggregate() of a slice", lambda m, o: blogs(m, o).order_by("id")[:3].aggregate(n=o.Count("best__title")))
case("grouped by", lambda m, o: blogs(m, o).values("best__rating").annotate(n=o.Count("id")).order_by())
case("having", lambda m, o: blogs(m, o).annotate(n=o.Count("best")).filter(n__gt=0))
case("in an expression", lambda m, o: blogs(m, o).annotate(x=o.F("best__rating") + 1).values("id", "x"))
case(
    "in a case",
    lambda m, o: (
        blogs(m, o)
        .annotate(k=o.Case(o.When(best__isnull=True, then=o.Value("none")), default=o.Value("some")))
        .values("id", "k")
    ),
)
case("in a subquery", lambda m, o: m.Entry.objects.filter(blog__in=blogs(m, o).filter(best__featured=True)))
case(
    "in a correlated subquery",
    lambda m, o: m.Author.objects.annotate(
        t=o.Subquery(blogs(m, o).filter(owner=o.OuterRef("pk")).order_by("best__title").values("best__title")[:1])
    ).values("id", "t"),
)
case("distinct", lambda m, o: blogs(m, o).filter(best__rating__gte=4).distinct())
case("exists()", lambda m, o: blogs(m, o).filter(best__rating=5).exists())
case("count()", lambda m, o: blogs(m, o).filter(best__rating=5).count())
case("no condition", lambda m, o: m.Blog.objects.annotate(e=o.FilteredRelation("entries")).values("id", "e__title"))
case(
    "beside the relation itself",
    lambda m, o: blogs(m, o).filter(entries__rating=3).values("id", "best__id", "entries__id"),
)
case(
    "two of one relation",
    lambda m, o: (
        blogs(m, o)
        .annotate(worst=entries(o, entries__rating__lt=4))
        .annotate(b=o.Count("best", distinct=True), w=o.Count("worst", distinct=True))
        .values("id", "b", "w")
    ),
)
case(
    "a condition of several",
    lambda m, o: m.Blog.objects.annotate(
        x=o.FilteredRelation(
            "entries", condition=o.Q(entries__rating__gte=3) & ~o.Q(entries__featured=True) | o.Q(entries__title="None")
        )
    ).values("id", "x__id"),
)
case(
    "a condition of a nullable column, negated",
    lambda m, o: m.Blog.objects.annotate(x=o.FilteredRelation("entries", condition=~o.Q(entries__price__gt=5))).values(
        "id", "x__id"
    ),
)
case(
    "a condition of the relation's key",
    lambda m, o: m.Blog.objects.annotate(x=entries(o, entries__author=1)).values("id", "x__id"),
)
case(
    "a condition of the model itself",
    lambda m, o: m.Blog.objects.annotate(x=entries(o, tagline__isnull=True)).values("id", "x__id"),
)
case(
    "a condition with F",
    lambda m, o: m.Blog.objects.annotate(x=entries(o, entries__title=o.F("name"))).values("id", "x__id"),
)
case(
    "a condition of a list",
    lambda m, o: m.Blog.objects.annotate(x=entries(o, entries__rating__in=[3, 5])).values("id", "x__id"),
)
case(
    "a condition of an empty list",
    lambda m, o: m.Blog.objects.annotate(x=entries(o, entries__rating__in=[])).values("id", "x__id"),
    differs="Django takes an empty list in the condition of a join for a query without rows",
)
case("to one", lambda m, o: entry_blogs(m, o).values("id", "named__name"), differs=INNER)
case("to one, its key", lambda m, o: entry_blogs(m, o).values("id", "named", "named__id", "blog"), differs=INNER)
case("to one, filtered", lambda m, o: entry_blogs(m, o).filter(named__isnull=True), differs=INNER)
case(
    "to one, ordered",
    lambda m, o: entry_blogs(m, o).order_by("named__name", "id").values_list("id", flat=True),
    differs=INNER,
)
case(
    "to one, beside the relation",
    lambda m, o: entry_blogs(m, o).values("id", "named__name", "blog__name"),
    differs=INNER,
)
case("to one, further", lambda m, o: entry_blogs(m, o).values("id", "named__owner__name"), differs=INNER)
case(
    "reverse one-to-one",
    lambda m, o: m.Author.objects.annotate(p=o.FilteredRelation("profile", condition=o.Q(profile__level__gt=1))).values(
        "id", "p__bio"
    ),
)
case(
    "many to many",
    lambda m, o: (
        m.Entry.objects.annotate(t=o.FilteredRelation("tags", condition=o.Q(tags__uses__gt=1)))
        .annotate(n=o.Count("t"))
        .values("id", "n")
    ),
)
case(
    "many to many, filtered",
    lambda m, o: m.Entry.objects.annotate(t=o.FilteredRelation("tags", condition=o.Q(tags__uses__gt=1))).filter(
        t__name__isnull=False
    ),
)
case(
    "a path of relations",
    lambda m, o: (
        m.Author.objects.annotate(
            c=o.FilteredRelation("entries__comments", condition=o.Q(entries__comments__likes__gt=1))
        )
        .values("id", "c__text")
        .order_by()
    ),
)
case(
    "a path to one",
    lambda m, o: m.Comment.objects.annotate(
        b=o.FilteredRelation("entry__blog", condition=o.Q(entry__blog__name="Rock"))
    ).values("id", "b__name"),
    differs=INNER,
)
case("updated", lambda m, o: blogs(m, o).filter(best__rating=5).update(tagline="best"), writes=True)
case("deleted", deleted(lambda m, o: commented_by(m, o).filter(a__isnull=False), "Comment"), writes=True)
case(
    "a condition over another relation",
    lambda m, o: m.Entry.objects.annotate(
        c=o.FilteredRelation("comments", condition=o.Q(comments__likes__gt=1, blog__name="Rock"))
    ).values("id", "c__id"),
)
case(
    "a condition over a nullable relation",
    lambda m, o: m.Entry.objects.annotate(
        c=o.FilteredRelation("comments", condition=o.Q(comments__text=o.F("author__name")) | o.Q(author__age=30))
    ).values("id", "c__id", "author__name"),
)
case(
    "one that goes on from another",
    lambda m, o: (
        blogs(m, o)
        .annotate(said=o.FilteredRelation("best__comments", condition=o.Q(best__comments__likes__gt=0)))
        .values("id", "best__title", "said__text")
    ),
)
case(
    "one that goes on from another, counted",
    lambda m, o: (
        blogs(m, o)
        .annotate(said=o.FilteredRelation("best__comments", condition=o.Q(best__comments__likes__gt=0)))
        .annotate(n=o.Count("said"), e=o.Count("best", distinct=True))
        .values("id", "n", "e")
    ),
)
case(
    "a condition over the one before it",
    lambda m, o: (
        blogs(m, o)
        .annotate(
            said=o.FilteredRelation(
                "best__comments",
                condition=o.Q(best__comments__likes__gt=o.F("best__rating")) | o.Q(best__featured=True),
            )
        )
        .values("id", "said__text")
    ),
)
case(
    "to one that goes on from another",
    lambda m, o: (
        blogs(m, o)
        .annotate(writer=o.FilteredRelation("best__author", condition=o.Q(best__author__active=True)))
        .values("id", "best__id", "writer__name")
    ),
)
case("alias", lambda m, o: m.Blog.objects.alias(best=entries(o)).filter(best__rating=5))
case("an unknown relation", lambda m, o: m.Blog.objects.annotate(x=o.FilteredRelation("nothing")).filter(x__id=1))
case("a name that is taken", lambda m, o: m.Blog.objects.annotate(name=entries(o)))
case("an unknown field of it", lambda m, o: blogs(m, o).filter(best__nothing=1))
case(
    "a condition that leads further",
    lambda m, o: m.Blog.objects.annotate(x=entries(o, entries__author__country__name="x")).filter(x__id=1),
)
for _name, _found in {
    "an instance": lambda rows, entry, other: rows.filter(best=entry),
    "instances": lambda rows, entry, other: rows.filter(best__in=[entry, other]),
    "anything but an instance": lambda rows, entry, other: rows.exclude(best=entry),
    "a key": lambda rows, entry, other: rows.filter(best=entry.pk),
}.items():

    def _by_instance(m, o, found=_found):  # type: ignore[no-untyped-def]
        entry = yield m.Entry.objects.get(id=1)
        other = yield m.Entry.objects.get(id=3)
        return (yield found(blogs(m, o), entry, other).order_by("id").values_list("id", flat=True))

    case(f"compared with {_name}", _by_instance)
