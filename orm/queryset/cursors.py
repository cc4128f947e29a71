"""Cursors: a row's place in an order as a short opaque text, for `QuerySet.page()`.

A cursor holds the place's values, each with its type, and a checksum over them and the order that it is of. The
checksum is no secret: it finds cursors that were damaged, edited or taken from another query. What a forged one says
is still converted as a filter's value is, and bound as an argument, so it can name a place and nothing else.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from orm.exceptions import FieldError, QueryError
from orm.lookups.base import MAX_INTEGER, MIN_INTEGER
from orm.query.ordering import OrderTerm
from orm.query.terms.base import AnnotationTerm, PathTerm, Term

DIGEST_SIZE = 8


class Cursor(NamedTuple):
    """A place in an order; `inclusive`: the row at that place is meant too."""

    place: tuple[Any, ...]
    inclusive: bool = False


def _duration(text: str) -> datetime.timedelta:
    return datetime.timedelta(microseconds=int(text))


# The first type that fits names the value's type in the cursor: its tag, how it is written and how it is read.
KINDS: tuple[tuple[type, str, Callable[[Any], str], Callable[[str], Any]], ...] = (
    (bool, "b", lambda value: "1" if value else "", bool),
    (int, "i", str, int),
    (float, "f", repr, float),
    (str, "s", str, str),
    (decimal.Decimal, "n", str, decimal.Decimal),
    (datetime.datetime, "dt", datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    (datetime.date, "d", datetime.date.isoformat, datetime.date.fromisoformat),
    (datetime.time, "t", datetime.time.isoformat, datetime.time.fromisoformat),
    (datetime.timedelta, "td", lambda value: str(value // datetime.timedelta(microseconds=1)), _duration),
    (uuid.UUID, "u", str, uuid.UUID),
    (bytes, "x", bytes.hex, bytes.fromhex),
)
READERS = {tag: read for _, tag, _, read in KINDS}


def encode_cursor(model: str, order: Sequence[OrderTerm], cursor: Cursor) -> str:
    """The cursor as text. Raises `QueryError` for a value that is of no type with an order."""
    values = [_write(value) for value in cursor.place]
    content = json.dumps([int(cursor.inclusive), *values], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_digest(model, order, content) + content).decode().rstrip("=")


def decode_cursor(model: str, order: Sequence[OrderTerm], text: str) -> Cursor:
    """What a cursor says. Raises `QueryError` for one that is damaged, or of another model or order."""
    wrong = QueryError(f"This cursor is not of this query of {model}: it is damaged, or was made for another order.")
    if not isinstance(text, str):
        raise wrong
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        digest, content = raw[:DIGEST_SIZE], raw[DIGEST_SIZE:]
        if digest != _digest(model, order, content):
            raise ValueError("checksum")
        inclusive, *values = json.loads(content)
        place = tuple(_read(term.term, value) for term, value in zip(order, values, strict=True))
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
        raise wrong from error
    return Cursor(place, bool(inclusive))


def _digest(model: str, order: Sequence[OrderTerm], content: bytes) -> bytes:
    described = [[_describe(term.term), term.descending, term.nulls] for term in order]
    return hashlib.blake2b(json.dumps([model, described]).encode() + content, digest_size=DIGEST_SIZE).digest()


def _describe(term: Term) -> str:
    """The term by names that are the same in every process."""
    if isinstance(term, PathTerm):
        return term.path.name
    if isinstance(term, AnnotationTerm):
        return term.name
    return f"{type(term).__name__}({', '.join(_describe(leaf) for leaf in term.leaves())})"


def _write(value: Any) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, enum.Enum):
        value = value.value
    for kind, tag, write, _ in KINDS:
        if isinstance(value, kind):
            return [tag, write(value)]
    raise QueryError(f"Pages cannot be ordered by values of type {type(value).__name__}.")


def _read(term: Term, written: Any) -> Any:
    """A value as the term's field takes it. Raises an error of those that `decode_cursor` expects."""
    if written is None:
        if not term.nullable:
            raise FieldError("NULL for a field that has none.")
        return None
    tag, text = written
    value = term.field.to_python(READERS[tag](text))
    if value is None or (type(value) is int and not MIN_INTEGER <= value <= MAX_INTEGER):
        raise FieldError("No value of this field.")
    return value
