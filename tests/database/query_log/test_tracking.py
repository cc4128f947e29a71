"""`orm.track_queries()`, `orm.assert_max_queries()` and `orm.Database.warn_repeated`."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import databases
import pytest

import orm
from orm.database.query_log import repeated_queries
from orm.database.query_log.call_sites import Source
from orm.database.query_log.events import open_trackers
from orm.database.query_log.normalized_sql import is_transaction, shape_of
from tests.driver_calls import counted_round_trips

models = orm.ModelRegistry()
HERE = __file__


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50)

    class Meta:
        tablename = "albums"


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=50)
    position = orm.Integer(default=0)
    album: Any = orm.ForeignKey(Album, on_delete=orm.CASCADE)


async def fill(database: databases.Database) -> None:
    models.database = database
    await models.create_all()
    albums = await Album.objects.bulk_create([Album(name=f"album {n}") for n in range(3)])
    await Track.objects.bulk_create([Track(title=f"track {n}", album=albums[n % 3]) for n in range(12)])


@pytest.fixture
async def music(database: orm.Database) -> AsyncIterator[orm.Database]:
    """Three albums of four tracks each."""
    await fill(database)
    yield database
    assert not open_trackers


@pytest.fixture
async def any_music(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    """The same, and once more in a plain `databases.Database`."""
    await fill(any_database)
    yield any_database
    assert not open_trackers


@pytest.fixture
async def sqlite_music(sqlite_url: str) -> AsyncIterator[orm.Database]:
    """The same on SQLite alone, for what has nothing to do with the server."""
    async with orm.Database(sqlite_url) as database:
        await fill(database)
        yield database
    assert not open_trackers


def line() -> int:
    """The number of the line that calls."""
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    return frame.f_back.f_lineno


def only_source(queries: orm.QueryTracker) -> Source:
    """The one line that all queries came from."""
    [source] = {query.source for query in queries}
    assert source is not None
    return source


# Counting


async def test_track_queries_counts_queries(any_music: databases.Database) -> None:
    async with orm.track_queries() as queries:
        assert (queries.count, len(queries), list(queries)) == (0, 0, [])
        tracks = await Track.objects.filter(title__startswith="track").order_by("id")
        await Album.objects.create(name="another")
        await Track.objects.filter(id__in=[tracks[0].id, tracks[1].id]).update(position=7)
        assert await Album.objects.filter(id__in=[]) == []
    await Album.objects.count()
    assert queries.count == len(queries) == 3
    select, insert, update = queries
    assert queries[0] is select
    assert [query.sql.split()[0] for query in queries] == ["SELECT", "INSERT", "UPDATE"]
    assert (select.rows, update.rows) == (12, 2)
    assert all(query.seconds is not None and query.seconds > 0 and query.error is None for query in queries)
    assert list(insert.values) == ["another"]


async def test_trackers_nest_with_plain_with_statements(music: orm.Database) -> None:
    with orm.track_queries() as outer:
        await Album.objects.count()
        with orm.track_queries() as inner:
            await Track.objects.count()
        await Album.objects.exists()
    assert (outer.count, inner.count) == (3, 1)
    assert outer[1] is inner[0]


async def test_tracker_can_be_reentered_only_after_its_block(sqlite_music: orm.Database) -> None:
    with orm.track_queries() as queries:
        with pytest.raises(orm.QueryError, match="tracked already"):
            queries.__enter__()
        await Album.objects.count()
    with queries:
        await Album.objects.count()
    assert queries.count == 2


async def test_failed_queries_are_counted(any_music: databases.Database) -> None:
    with orm.track_queries() as queries, pytest.raises(orm.UniqueViolation):
        await Album.objects.create(id=1, name="again")
    assert queries.count == 1
    assert isinstance(queries[0].error, orm.UniqueViolation) and queries[0].rows is None


async def test_methods_of_the_database_are_counted(music: orm.Database) -> None:
    with orm.track_queries() as queries:
        await Album.raw("SELECT * FROM albums WHERE name = :name", {"name": "album 1"})
        await music.fetch_all("SELECT * FROM albums WHERE name = :name", {"name": "album 1"})
        await music.fetch_one("SELECT * FROM albums")
        await music.execute("UPDATE albums SET name = :name", {"name": "x"})
        assert len([row async for row in music.iterate("SELECT id FROM albums")]) == 3
    assert [query.rows for query in queries] == [1, 1, 1, None, 3]
    assert {query.source.file for query in queries if query.source} == {HERE}


async def test_stream_counts_as_one_query(any_music: databases.Database) -> None:
    with orm.track_queries() as queries:
        async for _ in Track.objects.all():
            expected = line() - 1
            assert queries.count == 1
            assert queries[0].seconds is None
        stream = Track.objects.all().__aiter__()
        await stream.__anext__()
        await stream.aclose()  # type: ignore[attr-defined]
    first, second = queries
    assert (first.rows, first.error, second.error) == (12, None, None)
    assert first.source is not None and (first.source.file, first.source.line) == (HERE, expected)


async def test_statements_of_transactions_are_counted_apart(music: orm.Database) -> None:
    with orm.track_queries() as queries:
        async with music.transaction():
            await Album.objects.count()
            async with music.transaction():
                await Album.objects.count()
    assert queries.count == 2
    first = [query.sql.split()[0] for query in queries.transactions]
    assert first in (["BEGIN", "SAVEPOINT", "RELEASE", "COMMIT"], ["START", "SAVEPOINT", "RELEASE", "COMMIT"])
    assert queries.round_trips == 6
    assert "SAVEPOINT" in str(queries)


# Tasks


async def test_only_tasks_started_in_the_block_are_counted(any_music: databases.Database) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def other() -> int:
        with orm.track_queries() as own:
            begun.set()
            await go_on.wait()
            await Album.objects.count()
            await Album.objects.count()
        return own.count

    neighbour = asyncio.create_task(other())
    await begun.wait()
    async with orm.track_queries() as queries:
        go_on.set()
        await Track.objects.count()
        await asyncio.gather(*(Album.objects.count() for _ in range(4)))
        assert await neighbour == 2
    assert queries.count == 5


async def test_queries_after_the_block_are_not_counted(sqlite_music: orm.Database) -> None:
    counted, go_on = asyncio.Event(), asyncio.Event()

    async def late() -> None:
        await Album.objects.count()
        counted.set()
        await go_on.wait()
        await Album.objects.count()

    with orm.track_queries() as queries:
        task = asyncio.create_task(late())
        await counted.wait()
    with orm.track_queries() as later:
        go_on.set()
        await task
    assert (queries.count, later.count) == (1, 0)
    assert (queries.round_trips, later.round_trips) == (1, 0)


# Where they were awaited


async def test_source_is_the_line_of_the_program(
    any_music: databases.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(HERE).parents[3])

    async def helper() -> int:
        return await Album.objects.count()

    with orm.track_queries() as queries:
        await Album.objects.all()
        expected = line() - 1
        await helper()
    first, second = (query.source for query in queries)
    assert first is not None and second is not None
    assert (first.file, first.line, first.text) == (HERE, expected, "await Album.objects.all()")
    assert first.function.endswith("test_source_is_the_line_of_the_program")
    assert second.function.endswith("helper") and second.text == "return await Album.objects.count()"
    assert str(first).startswith(f"tests/database/query_log/test_tracking.py:{expected} in ")


async def test_source_of_a_gathered_query_is_the_line_that_waits(any_music: databases.Database) -> None:
    async def count() -> int:
        return await Album.objects.count()

    with orm.track_queries() as queries:
        await asyncio.gather(count(), count())
    assert only_source(queries).text == "return await Album.objects.count()"

    with orm.track_queries() as queries:
        await asyncio.gather(Album.objects.count(), Album.objects.count())
    assert only_source(queries).text == "await asyncio.gather(Album.objects.count(), Album.objects.count())"

    with orm.track_queries() as queries:
        await asyncio.wait_for(Album.objects.count(), 30)
    assert only_source(queries).text == "await asyncio.wait_for(Album.objects.count(), 30)"


async def test_source_in_a_task_of_a_task(sqlite_music: orm.Database) -> None:
    async def both() -> None:
        await Track.objects.count()
        await asyncio.gather(Album.objects.count(), Album.objects.count())

    with orm.track_queries() as queries:
        await asyncio.create_task(both())
    assert [query.source.text for query in queries if query.source] == ["await Track.objects.count()"] + [
        "await asyncio.gather(Album.objects.count(), Album.objects.count())"
    ] * 2


async def test_source_behind_generators_and_context_managers(sqlite_music: orm.Database) -> None:
    @asynccontextmanager
    async def counted() -> AsyncIterator[int]:
        yield await Album.objects.count()

    async def titles() -> AsyncIterator[str]:
        async for track in Track.objects.all():
            yield track.title

    with orm.track_queries() as queries:
        async with counted():
            pass
        assert len([title async for title in titles()]) == 12
    assert [query.source.text for query in queries if query.source] == [
        "yield await Album.objects.count()",
        "async for track in Track.objects.all():",
    ]


def test_program_tracked_outside_of_its_event_loop(sqlite_url: str) -> None:
    async def program() -> None:
        async with orm.Database(sqlite_url) as database:
            await fill(database)
            await Album.objects.count()

    with orm.track_queries() as queries:
        asyncio.run(program())
    last = list(queries)[-1].source
    assert last is not None and last.text == "await Album.objects.count()"
    assert not open_trackers


def test_source_is_none_without_a_line_of_the_program(sqlite_url: str) -> None:
    database = orm.Database(sqlite_url)
    with orm.track_queries() as queries:
        asyncio.run(database.execute("SELECT 1"))
        asyncio.run(database.disconnect())
    assert [query.source for query in queries] == [None]
    assert "no line of yours" in str(queries)


# Shapes, groups, report


@pytest.mark.parametrize(
    ("sql", "shape"),
    [
        ("SELECT a FROM t WHERE id = $1 AND b IN ($2, $3)", "SELECT a FROM t WHERE id = ? AND b IN (…)"),
        ("SELECT a FROM t WHERE id IN ($1::INTEGER, $2::INTEGER)", "SELECT a FROM t WHERE id IN (…)"),
        ("SELECT a FROM t\n WHERE b NOT IN (%s)", "SELECT a FROM t WHERE b NOT IN (…)"),
        ("SELECT a1 FROM t2 WHERE b = 'it''s' LIMIT 10", "SELECT a1 FROM t2 WHERE b = ? LIMIT ?"),
        ("""SELECT "it's 1" FROM `t 2` WHERE x > 1.5""", """SELECT "it's 1" FROM `t 2` WHERE x > ?"""),
        ("INSERT INTO t (a, b) VALUES (?, ?), (?, ?), (?, ?)", "INSERT INTO t (a, b) VALUES (?, ?), …"),
        ("INSERT INTO t (a) VALUES (?)", "INSERT INTO t (a) VALUES (?)"),
        ("VALUES (CAST(%s AS JSON), %s), (CAST(%s AS JSON), %s)", "VALUES (CAST(? AS JSON), ?), …"),
        ("(SELECT ? AS c0 UNION ALL SELECT ? UNION ALL SELECT ?) AS v", "(SELECT ? AS c0 UNION ALL SELECT …) AS v"),
        ("SELECT id FROM a UNION ALL SELECT id FROM b", "SELECT id FROM a UNION ALL SELECT id FROM b"),
        ("SAVEPOINT orm_12", "SAVEPOINT orm_12"),
    ],
)
def test_shape_replaces_values_and_lists(sql: str, shape: str) -> None:
    assert shape_of(sql) == shape


def test_is_transaction_recognises_statements_of_transactions() -> None:
    assert is_transaction("BEGIN IMMEDIATE") and is_transaction(" rollback to savepoint x")
    assert is_transaction("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    assert not is_transaction("SELECT 1") and not is_transaction("SET search_path = x")


async def test_lists_of_any_length_are_one_shape(any_music: databases.Database) -> None:
    with orm.track_queries() as queries:
        for length in (1, 2, 5, 30):
            await Track.objects.filter(id__in=list(range(length)))
        for length in (2, 3, 50):
            await Album.objects.bulk_create([Album(name=f"new {n}") for n in range(length)])
            albums = await Album.objects.order_by("-id")[:length]
            for album in albums:
                album.name = "changed"
            await Album.objects.bulk_update(albums, ["name"])
    groups = [group for shape, group in queries.groups.items() if "@@" not in shape]  # without MySQL's settings
    assert sorted(group.count for group in groups) == [3, 3, 3, 4]


async def test_groups_are_ordered_by_frequency(any_music: databases.Database) -> None:
    with orm.track_queries() as queries:
        await Track.objects.count()
        for number in (1, 2, 3):
            await Album.objects.get(id=number)
        await Album.objects.get(id=1)
    gets, count = queries.groups.values()
    assert (gets.count, count.count) == (4, 1)
    assert queries.groups[gets.shape] == gets
    assert list(gets.sources.values()) == [3, 1]
    assert [source.text for source in gets.sources if source] == [
        "await Album.objects.get(id=number)",
        "await Album.objects.get(id=1)",
    ]
    assert gets.seconds == sum(query.seconds or 0 for query in gets.queries)


async def test_report_shows_values_only_if_asked(any_music: databases.Database) -> None:
    with orm.track_queries() as queries:
        await Album.objects.filter(name="a secret")
        if isinstance(any_music, orm.Database):
            await any_music.fetch_all("SELECT * FROM albums WHERE name = 'a secret'")
    report = str(queries)
    assert "FROM " in report and 'await Album.objects.filter(name="a secret")' in report
    without_lines = "\n".join(part for part in report.splitlines() if "await" not in part)
    assert "a secret" not in without_lines
    assert "a secret" not in repr(queries) and "a secret" not in repr(queries[0].shape)
    assert "'a secret'" in queries.report(values=True)
    assert report.startswith("2 queries in 2 shapes" if len(queries) == 2 else "1 query in 1 shape")


# A limit


async def test_assert_max_queries_raises_beyond_the_limit(music: orm.Database) -> None:
    async with orm.assert_max_queries(2) as queries:
        await Album.objects.count()
        async with music.transaction():
            await Album.objects.count()
    assert queries.count == 2
    with pytest.raises(AssertionError) as caught, orm.assert_max_queries(1):
        for number in (1, 2):
            await Album.objects.get(id=number)
    message = str(caught.value)
    assert message.startswith("1 query at most, but there were 2.\n2 queries in 1 shape")
    assert f"{Path(HERE).name}:" in message and "await Album.objects.get(id=number)" in message


async def test_assert_max_queries_lets_errors_through(sqlite_music: orm.Database) -> None:
    with pytest.raises(orm.NoMatch):
        async with orm.assert_max_queries(0):
            await Album.objects.get(id=99)


@pytest.mark.parametrize("limit", [-1, None, True, "3"])
def test_assert_max_queries_refuses_other_values(limit: Any) -> None:
    with pytest.raises(orm.QueryError, match="takes a number of queries"):
        orm.assert_max_queries(limit)


# Warnings of repeated queries


@contextmanager
def warned() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield caught


async def test_loop_of_queries_raises_a_warning(music: orm.Database) -> None:
    music.warn_repeated = 10
    with warned() as caught:
        for track in await Track.objects.all():
            await track.album.load()
        expected = line() - 1
    [warning] = caught
    assert warning.category is orm.RepeatedQueryWarning
    assert (warning.filename, warning.lineno) == (HERE, expected)
    message = str(warning.message)
    assert "10 times in a row" in message and "await track.album.load()" in message
    assert "FROM " in message and "albums" in message and "select_related()" in message


async def test_fewer_repetitions_raise_no_warning(sqlite_music: orm.Database) -> None:
    sqlite_music.warn_repeated = 10
    with warned() as caught:
        for number in range(9):
            await Album.objects.filter(id=number)
        await Album.objects.filter(id=1)  # another line
        for number in range(9):
            await Track.objects.filter(id=number)
    assert caught == []


@pytest.mark.parametrize("column", ["INSERT", "UPDATE", "DELETE"])
async def test_warning_names_the_call_that_needs_fewer_queries(sqlite_music: orm.Database, column: str) -> None:
    sqlite_music.warn_repeated = 3
    album = await Album.objects.get(id=1)
    with warned() as caught:
        for number in range(3):
            if column == "INSERT":
                await Album.objects.create(name=str(number))
            elif column == "UPDATE":
                await album.update(name=str(number))
            else:
                await Track.objects.filter(id=number).delete()
    [warning] = caught
    wanted = {"INSERT": "bulk_create()", "UPDATE": "bulk_update()", "DELETE": "filter(...).delete()"}
    assert wanted[column] in str(warning.message)


async def test_loop_with_two_queries_raises_two_warnings(sqlite_music: orm.Database) -> None:
    sqlite_music.warn_repeated = 5
    with warned() as caught:
        for number in range(7):
            await Album.objects.filter(id=number)
            await Track.objects.filter(id=number)
    assert [warning.lineno - caught[0].lineno for warning in caught] == [0, 1]


async def test_line_is_warned_of_once(sqlite_music: orm.Database) -> None:
    sqlite_music.warn_repeated = 5
    with warned() as caught:
        for _ in range(3):
            for number in range(20):
                await Album.objects.filter(id=number)
    assert len(caught) == 1


async def test_queries_of_tasks_started_together_are_in_a_row(sqlite_music: orm.Database) -> None:
    sqlite_music.warn_repeated = 10
    tracks = await Track.objects.all()

    async def load(track: Track) -> None:
        await track.album.load()

    with warned() as caught:
        await asyncio.gather(*(track.album.load() for track in tracks))
        await asyncio.gather(*(load(track) for track in tracks))
    assert [warning.category for warning in caught] == [orm.RepeatedQueryWarning] * 2
    assert "await asyncio.gather(*(track.album.load() for track in tracks))" in str(caught[0].message)
    assert "await track.album.load()" in str(caught[1].message)


async def test_queries_of_successive_requests_are_not_in_a_row(sqlite_music: orm.Database) -> None:
    sqlite_music.warn_repeated = 3
    await Album.objects.count()

    async def request() -> int:
        return await Track.objects.count()

    with warned() as caught:
        for _ in range(10):
            await asyncio.create_task(request())
    assert caught == []


async def test_queries_with_pauses_between_them_are_not_in_a_row(
    sqlite_music: orm.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_music.warn_repeated = 3
    monkeypatch.setattr(repeated_queries, "PAUSE_SECONDS", -1.0)  # every query comes after a pause
    with warned() as caught:
        for number in range(10):
            await Album.objects.filter(id=number)
    assert caught == []


async def test_warning_turned_into_an_error_stops_the_query(sqlite_music: orm.Database) -> None:
    sqlite_music.warn_repeated = 3
    sent = 0
    with pytest.raises(orm.RepeatedQueryWarning, match="3 times in a row"):
        for number in range(10):
            await Album.objects.filter(id=number)
            sent += 1
    assert sent == 2
    assert await Album.objects.count() == 3


async def test_warn_repeated_can_be_set_and_unset(sqlite_url: str) -> None:
    async with orm.Database(sqlite_url, warn_repeated=2) as database:
        assert database.warn_repeated == 2
        for _ in range(5):
            async with database.transaction():
                pass
        with pytest.raises(orm.RepeatedQueryWarning):
            for _ in range(2):
                await database.execute("SELECT 1")
        database.warn_repeated = None
        assert database.warn_repeated is None and not database.query_log.active
        for _ in range(5):
            await database.execute("SELECT 1")


@pytest.mark.parametrize("times", [0, 1, True, "10", 2.5])
def test_warn_repeated_refuses_other_values(times: Any) -> None:
    with pytest.raises(orm.QueryError, match="warn_repeated is a number of times"):
        orm.Database("sqlite://", warn_repeated=times)


# Round trips, counted at the driver


async def test_round_trips_are_the_calls_of_the_driver(any_music: databases.Database) -> None:
    """One connection, as a transaction keeps it; of a plain database, what the ORM sends in one."""
    async with any_music.transaction():
        await Album.objects.count()
        with counted_round_trips() as driver, orm.track_queries() as queries:
            tracks = await Track.objects.select_related("album")
            await tracks[0].album.load()
            await Album.objects.get_or_create(name="album 1")
            await Album.objects.create(name="new")
            await Album.objects.bulk_create([Album(name=f"more {n}") for n in range(20)])
            await Track.objects.filter(id__in=[1, 2]).update(position=3)
            await Track.objects.filter(id=2).delete()
            await Album.raw("SELECT * FROM albums")
            assert len([track async for track in Track.objects.all()]) == 11
    assert queries.count > 8
    assert queries.round_trips == driver.count, driver.calls


async def test_round_trips_of_an_orm_database(music: orm.Database) -> None:
    with counted_round_trips() as driver, orm.track_queries() as queries:
        for album in await Album.objects.all():
            await Track.objects.filter(album=album).count()
        assert len([track async for track in Track.objects.all()]) == 12
        async with music.transaction():
            await Album.objects.count()
            async with music.transaction(force_rollback=True):
                await Album.objects.filter(id=1).update(name="x")
        await music.fetch_all("SELECT * FROM albums")
        await music.fetch_one("SELECT * FROM albums")
        await music.execute("UPDATE albums SET name = 'y'")
        await asyncio.gather(*(Album.objects.get(id=number) for number in (1, 2, 3)))
    assert queries.round_trips == driver.count, driver.calls


async def test_one_query_is_one_round_trip(music: orm.Database) -> None:
    with counted_round_trips() as driver, orm.track_queries() as queries:
        await Track.objects.select_related("album").get(id=1)
    assert (queries.count, queries.round_trips, driver.count) == (1, 1, 1), driver.calls
