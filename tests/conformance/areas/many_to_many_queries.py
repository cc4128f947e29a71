"""Many-to-many relations in conditions, values, orderings and aggregates: over a made through model, one with columns
of its own, to itself, to a field that is no primary key."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("many-to-many queries")

UPDATED = "ours is one statement"
CASCADE = "the database follows the relations itself; Django collects the rows first"

# Filters, both directions.
case("by a column", lambda m, o: m.Entry.objects.filter(tags__name="red"), point=1)
case("backwards by a column", lambda m, o: m.Tag.objects.filter(entries__title="Lennon"), point=1)
case("by key", lambda m, o: m.Entry.objects.filter(tags=2))
case("by pk", lambda m, o: m.Entry.objects.filter(tags__pk=2))
case("by id", lambda m, o: m.Entry.objects.filter(tags__id=2))
case("by key gt", lambda m, o: m.Entry.objects.filter(tags__gt=1))
case("in keys", lambda m, o: m.Entry.objects.filter(tags__in=[1, 2]))
case("in nothing", lambda m, o: m.Entry.objects.filter(tags__in=[]), point=5)
case("in keys and None", lambda m, o: m.Entry.objects.filter(tags__in=[1, None]), point=5)
case("in a queryset", lambda m, o: m.Entry.objects.filter(tags__in=m.Tag.objects.filter(uses=5)))
case(
    "in a queryset of values",
    lambda m, o: m.Entry.objects.filter(tags__in=m.Tag.objects.filter(uses__gt=0).values("id")),
)
case(
    "in a queryset of names",
    lambda m, o: m.Entry.objects.filter(tags__name__in=m.Tag.objects.filter(uses=5).values("name")),
)
case("in a sliced queryset of pairs", lambda m, o: m.Tag.objects.filter(entries__in=m.Entry.objects.filter(rating=5)))
case("is null", lambda m, o: m.Entry.objects.filter(tags__isnull=True), point=3)
case("None", lambda m, o: m.Entry.objects.filter(tags=None), point=5)
case("is not null", lambda m, o: m.Entry.objects.filter(tags__isnull=False), point=1)
case("backwards is null", lambda m, o: m.Tag.objects.filter(entries__isnull=True), point=3)
case("backwards is not null", lambda m, o: m.Tag.objects.filter(entries__isnull=False).distinct())
case("a column is null", lambda m, o: m.Entry.objects.filter(tags__note__isnull=True), point=3)
case("a column is None", lambda m, o: m.Entry.objects.filter(tags__note=None), point=3)
case("a column is not null", lambda m, o: m.Entry.objects.filter(tags__note__isnull=False))
case("one filter: the same tag", lambda m, o: m.Entry.objects.filter(tags__name="green", tags__uses=1), point=1)
case(
    "two filters: perhaps another tag",
    lambda m, o: m.Entry.objects.filter(tags__name="green").filter(tags__uses=1),
    point=1,
)
case(
    "both tags, chained",
    lambda m, o: m.Entry.objects.filter(tags__name="red").filter(tags__name="green").order_by("id"),
)
case("both tags, in one", lambda m, o: m.Entry.objects.filter(o.Q(tags__name="red"), o.Q(tags__name="green")), point=1)
case(
    "three filters, multiplied",
    lambda m, o: m.Entry.objects.filter(tags__uses__gte=0).filter(tags__uses__gte=0).values_list("id", flat=True),
    point=1,
)
case("either tag comes twice", lambda m, o: m.Entry.objects.filter(o.Q(tags__name="red") | o.Q(tags__name="green")))
case(
    "either tag, distinct",
    lambda m, o: m.Entry.objects.filter(o.Q(tags__name="red") | o.Q(tags__name="green")).distinct(),
    point=1,
)
case("a tag or none", lambda m, o: m.Entry.objects.filter(o.Q(tags__name="red") | o.Q(tags=None)), point=3)
case("a tag or a column", lambda m, o: m.Entry.objects.filter(o.Q(tags__name="blue") | o.Q(rating=2)), point=3)
case("a tag xor a column", lambda m, o: m.Entry.objects.filter(o.Q(tags__name="red") ^ o.Q(rating=5)), point=3)
case("there and back", lambda m, o: m.Entry.objects.filter(tags__entries__title="Other"), point=1)
case("there and back, by key", lambda m, o: m.Entry.objects.filter(tags__entries=5).distinct(), point=1)
case("across a relation first", lambda m, o: m.Comment.objects.filter(entry__tags__name="green"))
case("across a relation behind", lambda m, o: m.Tag.objects.filter(entries__blog__name="Rock"))
case("back, then many-to-many", lambda m, o: m.Blog.objects.filter(entries__tags__name="red").order_by("id"))
case(
    "back, then many-to-many, the same rows",
    lambda m, o: m.Blog.objects.filter(entries__tags__name="red", entries__rating=3),
    point=1,
)
case(
    "back, then many-to-many, chained",
    lambda m, o: m.Blog.objects.filter(entries__tags__name="red").filter(entries__rating=3),
    point=1,
)
case("many-to-many, then back", lambda m, o: m.Tag.objects.filter(entries__comments__likes=3), point=1)
case("F on the other side", lambda m, o: m.Entry.objects.filter(tags__uses=o.F("rating")))
case("F on this side", lambda m, o: m.Entry.objects.filter(rating__gt=o.F("tags__uses")))
case("count", lambda m, o: m.Entry.objects.filter(tags__uses__gte=1).count(), point=1)
case("count of distinct ones", lambda m, o: m.Entry.objects.filter(tags__uses__gte=1).distinct().count(), point=1)
case("exists", lambda m, o: m.Entry.objects.filter(tags__name="grey").exists())
case("get of a row that comes twice", lambda m, o: m.Entry.objects.get(id=1, tags__uses__gte=1))

# Excluded.
case("exclude by a column", lambda m, o: m.Entry.objects.exclude(tags__name="red"), point=2)
case("exclude backwards", lambda m, o: m.Tag.objects.exclude(entries__title="Lennon"), point=2)
case("exclude by key", lambda m, o: m.Entry.objects.exclude(tags=2), point=2)
case("exclude keys", lambda m, o: m.Entry.objects.exclude(tags__in=[1, 3]), point=2)
case("exclude in nothing", lambda m, o: m.Entry.objects.exclude(tags__in=[]), point=5)
case("exclude in a queryset", lambda m, o: m.Entry.objects.exclude(tags__in=m.Tag.objects.filter(uses=5)), point=2)
case("exclude None", lambda m, o: m.Entry.objects.exclude(tags=None), point=2)
case("exclude null", lambda m, o: m.Entry.objects.exclude(tags__isnull=True), point=2)
case("exclude not null", lambda m, o: m.Entry.objects.exclude(tags__isnull=False), point=2)
case("exclude a NULL column", lambda m, o: m.Entry.objects.exclude(tags__note=None), point=2)
case("exclude a column that is not NULL", lambda m, o: m.Entry.objects.exclude(tags__note="g"), point=2)
case("exclude two at once", lambda m, o: m.Entry.objects.exclude(tags__name="green", tags__uses=1), point=2)
case("exclude chained", lambda m, o: m.Entry.objects.exclude(tags__name="red").exclude(tags__name="blue"), point=2)
case("filter and exclude", lambda m, o: m.Entry.objects.filter(tags__name="green").exclude(tags__name="red"), point=2)
case("~Q", lambda m, o: m.Entry.objects.filter(~o.Q(tags__name="red")), point=2)
case("~Q and Q", lambda m, o: m.Entry.objects.filter(~o.Q(tags__name="red"), tags__name="green"), point=2)
case("Q and ~Q", lambda m, o: m.Entry.objects.filter(o.Q(tags__name="green") & ~o.Q(tags__uses=5)), point=2)
case("~Q or Q", lambda m, o: m.Entry.objects.filter(~o.Q(tags__name="red") | o.Q(rating=5)), point=2)
case("not not", lambda m, o: m.Entry.objects.exclude(~o.Q(tags__name="red")), point=2)
case("exclude across", lambda m, o: m.Blog.objects.exclude(entries__tags__name="red"), point=2)
case("exclude across, null", lambda m, o: m.Blog.objects.exclude(entries__tags__isnull=True), point=2)
case("exclude over a nullable relation", lambda m, o: m.Entry.objects.exclude(author__clubs__name="Chess"), point=2)
case("exclude by a column of this side", lambda m, o: m.Entry.objects.exclude(tags__uses=o.F("rating")), point=2)
case("exclude there and back", lambda m, o: m.Entry.objects.exclude(tags__entries__rating=3), point=2)
case("exclude, counted", lambda m, o: m.Entry.objects.exclude(tags__name="red").count(), point=2)

# To itself.
case("friends", lambda m, o: m.Author.objects.filter(friends__name="Ann"))
case("friends by key", lambda m, o: m.Author.objects.filter(friends=1))
case("friends of friends", lambda m, o: m.Author.objects.filter(friends__friends__name="Eve"))
case("no friends", lambda m, o: m.Author.objects.filter(friends=None), point=3)
case("friends, excluded", lambda m, o: m.Author.objects.exclude(friends__age__gt=30), point=2)
case("friends' mentors", lambda m, o: m.Author.objects.filter(friends__mentor__name="Ann").order_by("id"))
case(
    "friends is symmetrical: no reverse relation",
    lambda m, o: m.Author.objects.filter(friends_rel__name="x"),
    point=6,
)
case("follows", lambda m, o: m.Author.objects.filter(follows__name="Ann"))
case("followers", lambda m, o: m.Author.objects.filter(followers__name="Ann"))
case("follows by key", lambda m, o: m.Author.objects.filter(follows=1))
case("followers by key", lambda m, o: m.Author.objects.filter(followers=4))
case("no followers", lambda m, o: m.Author.objects.filter(followers__isnull=True), point=3)
case("follows and is followed", lambda m, o: m.Author.objects.filter(follows=1, followers=1))
case("follows itself", lambda m, o: m.Author.objects.filter(follows=o.F("id")))
case("followers of those followed", lambda m, o: m.Author.objects.filter(follows__followers__name="Dan").distinct())
case("followers, excluded", lambda m, o: m.Author.objects.exclude(followers__name="Dan"), point=2)
case("follows, excluded", lambda m, o: m.Author.objects.exclude(follows__age=None), point=2)
case("friends and followers", lambda m, o: m.Author.objects.filter(friends__name="Ann", followers__name="Cid"), point=1)

# Over a model with columns of its own.
case("members", lambda m, o: m.Club.objects.filter(members__name="Bob"))
case("members by key", lambda m, o: m.Club.objects.filter(members=2))
case("clubs", lambda m, o: m.Author.objects.filter(clubs__founded=1900))
case("no members", lambda m, o: m.Club.objects.filter(members=None), point=3)
case("no clubs", lambda m, o: m.Author.objects.filter(clubs__isnull=True), point=3)
case("the through model's column", lambda m, o: m.Club.objects.filter(membership__dues__gt=5))
case("the through model's column, backwards", lambda m, o: m.Author.objects.filter(memberships__since__year=2020))
case("the through model's NULL", lambda m, o: m.Author.objects.filter(memberships__dues=None), point=3)
case(
    "member and column: the same pair",
    lambda m, o: m.Club.objects.filter(members__name="Bob", membership__dues__gt=5),
    point=1,
)
case(
    "member and column, chained",
    lambda m, o: m.Club.objects.filter(members__name="Bob").filter(membership__dues=5),
    point=1,
)
case(
    "column and member, chained",
    lambda m, o: m.Club.objects.filter(membership__dues=5).filter(members__name="Bob"),
    point=1,
)
case(
    "member and the through model's way to it",
    lambda m, o: m.Club.objects.filter(members__name="Bob", membership__author__age=None),
    point=1,
)
case("the other way to a person", lambda m, o: m.Club.objects.filter(membership__inviter__name="Ann"), point=1)
case("who invited whom", lambda m, o: m.Author.objects.filter(invitations__author__name="Bob"), point=1)
case("invited to", lambda m, o: m.Author.objects.filter(invitations__club__name="Chess").distinct())
case("exclude members", lambda m, o: m.Club.objects.exclude(members__name="Bob"), point=2)
case("exclude the column", lambda m, o: m.Club.objects.exclude(membership__dues__gt=5), point=2)
case("exclude the column's NULL", lambda m, o: m.Club.objects.exclude(membership__dues=None), point=2)
case(
    "exclude member and column",
    lambda m, o: m.Club.objects.exclude(members__name="Bob", membership__dues=10),
    point=2,
)
case("through rows", lambda m, o: m.Membership.objects.filter(club__members__name="Cid"), point=1)
case("through rows by both", lambda m, o: m.Membership.objects.filter(club__name="Chess", author__name="Bob"))
case(
    "values of the pair",
    lambda m, o: m.Club.objects.filter(members__age__gt=20).values_list("name", "members__name", "membership__dues"),
    point=1,
)

# To a field that is no primary key.
case("topics", lambda m, o: m.Club.objects.filter(topics__name="red"))
case("topics by another column", lambda m, o: m.Club.objects.filter(topics__uses=5))
case("topics by key", lambda m, o: m.Club.objects.filter(topics=1))
case("topics in keys", lambda m, o: m.Club.objects.filter(topics__in=[1, 2]))
case("no topics", lambda m, o: m.Club.objects.filter(topics=None), point=3)
case("topics, backwards", lambda m, o: m.Tag.objects.filter(clubs__name="Chess"))
case("topics, backwards by key", lambda m, o: m.Tag.objects.filter(clubs=2))
case("exclude topics", lambda m, o: m.Club.objects.exclude(topics__name="red"), point=2)
case("exclude topics by key", lambda m, o: m.Club.objects.exclude(topics=1), point=2)
case("exclude topics, backwards", lambda m, o: m.Tag.objects.exclude(clubs__founded=1900), point=2)
case("topics and their weight", lambda m, o: m.Club.objects.filter(topics__name="red", interests__weight=5), point=1)
case("remarks, by the name in lookups", lambda m, o: m.Tag.objects.filter(remark__score=3))
case("remarks, by the other name", lambda m, o: m.Tag.objects.filter(remarks__score=3), point=6)
case("remarks by key", lambda m, o: m.Tag.objects.filter(remark=1))
case("no remarks", lambda m, o: m.Tag.objects.filter(remark=None), point=3)
case("exclude remarks", lambda m, o: m.Tag.objects.exclude(remark__score=None), point=2)
case("a remark's tag, by what it points at", lambda m, o: m.Remark.objects.filter(tag="red"))
case("a remark's tag, by its key", lambda m, o: m.Remark.objects.filter(tag_id="red"))
case("a remark's tag, by its name", lambda m, o: m.Remark.objects.filter(tag__name="red"))
case("a remark's tag, by its primary key", lambda m, o: m.Remark.objects.filter(tag__pk=1))
case("a remark's tag, by another column", lambda m, o: m.Remark.objects.filter(tag__uses=5))
case("a remark's tag in a queryset", lambda m, o: m.Remark.objects.filter(tag__in=m.Tag.objects.filter(uses__lt=3)))
case("a remark's tag's entries", lambda m, o: m.Remark.objects.filter(tag__entries__rating=5))

# One-to-one.
case("one to one that may be null", lambda m, o: m.Blog.objects.filter(feed__url="/rock"))
case("one to one, its column is null", lambda m, o: m.Blog.objects.filter(feed__url=None), point=3)
case("one to one, absent", lambda m, o: m.Blog.objects.filter(feed=None), point=3)
case("one to one, excluded", lambda m, o: m.Blog.objects.exclude(feed__url="/rock"), point=2)
case("one to one, its owner is null", lambda m, o: m.Feed.objects.filter(blog=None))
case("one to one of one to one", lambda m, o: m.Author.objects.filter(profile__avatar__size__gte=1))
case("one to one of one to one, absent", lambda m, o: m.Author.objects.filter(profile__avatar=None), point=3)
case("one to one of one to one, forward", lambda m, o: m.Avatar.objects.filter(profile__author__name="Ann"))
case("ordered by a one to one", lambda m, o: m.Author.objects.order_by("profile__level", "id"), ordered=True, point=3)

# By instances.
case("by an instance", lambda m, o: _by(m, m.Entry, "tags", m.Tag, 2))
case("backwards by an instance", lambda m, o: _by(m, m.Tag, "entries", m.Entry, 1))
case("friends by an instance", lambda m, o: _by(m, m.Author, "friends", m.Author, 1))
case("followers by an instance", lambda m, o: _by(m, m.Author, "followers", m.Author, 1))
case("members by an instance", lambda m, o: _by(m, m.Club, "members", m.Author, 2))
case("topics by an instance", lambda m, o: _by(m, m.Club, "topics", m.Tag, 1))
case("remarks by an instance", lambda m, o: _by(m, m.Tag, "remark", m.Remark, 1))
case("a remark's tag by an instance", lambda m, o: _by(m, m.Remark, "tag", m.Tag, 1))
case("one to one by an instance", lambda m, o: _by(m, m.Author, "profile", m.Profile, 3))
case("in instances", lambda m, o: _in(m, m.Entry, "tags", m.Tag))
case("friends in instances", lambda m, o: _in(m, m.Author, "friends", m.Author))
case("topics in instances", lambda m, o: _in(m, m.Club, "topics", m.Tag))
case("a remark's tag in instances", lambda m, o: _in(m, m.Remark, "tag", m.Tag))
case("exclude an instance", lambda m, o: _without(m, m.Entry, "tags", m.Tag))
case("exclude a friend", lambda m, o: _without(m, m.Author, "friends", m.Author))


def _by(m, model, name, target, key):  # type: ignore[no-untyped-def]
    instance = yield target.objects.get(id=key)
    return (yield model.objects.filter(**{name: instance}).order_by("id").values_list("id", flat=True))


def _in(m, model, name, target):  # type: ignore[no-untyped-def]
    instances = yield target.objects.filter(id__lt=3)
    queryset = model.objects.filter(**{f"{name}__in": instances})
    return (yield queryset.order_by("id").values_list("id", flat=True))


def _without(m, model, name, target):  # type: ignore[no-untyped-def]
    instance = yield target.objects.get(id=1)
    return (yield model.objects.exclude(**{name: instance}).order_by("id").values_list("id", flat=True))


# Refused.
case("an unknown column", lambda m, o: m.Entry.objects.filter(tags__nothing=1), point=6)
case("an unknown lookup", lambda m, o: m.Entry.objects.filter(tags__name__nothing=1), point=6)
case("an unsaved instance", lambda m, o: m.Entry.objects.filter(tags=m.Tag(name="x")), point=6)
case("in unsaved instances", lambda m, o: m.Entry.objects.filter(tags__in=[m.Tag(name="x")]), point=6)
case("exclude an unsaved instance", lambda m, o: m.Entry.objects.exclude(tags=m.Tag(name="x")), point=6)
case("an instance of another model", lambda m, o: _other(m, "tags"), point=6)
case("an instance of another model, backwards", lambda m, o: _other(m, "comments"), point=6)
case("a queryset of another model", lambda m, o: m.Entry.objects.filter(tags__in=m.Club.objects.all()), point=6)
case("text for a key", lambda m, o: m.Entry.objects.filter(tags="x"), point=6)
case("the accessor's name", lambda m, o: m.Club.objects.filter(membership_set__dues=1), point=6)
case("contains on a relation", lambda m, o: m.Entry.objects.filter(tags__contains="x"), point=6)
case("update of a relation", lambda m, o: m.Entry.objects.update(tags=1), writes=True, point=6)
case("create with a relation", lambda m, o: m.Club.objects.create(name="x", members=[1]), writes=True, point=6)


def _other(m, name):  # type: ignore[no-untyped-def]
    club = yield m.Club.objects.get(id=1)
    return (yield m.Entry.objects.filter(**{name: club}))


# Values, orderings, slices.
case("values", lambda m, o: m.Entry.objects.values("title", "tags__name"), point=1)
case("values of the relation", lambda m, o: m.Entry.objects.values_list("id", "tags"), point=1)
case("values backwards", lambda m, o: m.Tag.objects.values_list("name", "entries__title"), point=1)
case("values of friends", lambda m, o: m.Author.objects.values_list("name", "friends__name"), point=1)
case("values of followers", lambda m, o: m.Author.objects.values_list("name", "followers__name", "follows"), point=1)
case("values of members", lambda m, o: m.Club.objects.values("name", "members", "members__name"), point=1)
case("values of topics", lambda m, o: m.Club.objects.values_list("name", "topics", "topics__name"), point=1)
case("values of remarks", lambda m, o: m.Tag.objects.values_list("name", "remark", "remark__text"), point=1)
case("values of a remark's tag", lambda m, o: m.Remark.objects.values_list("tag", "tag_id", "tag__id", "tag__name"))
case("values of a one to one", lambda m, o: m.Author.objects.values_list("name", "profile", "profile__bio"))
case("values after a filter", lambda m, o: m.Entry.objects.filter(tags__uses=5).values("id", "tags__name"), point=1)
case("values before a filter", lambda m, o: m.Entry.objects.values("id", "tags__name").filter(tags__uses=5), point=1)
case("distinct values", lambda m, o: m.Entry.objects.values_list("tags__name", flat=True).distinct())
case("distinct", lambda m, o: m.Entry.objects.filter(tags__isnull=False).distinct().order_by("id"), ordered=True)
case(
    "ordered by it",
    lambda m, o: m.Entry.objects.order_by("tags__name", "id").values_list("id", "tags__name"),
    ordered=True,
    point=1,
)
case(
    "ordered by it, backwards",
    lambda m, o: m.Tag.objects.order_by("-entries__rating", "entries__id", "id").values_list("id", flat=True),
    ordered=True,
    point=1,
)
case(
    "ordered by the relation",
    lambda m, o: m.Entry.objects.filter(tags__isnull=False).order_by("tags", "id").values_list("id", flat=True),
    ordered=True,
    point=1,
)
case(
    "ordered by the filter's join",
    lambda m, o: m.Entry.objects.filter(tags__uses__gte=1).order_by("-tags__name", "id").values_list("id", flat=True),
    ordered=True,
    point=1,
)
case(
    "ordered by a pair's column",
    lambda m, o: m.Club.objects.filter(members__name="Bob").order_by("membership__dues", "id").values_list("id"),
    ordered=True,
    point=1,
)
case("a slice", lambda m, o: m.Entry.objects.filter(tags__uses__gte=1).order_by("id", "tags__id")[1:4], ordered=True)
case("first", lambda m, o: m.Tag.objects.filter(entries__title="Lennon").order_by("-id").first())
case("only", lambda m, o: m.Entry.objects.filter(tags__name="red").only("title").order_by("id"), ordered=True)
case("a union", lambda m, o: m.Entry.objects.filter(tags=1).union(m.Entry.objects.filter(tags=2)))
case("joined by |", lambda m, o: m.Entry.objects.filter(tags=1) | m.Entry.objects.filter(tags=3))
case("joined by &", lambda m, o: m.Entry.objects.filter(tags=1) & m.Entry.objects.filter(tags__uses=1))

# Annotations and aggregates.
case("Count", lambda m, o: m.Entry.objects.annotate(n=o.Count("tags")).order_by("id"), ordered=True)
case("Count backwards", lambda m, o: m.Tag.objects.annotate(n=o.Count("entries")).order_by("id"), ordered=True)
case("Count of friends", lambda m, o: m.Author.objects.annotate(n=o.Count("friends")).order_by("id"), ordered=True)
case(
    "Count of follows and followers multiplies",
    lambda m, o: m.Author.objects.annotate(a=o.Count("follows"), b=o.Count("followers")).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "Count of distinct follows and followers",
    lambda m, o: m.Author.objects.annotate(
        a=o.Count("follows", distinct=True), b=o.Count("followers", distinct=True)
    ).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "Count of members twice a member", lambda m, o: m.Club.objects.annotate(n=o.Count("members"), ids=o.Max("members"))
)
case("Count of distinct members", lambda m, o: m.Club.objects.annotate(n=o.Count("members", distinct=True)))
case(
    "members and the pairs' sum share a join",
    lambda m, o: m.Club.objects.annotate(n=o.Count("members"), dues=o.Sum("membership__dues")).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "tags and comments multiply",
    lambda m, o: m.Entry.objects.annotate(n=o.Count("tags"), likes=o.Sum("comments__likes")).order_by("id"),
    ordered=True,
    point=8,
)
case("Sum", lambda m, o: m.Entry.objects.annotate(n=o.Sum("tags__uses")).order_by("id"), ordered=True)
case(
    "Avg, Min, Max", lambda m, o: m.Club.objects.annotate(o.Avg("members__age"), o.Min("topics__uses"), o.Max("topics"))
)
case(
    "Count with a filter",
    lambda m, o: m.Entry.objects.annotate(n=o.Count("tags", filter=o.Q(tags__uses=5))).order_by("id"),
    ordered=True,
)
case(
    "annotate, then filter",
    lambda m, o: m.Entry.objects.annotate(n=o.Count("tags")).filter(tags__name="red").order_by("id"),
    ordered=True,
    point=8,
)
case(
    "filter, then annotate",
    lambda m, o: m.Entry.objects.filter(tags__name="red").annotate(n=o.Count("tags")).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "filter, annotate, filter",
    lambda m, o: (
        m.Entry.objects.filter(tags__uses__gte=1).annotate(n=o.Count("tags")).filter(tags__name="red").order_by("id")
    ),
    ordered=True,
    point=8,
)
case("filter on an aggregate", lambda m, o: m.Entry.objects.annotate(n=o.Count("tags")).filter(n__gte=2), point=8)
case("exclude on an aggregate", lambda m, o: m.Tag.objects.annotate(n=o.Count("entries")).exclude(n=0), point=8)
case(
    "exclude, then annotate",
    lambda m, o: m.Entry.objects.exclude(tags__name="red").annotate(n=o.Count("tags")).order_by("id"),
    ordered=True,
    point=8,
)
case(
    "annotate, then exclude",
    lambda m, o: m.Entry.objects.annotate(n=o.Count("tags")).exclude(tags__name="red").order_by("id"),
    ordered=True,
    point=8,
)
case(
    "groups of values over it",
    lambda m, o: m.Entry.objects.values("tags__name").annotate(n=o.Count("id"), top=o.Max("rating")),
    point=8,
)
case("groups of the relation", lambda m, o: m.Entry.objects.values("tags").annotate(n=o.Count("id")), point=8)
case("groups of members", lambda m, o: m.Membership.objects.values("author__name").annotate(n=o.Sum("dues")), point=8)
case(
    "ordered by an aggregate",
    lambda m, o: m.Tag.objects.annotate(n=o.Count("entries")).order_by("-n", "id"),
    ordered=True,
)
case("aggregate", lambda m, o: m.Entry.objects.aggregate(n=o.Count("tags"), d=o.Count("tags", distinct=True)), point=8)
case("aggregate after a filter", lambda m, o: m.Entry.objects.filter(tags__uses=5).aggregate(o.Sum("tags__uses")))
case(
    "aggregate over an annotation",
    lambda m, o: m.Entry.objects.annotate(n=o.Count("tags")).aggregate(all=o.Sum("n"), top=o.Max("n")),
    point=8,
)
case("annotate F", lambda m, o: m.Entry.objects.annotate(tag=o.F("tags__name")), point=1)
case("annotate F, filtered", lambda m, o: m.Entry.objects.annotate(tag=o.F("tags__name")).filter(tag="red"), point=1)
case(
    "annotate F, then another filter",
    lambda m, o: m.Entry.objects.annotate(t=o.F("tags__uses")).filter(tags=1),
    point=1,
)
case(
    "Exists",
    lambda m, o: m.Tag.objects.filter(o.Exists(m.Entry.objects.filter(tags=o.OuterRef("pk"), rating=5))).order_by("id"),
    ordered=True,
)
case(
    "Subquery",
    lambda m, o: m.Tag.objects.annotate(
        top=o.Subquery(m.Entry.objects.filter(tags=o.OuterRef("pk")).order_by("-id").values("title")[:1])
    ).order_by("id"),
    ordered=True,
)
case(
    "Subquery of pairs",
    lambda m, o: m.Club.objects.annotate(
        first=o.Subquery(m.Membership.objects.filter(club=o.OuterRef("pk")).order_by("id").values("author__name")[:1])
    ).order_by("id"),
    ordered=True,
)
case(
    "Case",
    lambda m, o: m.Entry.objects.annotate(
        red=o.Case(o.When(tags__name="red", then=o.Value(1)), default=o.Value(0))
    ).order_by("id"),
    point=1,
)
case(
    "update over it",
    lambda m, o: _updated(m, m.Entry.objects.filter(tags__uses=5)),
    writes=True,
    statements=UPDATED,
)
case(
    "update, excluded",
    lambda m, o: _updated(m, m.Entry.objects.exclude(tags__name="red")),
    writes=True,
    statements=UPDATED,
)
case(
    "delete over it",
    lambda m, o: _deleted(m, o, m.Entry.objects.filter(tags__uses=5)),
    writes=True,
    statements=CASCADE,
)
case(
    "delete, excluded",
    lambda m, o: _deleted(m, o, m.Entry.objects.exclude(tags=1)),
    writes=True,
    statements=CASCADE,
)


def _updated(m, entries):  # type: ignore[no-untyped-def]
    done = yield entries.update(rating=9)
    return done, (yield m.Entry.objects.order_by("id").values_list("id", "rating"))


def _deleted(m, o, entries):  # type: ignore[no-untyped-def]
    done = yield entries.delete()
    left = yield m.Entry.objects.order_by("id").values_list("id", flat=True)
    return (
        o.deleted(done, "Entry"),
        left,
        (yield m.Tag.objects.order_by("id", "entries__id").values_list("id", "entries")),
    )
