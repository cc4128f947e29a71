"""Cursors: a row's position in an ordering as a short opaque text, for `QuerySet.page()`.

A cursor holds the row's values of the ordering, as JSON, and a checksum over them, the model and the ordering. The
checksum is not secret: it detects cursors that were damaged, edited or taken from another query. The values of a forged
cursor are converted like the value of a filter and bound as arguments, so they can name a position and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from orm.exceptions import FieldError, QueryError
from orm.lookups.comparisons import MAX_INTEGER, MIN_INTEGER
from orm.query.ordering import OrderTerm
from orm.query.terms.base import AnnotationTerm, PathTerm, Term

DIGEST_SIZE = 8


class Cursor(NamedTuple):
    """A position in an ordering. `inclusive`: a page that starts here includes the row at the position."""

    position: tuple[Any, ...]
    inclusive: bool = False


def encode_cursor(model: str, order: Sequence[OrderTerm], cursor: Cursor) -> str:
    """The cursor as text. Raises `QueryError` for a value that no cursor can hold."""
    values = [_to_json(term.term, value) for term, value in zip(order, cursor.position, strict=True)]
    content = json.dumps([int(cursor.inclusive), *values], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_digest(model, order, content) + content).decode().rstrip("=")


def decode_cursor(model: str, order: Sequence[OrderTerm], text: str) -> Cursor:
    """The cursor that `encode_cursor` wrote. Raises `QueryError` if it is damaged, or of another model or ordering."""
    invalid = QueryError(f"This is no cursor of this query of {model}: it was damaged, or is of another order.")
    if not isinstance(text, str):
        raise invalid
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        digest, content = raw[:DIGEST_SIZE], raw[DIGEST_SIZE:]
        if digest != _digest(model, order, content):
            raise ValueError("checksum")
        inclusive, *values = json.loads(content)
        position = tuple(_from_json(term.term, value) for term, value in zip(order, values, strict=True))
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
        raise invalid from error
    return Cursor(position, bool(inclusive))


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


def _to_json(term: Term, value: Any) -> Any:
    """The value as the field of its term writes it. Raises `QueryError` if that is no scalar, or another value."""
    if value is None:
        return None
    field = term.field.underlying_field
    lossy = False
    try:
        written = field.to_json(value)
        read = field.from_json(written)
        if field.storage_field is not None:
            # What is stored must be the same each time, or the next page begins elsewhere: encrypted text has a nonce.
            lossy = read != value or field.to_json(read) != written
        elif read != value:
            written = str(value)  # a duration of centuries is rounded in seconds, but not as text
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError, FieldError):
        written = None
    if lossy:
        raise QueryError(
            f"Pages cannot be ordered by {field!r}: its from_json() does not return the value that its to_json() got, "
            "or to_json() returns something else each time."
        )
    if not isinstance(written, (str, int, float)):
        raise QueryError(f"Pages cannot be ordered by values of type {type(value).__name__}.")
    return written


def _from_json(term: Term, written: Any) -> Any:
    """The value that `_to_json` wrote. Raises one of the errors that `decode_cursor` expects."""
    if written is None:
        if not term.nullable:
            raise FieldError("NULL for a field that has none.")
        return None
    if not isinstance(written, (str, int, float)):
        raise FieldError("Not a scalar.")
    value = term.field.underlying_field.from_json(written)
    if value is None or (type(value) is int and not MIN_INTEGER <= value <= MAX_INTEGER):
        raise FieldError("No value of this field.")
    return value
