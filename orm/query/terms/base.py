"""Terms: expressions resolved against a model, each with its part of the query's cache key and of its arguments.

These have at most one operand. Those computed from others are in `computed`, aggregates and window functions in
`aggregates`, those that read another query in `subqueries`.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy
from sqlalchemy import ClauseElement, ColumnElement
from sqlalchemy.sql import operators as sqlalchemy_operators
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.types import TypeEngine

from orm.database.sql import operators
from orm.database.sql.functions import SQLFunction
from orm.database.types.column_types import ORMType
from orm.exceptions import QueryError
from orm.fields import Array, Field
from orm.fields.values import BIG_INTEGER, clause_field
from orm.query.paths import Path

if TYPE_CHECKING:
    from orm.query.rendering import Rendering
    from orm.query.terms.aggregates import AggregateTerm


class Term:
    """A resolved expression."""

    key: Hashable
    """Its part of the query's cache key: hashable and without values."""
    values: tuple[Any, ...] = ()
    """Its arguments, in the order in which `render` binds them."""
    field: Field[Any]
    """The field whose type it has."""
    nullable: bool = True
    outer_terms: tuple[Term, ...] = ()
    """The outer query's terms that a correlated subquery refers to."""
    typed: bool = True
    """Whether its `field` is known."""
    aggregate: bool = False
    """Whether it contains an aggregate, which is computed from a group of rows."""
    window: bool = False
    """Whether it contains a window function, which is computed after WHERE and HAVING."""
    many: bool = False
    """Whether it is a column reached over a relation to many rows, or a subquery that reads one of the outer query."""

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        """Its SQL. With `required`, rows without the related row are dropped, so its joins may be inner joins."""
        raise NotImplementedError

    def columns(self) -> tuple[PathTerm, ...]:
        """The columns that make it NULL if they are NULL."""
        return ()

    def leaves(self) -> tuple[Term, ...]:
        """The columns and annotations that it reads."""
        return ()

    def operands(self) -> tuple[Term | ResolvedCondition, ...]:
        """What it is computed from, of a term that may contain an aggregate."""
        return ()

    def group_terms(self) -> Iterator[Term]:
        """The terms by which a query is grouped that selects this term, or orders or filters by it.

        That is the term itself; around an aggregate or a window function, its other operands; nothing for a constant.
        """
        if self.aggregate or self.window:
            for operand in self.operands():
                yield from operand.group_terms()
        elif self.leaves():
            yield self


class PathTerm(Term):
    """A column."""

    __slots__ = ("aggregates", "field", "join_number", "key", "many", "nullable", "path")

    def __init__(self, path: Path, join_number: int = 0) -> None:
        self.path = path
        self.aggregates: dict[Hashable, AggregateTerm] = {}
        """Its resolved aggregates without further arguments, by class and options."""
        self.join_number = join_number
        """Which join of its relations it reads if they lead to many rows: see `Joins`."""
        self.many = path.many
        self.key = (path, join_number)
        self.field = path.field
        self.nullable = path.nullable

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return rendering.column(self.path, self.join_number, required=required)

    @classmethod
    def of(cls, path: Path) -> PathTerm:
        """The term of a path that leads to a single row: always the same object."""
        term: PathTerm | None = path.term
        if term is None:
            term = path.term = cls(path)
        return term

    def columns(self) -> tuple[PathTerm, ...]:
        return (self,)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)


class ValueTerm(Term):
    """A Python value, bound as `field` binds it."""

    __slots__ = ("field", "key", "values")
    nullable = False

    def __init__(self, value: Any, field: Field[Any]) -> None:
        self.values = (value,)
        self.field = field
        self.key = ("value", lookup_key(field))

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        type_ = self.field.comparison_type()
        parameter = rendering.bind(type_)
        if not self.field.is_temporal and self.field.family != "text":
            return parameter
        return SQLFunction("typed", parameter, literals=(self.field.family,), type_=type_)


class StoredTerm(Term):
    """A term of a field that is `stored_as` another one, compared as what is stored."""

    def __init__(self, term: Term) -> None:
        self.term = term
        self.key = ("stored", term.key)
        self.values = term.values
        self.field = term.field
        while (storage := self.field.storage_field) is not None:
            self.field = storage
        self.nullable = term.nullable
        self.aggregate = term.aggregate
        self.window = term.window
        self.many = term.many

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return self.term.render(rendering, required=required)

    def columns(self) -> tuple[PathTerm, ...]:
        return self.term.columns()

    def leaves(self) -> tuple[Term, ...]:
        return self.term.leaves()


class RowTerm(Term):
    """The whole row, ``*``, as in ``COUNT(*)``."""

    key = "*"
    nullable = False

    def __init__(self) -> None:
        self.field = BIG_INTEGER

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return sqlalchemy.literal_column("*")


class AnnotationTerm(Term):
    """A reference to an annotation of the query, whose term is rendered once."""

    def __init__(self, name: str, term: Term, *, selectable: bool = True, former: AnnotationTerm | None = None) -> None:
        self.name = name
        self.term = term
        self.selectable = selectable
        """Whether values() may select it. Those of alias() are for conditions and orderings only."""
        self.replaced: int = 0 if former is None else former.replaced + 1
        """The number of annotations of this name that it replaces. What was resolved before still refers to them."""
        self.key = ("annotation", name, self.replaced)
        self.typed = term.typed
        self.aggregate = term.aggregate
        self.window = term.window

    @property
    def field(self) -> Field[Any]:
        """The field of its term. Raises `QueryError` for an `OuterRef`, which has none before the outer query."""
        field: Field[Any] = self.term.field
        return field

    def of_a_row(self) -> AnnotationTerm:
        """The annotation as a column of a subquery, where an aggregate is a plain value."""
        term = copy.copy(self)
        term.aggregate = False
        return term

    def set_aside(self) -> AnnotationTerm:
        """The annotation after another one has taken its name: only what was resolved before reads it."""
        term = copy.copy(self)
        term.selectable = False
        return term

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return rendering.annotation(self.key)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)

    def group_terms(self) -> Iterator[Term]:
        terms = [*self.term.group_terms()]
        return iter([self] if terms == [self.term] else terms)


class InlinedAnnotation(Term):
    """The expression of an annotation in an UPDATE, which has no annotations.

    Its key has the annotation's name: the SQL of two uses of one annotation may have the same parameters.
    """

    def __init__(self, annotation: AnnotationTerm, read: tuple[AnnotationTerm, ...]) -> None:
        self._annotations = (*read, annotation)
        self._term = term = annotation.term
        self.key = ("inlined", *((part.key, part.term.key) for part in self._annotations))
        self.values = tuple(value for part in self._annotations for value in part.term.values)
        self.nullable = term.nullable
        self.typed = term.typed
        self.aggregate = term.aggregate
        self.window = term.window

    @classmethod
    def of(cls, annotation: AnnotationTerm, annotations: Mapping[Hashable, AnnotationTerm]) -> Term:
        """The expression of one of the `annotations`, a dict by key, with those of the annotations that it reads."""
        read: dict[Hashable, AnnotationTerm] = {}

        def add(term: Term) -> None:
            for leaf in term.leaves():
                if isinstance(leaf, AnnotationTerm) and leaf.key not in read:
                    inner = annotations[leaf.key]
                    add(inner.term)
                    read[leaf.key] = inner

        add(annotation.term)
        return cls(annotation, tuple(read.values())) if read or annotation.term.values else annotation.term

    @property
    def field(self) -> Field[Any]:
        """The field of its term. Raises `QueryError` for an `OuterRef`, which has none before the outer query."""
        field: Field[Any] = self._term.field
        return field

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        for annotation in self._annotations:
            rendering.annotated[annotation.key] = annotation.term.render(rendering)
        return rendering.annotated[self._annotations[-1].key]

    def leaves(self) -> tuple[Term, ...]:
        leaves = (leaf for annotation in self._annotations for leaf in annotation.term.leaves())
        return tuple(leaf for leaf in leaves if not isinstance(leaf, AnnotationTerm))


class NullTerm(Term):
    """NULL, with or without a type."""

    key: Hashable = "null"

    def __init__(self, output_field: Field[Any] | None = None) -> None:
        self._field = output_field
        if output_field is not None:
            self.key = ("null", lookup_key(output_field))

    @property
    def field(self) -> Field[Any]:
        if self._field is None:
            raise QueryError("None has no type of its own here: give output_field=.")
        return self._field

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return (
            sqlalchemy.null()
            if self._field is None
            else sqlalchemy.type_coerce(sqlalchemy.null(), self._field.result_type())
        )


NULL = NullTerm()


def is_value(term: Term) -> bool:
    """Whether a term is a value or NULL, or the annotation of one."""
    return isinstance(term.term if isinstance(term, AnnotationTerm) else term, (ValueTerm, NullTerm))


class ClauseTerm(Term):
    """A SQLAlchemy clause. Its part of the cache key is SQLAlchemy's own."""

    def __init__(self, clause: ClauseElement) -> None:
        self.clause = clause
        cache_key = clause._generate_cache_key()
        if cache_key is None:
            # It contains a construct that cannot be cached, so its plan is made each time.
            self.key = ("clause", object())
            self._parameters: list[Any] = []
            visitors.traverse(clause, {}, {"bindparam": self._parameters.append})
        else:
            self.key = ("clause", cache_key.key)
            self._parameters = list(cache_key.bindparams)
        self.values = tuple(_value_of(parameter) for parameter in self._parameters)
        self.typed = clause_field(getattr(clause, "type", None)) is not None

    @property
    def field(self) -> Field[Any]:
        """The field of values of the clause's type. Raises `QueryError` if SQLAlchemy does not know the type."""
        field = clause_field(getattr(self.clause, "type", None))
        if field is None:
            raise QueryError(
                f"The type of the SQLAlchemy clause {self.clause} is not known: give it one with type_coerce(), or "
                "wrap it, ExpressionWrapper(…, output_field=…)."
            )
        return field

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        binds = rendering.binds
        first = binds.reserve(len(self._parameters))
        positions = {id(p): first + i for i, p in enumerate(self._parameters)}

        def replace(element: Any, **kw: Any) -> Any:
            if isinstance(element, sqlalchemy.BinaryExpression) and element.operator in (
                sqlalchemy_operators.in_op,
                sqlalchemy_operators.not_in_op,
            ):
                right = element.right
                if isinstance(right, sqlalchemy.BindParameter) and right.expanding:
                    left = visitors.replacement_traverse(element.left, {}, replace)
                    values = binds.at(positions[id(right)], operators.ListOf(right.type))
                    in_list = operators.InList(left, values)
                    return ~in_list if element.operator is sqlalchemy_operators.not_in_op else in_list
            if isinstance(element, sqlalchemy.BindParameter) and id(element) in positions:
                return binds.at(positions[id(element)], element.type)
            return None

        rendered: Any = visitors.replacement_traverse(self.clause, {}, replace)
        rendering.include(rendered)
        return Grouping(rendered) if isinstance(rendered, sqlalchemy.TextClause) else rendered

    def group_terms(self) -> Iterator[Term]:
        return iter([self] if self.clause._from_objects else ())


def _value_of(parameter: sqlalchemy.BindParameter[Any]) -> Any:
    value = parameter.effective_value
    return tuple(value) if parameter.expanding and value is not None else value


class ResolvedCondition(Protocol):
    """A condition inside a term: an `orm.query.conditions.base.Predicate`, which is a layer above."""

    key: Hashable
    values: tuple[Any, ...]
    aggregate: bool
    window: bool

    @property
    def truth(self) -> bool | None:
        """True if it is always true, False if it never is, None if that depends on the row."""

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        """Its SQL."""

    def leaves(self) -> tuple[Term, ...]:
        """The columns and annotations that it reads."""

    def group_terms(self) -> Iterator[Term]:
        """What rows are grouped by if they are compared by it: see `Term.group_terms`."""


def lookup_key(field: Field[Any]) -> Hashable:
    """The part of the cache key for an expression's field: how values are bound, read, and converted to JSON."""
    key: Hashable = field.__dict__.get("_lookup_key")
    if key is None:
        underlying = field.underlying_field
        key = field.__dict__["_lookup_key"] = (
            *(type(field), _type_key(field.comparison_type()), _type_key(field.result_type())),
            type(underlying),
            lookup_key(underlying.field) if isinstance(underlying, Array) else None,
        )
    return key


def _type_key(type_: TypeEngine[Any]) -> Hashable:
    return type_.cache_key if isinstance(type_, ORMType) else (type(type_), repr(type_))
