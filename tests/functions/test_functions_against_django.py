"""Every function returns what Django's function of the same name returns on the same rows."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import models as django_models
from django.db.models import functions as django_functions
from django.utils import timezone

import orm
from orm import functions
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from tests.sample_models import django_all_column_types
from tests.sample_models.all_column_types import Thing

pytestmark = pytest.mark.anyio

DJANGO = SimpleNamespace(
    **{name: getattr(django_functions, name) for name in django_functions.__all__},
    F=django_models.F,
    Value=django_models.Value,
    KT=django_models.fields.json.KT,
    integer=django_models.IntegerField(),
    real=django_models.FloatField(),
    text=django_models.TextField(),
    short=django_models.CharField(max_length=2),
    decimal=django_models.DecimalField(max_digits=12, decimal_places=1),
    date=django_models.DateField(),
    time=django_models.TimeField(),
    json=django_models.JSONField(),
)
OURS = SimpleNamespace(
    **{name: getattr(functions, name) for name in functions.__all__},
    F=orm.F,
    Value=orm.Value,
    integer=orm.Integer(),
    real=orm.Float(),
    text=orm.Text(),
    short=orm.String(max_length=2),
    decimal=orm.Decimal(max_digits=12, decimal_places=1),
    date=orm.Date(),
    time=orm.Time(),
    json=orm.JSON(),
)
DAY_PARTS = ("year", "iso_year", "quarter", "month", "week", "day", "week_day", "iso_week_day")
DAY_UNITS = ("year", "quarter", "month", "week", "day")
TIME_PARTS = ("hour", "minute", "second")

Case = Callable[[Any], Any]
CASES: dict[str, Case] = {
    "Chr": lambda o: o.Chr(o.Value(65)),
    "Concat": lambda o: o.Concat("name", o.Value("-"), "n", o.Value("/"), "name", output_field=o.text),
    "ConcatPair": lambda o: o.ConcatPair("name", o.Value("!")),
    "Left": lambda o: o.Left("name", 2),
    "Left too long": lambda o: o.Left("name", 20),
    "Left of an expression": lambda o: o.Left("name", o.Length("name") - 1),
    "Right": lambda o: o.Right("name", 2),
    "Right too long": lambda o: o.Right("name", 20),
    "Length": lambda o: o.Length("name"),
    "Lower": lambda o: o.Lower(o.Value("ABC")),
    "Upper": lambda o: o.Upper(o.Value("abc")),
    "LPad": lambda o: o.LPad("name", 12, o.Value("xy")),
    "LPad cuts": lambda o: o.LPad("name", 2),
    "RPad": lambda o: o.RPad("name", 12, o.Value("xy")),
    "RPad cuts": lambda o: o.RPad("name", 2),
    "LTrim": lambda o: o.LTrim("name"),
    "RTrim": lambda o: o.RTrim("name"),
    "Trim": lambda o: o.Trim("name"),
    "MD5": lambda o: o.MD5("name"),
    "SHA1": lambda o: o.SHA1("name"),
    "SHA224": lambda o: o.SHA224("name"),
    "SHA256": lambda o: o.SHA256("name"),
    "SHA384": lambda o: o.SHA384("name"),
    "SHA512": lambda o: o.SHA512("name"),
    "Ord": lambda o: o.Ord(o.Value("A")),
    "Repeat": lambda o: o.Repeat("name", 3),
    "Replace": lambda o: o.Replace("name", o.Value("b"), o.Value("%")),
    "Replace by nothing": lambda o: o.Replace("name", o.Value("a")),
    "Reverse": lambda o: o.Reverse("name"),
    "StrIndex": lambda o: o.StrIndex("name", o.Value("c")),
    "Substr": lambda o: o.Substr("name", 2),
    "Substr with a length": lambda o: o.Substr("name", 2, 3),
    **{f"{name} {field}": lambda o, name=name, field=field: getattr(o, name)(field)  # type: ignore[misc]
       for name in ("Abs", "Ceil", "Floor", "Sign", "Round") for field in ("n", "x", "d")},
    "Round to digits": lambda o: o.Round("d", 1),
    **{name: lambda o, name=name: getattr(o, name)("x")  # type: ignore[misc]
       for name in ("ATan", "Cos", "Cot", "Degrees", "Exp", "Radians", "Sin", "Tan")},
    **{name: lambda o, name=name: getattr(o, name)(o.Abs("x") + 1)  # type: ignore[misc]
       for name in ("Ln", "Sqrt")},
    "ACos": lambda o: o.ACos(o.Value(0.5)),
    "ASin": lambda o: o.ASin(o.Value(0.5)),
    "ATan2": lambda o: o.ATan2("x", "n"),
    "Log": lambda o: o.Log(o.Value(2), o.Abs("x")),
    "Mod": lambda o: o.Mod("n", o.Value(4)),
    "Mod of decimals": lambda o: o.Mod("d", o.Value(2)),
    "Pi": lambda o: o.Pi(),
    "Power": lambda o: o.Power("n", o.Value(2)),
    "Power of floats": lambda o: o.Power("x", o.Value(2)),
    "Cast to integer": lambda o: o.Cast("n", o.integer),
    "Cast to float": lambda o: o.Cast("n", o.real),
    "Cast to text": lambda o: o.Cast("n", o.text),
    "Cast to decimal": lambda o: o.Cast("n", o.decimal),
    "Cast to date": lambda o: o.Cast("moment", o.date),
    "Cast text to integer": lambda o: o.Cast(o.Value("12"), o.integer),
    "Coalesce": lambda o: o.Coalesce("name", o.Value("none")),
    "Coalesce of three": lambda o: o.Coalesce("n", o.Length("name"), o.Value(5)),
    "Greatest": lambda o: o.Greatest("n", o.Value(1)),
    "Greatest of dates": lambda o: o.Greatest("day", o.Cast("moment", o.date)),
    "Least": lambda o: o.Least("x", o.Value(1.5)),
    "NullIf": lambda o: o.NullIf("name", o.Value("abcabc")),
    "JSONArray": lambda o: o.JSONArray("n", "name", o.Value("t")),
    "JSONObject": lambda o: o.JSONObject(a="n", b=o.Upper(o.Value("b"))),
    "JSONObject in itself": lambda o: o.JSONObject(a=o.JSONObject(b="n")),
    "KT": lambda o: o.KT("data__owner__name"),
    "KT of a number": lambda o: o.KT("data__n"),
    **{f"Extract {part} of a date": lambda o, part=part: o.Extract("day", part)  # type: ignore[misc]
       for part in DAY_PARTS},
    **{f"Extract {part} of a time": lambda o, part=part: o.Extract("at", part)  # type: ignore[misc]
       for part in TIME_PARTS},
    **{f"Extract {part} of an instant": lambda o, part=part: o.Extract("moment", part)  # type: ignore[misc]
       for part in DAY_PARTS + TIME_PARTS},
    **{f"Trunc {unit} of a date": lambda o, unit=unit: o.Trunc("day", unit)  # type: ignore[misc]
       for unit in DAY_UNITS},
    **{f"Trunc {unit} of a time": lambda o, unit=unit: o.Trunc("at", unit)  # type: ignore[misc]
       for unit in TIME_PARTS},
    **{f"Trunc {unit} of an instant": lambda o, unit=unit: o.Trunc("moment", unit)  # type: ignore[misc]
       for unit in DAY_UNITS + TIME_PARTS},
    **{f"Trunc {unit} of an instant to a date":
       lambda o, unit=unit: o.Trunc("moment", unit, output_field=o.date)  # type: ignore[misc]
       for unit in DAY_UNITS},
    **{f"Trunc {unit} of an instant to a time":
       lambda o, unit=unit: o.Trunc("moment", unit, output_field=o.time)  # type: ignore[misc]
       for unit in TIME_PARTS},
    "TruncDate": lambda o: o.TruncDate("moment"),
    "TruncTime": lambda o: o.TruncTime("moment"),
}  # fmt: skip

# What Django gives otherwise: by function and database, why.
SHOWN_SHORT = "MySQL and MariaDB show PI() with six digits, which Django passes on"
DIFFERENT = {
    ("Pi", "mysql"): SHOWN_SHORT,
    ("Pi", "mariadb"): SHOWN_SHORT,
    ("KT of a number", "sqlite"): "Django on SQLite passes on the number, which is text elsewhere",
}
# What Django has on PostgreSQL only with the pgcrypto extension, and MySQL only with a component.
MISSING = {(f"SHA{bits}", "postgresql") for bits in (1, 224, 256, 384, 512)} | {("MD5", "mysql"), ("SHA1", "mysql")}


@contextmanager
def in_django(url: str) -> Iterator[Any]:
    """Django's manager of the model, in UTC."""
    with django_all_column_types.connected(url) as alias, timezone.override(datetime.timezone.utc):
        yield django_all_column_types.Thing.objects.using(alias)


def same(ours: Any, theirs: Any) -> bool:
    """Whether two values are equal (floats approximately) and of the same type."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(ours, Decimal) and isinstance(theirs, Decimal):
        return math.isclose(ours, theirs, rel_tol=1e-9)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and bool(ours == theirs)


async def test_functions_return_what_django_does(things: Database) -> None:
    failed = []
    kind = (await dialect_of(things)).name
    with in_django(str(things.url)) as manager:
        for name, case in CASES.items():
            if (name, kind) in MISSING:
                continue
            # Django takes a NULL for a sign that MariaDB knows no time zones.
            some = {"moment__isnull": False} if "of an instant" in name else {}
            query, reference = Thing.objects.filter(**some).order_by("id"), manager.filter(**some).order_by("id")
            ours = await query.annotate(found=case(OURS)).values_list("found", flat=True)
            theirs = list(reference.annotate(found=case(DJANGO)).values_list("found", flat=True))
            if same(ours, theirs) == ((name, kind) in DIFFERENT):
                failed.append((name, ours, theirs))
    assert not failed


async def test_functions_has_every_function_of_django() -> None:
    assert not set(django_functions.__all__) - set(functions.__all__)
    covered = {name.split()[0] for name in CASES} | {"Collate", "Now", "Random"}
    for name in set(functions.__all__) - set(django_functions.window.__all__):
        assert name in covered or name.startswith(("Extract", "Trunc")), f"{name} is not compared"


async def test_classes_of_parts_and_units_equal_extract_and_trunc(things: Database) -> None:
    for part in DAY_PARTS + TIME_PARTS:
        of_class = getattr(functions, "Extract" + part.title().replace("_", ""))
        rows = await Thing.objects.annotate(a=of_class("moment"), b=functions.Extract("moment", part)).values_list(
            "a", "b"
        )
        assert all(a == b for a, b in rows)
    for unit in DAY_UNITS + TIME_PARTS:
        of_class = getattr(functions, "Trunc" + unit.title())
        rows = await Thing.objects.annotate(a=of_class("moment"), b=functions.Trunc("moment", unit)).values_list(
            "a", "b"
        )
        assert all(a == b for a, b in rows)


FILTERS: list[dict[str, Any]] = [
    {"day__year": 2023},
    {"day__year": "2023"},
    {"day__year__gt": 2021},
    {"day__year__gte": 2021},
    {"day__year__lt": 2021},
    {"day__year__lte": 2021},
    {"day__year__in": [1999, 2024]},
    {"day__year__range": (2020, 2023)},
    {"day__year__isnull": True},
    {"day__iso_year": 2020},
    {"day__iso_year__gt": 2020},
    {"day__iso_year__lt": 2021},
    {"day__month": 2},
    {"day__month__gte": 2},
    {"day__day": 29},
    {"day__week": 53},
    {"day__week_day": 1},
    {"day__iso_week_day": 7},
    {"day__quarter": 1},
    {"at__hour": 23},
    {"at__minute__lt": 10},
    {"at__second": 58},
    {"moment__year": 2024},
    {"moment__year__lte": 2023},
    {"moment__iso_year": 2023},
    {"moment__month": 10},
    {"moment__hour__in": [1, 22]},
    {"moment__minute": 30},
    {"moment__second": 15},
    {"moment__date": datetime.date(2024, 10, 27)},
    {"moment__date__lt": datetime.date(2024, 1, 1)},
    {"moment__date__year": 2023},
    {"moment__date__month__gte": 10},
    {"moment__time": datetime.time(1, 30)},
    {"moment__time__hour": 22},
    {"moment__time__gte": datetime.time(22)},
    {"whole__day__year": 2023},
    {"whole__moment__date__isnull": True},
    {"whole__data__owner__name": "Bob"},
    {"data__owner__name": "Bob"},
    {"data__owner__name": "bob"},
    {"data__owner": {"age": 30, "name": "Bob"}},
    {"data__owner": None},
    {"data__z": None},
    {"data__0": 1},
    {"data__1__1": "x"},
    {"data__2__k": 1},
    {"data__tags__0": "a"},
    {"data__n": 1},
    {"data__n": 10},
    {"data__n": "10"},
    {"data__t": True},
    {"data__t": False},
    {"data__n__gt": 5},
    {"data__owner__age__gt": 10},
    {"data__owner__age__lte": 10},
    {"data__owner__isnull": True},
    {"data__owner__isnull": False},
    {"data__owner__name__isnull": True},
    {"data__z__isnull": True},
    {"data__tags__isnull": False},
    {"data__owner__name__icontains": "O"},
    {"data__owner__name__iexact": "BOB"},
    {"data__owner__name__startswith": "B"},
    {"data__owner__name__istartswith": "b"},
    {"data__owner__name__endswith": "n"},
    {"data__owner__name__iendswith": "N"},
    {"data__owner__name__regex": "^[Ba]"},
    {"data__owner__name__iregex": "^b"},
    {"data__owner__name__in": ["Bob", "x"]},
    {"data__n__in": [1, 10]},
    {"data__has_key": "owner"},
    {"data__has_keys": ["owner", "t"]},
    {"data__has_any_keys": ["z", "nothing"]},
    {"data__owner__has_key": "age"},
    {"data__contains": {"owner": {"age": 30}}},
    {"data__tags__contains": ["a"]},
    {"data__contained_by": {"n": 10, "t": False, "owner": {"name": "ann", "age": 9}, "more": 1}},
    {"data__it's": 2},
    {"data__isnull": True},
    {"data": [1, [2, "x"], {"k": 1}]},
]

HOLDS = "Django has neither contains nor contained_by of JSON on SQLite"
WRAPS = "MySQL and MariaDB take [0] of an object for the object, which Django passes on"
MIXED = "Django compares numbers with texts there; we compare numbers with numbers, as PostgreSQL does"
WRITTEN = "Django compares JSON as text there, so that the order of the keys counts, or the quotes do not"
PATHS = "Django asks for the path as a whole there, so that a document without the first key is no NULL"
# By lookup and database, why Django's answer is another one than ours; which is PostgreSQL's.
DIFFERENT_LOOKUPS = {
    **{(name, "sqlite"): HOLDS for name in ("data__contains", "data__tags__contains", "data__contained_by")},
    ("data__owner={'age': 30, 'name': 'Bob'}", "sqlite"): WRITTEN,
    ("data__n__gt", "sqlite"): MIXED,
    ("data__owner__has_key", "sqlite"): PATHS,
    ("data__owner={'age': 30, 'name': 'Bob'}", "mariadb"): WRITTEN,
    ("data__n=10", "mariadb"): WRITTEN,
    ("data__n='10'", "mariadb"): WRITTEN,
    ("data__n__in", "mariadb"): WRITTEN,
    **{("data__n__gt", server): MIXED for server in ("mysql", "mariadb")},
    **{("data__0", server): WRAPS for server in ("mysql", "mariadb")},
    **{("data__owner__has_key", server): PATHS for server in ("mysql", "mariadb")},
}


async def test_lookups_match_the_rows_of_django(things: Database) -> None:
    failed = []
    kind = (await dialect_of(things)).name
    with in_django(str(things.url)) as manager:
        for lookups in FILTERS:
            ((name, value),) = lookups.items()
            different = DIFFERENT_LOOKUPS.get((name, kind)) or DIFFERENT_LOOKUPS.get((f"{name}={value!r}", kind))
            query, reference = Thing.objects.order_by("id"), manager.order_by("id")
            ours = [[one.id for one in await rows] for rows in (query.filter(**lookups), query.exclude(**lookups))]
            if different == HOLDS:
                continue
            theirs = [[one.id for one in rows] for rows in (reference.filter(**lookups), reference.exclude(**lookups))]
            if (ours == theirs) == bool(different):
                failed.append((lookups, ours, theirs))
    assert not failed
