"""Joins, and relations that lead to many rows: which row a condition is about, and how often a row comes."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("joins and many rows")

# Forward.
case("across one relation", lambda m, o: m.Entry.objects.filter(blog__name="Rock").order_by("id"), ordered=True)
case("across two", lambda m, o: m.Entry.objects.filter(blog__owner__name="Ann").order_by("id"), ordered=True)
case("across three", lambda m, o: m.Entry.objects.filter(blog__owner__country__name="Sweden"))
case("the relation itself, by key", lambda m, o: m.Entry.objects.filter(blog=1))
case("the relation's key", lambda m, o: m.Entry.objects.filter(blog_id=1))
case("the relation's pk", lambda m, o: m.Entry.objects.filter(blog__pk=1))
case("the relation's id", lambda m, o: m.Entry.objects.filter(blog__id=1))
case("relation in keys", lambda m, o: m.Entry.objects.filter(author__in=[1, 3]))
case("relation isnull", lambda m, o: m.Entry.objects.filter(author__isnull=True))
case("relation exact None", lambda m, o: m.Entry.objects.filter(author=None), point=5)
case("to itself", lambda m, o: m.Author.objects.filter(mentor__name="Ann"))
case("to itself, twice", lambda m, o: m.Author.objects.filter(mentor__mentor__name="Ann"))
case("by an instance", lambda m, o: _by_instance(m))
case("by instances", lambda m, o: _by_instances(m))
case("backwards by an instance", lambda m, o: _backwards_by_instance(m))
case("select_related", lambda m, o: _related(m))


def _by_instance(m):  # type: ignore[no-untyped-def]
    ann = yield m.Author.objects.get(id=1)
    return (yield m.Entry.objects.filter(author=ann).order_by("id"))


def _by_instances(m):  # type: ignore[no-untyped-def]
    authors = yield m.Author.objects.filter(id__in=[1, 3])
    return (yield m.Entry.objects.filter(author__in=authors).order_by("id"))


def _backwards_by_instance(m):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.get(id=5)
    return (yield m.Blog.objects.filter(entries=entry))


def _related(m):  # type: ignore[no-untyped-def]
    entries = yield m.Entry.objects.select_related("blog__owner", "author").order_by("id")
    return [(e.title, e.blog.name, e.blog.owner and e.blog.owner.name, e.author and e.author.name) for e in entries]


# Backward.
case("backwards", lambda m, o: m.Blog.objects.filter(entries__title="Dylan").order_by("id"), ordered=True)
case(
    "a parent comes once for each child",
    lambda m, o: m.Blog.objects.filter(entries__rating__gte=1).order_by("id").values_list("id", flat=True),
    ordered=True,
    point=1,
)
case("distinct removes them", lambda m, o: m.Blog.objects.filter(entries__rating__gte=1).distinct(), point=1)
case(
    "one filter: the same row", lambda m, o: m.Blog.objects.filter(entries__title="Lennon", entries__rating=3), point=1
)
case(
    "two filters: perhaps another row",
    lambda m, o: m.Blog.objects.filter(entries__title="Lennon").filter(entries__rating=3),
    point=1,
)
case(
    "two Qs in one filter: the same row",
    lambda m, o: m.Blog.objects.filter(o.Q(entries__title="Lennon"), o.Q(entries__rating=3)),
    point=1,
)
case(
    "Q and keyword: the same row",
    lambda m, o: m.Blog.objects.filter(o.Q(entries__title="Lennon"), entries__rating=3),
    point=1,
)
case(
    "three filters, three joins",
    lambda m, o: (
        m.Blog.objects.filter(entries__rating__gte=1)
        .filter(entries__rating__gte=1)
        .filter(entries__rating__gte=1)
        .order_by("id")
        .values_list("id", flat=True)
    ),
    ordered=True,
    point=1,
)
case(
    "count counts them all",
    lambda m, o: m.Blog.objects.filter(entries__rating__gte=1).filter(entries__rating__gte=1).count(),
    point=1,
)
case("count of distinct ones", lambda m, o: m.Blog.objects.filter(entries__rating__gte=1).distinct().count(), point=1)
case("exists", lambda m, o: m.Blog.objects.filter(entries__comments__likes__gt=5).exists())
case("two steps back", lambda m, o: m.Blog.objects.filter(entries__comments__text="good").order_by("id"))
case(
    "two steps back, the same rows",
    lambda m, o: m.Blog.objects.filter(entries__comments__text="good", entries__comments__likes=3, entries__rating=5),
    point=1,
)
case(
    "two steps back, chained",
    lambda m, o: (
        m.Blog.objects.filter(entries__comments__text="good")
        .filter(entries__comments__likes=3)
        .filter(entries__rating=5)
    ),
    point=1,
)
case("forward, then back", lambda m, o: m.Entry.objects.filter(blog__entries__title="Other").order_by("id"))
case("back, then forward", lambda m, o: m.Blog.objects.filter(entries__author__name="Ann").order_by("id"))
case("back, forward, back", lambda m, o: m.Blog.objects.filter(entries__author__blogs__name="Folk").order_by("id"))
case("pupils", lambda m, o: m.Author.objects.filter(pupils__name="Cid"))
case("pupils of pupils", lambda m, o: m.Author.objects.filter(pupils__pupils__name="Dan"))
case("backwards isnull", lambda m, o: m.Blog.objects.filter(entries__isnull=True))
case("backwards is not null", lambda m, o: m.Blog.objects.filter(entries__isnull=False).order_by("id"), point=1)
case("backwards by key", lambda m, o: m.Blog.objects.filter(entries=5))
case("backwards in keys", lambda m, o: m.Blog.objects.filter(entries__in=[1, 2, 5]).order_by("id"))
case("backwards pk", lambda m, o: m.Blog.objects.filter(entries__pk=5))
case("one to one, forward", lambda m, o: m.Profile.objects.filter(author__name="Ann"))
case("one to one, backward", lambda m, o: m.Author.objects.filter(profile__level=3).order_by("id"))
case("one to one, not there", lambda m, o: m.Author.objects.filter(profile__isnull=True).order_by("id"))
case("one to one, there", lambda m, o: m.Author.objects.filter(profile__isnull=False).order_by("id"))
case("one to one, its column is null", lambda m, o: m.Author.objects.filter(profile__bio__isnull=True).order_by("id"))
case(
    "ordering by many rows multiplies",
    lambda m, o: m.Blog.objects.order_by("entries__rating", "entries__id", "id").values_list("id", flat=True),
    ordered=True,
    point=1,
)
case(
    "an order across shares the filter's join",
    lambda m, o: (
        m.Blog.objects.filter(entries__rating__gte=4)
        .order_by("entries__title", "entries__id")
        .values_list("id", flat=True)
    ),
    ordered=True,
    point=1,
)
case(
    "values across share the filter's join",
    lambda m, o: m.Blog.objects.filter(entries__rating__gte=4).values("name", "entries__title"),
    point=1,
)
case(
    "values across two filters' joins",
    lambda m, o: (
        m.Blog.objects.filter(entries__rating__gte=4).filter(entries__featured=False).values("name", "entries__title")
    ),
    point=1,
)
case(
    "OR over one relation", lambda m, o: m.Blog.objects.filter(o.Q(entries__rating=5) | o.Q(entries__rating=3)), point=3
)
case(
    "OR across two relations",
    lambda m, o: m.Author.objects.filter(o.Q(blogs__name="Rock") | o.Q(entries__title="Lennon")).order_by("id"),
    point=3,
)
case(
    "an impossible condition still multiplies",
    lambda m, o: m.Blog.objects.filter(o.Q(entries__rating__in=[]) | o.Q(name="Rock")).values_list("id", flat=True),
    point=1,
)
case(
    "F across the same join",
    lambda m, o: m.Author.objects.filter(entries__rating__gt=o.F("entries__comments__likes")).order_by("id"),
)
case("first of many", lambda m, o: m.Blog.objects.filter(entries__rating__gte=4).first())
case("in a queryset", lambda m, o: m.Blog.objects.filter(entries__in=m.Entry.objects.filter(rating=5)).order_by("id"))
