"""Related instances: `select_related()` both ways, `only()` and `defer()` through relations, what is not loaded, what
is set."""

from __future__ import annotations

from typing import Any

from orm import NotLoaded
from tests.conformance.cases import Area
from tests.conformance.loaded_trees import tree

case = Area("related instances")

NOT_LOADED = "nothing is loaded implicitly: ours raises and names the call, Django sends a statement"
UPDATED = "ours is one statement"
KEY = "the key of a relation is there without asking; Django loads the row"


def loaded(model: str, queryset: Any, *paths: str) -> Any:
    """The rows of a queryset, in order, with what they have under these paths."""

    def run(m, o):  # type: ignore[no-untyped-def]
        rows = yield queryset(getattr(m, model).objects.order_by("id"), m, o)
        return (yield from tree(rows, *paths, ordered=True))

    return run


# select_related.
for _name, _query in {
    "forward": loaded("Entry", lambda q, m, o: q.select_related("blog"), "blog"),
    "forward, NULL": loaded("Entry", lambda q, m, o: q.select_related("author"), "author"),
    "forward, twice": loaded("Entry", lambda q, m, o: q.select_related("blog", "author"), "blog", "author"),
    "forward, two steps": loaded("Entry", lambda q, m, o: q.select_related("blog__owner"), "blog__owner"),
    "forward, three steps": loaded(
        "Comment", lambda q, m, o: q.select_related("entry__blog__owner__country"), "entry__blog__owner__country"
    ),
    "forward, forked": loaded(
        *("Comment", lambda q, m, o: q.select_related("entry__author", "author__country")),
        *("entry__author", "author__country"),
    ),
    "chained adds": loaded(
        "Entry", lambda q, m, o: q.select_related("blog").select_related("author"), "blog", "author"
    ),
    "to itself": loaded("Author", lambda q, m, o: q.select_related("mentor__mentor"), "mentor__mentor"),
    "over a field that is no key": loaded("Remark", lambda q, m, o: q.select_related("tag"), "tag"),
    "of a pair": loaded(
        "Membership", lambda q, m, o: q.select_related("club", "author", "inviter"), "club", "author", "inviter"
    ),
    "one to one, forward": loaded("Profile", lambda q, m, o: q.select_related("author"), "author"),
    "one to one, forward, NULL": loaded("Feed", lambda q, m, o: q.select_related("blog"), "blog"),
    "one to one, backward": loaded("Author", lambda q, m, o: q.select_related("profile"), "profile"),
    "one to one, backward, nullable": loaded("Blog", lambda q, m, o: q.select_related("feed"), "feed"),
    "one to one, backward, twice": loaded(
        "Author", lambda q, m, o: q.filter(profile__isnull=False).select_related("profile__avatar"), "profile__avatar"
    ),
    "one to one, backward, then absent": loaded(
        "Author", lambda q, m, o: q.select_related("profile__avatar").filter(id__lt=3), "profile__avatar"
    ),
    "forward, then one to one backward": loaded(
        "Entry", lambda q, m, o: q.select_related("author__profile").filter(author__isnull=False), "author__profile"
    ),
    "forward NULL, then one to one backward": loaded(
        "Entry", lambda q, m, o: q.select_related("author__profile"), "author__profile"
    ),
    "one to one backward beside forward": loaded(
        "Blog", lambda q, m, o: q.filter(feed__isnull=False).select_related("feed", "owner"), "feed", "owner"
    ),
    "one to one, filtered by": loaded(
        "Author", lambda q, m, o: q.select_related("profile").filter(profile__level=3), "profile"
    ),
    "one to one, excluded by": loaded(
        "Author", lambda q, m, o: q.select_related("profile").exclude(profile__level=3), "profile"
    ),
    "one to one, ordered by": loaded(
        "Author", lambda q, m, o: q.select_related("profile").order_by("-profile__id", "id")[:3], "profile"
    ),
    "filtered by the same": loaded(
        "Entry", lambda q, m, o: q.select_related("blog").filter(blog__owner__name="Ann"), "blog"
    ),
    "over many rows": loaded("Entry", lambda q, m, o: q.select_related("blog").filter(tags__uses__gte=1), "blog"),
    "with an annotation": loaded(
        "Entry", lambda q, m, o: q.select_related("blog").annotate(n=o.Count("comments")), "blog"
    ),
    "one to one with an aggregate": loaded(
        "Author", lambda q, m, o: q.select_related("profile").annotate(n=o.Count("entries")), "profile"
    ),
    "distinct": loaded("Entry", lambda q, m, o: q.select_related("blog").filter(tags__isnull=False).distinct(), "blog"),
    "a slice": loaded("Entry", lambda q, m, o: q.select_related("blog", "author")[2:5], "blog", "author"),
    "without arguments": loaded("Comment", lambda q, m, o: q.select_related(), "entry__blog"),
    "the reverse relation of one to one": loaded(
        "Author", lambda q, m, o: q.select_related("profile")[:2], "profile__author"
    ),
    "only": loaded("Entry", lambda q, m, o: q.select_related("blog").only("title", "blog__name"), "blog"),
    "only of the relation": loaded("Entry", lambda q, m, o: q.select_related("blog").only("title", "blog"), "blog"),
    "only, two steps": loaded(
        "Entry", lambda q, m, o: q.select_related("blog__owner").only("title", "blog__owner__name"), "blog__owner"
    ),
    "only of one to one backward": loaded(
        "Author", lambda q, m, o: q.select_related("profile").only("name", "profile__bio"), "profile"
    ),
    "defer": loaded("Entry", lambda q, m, o: q.select_related("blog").defer("price", "blog__tagline"), "blog"),
    "defer of one to one backward": loaded(
        "Author", lambda q, m, o: q.select_related("profile").defer("joined", "profile__bio"), "profile"
    ),
    "defer, two steps": loaded(
        "Entry", lambda q, m, o: q.select_related("blog__owner").defer("blog__owner__joined"), "blog__owner"
    ),
    "only without select_related": loaded("Entry", lambda q, m, o: q.only("title", "blog_id")),
    "of no rows": loaded("Entry", lambda q, m, o: q.filter(id=-1).select_related("blog"), "blog"),
}.items():
    case(f"select_related {_name}", _query, ordered=True)

case("select_related of one row", lambda m, o: _got(m, "get"))
case("select_related of the first", lambda m, o: _got(m, "first"))
case("select_related undone", lambda m, o: _undone(m))
case("select_related of many rows", lambda m, o: _all(m.Blog.objects.select_related("entries")), point=6)
case("select_related of many-to-many", lambda m, o: _all(m.Entry.objects.select_related("tags")), point=6)
case("select_related behind many rows", lambda m, o: _all(m.Blog.objects.select_related("entries__author")), point=6)
case("select_related of an unknown name, behind", lambda m, o: _all(m.Entry.objects.select_related("blog__x")), point=6)
case("select_related after values", lambda m, o: _all(m.Entry.objects.values("id").select_related("blog")), point=6)
case("only of an unknown name, behind", lambda m, o: _all(m.Entry.objects.only("blog__nothing")), point=6)
case("defer of an unknown relation", lambda m, o: _all(m.Entry.objects.defer("nothing__name")), point=6)
case(
    "only without the key of a relation that is loaded",
    lambda m, o: _only_without(m),
    differs="the key is loaded anyway",
)


def _got(m, how):  # type: ignore[no-untyped-def]
    entry = yield getattr(m.Entry.objects.filter(id=1).select_related("blog__owner"), how)()
    return entry.blog.owner.name


def _undone(m):  # type: ignore[no-untyped-def]
    entries = yield m.Entry.objects.select_related("blog").select_related(None).order_by("id")
    return [entry.blog_id for entry in entries]


def _all(query):  # type: ignore[no-untyped-def]
    return (yield query)


def _only_without(m):  # type: ignore[no-untyped-def]
    entries = yield m.Entry.objects.select_related("blog").only("title")
    return [entry.blog.name for entry in entries]


# What is not loaded.
def unread(ask: Any) -> Any:
    """Reading what was not loaded: refused by name of the call that loads it."""

    def run(m, o):  # type: ignore[no-untyped-def]
        entry = yield m.Entry.objects.get(id=1)
        author = yield m.Author.objects.get(id=1)
        try:
            return ask(entry, author)
        except NotLoaded as error:
            assert "select_related(" in str(error) or "load(" in str(error), error
            return "not loaded"

    return run


for _name, _ask in {
    "a relation's column": lambda e, a: e.blog.name,
    "a relation's relation": lambda e, a: e.blog.owner.name,
    "a relation to itself": lambda e, a: a.country.name,
    "a one to one backward": lambda e, a: a.profile.bio,
    "an absent one to one backward": lambda e, a: e.author.profile.bio,
}.items():
    case(f"not loaded: {_name}", unread(_ask), differs=NOT_LOADED)

case("not loaded: a deferred column", lambda m, o: _deferred(m), differs=NOT_LOADED)
case("the key of a relation", lambda m, o: _keys(m, lambda e: (e.blog_id, e.author_id)), ordered=True)
case(
    "the pk of a relation",
    lambda m, o: _keys(m, lambda e: (e.blog.pk, e.author and e.author.pk)),
    ordered=True,
    fewer=KEY,
)
case("the key over a field that is no key", lambda m, o: _tag_keys(m), ordered=True)
case("a relation that is NULL", lambda m, o: _null(m))
case("loaded when it is asked for", lambda m, o: _load(m), theirs=lambda m, o: _read(m))
case(
    "relations loaded onto instances in hand",
    lambda m, o: _onto(m, lambda entries: o.load(entries, "blog__owner", "tags")),
    theirs=lambda m, o: _onto(m, lambda entries: lambda: o.prefetch_related_objects(entries, "blog__owner", "tags")),
    ordered=True,
)
case(
    "what is loaded already is not loaded again",
    lambda m, o: _again(m, lambda entries, *paths: o.load(entries, *paths)),
    theirs=lambda m, o: _again(m, lambda entries, *paths: lambda: o.prefetch_related_objects(entries, *paths)),
    ordered=True,
)


def _deferred(m):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.only("title").get(id=1)
    try:
        return entry.rating
    except NotLoaded as error:
        assert "load()" in str(error)
        return "not loaded"


def _keys(m, ask):  # type: ignore[no-untyped-def]
    return [ask(entry) for entry in (yield m.Entry.objects.order_by("id"))]


def _tag_keys(m):  # type: ignore[no-untyped-def]
    return [remark.tag_id for remark in (yield m.Remark.objects.order_by("id"))]


def _null(m):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.get(id=4)
    return entry.author, entry.author_id


def _load(m):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.get(id=1)
    yield entry.blog.load()
    return entry.blog.name


def _read(m):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.get(id=1)
    return entry.blog.name


def _onto(m, load):  # type: ignore[no-untyped-def]
    entries = yield m.Entry.objects.order_by("id")
    yield load(entries)
    return (yield from tree(entries, "blog__owner", "tags"))


def _again(m, load):  # type: ignore[no-untyped-def]
    entries = yield m.Entry.objects.order_by("id").select_related("blog")
    yield load(entries, "blog", "tags")
    yield load(entries, "tags", "blog__owner")
    return (yield from tree(entries, "blog__owner", "tags"))


# One to one backward.
case("one to one backward, absent", lambda m, o: _absent(m))
case("one to one backward, absent, is an AttributeError", lambda m, o: _absent(m, True))
case("one to one set", lambda m, o: _one_set(m), writes=True)
case("one to one set backward", lambda m, o: _one_set_backward(m), writes=True)
case("one to one, a second row", lambda m, o: m.Profile.objects.create(author_id=1), writes=True)
case("one to one, NULL twice", lambda m, o: _feeds(m), writes=True)
case("one to one backward of another model", lambda m, o: _one_wrong(m), point=6)


def _absent(m, quiet=False):  # type: ignore[no-untyped-def]
    author = yield m.Author.objects.select_related("profile").get(id=3)
    if quiet:
        return getattr(author, "profile", "nothing"), hasattr(author, "profile")
    try:
        return author.profile
    except m.Profile.DoesNotExist:
        return "absent"


def _one_set(m):  # type: ignore[no-untyped-def]
    author = yield m.Author.objects.get(id=3)
    profile = m.Profile(author=author, bio="new")
    yield profile.save()
    loaded_author = yield m.Author.objects.select_related("profile").get(id=3)
    return profile.author is author, author.profile is profile, loaded_author.profile.bio


def _one_set_backward(m):  # type: ignore[no-untyped-def]
    author = yield m.Author.objects.get(id=3)
    profile = m.Profile(bio="new")
    author.profile = profile
    yield profile.save()
    return profile.author is author, profile.author_id, author.profile is profile


def _feeds(m):  # type: ignore[no-untyped-def]
    yield m.Feed.objects.create(url="a")
    return (yield m.Feed.objects.filter(blog=None).count())


def _one_wrong(m):  # type: ignore[no-untyped-def]
    author = yield m.Author.objects.get(id=3)
    author.profile = m.Tag(name="x")


# What is set.
case("set to an instance", lambda m, o: _set(m, lambda entry, blog: setattr(entry, "blog", blog)), writes=True)
case("set to a key", lambda m, o: _set(m, lambda entry, blog: setattr(entry, "blog_id", 2)), writes=True, fewer=KEY)
case("set to None", lambda m, o: _set_author(m, lambda entry: setattr(entry, "author", None)), writes=True)
case("set the key to None", lambda m, o: _set_author(m, lambda entry: setattr(entry, "author_id", None)), writes=True)
case("set to an instance of another model", lambda m, o: _set_wrong(m), point=6)
case("set to None where it must not be", lambda m, o: _set_null(m), writes=True, differs="ours is validated first")
case("saved before what it points at", lambda m, o: _before(m), writes=True, point=6)
case("saved after what it points at", lambda m, o: _after(m), writes=True)
case("created with an instance", lambda m, o: _created(m), writes=True)
case("created over a field that is no key", lambda m, o: _created_remark(m), writes=True)
case("created with a key", lambda m, o: _created_by_key(m), writes=True)
case("an instance that was set is not loaded again", lambda m, o: _kept(m))
case("updated to an instance", lambda m, o: _updated(m), writes=True, statements=UPDATED)


def _set(m, change):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.select_related("blog").get(id=1)
    blog = yield m.Blog.objects.get(id=2)
    change(entry, blog)
    yield entry.save()
    return entry.blog_id, entry.blog.pk, (yield m.Entry.objects.get(id=1))


def _set_author(m, change):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.select_related("author").get(id=1)
    change(entry)
    yield entry.save()
    return entry.author, entry.author_id, (yield m.Entry.objects.get(id=1))


def _set_wrong(m):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.get(id=1)
    entry.blog = m.Tag(id=1, name="red")


def _set_null(m):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.get(id=1)
    entry.blog = None
    yield entry.save()


def _before(m):  # type: ignore[no-untyped-def]
    entry = m.Entry(blog=m.Blog(name="new"), title="new")
    yield entry.save()


def _after(m):  # type: ignore[no-untyped-def]
    blog = m.Blog(name="new")
    entry = m.Entry(blog=blog, title="new")
    yield blog.save()
    yield entry.save()
    return entry.blog_id == blog.pk, entry.blog is blog, (yield m.Entry.objects.filter(blog=blog).count())


def _created(m):  # type: ignore[no-untyped-def]
    blog = yield m.Blog.objects.get(id=2)
    entry = yield m.Entry.objects.create(blog=blog, title="new")
    return entry.blog is blog, entry.blog_id, entry.author


def _created_remark(m):  # type: ignore[no-untyped-def]
    tag = yield m.Tag.objects.get(id=3)
    remark = yield m.Remark.objects.create(tag=tag, text="new")
    other = yield m.Remark.objects.create(tag_id="green", text="new")
    return remark.tag_id, other.tag_id, (yield m.Tag.objects.filter(remark__text="new").order_by("id"))


def _created_by_key(m):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.create(blog_id=2, title="new")
    return entry.blog_id, (yield m.Entry.objects.filter(blog=2, title="new").count())


def _kept(m):  # type: ignore[no-untyped-def]
    blog = yield m.Blog.objects.get(id=1)
    entry = yield m.Entry.objects.get(id=1)
    entry.blog = blog
    return entry.blog is blog, entry.blog.name


def _updated(m):  # type: ignore[no-untyped-def]
    ann = yield m.Author.objects.get(id=1)
    done = yield m.Blog.objects.filter(owner=None).update(owner=ann)
    return done, (yield m.Blog.objects.order_by("id").values_list("id", "owner"))
