"""What can follow a field in a name: transforms (``created__year``) and keys of JSON (``data__owner__name``)."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ClauseElement, ColumnElement

from orm.database.sql.functions import JSONPath, SQLFunction
from orm.database.types import column_types
from orm.exceptions import FieldError
from orm.expressions.base import F, Logical
from orm.expressions.subqueries import is_queryset
from orm.fields import Array, Field
from orm.fields.json import JSON, KEY_FIELD
from orm.fields.values import value_field
from orm.functions.arrays import array_part
from orm.functions.base import Func, Value
from orm.functions.hstore import HStoreItem
from orm.lookups.base import Lookup, find_lookup, label, lookup_for
from orm.lookups.transforms import names_for, transform_for
from orm.query.terms.base import NULL, NullTerm, PathTerm, Term, ValueTerm
from orm.query.terms.computed import FuncTerm, checked_sql, known_field
from orm.relations import ForeignKey
from orm.utils.articles import with_article

if TYPE_CHECKING:
    from orm.query.rendering import Rendering

Step = Func[Any] | str
"""A transform, or a key of a JSON document."""
Steps = tuple[Step, ...]
NUMBER = re.compile(r"-?[0-9]{1,9}")


class TransformTerm(FuncTerm):
    """A transform applied to a term."""

    def __init__(self, transform: Func[Any], term: Term) -> None:
        super().__init__(transform, (term, *further_arguments(transform, term.field)))
        self.term = term
        self.nullable = term.nullable

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        """Its SQL."""
        column = self.term.render(rendering, required=required)
        further = [argument.render(rendering) for argument in self.arguments[1:]]
        sql = checked_sql(self.function, self.function.build_from(self.fields, column, *further))
        return sqlalchemy.type_coerce(sql, self.field.result_type())

    def columns(self) -> tuple[PathTerm, ...]:
        """The columns that make it NULL if they are NULL."""
        return self.term.columns()


def further_arguments(transform: Func[Any], field: Field[Any]) -> tuple[Term, ...]:
    """The terms of a transform's arguments after the first, which is a value of `field`.

    Raises `FieldError` for one that is no plain value: a transform is a part of a name, and has no query to resolve in.
    """
    return tuple([_further_argument(transform, node, field) for node in transform.arguments[1:]])


def _further_argument(transform: Func[Any], node: Any, field: Field[Any]) -> Term:
    value, output_field = (node.value, node.output_field) if type(node) is Value else (node, None)
    if isinstance(value, (Logical, ClauseElement)) or is_queryset(value):
        raise FieldError(
            f"{transform!r} is used as a transform, whose further arguments are plain values, not {value!r}. "
            "Text is written as Value('…')."
        )
    if value is None:
        return NULL if output_field is None else NullTerm(output_field)
    if output_field is None and transform.mixes_arguments and field.storage_field is not None:
        output_field = field
    if output_field is None:
        return ValueTerm(value, value_field(value))
    return ValueTerm(output_field.to_python(value), output_field)


class KeyTerm(Term):
    """The value at a path of keys in a JSON document. The keys are bound like other values."""

    def __init__(self, document: Term, keys: tuple[str, ...]) -> None:
        self.document = document
        # A number is an index of an array or a key of an object: only the database can see which.
        self.runs = [(number, tuple(run)) for number, run in groupby(keys, lambda key: bool(NUMBER.fullmatch(key)))]
        field = document.field
        self.field: Field[Any] = field.key_field if isinstance(field, JSON) else KEY_FIELD
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
                f"{label(field)} is {with_article(type_name)}, which has no part {part!r}. Its transforms are: "
                f"{choices}."
            )
        steps.append(step)
        field = result
    return tuple(steps)


def referenced_field(field: Field[Any]) -> Field[Any]:
    """The field whose values a field has: the one that a foreign key references in the end, or the field itself."""
    while isinstance(field, ForeignKey):
        field = field.target_field
    return field


def is_step(field: Field[Any], part: str) -> bool:
    """Whether a part of a name is a transform or a key of this field."""
    return not isinstance(field, ForeignKey) or _step(field, part)[0] is not None


def _step(field: Field[Any], part: str) -> tuple[Step | None, Field[Any]]:
    """The transform or key that a part of a name is, or None, and the field of its result.

    A name that is not a field of a related model may be a transform of its key: ``event__month``.
    """
    field = referenced_field(field)
    transform = transform_for(field, part)
    if transform is None and isinstance(field, Array):
        transform = array_part(part)
    if transform is None and field.family == "hstore":
        transform = HStoreItem(F("hstore"), part)
    if transform is not None:
        fields = map(known_field, further_arguments(transform, field))
        return transform, transform.result(field, *(known for known in fields if known is not None))
    return (part, KEY_FIELD) if field.family == "json" else (None, field)


def with_steps(term: Term, steps: Steps) -> Term:
    """The term with transforms and keys applied in order."""
    if steps and isinstance(term, PathTerm) and isinstance(term.field, ForeignKey):
        term = copy.copy(term)
        term.field = referenced_field(term.field)
    keys: tuple[str, ...] = ()
    for step in steps:
        if isinstance(step, str):
            keys = (*keys, step)
            continue
        term = TransformTerm(step, KeyTerm(term, keys) if keys else term)
        keys = ()
    return KeyTerm(term, keys) if keys else term
