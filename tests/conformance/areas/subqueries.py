"""Subquery, Exists, OuterRef, and querysets as values."""

from __future__ import annotations

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
