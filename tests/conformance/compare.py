"""Compares answers: rows and their types, their order if it is defined, the kind of error, the number of statements."""

from __future__ import annotations

import datetime
import decimal
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import django.core.exceptions as django_exceptions
import django.db
import django.db.models

import orm
from tests.conformance.django_side import Reference
from tests.conformance.models_and_rows import Level
from tests.conformance.orm_side import Subject

Query = Callable[[Any, Any], Any]

# A kind of error, what Django raises for it, and what we do. The first that fits.
ERROR_KINDS: list[tuple[str, tuple[type[BaseException], ...], tuple[type[BaseException], ...]]] = [
    ("no such row", (django_exceptions.ObjectDoesNotExist,), (orm.NoMatch,)),
    ("several rows", (django_exceptions.MultipleObjectsReturned,), (orm.MultipleMatches,)),
    ("integrity", (django.db.IntegrityError,), (orm.IntegrityError,)),
    ("not supported", (django.db.NotSupportedError,), (orm.NotSupportedError,)),
    ("database", (django.db.Error, sqlite3.Error), (orm.DatabaseError,)),
    ("index", (IndexError,), (IndexError,)),
    (
        "makes no sense",
        (
            *(django_exceptions.FieldError, django_exceptions.FieldDoesNotExist, django_exceptions.ValidationError),
            *(ValueError, TypeError, AssertionError, AttributeError, OverflowError),
        ),
        (orm.FieldError, orm.QueryError, orm.ValidationError),
    ),
]
OURS = tuple(kind for _, _, ours in ERROR_KINDS for kind in ours)
THEIRS = tuple(kind for _, theirs, _ in ERROR_KINDS for kind in theirs)
NOT_COUNTED = ("BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a query on one side: a value or a kind of error, and the statements that were sent."""

    value: Any = None
    error: str | None = None
    statements: tuple[str, ...] = ()
    message: str = ""

    def same(self, other: Outcome) -> bool:
        """Whether the two sides gave the same answer."""
        return self.error == other.error and self.value == other.value

    def __str__(self) -> str:
        shown = f"{self.error}: {self.message}" if self.error else _shown(self.value)
        return "\n    ".join([shown, *self.statements])


def _outcome(side: Reference | Subject, query: Query, undo: bool, ordered: bool) -> Outcome:
    ours = isinstance(side, Subject)
    expected = OURS if ours else THEIRS
    try:
        value, statements = side.run(query, undo=undo)
    except expected as error:
        for name, their_class, our_class in ERROR_KINDS:
            if isinstance(error, our_class if ours else their_class):
                return Outcome(error=name, message=f"{type(error).__name__}: {error}")
        raise
    counted = tuple(s for s in statements if not s.lstrip().upper().startswith(NOT_COUNTED))
    value = normal(value)
    if not ordered and isinstance(value, tuple) and value[0] == "list":
        value = ("list", *sorted(value[1:], key=repr))
    return Outcome(value, statements=counted)


def outcomes(
    reference: Reference, subject: Subject, theirs: Query, ours: Query, *, undo: bool, ordered: bool
) -> tuple[Outcome, Outcome]:
    """The outcomes of a query in Django and in `orm`."""
    return _outcome(reference, theirs, undo, ordered), _outcome(subject, ours, undo, ordered)


def normal(value: Any) -> Any:
    """A value as plain data with its type, so that 1 is not True: the form in which answers are compared."""
    if isinstance(value, (list, tuple)):
        return (("list" if isinstance(value, list) else "tuple"), *(normal(item) for item in value))
    if isinstance(value, Mapping):
        return ("dict", *((normal(key), normal(item)) for key, item in value.items()))
    if isinstance(value, Level):
        return ("int", int(value))
    if isinstance(value, float):
        return ("float", float(f"{value:.9g}"))
    if isinstance(value, decimal.Decimal):
        # PostgreSQL and MySQL give a mean more digits than SQLite's floats have.
        return ("Decimal", decimal.Decimal(f"{value:.10g}").normalize())
    if isinstance(value, datetime.datetime):
        moment = value if value.tzinfo is None else value.astimezone(datetime.timezone.utc)
        return ("datetime", moment.isoformat())
    if isinstance(value, memoryview):
        return ("bytes", bytes(value))
    if isinstance(value, django.db.models.Model):
        deferred = value.get_deferred_fields()
        names = [field.attname for field in value._meta.concrete_fields if field.attname not in deferred]
        return _instance(
            type(value).__name__, value, names, {"_state"} | set(value.__dict__.get("_state").fields_cache)
        )
    if isinstance(value, orm.Model):
        names = [field.attname for field in value._meta.fields.values()]
        names = [name for name in names if name in value.__dict__]
        relations = {field.name for field in value._meta.fields.values()}
        return _instance(type(value).__name__, value, names, relations | set(value._meta.accessors))
    if value is None or isinstance(value, (bool, int, str, bytes, datetime.date, datetime.time, datetime.timedelta)):
        return (type(value).__name__, value)
    return (type(value).__name__, str(value))


def _instance(name: str, value: Any, names: list[str], hidden: set[str]) -> Any:
    attributes = value.__dict__
    extra = {key: item for key, item in attributes.items() if key not in names and key not in hidden and key[0] != "_"}
    return (
        name,
        *((key, normal(attributes[key])) for key in names),
        *((key, normal(extra[key])) for key in sorted(extra)),
    )


def _shown(value: Any) -> str:
    """A normal form, shortened for messages."""
    if not isinstance(value, tuple):
        return repr(value)
    kind, *rest = value
    if kind == "list" or kind == "tuple":
        return f"[{', '.join(_shown(item) for item in rest)}]"
    if kind == "dict":
        return f"{{{', '.join(f'{_shown(key)}: {_shown(item)}' for key, item in rest)}}}"
    if len(rest) == 1 and not isinstance(rest[0], tuple):
        return repr(rest[0]) if kind in ("int", "str", "NoneType", "bool") else f"{kind} {rest[0]}"
    fields = ", ".join(f"{key}={_shown(item)}" for key, item in rest)
    return f"{kind}({fields})"
