"""Every lookup on every type of field, through to the rows that it finds."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

from tests.conformance.cases import Area
from tests.conformance.compare import Query

case = Area("lookups")

_date = datetime.date
_utc = datetime.timezone.utc
_D = decimal.Decimal

COMPARED: dict[str, list[Any]] = {
    "integer": [1, -7, 5],
    "big": [2**40, 7],
    "small": [1, 0],
    "float": [1.5, 0.0],
    "decimal": [_D("1.50"), _D("1.5"), 0],
    "date": [_date(2020, 1, 31), _date(2024, 1, 1)],
    "time": [datetime.time(12, 30), datetime.time(0, 0)],
    "moment": [
        datetime.datetime(2020, 1, 31, 23, 30, tzinfo=_utc),
        datetime.datetime(2020, 2, 1, 1, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    ],
    "duration": [datetime.timedelta(hours=1), datetime.timedelta(0)],
    "uuid": [uuid.UUID(int=1), uuid.UUID(int=12345)],
    "boolean": [True, False],
    "binary": [b"abc", b""],
}
ORDERED = ("integer", "big", "small", "float", "decimal", "date", "time", "moment", "duration")


def found(**lookups: Any) -> Query:
    """The keys of the samples that match."""
    return lambda m, o: m.Sample.objects.filter(**lookups).order_by("id").values_list("id", flat=True)


for _field, _values in COMPARED.items():
    for _position, _value in enumerate(_values):
        case(f"{_field} exact, {_position}", found(**{_field: _value}))
    case(f"{_field} in", found(**{f"{_field}__in": _values}))
    case(f"{_field} in, with None", found(**{f"{_field}__in": [_values[0], None]}), point=5)
    case(f"{_field} isnull", found(**{f"{_field}__isnull": True}))
    case(f"{_field} is not null", found(**{f"{_field}__isnull": False}))
    case(f"{_field} exact None", found(**{_field: None}), point=5)
for _field in ORDERED:
    for _lookup in ("gt", "gte", "lt", "lte"):
        case(f"{_field} {_lookup}", found(**{f"{_field}__{_lookup}": COMPARED[_field][0]}))
    _ends = sorted(COMPARED[_field][:2])
    case(f"{_field} range", found(**{f"{_field}__range": _ends}))
    case(f"{_field} range backwards", found(**{f"{_field}__range": _ends[::-1]}))

for _lookup in ("exact", "iexact", "startswith", "endswith", "contains", "icontains", "istartswith", "iendswith"):
    for _text in ("Abc", "abc", "%", "_", "\\", "'", '"', "", "bc", "ä", "ß"):
        _differs = {}
        if _lookup in ("startswith", "contains", "endswith") and _text in ("Abc", "abc"):
            _differs["sqlite"] = "SQLite's LIKE, which Django uses, ignores the case of ASCII letters; we do not"
        if _lookup == "endswith" and _text == "bc":
            _differs = {}
        if _lookup in ("iexact", "icontains", "istartswith", "iendswith") and _text in ("Abc", "abc"):
            _differs["mysql"] = "Django leaves case to the collation; ours ignores it in any"
        if _lookup in ("icontains", "istartswith") and _text == "ä":
            _differs = {
                "sqlite": "Django leaves case to SQLite, which knows that of ASCII letters; ours folds all",
                "mysql": "Django leaves case to the collation; ours ignores it in any",
            }
        case(f"text {_lookup} {_text!r}", found(**{f"text__{_lookup}": _text}), differs=_differs, point=10)

case("integer, given as text", found(integer="1"))
case("integer, given as a float that is whole", found(integer=1.0))
case("integer gt a fraction", found(integer__gt=0.5))
case("integer gte a fraction", found(integer__gte=0.5))
case("integer lt a fraction", found(integer__lt=0.5))
case("integer lte a fraction", found(integer__lte=0.5))
case("decimal, given as an integer", found(decimal=0))
case("decimal gt an integer", found(decimal__gt=1))
case("text regex", found(text__regex="^a"))
case(
    "text iregex",
    found(text__iregex="^a"),
    differs={"mariadb": "Django leaves case to the collation; ours ignores it in any"},
)
case("date, given as text", found(date="2020-01-31"))
case("empty in", found(integer__in=[]), point=5)
case("in of None alone", found(integer__in=[None]), point=5)
case("in of a tuple", found(integer__in=(1, 0)))
case("in of a set", found(integer__in={1, 0}))
case("in of a generator", lambda m, o: m.Sample.objects.filter(integer__in=(n for n in (1, 0))).order_by("id"))
case("several at once", found(integer__gte=0, text__isnull=False, boolean=True))
case("pk", lambda m, o: m.Sample.objects.filter(pk=2))
case("pk in", lambda m, o: m.Sample.objects.filter(pk__in=[1, 3, 99]))
case("pk gt", lambda m, o: m.Sample.objects.filter(pk__gt=3).order_by("pk"), ordered=True)
case("big number that does not fit", found(small=10**30))
case("gt of a number that does not fit", found(small__gt=10**30))
case(
    "lt of a number that does not fit",
    found(small__lt=10**30),
    differs="NULL is not below a number; Django drops the condition, and NULL passes",
)
case(
    "in with a number that does not fit",
    found(small__in=[1, 10**30]),
    differs={"sqlite": "a number that no column can hold is left out; Django lets Python's OverflowError through"},
)
case("isnull over nothing", lambda m, o: m.Sample.objects.filter(text__isnull=True, integer=1))
