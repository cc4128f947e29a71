"""bulk_create and bulk_update."""

from __future__ import annotations

from tests.conformance.cases import MYSQL_ITSELF, Area

case = Area("bulk writes")

BATCHES = "how many rows go into one statement is each one's own affair"
NO_KEYS = {MYSQL_ITSELF: "Django leaves rows without keys that MySQL does not return; ours tell them by the first one"}

case("bulk_create", lambda m, o: _create(m, ("a", 1), ("b", 2)), writes=True, differs=NO_KEYS, point=9)
case("bulk_create of nothing", lambda m, o: _create(m), writes=True, point=9)
case(
    "bulk_create in batches",
    lambda m, o: _create(m, *((f"t{n}", n) for n in range(7)), batch_size=3),
    writes=True,
    differs=NO_KEYS,
    statements=BATCHES,
    point=9,
)
case("bulk_create in conflict", lambda m, o: _create(m, ("a", 1), ("red", 2)), writes=True, point=9)
case(
    "bulk_create ignoring conflicts",
    lambda m, o: _create(m, ("a", 1), ("red", 2), keys=False, ignore_conflicts=True),
    writes=True,
    point=9,
)
case(
    "bulk_create updating conflicts",
    lambda m, o: _create(
        m, ("a", 8), ("red", 9), keys=False, update_conflicts=True, update_fields=["uses"], unique_fields=["name"]
    ),
    writes=True,
    point=9,
)
case(
    "bulk_create updating conflicts without fields",
    lambda m, o: _create(m, ("red", 9), update_conflicts=True),
    writes=True,
    point=9,
)
case(
    "bulk_create with both",
    lambda m, o: _create(m, ("red", 9), update_conflicts=True, ignore_conflicts=True),
    writes=True,
    point=9,
)
case("bulk_create of a bad batch", lambda m, o: _create(m, ("a", 1), batch_size=-1), writes=True, point=9)
case("bulk_update", lambda m, o: _update(m, ["uses"]), writes=True, point=9)
case("bulk_update of two fields", lambda m, o: _update(m, ["uses", "note"]), writes=True, point=9)
case(
    "bulk_update in batches", lambda m, o: _update(m, ["uses"], batch_size=2), writes=True, statements=BATCHES, point=9
)
case("bulk_update with expressions", lambda m, o: _update_expression(m, o), writes=True, point=9)
case("bulk_update of nothing", lambda m, o: m.Tag.objects.bulk_update([], ["uses"]), writes=True, point=9)
case("bulk_update without fields", lambda m, o: _update(m, []), writes=True, point=9)
case("bulk_update of the key", lambda m, o: _update(m, ["id"]), writes=True, point=9)
case("bulk_update of an unknown field", lambda m, o: _update(m, ["nothing"]), writes=True, point=9)
case("bulk_update of the unsaved", lambda m, o: _update_unsaved(m), writes=True, point=9)


def _create(m, *rows, keys=True, **options):  # type: ignore[no-untyped-def]
    instances = yield m.Tag.objects.bulk_create([m.Tag(name=name, uses=uses) for name, uses in rows], **options)
    have_keys = [tag.pk is not None for tag in instances] if keys else None
    return have_keys, (yield m.Tag.objects.order_by("name").values_list("name", "uses", "note"))


def _update(m, fields, **options):  # type: ignore[no-untyped-def]
    tags = yield m.Tag.objects.order_by("id")
    for tag in tags:
        tag.uses += 100
        tag.note = f"{tag.name}!"
    done = yield m.Tag.objects.bulk_update(tags, fields, **options)
    return done, (yield m.Tag.objects.order_by("id").values_list("id", "uses", "note"))


def _update_expression(m, o):  # type: ignore[no-untyped-def]
    tags = yield m.Tag.objects.order_by("id")
    for tag in tags:
        tag.uses = o.F("uses") * 2
    done = yield m.Tag.objects.bulk_update(tags, ["uses"])
    return done, (yield m.Tag.objects.order_by("id").values_list("id", "uses"))


def _update_unsaved(m):  # type: ignore[no-untyped-def]
    return (yield m.Tag.objects.bulk_update([m.Tag(name="x", uses=1)], ["uses"]))
