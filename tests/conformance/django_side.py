"""The models in Django, and how a case runs there."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import FieldError, MultipleObjectsReturned, ObjectDoesNotExist, ValidationError
from django.db import Error, connections, models, transaction
from django.db.models import functions
from django.db.models.lookups import Exact
from django.db.models.query import QuerySet

from tests.conformance.models_and_rows import FIRST_FREE_KEY, MODELS, PAIRS, ROWS, Column
from tests.django_settings import Current

LABEL = "conformance"
ERRORS = (FieldError, ObjectDoesNotExist, MultipleObjectsReturned, ValidationError, Error, ValueError, TypeError)


def _relation(column: Column, options: dict[str, Any]) -> Any:
    # Django takes a relation for symmetrical only under this name of its target.
    target = "self" if column.symmetrical else f"{LABEL}.{column.target}"
    if column.reverse:
        options["related_name"] = column.reverse
    if column.query:
        options["related_query_name"] = column.query
    if column.kind == "many":
        if column.through:
            options.update(through=f"{LABEL}.{column.through}", through_fields=column.through_fields)
        return models.ManyToManyField(target, symmetrical=column.symmetrical, **options)
    if column.to_field:
        options["to_field"] = column.to_field
    kind = models.OneToOneField if column.kind == "one" else models.ForeignKey
    on_delete = models.RESTRICT if column.restrict else models.SET_NULL if column.null else models.CASCADE
    return kind(target, on_delete=on_delete, **options)


def _field(column: Column) -> Any:
    options: dict[str, Any] = {}
    if column.null:
        options["null"] = True
    if column.unique:
        options["unique"] = True
    if column.default is not None:
        options["default"] = column.default
    if column.target:
        return _relation(column, options)
    make: dict[str, Callable[..., Any]] = {
        "key": lambda **o: models.AutoField(primary_key=True, **o),
        "text": lambda **o: models.CharField(max_length=50, blank=True, **o),
        "integer": models.IntegerField,
        "big": models.BigIntegerField,
        "small": models.SmallIntegerField,
        "float": models.FloatField,
        "decimal": lambda **o: models.DecimalField(max_digits=10, decimal_places=2, **o),
        "boolean": models.BooleanField,
        "date": models.DateField,
        "time": models.TimeField,
        "datetime": models.DateTimeField,
        "duration": models.DurationField,
        "uuid": models.UUIDField,
        "binary": models.BinaryField,
        "json": models.JSONField,
        "level": models.IntegerField,
    }
    return make[column.kind](**options)


def _model(name: str, columns: dict[str, Column]) -> type[models.Model]:
    options = type("Meta", (), {"app_label": LABEL, "db_table": f"django_{name.lower()}"})
    fields = {key: _field(column) for key, column in columns.items()}
    return type(name, (models.Model,), {"__module__": __name__, "Meta": options, **fields})


m = SimpleNamespace(**{name: _model(name, columns) for name, columns in MODELS.items()})


class _Names:
    """The namespace `o` of cases: Django's expressions and functions, and types under names that both sides have."""

    IntegerType = models.IntegerField
    FloatType = models.FloatField
    TextType = models.TextField
    BooleanType = models.BooleanField
    JsonType = models.JSONField
    DateType = models.DateField

    def __getattr__(self, name: str) -> Any:
        for module in (models, functions):
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"Django has no {name}")

    def decimal_type(self) -> Any:
        """The type of decimals with two places."""
        return models.DecimalField(max_digits=12, decimal_places=2)

    def equal(self, left: Any, right: Any) -> models.Q:
        """The condition that an expression equals a value."""
        return models.Q(Exact(left, right))

    def deleted(self, result: Any, model: str) -> int:
        """The number of rows of the model itself that `delete()` reports."""
        return int(result[1].get(f"{LABEL}.{model}", 0))


o = _Names()


class Reference:
    """Django on one database."""

    m = m
    o = o

    def __init__(self, alias: str, url: str) -> None:
        parts = urlsplit(url)
        name = parts.path.removeprefix("/")
        if parts.scheme == "sqlite":
            options: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
        else:
            engine = "postgresql" if parts.scheme == "postgresql" else "mysql"
            options = {
                "ENGINE": f"django.db.backends.{engine}",
                "NAME": name,
                "USER": parts.username or "",
                "PASSWORD": parts.password or "",
                "HOST": parts.hostname or "",
                "PORT": parts.port or "",
            }
        self.alias = alias
        connections.settings[alias] = connections.configure_settings({"default": {}, alias: options})[alias]

    @property
    def connection(self) -> Any:
        """Django's connection."""
        return connections[self.alias]

    def use(self) -> None:
        """Make the models use this database."""
        Current.alias = self.alias

    def fill(self) -> None:
        """Create the tables and insert the rows."""
        self.use()
        with self.connection.schema_editor() as editor:
            for name in MODELS:
                editor.create_model(getattr(m, name))
        for name, rows in ROWS.items():
            model = getattr(m, name)
            model.objects.bulk_create([model(**row) for row in rows])
            if self.connection.vendor == "postgresql":
                with self.connection.cursor() as cursor:
                    table = model._meta.db_table
                    cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {FIRST_FREE_KEY})")
        for (name, relation), pairs in PAIRS.items():
            field = getattr(m, name)._meta.get_field(relation)
            through = field.remote_field.through
            near, far = (f"{key}_id" for key in (field.m2m_field_name(), field.m2m_reverse_field_name()))
            through.objects.bulk_create([through(**{near: one, far: other}) for one, other in pairs])

    def close(self) -> None:
        """Disconnect."""
        self.connection.close()

    def run(self, case: Callable[..., Any], *, undo: bool) -> tuple[Any, list[str]]:
        """The result of a case, and the statements that it sent. `undo`: in a transaction that is rolled back."""
        statements: list[str] = []

        def heard(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            statements.append(sql)
            return execute(sql, params, many, context)

        self.use()
        with self.connection.execute_wrapper(heard):
            if not undo:
                return self._run(case), statements
            with transaction.atomic(using=self.alias):
                try:
                    return self._run(case), statements
                finally:
                    transaction.set_rollback(True, using=self.alias)

    def _run(self, case: Callable[..., Any]) -> Any:
        result = case(m, o)
        if not isinstance(result, Generator):
            return _settled(result)
        sent: Any = None
        thrown: Exception | None = None
        while True:
            try:
                item = result.throw(thrown) if thrown is not None else result.send(sent)
            except StopIteration as stop:
                return stop.value
            thrown = None
            try:
                sent = _settled(item() if callable(item) else item)
            except ERRORS as error:
                thrown = error


def _settled(result: Any) -> Any:
    return list(result) if isinstance(result, QuerySet) else result
