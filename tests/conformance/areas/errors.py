"""What makes no sense is refused; and what a failure leaves behind."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("errors and transactions")

for _name in ("nothing", "blog__nothing", "title__nothing", "rating__nothing", "blog__title__x", "entries", "__", ""):
    case(f"filter on {_name!r}", lambda m, o, name=_name: m.Entry.objects.filter(**{name: 1}), point=6)
for _lookup, _value in {
    "rating": "x",
    "rating__gt": "x",
    "rating__in": 5,
    "rating__in ": [1],
    "day": "no date",
    "blog": "x",
    "price": "x",
}.items():
    case(
        f"{_lookup} compared with {_value!r}",
        lambda m, o, k=_lookup, v=_value: m.Entry.objects.filter(**{k: v}),
        point=6,
    )

case(
    "a range of one",
    lambda m, o: m.Entry.objects.filter(rating__range=(1,)),
    differs="refused with our own error, where Django unpacks it and fails with Python's",
    point=6,
)
case("filter by an instance of another model", lambda m, o: _other_model(m), point=6)
case("filter by an unsaved instance", lambda m, o: m.Entry.objects.filter(blog=m.Blog(name="x")), point=6)
case("filter in unsaved instances", lambda m, o: m.Entry.objects.filter(blog__in=[m.Blog(name="x")]), point=6)
case("exclude by an unsaved instance", lambda m, o: m.Entry.objects.exclude(blog=m.Blog(name="x")), point=6)
case("backwards by an unsaved instance", lambda m, o: m.Blog.objects.filter(entries=m.Entry(title="x")), point=6)
case("a positional value", lambda m, o: m.Entry.objects.filter(5), point=6)
case("a queryset of another model", lambda m, o: m.Entry.objects.filter(blog=m.Author.objects.filter(id=1)), point=6)
case("a hostile name", lambda m, o: m.Entry.objects.filter(**{'title"; DROP TABLE x; --': 1}), point=6)
case("a hostile order", lambda m, o: m.Entry.objects.order_by('title"; DROP TABLE x; --'), point=6)
case("a hostile column", lambda m, o: m.Entry.objects.values('title"; DROP TABLE x; --'), point=6)
case("a hostile alias", lambda m, o: m.Entry.objects.annotate(**{'x"; DROP TABLE x; --': o.F("id")}), point=6)
case("a hostile value", lambda m, o: m.Entry.objects.filter(title="x'; DROP TABLE x; --"), point=6)
case("select_related of no relation", lambda m, o: _all(m.Entry.objects.select_related("title")), point=6)
case("select_related of an unknown name", lambda m, o: _all(m.Entry.objects.select_related("nothing")), point=6)
case("LIKE's signs", lambda m, o: m.Entry.objects.filter(title__contains="%"), point=10)
case("LIKE's signs in front", lambda m, o: m.Entry.objects.filter(title__startswith="_"), point=10)
case("LIKE's signs at the end", lambda m, o: m.Blog.objects.filter(tagline__iendswith="%"), point=10)
case("a failure inside keeps what was before", lambda m, o: _inner_failure(m), writes=True, point=11)
case("a queryset made before is of the transaction", lambda m, o: _made_before(m), writes=True, point=11)


def _all(query):  # type: ignore[no-untyped-def]
    return (yield query)


def _other_model(m):  # type: ignore[no-untyped-def]
    author = yield m.Author.objects.get(id=1)
    return (yield m.Entry.objects.filter(blog=author))


def _inner_failure(m):  # type: ignore[no-untyped-def]
    yield m.Tag.objects.create(name="kept")
    # The row is there under another use: creating it again fails in a savepoint of its own.
    first = yield m.Tag.objects.get_or_create(name="kept", defaults={"uses": 3})
    return first[1], (yield m.Tag.objects.filter(name="kept").count())


def _made_before(m):  # type: ignore[no-untyped-def]
    query = m.Tag.objects.filter(name="inside")
    before = yield query.count()
    yield m.Tag.objects.create(name="inside")
    return before, (yield query.count())
