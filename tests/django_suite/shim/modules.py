"""Django's modules, as Django's tests import them."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

import asgiref.sync
from django.core import exceptions
from django.db.models import enums

import orm
from orm import functions
from tests.django_suite.shim import (
    database,
    expressions,
    instances,
    internals,
    postgres,
    querysets,
    signals,
    testing,
    validation,
)
from tests.django_suite.shim.bridge import run
from tests.django_suite.shim.constraints import CONSTRAINTS
from tests.django_suite.shim.fields import FIELDS, ON_DELETE, CompositePrimaryKey, ForeignObject, generated_field
from tests.django_suite.shim.models import Model
from tests.django_suite.shim.placeholders import DjangoInternal, missing

SAME = (
    *(
        "Aggregate",
        "Case",
        "Expression",
        "ExpressionWrapper",
        "F",
        "FilteredRelation",
        "OuterRef",
        "Prefetch",
        "QuerySet",
        "RowRange",
    ),
    *("ValueRange", "When", "WindowFrameExclusion"),
)
"""Names that need no change."""

MODELS: dict[str, Any] = {
    **FIELDS,
    **{name: getattr(orm, name) for name in SAME},
    **expressions.AGGREGATES,
    **{name: name for name in ON_DELETE},
    **{name: getattr(enums, name) for name in ("Choices", "IntegerChoices", "TextChoices")},
    **CONSTRAINTS,
    "CompositePrimaryKey": CompositePrimaryKey,
    "Count": expressions.Count,
    "Exists": expressions.Exists,
    "ForeignObject": ForeignObject,
    "Func": expressions.Func,
    "GeneratedField": generated_field,
    "Index": expressions.dropped("Index"),
    "Manager": expressions.Manager,
    "Model": Model,
    "ObjectDoesNotExist": orm.NoMatch,
    "OrderBy": expressions.order_by,
    "ProtectedError": orm.ForeignKeyViolation,
    "RawSQL": expressions.raw_sql,
    "Q": expressions.Q,
    "RestrictedError": orm.ForeignKeyViolation,
    "SET": lambda value: "SET",
    "Subquery": expressions.Subquery,
    "Value": expressions.value,
    "Window": expressions.Window,
    "aprefetch_related_objects": expressions.aprefetch_related_objects,
    "prefetch_related_objects": expressions.prefetch_related_objects,
}
FUNCTIONS = {name: getattr(functions, name) for name in functions.__all__}


class UserManager(orm.Manager[Any]):
    """The manager of `django.contrib.auth`'s users."""

    def create_user(self, username: str, email: str = "", password: str = "", **values: Any) -> Any:
        return self.create(username=username, email=email or "", password=password or "", **values)

    create_superuser = create_user


class ContentTypeManager(orm.Manager[Any]):
    """The manager of `django.contrib.contenttypes`'s content types."""

    def get_for_model(self, model: Any, **options: Any) -> Any:
        app = model.__module__.partition(".")[0]
        return self.get_or_create(app_label=app, model=model.__name__.lower())[0]


def _declare_content_types() -> Any:
    return _declare(
        "ContentType",
        {"app_label": FIELDS["CharField"](), "model": FIELDS["CharField"](), "objects": ContentTypeManager()},
    )


def _declare(name: str, namespace: dict[str, Any]) -> Any:
    module = {"__module__": f"django_{name.lower()}", "__qualname__": name}
    return type(Model)(name, (Model,), {**module, **namespace})


def _declare_users() -> Any:
    namespace: dict[str, Any] = {
        "__str__": lambda self: self.username,
        "Meta": type("Meta", (), {"db_table": "auth_user"}),
        "objects": UserManager(),
        "username": FIELDS["CharField"](max_length=150, unique=True),
        "is_staff": FIELDS["BooleanField"](default=False),
        "is_active": FIELDS["BooleanField"](default=True),
        **{
            name: FIELDS["CharField"](max_length=254, default="")
            for name in ("email", "password", "first_name", "last_name")
        },
    }
    return _declare("User", namespace)


def install() -> None:
    """Put the modules in place of Django's, and change the classes of `orm`. Once in a process."""
    querysets.install()
    instances.install()
    validation.install()
    internals.install()
    for name in filter(_is_replaced, list(sys.modules)):
        parent, _, last = name.rpartition(".")
        if hasattr(sys.modules.get(parent), last):
            delattr(sys.modules[parent], last)
        del sys.modules[name]
    changed: Any = exceptions
    changed.FieldError = changed.FieldDoesNotExist = orm.FieldError
    changed.ValidationError = orm.ValidationError
    changed.ObjectDoesNotExist, changed.MultipleObjectsReturned = orm.NoMatch, orm.MultipleMatches
    transaction = _module(
        "django.db.transaction",
        {
            "TransactionManagementError": orm.TransactionError,
            "atomic": database.atomic,
            "on_commit": database.on_commit,
            "set_rollback": database.set_rollback,
        },
    )
    _module(
        "django.db",
        {
            **database.ERRORS,
            "DEFAULT_DB_ALIAS": "default",
            "close_old_connections": lambda **options: None,
            "connection": database.connection,
            "connections": database.Connections(),
            "reset_queries": lambda *args, **options: None,
            "transaction": transaction,
        },
    )
    _module("django.db.utils", {**database.ERRORS, "DEFAULT_DB_ALIAS": "default"})
    models = _module("django.db.models", MODELS)
    models.functions = _module("django.db.models.functions", FUNCTIONS)  # type: ignore[attr-defined]
    models.signals = _module("django.db.models.signals", signals.SIGNALS)  # type: ignore[attr-defined]
    for part in ("comparison", "datetime", "json", "math", "mixins", "text", "window"):
        _module(f"django.db.models.functions.{part}", FUNCTIONS)
    for part in ("aggregates", "base", "constraints", "deletion", "expressions", "fields", "query_utils"):
        _module(f"django.db.models.{part}", MODELS)
    _module("django.db.models.query", {**MODELS, "MAX_GET_RESULTS": 21, "REPR_OUTPUT_SIZE": 20})
    _module("django.db.models.fields.json", {"JSONField": FIELDS["JSONField"], **expressions.JSON_KEYS})
    _module("django.db.models.lookups", expressions.LOOKUPS)
    _module("django.db.models.constants", {"LOOKUP_SEP": "__"})
    _module(
        "django.db.models.sql.constants",
        {"GET_ITERATOR_CHUNK_SIZE": 100, "INNER": "INNER JOIN", "LOUTER": "LEFT OUTER JOIN"},
    )
    _module("django.db.models.manager", {"BaseManager": orm.Manager, "Manager": expressions.Manager})
    _module("django.test", testing.TEST)
    _module("django.test.testcases", testing.TEST)
    _module("django.test.utils", testing.UTILS)
    generic = {name: expressions.dropped(name) for name in ("GenericForeignKey", "GenericRelation")}
    for part, names in postgres.MODULES.items():
        _module(f"django.contrib.postgres.{part}".rstrip("."), names)
    _module("django.db.backends.postgresql.psycopg_any", postgres.RANGES)
    _module("django.contrib.contenttypes.fields", generic)
    _module("django.contrib.contenttypes.models", {"ContentType": _declare_content_types()})
    _module("django.contrib.auth.models", {"User": _declare_users()})
    asgiref.sync.async_to_sync = lambda function: lambda *args, **options: run(function(*args, **options))
    sys.meta_path.insert(0, _OtherModules())


def _module(name: str, names: Mapping[str, Any]) -> types.ModuleType:
    """A module in `sys.modules`. Every other name that is imported from it is a placeholder."""
    module = types.ModuleType(name)
    module.__path__ = []
    vars(module).update(names)

    def attribute(each: str) -> Any:
        if each.startswith("__"):
            raise AttributeError(each)
        inside = not name.startswith(JUDGED) or name.startswith(INTERNAL) or each in INTERNAL_NAMES
        value = missing(f"{name}.{each}", DjangoInternal) if inside else missing(each)
        vars(module)[each] = value
        return value

    vars(module)["__getattr__"] = attribute
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], last, module)
    return module


JUDGED = ("django.db", "django.test", "django.contrib.contenttypes", "django.contrib.postgres")
"""The packages of which a name that is not here is a feature that is missing."""
INTERNAL = (
    *("django.db.backends", "django.db.models.sql", "django.db.models.options", "django.db.models.utils"),
    *(
        f"django.contrib.postgres.{part}"
        for part in ("apps", "forms", "operations", "serializers", "signals", "utils", "validators")
    ),
)
"""Those of them that are not public."""
INTERNAL_NAMES = frozenset(
    {
        *(
            "Collector",
            "Combinable",
            "EmptyQuerySet",
            "ExpressionList",
            "FieldCacheMixin",
            "ForwardManyToOneDescriptor",
        ),
        *("ModelState", "NegatedExpression", "NothingNode", "OutputFieldIsNoneError", "WindowFrame", "YearLookup"),
        *("get_prefetcher", "NoGetPrefetchQuerySetsDescriptor"),
    }
)
"""Names of other packages that are not public."""
REPLACED = (
    *("django.apps", "django.contrib", "django.core.cache", "django.core.checks", "django.core.files"),
    *("django.core.management", "django.core.paginator", "django.core.serializers", "django.db", "django.forms"),
    *("django.http", "django.shortcuts", "django.template", "django.test", "django.urls"),
)
"""The packages of Django of which nothing is used as it is."""


def _is_replaced(name: str) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in REPLACED)


class _OtherModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of Django that have no names of their own here."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        if _is_replaced(name):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        return _module(spec.name, {})

    def exec_module(self, module: types.ModuleType) -> None:
        pass
