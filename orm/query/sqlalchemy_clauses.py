"""Expressions and conditions as SQLAlchemy clauses, for use outside of querysets.

`sqlalchemy.select(Note.views + 1).where(Note.text.icontains("x"))` works because SQLAlchemy calls their
``__clause_element__``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import BindParameter, ColumnElement
from sqlalchemy.sql import visitors
from sqlalchemy.types import TypeEngine

from orm.database.sql import operators
from orm.exceptions import FieldError, QueryError
from orm.expressions.base import Combined, Comparison, Condition, FieldExpression, Negated, Ordering, Q
from orm.functions.base import Func
from orm.mapping.model_info import ModelInfo
from orm.query.paths import Path
from orm.query.projection import Instances
from orm.query.rendering import BindNumbering, Rendering
from orm.query.resolving.resolver import Resolver
from orm.relations import join_condition

if TYPE_CHECKING:
    from orm.query.query import Query


class LiteralBinds(BindNumbering):
    """Bind parameters with values."""

    def __init__(self, values: Sequence[Any]) -> None:
        super().__init__()
        self._values = values

    def at(self, position: int, type_: TypeEngine[Any]) -> BindParameter[Any]:
        """The parameter with the value at this position."""
        return sqlalchemy.bindparam(None, self._values[position], type_=type_, unique=True)


class StandaloneRendering(Rendering):
    """Renders columns of related models as correlated subqueries, because no tables can be joined."""

    def __init__(self, info: ModelInfo, values: Sequence[Any]) -> None:
        super().__init__(info, LiteralBinds(values))

    def column(self, path: Path, join_number: int = 0, *, required: bool = False) -> ColumnElement[Any]:
        """The column of a path, as a subquery if it is in another table."""
        if not path.relations:
            return super().column(path)
        left: Any = self.table
        tables, joined = [], []
        for relation in path.relations:
            table = relation.target._meta.require_table().alias()
            joined.append(join_condition(relation, left, table))
            tables.append(table)
            left = table
        column = left.c[path.stored.column_name]
        subquery = sqlalchemy.select(column).select_from(*tables).where(*joined)
        return subquery.correlate(self.table).scalar_subquery()


def to_clause(node: Any, info: ModelInfo | None = None) -> ColumnElement[Any]:
    """An expression, condition or ordering as a SQLAlchemy clause, for the model `info` or the model that it names.

    Raises `QueryError` if it names fields by strings only, so that no model is known.
    """
    info = info or next(_models(node), None)
    if info is None:
        raise QueryError(
            f"{node!r} names fields by strings, which say nothing outside of a query of a model: "
            "use the model's own attributes, such as Note.views."
        )
    if isinstance(node, (Condition, ColumnElement)):
        condition = Resolver(info).condition(node)
        rendering = StandaloneRendering(info, condition.values)
        clause: ColumnElement[Any] = condition.render(rendering, required=False, negated=False)
    elif isinstance(node, Ordering):
        (order,) = Resolver(info).order_by([node])
        clause = order.render(StandaloneRendering(info, order.values))[-1]
    else:
        term = Resolver(info).expression(node, "an expression")
        clause = sqlalchemy.type_coerce(term.render(StandaloneRendering(info, term.values)), term.field.column_type())
    plain: ColumnElement[Any] = visitors.replacement_traverse(clause, {}, _plain_in)
    return plain


def select_of_view(info: ModelInfo, query: Query) -> sqlalchemy.Select[Any]:
    """What a view of this model selects: the columns of a query in the order of the fields, with literal values.

    Raises `FieldError` if their names are not those of the fields.
    """
    projection = query.projection
    selected: Any = query.select(Rendering(query.info, LiteralBinds(query.values)))
    if isinstance(projection, Instances):
        names = [field.name for field in projection.own_fields()]
    else:
        names = [*projection.names]
    columns = dict(zip(names, selected.selected_columns, strict=True))
    by_name = {(field.name if field.name in columns else field.attname): field for field in info.fields.values()}
    if set(by_name) != set(columns):
        raise FieldError(
            f"{info.name}.Meta.view selects {', '.join(columns)}; the fields of the model are {', '.join(info.fields)}."
        )
    labelled = [columns[name].label(field.column_name) for name, field in by_name.items()]
    plain: sqlalchemy.Select[Any] = visitors.replacement_traverse(
        selected.with_only_columns(*labelled, maintain_column_froms=True), {}, _plain_in
    )
    return plain


def _plain_in(element: Any, **kw: Any) -> Any:
    """Replaces our list parameter by SQLAlchemy's, which all of its drivers support."""
    if isinstance(element, operators.InList):
        left, values = element.clauses
        assert isinstance(values, BindParameter) and isinstance(values.type, operators.ListOf)
        return left.in_(sqlalchemy.bindparam(None, values.value, type_=values.type.item, expanding=True))
    return None


def _models(node: Any) -> Iterator[ModelInfo]:
    if isinstance(node, FieldExpression):
        yield node._model._meta
    elif isinstance(node, (Comparison, Negated, Ordering)):
        yield from _models(node.expression)
    elif isinstance(node, Combined):
        yield from _models(node.left)
        yield from _models(node.right)
    elif isinstance(node, Func):
        for argument in node.arguments:
            yield from _models(argument)
    elif isinstance(node, Q):
        for child in node.children:
            yield from _models(child)
