"""JSON: paths, keys, containment."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Area

case = Area("JSON")


def matching(**lookups: Any) -> Any:
    """The keys of the samples that match."""
    return lambda m, o: m.Sample.objects.filter(**lookups).order_by("id").values_list("id", flat=True)


case(
    "a key's number",
    matching(data__a=1),
    differs={"mariadb": "on MariaDB Django takes 1 and '1' for the same; ours does not"},
)
case(
    "a key's text",
    matching(data__a="1"),
    differs={"mariadb": "on MariaDB Django takes 1 and '1' for the same; ours does not"},
)
case("a key's null", matching(data__a=None))
for _path in ("data__a", "data__b__c", "data__0"):
    case(
        f"the null of {_path} as a value",
        lambda m, o, path=_path: m.Sample.objects.filter(**{path: o.Value(None, output_field=o.JsonType())}),
    )
    case(
        f"the null of {_path} in When",
        lambda m, o, path=_path: m.Sample.objects.annotate(
            n=o.Case(o.When(**{path: o.Value(None, output_field=o.JsonType())}, then=1), default=0)
        ).values_list("id", "n"),
    )
case("a key that is missing", matching(data__a__isnull=True))
case("a key that is there", matching(data__a__isnull=False))
case("a nested key", matching(data__b__c="x"))
case("an index", matching(data__0=1))
case("a nested index", matching(data__l__1=2))
case("a key in", matching(data__a__in=[1, "1"]))
case(
    "a key gt",
    matching(data__a__gt=0),
    differs={
        "sqlite": "a number is compared with numbers only; SQLite, and so Django, takes any text for greater",
        "mysql": "a number is compared with numbers only; Django compares the text '1' as well",
    },
)
case(
    "a nested key contains",
    matching(data__b__c__icontains="X"),
)
case("a nested key startswith", matching(data__b__c__startswith="x"))
case("has_key", matching(data__has_key="a"))
case("has_keys", matching(data__has_keys=["a", "b"]))
case("has_any_keys", matching(data__has_any_keys=["l", "zz"]))
case("has_key at a path", matching(data__b__has_key="c"))
case("isnull", matching(data__isnull=True))
case("exact", matching(data={"a": "1"}))
case("exact a list", matching(data=[1, "x"]))
case(
    "contains",
    matching(data__contains={"b": {"c": "x"}}),
    differs={"sqlite": "Django refuses it on SQLite; ours has a function for it"},
)
case(
    "contained_by",
    matching(data__contained_by={"a": "1", "z": 2}),
    differs={"sqlite": "Django refuses it on SQLite; ours has a function for it"},
)
case(
    "exclude a key",
    lambda m, o: m.Sample.objects.exclude(data__a=1).order_by("id").values_list("id", flat=True),
    point=2,
    differs={"mariadb": "on MariaDB Django takes 1 and '1' for the same; ours does not"},
)
case(
    "values of a key",
    lambda m, o: m.Sample.objects.order_by("id").values("id", "data__a"),
    ordered=True,
    differs={"sqlite": "the text '1' stays a text; Django makes a number of it"},
)
case(
    "ordered by a key",
    lambda m, o: m.Sample.objects.filter(data__b__c__isnull=False).order_by("-data__b__c").values_list("id", flat=True),
    ordered=True,
)
for _name, _end in {
    "sliced": lambda q: q[:2],
    "sliced from the middle": lambda q: q[1:3],
    "its first": lambda q: q.first(),
    "its last": lambda q: q.last(),
    "its earliest": lambda q: q.earliest("data__b__c"),
    "its latest": lambda q: q.latest("data__b__c"),
}.items():
    case(
        f"ordered by a key, {_name}",
        lambda m, o, end=_end: end(m.Sample.objects.filter(data__b__c__isnull=False).order_by("data__b__c", "id")),
        ordered=True,
    )
case("a hostile key", matching(**{"data__a'b\"c": 1}))
