"""get, get_or_create, update_or_create, create, save."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("get and create")

LOCKED = "Django's update_or_create selects, then saves; the number of statements is not promised"

case("get", lambda m, o: m.Entry.objects.get(id=1))
case("get by a Q", lambda m, o: m.Entry.objects.get(o.Q(id=1) | o.Q(id=99)))
case("get of none", lambda m, o: m.Entry.objects.get(id=99))
case("get of several", lambda m, o: m.Entry.objects.get(title="Lennon"))
case("get with an empty in", lambda m, o: m.Entry.objects.get(id__in=[]))
case("get after a filter", lambda m, o: m.Entry.objects.filter(title="Lennon").get(rating=5))
case("get across", lambda m, o: m.Entry.objects.get(blog__name="rock"))
case("get of a row that comes twice", lambda m, o: m.Blog.objects.get(entries__title="Lennon", name="Jazz"))
case("contains", lambda m, o: _contains(m, 1))
case("does not contain", lambda m, o: _contains(m, 2))


def _contains(m, key):  # type: ignore[no-untyped-def]
    entry = yield m.Entry.objects.get(id=key)
    return (yield m.Entry.objects.filter(rating=5).contains(entry))


def _created(result):  # type: ignore[no-untyped-def]
    instance, created = result
    return instance.name, instance.uses, instance.note, created


def _get_or_create(m, **arguments):  # type: ignore[no-untyped-def]
    result = yield m.Tag.objects.get_or_create(**arguments)
    return _created(result), (yield m.Tag.objects.order_by("name").values_list("name", "uses", "note"))


def _update_or_create(m, **arguments):  # type: ignore[no-untyped-def]
    result = yield m.Tag.objects.update_or_create(**arguments)
    return _created(result), (yield m.Tag.objects.order_by("name").values_list("name", "uses", "note"))


case("get_or_create gets", lambda m, o: _get_or_create(m, name="red"), writes=True, point=9)
case("get_or_create creates", lambda m, o: _get_or_create(m, name="new"), writes=True, point=9)
case(
    "get_or_create with defaults",
    lambda m, o: _get_or_create(m, name="new", defaults={"uses": 4}),
    writes=True,
    point=9,
)
case(
    "get_or_create calls defaults",
    lambda m, o: _get_or_create(m, name="new", defaults={"uses": lambda: 4}),
    writes=True,
    point=9,
)
case(
    "get_or_create ignores defaults of a found row",
    lambda m, o: _get_or_create(m, name="red", defaults={"uses": 4}),
    writes=True,
    point=9,
)
case(
    "get_or_create by a lookup",
    lambda m, o: _get_or_create(m, name__iexact="new", defaults={"name": "new"}),
    writes=True,
    point=9,
)
case("get_or_create in conflict", lambda m, o: _get_or_create(m, name="red", uses=99), writes=True, point=9)
case("get_or_create of several", lambda m, o: m.Entry.objects.get_or_create(title="Lennon"), writes=True, point=9)
case("get_or_create of an unknown field", lambda m, o: _get_or_create(m, nothing=1), writes=True, point=9)
case(
    "update_or_create updates",
    lambda m, o: _update_or_create(m, name="red", defaults={"uses": 9}),
    writes=True,
    statements=LOCKED,
    point=9,
)
case(
    "update_or_create creates",
    lambda m, o: _update_or_create(m, name="new", defaults={"uses": 9}),
    writes=True,
    statements=LOCKED,
    point=9,
)
case(
    "update_or_create calls defaults",
    lambda m, o: _update_or_create(m, name="red", defaults={"uses": lambda: 3}),
    writes=True,
    statements=LOCKED,
    point=9,
)
case(
    "update_or_create with create_defaults",
    lambda m, o: _update_or_create(m, name="new", defaults={"uses": 9}, create_defaults={"uses": 1}),
    writes=True,
    statements=LOCKED,
    point=9,
)
case(
    "update_or_create with create_defaults, found",
    lambda m, o: _update_or_create(m, name="red", defaults={"uses": 9}, create_defaults={"uses": 1}),
    writes=True,
    statements=LOCKED,
    point=9,
)
case(
    "update_or_create without defaults",
    lambda m, o: _update_or_create(m, name="red"),
    writes=True,
    statements=LOCKED,
    point=9,
)
case("create", lambda m, o: _create(m, name="new", uses=2), writes=True)
case("create in conflict", lambda m, o: _create(m, name="red"), writes=True)
case("create with an unknown field", lambda m, o: _create(m, nothing=1), writes=True)
case("create with its key", lambda m, o: _create(m, id=50, name="new"), writes=True)
case("save an instance", lambda m, o: _save(m), writes=True)
case("save some fields", lambda m, o: _save_some(m), writes=True)
case("delete an instance", lambda m, o: _delete(m), writes=True, statements="Django looks for what hangs on it first")
case("refresh", lambda m, o: _refresh(m), theirs=lambda m, o: _refresh_theirs(m), writes=True)
case(
    "raw",
    lambda m, o: m.Entry.objects.raw("SELECT * FROM entry WHERE rating > :low ORDER BY id", {"low": 3}),
    theirs=lambda m, o: list(m.Entry.objects.raw("SELECT * FROM django_entry WHERE rating > %s ORDER BY id", [3])),
    ordered=True,
)
case(
    "raw after filter",
    lambda m, o: m.Tag.objects.filter(id=1).raw("SELECT id, name FROM tag ORDER BY id"),
    theirs=lambda m, o: list(m.Tag.objects.filter(id=1).all().raw("SELECT id, name FROM django_tag ORDER BY id")),
    ordered=True,
)
case("ordered", lambda m, o: [m.Tag.objects.all().ordered, m.Tag.objects.order_by("id").ordered])
case("ordered of nothing", lambda m, o: m.Tag.objects.none().ordered)
case("ordered, unordered again", lambda m, o: m.Tag.objects.order_by("id").order_by().ordered)


def _create(m, **values):  # type: ignore[no-untyped-def]
    instance = yield m.Tag.objects.create(**values)
    return instance.name, instance.uses, instance.pk is not None, (yield m.Tag.objects.count())


def _save(m):  # type: ignore[no-untyped-def]
    tag = yield m.Tag.objects.get(id=1)
    tag.uses = 77
    yield tag.save()
    return (yield m.Tag.objects.get(id=1))


def _save_some(m):  # type: ignore[no-untyped-def]
    tag = yield m.Tag.objects.get(id=1)
    tag.uses, tag.note = 77, "unsaved"
    yield tag.save(update_fields=["uses"])
    return (yield m.Tag.objects.get(id=1))


def _delete(m):  # type: ignore[no-untyped-def]
    tag = yield m.Tag.objects.get(id=1)
    yield tag.delete()
    return (yield m.Tag.objects.count())


def _refresh(m):  # type: ignore[no-untyped-def]
    tag = yield m.Tag.objects.get(id=1)
    yield m.Tag.objects.filter(id=1).update(uses=5)
    yield tag.load()
    return tag.uses


def _refresh_theirs(m):  # type: ignore[no-untyped-def]
    tag = yield m.Tag.objects.get(id=1)
    yield m.Tag.objects.filter(id=1).update(uses=5)
    yield tag.refresh_from_db()
    return tag.uses
