"""`docs/django-table.md` says of every name in Django's query language what it is in `orm`: held against both."""

from __future__ import annotations

import datetime
import hashlib
import inspect
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import django
import pytest
from django.contrib.postgres import indexes as postgres_indexes
from django.contrib.postgres.aggregates import general, statistics
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import array, citext, hstore, ranges
from django.db import models as django_models
from django.db.models import (
    aggregates,
    constraints,
    expressions,
    fields,
    indexes,
    lookups,
    query,
    query_utils,
    signals,
)
from django.db.models import functions as django_functions
from django.db.models.fields.json import KeyTransform
from django.db.models.fields.related import ForeignObject
from django.db.models.functions import window
from django.db.models.options import DEFAULT_NAMES
from django.dispatch import Signal

import orm
from orm import functions as f
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from orm.fields.options import FieldOptions
from orm.mapping.meta_options import META_OPTIONS
from orm.related.managers import RelatedManager
from orm.related.many_to_many import ManyToManyManager
from tests.conformance.django_side import m as world

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(django.VERSION[:2] != (5, 2), reason="the table is of Django 5.2"),
]

PAGE = Path(__file__).parents[2] / "docs" / "django-table.md"
STATES = ("same", "different", "not supported")


def read() -> dict[str, list[tuple[str, str]]]:
    """The page's sections: the names in each, with what they are here."""
    found: dict[str, list[tuple[str, str]]] = {}
    section = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] if line.startswith("| `") else []
        for name in re.findall(r"`\\?([^`]+)`", cells[0]) if cells else ():
            assert cells[1] in STATES, f"{section}: {line}"
            assert cells[2] or cells[1] == "same", f"{section}: {name} says not how or why"
            found.setdefault(section, []).append((name, cells[1]))
    return found


TABLE = read()


def public(owner: object) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


def asynchronous(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("a") and name[1:] in names}


def parameters(kind: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a class's constructor that have a name."""
    named = inspect.signature(kind).parameters
    return {name: parameter for name, parameter in named.items() if parameter.kind is not parameter.VAR_KEYWORD}


def lookups_of(*kinds: type[Any]) -> set[str]:
    """What Django registers on these fields; what an extension of its adds belongs to that extension."""
    registered = [kind.__dict__.get("class_lookups", {}) for kind in kinds]
    return {
        name
        for by_name in registered
        for name, lookup in by_name.items()
        if not lookup.__module__.startswith("django.contrib")
    }


def lookups_of_postgresql(*kinds: type[Any]) -> set[str]:
    """What Django registers on these fields of its extension for PostgreSQL."""
    return {name for kind in kinds for name in kind.__dict__.get("class_lookups", {})}


def fields_of_django() -> list[type[Any]]:
    kinds = [getattr(fields, name) for name in fields.__all__]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, fields.Field)]


def expressions_of_django() -> set[str]:
    homes = {module.__name__ for module in (expressions, query, query_utils, lookups)}
    named = {n for n in django_models.__all__ if getattr(getattr(django_models, n), "__module__", None) in homes}
    return named | {"RawSQL"}


OPERATORS = {
    "__add__": "+",
    "__sub__": "-",
    "__mul__": "*",
    "__truediv__": "/",
    "__mod__": "%",
    "__pow__": "**",
    "__and__": "&",
    "__or__": "|",
    "__xor__": "^",
    "__invert__": "~",
    "__getitem__": "[:]",
    "asc": "asc",
    "desc": "desc",
}
METHODS = public(django_models.QuerySet)
RELATED = {n for rows in (world.Blog(id=1).entries, world.Entry(id=1).tags) for n in vars(type(rows)) if n[0] != "_"}
RELATIONS = (django_models.ForeignKey, django_models.OneToOneField, django_models.ManyToManyField)
INSIDE = {"constrained_target", "do_not_call_in_templates", "get_queryset"}
NOT_OF_USERS = {"auto_created", "check", "contribute_to_class", "creation_counter", "deconstruct"}

NAMES_OF_FIELDS = {name for name in django_models.__all__ if name.endswith("Field")}
OF_DJANGO_ITSELF = {"name", "rel", "serialize", "auto_created", "self"}

DJANGO: dict[str, set[str]] = {
    "QuerySet methods": METHODS - asynchronous(METHODS),
    "Asynchronous methods": asynchronous(METHODS),
    "Managers": public(django_models.Manager) - METHODS - NOT_OF_USERS,
    "Managers of related rows": {n for n in RELATED - INSIDE - {"count", "exists"} if not n.startswith("get_prefetch")},
    "Relations": {name for kind in RELATIONS for name in parameters(kind)},
    "Fields": {*NAMES_OF_FIELDS} - {"OneToOneField", "ManyToManyField"},
    "Options of fields": {*parameters(fields.Field)} - OF_DJANGO_ITSELF,
    "Fields of PostgreSQL": {*array.__all__, *citext.__all__, *hstore.__all__, *ranges.__all__},
    "Field lookups": lookups_of(*fields_of_django(), ForeignObject),
    "Lookups of JSON": lookups_of(django_models.JSONField, KeyTransform),
    "Lookups of arrays": lookups_of_postgresql(array.ArrayField),
    "Lookups of ranges": lookups_of_postgresql(*(getattr(ranges, n) for n in ranges.__all__ if n.endswith("Field"))),
    "Lookups of hstore": lookups_of_postgresql(hstore.HStoreField),
    "Expressions": expressions_of_django(),
    "Operators of expressions": {sign for method, sign in OPERATORS.items() if hasattr(django_models.F, method)}
    | {name for name in public(expressions.Combinable) if name.startswith("bit")},
    "Aggregates": set(aggregates.__all__),
    "Database functions": set(django_functions.__all__) - set(window.__all__),
    "Window functions": set(window.__all__),
    "Signals": {"receiver", *(name for name, each in vars(signals).items() if isinstance(each, Signal))},
    "Meta options": set(DEFAULT_NAMES),
    "Constraints and indexes": {*constraints.__all__, *indexes.__all__, "ExclusionConstraint"},
    "Options of constraints and indexes": {
        name
        for kind in (
            django_models.Index,
            django_models.UniqueConstraint,
            django_models.CheckConstraint,
            ExclusionConstraint,
        )
        for name in parameters(kind)
    },
    "Kinds of indexes": {*postgres_indexes.__all__, "OpClass"},
    "PostgreSQL's own": {*general.__all__, *statistics.__all__},
}


def test_the_sections_are_these() -> None:
    assert list(TABLE) == list(DJANGO)


def test_all_but_these_are_there() -> None:
    missing = {name for names in TABLE.values() for name, state in names if state == "not supported"}
    assert missing == {
        *("extra", "class_prepared", "pre_init", "post_init", "pre_migrate", "post_migrate"),
        *("order_with_respect_to", "permissions", "default_permissions", "auto_created", "select_on_save"),
        *("required_db_features", "required_db_vendor"),
        *("FileField", "ImageField", "FilePathField", "CommaSeparatedIntegerField", "NullBooleanField"),
        *("editable", "unique_for_date", "unique_for_month", "unique_for_year", "error_messages", "RangeBoundary"),
    }


@pytest.mark.parametrize("section", DJANGO)
def test_every_name_is_there_once(section: str) -> None:
    names = [name for name, _ in TABLE[section]]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert set(names) == DJANGO[section]


OPTIONS_OF_CONSTRAINTS = {
    name: parameter
    for kind in (orm.Index, orm.UniqueConstraint, orm.CheckConstraint, orm.ExclusionConstraint)
    for base in kind.__mro__
    for name, parameter in parameters(base).items()
    if base is not object
}
OPTIONS_OF_FIELDS = parameters(orm.Field) | dict.fromkeys(FieldOptions.__annotations__) | parameters(orm.String)
HOMES: dict[str, tuple[object, ...]] = {
    "Fields": (orm,),
    "Options of fields": (SimpleNamespace(**OPTIONS_OF_FIELDS),),
    "Fields of PostgreSQL": (orm,),
    "QuerySet methods": (orm.QuerySet,),
    "Asynchronous methods": (orm.QuerySet,),
    "Managers": (orm.Manager,),
    "Managers of related rows": (ManyToManyManager, RelatedManager),
    "Relations": (
        SimpleNamespace(**(parameters(orm.ForeignKey) | parameters(orm.OneToOne) | parameters(orm.ManyToMany))),
    ),
    "Expressions": (orm,),
    "Operators of expressions": (orm.Expression,),
    "Aggregates": (orm,),
    "Database functions": (f,),
    "Window functions": (orm,),
    "Signals": (orm,),
    "Meta options": (SimpleNamespace(**dict.fromkeys(META_OPTIONS)),),
    "Constraints and indexes": (orm,),
    "Options of constraints and indexes": (SimpleNamespace(**OPTIONS_OF_CONSTRAINTS),),
    "Kinds of indexes": (orm,),
    "PostgreSQL's own": (orm,),
}
DJANGO_HOMES: dict[str, object] = {
    "QuerySet methods": django_models.QuerySet,
    "Expressions": django_models,
    "Aggregates": aggregates,
    "Database functions": django_functions,
    "Window functions": window,
}


METHODS_OF_SIGNS = {sign: method for method, sign in OPERATORS.items()}


def there(section: str, name: str) -> bool:
    return any(hasattr(home, METHODS_OF_SIGNS.get(name, name)) for home in HOMES[section])


@pytest.mark.parametrize("section", HOMES)
def test_what_is_there(section: str) -> None:
    states = TABLE[section]
    assert [name for name, state in states if state == "same" and not there(section, name)] == []
    assert [name for name, state in states if state == "not supported" and there(section, name)] == []


def options(function: Callable[..., Any]) -> set[str]:
    """The names of a function's optional arguments, but for its first, which both take by its place."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"][1:]
    return {p.name for p in parameters if p.default is not p.empty and not p.name.startswith("_")}


def takes_any(function: Callable[..., Any]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


@pytest.mark.parametrize("section", DJANGO_HOMES)
def test_the_same_options(section: str) -> None:
    missing = {}
    for name, state in TABLE[section]:
        if state != "same" or not callable(theirs := getattr(DJANGO_HOMES[section], name)):
            continue
        [ours] = [getattr(home, name) for home in HOMES[section]]
        wanted = options(theirs) - set(inspect.signature(ours).parameters)
        if wanted and not takes_any(ours):
            missing[name] = wanted
    assert missing == {}


models = orm.ModelRegistry()


class Thing(orm.Model):
    """A field of each kind that has lookups."""

    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=100)
    number = orm.Integer()
    share = orm.Float()
    day = orm.Date()
    moment = orm.DateTime(timezone=True)
    data: Any = orm.JSON()
    parent: Any = orm.ForeignKey("Thing", allow_null=True)


@pytest.fixture
async def thing(database: Database) -> AsyncIterator[Database]:
    models.database = database
    await models.create_all()
    moment = datetime.datetime(2024, 2, 29, 12, 30, 15, tzinfo=datetime.timezone.utc)
    await Thing.objects.create(
        text="Text", number=3, share=0.5, day=moment.date(), moment=moment, data={"a": {"b": "Text", "n": 3}}
    )
    yield database


def named(section: str, *states: str) -> set[str]:
    return {name for name, state in TABLE[section] if state in (states or ("same", "different"))}


FIELDS: dict[str, tuple[Any, ...]] = {
    "exact": ("text", "Text"),
    "iexact": ("text", "tEXT"),
    "gt": ("number", 2),
    "gte": ("number", 3),
    "lt": ("number", 4),
    "lte": ("number", 3),
    "in": ("number", [1, 3]),
    "contains": ("text", "ex"),
    "icontains": ("text", "EX"),
    "startswith": ("text", "Te"),
    "istartswith": ("text", "te"),
    "endswith": ("text", "xt"),
    "iendswith": ("text", "XT"),
    "range": ("number", (1, 3)),
    "isnull": ("parent", True),
    "regex": ("text", "^T.xt$"),
    "iregex": ("text", "^t.XT$"),
    "year": ("moment", 2024),
    "iso_year": ("day", 2024),
    "quarter": ("moment", 1),
    "month": ("day", 2),
    "week": ("moment", 9),
    "day": ("moment", 29),
    "week_day": ("day", 5),
    "iso_week_day": ("moment", 4),
    "hour": ("moment", 12),
    "minute": ("moment", 30),
    "second": ("moment", 15),
    "date": ("moment", datetime.date(2024, 2, 29)),
    "time": ("moment", datetime.time(12, 30, 15)),
}
DOCUMENTS: dict[str, tuple[Any, ...]] = {
    "exact": ("data__a", {"b": "Text", "n": 3}),
    "contained_by": ("data", {"a": {"b": "Text", "n": 3}, "z": 1}),
    "contains": ("data", {"a": {"n": 3}}),
    "has_any_keys": ("data", ["z", "a"]),
    "has_key": ("data__a", "b"),
    "has_keys": ("data__a", ["b", "n"]),
    "in": ("data__a__n", [1, 3]),
    "isnull": ("data__z", True),
    "gt": ("data__a__n", 2),
    "gte": ("data__a__n", 3),
    "lt": ("data__a__n", 4),
    "lte": ("data__a__b", "Text"),
    "startswith": ("data__a__b", "Te"),
    "endswith": ("data__a__b", "xt"),
    "regex": ("data__a__b", "^T"),
    "iexact": ("data__a__b", "tEXT"),
    "icontains": ("data__a__b", "EX"),
    "iendswith": ("data__a__b", "XT"),
    "istartswith": ("data__a__b", "tE"),
    "iregex": ("data__a__b", "^t"),
}


async def test_lookups(thing: Database) -> None:
    for section, tried in (("Field lookups", FIELDS), ("Lookups of JSON", DOCUMENTS)):
        assert tried.keys() == named(section)
        for name, (path, value) in tried.items():
            found = Thing.objects.filter(**{f"{path}__{name}": value})
            assert await found.count() == 1, f"{section}: {name}"


NUMBER = orm.F("number")
OPERATED: dict[str, tuple[orm.Expression[Any] | orm.Q, Any]] = {
    "+": (NUMBER + 1, 4),
    "-": (1 - NUMBER, -2),
    "*": (NUMBER * 2, 6),
    "/": (orm.F("share") / 2, 0.25),
    "%": (NUMBER % 2, 1),
    "**": (NUMBER**2, 9),
    "bitand": (NUMBER.bitand(6), 2),
    "bitor": (NUMBER.bitor(4), 7),
    "bitxor": (NUMBER.bitxor(1), 2),
    "bitleftshift": (NUMBER.bitleftshift(2), 12),
    "bitrightshift": (NUMBER.bitrightshift(1), 1),
    "&": (orm.Q(number=3) & orm.Q(share__gt=1), False),
    "|": (orm.Q(number=3) | orm.Q(share__gt=1), True),
    "^": (orm.Q(number=3) ^ orm.Q(share__lt=1), False),
    "~": (~orm.Q(number=3), False),
    "[:]": (orm.F("text")[1:3], "ex"),
}


async def test_operators(thing: Database) -> None:
    assert OPERATED.keys() | {"asc", "desc"} == named("Operators of expressions", "same")
    for name, (expression, expected) in OPERATED.items():
        assert await Thing.objects.values_list(expression, flat=True) == [expected], name
    assert await Thing.objects.order_by(NUMBER.asc(), NUMBER.desc()).count() == 1


FUNCTIONS: dict[str, tuple[orm.Func[Any], Any]] = {
    "Cast": (f.Cast("number", orm.Text()), "3"),
    "Coalesce": (f.Coalesce("parent", "number"), 3),
    "Greatest": (f.Greatest("number", 2), 3),
    "Least": (f.Least("number", 2), 2),
    "NullIf": (f.NullIf("number", 3), None),
    "Extract": (f.Extract("moment", "month"), 2),
    "ExtractDay": (f.ExtractDay("moment"), 29),
    "ExtractHour": (f.ExtractHour("moment"), 12),
    "ExtractIsoWeekDay": (f.ExtractIsoWeekDay("day"), 4),
    "ExtractIsoYear": (f.ExtractIsoYear("day"), 2024),
    "ExtractMinute": (f.ExtractMinute("moment"), 30),
    "ExtractMonth": (f.ExtractMonth("day"), 2),
    "ExtractQuarter": (f.ExtractQuarter("moment"), 1),
    "ExtractSecond": (f.ExtractSecond("moment"), 15),
    "ExtractWeek": (f.ExtractWeek("moment"), 9),
    "ExtractWeekDay": (f.ExtractWeekDay("moment"), 5),
    "ExtractYear": (f.ExtractYear("moment"), 2024),
    "Trunc": (f.Trunc("day", "month"), datetime.date(2024, 2, 1)),
    "TruncDate": (f.TruncDate("moment"), datetime.date(2024, 2, 29)),
    "TruncDay": (f.TruncDay("day"), datetime.date(2024, 2, 29)),
    "TruncHour": (f.TruncHour("moment"), "2024-02-29T12:00:00+00:00"),
    "TruncMinute": (f.TruncMinute("moment"), "2024-02-29T12:30:00+00:00"),
    "TruncMonth": (f.TruncMonth("moment"), "2024-02-01T00:00:00+00:00"),
    "TruncQuarter": (f.TruncQuarter("moment"), "2024-01-01T00:00:00+00:00"),
    "TruncSecond": (f.TruncSecond("moment"), "2024-02-29T12:30:15+00:00"),
    "TruncTime": (f.TruncTime("moment"), datetime.time(12, 30, 15)),
    "TruncWeek": (f.TruncWeek("day"), datetime.date(2024, 2, 26)),
    "TruncYear": (f.TruncYear("day"), datetime.date(2024, 1, 1)),
    "JSONArray": (f.JSONArray("text", "number"), ["Text", 3]),
    "JSONObject": (f.JSONObject(a="text", b="number"), {"a": "Text", "b": 3}),
    "Abs": (f.Abs(orm.F("number") * -1), 3),
    "ACos": (f.ACos("share"), 1.0471975511965979),
    "ASin": (f.ASin("share"), 0.5235987755982989),
    "ATan": (f.ATan("share"), 0.4636476090008061),
    "ATan2": (f.ATan2("share", "number"), 0.16514867741462683),
    "Ceil": (f.Ceil("share"), 1.0),
    "Cos": (f.Cos("share"), 0.8775825618903728),
    "Cot": (f.Cot("share"), 1.830487721712452),
    "Degrees": (f.Degrees("share"), 28.64788975654116),
    "Exp": (f.Exp("share"), 1.6487212707001282),
    "Floor": (f.Floor("share"), 0.0),
    "Ln": (f.Ln("share"), -0.6931471805599453),
    "Log": (f.Log(2, orm.Value(8)), 3.0),
    "Mod": (f.Mod("number", 2), 1.0),
    "Power": (f.Power("number", 2), 9.0),
    "Pi": (f.Pi(), 3.141592653589793),
    "Radians": (f.Radians("share"), 0.008726646259971648),
    "Round": (f.Round("share", 1), 0.5),
    "Sign": (f.Sign("number"), 1),
    "Sin": (f.Sin("share"), 0.479425538604203),
    "Sqrt": (f.Sqrt("share"), 0.7071067811865476),
    "Tan": (f.Tan("share"), 0.5463024898437905),
    "MD5": (f.MD5("text"), hashlib.md5(b"Text").hexdigest()),
    "SHA1": (f.SHA1("text"), hashlib.sha1(b"Text").hexdigest()),
    "SHA224": (f.SHA224("text"), hashlib.sha224(b"Text").hexdigest()),
    "SHA256": (f.SHA256("text"), hashlib.sha256(b"Text").hexdigest()),
    "SHA384": (f.SHA384("text"), hashlib.sha384(b"Text").hexdigest()),
    "SHA512": (f.SHA512("text"), hashlib.sha512(b"Text").hexdigest()),
    "Chr": (f.Chr(orm.Value(65)), "A"),
    "Concat": (f.Concat("text", orm.Value("-"), "number"), "Text-3"),
    "ConcatPair": (f.ConcatPair("text", "number"), "Text3"),
    "Left": (f.Left("text", 2), "Te"),
    "Length": (f.Length("text"), 4),
    "Lower": (f.Lower("text"), "text"),
    "LPad": (f.LPad("text", 6, orm.Value("*")), "**Text"),
    "LTrim": (f.LTrim(orm.Value(" x ")), "x "),
    "Ord": (f.Ord("text"), 84),
    "Repeat": (f.Repeat("text", 2), "TextText"),
    "Replace": (f.Replace("text", orm.Value("x"), orm.Value("s")), "Test"),
    "Reverse": (f.Reverse("text"), "txeT"),
    "Right": (f.Right("text", 2), "xt"),
    "RPad": (f.RPad("text", 6, orm.Value("*")), "Text**"),
    "RTrim": (f.RTrim(orm.Value(" x ")), " x"),
    "StrIndex": (f.StrIndex("text", orm.Value("x")), 3),
    "Substr": (f.Substr("text", 2, 2), "ex"),
    "Trim": (f.Trim(orm.Value(" x ")), "x"),
    "Upper": (f.Upper("text"), "TEXT"),
}
# What every database answers for itself, and what needs an extension of PostgreSQL's.
BY_THEMSELVES = {"Collate", "Now", "Random"}
LACKING = {("postgresql", "SHA1")}


async def test_functions(thing: Database) -> None:
    assert FUNCTIONS.keys() | BY_THEMSELVES == named("Database functions")
    kind = (await dialect_of(thing)).name
    for name, (expression, expected) in FUNCTIONS.items():
        rows = Thing.objects.values_list(expression, flat=True)
        if (kind, name) in LACKING:
            with pytest.raises(orm.ProgrammingError):
                await rows
            continue
        [found] = await rows
        if isinstance(found, datetime.datetime):
            found = found.isoformat()
        assert found == (pytest.approx(expected) if isinstance(expected, float) else expected), name


WINDOWS: dict[str, tuple[orm.Func[Any], Any]] = {
    "CumeDist": (orm.CumeDist(), 1.0),
    "DenseRank": (orm.DenseRank(), 1),
    "FirstValue": (orm.FirstValue("number"), 3),
    "Lag": (orm.Lag("number"), None),
    "LastValue": (orm.LastValue("number"), 3),
    "Lead": (orm.Lead("number"), None),
    "NthValue": (orm.NthValue("number", 1), 3),
    "Ntile": (orm.Ntile(2), 1),
    "PercentRank": (orm.PercentRank(), 0.0),
    "Rank": (orm.Rank(), 1),
    "RowNumber": (orm.RowNumber(), 1),
}


async def test_window_functions(thing: Database) -> None:
    assert WINDOWS.keys() == named("Window functions")
    for name, (function, expected) in WINDOWS.items():
        found = Thing.objects.annotate(found=orm.Window(function, partition_by="text", order_by="id"))
        assert await found.values_list("found", flat=True) == [expected], name


AGGREGATES: dict[str, tuple[orm.Aggregate[Any], Any]] = {
    "Avg": (orm.Avg("number"), 3.0),
    "Count": (orm.Count("number"), 1),
    "Max": (orm.Max("number"), 3),
    "Min": (orm.Min("number"), 3),
    "StdDev": (orm.StdDev("number"), 0.0),
    "Sum": (orm.Sum("number"), 3),
    "Variance": (orm.Variance("number"), 0.0),
}


async def test_aggregates(thing: Database) -> None:
    assert AGGREGATES.keys() == named("Aggregates") - {"Aggregate"}
    for name, (aggregate, expected) in AGGREGATES.items():
        assert await Thing.objects.aggregate(aggregate) == {f"number__{name.lower()}": expected}


class BoolAnd(orm.Aggregate[bool]):
    """The one that the page spells out."""

    function = "bool_and"


async def test_an_aggregate_of_ones_own(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        models.database = database
        await models.create_all()
        found = BoolAnd(orm.Q(number__gt=1), output_field=orm.Boolean(allow_null=True))
        assert await Thing.objects.aggregate(found=found) == {"found": None}
