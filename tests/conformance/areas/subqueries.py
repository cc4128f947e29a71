"""Subquery, Exists, OuterRef, and querysets as values."""

from __future__ import annotations

from tests.conformance.areas.exclude import ACCIDENT
from tests.conformance.cases import Area

case = Area("subqueries")

case("in a queryset", lambda m, o: m.Entry.objects.filter(blog__in=m.Blog.objects.filter(name__in=["Rock", "Pop"])))
case(
    "in a queryset of keys", lambda m, o: m.Entry.objects.filter(blog__in=m.Blog.objects.filter(id__lt=3).values("id"))
)
case(
    "in a queryset of another column",
    lambda m, o: m.Author.objects.filter(name__in=m.Blog.objects.values("owner__name")),
)
case("in a queryset of NULLs", lambda m, o: m.Author.objects.filter(id__in=m.Blog.objects.values("owner")))
case("not in a queryset", lambda m, o: m.Entry.objects.exclude(blog__in=m.Blog.objects.filter(name="Rock")))
case("not in a queryset of NULLs", lambda m, o: m.Author.objects.exclude(id__in=m.Blog.objects.values("owner")))
case("in an empty queryset", lambda m, o: m.Entry.objects.filter(blog__in=m.Blog.objects.none()), point=5)
case("not in an empty queryset", lambda m, o: m.Entry.objects.exclude(blog__in=m.Blog.objects.none()), point=5)
case("in a queryset of two columns", lambda m, o: m.Entry.objects.filter(blog__in=m.Blog.objects.values("id", "name")))
case("in a queryset of another model", lambda m, o: m.Entry.objects.filter(blog__in=m.Author.objects.all()), point=6)
case("pk in a queryset", lambda m, o: m.Entry.objects.filter(pk__in=m.Entry.objects.filter(rating=5)))
case("exact a queryset", lambda m, o: m.Entry.objects.filter(id=m.Entry.objects.order_by("-id").values("id")[:1]))
case("gt a queryset", lambda m, o: m.Entry.objects.filter(id__gt=m.Entry.objects.order_by("id").values("id")[4:5]))
case("exists", lambda m, o: m.Blog.objects.filter(o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk"), rating=5))))
case("not exists", lambda m, o: m.Blog.objects.filter(~o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk")))))
case(
    "exclude exists",
    lambda m, o: m.Blog.objects.exclude(o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk"), rating=5))),
)
case(
    "exists or",
    lambda m, o: m.Blog.objects.filter(
        o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk"), rating=3)) | o.Q(name="Pop")
    ),
)
case(
    "exists of nothing",
    lambda m, o: m.Blog.objects.filter(o.Exists(m.Entry.objects.none())),
    statements="ours sends none",
)
case("not exists of nothing", lambda m, o: m.Blog.objects.filter(~o.Exists(m.Entry.objects.none())))
case(
    "exists annotated",
    lambda m, o: m.Blog.objects.annotate(k=o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk")))).order_by("id"),
    ordered=True,
)
case(
    "exists annotated and filtered",
    lambda m, o: m.Blog.objects.annotate(k=o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk")))).filter(k=False),
)
case(
    "exists of groups",
    lambda m, o: m.Blog.objects.filter(
        o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk")).annotate(n=o.Count("comments")).filter(n__gt=1))
    ),
)
case(
    "a subquery",
    lambda m, o: m.Blog.objects.annotate(
        t=o.Subquery(m.Entry.objects.filter(blog=o.OuterRef("pk")).order_by("-id").values("title")[:1])
    ).order_by("id"),
    ordered=True,
)
case(
    "a subquery filtered",
    lambda m, o: m.Blog.objects.annotate(
        t=o.Subquery(m.Entry.objects.filter(blog=o.OuterRef("pk")).order_by("-id").values("title")[:1])
    ).filter(t="Dylan"),
)
case(
    "a subquery of NULL",
    lambda m, o: (
        m.Blog.objects.annotate(
            t=o.Subquery(m.Entry.objects.filter(blog=o.OuterRef("pk")).order_by("id").values("rating")[:1])
        )
        .filter(t__isnull=True)
        .order_by("id")
    ),
    ordered=True,
)
case(
    "a subquery ordered by",
    lambda m, o: (
        m.Blog.objects.alias(
            t=o.Subquery(m.Entry.objects.filter(blog=o.OuterRef("pk")).order_by("-id").values("id")[:1])
        )
        .filter(t__isnull=False)
        .order_by("-t")
    ),
    ordered=True,
)
case(
    "a subquery that counts",
    lambda m, o: m.Blog.objects.annotate(
        n=o.Subquery(
            m.Entry.objects.filter(blog=o.OuterRef("pk"))
            .order_by()
            .values("blog")
            .annotate(c=o.Count("id"))
            .values("c")
        )
    ).order_by("id"),
    ordered=True,
)
case(
    "a subquery with arithmetic",
    lambda m, o: m.Blog.objects.annotate(
        n=o.Subquery(m.Entry.objects.filter(blog=o.OuterRef("pk")).order_by("id").values("id")[:1]) + 100
    ).order_by("id"),
    ordered=True,
)
case(
    "an aggregate of a subquery",
    lambda m, o: m.Blog.objects.annotate(
        n=o.Subquery(m.Entry.objects.filter(blog=o.OuterRef("pk")).order_by("id").values("id")[:1])
    ).aggregate(t=o.Sum("n")),
    differs={
        "mysql": "MySQL's sum is a decimal, which Django leaves so; ours is a whole number, as on other databases"
    },
)
case(
    "OuterRef across",
    lambda m, o: m.Entry.objects.filter(o.Exists(m.Author.objects.filter(id=o.OuterRef("blog__owner"), name="Ann"))),
)
case(
    "OuterRef across two",
    lambda m, o: m.Entry.objects.annotate(
        n=o.Subquery(m.Country.objects.filter(name=o.OuterRef("blog__owner__country__name")).values("size")[:1])
    ).order_by("id"),
    ordered=True,
)
case(
    "OuterRef in arithmetic",
    lambda m, o: m.Entry.objects.filter(o.Exists(m.Entry.objects.filter(id=o.OuterRef("rating") + 1))),
)
case(
    "OuterRef in a lookup",
    lambda m, o: m.Entry.objects.filter(
        o.Exists(m.Entry.objects.filter(blog=o.OuterRef("blog"), id__gt=o.OuterRef("id")))
    ),
)
case(
    "OuterRef under NOT",
    lambda m, o: m.Entry.objects.filter(
        ~o.Exists(m.Entry.objects.filter(blog=o.OuterRef("blog")).exclude(id=o.OuterRef("id")))
    ),
)
case(
    "OuterRef of an annotation",
    lambda m, o: m.Entry.objects.annotate(k=o.F("rating") * 2).filter(
        o.Exists(m.Entry.objects.filter(id=o.OuterRef("k")))
    ),
)
case(
    "OuterRef over many rows",
    lambda m, o: m.Blog.objects.filter(
        o.Exists(m.Comment.objects.filter(entry=o.OuterRef("entries"), likes=3))
    ).order_by("id"),
)
for _name, _made in {
    "an OuterRef excluded over many rows": lambda m, o: m.Author.objects.filter(
        o.Exists(m.Blog.objects.exclude(entries__author=o.OuterRef("pk")))
    ),
    "an OuterRef excluded over many-to-many": lambda m, o: m.Tag.objects.filter(
        o.Exists(m.Entry.objects.exclude(tags=o.OuterRef("pk")).filter(rating=5))
    ),
    "an OuterRef negated over many rows": lambda m, o: m.Author.objects.filter(
        o.Exists(m.Blog.objects.filter(~o.Q(entries__author=o.OuterRef("pk")), name__startswith="J"))
    ),
    "an OuterRef compared over many rows, negated": lambda m, o: m.Author.objects.filter(
        o.Exists(m.Blog.objects.exclude(entries__rating__gte=o.OuterRef("id")))
    ),
    "an OuterRef over many rows excluded over many rows": lambda m, o: m.Author.objects.filter(
        o.Exists(m.Blog.objects.exclude(entries=o.OuterRef("entries"))), entries__title="Dylan"
    ),
    "a nested OuterRef over many rows": lambda m, o: m.Author.objects.filter(
        o.Exists(
            m.Blog.objects.filter(
                o.Exists(m.Entry.objects.filter(pk=o.OuterRef(o.OuterRef("entries__pk")), blog=o.OuterRef("pk")))
            )
        ),
        entries__title="Dylan",
    ),
    "an OuterRef with a transform": lambda m, o: m.Author.objects.filter(
        o.Exists(m.Entry.objects.filter(day__year=o.OuterRef("joined__year") - 12))
    ),
    "an OuterRef in a list": lambda m, o: m.Author.objects.filter(
        o.Exists(m.Entry.objects.filter(rating__in=[o.OuterRef("id"), 4], title="Lennon"))
    ),
    "an OuterRef in a union": lambda m, o: m.Author.objects.filter(
        pk__in=m.Entry.objects.filter(author=o.OuterRef("pk"))
        .values("author")
        .union(m.Entry.objects.filter(pk=o.OuterRef("pk")).values("pk"))
    ),
    "an OuterRef beside an aggregate in groups": lambda m, o: (
        m.Author.objects.values("active")
        .annotate(n=o.Count("id"))
        .filter(o.Exists(m.Entry.objects.filter(author=o.OuterRef("pk"))) | o.Q(n__gt=4))
    ),
    "an OuterRef of no field": lambda m, o: m.Author.objects.filter(
        o.Exists(m.Entry.objects.filter(author=o.OuterRef("nothing")))
    ),
    "an OuterRef across in an update": lambda m, o: m.Blog.objects.update(
        tagline=o.Subquery(m.Country.objects.filter(pk=o.OuterRef("owner__country")).values("name")[:1])
    ),
}.items():
    case(_name, _made)
case(
    "nested OuterRef",
    lambda m, o: m.Blog.objects.filter(
        o.Exists(
            m.Entry.objects.filter(
                o.Exists(m.Comment.objects.filter(entry=o.OuterRef("pk"), author=o.OuterRef(o.OuterRef("owner")))),
                blog=o.OuterRef("pk"),
            )
        )
    ),
)
case(
    "nested subqueries",
    lambda m, o: m.Entry.objects.filter(blog__in=m.Blog.objects.filter(owner__in=m.Author.objects.filter(age__gt=30))),
)
case(
    "a subquery of its own table",
    lambda m, o: m.Author.objects.annotate(
        n=o.Subquery(m.Author.objects.filter(mentor=o.OuterRef("pk")).order_by("id").values("name")[:1])
    ).order_by("id"),
    ordered=True,
)
case(
    "OuterRef outside",
    lambda m, o: m.Entry.objects.filter(blog=o.OuterRef("pk")),
)
case(
    "Exists over a join",
    lambda m, o: m.Blog.objects.filter(
        o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk"), author__country__name="Sweden"))
    ),
)
case(
    "Exists over many inside",
    lambda m, o: m.Blog.objects.filter(o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk"), comments__likes=3))),
)
case(
    "exclude inside",
    lambda m, o: m.Blog.objects.filter(
        o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk")).exclude(comments__likes=3))
    ),
)
case(
    "When with Exists",
    lambda m, o: (
        m.Blog.objects.annotate(
            k=o.Case(
                o.When(o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk"))), then=o.Value("y")), default=o.Value("n")
            )
        )
        .order_by("id")
        .values_list("id", "k")
    ),
    ordered=True,
)
case(
    "values of groups in",
    lambda m, o: m.Entry.objects.filter(
        title__in=m.Entry.objects.values("title").annotate(n=o.Count("id")).filter(n__gt=1).values("title")
    ),
)


def _newest(m, o):  # type: ignore[no-untyped-def]
    return m.Entry.objects.filter(blog=o.OuterRef("pk")).order_by("-id").values("title")[:1]


def _best(m, o):  # type: ignore[no-untyped-def]
    return m.Entry.objects.filter(blog=o.OuterRef("pk")).order_by("-rating", "id").values("rating")[:1]


def _entry_counts(m, o):  # type: ignore[no-untyped-def]
    entries = m.Entry.objects.filter(author=o.OuterRef("pk")).order_by()
    return entries.values("author").annotate(n=o.Count("id")).values("n")


for _name, _made in {
    "annotated": lambda m, o: m.Blog.objects.annotate(k=_newest(m, o)).order_by("id").values_list("id", "k"),
    "a flat one, annotated": lambda m, o: (
        m.Blog.objects.annotate(
            k=m.Entry.objects.filter(blog=o.OuterRef("pk")).order_by("id").values_list("title", flat=True)[:1]
        )
        .order_by("id")
        .values_list("id", "k")
    ),
    "of groups": lambda m, o: m.Author.objects.annotate(k=_entry_counts(m, o)).order_by("id").values_list("id", "k"),
    "in a function": lambda m, o: (
        m.Blog.objects.annotate(k=o.Coalesce(_newest(m, o), o.Value("-"))).order_by("id").values_list("id", "k")
    ),
    "in arithmetic": lambda m, o: (
        m.Author.objects.annotate(k=o.F("id") + _entry_counts(m, o)).order_by("id").values_list("id", "k")
    ),
    "in a Case": lambda m, o: (
        m.Blog.objects.annotate(k=o.Case(o.When(id__gt=2, then=_newest(m, o)), default=o.Value("early")))
        .order_by("id")
        .values_list("id", "k")
    ),
    "filtered on": lambda m, o: m.Blog.objects.alias(k=_newest(m, o)).filter(k__startswith="L").order_by("id"),
}.items():
    case(f"a bare queryset {_name}", _made, ordered=True)
case("a bare queryset compared with", lambda m, o: m.Entry.objects.filter(title=_titles(m)[:1]))
case("a bare queryset excluded", lambda m, o: m.Entry.objects.exclude(title=_titles(m)[:1]))
case("a bare queryset of several compared with", lambda m, o: m.Entry.objects.filter(title=_titles(m)))
case("a bare queryset that is correlated", lambda m, o: m.Blog.objects.filter(entries__rating=_best(m, o)))
case(
    "Exists of what equals a subquery",
    lambda m, o: m.Blog.objects.filter(
        o.Exists(m.Entry.objects.filter(blog=o.OuterRef("pk"), rating=o.Subquery(_top_rating(m, o))))
    ),
)
case("a bare queryset written", lambda m, o: _updated_bare(m, o), writes=True)
case(
    "an annotated queryset of two columns",
    lambda m, o: m.Blog.objects.annotate(k=m.Entry.objects.values("id", "title")),
    differs="refused before it reaches the database: one column is a value",
)
case("update with a subquery", lambda m, o: _updated(m, o), writes=True)
case("delete with exists", lambda m, o: _deleted(m, o), writes=True, statements="ours is one statement")


def _top_rating(m, o):  # type: ignore[no-untyped-def]
    return m.Entry.objects.filter(blog=o.OuterRef("blog")).order_by("rating", "id").values("rating")[:1]


def _titles(m):  # type: ignore[no-untyped-def]
    return m.Entry.objects.filter(rating=5).order_by("id").values("title")


def _updated_bare(m, o):  # type: ignore[no-untyped-def]
    newest = m.Author.objects.filter(id=o.OuterRef("owner")).values("name")[:1]
    done = yield m.Blog.objects.update(tagline=newest)
    return done, (yield m.Blog.objects.order_by("id").values_list("id", "tagline"))


def _updated(m, o):  # type: ignore[no-untyped-def]
    newest = m.Author.objects.filter(id=o.OuterRef("owner")).values("name")[:1]
    done = yield m.Blog.objects.update(tagline=o.Subquery(newest))
    return done, (yield m.Blog.objects.order_by("id").values_list("id", "tagline"))


def _deleted(m, o):  # type: ignore[no-untyped-def]
    done = yield m.Tag.objects.filter(o.Exists(m.Blog.objects.filter(id=o.OuterRef("pk"), name="Rock"))).delete()
    return o.deleted(done, "Tag"), (yield m.Tag.objects.order_by("id").values_list("id", flat=True))


# An OuterRef over a relation to many rows is about the row that the call around it has joined: where it stands, with
# which conditions on the same relation, and what filtered before and after.
_RELATIONS = {
    "a reverse foreign key": ("Blog", "entries__blog", "entries"),
    "a many-to-many relation": ("Author", "friends", "friends"),
    "two relations to many": ("Tag", "entries__tags", "entries"),
}


class _Outer:
    """An outer query of authors, and a subquery of the rows that an `OuterRef` over a relation to many leads to."""

    def __init__(self, m, o, relation: str) -> None:  # type: ignore[no-untyped-def]
        model, self.path, self.many = _RELATIONS[relation]
        self.m, self.o = m, o
        self.rows = getattr(m, model).objects.filter(pk=o.OuterRef(self.path))
        self.some = o.Exists(self.rows.filter(name__in=["Rock", "Folk", "Bob", "Eve", "red"]))
        self.name = o.Subquery(self.rows.values("name"))
        attribute = "age" if self.many == "friends" else "rating"
        self.number = f"{self.many}__{attribute}"

    def above(self, number: int) -> dict[str, int]:
        """A condition on the same relation."""
        return {f"{self.number}__gte": number}


_PLACEMENTS = {
    "filter": lambda q, s: q.filter(s.some),
    "filter with a condition": lambda q, s: q.filter(s.some, **s.above(4)),
    "filter with a condition before it": lambda q, s: q.filter(s.o.Q(**s.above(4)) & s.some),
    "filter NOT with a condition": lambda q, s: q.filter(~s.some, **s.above(4)),
    "filter OR a condition": lambda q, s: q.filter(s.some | s.o.Q(**s.above(5))),
    "exclude": lambda q, s: q.exclude(s.some),
    "exclude with a condition": lambda q, s: q.exclude(s.some, **s.above(4)),
    "filter compared": lambda q, s: q.filter(**{f"{s.path}__name": s.name}),
    "filter in": lambda q, s: q.filter(**{f"{s.path}__in": s.rows}),
    "exclude in": lambda q, s: q.exclude(**{f"{s.path}__in": s.rows}),
    "annotate": lambda q, s: q.annotate(x=s.some).values_list("id", "x"),
    "annotate a value": lambda q, s: q.annotate(x=s.name).values_list("id", "x"),
    "annotate and filter": lambda q, s: q.annotate(x=s.name).filter(**s.above(4)).values_list("id", "x"),
    "annotate and filter on it": lambda q, s: q.annotate(x=s.some).filter(x=True, **s.above(4)),
    "Count(filter=)": lambda q, s: q.annotate(n=s.o.Count(s.many, filter=s.some)).values_list("id", "n"),
    "Sum(filter=NOT)": lambda q, s: q.annotate(n=s.o.Sum(s.number, filter=~s.some)).values_list("id", "n"),
    "Count beside it": lambda q, s: q.annotate(n=s.o.Count(s.many), x=s.some).values_list("id", "n", "x"),
    "When": lambda q, s: q.annotate(
        x=s.o.Case(s.o.When(s.some, then=s.o.Value("y")), default=s.o.Value("n"))
    ).values_list("id", "x"),
    "Sum of Case": lambda q, s: q.annotate(
        n=s.o.Sum(s.o.Case(s.o.When(s.some, then=s.o.Value(1)), default=s.o.Value(10)))
    ).values_list("id", "n"),
    "values": lambda q, s: q.values("id", x=s.name),
    "order_by": lambda q, s: q.order_by(s.name, "id").filter(**s.above(0)),
    "aggregate": lambda q, s: q.aggregate(n=s.o.Count(s.many, filter=s.some)),
    "count": lambda q, s: q.filter(s.some, **s.above(4)).count(),
}
_SURROUNDINGS = {
    "alone": lambda q, s, place: place(q, s),
    "after a filter": lambda q, s, place: place(q.filter(**s.above(3)), s),
    "after two filters": lambda q, s, place: place(q.filter(**s.above(3)).filter(**s.above(5)), s),
    "after an exclude": lambda q, s, place: place(q.exclude(**s.above(5)), s),
    "after the same in a filter": lambda q, s, place: place(q.filter(s.some), s),
    "before a filter": lambda q, s, place: place(q, s).filter(**s.above(3)),
    "before an exclude": lambda q, s, place: place(q, s).exclude(**s.above(5)),
}
_UNDERSCORES = (
    "Django takes a relation to many rows whose name has no underscores for one to a single row when it groups"
)
_DIFFERENT = {
    **{
        ("a many-to-many relation", "Count beside it", surrounding): _UNDERSCORES
        for surrounding in ("alone", "after a filter", "after two filters", "before a filter")
    },
    **{
        ("a many-to-many relation", "exclude with a condition", surrounding): ACCIDENT
        for surrounding in ("after a filter", "after two filters", "after the same in a filter")
    },
}
for _relation in _RELATIONS:
    for _placement, _place in _PLACEMENTS.items():
        for _surrounding, _surround in _SURROUNDINGS.items():
            if _surrounding.startswith("before") and _placement in ("aggregate", "count"):
                continue

            def _query(m, o, relation=_relation, place=_place, surround=_surround):  # type: ignore[no-untyped-def]
                return surround(m.Author.objects.all(), _Outer(m, o, relation), place)

            _differs = _DIFFERENT.get((_relation, _placement, _surrounding), "")
            case(f"OuterRef over {_relation}: {_placement}, {_surrounding}", _query, differs=_differs)
