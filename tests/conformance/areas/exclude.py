"""exclude() and NOT: over NULLs, over relations to many rows, nested."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("exclude")

ACCIDENT = "Django recognises the joined row by an alias's name"

case("keeps NULL", lambda m, o: m.Entry.objects.exclude(rating=5), point=2)
case("keeps NULL under ~Q", lambda m, o: m.Entry.objects.filter(~o.Q(rating=5)), point=2)
case("keeps NULL relations", lambda m, o: m.Blog.objects.exclude(owner__name="Ann"), point=2)
case("keeps NULL relations two away", lambda m, o: m.Blog.objects.exclude(owner__country__name="Sweden"), point=2)
case("keeps NULL with gt", lambda m, o: m.Entry.objects.exclude(rating__gt=3), point=2)
case("keeps NULL with in", lambda m, o: m.Entry.objects.exclude(rating__in=[4, 5]), point=2)
case("keeps NULL with range", lambda m, o: m.Entry.objects.exclude(rating__range=(2, 4)), point=2)
case("keeps NULL with contains", lambda m, o: m.Blog.objects.exclude(tagline__icontains="zz"), point=2)
case("empty in excludes nothing", lambda m, o: m.Entry.objects.exclude(rating__in=[]), point=5)
case("exact None", lambda m, o: m.Entry.objects.exclude(rating=None), point=5)
case("isnull", lambda m, o: m.Entry.objects.exclude(rating__isnull=True))
case("is not null", lambda m, o: m.Entry.objects.exclude(rating__isnull=False))
case("isnull across", lambda m, o: m.Blog.objects.exclude(owner__age__isnull=True))
case("is not null across", lambda m, o: m.Blog.objects.exclude(owner__age__isnull=False))
case("two conditions together", lambda m, o: m.Entry.objects.exclude(rating=5, title="Lennon"), point=2)
case("two conditions, one NULL", lambda m, o: m.Entry.objects.exclude(rating=4, author__name="Cid"), point=2)
case("two excludes", lambda m, o: m.Entry.objects.exclude(rating=5).exclude(title="Lennon"))
case("exclude of OR", lambda m, o: m.Entry.objects.exclude(o.Q(rating=5) | o.Q(title="Lennon")))
case("not not", lambda m, o: m.Entry.objects.exclude(~o.Q(rating=5)))
case("not not not", lambda m, o: m.Entry.objects.filter(~~~o.Q(rating=5)))
case("exclude all", lambda m, o: m.Entry.objects.exclude(id__gt=0))
case("exclude nothing", lambda m, o: m.Entry.objects.exclude())
case("exclude an empty Q", lambda m, o: m.Entry.objects.exclude(o.Q()))
case("not an empty Q", lambda m, o: m.Entry.objects.filter(~o.Q()))

# Over many rows.
case("every parent with a matching child", lambda m, o: m.Blog.objects.exclude(entries__title="Lennon"), point=2)
case("childless parents stay", lambda m, o: m.Blog.objects.exclude(entries__rating__gte=0), point=2)
case("children with NULL stay", lambda m, o: m.Blog.objects.exclude(entries__rating=5), point=2)
case(
    "two conditions: not of the same child",
    lambda m, o: m.Blog.objects.exclude(entries__title="Lennon", entries__rating=3),
    point=2,
)
case("two steps back", lambda m, o: m.Blog.objects.exclude(entries__comments__text="good"), point=2)
case("over a null relation and back", lambda m, o: m.Entry.objects.exclude(author__entries__rating=1), point=2)
case("over a relation and back", lambda m, o: m.Entry.objects.exclude(blog__entries__rating=3), point=2)
case("back and forward", lambda m, o: m.Blog.objects.exclude(entries__author__name="Ann"), point=2)
case("back and a null relation", lambda m, o: m.Blog.objects.exclude(entries__author__country__name="Peru"), point=2)
case("to itself, back", lambda m, o: m.Author.objects.exclude(pupils__name="Cid"), point=2)
case("isnull backwards", lambda m, o: m.Blog.objects.exclude(entries__isnull=True), point=2)
case("is not null backwards", lambda m, o: m.Blog.objects.exclude(entries__isnull=False), point=2)
case("a child's NULL", lambda m, o: m.Blog.objects.exclude(entries__rating__isnull=True), point=2)
case("a child's None", lambda m, o: m.Blog.objects.exclude(entries__rating=None), point=2)
case("a child's not NULL", lambda m, o: m.Blog.objects.exclude(entries__rating__isnull=False), point=2)
case("a far child's NULL", lambda m, o: m.Entry.objects.exclude(author__comments__likes__isnull=True), point=2)
case("children by key", lambda m, o: m.Blog.objects.exclude(entries=5), point=2)
case("children in keys", lambda m, o: m.Blog.objects.exclude(entries__in=[1, 5]), point=2)
case("children in nothing", lambda m, o: m.Blog.objects.exclude(entries__in=[]), point=5)
case("children in a queryset", lambda m, o: m.Blog.objects.exclude(entries__in=m.Entry.objects.filter(rating=5)))
case("a child's column against a parent's", lambda m, o: m.Blog.objects.exclude(entries__title=o.F("name")), point=2)
case("~Q over children", lambda m, o: m.Blog.objects.filter(~o.Q(entries__title="Lennon")), point=2)
case(
    "~Q over children or their absence",
    lambda m, o: m.Blog.objects.filter(~o.Q(entries__title="Lennon") | o.Q(entries__isnull=True)),
    point=2,
)
case(
    "filter and exclude the same relation",
    lambda m, o: m.Blog.objects.filter(entries__title="Lennon").exclude(entries__rating=3),
    point=2,
)
case(
    "Q and ~Q in one filter: the same row",
    lambda m, o: m.Blog.objects.filter(o.Q(entries__title="Lennon") & ~o.Q(entries__rating=5)),
    point=2,
)
case(
    "~Q and Q in one filter: any row",
    lambda m, o: m.Blog.objects.filter(~o.Q(entries__rating=5) & o.Q(entries__title="Lennon")),
    point=2,
)
case(
    "Q and ~Q at a second join",
    lambda m, o: m.Blog.objects.filter(entries__rating__gte=1).filter(
        o.Q(entries__title="Lennon") & ~o.Q(entries__rating=3)
    ),
    differs=ACCIDENT,
    point=2,
)
case(
    "Q and ~Q of another relation to the same table",
    lambda m, o: m.Comment.objects.filter(o.Q(entry__title__isnull=False) & ~o.Q(author__entries__isnull=False)),
    differs=ACCIDENT,
    point=2,
)
case(
    "a NULL that becomes possible later",
    lambda m, o: m.Author.objects.exclude(
        ~~o.Q(mentor__age__isnull=True), o.Q(id__lt=0) | o.Q(mentor__name__in=("ann", "Ann"))
    ),
    differs="Django forgets to ask for NULL when the join becomes an outer one after the condition",
    point=2,
)
case("count", lambda m, o: m.Blog.objects.exclude(entries__title="Lennon").count(), point=2)
case("exists", lambda m, o: m.Blog.objects.exclude(entries__isnull=False).exists(), point=2)
case(
    "exclude of OR over children",
    lambda m, o: m.Blog.objects.exclude(o.Q(entries__rating=5) | o.Q(name="Pop")),
    point=2,
)
case("one to one not there", lambda m, o: m.Author.objects.exclude(profile__level=3), point=2)
case("one to one NULL", lambda m, o: m.Author.objects.exclude(profile__bio=None), point=2)
case("one to one isnull", lambda m, o: m.Author.objects.exclude(profile__isnull=True), point=2)
case(
    "exclude on an aggregate",
    lambda m, o: m.Blog.objects.annotate(n=o.Count("entries")).exclude(n=2).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "exclude on an aggregate that is NULL",
    lambda m, o: m.Blog.objects.annotate(top=o.Max("entries__rating")).exclude(top=5).order_by("id"),
    ordered=True,
    point=8,
)

# What stands for a value there is of the query around it, whatever it is.
for _lookup, _value in {
    "rating": lambda m, o: _best(m, o),
    "rating ": lambda m, o: o.Subquery(_best(m, o)),
    "rating__lt": lambda m, o: _best(m, o),
    "rating__in": lambda m, o: m.Entry.objects.filter(blog=o.OuterRef("pk"), featured=True).values("rating"),
    "rating__in ": lambda m, o: [o.F("id"), 5],
    "rating__range": lambda m, o: (o.F("id"), 5),
    "title__startswith": lambda m, o: o.F("name")[:1],
}.items():
    case(
        f"over children {_lookup!r}, of the parent",
        lambda m, o, lookup=_lookup, value=_value: m.Blog.objects.exclude(
            **{f"entries__{lookup.strip()}": value(m, o)}
        ),
        point=2,
    )
case(
    "over children and then a queryset, not",
    lambda m, o: m.Blog.objects.filter(~o.Q(entries__rating__lt=_best(m, o)) | o.Q(id=1)),
    point=2,
)


def _best(m, o):  # type: ignore[no-untyped-def]
    return m.Entry.objects.filter(blog=o.OuterRef("pk")).order_by("-rating", "id").values("rating")[:1]
