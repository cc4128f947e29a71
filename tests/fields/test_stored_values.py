"""Values of every field type read back equal, are found and sorted on every database; unstorable values raise."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import math
import operator
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import databases
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orm
from orm.database.connections.database import Database
from tests.conftest import KINDS

UTC = datetime.timezone.utc
MICROSECOND = datetime.timedelta(microseconds=1)
# What SQLite and MySQL keep of a duration: 64 bits of microseconds.
LONGEST = datetime.timedelta(microseconds=(1 << 63) - 1)
ALL = frozenset(KINDS)
POSTGRESQL = frozenset({"postgresql"})
NOT_SQLITE = ALL - {"sqlite"}


class Status(enum.Enum):
    DRAFT = "draft"
    IN_REVIEW = "in review"
    DONE = 3


class Level(enum.IntEnum):
    LOW = -1
    HIGH = 2
    HUGE = 2_000_000_000


class Colour(str, enum.Enum):
    RED = "red"
    BLUE = "blue"


class Wide(enum.IntEnum):
    ONE = 1
    WIDE = 1 << 40


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2
    ALL = 3


def same(value: Any) -> Any:
    return value


def quantized(places: int) -> Callable[[decimal.Decimal], decimal.Decimal]:
    """A decimal with the digits that its column returns."""
    exponent = decimal.Decimal(1).scaleb(-places)
    return lambda value: value.quantize(exponent, context=decimal.Context(prec=100))


@dataclass(frozen=True)
class Case:
    """One kind of field.

    Attributes:
        declare: Makes the field; takes `allow_null`.
        values: What is written; also by the kind of database, where they differ.
        read: What is read back, given what was written.
        comparable: Whether values are looked up by equality.
        ordered: Whether the database orders values as Python does.
    """

    declare: Callable[..., orm.Field[Any]]
    values: st.SearchStrategy[Any]
    values_of: dict[str, st.SearchStrategy[Any]] = field(default_factory=dict)
    read: Callable[[Any], Any] = same
    comparable: bool = True
    ordered: bool = False
    kinds: frozenset[str] = ALL

    def strategy(self, kind: str) -> st.SearchStrategy[Any]:
        return self.values_of.get(kind, self.values)


# Text fields refuse NUL.
unicode_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40) | st.sampled_from(
    ["😀👩‍👩‍👧‍👦", "%_\\'\"", "  padded  ", "line\r\nbreak", "ÄÖÜßİı", "\u2028", "NULL", "''", "$1 ? :x %s"]
)
decimals = {places: st.decimals(-99_999, 99_999, places=places) for places in (0, 2, 4)}
fixed_offsets = st.integers(-1439, 1439).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m)))
# A day from either end, so that every one of them is a moment of UTC.
instants = st.datetimes(
    datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30, 23, 59, 59, 999_999), timezones=fixed_offsets
) | st.sampled_from([datetime.datetime.min.replace(tzinfo=UTC), datetime.datetime.max.replace(tzinfo=UTC)])
addresses = st.ip_addresses(v=4) | st.ip_addresses(v=6)
uuids = st.integers(0, (1 << 128) - 1).map(lambda n: uuid.UUID(int=n)) | st.uuids(allow_nil=True)
floats = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1e22, 1e23, -0.0, 1 / 3]
)
json_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 53), 1 << 53)
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | floats
    | unicode_text
)
json_values = st.recursive(
    json_leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(unicode_text, inner, max_size=4),
    max_leaves=8,
).filter(lambda value: value is not None)


CASES: dict[str, Case] = {
    "SmallInteger": Case(orm.SmallInteger, st.integers(-(1 << 15), (1 << 15) - 1), ordered=True),
    "Integer": Case(orm.Integer, st.integers(-(1 << 31), (1 << 31) - 1), ordered=True),
    "BigInteger": Case(orm.BigInteger, st.integers(-(1 << 63), (1 << 63) - 1), ordered=True),
    "Float": Case(orm.Float, floats, ordered=True),
    "Decimal": Case(
        lambda **o: orm.Decimal(max_digits=9, decimal_places=4, **o),
        st.one_of(*decimals.values()),
        read=quantized(4),
        ordered=True,
    ),
    "Decimal without places": Case(
        lambda **o: orm.Decimal(max_digits=15, decimal_places=0, **o),
        (st.integers(-(10**15) + 1, 10**15 - 1) | st.sampled_from([10**8, -(10**14)])).map(decimal.Decimal),
        read=quantized(0),
        ordered=True,
    ),
    "Decimal of 40 digits": Case(
        lambda **o: orm.Decimal(max_digits=40, decimal_places=20, **o),
        st.decimals(-(10**20) + 1, 10**20 - 1, places=20),
        values_of={"sqlite": st.decimals(-99_999, 99_999, places=10)},
        read=quantized(20),
        ordered=True,
    ),
    "Boolean": Case(orm.Boolean, st.booleans(), ordered=True),
    "String": Case(lambda **o: orm.String(max_length=60, allow_blank=True, trim_whitespace=False, **o), unicode_text),
    "String, trimmed": Case(
        lambda **o: orm.String(max_length=60, allow_blank=True, **o), unicode_text, read=lambda text: text.strip()
    ),
    "String of choices": Case(
        lambda **o: orm.String(max_length=60, choices=Colour, **o), st.sampled_from(["red", "blue"])
    ),
    "Text": Case(
        lambda **o: orm.Text(allow_blank=True, trim_whitespace=False, **o),
        unicode_text | st.sampled_from(["x" * 70_000, "😀" * 20_000]),
    ),
    "Email": Case(
        orm.Email, st.from_regex(r"[a-z0-9]{1,20}(\.[a-z0-9]{1,20})?@[a-z]{1,20}\.(com|org|io)", fullmatch=True)
    ),
    "URL": Case(
        orm.URL, st.from_regex(r"https?://[a-z]{1,20}\.(com|org)(/[a-zA-Z0-9]{1,9})?(\?q=%20\w)?", fullmatch=True)
    ),
    "Date": Case(orm.Date, st.dates(), ordered=True),
    "DateTime": Case(orm.DateTime, st.datetimes(), ordered=True),
    "DateTime of an instant": Case(
        lambda **o: orm.DateTime(timezone=True, **o), instants, read=lambda moment: moment.astimezone(UTC), ordered=True
    ),
    "Time": Case(orm.Time, st.times(), ordered=True),
    "Duration": Case(
        orm.Duration,
        st.timedeltas(-LONGEST, LONGEST) | st.timedeltas(datetime.timedelta(-2), datetime.timedelta(2)),
        values_of={"postgresql": st.timedeltas() | st.sampled_from([datetime.timedelta.min, datetime.timedelta.max])},
        ordered=True,
    ),
    "JSON": Case(orm.JSON, json_values, comparable=False),
    "Binary": Case(orm.Binary, st.binary(max_size=40) | st.sampled_from([bytes(range(256)), b"\0" * 70_000])),
    "Binary of a few": Case(lambda **o: orm.Binary(max_length=16, **o), st.binary(max_size=16)),
    "UUID": Case(orm.UUID, uuids, ordered=True),
    "IPAddress": Case(orm.IPAddress, addresses),
    "Enum": Case(lambda **o: orm.Enum(Status, **o), st.sampled_from(Status)),
    "Enum of text": Case(lambda **o: orm.Enum(Colour, **o), st.sampled_from(Colour)),
    "Enum of integers": Case(lambda **o: orm.Enum(Level, **o), st.sampled_from(Level), ordered=True),
    "Enum of wide integers": Case(lambda **o: orm.Enum(Wide, **o), st.sampled_from(Wide), ordered=True),
    "Enum of flags": Case(lambda **o: orm.Enum(Access, **o), st.sampled_from([Access(n) for n in range(4)])),
}
ITEMS: dict[str, tuple[Callable[[], orm.Field[Any]], st.SearchStrategy[Any]]] = {
    "Integer": (orm.Integer, st.integers(-(1 << 31), (1 << 31) - 1)),
    "String": (lambda: orm.String(max_length=60, allow_blank=True, trim_whitespace=False), unicode_text),
    "Float": (orm.Float, floats),
    "Boolean": (orm.Boolean, st.booleans()),
    "UUID": (orm.UUID, uuids),
    "Date": (orm.Date, st.dates()),
    "DateTime": (orm.DateTime, st.datetimes()),
    "Duration": (orm.Duration, st.timedeltas(-LONGEST, LONGEST)),
    "Time": (orm.Time, st.times()),
    "Binary": (orm.Binary, st.binary(max_size=20)),
    "IPAddress": (orm.IPAddress, addresses),
    "Enum": (lambda: orm.Enum(Status), st.sampled_from(Status)),
    "Enum of integers": (lambda: orm.Enum(Level), st.sampled_from(Level)),
    "Decimal": (lambda: orm.Decimal(max_digits=9, decimal_places=4), decimals[4]),
    "null": (lambda: orm.Integer(allow_null=True), st.none() | st.integers(-5, 5)),
    "JSON": (orm.JSON, json_values),
}
for _name, (_declare, _values) in ITEMS.items():
    CASES[f"Array of {_name}"] = Case(
        lambda _declare=_declare, **o: orm.Array(_declare(), **o),
        st.lists(_values, max_size=5),
        comparable=_name != "JSON",
        kinds=POSTGRESQL if _name in ("JSON", "Binary") else ALL,
    )

Row = type[orm.Model]


def examples(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Values that hypothesis generates, in a list, so that one statement can write them."""
    collected: list[Any] = []

    @settings(max_examples=count, database=None)
    @given(strategy)
    def gather(value: Any) -> None:
        collected.append(value)

    gather()
    return collected


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


async def table(database: databases.Database, case: Case) -> Row:
    """Create a table with two fields of the case, the second with NULLs."""
    kind = "postgresql" if database.url.dialect.startswith("postgres") else database.url.dialect
    if kind not in case.kinds:
        pytest.skip("PostgreSQL's alone")
    models = orm.ModelRegistry(database=database)

    class Kept(orm.Model):
        registry = models

        value = case.declare()
        perhaps = case.declare(allow_null=True)

    await models.create_all()
    return Kept


@pytest.fixture
async def kept(database: Database, case: Case) -> Row:
    return await table(database, case)


@pytest.fixture
async def kept_anywhere(any_database: databases.Database, case: Case) -> Row:
    return await table(any_database, case)


def kind_of(model: Row) -> str:
    dialect = model.objects.database.url.dialect
    return "postgresql" if dialect.startswith("postgres") else dialect


def assert_same(actual: Any, expected: Any) -> None:
    """Assert that values and their types are equal, also in lists and dicts; decimals with all digits."""
    assert type(actual) is type(expected), (actual, expected)
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key in expected:
            assert_same(actual[key], expected[key])
    elif isinstance(expected, list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, decimal.Decimal):
        assert str(actual) == str(expected)
    else:
        assert actual == expected
    if isinstance(expected, (datetime.datetime, datetime.time)):
        assert actual.tzinfo == expected.tzinfo
        assert actual.microsecond == expected.microsecond


async def test_written_values_read_back_equal(kept_anywhere: Row, case: Case) -> None:
    model = kept_anywhere
    values = case.strategy(kind_of(model))
    rows = examples(st.tuples(values, st.none() | values), 60)
    created = await model.objects.bulk_create([{"value": value, "perhaps": perhaps} for value, perhaps in rows])
    rows_read = await model.objects.order_by("id")
    assert [row.id for row in rows_read] == [row.id for row in created]
    for row, new, (value, perhaps) in zip(rows_read, created, rows, strict=True):
        assert_same(row.value, case.read(value))
        assert_same(row.perhaps, None if perhaps is None else case.read(perhaps))
        assert new.value == row.value and new.perhaps == row.perhaps


async def test_create_save_and_update_write_the_value(kept: Row, case: Case) -> None:
    values = case.strategy(kind_of(kept))
    for first, second, third in examples(st.tuples(values, values, values), 5):
        row = await kept.objects.create(value=first)
        assert_same((await kept.objects.get(pk=row.pk)).value, case.read(first))
        row.value = row.perhaps = second
        await row.save()
        stored_row = await kept.objects.get(pk=row.pk)
        assert_same(stored_row.value, case.read(second))
        assert_same(stored_row.perhaps, case.read(second))
        await row.update(value=third, perhaps=None)
        assert_same((await kept.objects.get(pk=row.pk)).value, case.read(third))
        assert await kept.objects.filter(pk=row.pk).update(perhaps=third) == 1
        [perhaps] = await kept.objects.filter(pk=row.pk).values_list("perhaps", flat=True)
        assert_same(perhaps, case.read(third))


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case.comparable], indirect=True)
async def test_filter_by_written_value_finds_its_rows(kept: Row, case: Case) -> None:
    written = examples(case.strategy(kind_of(kept)), 20)
    created = await kept.objects.bulk_create([{"value": value} for value in written])
    keys = [row.pk for row in created]
    stored = [case.read(value) for value in written]
    for value in stored:
        expected = [key for key, other in zip(keys, stored, strict=True) if other == value]
        assert await kept.objects.filter(value=value).order_by("id").values_list("id", flat=True) == expected, value
        assert await kept.objects.exclude(value=value).count() == len(keys) - len(expected), value
    if case.kinds != POSTGRESQL:
        for some in (stored[:1], stored[::2], stored):
            expected = [key for key, other in zip(keys, stored, strict=True) if other in some]
            assert await kept.objects.filter(value__in=some).order_by("id").values_list("id", flat=True) == expected
    assert await kept.objects.filter(perhaps=None).count() == len(keys)


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case.ordered], indirect=True)
async def test_order_by_sorts_as_python_does(kept: Row, case: Case) -> None:
    written = examples(case.strategy(kind_of(kept)), 30)
    await kept.objects.bulk_create([{"value": value} for value in written])
    stored = [case.read(value) for value in written]
    assert await kept.objects.order_by("value").values_list("value", flat=True) == sorted(stored)
    assert await kept.objects.order_by("-value").values_list("value", flat=True) == sorted(stored, reverse=True)
    if isinstance(stored[0], (bool, enum.Enum)):
        return
    for pivot in stored[:5]:
        for name in ("gt", "gte", "lt", "lte"):
            compare = getattr(operator, name.replace("te", "e"))
            expected = sum(compare(value, pivot) for value in stored)
            assert await kept.objects.filter(**{f"value__{name}": pivot}).count() == expected, (name, pivot)


# What a database cannot hold.


@dataclass(frozen=True)
class Refusal:
    """A value that these databases cannot store."""

    declare: Callable[[], orm.Field[Any]]
    value: Any
    kinds: frozenset[str] = ALL


NAN, INFINITY = math.nan, math.inf
NESTED: list[Any] = []
for _ in range(100_000):
    NESTED = [NESTED]
REFUSALS = {
    "small integer": Refusal(orm.SmallInteger, 1 << 15, NOT_SQLITE),
    "negative small integer": Refusal(orm.SmallInteger, -(1 << 15) - 1, NOT_SQLITE),
    "integer": Refusal(orm.Integer, 1 << 31, NOT_SQLITE),
    "big integer": Refusal(orm.BigInteger, 1 << 63),
    "negative big integer": Refusal(orm.BigInteger, -(1 << 63) - 1),
    "integer of SQLite": Refusal(orm.Integer, 1 << 63),
    "nan": Refusal(orm.Float, NAN),
    "infinity": Refusal(orm.Float, -INFINITY),
    "decimal nan": Refusal(lambda: orm.Decimal(5, 2), decimal.Decimal("NaN")),
    "decimal places": Refusal(lambda: orm.Decimal(5, 2), decimal.Decimal("0.123")),
    "decimal digits": Refusal(lambda: orm.Decimal(5, 2), decimal.Decimal("1000")),
    "digits of SQLite": Refusal(
        lambda: orm.Decimal(20, 10), decimal.Decimal("1234567.1234567891"), frozenset({"sqlite"})
    ),
    "surrogate": Refusal(orm.Text, "a\ud800b"),
    "surrogate in a string": Refusal(lambda: orm.String(max_length=5), "\udfff"),
    "long": Refusal(lambda: orm.String(max_length=5), "abcdef"),
    "blank": Refusal(lambda: orm.String(max_length=5), ""),
    "text NUL": Refusal(orm.Text, "a\0b"),
    "string NUL": Refusal(lambda: orm.String(max_length=5, allow_blank=True), "\0"),
    "untrimmed NUL": Refusal(lambda: orm.String(max_length=5, trim_whitespace=False), "a\0"),
    "pattern NUL": Refusal(lambda: orm.String(max_length=5, pattern="r"), "r\0"),
    "email NUL": Refusal(orm.Email, "me\0@example.org"),
    "url NUL": Refusal(orm.URL, "https://example.org/\0"),
    "item NUL": Refusal(lambda: orm.Array(orm.String(max_length=5)), ["a", "a\0"]),
    "bytes for text": Refusal(orm.Text, b"bytes"),
    "text for bytes": Refusal(orm.Binary, "text"),
    "long bytes": Refusal(lambda: orm.Binary(max_length=3), b"abcd"),
    "timezone": Refusal(orm.DateTime, datetime.datetime(2024, 1, 1, tzinfo=UTC)),
    "no timezone": Refusal(lambda: orm.DateTime(timezone=True), datetime.datetime(2024, 1, 1)),
    "year 0": Refusal(
        lambda: orm.DateTime(timezone=True),
        datetime.datetime.min.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
    ),
    "year 10000": Refusal(
        lambda: orm.DateTime(timezone=True),
        datetime.datetime.max.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-1))),
    ),
    "time with a timezone": Refusal(orm.Time, datetime.time(12, tzinfo=UTC)),
    "duration": Refusal(orm.Duration, LONGEST + MICROSECOND, ALL - POSTGRESQL),
    "negative duration": Refusal(orm.Duration, datetime.timedelta.min, ALL - POSTGRESQL),
    "json nan": Refusal(orm.JSON, {"a": [NAN]}),
    "json surrogate": Refusal(orm.JSON, ["\ud800"]),
    "json key": Refusal(orm.JSON, {1: 2}),
    "json set": Refusal(orm.JSON, [{1}]),
    "json date": Refusal(orm.JSON, {"day": datetime.date(2024, 1, 1)}),
    "json NUL": Refusal(orm.JSON, {"a": "\0"}, POSTGRESQL),
    "json NUL in a key": Refusal(orm.JSON, {"a\0": 1}, POSTGRESQL),
    "json depth": Refusal(orm.JSON, NESTED),
    "null": Refusal(orm.Integer, None),
    "json null": Refusal(orm.JSON, None),
    "enum": Refusal(lambda: orm.Enum(Status), "gone"),
    "another enum": Refusal(lambda: orm.Enum(Status), Level.LOW),
    "choice": Refusal(lambda: orm.String(max_length=9, choices=Colour), "green"),
    "uuid": Refusal(orm.UUID, "not a uuid"),
    "address": Refusal(orm.IPAddress, "1.2.3.256"),
    "scope": Refusal(orm.IPAddress, ipaddress.ip_address("fe80::1%eth0")),
    "item": Refusal(lambda: orm.Array(orm.Integer()), [1, 1 << 31], NOT_SQLITE),
    "long item": Refusal(lambda: orm.Array(orm.String(max_length=2)), ["ab", "abc"]),
    "null item": Refusal(lambda: orm.Array(orm.Integer()), [None]),
}
FINE: dict[type, Any] = {
    orm.Integer: 1,
    orm.SmallInteger: 1,
    orm.BigInteger: 1,
    orm.Float: 1.0,
    orm.Decimal: decimal.Decimal(1),
    orm.Text: "fine",
    orm.Email: "me@example.org",
    orm.URL: "https://example.org/",
    orm.String: "red",
    orm.Binary: b"abc",
    orm.Time: datetime.time(12),
    orm.Duration: MICROSECOND,
    orm.JSON: {},
    orm.Enum: Status.DRAFT,
    orm.UUID: uuid.UUID(int=1),
    orm.IPAddress: ipaddress.ip_address("::1"),
    orm.Array: [],
}


def fine(field: orm.Field[Any]) -> Any:
    """A value that the field accepts."""
    if isinstance(field, orm.DateTime):
        return datetime.datetime(2024, 1, 1, tzinfo=UTC if field.timezone else None)
    return FINE[type(field)]


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_unstorable_value_raises_before_it_is_sent(database: Database, refusal: Refusal) -> None:
    kind = "postgresql" if database.url.dialect.startswith("postgres") else database.url.dialect
    if kind not in refusal.kinds:
        pytest.skip("this database holds it")
    models = orm.ModelRegistry(database=database)

    class Kept(orm.Model):
        registry = models

        value = refusal.declare()
        count = orm.Integer(default=0)

    await models.create_all()
    good = fine(Kept.fields["value"])
    row = await Kept.objects.create(value=good)
    sent: list[str] = []
    database.add_hook(lambda event: sent.append(event.sql))

    async def by_save() -> None:
        changed = await Kept.objects.get(pk=row.pk)
        sent.clear()
        changed.value = refusal.value
        await changed.save()

    attempts: list[Callable[[], Any]] = [
        lambda: Kept.objects.create(value=refusal.value),
        lambda: Kept(value=refusal.value).save(),
        lambda: Kept.objects.bulk_create([{"value": good}, {"value": refusal.value}]),
        lambda: Kept.objects.filter(count=0).update(value=refusal.value),
        lambda: row.update(value=refusal.value, count=1),
        by_save,
    ]
    for attempt in attempts:
        with pytest.raises(orm.ValidationError) as caught:
            await attempt()
        # A message of bulk_create() has the number of the row before the field.
        assert {next(part for part in message.index if part != 1) for message in caught.value.messages()} == {"value"}
        assert sent == []
    assert row.count == 0
    assert await Kept.objects.values_list("value", "count") == [(good, 0)]


async def test_filter_by_text_with_nul_raises_on_postgresql_and_compares_elsewhere(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Kept(orm.Model):
        registry = models

        value = orm.String(max_length=5)

    await models.create_all()
    await Kept.objects.create(value="ab")
    rows = await Kept.objects.all()
    rows[0].value = "a\0b"
    with pytest.raises(orm.ValidationError, match="NUL"):
        await Kept.objects.bulk_update(rows, ["value"])
    for lookup in ("exact", "iexact", "contains", "startswith", "gt"):
        query = Kept.objects.filter(**{f"value__{lookup}": "a\0b"})
        if database.url.dialect.startswith("postgres"):
            with pytest.raises(orm.QueryError, match="NUL"):
                await query.count()
        else:
            assert await query.count() == (lookup == "gt")
    if not database.url.dialect.startswith("postgres"):
        assert await Kept.objects.update(value=orm.Value("a\0b")) == 1
        assert await Kept.objects.filter(value="a\0b").values_list("value", flat=True) == ["a\0b"]
