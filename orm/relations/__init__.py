"""Relations between models: `ForeignKey`, `OneToOne`, `ManyToMany`, and their ways back."""

from orm.relations.base import Hop, Relation, fields_of, joined_on, key_value, key_values, pairs
from orm.relations.composed import Composed
from orm.relations.composite_foreign_key import CompositeForeignKey
from orm.relations.expressions import RelationExpression
from orm.relations.foreign_key import ForeignKey, OneToOne
from orm.relations.generic_foreign_key import GenericExpression, GenericForeignKey
from orm.relations.many_to_many import ManyToMany, ManyToManySide
from orm.relations.reverse import RelatedKey, ReverseRelation
from orm.relations.to_one import CASCADE, NO_ACTION, RESTRICT, SET_DEFAULT, SET_NULL

# The relations to one row whose key is kept on this side.
FORWARD = (ForeignKey, CompositeForeignKey)

__all__ = [
    "CASCADE",
    "FORWARD",
    "NO_ACTION",
    "RESTRICT",
    "SET_DEFAULT",
    "SET_NULL",
    "Composed",
    "CompositeForeignKey",
    "ForeignKey",
    "GenericExpression",
    "GenericForeignKey",
    "Hop",
    "ManyToMany",
    "ManyToManySide",
    "OneToOne",
    "RelatedKey",
    "Relation",
    "RelationExpression",
    "ReverseRelation",
    "fields_of",
    "joined_on",
    "key_value",
    "key_values",
    "pairs",
]
