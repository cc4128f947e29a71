"""What can follow a field in a name: transforms (``created__year``) and keys of JSON (``data__owner__name``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.sql.functions import JSONPath, SQLFunction
from orm.database.types import column_types
from orm.exceptions import FieldError
from orm.fields import Field
from orm.fields.structured import JSONKey
from orm.functions.base import Func
from orm.lookups.base import Lookup, find_lookup, label, lookup_for
from orm.lookups.transforms import names_for, transform_for
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.computed import FuncTerm

if TYPE_CHECKING:
    from orm.query.rendering import Rendering

Step = Func[Any] | str
"""A transform, or a key of a JSON document."""
Steps = tuple[Step, ...]
NUMBER = re.compile(r"-?[0-9]{1,9}")


KEY_FIELD = JSONKey(allow_null=True)


class TransformTerm(FuncTerm):
    """A transform applied to a term."""

    def __init__(self, transform: Func[Any], term: Term) -> None:
        super().__init__(transform, (term,))
        self.term = term
        self.nullable = term.nullable

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        """Its SQL."""
        column = self.term.render(rendering, required=required)
        return sqlalchemy.type_coerce(self.function.build_from(self.fields, column), self.field.result_type())

    def columns(self) -> tuple[PathTerm, ...]:
        """The columns that make it NULL if they are NULL."""
        return self.term.columns()


class KeyTerm(Term):
    """The value at a path of keys in a JSON document. The keys are bound like other values."""

    def __init__(self, document: Term, keys: tuple[str, ...]) -> None:
        self.document = document
        # A number is an index of an array or a key of an object: only the database can see which.
        self.runs = [(number, tuple(run)) for number, run in groupby(keys, lambda key: bool(NUMBER.fullmatch(key)))]
        self.field: Field[Any] = KEY_FIELD
        self.key = ("json path", document.key, *(len(run) if number else 0 for number, run in self.runs))
        values: list[Any] = list(document.values)
        for number, run in self.runs:
            values.extend(run if number else [run])
        self.values = tuple(values)
        self.aggregate = document.aggregate
        self.window = document.window

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        """Its SQL."""
        value = self.document.render(rendering, required=required)
        for number, run in self.runs:
            if number:
                for _ in run:
                    index = rendering.bind(column_types.Text())
                    value = SQLFunction("json_item", value, index, type_=column_types.JSON())
            else:
                value = SQLFunction("json_at", value, rendering.bind(JSONPath()), type_=column_types.JSON())
        return value

    def columns(self) -> tuple[PathTerm, ...]:
        """The columns that make it NULL if they are NULL."""
        return self.document.columns()

    def leaves(self) -> tuple[Term, ...]:
        """The columns that it reads."""
        return self.document.leaves()


def split_lookup(field: Field[Any], parts: Sequence[str]) -> tuple[Steps, Lookup]:
    """Split what follows a field in a keyword into its transforms and keys, and the lookup (by default ``exact``).

    Raises `FieldError` for a part that is none of these.
    """
    steps: list[Step] = []
    for position, part in enumerate(parts):
        if position == len(parts) - 1 and find_lookup(field, part) is not None:
            return tuple(steps), lookup_for(field, part)
        step, result = _step(field, part)
        if step is None:
            return tuple(steps), lookup_for(field, "__".join(parts[position:]))
        steps.append(step)
        field = result
    return tuple(steps), lookup_for(field, "exact")


def split_steps(field: Field[Any], parts: Sequence[str]) -> Steps:
    """The transforms and keys that follow a field in a name. Raises `FieldError` for a part that is neither."""
    steps: list[Step] = []
    for part in parts:
        step, result = _step(field, part)
        if step is None:
            type_name, choices = type(field).__name__, ", ".join(names_for(field)) or "none"
            raise FieldError(
                f"{label(field)} is a {type_name}, which has no part {part!r}. Its transforms are: {choices}."
            )
        steps.append(step)
        field = result
    return tuple(steps)


def _step(field: Field[Any], part: str) -> tuple[Step | None, Field[Any]]:
    """The transform or key that a part of a name is, or None, and the field of its result."""
    transform = transform_for(field, part)
    if transform is not None:
        return transform, transform.result(field)
    return (part, KEY_FIELD) if field.family == "json" else (None, field)


def with_steps(term: Term, steps: Steps) -> Term:
    """The term with transforms and keys applied in order."""
    keys: tuple[str, ...] = ()
    for step in steps:
        if isinstance(step, str):
            keys = (*keys, step)
            continue
        term = TransformTerm(step, KeyTerm(term, keys) if keys else term)
        keys = ()
    return KeyTerm(term, keys) if keys else term
