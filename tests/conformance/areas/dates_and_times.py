"""Parts of dates and times, truncation, dates() and datetimes()."""

from __future__ import annotations

import datetime
from typing import Any

from tests.conformance.cases import Area

case = Area("dates and times")

DAY_PARTS = ("year", "month", "day", "week", "week_day", "iso_week_day", "iso_year", "quarter")
ZONES = {"mysql": "Django asks the server's tables of time zones, which MariaDB has only where they were loaded"}
CLOCK_PARTS = ("hour", "minute", "second")


def matching(**lookups: Any) -> Any:
    """The keys of the samples that match."""
    return lambda m, o: m.Sample.objects.filter(**lookups).order_by("id").values_list("id", flat=True)


for _field in ("date", "moment"):
    for _part in DAY_PARTS:
        _value = {"year": 2020, "iso_year": 2020, "day": 31, "week": 1, "quarter": 1}.get(_part, 2)
        case(f"{_field} {_part}", matching(**{f"{_field}__{_part}": _value}))
        case(
            f"{_field} extract {_part}",
            lambda m, o, f=_field, p=_part: (
                m.Sample.objects.annotate(k=o.Extract(f, p)).order_by("id").values_list("id", "k")
            ),
            ordered=True,
        )
    for _part in ("year", "quarter", "month", "week", "day"):
        case(
            f"{_field} truncated to {_part}",
            lambda m, o, f=_field, p=_part: (
                m.Sample.objects.annotate(k=o.Trunc(f, p)).order_by("id").values_list("id", "k")
            ),
            ordered=True,
            differs=ZONES if _field == "moment" else "",
        )
    case(f"{_field} year gte", matching(**{f"{_field}__year__gte": 2020}))
    case(f"{_field} year in", matching(**{f"{_field}__year__in": [2019, 2024]}))
for _field in ("moment", "time"):
    for _part in CLOCK_PARTS:
        case(f"{_field} {_part}", matching(**{f"{_field}__{_part}": 30 if _part == "minute" else 0}))
        case(f"{_field} {_part} gt", matching(**{f"{_field}__{_part}__gt": 5}))
for _part in ("hour", "minute", "second"):
    case(
        f"moment truncated to {_part}",
        lambda m, o, p=_part: m.Sample.objects.annotate(k=o.Trunc("moment", p)).order_by("id").values_list("id", "k"),
        ordered=True,
        differs=ZONES,
    )
case("moment date", matching(moment__date=datetime.date(2020, 1, 31)))
case("moment date gt", matching(moment__date__gt=datetime.date(2020, 1, 31)))
case("moment time", matching(moment__time=datetime.time(0, 0)))
case("moment time lt", matching(moment__time__lt=datetime.time(2, 0)))
case("across", lambda m, o: m.Comment.objects.filter(entry__day__year=2007))
case("backwards", lambda m, o: m.Blog.objects.filter(entries__day__month=12).order_by("id"))
case("not", lambda m, o: m.Entry.objects.exclude(day__year=2007), point=2)
case(
    "grouped by a year",
    lambda m, o: m.Entry.objects.values("day__year").annotate(n=o.Count("id")).order_by("day__year"),
    point=8,
)
case(
    "grouped by a month",
    lambda m, o: m.Entry.objects.annotate(k=o.TruncMonth("day")).values("k").annotate(n=o.Count("id")).order_by("k"),
    point=8,
)
case(
    "ordered by a month",
    lambda m, o: m.Entry.objects.filter(day__isnull=False).order_by("day__month", "id").values_list("id", flat=True),
    ordered=True,
)
case("values of a year", lambda m, o: m.Entry.objects.order_by("id").values("id", "day__year"), ordered=True)
case("F of a year", lambda m, o: m.Entry.objects.filter(rating=o.F("day__month")))
case("dates by year", lambda m, o: m.Entry.objects.dates("day", "year"), ordered=True)
case("dates by month", lambda m, o: m.Entry.objects.dates("day", "month", order="DESC"), ordered=True)
case("dates by day", lambda m, o: m.Entry.objects.dates("day", "day"), ordered=True)
case("dates of a kind there is not", lambda m, o: m.Entry.objects.dates("day", "hour"))
case("datetimes by day", lambda m, o: m.Sample.objects.datetimes("moment", "day"), ordered=True)
case("datetimes by hour", lambda m, o: m.Sample.objects.datetimes("moment", "hour"), ordered=True)
case(
    "a date plus days",
    lambda m, o: m.Sample.objects.filter(moment__gt=o.F("moment") - datetime.timedelta(days=1)).order_by("id"),
)
case("Now", lambda m, o: m.Sample.objects.filter(moment__lt=o.Now()).order_by("id").values_list("id", flat=True))
case("a part that there is not", lambda m, o: m.Entry.objects.filter(day__hour=3))


DAYS = {"two days": datetime.timedelta(days=2), "no time": datetime.timedelta(0), "a day less": -datetime.timedelta(1)}
DATE_OR_DATETIME = {"sqlite": "Django compares the texts of dates and datetimes, so a midnight never equals its date"}
READ_IN_UTC = dict.fromkeys(("sqlite", "mysql"), "Django reads it in UTC there, and without a time zone on PostgreSQL")

for _name, _step in DAYS.items():
    for _lookup in ("exact", "gt", "gte", "lt", "lte"):
        case(
            f"a date {_lookup} a date plus {_name}",
            lambda m, o, lookup=_lookup, step=_step: (
                m.Sample.objects.filter(**{f"date__{lookup}": o.F("date") + step})
                .order_by("id")
                .values_list("id", flat=True)
            ),
        )
    case(
        f"a date in a range of dates plus {_name}",
        lambda m, o, step=_step: m.Sample.objects.filter(
            date__range=(o.F("date") - step, o.F("date") + step)
        ).values_list("id", flat=True),
    )
    case(
        f"the date of a datetime that is a date plus {_name}",
        lambda m, o, step=_step: (
            m.Sample.objects.filter(moment__date__gte=o.F("date") + step).order_by("id").values_list("id", flat=True)
        ),
    )
    case(
        f"a date plus {_name}, read",
        lambda m, o, step=_step: (
            m.Sample.objects.annotate(k=o.F("date") + step).filter(id__lt=5).order_by("id").values_list("id", "k")
        ),
        ordered=True,
        differs=READ_IN_UTC,
    )

    def _updated(m, o, step=_step):  # type: ignore[no-untyped-def]
        done = yield m.Sample.objects.update(date=o.F("date") + step)
        found = yield m.Sample.objects.filter(date__lte=datetime.date(2020, 1, 31)).values_list("id", flat=True)
        return done, sorted(found), (yield m.Sample.objects.order_by("id").values_list("id", "date"))

    case(f"update of a date plus {_name}", _updated, writes=True)


def _by_duration(m, o):  # type: ignore[no-untyped-def]
    done = yield m.Sample.objects.filter(id=3).update(date=o.F("date") + o.F("duration"))
    return done, (yield m.Sample.objects.filter(date=datetime.date(2024, 2, 29)).values_list("id", "date"))


case("update of a date plus a duration column", _by_duration, writes=True)
case(
    "a datetime not after its date",
    lambda m, o: m.Sample.objects.filter(moment__lte=o.F("date")).order_by("id").values_list("id", flat=True),
    differs=DATE_OR_DATETIME,
)
case(
    "a date equal to a datetime",
    lambda m, o: m.Sample.objects.filter(date=o.F("moment")).order_by("id").values_list("id", flat=True),
    differs=DATE_OR_DATETIME,
)
case("moment time in", matching(moment__time__in=[datetime.time(0, 0), datetime.time(9)]))
case("moment time in one", matching(moment__time__in=[datetime.time(23, 30)]))
case("moment time range", matching(moment__time__range=(datetime.time(1), datetime.time(23, 30))))
for _time in (datetime.time(0, 0), datetime.time(23, 30), datetime.time(23, 59, 59, 999999)):
    case(
        f"TruncTime of {_time}",
        lambda m, o, time=_time: (
            m.Sample.objects.annotate(k=o.TruncTime("moment")).filter(k=time).values_list("id", "k")
        ),
    )
case(
    "a time equal to a time of day",
    lambda m, o: m.Sample.objects.filter(time__lte=o.TruncTime("moment")).order_by("id").values_list("id", flat=True),
)
