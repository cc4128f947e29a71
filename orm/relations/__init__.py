"""Relations between models: `ForeignKey`, `OneToOne`, `ManyToMany`, and their reverse relations."""

from typing import Any

from orm.relations.base import Hop, Relation, column_equalities, join_condition, key_value, key_values
from orm.relations.composed import Composed
from orm.relations.composite_foreign_key import CompositeForeignKey
from orm.relations.embedded import Embedded
from orm.relations.expressions import RelationExpression
from orm.relations.foreign_key import ForeignKey, OneToOne, ParentLink
from orm.relations.generic_foreign_key import GenericExpression, GenericForeignKey
from orm.relations.many_to_many import ManyToMany, ManyToManySide
from orm.relations.reverse import RelatedKey, ReverseRelation
from orm.relations.to_one import CASCADE, NO_ACTION, RESTRICT, SET_DEFAULT, SET_NULL

ForwardRelation = ForeignKey[Any] | CompositeForeignKey[Any]
"""A relation to one row whose key is kept in fields of this side."""
FORWARD = (ForeignKey, CompositeForeignKey)
"""The classes of `ForwardRelation`, for `isinstance()`."""

__all__ = [
    "CASCADE",
    "FORWARD",
    "NO_ACTION",
    "RESTRICT",
    "SET_DEFAULT",
    "SET_NULL",
    "Composed",
    "CompositeForeignKey",
    "Embedded",
    "ForeignKey",
    "ForwardRelation",
    "GenericExpression",
    "GenericForeignKey",
    "Hop",
    "ManyToMany",
    "ManyToManySide",
    "OneToOne",
    "ParentLink",
    "RelatedKey",
    "Relation",
    "RelationExpression",
    "ReverseRelation",
    "column_equalities",
    "join_condition",
    "key_value",
    "key_values",
]
