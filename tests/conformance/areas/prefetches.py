"""`prefetch_related()`: over every kind of relation, nested, with `Prefetch`, slices, `to_attr`; and what is then known
without asking."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Area
from tests.conformance.loaded_trees import tree

case = Area("prefetches")

SET = "Django asks first what is there, and then removes and adds in a statement each"
ONE = "Django asks first which pairs are there, and sends a statement for each way round of a symmetrical relation"
KEYS = "the keys that rows are attached by are always loaded; Django asks for each one"
BATCHES = "how many rows that are streamed are prefetched at once is each one's own affair"
KNOWN = "what the prefetched rows answer is not asked for"


def fetched(model: str, queryset: Any, *paths: str, ordered: bool = False) -> Any:
    """The rows of a queryset, in order, with what they have under these paths (of attributes)."""

    def run(m, o):  # type: ignore[no-untyped-def]
        rows = yield queryset(getattr(m, model).objects.order_by("id"), m, o)
        return (yield from tree(rows, *paths, ordered=ordered))

    return run


def paths(model: str, *names: str, shown: tuple[str, ...] = ()) -> Any:
    """The rows of a model with these paths prefetched."""
    return fetched(model, lambda q, m, o: q.prefetch_related(*names), *(shown or names))


# Every kind of relation.
for _name, _query in {
    "forward": paths("Entry", "blog"),
    "forward, NULL": paths("Entry", "author"),
    "forward, to itself": paths("Author", "mentor"),
    "forward, over a field that is no key": paths("Remark", "tag"),
    "backward": paths("Blog", "entries"),
    "backward, nullable": paths("Author", "blogs"),
    "backward, to itself": paths("Author", "pupils"),
    "backward, over a field that is no key": paths("Tag", "remarks"),
    "backward, the made-up name": paths("Club", "membership_set"),
    "backward, two ways": paths("Author", "memberships", "invitations"),
    "many-to-many": paths("Entry", "tags"),
    "many-to-many, backward": paths("Tag", "entries"),
    "many-to-many, symmetrical": paths("Author", "friends"),
    "many-to-many, to itself": paths("Author", "follows"),
    "many-to-many, to itself, backward": paths("Author", "followers"),
    "many-to-many, all to itself": paths("Author", "friends", "follows", "followers"),
    "many-to-many over a model": paths("Club", "members"),
    "many-to-many over a model, backward": paths("Author", "clubs"),
    "many-to-many over a field that is no key": paths("Club", "topics"),
    "many-to-many over a field that is no key, backward": paths("Tag", "clubs"),
    "one to one, forward": paths("Profile", "author"),
    "one to one, forward, NULL": paths("Feed", "blog"),
    "one to one, backward": paths("Author", "profile"),
    "one to one, backward, nullable": paths("Blog", "feed"),
    "two at once": paths("Entry", "tags", "comments"),
    "four at once": paths("Author", "country", "blogs", "clubs", "profile"),
    "the same twice": paths("Entry", "tags", "tags"),
    # Nested.
    "backward, backward": paths("Blog", "entries__comments"),
    "backward, many-to-many": paths("Blog", "entries__tags"),
    "backward, forward": paths("Blog", "entries__author"),
    "forward, backward": paths("Entry", "blog__entries"),
    "forward, forward": paths("Comment", "entry__blog__owner"),
    "forward NULL, backward": paths("Blog", "owner__entries"),
    "many-to-many, and back": paths("Entry", "tags__entries"),
    "many-to-many, many-to-many": paths("Blog", "entries__tags__clubs"),
    "many-to-many, forward": paths("Club", "members__country"),
    "friends of friends": paths("Author", "friends__friends"),
    "one to one, one to one": paths("Author", "profile__avatar"),
    "one to one, forward, many-to-many": paths("Avatar", "profile__author__clubs"),
    "a path and its beginning": paths("Blog", "entries", "entries__comments"),
    "a path and its beginning, after": paths("Blog", "entries__comments", "entries"),
    "two paths that share their beginning": paths("Blog", "entries__comments", "entries__tags"),
    "four levels": paths("Country", "authors__blogs__entries__comments"),
    "four levels, forked": paths("Country", "authors__blogs__entries__tags", "authors__clubs__topics"),
    "over pairs": paths("Club", "membership_set__author", "membership_set__inviter"),
    "to itself, three levels": paths("Author", "pupils__pupils__pupils"),
}.items():
    case(_name, _query)


# Which rows, and how.
def among(model: str, path: str, queryset: Any, below: str = "", *, ordered: bool = False, attr: str = "") -> Any:
    """The rows of a model with one path prefetched by a queryset, and what the rows found have `below`."""
    options = {"to_attr": attr} if attr else {}
    *before, last = path.split("__")
    return fetched(
        model,
        lambda q, m, o: q.prefetch_related(o.Prefetch(path, queryset(m, o), **options)),
        "__".join([*before, attr or last, *filter(None, [below])]),
        ordered=ordered,
    )


def part(model: str, path: str, queryset: Any, below: str = "") -> Any:
    """The same, by a queryset that is sliced."""
    return among(model, path, queryset, below, ordered=True, attr="found")


for _name, _query in {
    "filtered": among("Blog", "entries", lambda m, o: m.Entry.objects.filter(rating__gte=4)),
    "filtered to none": among("Blog", "entries", lambda m, o: m.Entry.objects.filter(rating=99)),
    "none": among("Blog", "entries", lambda m, o: m.Entry.objects.none()),
    "excluded": among("Blog", "entries", lambda m, o: m.Entry.objects.exclude(comments__text="good")),
    "filtered over the same relation": among(
        "Blog", "entries", lambda m, o: m.Entry.objects.filter(blog__entries__title="Other")
    ),
    "filtered over many rows": among("Blog", "entries", lambda m, o: m.Entry.objects.filter(comments__likes__gte=0)),
    "filtered over many rows, distinct": among(
        "Blog", "entries", lambda m, o: m.Entry.objects.filter(comments__likes__gte=0).distinct()
    ),
    "filtered, many-to-many": among("Entry", "tags", lambda m, o: m.Tag.objects.filter(uses=5)),
    "filtered back, many-to-many": among("Entry", "tags", lambda m, o: m.Tag.objects.filter(entries__rating=3)),
    "filtered back, then by a column": among(
        "Entry", "tags", lambda m, o: m.Tag.objects.filter(entries__rating=5).filter(uses__gte=0)
    ),
    "excluded back, many-to-many": among("Entry", "tags", lambda m, o: m.Tag.objects.exclude(entries__rating=3)),
    "annotated by the other side": among(
        "Entry", "tags", lambda m, o: m.Tag.objects.annotate(r=o.F("entries__rating"))
    ),
    "annotated by the pair": among(
        "Club", "members", lambda m, o: m.Author.objects.annotate(dues=o.F("memberships__dues")).order_by("dues")
    ),
    "counted back, many-to-many": among("Entry", "tags", lambda m, o: m.Tag.objects.annotate(n=o.Count("entries"))),
    "filtered, forward": among("Entry", "blog", lambda m, o: m.Blog.objects.filter(name__startswith="J"), attr="found"),
    "filtered, one to one backward": among("Author", "profile", lambda m, o: m.Profile.objects.filter(level=3)),
    "filtered, members": among("Club", "members", lambda m, o: m.Author.objects.filter(age__gte=25)),
    "filtered by the pair, members": among(
        "Club", "members", lambda m, o: m.Author.objects.filter(memberships__dues__gte=5).distinct()
    ),
    "annotated": among("Blog", "entries", lambda m, o: m.Entry.objects.annotate(n=o.Count("comments"))),
    "annotated, many-to-many": among("Entry", "tags", lambda m, o: m.Tag.objects.annotate(n=o.Count("remark"))),
    "annotated by a column": among("Entry", "tags", lambda m, o: m.Tag.objects.annotate(more=o.F("uses") + 1)),
    "with select_related": among("Blog", "entries", lambda m, o: m.Entry.objects.select_related("author"), "author"),
    "with prefetch_related": among(
        "Blog", "entries", lambda m, o: m.Entry.objects.prefetch_related("comments"), "comments"
    ),
    "with Prefetch": among(
        "Blog",
        "entries",
        lambda m, o: m.Entry.objects.prefetch_related(o.Prefetch("comments", m.Comment.objects.filter(likes=3))),
        "comments",
    ),
    "with only": among("Blog", "entries", lambda m, o: m.Entry.objects.only("title", "blog")),
    "with defer": among("Blog", "entries", lambda m, o: m.Entry.objects.defer("title")),
    "with only, many-to-many": among("Entry", "tags", lambda m, o: m.Tag.objects.only("name")),
    "without a queryset": fetched("Blog", lambda q, m, o: q.prefetch_related(o.Prefetch("entries")), "entries"),
    "nested": among("Blog", "entries__comments", lambda m, o: m.Comment.objects.filter(likes=3)),
    "a Prefetch, then a path over it": fetched(
        "Blog",
        lambda q, m, o: q.prefetch_related(
            o.Prefetch("entries", m.Entry.objects.filter(rating=5)), "entries__comments"
        ),
        "entries__comments",
    ),
    "a Prefetch of each level": fetched(
        "Blog",
        lambda q, m, o: q.prefetch_related(
            o.Prefetch("entries", m.Entry.objects.filter(rating__gte=3)),
            o.Prefetch("entries__comments", m.Comment.objects.exclude(text="bad")),
        ),
        "entries__comments",
    ),
    # to_attr.
    "to_attr": among("Blog", "entries", lambda m, o: m.Entry.objects.filter(rating=5), attr="best"),
    "to_attr without a queryset": fetched(
        "Blog", lambda q, m, o: q.prefetch_related(o.Prefetch("entries", to_attr="found")), "found"
    ),
    "to_attr, many-to-many": among("Entry", "tags", lambda m, o: m.Tag.objects.filter(uses=5), attr="used"),
    "to_attr, forward": among("Entry", "author", lambda m, o: m.Author.objects.all(), attr="writer"),
    "to_attr, forward, filtered": among("Entry", "author", lambda m, o: m.Author.objects.filter(age=40), attr="writer"),
    "to_attr, one to one backward": among("Author", "profile", lambda m, o: m.Profile.objects.all(), attr="page"),
    "to_attr, two of one relation": fetched(
        "Blog",
        lambda q, m, o: q.prefetch_related(
            o.Prefetch("entries", m.Entry.objects.filter(rating=5), to_attr="best"),
            o.Prefetch("entries", m.Entry.objects.filter(rating=None), to_attr="unrated"),
        ),
        "best",
        "unrated",
    ),
    "to_attr and the relation": fetched(
        "Blog",
        lambda q, m, o: q.prefetch_related(
            "entries", o.Prefetch("entries", m.Entry.objects.filter(rating=5), to_attr="best")
        ),
        "entries",
        "best",
    ),
    "to_attr, then a path over it": fetched(
        "Blog",
        lambda q, m, o: q.prefetch_related(
            o.Prefetch("entries", m.Entry.objects.filter(rating=5), to_attr="best"), "best__comments"
        ),
        "best__comments",
    ),
    "to_attr under to_attr": fetched(
        "Blog",
        lambda q, m, o: q.prefetch_related(
            o.Prefetch("entries", m.Entry.objects.filter(rating__gte=3), to_attr="best"),
            o.Prefetch("best__tags", m.Tag.objects.filter(uses=1), to_attr="rare"),
        ),
        "best__rare",
    ),
    "to_attr nested": among("Blog", "entries__tags", lambda m, o: m.Tag.objects.filter(uses=5), attr="used"),
    "the relation is asked for beside to_attr": fetched(
        "Blog",
        lambda q, m, o: q.filter(id=1).prefetch_related(
            o.Prefetch("entries", m.Entry.objects.filter(rating=5), to_attr="best")
        ),
        "best",
        "entries",
    ),
}.items():
    case(f"queryset: {_name}", _query)

case(
    "queryset: filtered back twice, many-to-many",
    among("Entry", "tags", lambda m, o: m.Tag.objects.filter(entries__rating=5).filter(entries__rating=3)),
    differs="Django takes the key of the pair from the first join of the table, and asks about the last",
)

# In order, and slices: the first of each.
for _name, _query in {
    "ordered": among("Blog", "entries", lambda m, o: m.Entry.objects.order_by("-id"), ordered=True),
    "ordered by a column that is NULL": among(
        "Blog", "entries", lambda m, o: m.Entry.objects.order_by("title", "-id"), ordered=True
    ),
    "ordered across": among(
        "Blog", "entries", lambda m, o: m.Entry.objects.order_by("blog__name", "-id"), ordered=True
    ),
    "ordered, many-to-many": among("Entry", "tags", lambda m, o: m.Tag.objects.order_by("-name"), ordered=True),
    "ordered by the pair": among(
        "Club", "topics", lambda m, o: m.Tag.objects.order_by("interests__weight", "id"), ordered=True
    ),
    "ordered by an annotation": among(
        "Blog",
        "entries",
        lambda m, o: m.Entry.objects.annotate(n=o.Count("comments")).order_by("-n", "id"),
        ordered=True,
    ),
    "the first": part("Blog", "entries", lambda m, o: m.Entry.objects.order_by("-id")[:1]),
    "the first two": part("Blog", "entries", lambda m, o: m.Entry.objects.order_by("id")[:2]),
    "all but the first": part("Blog", "entries", lambda m, o: m.Entry.objects.order_by("id")[1:]),
    "the second": part("Blog", "entries", lambda m, o: m.Entry.objects.order_by("id")[1:2]),
    "nothing": part("Blog", "entries", lambda m, o: m.Entry.objects.order_by("id")[:0]),
    "filtered": part(
        "Blog", "entries", lambda m, o: m.Entry.objects.filter(rating__gte=2).order_by("-rating", "id")[:1]
    ),
    "with an annotation": part(
        "Blog",
        "entries",
        lambda m, o: m.Entry.objects.annotate(n=o.Count("comments")).order_by("-n", "id")[:1],
    ),
    "with select_related": part(
        "Blog",
        "entries",
        lambda m, o: m.Entry.objects.select_related("author").order_by("id")[:2],
        "author",
    ),
    "with prefetch_related": part(
        "Blog",
        "entries",
        lambda m, o: m.Entry.objects.prefetch_related(o.Prefetch("tags", m.Tag.objects.order_by("id"))).order_by("id")[
            :2
        ],
        "tags",
    ),
    "many-to-many": part("Entry", "tags", lambda m, o: m.Tag.objects.order_by("-id")[:1]),
    "many-to-many, backward": part("Tag", "entries", lambda m, o: m.Entry.objects.order_by("id")[1:3]),
    "many-to-many, over a model": part("Author", "clubs", lambda m, o: m.Club.objects.order_by("id")[:1]),
    "many-to-many, members twice": part("Club", "members", lambda m, o: m.Author.objects.order_by("id")[:3]),
    "many-to-many, friends": part("Author", "friends", lambda m, o: m.Author.objects.order_by("id")[:1]),
    "many-to-many, over a field that is no key": part("Club", "topics", lambda m, o: m.Tag.objects.order_by("-id")[:1]),
    "many-to-many, filtered": part(
        "Entry", "tags", lambda m, o: m.Tag.objects.filter(uses__gte=1).order_by("-uses")[:1]
    ),
    "backward, to itself": part("Author", "pupils", lambda m, o: m.Author.objects.order_by("-id")[:1]),
    "backward, over a field that is no key": part("Tag", "remarks", lambda m, o: m.Remark.objects.order_by("-id")[:1]),
    "nested": fetched(
        "Blog",
        lambda q, m, o: q.prefetch_related(
            o.Prefetch("entries", m.Entry.objects.order_by("-id")[:2], to_attr="last"),
            o.Prefetch("last__comments", m.Comment.objects.order_by("-id")[:1], to_attr="latest"),
        ),
        "last__latest",
        ordered=True,
    ),
    "of sliced rows": fetched(
        "Blog",
        lambda q, m, o: q.prefetch_related(o.Prefetch("entries", m.Entry.objects.order_by("id")[:1], "found"))[1:4],
        "found",
        ordered=True,
    ),
    "in a random order": part("Blog", "entries", lambda m, o: m.Entry.objects.order_by("?")[:0]),
}.items():
    case(f"slice: {_name}", _query, ordered=True, point=10)

case(
    "slice: without to_attr",
    among("Blog", "entries", lambda m, o: m.Entry.objects.order_by("-id")[:1], ordered=True),
    ordered=True,
    differs="the relation itself may have a slice; Django fails without to_attr",
    point=10,
)


# With other clauses.
for _name, _query in {
    "after a filter": fetched("Blog", lambda q, m, o: q.filter(owner=1).prefetch_related("entries"), "entries"),
    "before a filter": fetched("Blog", lambda q, m, o: q.prefetch_related("entries").filter(owner=1), "entries"),
    "of a filter over the same": fetched(
        "Blog", lambda q, m, o: q.filter(entries__rating=5).prefetch_related("entries"), "entries"
    ),
    "of rows that come twice": fetched(
        "Blog", lambda q, m, o: q.filter(entries__rating__gte=1).prefetch_related("entries"), "entries"
    ),
    "of no rows": fetched("Blog", lambda q, m, o: q.filter(id=-1).prefetch_related("entries__tags"), "entries"),
    "of none": fetched("Blog", lambda q, m, o: q.none().prefetch_related("entries__tags"), "entries"),
    "chained": fetched(
        "Entry", lambda q, m, o: q.prefetch_related("tags").prefetch_related("comments"), "tags", "comments"
    ),
    "undone": fetched("Blog", lambda q, m, o: q.prefetch_related("entries").prefetch_related(None)),
    "undone, then again": fetched(
        "Entry",
        lambda q, m, o: q.prefetch_related("tags").prefetch_related(None).prefetch_related("comments"),
        "comments",
    ),
    "with an annotation": fetched(
        "Blog", lambda q, m, o: q.annotate(n=o.Count("entries")).prefetch_related("entries"), "entries"
    ),
    "with a slice": fetched("Entry", lambda q, m, o: q.prefetch_related("tags")[:3], "tags"),
    "behind select_related": fetched(
        "Comment", lambda q, m, o: q.select_related("entry").prefetch_related("entry__tags"), "entry__tags"
    ),
    "behind select_related of NULL": fetched(
        "Entry", lambda q, m, o: q.select_related("author").prefetch_related("author__clubs"), "author__clubs"
    ),
    "behind select_related of one to one": fetched(
        "Author", lambda q, m, o: q.select_related("profile").prefetch_related("profile__avatar"), "profile__avatar"
    ),
    "of what select_related has": fetched(
        "Entry", lambda q, m, o: q.select_related("blog").prefetch_related("blog__entries"), "blog__entries"
    ),
    "with only": fetched("Blog", lambda q, m, o: q.only("name").prefetch_related("entries"), "entries"),
    "with defer": fetched("Entry", lambda q, m, o: q.defer("title").prefetch_related("blog", "tags"), "blog", "tags"),
    "with distinct": fetched(
        "Entry", lambda q, m, o: q.filter(tags__isnull=False).distinct().prefetch_related("tags"), "tags"
    ),
    "count": lambda m, o: m.Blog.objects.prefetch_related("entries").count(),
    "exists": lambda m, o: m.Blog.objects.prefetch_related("entries").exists(),
}.items():
    case(f"beside: {_name}", _query)

case("beside: get", lambda m, o: _single(m, lambda q: q.get(id=1)))
case("beside: first", lambda m, o: _single(m, lambda q: q.order_by("id").first()))
case("beside: last", lambda m, o: _single(m, lambda q: q.order_by("id").last()))
case("beside: in_bulk", lambda m, o: _bulk(m))
case("beside: only without the key that rows are attached by", lambda m, o: _without_key(m, o), fewer=KEYS)
case("beside: only without a relation that is loaded", lambda m, o: _without_relation(m), fewer=KEYS)
case("beside: one by one", lambda m, o: _walked(m), theirs=lambda m, o: _walked_theirs(m), statements=BATCHES)


def _single(m, ask):  # type: ignore[no-untyped-def]
    blog = yield ask(m.Blog.objects.prefetch_related("entries"))
    return (yield from tree([blog], "entries"))


def _bulk(m):  # type: ignore[no-untyped-def]
    blogs = yield m.Blog.objects.prefetch_related("entries").in_bulk([1, 2])
    return sorted(blogs), (yield from tree(blogs.values(), "entries"))


def _without_key(m, o):  # type: ignore[no-untyped-def]
    blogs = yield m.Blog.objects.prefetch_related(o.Prefetch("entries", m.Entry.objects.only("title")))
    return (yield from _titles(blogs))


def _titles(blogs):  # type: ignore[no-untyped-def]
    titles = {}
    for blog in blogs:
        entries = yield blog.entries.all()
        titles[blog.id] = sorted(entry.title for entry in entries)
    return sorted(titles.items())


def _without_relation(m):  # type: ignore[no-untyped-def]
    entries = yield m.Entry.objects.only("title").prefetch_related("blog")
    return sorted((entry.id, entry.blog.name) for entry in entries)


async def _walked(m):  # type: ignore[no-untyped-def]
    entries = [entry async for entry in m.Entry.objects.order_by("id").prefetch_related("tags")]
    return [(entry.id, sorted(tag.id for tag in await entry.tags.all())) for entry in entries]


def _walked_theirs(m):  # type: ignore[no-untyped-def]
    entries = list(m.Entry.objects.order_by("id").prefetch_related("tags").iterator(chunk_size=100))
    return [(entry.id, sorted(tag.id for tag in entry.tags.all())) for entry in entries]


# What is known then.
def known(model: str, path: str, ask: Any, *, ordered: bool = False) -> Any:
    """What is asked of each row once a path is prefetched."""

    def run(m, o):  # type: ignore[no-untyped-def]
        rows = yield getattr(m, model).objects.order_by("id").prefetch_related(path)
        entries = []
        for row in rows:
            answer = yield ask(row, m, o)
            unordered = isinstance(answer, list) and not ordered
            entries.append(sorted(answer, key=lambda row: row.pk) if unordered else answer)
        return entries

    return run


for _name, _query in {
    "all": known("Blog", "entries", lambda b, m, o: b.entries.all()),
    "filter": known("Blog", "entries", lambda b, m, o: b.entries.filter(rating=5)),
    "all, then filter": known("Blog", "entries", lambda b, m, o: b.entries.all().filter(rating=5)),
    "exclude": known("Blog", "entries", lambda b, m, o: b.entries.exclude(rating=5)),
    "order_by": known("Blog", "entries", lambda b, m, o: b.entries.order_by("-id"), ordered=True),
    "values": known(
        *("Blog", "entries", lambda b, m, o: b.entries.values_list("id", flat=True).order_by("id")), ordered=True
    ),
    "count of some": known("Blog", "entries", lambda b, m, o: b.entries.filter(rating=5).count()),
    "exists of some": known("Blog", "entries", lambda b, m, o: b.entries.filter(id=1).exists()),
    "aggregate": known("Blog", "entries", lambda b, m, o: b.entries.aggregate(n=o.Max("rating"))),
    "many-to-many, filter": known("Entry", "tags", lambda e, m, o: e.tags.filter(uses=5)),
    "many-to-many, all": known("Entry", "tags", lambda e, m, o: e.tags.all()),
}.items():
    case(f"then: {_name}", _query)

case("then: all, twice", known("Blog", "entries", lambda b, m, o: b.entries.all().all()), fewer=KNOWN)
case("then: count", known("Blog", "entries", lambda b, m, o: b.entries.count()), fewer=KNOWN)
case("then: exists", known("Blog", "entries", lambda b, m, o: b.entries.exists()), fewer=KNOWN)
case("then: count of all", known("Blog", "entries", lambda b, m, o: b.entries.all().count()), fewer=KNOWN)
case("then: the reverse relation is the row itself", lambda m, o: _reverse_relation(m))
case("then: the reverse relation of one to one", lambda m, o: _reverse_relation_one(m))
case("then: the reverse relation under to_attr", lambda m, o: _reverse_relation_attr(m, o))
case("then: one object for the same row", lambda m, o: _same(m))
case("then: add is seen", lambda m, o: _changed(m, lambda e: e.tags.add(4)), writes=True, fewer=ONE)
case("then: remove is seen", lambda m, o: _changed(m, lambda e: e.tags.remove(1)), writes=True)
case("then: clear is seen", lambda m, o: _changed(m, lambda e: e.tags.clear()), writes=True)
case("then: set is seen", lambda m, o: _changed(m, lambda e: e.tags.set([3])), writes=True, fewer=SET)
case("then: create is seen", lambda m, o: _changed(m, lambda e: e.tags.create(name="new")), writes=True)
case("then: backward, add is seen", lambda m, o: _changed_back(m, "add", 3), writes=True)
case("then: backward, remove is seen", lambda m, o: _changed_back(m, "remove", 1), writes=True)
case("then: backward, create is seen", lambda m, o: _changed_create(m), writes=True)
case("then: another's write is not seen", lambda m, o: _unseen(m), writes=True)
case("then: a key that is changed", lambda m, o: _rekeyed(m))


def _reverse_relation(m):  # type: ignore[no-untyped-def]
    blogs = yield m.Blog.objects.order_by("id").prefetch_related("entries")
    pairs = []
    for blog in blogs:
        for entry in (yield blog.entries.all()):
            pairs.append((entry.id, entry.blog is blog))
    return sorted(pairs)


def _reverse_relation_one(m):  # type: ignore[no-untyped-def]
    authors = yield m.Author.objects.filter(profile__isnull=False).order_by("id").prefetch_related("profile")
    return [(author.profile.bio, author.profile.author is author) for author in authors]


def _reverse_relation_attr(m, o):  # type: ignore[no-untyped-def]
    blogs = yield m.Blog.objects.order_by("id").prefetch_related(o.Prefetch("entries", to_attr="found"))
    return [[entry.blog is blog for entry in blog.found] for blog in blogs]


def _same(m):  # type: ignore[no-untyped-def]
    entries = yield m.Entry.objects.filter(blog=1).order_by("id").prefetch_related("blog")
    return [entry.blog is entries[0].blog for entry in entries]


def _changed(m, change):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.prefetch_related("tags").get(id=1)
    yield change(entry)
    tags = yield entry.tags.all()
    return sorted(tag.name for tag in tags)


def _changed_back(m, how, key):  # type: ignore[no-untyped-def]
    author = yield m.Author.objects.prefetch_related("blogs").get(id=1)
    blog = yield m.Blog.objects.get(id=key)
    yield getattr(author.blogs, how)(blog)
    blogs = yield author.blogs.all()
    return sorted(blog.id for blog in blogs)


def _changed_create(m):  # type: ignore[no-untyped-def]
    author = yield m.Author.objects.prefetch_related("blogs").get(id=1)
    yield author.blogs.create(name="new")
    blogs = yield author.blogs.all()
    return sorted(blog.name for blog in blogs)


def _unseen(m):  # type: ignore[no-untyped-def]
    blog = yield m.Blog.objects.prefetch_related("entries").get(id=1)
    yield m.Entry.objects.filter(blog=1).update(title="changed")
    return sorted(entry.title for entry in (yield blog.entries.all()))


def _rekeyed(m):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.prefetch_related("blog").get(id=1)
    entry.blog_id = 1
    return entry.blog.name


# Refused.
def refused(model: str, queryset: Any) -> Any:
    """A queryset that cannot be read."""

    def run(m, o):  # type: ignore[no-untyped-def]
        rows = yield queryset(getattr(m, model).objects, m, o)
        return len(rows)

    return run


for _name, _query in {
    "an unknown name": refused("Blog", lambda q, m, o: q.prefetch_related("nothing")),
    "an unknown name, behind": refused("Blog", lambda q, m, o: q.prefetch_related("entries__nothing")),
    "a field": refused("Blog", lambda q, m, o: q.prefetch_related("name")),
    "a field, behind": refused("Blog", lambda q, m, o: q.prefetch_related("entries__title")),
    "a key": refused("Entry", lambda q, m, o: q.prefetch_related("blog_id")),
    "a Prefetch of an unknown name": refused("Blog", lambda q, m, o: q.prefetch_related(o.Prefetch("nothing"))),
    "an unknown to_attr": refused(
        "Blog",
        lambda q, m, o: q.prefetch_related(o.Prefetch("entries", to_attr="best"), "worst__comments"),
    ),
    "values": refused(
        "Blog", lambda q, m, o: q.prefetch_related(o.Prefetch("entries", m.Entry.objects.values("title")))
    ),
    "values_list": refused(
        "Blog", lambda q, m, o: q.prefetch_related(o.Prefetch("entries", m.Entry.objects.values_list("id", flat=True)))
    ),
    "a queryset of another model": refused(
        "Blog", lambda q, m, o: q.prefetch_related(o.Prefetch("entries", m.Tag.objects.all()))
    ),
    "a second queryset": refused(
        "Blog",
        lambda q, m, o: q.prefetch_related("entries", o.Prefetch("entries", m.Entry.objects.filter(rating=5))),
    ),
    "two querysets": refused(
        "Blog",
        lambda q, m, o: q.prefetch_related(
            o.Prefetch("entries", m.Entry.objects.filter(rating=4)),
            o.Prefetch("entries", m.Entry.objects.filter(rating=5)),
        ),
    ),
    "a queryset after a path over it": refused(
        "Blog",
        lambda q, m, o: q.prefetch_related(
            "entries__comments", o.Prefetch("entries", m.Entry.objects.filter(rating=5))
        ),
    ),
    "one to_attr twice": refused(
        "Blog",
        lambda q, m, o: q.prefetch_related(
            o.Prefetch("entries", m.Entry.objects.filter(rating=4), to_attr="found"),
            o.Prefetch("entries", m.Entry.objects.filter(rating=5), to_attr="found"),
        ),
    ),
    "a number": refused("Blog", lambda q, m, o: q.prefetch_related(5)),
    "a filter of a slice": refused(
        "Blog", lambda q, m, o: q.prefetch_related(o.Prefetch("entries", m.Entry.objects.all()[:2].filter(rating=5)))
    ),
    "after a union": refused("Blog", lambda q, m, o: q.union(q.all()).prefetch_related("nothing")),
}.items():
    case(f"refused: {_name}", _query, point=6)

case(
    "refused: past a field",
    refused("Blog", lambda q, m, o: q.prefetch_related("name__entries")),
    differs="refused; Django takes any attribute that is there for something prefetched",
    point=6,
)
case(
    "refused: to_attr of a field's name",
    refused("Blog", lambda q, m, o: q.prefetch_related(o.Prefetch("entries", to_attr="name"))),
    differs="refused; Django takes any attribute that is there for something prefetched",
    point=6,
)
