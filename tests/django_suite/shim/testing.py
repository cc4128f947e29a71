"""`django.test`: test cases in transactions, and the assertions and decorators that Django's tests use."""

from __future__ import annotations

import contextlib
import copy
import inspect
import types
import unittest
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings

import orm
from orm.lookups import transforms
from orm.mapping.constraints import TableConstraint
from tests.django_suite.shim.bridge import run
from tests.django_suite.shim.database import Run, connection
from tests.django_suite.shim.internals import is_sql
from tests.django_suite.shim.models import registry
from tests.django_suite.shim.placeholders import DjangoInternal, Dropped, MissingFeature

REFUSALS = (
    *(orm.FieldError, TypeError, ValueError, orm.NotSupportedError, AttributeError, orm.DatabaseError),
    *(NotImplementedError, AssertionError, orm.ValidationError, RuntimeError),
)
"""Errors of Django that say that a call is refused."""
OUR_REFUSALS = (
    *(orm.FieldError, orm.QueryError, orm.NotSupportedError, orm.ValidationError, orm.TransactionError, TypeError),
)
"""Errors of `orm` that say so. The suite judges that a call is refused, not with which class and message."""

EXPRESSIONS = (orm.Expression, orm.Q, Dropped, TableConstraint)

notes: list[tuple[str, str]] = []
"""What a test expects and the suite does not judge: the numbers of statements, and the classes of errors."""


@contextlib.contextmanager
def in_transaction() -> Iterator[None]:
    """A transaction that is rolled back, whatever inner ones a test left open."""
    transaction = Run.database.transaction()
    run(transaction.start())
    Run.own_transactions += 1
    try:
        yield
    finally:
        Run.own_transactions -= 1
        stack = Run.database.connection()._transaction_stack
        while stack[-1] is not transaction:
            run(stack[-1].rollback())
        run(transaction.rollback())


@contextlib.contextmanager
def emptied() -> Iterator[None]:
    """Delete all rows afterwards: for tests that commit."""
    try:
        yield
    finally:
        run(_delete_all_rows())


async def _delete_all_rows() -> None:
    statements = [table.delete() for table in Run.tables]
    async with Run.database.connection() as connection:
        stack = connection._transaction_stack
        while stack:
            await stack[-1].rollback()
        off, on = UNCHECKED[Run.vendor]
        await connection.execute(off)
        for statement in statements:
            await connection.execute(statement)
        await connection.execute(on)


UNCHECKED = {
    "sqlite": ("PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON"),
    "postgresql": ("SET session_replication_role = replica", "SET session_replication_role = DEFAULT"),
    "mysql": ("SET foreign_key_checks = 0", "SET foreign_key_checks = 1"),
}
"""What turns the checks of foreign keys off, and on again."""


class SimpleTestCase(unittest.TestCase):
    """Django's test case without a database."""

    databases: Any = None
    maxDiff = 2000
    settings_of_class: dict[str, Any] = {}

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        _enter(cls, override_settings(**cls.settings_of_class))

    def run(self, result: Any = None) -> Any:
        method = getattr(self, self._testMethodName)
        if inspect.iscoroutinefunction(method):
            setattr(self, self._testMethodName, lambda: run(method()))
        if getattr(method, "__unittest_skip__", False) or getattr(type(self), "__unittest_skip__", False):
            return super().run(result)
        return self.run_with_rows(super().run, result)

    def run_with_rows(self, test: Callable[[Any], Any], result: Any) -> Any:
        """Run the test among the rows that its class has for it."""
        return test(result)

    def assertEqual(self, first: Any, second: Any, msg: Any = None) -> None:
        if isinstance(first, EXPRESSIONS) and isinstance(second, EXPRESSIONS):
            raise DjangoInternal("the equality of expressions")
        if is_sql(first, second) and not first == second:
            raise DjangoInternal("the text of SQL")
        super().assertEqual(first, second, msg)

    def assertNotEqual(self, first: Any, second: Any, msg: Any = None) -> None:
        if isinstance(first, EXPRESSIONS):
            raise DjangoInternal("the equality of expressions")
        super().assertNotEqual(first, second, msg)

    def assertIn(self, member: Any, container: Any, msg: Any = None) -> None:
        if is_sql(container) and member not in container:
            raise DjangoInternal("the text of SQL")
        super().assertIn(member, container, msg)

    def assertNotIn(self, member: Any, container: Any, msg: Any = None) -> None:
        if is_sql(container) and member in container:
            raise DjangoInternal("the text of SQL")
        super().assertNotIn(member, container, msg)

    @contextlib.contextmanager
    def _refused(self, expected: Any) -> Iterator[Any]:
        classes = expected if isinstance(expected, tuple) else (expected,)
        wide = [*classes]
        if any(isinstance(each, type) and issubclass(each, REFUSALS) for each in classes):
            wide += OUR_REFUSALS
        context = types.SimpleNamespace(exception=None)
        try:
            yield context
        except tuple(wide) as error:
            context.exception = error
            if not isinstance(error, classes):
                names = "/".join(each.__name__ for each in classes)
                notes.append((self.id(), f"{names} in Django, {type(error).__name__} here: {error}"))
        else:
            names = "/".join(getattr(each, "__name__", str(each)) for each in classes)
            raise self.failureException(f"{names} not raised")

    def assertRaises(self, expected: Any, function: Any = None, *args: Any, **options: Any) -> Any:
        if function is None:
            return self._refused(expected)
        with self._refused(expected):
            function(*args, **options)
        return None

    def assertRaisesMessage(self, expected: Any, message: str, function: Any = None, *args: Any, **options: Any) -> Any:
        return self.assertRaises(expected, function, *args, **options)

    def assertRaisesRegex(self, expected: Any, message: Any, function: Any = None, *args: Any, **options: Any) -> Any:
        return self.assertRaises(expected, function, *args, **options)

    def assertWarnsMessage(self, *args: Any, **options: Any) -> Any:
        raise unittest.SkipTest("Django's deprecations")

    def assertQuerySetEqual(
        self, queryset: Any, values: Any, transform: Any = None, ordered: bool = True, msg: Any = None
    ) -> None:
        expected, rows = list(values), list(queryset)
        if transform is not None:
            rows = [transform(row) for row in rows]
        (self.assertEqual if ordered else self.assertCountEqual)(rows, expected)

    @contextlib.contextmanager
    def _counted(self, expected: int) -> Iterator[Any]:
        with CaptureQueriesContext(None) as context:
            yield context
        if len(context) != expected:
            notes.append((self.id(), f"{expected} statements in Django, {len(context)} here"))

    def assertNumQueries(self, expected: int, function: Any = None, *args: Any, **options: Any) -> Any:
        if function is None:
            return self._counted(expected)
        with self._counted(expected):
            function(*args, **options)
        return None

    @property
    def client(self) -> Any:
        raise DjangoInternal("the client of Django's views")

    async_client = client

    def assertLogs(self, logger: Any = None, level: Any = None) -> Any:
        if isinstance(logger, str) and logger.startswith("django.db.backends"):
            logger = "orm.transactions"
        return super().assertLogs(logger, level)

    def assertHTMLEqual(self, *args: Any, **options: Any) -> None:
        raise DjangoInternal("the HTML of Django's forms")

    check_html = assertHTMLEqual

    def assertContains(self, *args: Any, **options: Any) -> None:
        raise DjangoInternal("assertContains")

    @contextlib.contextmanager
    def settings(self, **changes: Any) -> Iterator[None]:
        with override_settings(**changes):
            yield


def _enter(cls: Any, context: Any) -> None:
    """`enterClassContext`, which Python 3.10 does not have."""
    context.__enter__()
    cls.addClassCleanup(context.__exit__, None, None, None)


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    """The test's own copy of what `setUpTestData` made, or the value itself where it cannot be copied."""
    try:
        return copy.deepcopy(value, memo)
    except (TypeError, copy.Error, orm.Error):
        return value


class TransactionTestCase(SimpleTestCase):
    """Django's class for tests that commit: the rows are deleted after each."""

    available_apps: Any = None

    def run_with_rows(self, test: Callable[[Any], Any], result: Any) -> Any:
        with emptied():
            return test(result)


class TestCase(TransactionTestCase):
    """Django's usual class: the class runs in a transaction, and each of its tests in a savepoint."""

    class_data: dict[str, Any] = {}

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        _enter(cls, in_transaction())
        before = set(vars(cls))
        cls.setUpTestData()
        cls.class_data = {name: value for name, value in vars(cls).items() if name not in before}

    @classmethod
    def setUpTestData(cls) -> None:
        """The rows of the class."""

    def run_with_rows(self, test: Callable[[Any], Any], result: Any) -> Any:
        with in_transaction():
            memo: dict[int, Any] = {}
            for name, value in self.class_data.items():
                setattr(self, name, _copied(value, memo))
            return test(result)

    @classmethod
    def captureOnCommitCallbacks(cls, **options: Any) -> Any:
        raise DjangoInternal("captureOnCommitCallbacks")


def skip_unless(any_of: bool) -> Callable[..., Any]:
    """Django's `skipUnlessDBFeature`, or `skipUnlessAnyDBFeature`."""

    def decorator(*names: str) -> Any:
        known = [bool(getattr(connection.features, name)) for name in names]
        met = any(known) if any_of else all(known)
        return unittest.skipUnless(met, f"the database has no {', '.join(names)}")

    return decorator


def skip_if(*names: str) -> Any:
    """Django's `skipIfDBFeature`."""
    met = any(bool(getattr(connection.features, name)) for name in names)
    return unittest.skipIf(met, f"the database has {', '.join(names)}")


class override_settings(contextlib.ContextDecorator):
    """Django's decorator and block for settings."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.before: dict[str, Any] = {}

    def __call__(self, decorated: Any) -> Any:
        if isinstance(decorated, type):
            cls: Any = decorated
            cls.settings_of_class = {**cls.settings_of_class, **self.changes}
            return cls
        return super().__call__(decorated)

    def __enter__(self) -> None:
        for name, value in self.changes.items():
            self.before[name] = getattr(settings, name, None)
            setattr(settings, name, value)

    def __exit__(self, *error: Any) -> None:
        for name, value in self.before.items():
            setattr(settings, name, value)


class CaptureQueriesContext:
    """The statements that were sent within the block."""

    def __init__(self, connection: Any) -> None:
        self.end: int | None = None

    def __enter__(self) -> CaptureQueriesContext:
        self.start = len(Run.statements)
        return self

    def __exit__(self, *error: Any) -> None:
        self.end = len(Run.statements)

    @property
    def captured_queries(self) -> list[dict[str, str]]:
        return [{"sql": sql} for sql in Run.statements[self.start : self.end]]

    def __len__(self) -> int:
        return len(self.captured_queries)

    def __iter__(self) -> Iterator[dict[str, str]]:
        return iter(self.captured_queries)

    def __getitem__(self, index: Any) -> Any:
        return self.captured_queries[index]


class Approximate:
    """Equal to numbers that are near."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any, places: int = 7) -> None:
        self.value, self.places = value, places

    def __repr__(self) -> str:
        return repr(self.value)

    def __eq__(self, other: Any) -> bool:
        return bool(self.value == other or round(abs(self.value - other), self.places) == 0)


def isolate_apps(*names: Any, **options: Any) -> Callable[[Any], Any]:
    """Django's decorator for tests that declare models: they are about Django's registry of apps."""
    return unittest.skip("declares models of its own")


@contextlib.contextmanager
def register_lookup(field: Any, *lookups: Any, lookup_name: str | None = None) -> Iterator[None]:
    """Register transforms that are functions of `orm` for a field class; Django's other lookups are missing."""
    orm_field = getattr(field, "orm_field", None)
    before: dict[tuple[str, str], Any] = {}
    try:
        for lookup in lookups:
            if orm_field is None or not isinstance(lookup, type) or not issubclass(lookup, orm.Func):
                raise MissingFeature("lookups and transforms by Django's class API")
            name = lookup_name or getattr(lookup, "lookup_name", None) or lookup.__name__.lower()
            key = (orm_field.family, name)
            before[key] = transforms.transforms.get(key)
            orm.transforms.register(name, orm_field.family)(lookup)
        yield
    finally:
        for key, function in before.items():
            if function is None:
                del transforms.transforms[key]
            else:
                transforms.transforms[key] = function
        for model in registry.models.values():
            model._meta.clear_caches()


def ignored(*args: Any, **options: Any) -> Callable[[Any], Any]:
    """A decorator that changes nothing."""
    return lambda decorated: decorated


@contextlib.contextmanager
def nothing(*args: Any, **options: Any) -> Iterator[None]:
    """A block that does nothing."""
    yield


class modify_settings(contextlib.ContextDecorator):
    """Django's decorator and block for settings that are lists, of which none is read."""

    def __init__(self, *args: Any, **changes: Any) -> None:
        """As in Django."""

    def __call__(self, decorated: Any) -> Any:
        return decorated

    def __enter__(self) -> None:
        """As in Django."""

    def __exit__(self, *error: Any) -> None:
        """As in Django."""


class SerializeMixin:
    """Django's mixin for test classes that share a file."""


TEST: dict[str, Any] = {
    "SerializeMixin": SerializeMixin,
    "SimpleTestCase": SimpleTestCase,
    "TestCase": TestCase,
    "TransactionTestCase": TransactionTestCase,
    "ignore_warnings": ignored,
    "modify_settings": modify_settings,
    "override_settings": override_settings,
    "skipIfDBFeature": skip_if,
    "skipUnlessAnyDBFeature": skip_unless(any_of=True),
    "skipUnlessDBFeature": skip_unless(any_of=False),
    "tag": ignored,
}
UTILS: dict[str, Any] = {
    "Approximate": Approximate,
    "CaptureQueriesContext": CaptureQueriesContext,
    "captured_stdout": nothing,
    "extend_sys_path": nothing,
    "garbage_collect": lambda: None,
    "ignore_warnings": ignored,
    "isolate_apps": isolate_apps,
    "isolate_lru_cache": nothing,
    "override_settings": override_settings,
    "register_lookup": register_lookup,
    "requires_tz_support": lambda decorated: decorated,
    "tag": ignored,
}
